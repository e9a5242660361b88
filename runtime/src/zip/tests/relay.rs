//! Members that nobody can call.

use std::collections::BTreeMap;

use bytes::Bytes;
use cirrus_core::channel::{Missing, Role};
use cirrus_core::ids::MemberId;
use cirrus_protocol::relay::{RelayName, address_by};
use cirrus_protocol::zip::Address;
use cirrus_transport::{Medium, TransportError, auth};

use super::{Field, Process, TOKEN, all, over_each_medium};
use crate::zip::relay::{Reachable, Relay, connect, only};
use crate::zip::{Completeness, ONLY_JOB, ReduceChannel, ShuffleChannel, Zip, ZipError, operator};

/// More than one piece.
const LARGE: usize = 600_000;

over_each_medium! {
    who_cannot_be_called_is_in_all_rounds: unreachable;
    a_relay_can_be_killed_and_started_again: restarted;
    nobody_answers_by_way_of_a_relay_is_told_so: nobody;
}

async fn relay<M: Medium>(field: &Field<M>, listen: &str) -> (Process, String) {
    let (medium, process, listen) = (field.medium.clone(), Process::start(), listen.to_owned());
    let tokens = BTreeMap::from([(ONLY_JOB, auth::digest(TOKEN))]);
    let started = process.run(async move { Relay::start(&medium, &listen, tokens).await.unwrap() });
    let relay = started.await.unwrap();
    let address = relay.address().to_owned();
    process.run(relay.run());
    (process, address)
}

fn sums<C: Clone>(
    members: &[(Process, C)],
    of: impl Fn(&C) -> ReduceChannel,
) -> Vec<tokio::task::JoinHandle<(i64, u32, Missing)>> {
    let sum = |(process, seat): &(Process, C)| {
        let channel = of(seat);
        process.run(async move {
            let value: Vec<u8> = std::iter::repeat_n(1_i64.to_le_bytes(), LARGE / 8).flatten().collect();
            let reduced = channel.all_reduce(value).await.unwrap();
            let value = reduced.value.into_bytes();
            let (numbers, _) = value.as_chunks::<8>();
            let first = numbers[0];
            assert!(numbers.iter().all(|number| *number == first) && value.len() == LARGE);
            (i64::from_le_bytes(first), reduced.members, reduced.missing)
        })
    };
    members.iter().map(sum).collect()
}

/// One can be called, the others cannot: neither by it nor by each other.
async fn unreachable<M: Medium>(mut field: Field<M>) {
    let (_relay, address) = relay(&field, super::listen_at(&field.address)).await;
    type Seats = (ReduceChannel, ShuffleChannel);
    let join = |zip: Zip<M>| async move {
        let sums = zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await?;
        Ok::<Seats, ZipError>((sums, zip.shuffle("records", Role::Both).await?))
    };
    let mut members = field.members(1, join).await;
    field.reachable = Reachable::ByRelay(address);
    members.extend(field.members(4, join).await);
    for sum in all(sums(&members, |seats| seats.0.clone())).await {
        assert_eq!(sum, (5, 5, Missing::default()));
    }
    let ids: Vec<MemberId> = members.iter().map(|(_, seats)| seats.1.member()).collect();
    let deal = |(process, (_, channel)): &(Process, Seats)| {
        let (channel, name) = (channel.clone(), format!("{:?}", channel.member()));
        process.run(async move {
            let deal = move |receivers| vec![vec![Bytes::from(name)]; receivers as usize];
            let shuffled = channel.shuffle(deal).await.unwrap();
            shuffled.received.into_iter().collect::<BTreeMap<MemberId, Bytes>>()
        })
    };
    let expected: BTreeMap<MemberId, Bytes> = ids.iter().map(|id| (*id, format!("{id:?}").into())).collect();
    assert_eq!(all(members.iter().map(deal).collect()).await, vec![expected; 5]);
    // A message from one who cannot be called to another.
    let (to, from) = (members[2].1.1.clone(), members[4].1.1.clone());
    let (sender, receiver) = (from.member(), to.member());
    let sent = members[4].0.run(async move { from.send_to(receiver, vec![7; LARGE]).await.unwrap() });
    let got = members[2].0.run(async move { to.receive_from(sender).await.unwrap().into_bytes() });
    assert_eq!(all(vec![got]).await[0], vec![7; LARGE]);
    all(vec![sent]).await;
    // Who is killed is missed as anybody is.
    let killed = members.remove(2).1.0.member();
    for (sum, count, missing) in all(sums(&members, |seats| seats.0.clone())).await {
        assert_eq!((sum, count, missing.departed), (4, 4, vec![killed]));
    }
}

async fn restarted<M: Medium>(mut field: Field<M>) {
    let (first, address) = relay(&field, super::listen_at(&field.address)).await;
    field.reachable = Reachable::ByRelay(address.clone());
    let join = |zip: Zip<M>| async move {
        zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await
    };
    let members = field.members(3, join).await;
    for sum in all(sums(&members, Clone::clone)).await {
        assert_eq!(sum, (3, 3, Missing::default()));
    }
    // Links are made again by way of the next one; who is not reached for a while lives all the same.
    drop(first);
    let (_second, again) = relay(&field, &address).await;
    assert_eq!(again, address);
    for sum in all(sums(&members, Clone::clone)).await {
        assert_eq!(sum, (3, 3, Missing::default()));
    }
}

async fn nobody<M: Medium>(mut field: Field<M>) {
    let (_relay, address) = relay(&field, super::listen_at(&field.address)).await;
    let credential = field.credential(TOKEN);
    let nowhere = address_by(&address, RelayName(1));
    let reached = connect(&field.medium, &nowhere, credential).await.err();
    let text = reached.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains(&nowhere) && Address::new([&*nowhere]).is_ok(), "{text}");
    let both = Address::new(["10.0.0.1:1", &*nowhere]).unwrap();
    assert_eq!(only(&both), Address::new([&*nowhere]).unwrap());
    let stranger = connect(&field.medium, &nowhere, field.credential("another token")).await.err();
    assert!(matches!(stranger, Some(TransportError::Denied { .. })), "{stranger:?}");
    // A member that nobody could call does not join without its relay.
    let gone = format!("{address}0");
    field.reachable = Reachable::ByRelay(gone);
    let alone = field.zip().await.broadcast("news").await.err();
    assert!(matches!(alone, Some(ZipError::Transport(_))), "{alone:?}");
}
