//! Rounds in which nobody dies.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::channel::{Missing, Role};
use cirrus_core::ids::MemberId;
use cirrus_transport::Medium;

use super::{Field, all, over_each_medium};
use crate::zip::{Completeness, Zip, ZipError, operator};

over_each_medium! {
    broadcasts_arrive_at_all_whole_in_one_order_once: broadcasts;
    reduces_combine_everybody_once: reduces;
    an_ordered_operator_sees_everybody_in_one_order: ordered;
    a_barrier_waits_for_everybody: barrier;
    records_reach_whom_they_are_for: shuffles;
    messages_reach_one: messages;
    who_leaves_is_named_once: leaves;
    values_that_do_not_fit_are_refused_by_name: unfit;
    a_quorum_names_the_late: quorum;
}

const MEMBERS: usize = 7;
/// Of several pieces, the last of which is shorter.
const LARGE: usize = 3 * (256 << 10) + 1000;

async fn broadcasts<M: Medium>(field: Field<M>) {
    let members = field.members(MEMBERS, |zip| async move { zip.broadcast("news").await }).await;
    // Who joined before a sender is in its broadcasts.
    let (process, channel) = (&members[MEMBERS - 1].0, members[MEMBERS - 1].1.clone());
    process.run(async move { channel.send("hello").await.unwrap() }).await.unwrap();
    // The first and the last send at the same time; what is sent says what it is.
    let sent = 4_u8;
    let senders = [0, MEMBERS - 1];
    let mut sending = Vec::new();
    for sender in senders {
        let (process, channel) = (&members[sender].0, members[sender].1.clone());
        sending.push(process.run(async move {
            let mut rounds = Vec::new();
            for nth in 0..sent {
                let length = if nth % 2 == 0 { LARGE } else { 100 };
                rounds.push(channel.send(vec![nth; length]).await.unwrap());
            }
            rounds
        }));
    }
    let mut receiving = Vec::new();
    for (at, (process, channel)) in members.iter().enumerate() {
        let (channel, count) =
            (channel.clone(), usize::from(sent) * (2 - usize::from(senders.contains(&at))));
        receiving.push(process.run(async move {
            if at + 1 < MEMBERS {
                assert_eq!(channel.receive().await.unwrap().payload.into_bytes(), "hello");
            }
            let mut received = BTreeMap::new();
            let mut last = None;
            for _ in 0..count {
                let delivery = channel.receive().await.unwrap();
                assert!(last < Some(delivery.round), "in order, and once");
                last = Some(delivery.round);
                received.insert(delivery.round, (delivery.from, delivery.payload.into_bytes()));
            }
            received
        }));
    }
    let rounds = all(sending).await;
    let received = all(receiving).await;
    let ids: Vec<MemberId> = members.iter().map(|(_, channel)| channel.member()).collect();
    let mut expected = BTreeMap::new();
    for (sender, rounds) in senders.into_iter().zip(rounds) {
        for (nth, round) in (0..sent).zip(rounds) {
            let length = if nth % 2 == 0 { LARGE } else { 100 };
            expected.insert(round, (ids[sender], Bytes::from(vec![nth; length])));
        }
    }
    assert_eq!(expected.len(), usize::from(sent) * 2, "each has a round of its own");
    for (at, received) in received.into_iter().enumerate() {
        let others = expected.iter().filter(|(_, (from, _))| *from != ids[at]);
        assert_eq!(received, others.map(|(round, it)| (*round, it.clone())).collect(), "member {at}");
    }
}

fn numbers(count: usize, value: i64) -> Bytes {
    (0..count).flat_map(|at| (value * (at as i64 + 1)).to_le_bytes()).collect::<Vec<u8>>().into()
}

async fn reduces<M: Medium>(field: Field<M>) {
    let join = |zip: Zip<M>| async move {
        zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await
    };
    let members = field.members(MEMBERS, join).await;
    let sum: i64 = (1..=MEMBERS as i64).sum();
    for count in [1, 100_000] {
        let tasks = (1..).zip(&members).map(|(value, (process, channel))| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(numbers(count, value)).await.unwrap() })
        });
        for reduced in all(tasks.collect()).await {
            assert_eq!((reduced.members as usize, reduced.missing), (MEMBERS, Missing::default()));
            assert_eq!(reduced.value.into_bytes(), numbers(count, sum), "{count} numbers");
        }
    }
}

