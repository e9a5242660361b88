//! Rules of single machines that no seeded bug breaks first. Together with the hunts this covers all of them.

use cirrus_core::bounded::Map;
use cirrus_core::bug::Bugs;
use cirrus_core::fleet::{self, Fleet};
use cirrus_core::ids::{
    BlockId, CallId, GradientName, Incarnation, Millis, Pass, StoreEpoch, Version, WorkerId,
};
use cirrus_core::lease::{self, Holder, Leases};
use cirrus_core::rule::{RuleName, Ruled, Step, Verdict};
use cirrus_core::store::{self, Sender, Staleness, Store};
use cirrus_core::worker::{self, Link, Worker};

use crate::cluster::whole;

const FIRST: Sender = Sender { worker: WorkerId(0), incarnation: Incarnation(1) };
const BLOCK: BlockId = BlockId { partition: 0, block: 0 };

fn name() -> GradientName {
    whole(Pass(0), BLOCK)
}

fn version(count: u64) -> Version {
    Version { epoch: StoreEpoch(1), count }
}

/// What this rule of a machine says about a step.
fn ask<M: Ruled>(
    rule: RuleName,
    config: &M::Config,
    (before, after): (&M, &M),
    event: &M::Event,
    effects: &[M::Effect],
) -> Verdict {
    let mut verdicts = Vec::new();
    let step = Step { config, before, event, effects, after };
    cirrus_core::rule::check_step(&step, |name, verdict| {
        if name == rule {
            verdicts.push(verdict);
        }
    });
    let [verdict] = verdicts[..] else { panic!("{rule:?} is there once: {verdicts:?}") };
    verdict
}

fn broken(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Broken(_))
}

#[test]
fn store_versions_count_and_rise() {
    let config = store::Config {
        staleness: Staleness::Asynchronous,
        workers_max: 1,
        reads_max: 1,
        applying_max: 1,
        names_max: 1,
        callers_max: 1,
        snapshot_interval: Millis(1),
        bugs: Bugs::default(),
    };
    let at = |count| {
        let mut store = Store::<GradientName>::default();
        store.version = version(count);
        store
    };
    let (call, epoch) = (CallId(1), StoreEpoch(1));
    let event = store::Event::Push { from: FIRST, epoch, call, name: name(), update: name() };
    let apply = [store::Effect::Apply { name: name(), version: version(2), update: name() }];
    let counts = |before, after, effects: &[_]| {
        ask(store::rules::VERSION_COUNTS, &config, (&at(before), &at(after)), &event, effects)
    };
    assert_eq!(counts(1, 2, &apply), Verdict::Holds);
    assert!(broken(counts(1, 3, &apply)), "two for one");
    assert!(broken(counts(1, 2, &[])), "one for none");
    let rises =
        |before, after| ask(store::rules::VERSION_RISES, &config, (&at(before), &at(after)), &event, &[]);
    assert_eq!(rises(1, 2), Verdict::Holds);
    assert!(broken(rises(2, 1)));
}

fn lease_config() -> lease::Config {
    let (blocks_max, workers_max, held_max, passes) = (3, 1, 1, 1);
    lease::Config { blocks_max, workers_max, held_max, passes, lease: Millis(1), bugs: Bugs::default() }
}

/// Leases with so many blocks pending and leased to the only worker, which wants so many more.
fn leases(pending: std::ops::Range<u32>, leased: std::ops::Range<u32>, wanted: u32) -> Leases {
    let mut leases = Leases { epoch: StoreEpoch(1), ..Leases::default() };
    let block = |block| BlockId { partition: 0, block };
    pending.for_each(|number| leases.pending.push(9, block(number)).unwrap());
    leased.for_each(|number| leases.leased.insert(9, block(number), FIRST).unwrap());
    let holder = Holder { floor: FIRST.incarnation, wanted };
    leases.holders.insert(9, FIRST.worker, holder).unwrap();
    leases
}

