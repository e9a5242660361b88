//! What members hold in memory: of who sends to one that does not take it, and of who passes on what is not for it alone.

use std::time::Instant;

use crate::member::{Broadcast, Kind, Order, Report};
use crate::processes::{Controller, Member, PATIENCE};
use crate::rounds::NEWS;

/// Broadcasts that are offered to one who takes none, and their length: 250 MB.
const OFFERED: u32 = 4000;
const OFFERED_BYTES: usize = 62_500;
/// By how much a member may grow meanwhile: rounds that are under way, sends that wait, what an allocator keeps.
const GROWS_MAX: usize = 24 << 20;

fn receive(member: &mut Member) -> u64 {
    member.order(Order::Receive { channel: NEWS.into() })
}

fn broadcasts(reports: Vec<Report>) -> Vec<Broadcast> {
    let all = reports.into_iter().map(|report| match report {
        Report::Came(broadcast) => broadcast,
        other => panic!("{other:?}"),
    });
    all.collect()
}

/// One more, as soon as those that were given up make room for it.
#[track_caller]
fn send_last(sender: &mut Member) -> Vec<Broadcast> {
    let began = Instant::now();
    loop {
        let send = Order::Send { channel: NEWS.into(), first: OFFERED.into(), bytes: OFFERED_BYTES };
        let order = sender.order(send);
        match sender.hear(order) {
            Report::Failed(kind, text) => {
                assert!(kind == "NotTaken" && began.elapsed() < PATIENCE, "{text}");
            }
            first => return broadcasts(std::iter::once(first).chain(sender.all(order)).collect()),
        }
    }
}

/// B4: who takes nothing holds up the sender, whose calls end with its name (B3), and nobody keeps more than a few rounds.
/// When it takes them, all goes on, and it has what the others have (B2).
#[test]
fn who_takes_nothing_slows_the_sender_and_nobody_grows() {
    let controller = Controller::start();
    let mut members = controller.members(NEWS, &[Kind::Broadcast; 4]);
    let mut sender = members.pop().expect("it is there");
    let before: Vec<usize> = members.iter().chain([&sender]).map(|it| it.memory("VmRSS")).collect();
    // The second takes nothing; the sender is below it.
    let first = receive(&mut members[0]);
    let third = receive(&mut members[2]);
    let offer = Order::Offer { channel: NEWS.into(), first: 0, count: OFFERED, bytes: OFFERED_BYTES };
    let order = sender.order(offer);
    let Report::Offered { given_up, refused } = sender.hear(order) else { panic!("it fails") };
    assert!(given_up < 200 && refused > OFFERED - 400, "{given_up} were given up, {refused} not taken");
    for (member, before) in members.iter().chain([&sender]).zip(before) {
        let grown = member.memory("VmHWM").saturating_sub(before);
        assert!(grown < GROWS_MAX, "{} has grown by {grown} bytes", member.name);
    }
    let second = receive(&mut members[1]);
    sender.does(Order::Last { channel: NEWS.into() });
    let sent = send_last(&mut sender);
    let orders = [first, second, third];
    let seen: Vec<Vec<Broadcast>> =
        members.iter_mut().zip(orders).map(|(member, order)| broadcasts(member.all(order))).collect();
    assert!(seen[0].iter().all(|it| it.right), "B1: {:?}", seen[0]);
    assert!(
        seen[0].is_sorted_by(|one, next| (one.round, one.nth) < (next.round, next.nth)),
        "B1: {:?}",
        seen[0]
    );
    assert_eq!(seen[0].last(), sent.last(), "the last is the last");
    assert_eq!(seen[1], seen[0], "B2");
    assert_eq!(seen[2], seen[0], "B2");
}

/// One that others are below passes on so many broadcasts of so many bytes, and takes them itself. Answers with the most that
/// it has had in memory, all in all.
#[track_caller]
fn forwards(count: u64, bytes: usize) -> usize {
    let controller = Controller::start();
    let mut members = controller.members(NEWS, &[Kind::Broadcast; 4]);
    let mut sender = members.remove(2);
    let orders: Vec<u64> = members.iter_mut().map(receive).collect();
    let channel = || NEWS.to_owned();
    let order = sender.order(Order::Send { channel: channel(), first: 0, bytes });
    for _ in 0..count {
        assert!(matches!(sender.hear(order), Report::Came(_)));
    }
    sender.does(Order::Last { channel: channel() });
    sender.all(order);
    for (member, order) in members.iter_mut().zip(orders) {
        let seen = broadcasts(member.all(order));
        assert!(seen.len() as u64 > count && seen.iter().all(|it| it.right), "B1");
    }
    members[1].memory("VmHWM")
}

#[test]
fn who_passes_on_a_gigabyte_stays_under_32_megabytes() {
    let most = forwards(1000, 1_000_000);
    assert!(most < 32 << 20, "it has had {most} bytes");
}

/// Nobody is given a part of a broadcast (B1), so a member holds whole ones: four may be under way, four may wait for its
/// application, which has one and asks for the next. That is what `Settings` allow,
/// however many pass through; and the process itself, and what its allocator keeps, are less than two more.
#[test]
fn who_passes_on_large_broadcasts_holds_few_of_them() {
    let bytes = 16_000_000;
    let most = forwards(24, bytes);
    assert!(most < 12 * bytes, "it has had {most} bytes");
}
