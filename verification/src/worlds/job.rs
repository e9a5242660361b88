//! Whole jobs: workers, store, leases and fleets together.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::fleet;
use cirrus_core::ids::Millis;
use cirrus_core::lease;
use cirrus_core::store::{self, Staleness};
use cirrus_core::worker;

use super::{Job, World, budgets};
use crate::cluster::{Cluster, Fault, Line, Process, Setup, StoreProcess};
use crate::system::Witness;

/// A small job.
#[derive(Clone, Copy)]
struct Small {
    workers: u32,
    blocks: u32,
    passes: u32,
    staleness: Staleness,
    window: u32,
    faults: &'static [(Fault, u32)],
    /// Started from nothing; else from when all workers are connected to the store.
    cold: bool,
    /// Fetching a block and applying an update take steps of their own.
    slow: bool,
    witnesses: &'static [Witness<Cluster>],
}

/// Two workers that compute two blocks once.
const SMALL: Small = Small {
    workers: 2,
    blocks: 2,
    passes: 1,
    staleness: Staleness::Asynchronous,
    window: 1,
    faults: &[],
    cold: false,
    slow: false,
    witnesses: CALM,
};

fn setup(small: &Small, bugs: Bugs) -> Setup {
    let failures_max = 4;
    let (pause, pause_max) = (Millis(100), Millis(1000));
    let fleet = |slots| fleet::Config { slots, failures_max, pause, pause_max, bugs };
    Setup {
        blocks: small.blocks,
        store: store::Config {
            staleness: small.staleness,
            workers_max: small.workers,
            reads_max: small.window,
            applying_max: 4,
            names_max: small.blocks * 2,
            callers_max: 1,
            snapshot_interval: Millis(1000),
            bugs,
        },
        lease: lease::Config {
            blocks_max: small.blocks,
            workers_max: small.workers,
            held_max: small.window,
            passes: small.passes,
            lease: Millis(10_000),
            bugs,
        },
        fleet: fleet(small.workers),
        keeper: fleet(1),
        worker: worker::Config {
            window: small.window,
            held: small.window,
            reconnect: Millis(100),
            reconnects_max: 1,
            bugs,
        },
        slow_fetch: small.slow,
        slow_apply: small.slow,
        faults: budgets(small.faults),
    }
}

/// All workers are connected to the store.
fn settled(cluster: &Cluster) -> bool {
    !cluster.workers.is_empty() && cluster.workers.values().all(|it| it.link.line == Line::Up)
}

const ENDS: Witness<Cluster> = Witness { name: "the job ends", seen: Cluster::is_over };
const CALM: &[Witness<Cluster>] = &[ENDS];
const WAITING: Witness<Cluster> = Witness {
    name: "a read waits",
    seen: |cluster| {
        let seats = cluster.store.iter().flat_map(|store| store.machine.seats.iter());
        seats.filter_map(|(_, seat)| seat.session.as_ref()).any(|session| !session.waiting.is_empty())
    },
};
const SUCCESSOR: Witness<Cluster> = Witness {
    name: "a successor has a session",
    seen: |cluster| cluster.ledger.opened.values().any(|incarnation| incarnation.0 > 1),
};
const UNNOTICED: Witness<Cluster> = Witness {
    name: "a dead worker has a session and nobody has noticed",
    seen: |cluster| {
        cluster.workers.iter().any(|(who, it)| {
            it.ended && !it.noticed && cluster.ledger.opened.get(&who.worker) == Some(&who.incarnation)
        })
    },
};
const ZOMBIE: Witness<Cluster> = Witness {
    name: "a worker that counts as dead still sends",
    seen: |cluster| cluster.workers.values().any(|it| it.killed && !it.link.up.is_empty()),
};
const LATE: Witness<Cluster> = Witness {
    name: "a late request and a new session",
    seen: |cluster| {
        let open = |it: &Process| matches!(it.machine.link, worker::Link::Open(_));
        cluster.workers.values().any(|it| !it.link.late.is_empty() && open(it))
    },
};
const RESUMING: Witness<Cluster> = Witness {
    name: "an update waits for the next connection",
    seen: |cluster| {
        let waits = |it: &Process| {
            !matches!(it.machine.link, worker::Link::Open(_))
                && it.machine.tasks.iter().any(|task| matches!(task.stage, worker::Stage::Computed(_)))
        };
        cluster.workers.values().any(|it| waits(it))
    },
};
const RESTORED: Witness<Cluster> = Witness {
    name: "a store came back with some updates",
    seen: |cluster| {
        let second = |store: &&Arc<StoreProcess>| store.epoch().0 > 1 && store.machine.version.count == 0;
        cluster.store.as_ref().filter(second).is_some_and(|store| !store.table.is_empty())
    },
};
const LOST: Witness<Cluster> = Witness {
    name: "a store came back with nothing",
    seen: |cluster| cluster.store.as_ref().is_some_and(|store| store.epoch().0 > 1 && store.table.is_empty()),
};
const DISCARDING: Witness<Cluster> = Witness {
    name: "a result of an earlier epoch is thrown away",
    seen: |cluster| {
        let discards =
            |it: &Process| it.machine.tasks.iter().any(|task| task.stage == worker::Stage::Discarding);
        cluster.workers.values().any(|it| discards(it))
    },
};
const GONE: Witness<Cluster> = Witness {
    name: "a worker gave up on the store",
    seen: |cluster| cluster.workers.values().any(|it| it.machine.end == Some(worker::End::StoreGone)),
};
const AGAIN: Witness<Cluster> = Witness {
    name: "the last pass was closed before the store came back",
    seen: |cluster| {
        let closed = |store: &Arc<StoreProcess>| store.epoch().0 > 1 && store.machine.closed.0 > 0;
        cluster.leases.pass.0 > 0 && cluster.store.as_ref().is_some_and(closed)
    },
};

