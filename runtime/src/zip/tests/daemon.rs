//! Channels of lambdas that have a daemon, lose it, and get another one.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cirrus_core::directory::ChannelName;
use cirrus_core::member::Kind;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::{Lodge, LodgingMessage, TurnedAway};
use cirrus_transport::shared::Plain;
use cirrus_transport::tcp::Tcp;
use cirrus_transport::unix::Unix;
use cirrus_transport::{FrameReceiver as _, FrameSender as _, Transport as _, TransportError, auth};

use super::{Field, OTHER_JOB, OTHER_TOKEN, PATIENCE, Process, TOKEN, all, over_tcp};
use crate::zip::daemon::{Daemon, DaemonSpec, Memory, Observer};
use crate::zip::{BroadcastChannel, Completeness, ONLY_JOB, Payload, ReduceChannel, Settings, operator};

const CHANNEL: u64 = 64 << 20;

/// A daemon in a process of its own, which can be killed.
struct Machine {
    _process: Process,
    observer: Arc<Observer<Tcp>>,
}

/// A field whose lambdas may have a daemon. The socket is no file, and gone with the daemon.
async fn field(name: &str) -> Field<Tcp> {
    let mut field = over_tcp().await;
    field.daemon = Some(format!("@cirrus-{}-{name}", std::process::id()));
    field
}

impl Machine {
    async fn start(field: &Field<Tcp>, channel_bytes: u64) -> Self {
        let mut settings = Settings::default();
        settings.member.attach = cirrus_core::ids::Millis(300);
        let spec = DaemonSpec {
            socket: field.daemon.clone().unwrap(),
            controller: field.address.clone(),
            jobs: vec![(ONLY_JOB, auth::digest(TOKEN)), (OTHER_JOB, auth::digest(OTHER_TOKEN))],
            listen: Some("127.0.0.1:0".to_owned()),
            channel_bytes,
            threads: NonZeroUsize::new(2).unwrap(),
            settings,
        };
        let process = Process::start();
        let started = process.run(async move {
            let daemon = Daemon::start(Tcp::default(), spec).await.unwrap();
            let observer = daemon.observer();
            drop(tokio::spawn(daemon.run()));
            observer
        });
        Self { observer: Arc::new(started.await.unwrap()), _process: process }
    }
}

async fn broadcasting(field: &Field<Tcp>, count: usize) -> Vec<(Process, BroadcastChannel)> {
    field.members(count, |zip| async move { zip.broadcast("news").await }).await
}

async fn summing(field: &Field<Tcp>, count: usize) -> Vec<(Process, ReduceChannel)> {
    let join = |zip: crate::zip::Zip<Tcp>| async move {
        zip.reduce("sums", operator::sum::<u64>(), Completeness::Survivors).await
    };
    field.members(count, join).await
}

fn holds(payload: &Payload, value: u8) -> bool {
    payload.pieces().iter().flatten().all(|byte| *byte == value)
}

/// The last who has joined sends, so that all others are in it: from an array that was born where all can read it or not, and all others have it.
async fn broadcast(
    members: &[(Process, BroadcastChannel)],
    bytes: usize,
    value: u8,
    born: bool,
) -> Vec<Payload> {
    let (sender, receivers) = members.split_last().unwrap();
    let receiving: Vec<_> = receivers
        .iter()
        .map(|(process, channel)| {
            let channel = channel.clone();
            process.run(async move { channel.receive().await.unwrap().payload })
        })
        .collect();
    let channel = sender.1.clone();
    let sending = sender.0.run(async move {
        if born {
            let mut array = channel.array(bytes).await;
            array.fill(value);
            channel.send(array).await.unwrap()
        } else {
            channel.send(vec![value; bytes]).await.unwrap()
        }
    });
    let received = all(receiving).await;
    sending.await.unwrap();
    for received in &received {
        assert!(received.len() == bytes && holds(received, value));
    }
    received
}

async fn sum(members: &[(Process, ReduceChannel)], numbers: u64) {
    let tasks: Vec<_> = (1..)
        .zip(members)
        .map(|(value, (process, channel)): (u64, _)| {
            let channel = channel.clone();
            process.run(async move {
                let mut array = channel.array(usize::try_from(numbers * 8).unwrap()).await;
                for (at, number) in (0_u64..).zip(array.chunks_exact_mut(8)) {
                    number.copy_from_slice(&(value * at).to_le_bytes());
                }
                channel.all_reduce(array).await.unwrap()
            })
        })
        .collect();
    let factor: u64 = (1..=members.len() as u64).sum();
    let expected: Vec<u8> = (0..numbers).flat_map(|at| (at * factor).to_le_bytes()).collect();
    for reduced in all(tasks).await {
        assert_eq!(reduced.members as usize, members.len(), "a daemon has no value");
        assert!(reduced.missing.departed.is_empty() && reduced.missing.late.is_empty());
        assert!(reduced.value.into_bytes() == expected, "{numbers} numbers");
    }
}

