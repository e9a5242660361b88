//! Processes that stand still for longer than a lease, and go on.
//!
//! Who stands still is declared dead (M3), and the others go on without it. When it goes on, nothing that it says counts
//! any more, it is told so (M2), and it can join again, as somebody else.

use crate::member::{Kind, Order, Report};
use crate::processes::Controller;
use crate::rounds::{NEWS, News, SUMS, Sums};

/// What a member is told that was fenced in the midst of a call: at once, or in its next one.
const FENCED: [&str; 2] = ["Fenced", "Indeterminate"];

/// One of these places stands still while all add up, and is back with them in the end.
#[track_caller]
fn sums_go_on_while_one_stands_still(place: usize) {
    let controller = Controller::start();
    let mut sums = Sums::of(&controller, 5);
    let mut still = sums.lose(&[place]).remove(0);
    still.member.stop();
    sums.until_lost();
    still.member.go_on();
    let (kind, text) = still.fails();
    assert!(FENCED.contains(&kind.as_str()), "M2: {kind}: {text}");
    let order = still.member.order(Order::Members { channel: SUMS.into() });
    let told = still.member.hear(order);
    assert!(matches!(&told, Report::Failed(kind, _) if kind == "Fenced"), "M2: {told:?}");
    let before = still.member.name.clone();
    still.member.join(SUMS, Kind::Sum);
    assert_ne!(still.member.name, before, "M2: it is somebody new");
    sums.add(vec![still.member]);
    sums.go_on();
    sums.agree();
}

#[test]
fn an_inner_member_that_stands_still_in_sums_is_fenced_and_comes_back() {
    sums_go_on_while_one_stands_still(1);
}

#[test]
fn a_root_that_stands_still_in_sums_is_fenced_and_comes_back() {
    sums_go_on_while_one_stands_still(0);
}

/// The same while one sends to all.
#[track_caller]
fn broadcasts_go_on_while_one_stands_still(place: usize) {
    let controller = Controller::start();
    let mut news = News::of(&controller, 5);
    let mut still = news.lose(&[place]).remove(0);
    still.member.stop();
    news.readers[0].member.until_gone(NEWS, &still.member.name);
    news.go_on();
    still.member.go_on();
    let (kind, text) = still.fails();
    assert_eq!(kind, "Fenced", "M2: {text}");
    let before = still.member.name.clone();
    still.member.join(NEWS, Kind::Broadcast);
    assert_ne!(still.member.name, before, "M2: it is somebody new");
    let order = still.member.order(Order::Receive { channel: NEWS.into() });
    let first = still.member.hear(order);
    let seen = news.agree();
    let Report::Came(first) = first else { panic!("{first:?}") };
    // What it sees again is what the others see (B2). What it had seen last before, as a member that is fenced now, binds
    // nobody: a root may have had a round that nobody else has.
    let again: Vec<Report> = std::iter::once(Report::Came(first)).chain(still.member.all(order)).collect();
    let behind = seen.len() - again.len();
    let others: Vec<Report> = seen[behind..].iter().cloned().map(Report::Came).collect();
    assert_eq!(again, others, "B2");
}

#[test]
fn an_inner_member_that_stands_still_in_broadcasts_is_fenced_and_comes_back() {
    broadcasts_go_on_while_one_stands_still(1);
}

#[test]
fn a_root_that_stands_still_in_broadcasts_is_fenced_and_comes_back() {
    broadcasts_go_on_while_one_stands_still(0);
}