#[test]
fn leases_keep_a_block_in_one_place_give_it_out_and_are_bounded() {
    let config = lease_config();
    let event = lease::Event::Wanted { from: FIRST, count: 0 };
    let says = |rule, leases: &Leases| ask(rule, &config, (leases, leases), &event, &[]);
    for (rule, right, wrong) in [
        (lease::rules::ONE_PLACE, leases(1..3, 0..1, 0), leases(0..3, 0..1, 0)),
        (lease::rules::NO_IDLE_BLOCK, leases(0..0, 0..0, 1), leases(0..1, 0..0, 1)),
        (lease::rules::HELD_BOUNDED, leases(1..3, 0..1, 0), leases(2..3, 0..2, 0)),
    ] {
        assert_eq!(says(rule, &right), Verdict::Holds, "{rule:?}");
        assert!(broken(says(rule, &wrong)), "{rule:?}");
    }
}

#[test]
fn leases_of_the_dead_are_returned() {
    let (config, event) = (lease_config(), lease::Event::Gone(FIRST));
    let before = leases(0..0, 0..1, 0);
    let says = |after: &Leases| ask(lease::rules::RETURNED, &config, (&before, after), &event, &[]);
    assert_eq!(says(&leases(0..1, 0..0, 0)), Verdict::Holds);
    assert!(broken(says(&leases(0..0, 0..0, 0))), "lost");
    assert!(broken(says(&leases(0..0, 0..1, 0))), "kept");
}

#[test]
fn fleets_are_bounded_fence_who_ends_and_kill_on_a_stop() {
    let (pause, bugs) = (Millis(1), Bugs::default());
    let config = fleet::Config { slots: 1, failures_max: 1, pause, pause_max: pause, bugs };
    let fleet = |slots: u32, phase, failures| {
        let mut fleet = Fleet { slots: Map::default(), closing: false };
        let slot = fleet::Slot { incarnation: Incarnation(1), phase, failures };
        (0..slots).for_each(|id| fleet.slots.insert(9, WorkerId(id), slot.clone()).unwrap());
        fleet
    };
    let living = fleet(1, fleet::Phase::Living, 0);
    let (slot, incarnation) = (FIRST.worker, FIRST.incarnation);
    let exited = fleet::Event::Exited { slot, incarnation };

    let bounded = |fleet: &Fleet| ask(fleet::rules::BOUNDED, &config, (fleet, fleet), &exited, &[]);
    assert_eq!(bounded(&living), Verdict::Holds);
    assert!(broken(bounded(&fleet(2, fleet::Phase::Living, 0))), "a slot too many");
    assert!(broken(bounded(&fleet(1, fleet::Phase::Waiting, 3))), "a failure too many");

    let waiting = fleet(1, fleet::Phase::Waiting, 1);
    let fenced =
        |effects: &[_]| ask(fleet::rules::ENDED_FENCED, &config, (&living, &waiting), &exited, effects);
    assert_eq!(fenced(&[fleet::Effect::Fence { slot, incarnation }]), Verdict::Holds);
    assert!(broken(fenced(&[])));

    let stopped =
        |after: &Fleet| ask(fleet::rules::STOP_KILLS, &config, (&living, after), &fleet::Event::Stop, &[]);
    assert_eq!(stopped(&fleet(1, fleet::Phase::Ending, 0)), Verdict::Holds);
    assert!(broken(stopped(&living)));
}

#[test]
fn workers_name_their_epoch_and_see_versions_rise() {
    let bugs = Bugs::default();
    let config = worker::Config { window: 1, held: 1, reconnect: Millis(1), reconnects_max: 1, bugs };
    let at = |count| Worker::<GradientName> {
        link: Link::Open(StoreEpoch(1)),
        seen: version(count),
        ..Worker::default()
    };
    let (call, values) = (CallId(1), name());
    let event = worker::Event::Values { call, version: version(2), values };
    let read = |epoch| [worker::Effect::Read { call, epoch, name: name(), keys: name() }];
    let names = |epoch| {
        ask(worker::rules::EPOCH_OF_SESSION, &config, (&at(1), &at(2)), &event, &read(StoreEpoch(epoch)))
    };
    assert_eq!(names(1), Verdict::Holds);
    assert!(broken(names(2)));
    let rises =
        |before, after| ask(worker::rules::SEEN_RISES, &config, (&at(before), &at(after)), &event, &[]);
    assert_eq!(rises(1, 2), Verdict::Holds);
    assert!(broken(rises(3, 2)), "it went back");
    assert!(broken(rises(0, 1)), "it forgot what it was told");
}
