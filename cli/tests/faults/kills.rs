//! Signal 9 in the midst of rounds.
//!
//! Of seven members, 0 is the root, 1 and 2 are below it, 3 and 4 below 1, 5 and 6 below 2.

use crate::member::{Kind, Order, Report, Sum};
use crate::processes::Controller;
use crate::rounds::{News, SUMS, Sums};

const ROOT: usize = 0;
const INNER: usize = 1;
const LEAF: usize = 5;
const SENDER: usize = 6;
const MEMBERS: usize = 7;

/// These die while all add up.
#[track_caller]
fn sums_go_on_without(places: &[usize]) {
    let controller = Controller::start();
    let mut sums = Sums::of(&controller, MEMBERS);
    sums.kill(places);
    sums.until_lost();
    sums.go_on();
    sums.agree();
}

#[test]
fn sums_go_on_without_a_leaf() {
    sums_go_on_without(&[LEAF]);
}

#[test]
fn sums_go_on_without_an_inner_member() {
    sums_go_on_without(&[INNER]);
}

#[test]
fn sums_go_on_without_the_root() {
    sums_go_on_without(&[ROOT]);
}

#[test]
fn sums_go_on_without_the_root_and_one_below_it() {
    sums_go_on_without(&[ROOT, INNER]);
}

#[test]
fn sums_go_on_without_two_of_different_branches() {
    sums_go_on_without(&[INNER, LEAF]);
}

#[test]
fn who_is_left_alone_has_sums_of_its_own() {
    sums_go_on_without(&[0, 1, 2, 4, 5, 6]);
}

/// These die while one sends to all.
#[track_caller]
fn broadcasts_go_on_without(places: &[usize]) {
    let controller = Controller::start();
    let mut news = News::of(&controller, MEMBERS);
    news.kill(places);
    news.go_on();
    news.agree();
}

#[test]
fn broadcasts_go_on_without_a_leaf() {
    broadcasts_go_on_without(&[LEAF]);
}

#[test]
fn broadcasts_go_on_without_an_inner_member() {
    broadcasts_go_on_without(&[INNER]);
}

#[test]
fn broadcasts_go_on_without_the_root() {
    broadcasts_go_on_without(&[ROOT]);
}

#[test]
fn broadcasts_go_on_without_the_root_and_one_below_it() {
    broadcasts_go_on_without(&[ROOT, INNER]);
}

#[test]
fn broadcasts_come_to_who_is_left_of_the_receivers() {
    broadcasts_go_on_without(&[0, 1, 2, 3, 4]);
}

/// What a sender was told to be sealed is everybody's (B2); what it had begun is everybody's or nobody's.
#[test]
fn what_a_dead_sender_has_sent_is_seen_by_all_or_nobody() {
    let controller = Controller::start();
    let mut news = News::of(&controller, MEMBERS);
    let dead = news.kill(&[SENDER]).remove(0);
    let sealed = dead.last_words();
    let seen = news.agree_with(controller.member());
    for broadcast in &sealed {
        assert!(seen.contains(broadcast), "B2: {broadcast:?} was sealed, and came to nobody: {seen:?}");
    }
}

/// The handler dies in the midst of sums that are for it. Who takes its seat has the results from there on: no value is in
/// two of them (R1), whoever stays is in each (R2), and the handler that is gone is named.
#[test]
fn sums_for_one_go_on_with_the_next_handler() {
    let controller = Controller::start();
    let mut kinds = vec![Kind::Give; 5];
    kinds.insert(1, Kind::Handle);
    let mut members = controller.members(SUMS, &kinds);
    let mut orders: Vec<u64> = members
        .iter_mut()
        .enumerate()
        .map(|(at, member)| member.order(Order::Sum { channel: SUMS.into(), factor: 1 << at, count: 80_000 }))
        .collect();
    let order = members[1].order(Order::Results { channel: SUMS.into(), count: 80_000 });
    for _ in 0..5 {
        assert!(matches!(members[1].hear(order), Report::Sum(_)));
    }
    let mut dead = members.remove(1);
    dead.kill();
    let (mut had, mut last) = (Vec::new(), 0);
    while let Some(report) = dead.last_words(order) {
        let Report::Sum(sum) = report else { panic!("{report:?}") };
        last = sum.round;
        had.push(sum);
    }
    let mut next = controller.member();
    // The controller may not know yet that the one before is dead.
    loop {
        let join = Order::Join { channel: SUMS.into(), kind: Kind::Handle, within_ms: 50_000 };
        let order = next.order(join);
        match next.hear(order) {
            Report::Joined(name) => break next.name = name,
            Report::Failed(kind, text) => assert!(kind == "NotAdmitted", "{text}"),
            other => panic!("{other:?}"),
        }
    }
    let gives = next.order(Order::Sum { channel: SUMS.into(), factor: 1 << 6, count: 80_000 });
    let results = next.order(Order::Results { channel: SUMS.into(), count: 80_000 });
    for _ in 0..5 {
        assert!(matches!(next.hear(gives), Report::Given(_)));
    }
    members[0].does(Order::Last { channel: SUMS.into() });
    let sums: Vec<Sum> = next
        .all(results)
        .into_iter()
        .map(|report| match report {
            Report::Sum(sum) => sum,
            other => panic!("{other:?}"),
        })
        .collect();
    let stay = 0b11_1101;
    for sum in &sums {
        assert!(sum.right && sum.round > last, "R1: {sum:?}, behind round {last}");
        assert_eq!(sum.members, sum.factors.count_ones(), "R1: {sum:?}");
        assert_eq!(sum.factors & stay, stay, "R2: {sum:?}");
    }
    assert!(sums.is_sorted_by(|one, next| one.round < next.round), "R1: {sums:?}");
    let missing: Vec<&String> = sums.iter().flat_map(|sum| &sum.missing).collect();
    assert_eq!(missing, [&dead.name], "the handler that is gone is named: {had:?} {sums:?}");
    orders.remove(1);
    // All givers hear of the same results, up to the last.
    let given = members[0].all(orders[0]);
    assert!(given.contains(&Report::Given(vec![dead.name.clone()])), "{given:?}");
    for (member, order) in members.iter_mut().zip(orders).skip(1) {
        let heard: Vec<Report> = given.iter().map(|_| member.hear(order)).collect();
        assert_eq!(heard, given, "R1: {} has heard something else", member.name);
    }
}

/// Rounds go on while there is no controller (M1), and it takes up those who were there (M4): it knows them, lets in who is
/// new, and sees who dies.
#[test]
fn rounds_go_on_without_the_controller_and_it_can_come_back() {
    let mut controller = Controller::start();
    let mut sums = Sums::of(&controller, 4);
    let mut news = News::of(&controller, 4);
    controller.kill();
    for _ in 0..3 {
        sums.go_on();
        news.go_on();
    }
    controller.restart();
    sums.go_on();
    let mut newcomer = controller.member();
    newcomer.join(SUMS, Kind::Sum);
    sums.add(vec![newcomer]);
    sums.go_on();
    let mut names: Vec<String> = sums.adders.iter().map(|adder| adder.member.name.clone()).collect();
    names.sort();
    let asked = sums.adders[0].member.order(Order::Members { channel: SUMS.into() });
    let Report::Members(mut there) = sums.adders[0].member.hear(asked) else { panic!("no answer") };
    there.sort();
    assert_eq!(there, names, "M4: it knows those who were there before");
    sums.kill(&[1]);
    sums.until_lost();
    sums.agree();
    news.agree();
}