const COLD: Small = Small { cold: true, slow: true, blocks: 1, faults: &[(Fault::Snapshot, 1)], ..SMALL };
const CRASH: Small = Small {
    blocks: 1,
    faults: &[(Fault::CrashWorker, 1), (Fault::Late, 1)],
    witnesses: &[ENDS, SUCCESSOR, UNNOTICED],
    ..SMALL
};
const LOST_FRAMES: Small = Small {
    blocks: 1,
    faults: &[(Fault::BreakStore, 1), (Fault::Late, 1)],
    witnesses: &[ENDS, LATE, RESUMING],
    ..SMALL
};
const TWICE: Small = Small {
    blocks: 1,
    faults: &[(Fault::DuplicateRequest, 1), (Fault::DuplicateAnswer, 1)],
    witnesses: &[ENDS],
    ..SMALL
};
const SUSPECT: Small =
    Small { blocks: 1, faults: &[(Fault::Suspect, 1)], witnesses: &[ENDS, SUCCESSOR, ZOMBIE], ..SMALL };
const CUT_OFF: Small = Small { faults: &[(Fault::BreakJob, 1)], ..SUSPECT };
const STORE: Small = Small {
    blocks: 1,
    faults: &[(Fault::CrashStore, 1), (Fault::Snapshot, 1)],
    witnesses: &[ENDS, RESTORED, LOST, DISCARDING],
    ..SMALL
};
const STORE_PASSES: Small = Small {
    workers: 1,
    passes: 2,
    faults: &[(Fault::CrashStore, 1), (Fault::Snapshot, 2), (Fault::PersistFails, 1)],
    witnesses: &[ENDS, RESTORED, LOST, DISCARDING, AGAIN],
    ..SMALL
};
const STORE_AWAY: Small = Small {
    workers: 1,
    faults: &[(Fault::CrashStore, 1), (Fault::Impatient, 2), (Fault::BreakOrders, 1)],
    witnesses: &[ENDS, LOST, GONE, SUCCESSOR],
    ..SMALL
};
const BSP: Small = Small {
    staleness: Staleness::Bounded(0),
    faults: &[(Fault::CrashWorker, 1)],
    witnesses: &[ENDS, SUCCESSOR],
    ..SMALL
};
const SSP: Small =
    Small { staleness: Staleness::Bounded(1), blocks: 4, witnesses: &[ENDS, WAITING], ..SMALL };
const AHEAD: Small = Small {
    staleness: Staleness::Bounded(0),
    blocks: 4,
    window: 2,
    faults: &[(Fault::BreakStore, 1)],
    witnesses: &[ENDS, WAITING, RESUMING],
    ..SMALL
};

fn system(small: &Small, bugs: Bugs) -> Job {
    let warm = (!small.cold).then_some(settled as fn(&Cluster) -> bool);
    Job { setup: setup(small, bugs), warm, steps_max: 120, witnesses: small.witnesses }
}

/// A job of one worker and one block whose states can all be kept.
#[cfg(test)]
pub(crate) fn tiny(bugs: Bugs) -> Job {
    system(&Small { workers: 1, blocks: 1, staleness: Staleness::Bounded(0), cold: true, ..SMALL }, bugs)
}

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("job-cold", "a start from nothing", (220_810, 46), COLD),
        world!("job-crash", "a worker dies", (253_649, 44), CRASH),
        world!("job-lost", "requests and answers are lost or late", (43_370, 31), LOST_FRAMES),
        world!("job-twice", "requests and answers come twice", (13_694, 27), TWICE),
        world!("job-suspect", "a worker is suspected that works", (484_297, 49), SUSPECT),
        world!("job-cut-off", "a worker loses the coordinator", (144_791, 44), CUT_OFF),
        world!("job-store", "the store dies and comes back", (1_123_890, 58), STORE),
        world!("job-store-passes", "the store dies in the second pass", (1_149_759, 110), STORE_PASSES),
        world!("job-store-away", "the store is away for long", (282_627, 101), STORE_AWAY),
        world!("job-bsp", "in step, a worker dies", (332_250, 50), BSP),
        world!("job-ssp", "stale by one round", (137_115, 52), SSP),
        world!("job-ahead", "in step, two rounds ahead, a connection breaks", (356_395, 56), AHEAD),
    ]
}
