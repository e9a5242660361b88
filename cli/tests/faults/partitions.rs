//! Members, and the controller, that nobody can reach for a while. Each on hosts of their own where there are some, and with
//! processes that swallow what they say and hear: see [`crate::links`].

use crate::links::{Namespaces, Network, Swallowing};
use crate::member::{Kind, Order, Report};
use crate::processes::{Controller, Member, gather};
use crate::rounds::{Adder, NEWS, News, SUMS, Sums};

const MEMBERS: usize = 5;

/// So many members, on hosts of their own from the second on.
fn members(network: &impl Network, controller: &Controller, channel: &str, kind: Kind) -> Vec<Member> {
    let members = (1..=MEMBERS).map(|host| network.member(host, controller)).collect();
    gather(members, channel, &[kind; MEMBERS])
}

/// It was fenced while it could not be reached: it is told so when it can (M2), and joins again as somebody else.
#[track_caller]
fn comes_back(adder: Adder) -> Member {
    let Adder { mut member, .. } = told(adder);
    let before = member.name.clone();
    member.join(SUMS, Kind::Sum);
    assert_ne!(member.name, before, "M2: it is somebody new");
    member
}

/// It is told that it was fenced, in a call or in a later one.
#[track_caller]
fn told(mut adder: Adder) -> Adder {
    let (kind, text) = adder.fails();
    assert!(["Fenced", "Indeterminate"].contains(&kind.as_str()), "M2: {kind}: {text}");
    let order = adder.member.order(Order::Members { channel: SUMS.into() });
    let told = adder.member.hear(order);
    assert!(matches!(&told, Report::Failed(kind, _) if kind == "Fenced"), "M2: {told:?}");
    adder
}

/// Who cannot be reached is missing, by name, and the others' sums go on; then it is back.
#[track_caller]
fn sums_go_on_without_who_is_cut_off(network: &impl Network, place: usize) {
    let controller = network.controller();
    let mut sums = Sums::start(members(network, &controller, SUMS, Kind::Sum));
    let mut away = sums.lose(&[place]).remove(0);
    network.cut_off(place + 1, &mut away.member);
    sums.until_lost();
    sums.go_on();
    network.let_back(place + 1, &mut away.member);
    sums.add(vec![comes_back(away)]);
    sums.go_on();
    sums.agree();
}

#[test]
fn an_inner_host_is_cut_off_in_the_midst_of_sums() {
    if let Some(network) = Namespaces::make(MEMBERS + 1) {
        sums_go_on_without_who_is_cut_off(&network, 1);
    }
}

#[test]
fn an_inner_process_is_cut_off_in_the_midst_of_sums() {
    sums_go_on_without_who_is_cut_off(&Swallowing, 1);
}

#[test]
fn the_roots_host_is_cut_off_in_the_midst_of_sums() {
    if let Some(network) = Namespaces::make(MEMBERS + 1) {
        sums_go_on_without_who_is_cut_off(&network, 0);
    }
}

#[test]
fn the_roots_process_is_cut_off_in_the_midst_of_sums() {
    sums_go_on_without_who_is_cut_off(&Swallowing, 0);
}

/// Who cannot be reached holds up broadcasts until it is fenced (B3), and not longer.
#[track_caller]
fn broadcasts_go_on_without_who_is_cut_off(network: &impl Network) {
    let controller = network.controller();
    let mut news = News::start(members(network, &controller, NEWS, Kind::Broadcast));
    let mut away = news.lose(&[1]).remove(0);
    network.cut_off(2, &mut away.member);
    news.readers[0].member.until_gone(NEWS, &away.member.name);
    news.go_on();
    network.let_back(2, &mut away.member);
    let (kind, text) = away.fails();
    assert_eq!(kind, "Fenced", "M2: {text}");
    news.agree();
}

#[test]
fn an_inner_host_is_cut_off_in_the_midst_of_broadcasts() {
    if let Some(network) = Namespaces::make(MEMBERS + 1) {
        broadcasts_go_on_without_who_is_cut_off(&network);
    }
}

#[test]
fn an_inner_process_is_cut_off_in_the_midst_of_broadcasts() {
    broadcasts_go_on_without_who_is_cut_off(&Swallowing);
}

/// Rounds need no controller (M1). One that reaches nobody declares all dead (M3), and goes on with who can reach it. When it
/// reaches the others again, they are told (M2), and come together with that one.
#[track_caller]
fn the_controller_is_cut_off(network: &impl Network) {
    let controller = network.controller();
    // On the controller's own host, and able to reach it.
    let mut beside = network.member(0, &controller);
    let mut sums = Sums::start(members(network, &controller, SUMS, Kind::Sum));
    let mut all: Vec<&mut Member> = sums.adders.iter_mut().map(|adder| &mut adder.member).collect();
    network.cut_controller(&controller, &mut all);
    beside.join(SUMS, Kind::Sum);
    for adder in &sums.adders {
        beside.until_gone(SUMS, &adder.member.name);
    }
    sums.go_on();
    let mut away = sums.lose(&[0, 1, 2, 3, 4]);
    let mut all: Vec<&mut Member> = away.iter_mut().map(|adder| &mut adder.member).collect();
    network.let_controller_back(&controller, &mut all);
    sums.add(vec![beside]);
    sums.add(away.into_iter().map(comes_back).collect());
    sums.agree();
}

#[test]
fn the_controllers_host_is_cut_off() {
    if let Some(network) = Namespaces::make(MEMBERS + 1) {
        the_controller_is_cut_off(&network);
    }
}

#[test]
fn the_controllers_connections_are_cut() {
    the_controller_is_cut_off(&Swallowing);
}