async fn ordered<M: Medium>(field: Field<M>) {
    let join = |zip: Zip<M>| async move {
        let append = |pieces: &[Bytes]| Some(pieces.concat().into());
        zip.reduce("order", append, Completeness::Survivors).await
    };
    let members = field.members(MEMBERS, join).await;
    for _ in 0..3 {
        let tasks = (b'a'..).zip(&members).map(|(letter, (process, channel))| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(vec![letter]).await.unwrap().value.into_bytes() })
        });
        // The walk through a tree of fan-out 2: each before those below it.
        all(tasks.collect()).await.into_iter().for_each(|value| assert_eq!(value, "abdecfg"));
    }
}

async fn barrier<M: Medium>(field: Field<M>) {
    let join =
        |zip: Zip<M>| async move { zip.reduce("gate", operator::sum::<i64>(), Completeness::Strict).await };
    let members = field.members(4, join).await;
    let (last, others) = members.split_last().unwrap();
    let waiting: Vec<_> = others
        .iter()
        .map(|(process, channel)| {
            let channel = channel.clone();
            process.run(async move { channel.barrier().await.unwrap() })
        })
        .collect();
    // Nobody passes: a call that is given up shows that, and names somebody.
    let channel = others[0].1.within(Duration::from_millis(100));
    let error = others[0].0.run(async move { channel.barrier().await }).await.unwrap().unwrap_err();
    let ZipError::Deadline { call: "a barrier", waits_for, .. } = &error else { panic!("{error}") };
    assert!(!waits_for.is_empty(), "{error}");
    assert!(waiting.iter().all(|task| !task.is_finished()));
    // The call that was given up stands: it is for the round behind.
    for _ in 0..2 {
        let channel = last.1.clone();
        last.0.run(async move { channel.barrier().await.unwrap() });
    }
    assert_eq!(all(waiting).await, vec![Missing::default(); 3]);
}

async fn shuffles<M: Medium>(field: Field<M>) {
    let roles = [Role::Both, Role::Sender, Role::Both, Role::Receiver, Role::Both];
    let mut members = Vec::new();
    for role in roles {
        members.extend(field.members(1, move |zip| async move { zip.shuffle("records", role).await }).await);
    }
    let ids: Vec<MemberId> = members.iter().map(|(_, channel)| channel.member()).collect();
    let receivers: Vec<MemberId> =
        ids.iter().zip(roles).filter(|(_, role)| role.receives()).map(|(id, _)| *id).collect();
    // More pieces than may be under way at once.
    let pieces = 100_u32;
    let record = |from: usize, to: usize, nth: u32, round: u32| format!("{from} {to} {nth} {round}");
    for round in 0..2 {
        let tasks = members.iter().enumerate().map(|(from, (process, channel))| {
            let channel = channel.clone();
            process.run(async move {
                let records = move |receivers: u32| {
                    let of = |to| (0..pieces).map(|nth| record(from, to, nth, round).into()).collect();
                    (0..receivers as usize).map(of).collect()
                };
                channel.shuffle(records).await.unwrap()
            })
        });
        for (at, shuffled) in all(tasks.collect()).await.into_iter().enumerate() {
            assert_eq!((&shuffled.lost_senders, &shuffled.lost_receivers), (&vec![], &vec![]));
            let mut by_sender = BTreeMap::<MemberId, Vec<Bytes>>::new();
            shuffled.received.into_iter().for_each(|(from, it)| by_sender.entry(from).or_default().push(it));
            let mut expected = BTreeMap::new();
            if let Some(to) = receivers.iter().position(|it| *it == ids[at]) {
                for (from, _) in roles.iter().enumerate().filter(|(_, role)| role.sends()) {
                    let all = (0..pieces).map(|nth| Bytes::from(record(from, to, nth, round)));
                    expected.insert(ids[from], all.collect::<Vec<_>>());
                }
            }
            assert_eq!(by_sender, expected, "member {at}");
        }
    }
}

