//! Rounds in which somebody dies, and who is not let in.

use bytes::Bytes;
use cirrus_core::channel::{Missing, Role};
use cirrus_core::ids::Millis;
use cirrus_protocol::frame::Frame;
use cirrus_transport::{Medium, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Field, Process, all, over_each_medium};
use crate::zip::{Completeness, ReduceChannel, ShuffleChannel, Zip, ZipError, operator};

over_each_medium! {
    who_dies_in_a_reduce_is_named_and_the_others_have_their_sum: killed_in_a_reduce;
    a_strict_reduce_fails_by_name: strict;
    a_broadcast_outlives_the_root: killed_root;
    the_controller_can_be_killed_and_started_again: controller;
    who_has_another_token_is_told_so: token;
    who_stands_still_for_longer_than_a_lease_is_fenced_and_joins_again: frozen;
    who_stands_still_is_missed_past_the_tree: still;
    strangers_disturb_nobody: strangers;
}

fn number(value: i64) -> Bytes {
    value.to_le_bytes().to_vec().into()
}

async fn summing<M: Medium>(
    field: &Field<M>,
    count: usize,
    completeness: Completeness,
) -> Vec<(Process, ReduceChannel)> {
    let join =
        move |zip: Zip<M>| async move { zip.reduce("sums", operator::sum::<i64>(), completeness).await };
    field.members(count, join).await
}

/// The root, one with children, a leaf.
async fn killed_in_a_reduce<M: Medium>(field: Field<M>) {
    for victim in [0, 1, 4] {
        let mut members = summing(&field, 5, Completeness::Survivors).await;
        let (killed, seat) = members.remove(victim);
        let name = seat.member();
        // The others have given their values, and wait for the one that does not: then it dies.
        let tasks = (1..).zip(&members).map(|(value, (process, channel))| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(number(value)).await.unwrap() })
        });
        let tasks: Vec<_> = tasks.collect();
        drop((killed, seat));
        for reduced in all(tasks).await {
            assert_eq!((reduced.members, reduced.value.into_bytes()), (4, number(10)), "victim {victim}");
            assert_eq!(reduced.missing, Missing { departed: vec![name], ..Missing::default() });
        }
        for (process, channel) in &members {
            let channel = channel.clone();
            process.run(async move { channel.leave().await.unwrap() }).await.unwrap();
        }
    }
}

async fn strict<M: Medium>(field: Field<M>) {
    let mut members = summing(&field, 3, Completeness::Strict).await;
    let (killed, seat) = members.remove(1);
    let name = seat.member();
    let tasks = members.iter().map(|(process, channel)| {
        let channel = channel.clone();
        process.run(async move { channel.all_reduce(number(1)).await })
    });
    let tasks: Vec<_> = tasks.collect();
    drop((killed, seat));
    for answer in all(tasks).await {
        let Err(ZipError::NoResult { missing, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!(missing.departed, [name]);
    }
}

async fn killed_root<M: Medium>(field: Field<M>) {
    let mut members = field.members(4, |zip| async move { zip.broadcast("news").await }).await;
    let (sender, channel) = members.pop().unwrap();
    // What only the sender has when the root dies is the others' as long as it stays.
    let stays = channel.clone();
    let sending = sender.run(async move {
        for nth in 0..20_u8 {
            // What nobody has whole when the root dies is void at all members, and its sender is told so.
            while let Err(error) = channel.send(vec![nth; 300_000]).await {
                assert!(matches!(error, ZipError::Aborted { .. }), "{error}");
            }
        }
    });
    // The root is the first member; it dies when it has seen some.
    let (root, seat) = members.remove(0);
    root.run(async move { assert!(seat.receive().await.is_ok()) }).await.unwrap();
    drop(root);
    let tasks = members.iter().map(|(process, channel)| {
        let channel = channel.clone();
        process.run(async move {
            let mut next = 0_u8;
            while next < 20 {
                match channel.receive().await {
                    Ok(delivery) => {
                        assert_eq!(delivery.payload.into_bytes(), vec![next; 300_000]);
                        next += 1;
                    }
                    Err(error) => assert!(matches!(error, ZipError::Aborted { .. }), "{error}"),
                }
            }
        })
    });
    all(tasks.collect()).await;
    all(vec![sending]).await;
    drop(stays);
}

async fn controller<M: Medium>(mut field: Field<M>) {
    let mut members = summing(&field, 4, Completeness::Survivors).await;
    let rounds = |members: &Vec<(Process, ReduceChannel)>| {
        let tasks = (1..).zip(members).map(|(value, (process, channel))| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(number(value)).await.unwrap() })
        });
        tasks.collect::<Vec<_>>()
    };
    field.kill_controller();
    for reduced in all(rounds(&members)).await {
        assert_eq!((reduced.members, reduced.value.into_bytes()), (4, number(10)), "rounds go on");
    }
    field.start_controller().await;
    // Who joins waits until the controller knows those of before.
    members.extend(summing(&field, 1, Completeness::Survivors).await);
    let (process, last) = &members[4];
    let last = last.clone();
    let there = process.run(async move { last.gathered(5).await.unwrap() });
    let ids: Vec<_> = members.iter().map(|(_, channel)| channel.member()).collect();
    assert_eq!(there.await.unwrap(), ids);
    for reduced in all(rounds(&members)).await {
        assert_eq!((reduced.members, reduced.value.into_bytes()), (5, number(15)));
        assert_eq!(reduced.missing, Missing::default());
    }
}

