//! Rules over a cluster: the state is right, then one thing in it is made wrong.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::fleet;
use cirrus_core::ids::{BlockId, Clock, GradientName, Incarnation, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::rule::Verdict;
use cirrus_core::store::{self, Sender};
use cirrus_core::worker;

use crate::cluster::{Action, Cluster, Moment, Process, Snapshot, StoreProcess, whole};
use crate::rules::{Check, ClusterRule, RULES, j1, p1, p2, p3, p4, p5};
use crate::system::System;
use crate::worlds::Job;
use crate::worlds::job::tiny;

const WORKER: Sender = Sender { worker: WorkerId(0), incarnation: Incarnation(1) };

fn first() -> GradientName {
    whole(Pass(0), BlockId::default())
}

fn second() -> GradientName {
    whole(Pass(0), BlockId { partition: 0, block: 1 })
}

/// A job on its fair way, as soon as this is so.
fn until(so: impl Fn(&Cluster) -> bool) -> (Job, Cluster) {
    let job = tiny(Bugs::default());
    let mut cluster = Cluster::new(&job.setup);
    while !so(&cluster) {
        let action = job.fair(&cluster).unwrap();
        job.apply(&mut cluster, &action, None);
    }
    (job, cluster)
}

fn applied(cluster: &Cluster) -> bool {
    !cluster.ledger.acknowledged.is_empty()
}

fn store(cluster: &mut Cluster) -> &mut StoreProcess {
    Arc::make_mut(cluster.store.as_mut().unwrap())
}

fn process(cluster: &mut Cluster) -> &mut Process {
    Arc::make_mut(cluster.workers.get_mut(&WORKER).unwrap())
}

fn ask(rule: ClusterRule, job: &Job, cluster: &Cluster, moment: Option<Moment<'_>>) -> Verdict {
    match (rule.check, moment) {
        (Check::State(check), None) => check(&job.setup, cluster),
        (Check::Moment(check), Some(moment)) => check(&job.setup, cluster, &moment),
        (Check::State(_), Some(_)) | (Check::Moment(_), None) => panic!("{:?} is not asked so", rule.name),
    }
}

/// A rule over states holds (or has nothing to say), and does not when something is made wrong.
fn breaks(rule: ClusterRule, before: Verdict, job: &Job, cluster: &mut Cluster, wrong: fn(&mut Cluster)) {
    assert_eq!(ask(rule, job, cluster, None), before, "{:?}", rule.name);
    wrong(cluster);
    assert!(matches!(ask(rule, job, cluster, None), Verdict::Broken(_)), "{:?}", rule.name);
}

#[test]
fn p1_a_name_twice_another_name_or_a_lost_one() {
    let (job, cluster) = until(applied);
    let breaks = |rule, before, wrong| breaks(rule, before, &job, &mut cluster.clone(), wrong);
    breaks(p1::ONCE, Verdict::Idle, |cluster| store(cluster).table.push(first()));
    breaks(p1::TABLE_RECORDED, Verdict::Holds, |cluster| store(cluster).table.push(second()));
    breaks(p1::TABLE_RECORDED, Verdict::Holds, |cluster| store(cluster).table.clear());
    breaks(p1::ACKNOWLEDGED_RECORDED, Verdict::Holds, |cluster| {
        cluster.ledger.acknowledged.insert(second());
    });
}

#[test]
fn p1_an_update_under_the_name_of_another() {
    let (job, cluster) = until(applied);
    let verdict = |update| ask(p1::NAMED_RIGHT, &job, &cluster, Some(Moment::Applied(first(), update)));
    assert_eq!(verdict(first()), Verdict::Holds);
    assert!(matches!(verdict(second()), Verdict::Broken(_)));
}

#[test]
fn p2_a_read_that_overtakes_an_update() {
    let (mut job, mut cluster) = until(applied);
    cluster.ledger.outstanding.insert((WORKER, second()), Clock(1));
    let verdict =
        |job: &Job, clock| ask(p2::NOTHING_MISSED, job, &cluster, Some(Moment::Served(WORKER, Clock(clock))));
    assert_eq!(verdict(&job, 1), Verdict::Holds);
    assert!(matches!(verdict(&job, 2), Verdict::Broken(_)));
    job.setup.store.staleness = store::Staleness::Bounded(1);
    assert_eq!(verdict(&job, 2), Verdict::Holds);
    assert!(matches!(verdict(&job, 3), Verdict::Broken(_)));
    job.setup.store.staleness = store::Staleness::Asynchronous;
    assert_eq!(verdict(&job, 3), Verdict::Idle);
}

#[test]
fn p3_a_read_of_too_old_a_model_or_of_an_epoch_not_told() {
    let (job, mut cluster) = until(|cluster| {
        cluster
            .workers
            .get(&WORKER)
            .is_some_and(|it| matches!(it.link.down.front(), Some(worker::Event::Values { .. })))
    });
    let told = process(&mut cluster).told;
    let read = process(&mut cluster).link.down.front().cloned().unwrap();
    let moment = Moment::Told(WORKER, &read);
    let newer = Version { epoch: StoreEpoch(1), count: 9 };
    for (rule, before, wrong) in [
        (p3::OWN_WRITES, Verdict::Idle, crate::cluster::Told { acknowledged: newer, ..told }),
        (p3::READS_RISE, Verdict::Holds, crate::cluster::Told { read: newer, ..told }),
        (p3::EPOCH_TOLD, Verdict::Holds, crate::cluster::Told { epoch: StoreEpoch(2), ..told }),
    ] {
        process(&mut cluster).told = told;
        assert_eq!(ask(rule, &job, &cluster, Some(moment)), before, "{:?}", rule.name);
        process(&mut cluster).told = wrong;
        assert!(matches!(ask(rule, &job, &cluster, Some(moment)), Verdict::Broken(_)), "{:?}", rule.name);
    }
}

#[test]
fn p4_a_dead_worker_with_a_clock() {
    let (job, mut cluster) = until(applied);
    breaks(p4::DEAD_CLOCK_GONE, Verdict::Idle, &job, &mut cluster, |cluster| {
        let fleet = Arc::make_mut(&mut cluster.fleet);
        fleet.slots.get_mut(&WORKER.worker).unwrap().phase = fleet::Phase::Waiting;
    });
    // As long as the store was not told, it cannot know.
    cluster.coordinator.orders.push_back(crate::cluster::Order::Fence(WORKER));
    assert_eq!(ask(p4::DEAD_CLOCK_GONE, &job, &cluster, None), Verdict::Idle);
}

#[test]
fn p5_a_snapshot_or_a_closed_pass_that_lacks_something() {
    let (job, mut cluster) = until(applied);
    let (marker, table) = (store(&mut cluster).machine.marker(), store(&mut cluster).table.clone());
    cluster.disk.snapshot = Some(Snapshot { marker, table });
    let breaks = |rule, before, wrong| breaks(rule, before, &job, &mut cluster.clone(), wrong);
    breaks(p5::SNAPSHOT_WHOLE, Verdict::Holds, |cluster| {
        cluster.disk.snapshot.as_mut().unwrap().table.clear();
    });
    breaks(p5::CLOSED_WHOLE, Verdict::Idle, |cluster| {
        let store = store(cluster);
        Arc::make_mut(&mut store.machine).closed = Pass(1);
        store.table.clear();
    });
    let mut restored = store(&mut cluster.clone()).clone();
    let verdict =
        |restored: &StoreProcess| ask(p5::RESTORED_EXACT, &job, &cluster, Some(Moment::Restored(restored)));
    assert_eq!(verdict(&restored), Verdict::Holds);
    restored.table.push(second());
    assert!(matches!(verdict(&restored), Verdict::Broken(_)));
}

#[test]
fn p5_a_result_that_lacks_something_or_holds_it_twice() {
    let (job, cluster) = until(applied);
    let verdict = |table| ask(p5::RESULT_WHOLE, &job, &cluster, Some(Moment::Finished(&table)));
    assert_eq!(verdict(vec![first()]), Verdict::Holds);
    assert!(matches!(verdict(vec![]), Verdict::Broken(_)));
    assert!(matches!(verdict(vec![first(), first()]), Verdict::Broken(_)));
}

#[test]
fn j1_two_lives_at_once_or_one_that_comes_back() {
    let (job, mut cluster) = until(applied);
    let successor = Sender { incarnation: Incarnation(2), ..WORKER };
    for (rule, moment) in [
        (j1::STORE_ONE_LIFE, Moment::Opened as fn(Sender) -> Moment<'static>),
        (j1::LEASES_ONE_LIFE, Moment::Granted),
    ] {
        let mut cluster = cluster.clone();
        assert_eq!(ask(rule, &job, &cluster, Some(moment(successor))), Verdict::Holds, "{:?}", rule.name);
        cluster.ledger.opened.insert(successor.worker, successor.incarnation);
        cluster.ledger.granted.insert(successor.worker, successor.incarnation);
        assert_eq!(ask(rule, &job, &cluster, Some(moment(successor))), Verdict::Holds, "{:?}", rule.name);
        let back = ask(rule, &job, &cluster, Some(moment(WORKER)));
        assert!(matches!(back, Verdict::Broken(_)), "{:?}", rule.name);
    }
    breaks(j1::ONE_PROCESS, Verdict::Holds, &job, &mut cluster, |cluster| {
        cluster.workers.insert(Sender { incarnation: Incarnation(2), ..WORKER }, Arc::default());
    });
}

#[test]
fn broken_rules_end_up_in_the_verdict_of_a_run() {
    let (job, mut cluster) = until(applied);
    store(&mut cluster).table.push(first());
    let mut tally = crate::tally::Tally::default();
    let broken: Vec<_> = job.broken(&cluster, &mut tally).into_iter().map(|broken| broken.rule).collect();
    assert!(broken.contains(&p1::ONCE.name), "{broken:?}");
    let place = RULES.iter().position(|rule| rule.name == p1::ONCE.name).unwrap();
    assert_eq!(tally.part(crate::tally::Part::Cluster)[place].broken, 1);
    // What a step broke is forgotten with the next.
    cluster.broken = job.broken(&cluster, &mut tally);
    job.apply(&mut cluster, &Action::Ready, None);
    assert!(cluster.broken.is_empty());
}