async fn messages<M: Medium>(field: Field<M>) {
    let members = field.members(3, |zip| async move { zip.broadcast("talk").await }).await;
    let [(one, first), (two, second), (three, third)] = members.try_into().ok().unwrap();
    let ids = [first.member(), second.member(), third.member()];
    assert_eq!(first.members().await.unwrap(), ids);
    // Who gives up waiting loses nothing.
    let hasty = second.within(Duration::from_millis(50));
    let error = two.run(async move { hasty.receive_from(ids[0]).await }).await.unwrap().unwrap_err();
    assert!(matches!(error, ZipError::Deadline { .. }), "{error}");
    let sending = one.run(async move {
        for nth in 0..5_u8 {
            first.send_to(ids[1], vec![nth; LARGE]).await.unwrap();
        }
        first.send_to(ids[2], "to another").await.unwrap();
        first.send_to(ids[0], "to oneself").await
    });
    let receiving = two.run(async move {
        for nth in 0..5_u8 {
            assert_eq!(second.receive_from(ids[0]).await.unwrap().into_bytes(), vec![nth; LARGE]);
        }
    });
    let other = three.run(async move { third.receive_from(ids[0]).await.unwrap().into_bytes() });
    all(vec![receiving]).await;
    assert_eq!(all(vec![other]).await[0], "to another");
    assert!(matches!(all(vec![sending]).await[0], Err(ZipError::NotTaken { .. })));
}

async fn leaves<M: Medium>(field: Field<M>) {
    let join = |zip: Zip<M>| async move {
        zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await
    };
    let mut members = field.members(5, join).await;
    // One who leaves by a call, and one whose application lets go of its seat.
    let (process, leaver) = members.remove(1);
    let gone = [leaver.member(), members[2].1.member()];
    process.run(async move { leaver.leave().await.unwrap() }).await.unwrap();
    let (_process, dropped) = members.remove(2);
    drop(dropped);
    let (process, channel) = &members[0];
    let seen = channel.clone();
    process.run(async move { while seen.members().await.unwrap().len() > 3 {} }).await.unwrap();
    let mut named = Vec::new();
    for round in 0..2 {
        let tasks = members.iter().map(|(process, channel)| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(numbers(3, 1)).await.unwrap() })
        });
        for reduced in all(tasks.collect()).await {
            assert_eq!((reduced.members, reduced.value.into_bytes()), (3, numbers(3, 3)), "round {round}");
            named.push(reduced.missing.departed);
        }
    }
    named[0].sort_unstable();
    assert_eq!(named[0], gone);
    assert!(named[3..].iter().all(Vec::is_empty), "nobody is named twice: {named:?}");
}

async fn unfit<M: Medium>(field: Field<M>) {
    let join = |zip: Zip<M>| async move {
        zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await
    };
    let members = field.members(3, join).await;
    for lengths in [[8, 8, 16], [8, 8, LARGE]] {
        let tasks = members.iter().zip(lengths).map(|((process, channel), length)| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(vec![0; length]).await })
        });
        for answer in all(tasks.collect()).await {
            assert!(matches!(answer, Err(ZipError::Unfit { .. } | ZipError::NoResult { .. })), "{answer:?}");
        }
    }
}

async fn quorum<M: Medium>(field: Field<M>) {
    let completeness = Completeness::Quorum { after: Duration::from_millis(200), members: 2 };
    let join =
        move |zip: Zip<M>| async move { zip.reduce("any", operator::max::<i64>(), completeness).await };
    let members = field.members(3, join).await;
    let (late, others) = members.split_last().unwrap();
    let tasks = (1..).zip(others).map(|(value, (process, channel))| {
        let channel = channel.clone();
        process.run(async move { channel.all_reduce(numbers(1, value)).await.unwrap() })
    });
    for reduced in all(tasks.collect()).await {
        assert_eq!((reduced.members, reduced.value.into_bytes()), (2, numbers(1, 2)));
        assert_eq!(reduced.missing.late, [late.1.member()]);
    }
    let channel = late.1.clone();
    let answer = late.0.run(async move { channel.all_reduce(numbers(1, 9)).await }).await.unwrap();
    assert!(matches!(answer, Err(ZipError::Late { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_process_may_have_channels_of_its_own() {
    let zip = Zip::local().await.unwrap();
    let mut seats = Vec::new();
    for _ in 0..3 {
        seats.push(zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await.unwrap());
    }
    let [first, second, third] = seats.try_into().ok().unwrap();
    let (one, two, three) = tokio::join!(
        first.all_reduce(numbers(2, 1)),
        second.all_reduce(numbers(2, 2)),
        third.all_reduce(numbers(2, 3))
    );
    for reduced in [one, two, three] {
        assert_eq!(reduced.unwrap().value.into_bytes(), numbers(2, 6));
    }
}