async fn token<M: Medium>(field: Field<M>) {
    let refused = field.zip_with("another one").await.err();
    assert!(matches!(refused, Some(ZipError::Transport(TransportError::Denied { .. }))), "{refused:?}");
    // And who has it is let in.
    field.zip().await.broadcast("news").await.unwrap();
}

async fn frozen<M: Medium>(mut field: Field<M>) {
    field.kill_controller();
    field.lease = Millis(600);
    field.start_controller().await;
    let mut members = summing(&field, 3, Completeness::Survivors).await;
    let (still, seat) = members.remove(1);
    let name = seat.member();
    // Its thread stands still until it is told to go on.
    let (go_on, stands) = std::sync::mpsc::channel::<()>();
    still.run(async move { stands.recv() });
    let sum = |members: &Vec<(Process, ReduceChannel)>| {
        let tasks = members.iter().map(|(process, channel)| {
            let channel = channel.clone();
            process.run(async move { channel.all_reduce(number(1)).await.unwrap() })
        });
        tasks.collect::<Vec<_>>()
    };
    for reduced in all(sum(&members)).await {
        assert_eq!((reduced.members, reduced.missing.departed), (2, vec![name]));
    }
    go_on.send(()).unwrap();
    // It is told what became of it, in a call that was under way or in a later one.
    let told = still.run(async move {
        loop {
            match seat.all_reduce(number(1)).await {
                Err(error @ ZipError::Fenced { .. }) => return error,
                Err(ZipError::Indeterminate { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    all(vec![told]).await;
    let again = summing(&field, 1, Completeness::Survivors).await;
    assert!(again[0].1.member() > name, "it is somebody new");
    members.extend(again);
    for reduced in all(sum(&members)).await {
        assert_eq!((reduced.members, reduced.missing), (3, Missing::default()));
    }
}

/// Connections with one that stands still stand; yet a shuffle ends without it, and who waits for its message is told.
async fn still<M: Medium>(mut field: Field<M>) {
    field.kill_controller();
    field.lease = Millis(600);
    field.start_controller().await;
    let join = |zip: Zip<M>| async move { zip.shuffle("records", Role::Both).await };
    let mut members = field.members(3, join).await;
    members.first().unwrap().1.gathered(3).await.unwrap();
    let shuffle = |members: &Vec<(Process, ShuffleChannel)>| {
        let tasks = members.iter().map(|(process, channel)| {
            let channel = channel.clone();
            let deal = |receivers| vec![vec![Bytes::from_static(b"record")]; receivers as usize];
            process.run(async move { channel.shuffle(deal).await.unwrap() })
        });
        tasks.collect::<Vec<_>>()
    };
    for shuffled in all(shuffle(&members)).await {
        assert_eq!((shuffled.received.len(), shuffled.lost_senders.len()), (3, 0));
    }
    let (still, seat) = members.remove(1);
    let name = seat.member();
    // A message has come from it, so that its connection stands, and another one is waited for.
    let waits = members[0].1.clone();
    let (to, first, speaks) = (waits.member(), waits.clone(), seat.clone());
    still.run(async move { speaks.send_to(to, "a message").await.unwrap() });
    let first = members[0].0.run(async move { first.receive_from(name).await.unwrap().into_bytes() });
    assert_eq!(all(vec![first]).await, ["a message"]);
    // In the midst of a round, until the end of the test.
    let (_go_on, stands) = std::sync::mpsc::channel::<()>();
    still.run(async move {
        let stand = move |_| {
            let _ = stands.recv();
            Vec::new()
        };
        seat.shuffle(stand).await
    });
    let second = members[0].0.run(async move { waits.receive_from(name).await.unwrap_err() });
    for shuffled in all(shuffle(&members)).await {
        let lost = (shuffled.lost_senders, shuffled.lost_receivers);
        assert_eq!((shuffled.received.len(), lost), (2, (vec![name], vec![name])));
    }
    let told = all(vec![second]).await.remove(0);
    assert!(matches!(told, ZipError::Gone { member, .. } if member == name), "{told:?}");
}

/// What is no proof of anything ends a connection, or holds it for a while; those who have joined notice nothing.
async fn strangers<M: Medium>(field: Field<M>) {
    let members = summing(&field, 3, Completeness::Strict).await;
    let mut huge = Vec::new();
    Frame::default().encode(u32::MAX, &mut huge).unwrap();
    let whole = huge.clone();
    // The body's length, which the header's checksum then belies; and a version from the future.
    huge[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut newer = whole.clone();
    newer[4] = 9;
    let noise: Vec<u8> = (0..4000_u32).map(|at| (at * at % 251) as u8).collect();
    let mut held = Vec::new();
    for (words, ends) in
        [(&noise[..], true), (&huge, true), (&newer, true), (&whole, true), (&whole[..20], false)]
    {
        let mut stream = field.medium.open(&field.address).await.unwrap();
        // It may be closed before all is written.
        let _ = stream.write.write_all(words).await;
        let _ = stream.write.flush().await;
        if ends {
            let mut answer = Vec::new();
            let read = tokio::time::timeout(super::PATIENCE, stream.read.read_to_end(&mut answer)).await;
            assert!(read.is_ok() && answer.is_empty(), "it is closed without a word");
        } else {
            held.push(stream);
        }
    }
    let tasks = members.iter().map(|(process, channel)| {
        let channel = channel.clone();
        process.run(async move { channel.all_reduce(number(1)).await.unwrap().members })
    });
    assert_eq!(all(tasks.collect()).await, [3; 3]);
}