/// Waits until the lambdas share memory, or do not.
async fn until_shared(channel: &crate::zip::Channel, shared: bool) {
    let waiting = async {
        while channel.array(1).await.is_shared() != shared {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it does not change");
}

/// Waits until the daemon's memory is as it should be.
async fn until(machine: &Machine, holds: impl Fn(Memory) -> bool) {
    let waiting = async {
        while !holds(machine.observer.memory()) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "it stays at {:?}", machine.observer.memory());
}

#[tokio::test]
async fn a_broadcast_is_written_once_and_read_where_it_lies() {
    let field = field("broadcast").await;
    let machine = Machine::start(&field, CHANNEL).await;
    let members = broadcasting(&field, 4).await;
    assert_eq!(machine.observer.memory().channels, 1);
    let ids = members[1].1.members().await.unwrap();
    assert_eq!(
        ids,
        members.iter().map(|(_, it)| it.member()).collect::<Vec<_>>(),
        "a daemon is nobody's member"
    );
    for bytes in [10, 100_000, 5_000_000] {
        broadcast(&members, bytes, 7, true).await;
    }
    let copied = || members.iter().map(|(_, channel)| channel.copied().unwrap()).collect::<Vec<_>>();
    assert_eq!(copied(), [0; 4], "what is born there is copied by nobody");
    broadcast(&members, 5_000_000, 8, false).await;
    assert_eq!(copied(), [0, 0, 0, 5_000_000], "one copy, by the sender");
    assert_eq!(machine.observer.memory().copied, 0);
    // All leave: so does the daemon.
    for (process, channel) in members {
        process.run(async move { channel.leave().await.unwrap() }).await.unwrap();
    }
    until(&machine, |memory| memory.channels == 0).await;
}

#[tokio::test]
async fn values_are_combined_where_they_lie() {
    let field = field("reduce").await;
    let machine = Machine::start(&field, CHANNEL).await;
    let members = summing(&field, 4).await;
    for numbers in [1, 1000, 400_001] {
        sum(&members, numbers).await;
    }
    assert!(members.iter().all(|(_, channel)| channel.copied() == Some(0)));
    assert_eq!(machine.observer.memory().copied, 0);
}

#[tokio::test]
async fn what_finds_no_room_goes_by_the_socket() {
    let field = field("full").await;
    let _machine = Machine::start(&field, 1 << 20).await;
    let members = broadcasting(&field, 3).await;
    until_shared(&members[0].1, true).await;
    let channel = members[0].1.clone();
    let shared = members[0].0.run(async move { channel.array(3_000_000).await.is_shared() }).await.unwrap();
    assert!(!shared, "it is larger than all there is");
    for value in 1..4 {
        broadcast(&members, 3_000_000, value, true).await;
        broadcast(&members, 600_000, value, false).await;
    }
}

#[tokio::test]
async fn a_channel_goes_on_without_its_daemon_and_with_another_one() {
    let field = field("death").await;
    let machine = Machine::start(&field, CHANNEL).await;
    let (news, sums) = (broadcasting(&field, 3).await, summing(&field, 3).await);
    let kept = broadcast(&news, 1_000_000, 1, true).await;
    sum(&sums, 100_000).await;
    // It dies while values are under way: all but one have given theirs.
    let value = Bytes::from(vec![1_u8; 800_000]);
    let give = |(process, channel): &(Process, ReduceChannel)| {
        let (channel, value) = (channel.clone(), value.clone());
        process.run(async move { channel.all_reduce(value).await.unwrap() })
    };
    let mut tasks: Vec<_> = sums[1..].iter().map(give).collect();
    drop(machine);
    tasks.push(give(&sums[0]));
    for reduced in all(tasks).await {
        assert_eq!(
            (reduced.members, reduced.missing.departed.len()),
            (3, 0),
            "it has taken no value with it"
        );
        assert!(reduced.value.into_bytes().iter().all(|byte| *byte == 3));
    }
    until_shared(&news[0].1, false).await;
    assert_eq!(news[0].1.copied(), None);
    broadcast(&news, 1_000_000, 2, true).await;
    sum(&sums, 100_000).await;
    assert!(kept.iter().all(|it| holds(it, 1)), "what was read there can be read on");
    // Another one comes, and is found.
    let machine = Machine::start(&field, CHANNEL).await;
    for channel in news.iter().map(|(_, it)| &**it).chain(sums.iter().map(|(_, it)| &**it)) {
        until_shared(channel, true).await;
    }
    broadcast(&news, 1_000_000, 3, true).await;
    sum(&sums, 100_000).await;
    assert_eq!(machine.observer.memory().channels, 2);
}

#[tokio::test]
async fn who_dies_leaves_no_memory_behind() {
    let field = field("lambda").await;
    let machine = Machine::start(&field, CHANNEL).await;
    let mut members = broadcasting(&field, 4).await;
    let received = broadcast(&members, 2_000_000, 5, true).await;
    let channel = members[0].1.clone();
    let array = members[0].0.run(async move { channel.array(3_000_000).await }).await.unwrap();
    assert!(array.is_shared() && machine.observer.memory().held >= 5_000_000);
    // It was killed: what it held in its own memory is nobody's concern any more.
    std::mem::forget(array);
    drop(members.remove(0));
    drop(received);
    // Rounds end for those who stay, and push what is kept of earlier ones out.
    for value in 0..20 {
        broadcast(&members, 10, value, false).await;
    }
    until(&machine, |memory| memory.held == 0).await;
    broadcast(&members, 2_000_000, 6, true).await;
}

/// A connection to the daemon of somebody who is no library.
async fn call(field: &Field<Tcp>, credential: Credential) -> Result<Plain, TransportError> {
    let mut end = Unix::default().connect(field.daemon.as_deref().unwrap()).await?;
    auth::prove(&mut end, credential).await?;
    Ok(end)
}

async fn ask(end: &mut Plain, message: LodgingMessage) -> Option<LodgingMessage> {
    end.sender.send(message.into_frame(&mut BytesMut::new())).await.ok()?;
    Some(end.receiver.next().await.ok()??.try_into().unwrap())
}

fn lodge(name: &str, kind: Kind, operator: u32) -> LodgingMessage {
    let name = ChannelName(name.into());
    LodgingMessage::Lodge(Lodge { name, kind, strict: false, deadline: None, operator })
}

#[tokio::test]
async fn what_jobs_share_no_other_job_gets() {
    let field = field("jobs").await;
    let machine = Machine::start(&field, CHANNEL).await;
    let members = broadcasting(&field, 2).await;
    broadcast(&members, 100_000, 1, true).await;
    let (own, other) = (
        Credential { job: ONLY_JOB, token: auth::digest(TOKEN) },
        Credential { job: OTHER_JOB, token: auth::digest(OTHER_TOKEN) },
    );
    // Who has no token, or that of another job, is not heard.
    for token in ["no token", OTHER_TOKEN] {
        let refused = call(&field, Credential { job: ONLY_JOB, token: auth::digest(token) }).await;
        assert!(matches!(refused, Err(TransportError::Denied { .. })));
    }
    // Under the same name another job has another channel, with a segment of its own.
    let mut stranger = call(&field, other).await.unwrap();
    let theirs = ask(&mut stranger, lodge("news", Kind::Broadcast, 0)).await;
    let mut lambda = call(&field, own).await.unwrap();
    let ours = ask(&mut lambda, lodge("news", Kind::Broadcast, 0)).await;
    let (
        Some(LodgingMessage::Lodged { segment: theirs, .. }),
        Some(LodgingMessage::Lodged { segment: ours, lodging, secret }),
    ) = (theirs, ours)
    else {
        panic!("they may lodge");
    };
    assert_ne!(theirs, ours);
    assert_eq!(machine.observer.memory().channels, 2);
    // A line of another's lodging is closed: without its secret, and with it if the job is not the same.
    for (credential, secret) in [(own, [0; 32]), (other, secret)] {
        let mut liar = call(&field, credential).await.unwrap();
        let line = LodgingMessage::Line { lodging, secret, connection: 9 };
        assert_eq!(ask(&mut liar, line).await, None);
    }
    // Nor does a channel change what it is for.
    let mut confused = call(&field, own).await.unwrap();
    let answer = ask(&mut confused, lodge("news", Kind::Reduce, 17)).await;
    assert_eq!(answer, Some(LodgingMessage::TurnedAway(TurnedAway::OtherPurpose)));
    let mut confused = call(&field, own).await.unwrap();
    let answer = ask(&mut confused, lodge("strange", Kind::Reduce, 9999)).await;
    assert_eq!(answer, Some(LodgingMessage::TurnedAway(TurnedAway::UnknownOperator)));
    broadcast(&members, 100_000, 2, true).await;
}
