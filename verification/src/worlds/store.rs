//! The store alone, fed anything by two workers of which one has a successor, and by its disk.

use cirrus_core::bug::Bugs;
use cirrus_core::ids::{
    CallId, Clock, GradientName, Incarnation, Millis, Pass, StoreEpoch, Version, WorkerId,
};
use cirrus_core::store::{Config, Event, Marker, Phase, RecordId, Session, Staleness, Store, Timer};

use super::ids::{self, name};
use super::{Golden, World};
use crate::cluster::Payload;
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;

type Machine = Store<Payload>;

/// Rounds that are followed; a store that gets further is left alone.
const CLOCKS: Clock = Clock(3);

const EPOCH: StoreEpoch = StoreEpoch(1);
const OTHER_EPOCH: StoreEpoch = StoreEpoch(2);
const SNAPSHOT_TIMER: Timer = Timer::Snapshot(EPOCH);

fn version(count: u64) -> Version {
    Version { epoch: EPOCH, count }
}

fn config(staleness: Staleness, bugs: Bugs) -> Config {
    Config {
        staleness,
        workers_max: 2,
        reads_max: 1,
        applying_max: 1,
        names_max: 2,
        callers_max: 1,
        snapshot_interval: Millis(1000),
        bugs,
    }
}

/// A store that serves.
fn served() -> Vec<Event<Payload>> {
    vec![Event::Started { last_epoch: None, snapshot: None }, Event::Persisted(RecordId::Epoch(EPOCH))]
}

fn sessions(staleness: Staleness, bugs: Bugs) -> Pool<Machine> {
    let mut events = Vec::new();
    for from in [ids::sender(0, 1), ids::sender(0, 2), ids::sender(1, 1)] {
        let (epoch, keys) = (EPOCH, name(0, 0));
        events.extend([1, 3].map(|call| Event::Open { from, call: CallId(call) }));
        events.extend([2, 4, 6].map(|call| Event::Read { from, epoch, call: CallId(call), keys }));
        for (call, name) in [(3, name(0, 0)), (5, name(0, from.worker.0)), (5, name(1, 0))] {
            events.push(Event::Push { from, epoch, call: CallId(call), name, update: name });
        }
        events.extend([Event::Park { from, call: CallId(5) }, Event::Leave { from }]);
    }
    let from = ids::sender(0, 1);
    let (call, name) = (CallId(3), name(0, 1));
    events.push(Event::Read { from, epoch: OTHER_EPOCH, call, keys: name });
    events.push(Event::Push { from, epoch: OTHER_EPOCH, call, name, update: name });
    events.extend([ids::sender(0, 1), ids::sender(1, 1)].map(Event::Fence));
    events.extend([1, 2].map(|count| Event::Applied(version(count))));
    events.push(Event::ClosePass { epoch: EPOCH, pass: Pass(0) });
    Pool {
        new: Default::default,
        part: Part::Store,
        config: config(staleness, bugs),
        events,
        first: served(),
        far: |store| sessions_of(store).any(|session| session.started > CLOCKS),
        witnesses: SESSIONS,
    }
}

const SESSIONS: &[Witness<Fed<Machine>>] = &[
    Witness { name: "a successor has the session", seen: |fed| session(fed, 0) == Some(Incarnation(2)) },
    Witness { name: "a slot is fenced and empty", seen: |fed| fenced_and_empty(fed) },
    Witness { name: "names are full", seen: |fed| fed.machine.names.len() == 2 },
    Witness { name: "a pass is closed", seen: |fed| fed.machine.closed == Pass(1) },
    Witness { name: "somebody is parked", seen: |fed| parked(fed) },
];

const WAITING: &[Witness<Fed<Machine>>] = &[
    Witness { name: "a read waits", seen: |fed| waits(fed) },
    Witness { name: "a successor has the session", seen: |fed| session(fed, 0) == Some(Incarnation(2)) },
    Witness { name: "a slot is fenced and empty", seen: |fed| fenced_and_empty(fed) },
    Witness { name: "somebody is parked", seen: |fed| parked(fed) },
];

fn session(fed: &Fed<Machine>, worker: u32) -> Option<Incarnation> {
    Some(fed.machine.seats.get(&WorkerId(worker))?.session.as_ref()?.incarnation)
}

fn fenced_and_empty(fed: &Fed<Machine>) -> bool {
    fed.machine.seats.iter().any(|(_, seat)| seat.session.is_none())
}

fn parked(fed: &Fed<Machine>) -> bool {
    sessions_of(&fed.machine).any(|session| session.parked)
}

fn waits(fed: &Fed<Machine>) -> bool {
    sessions_of(&fed.machine).any(|session| !session.waiting.is_empty())
}

fn sessions_of(store: &Machine) -> impl Iterator<Item = &Session<Payload>> {
    store.seats.iter().filter_map(|(_, seat)| seat.session.as_ref())
}

fn marker(epoch: StoreEpoch, names: Vec<GradientName>) -> Marker {
    Marker { version: Version { epoch, count: names.len() as u64 }, closed: Pass(0), names }
}

/// One worker, and a disk that answers whenever and whatever it likes.
fn disk(bugs: Bugs) -> Pool<Machine> {
    let from = ids::sender(0, 1);
    let mut events = vec![Event::Open { from, call: CallId(1) }];
    for (call, name) in [(2, name(0, 0)), (3, name(0, 1)), (4, name(1, 0))] {
        events.push(Event::Push { from, epoch: EPOCH, call: CallId(call), name, update: name });
    }
    for count in 0..4 {
        events.push(Event::Applied(version(count)));
        events.push(Event::Persisted(RecordId::Snapshot(version(count))));
        events.push(Event::PersistFailed(RecordId::Snapshot(version(count))));
    }
    for call in [CallId(1), CallId(2), CallId(3)] {
        events.push(Event::SnapshotWanted { call });
    }
    let other_timer = Timer::Snapshot(OTHER_EPOCH);
    events.extend([SNAPSHOT_TIMER, other_timer].map(Event::Timer));
    events.extend([EPOCH, OTHER_EPOCH].map(|epoch| Event::ClosePass { epoch, pass: Pass(0) }));
    events.extend([EPOCH, OTHER_EPOCH].map(|epoch| Event::Persisted(RecordId::Epoch(epoch))));
    events.push(Event::Peek { call: CallId(1), keys: name(0, 0) });
    let mut config = config(Staleness::Asynchronous, bugs);
    config.applying_max = 2;
    config.callers_max = 2;
    Pool {
        part: Part::Store,
        config,
        events,
        new: Default::default,
        first: served(),
        far: |_| false,
        witnesses: DISK,
    }
}

const DISK: &[Witness<Fed<Machine>>] = &[
    Witness { name: "a snapshot is being written", seen: |fed| fed.machine.writing.is_some() },
    Witness {
        name: "an older snapshot is on disk",
        seen: |fed| fed.machine.durable.is_some_and(|durable| durable < fed.machine.version),
    },
    Witness { name: "two wait for a snapshot", seen: |fed| fed.machine.callers.len() == 2 },
];

/// Every way to begin, in any order with what disk and workers may say meanwhile.
fn start(bugs: Bugs) -> Pool<Machine> {
    let mut events = Vec::new();
    let snapshots = [
        None,
        Some(marker(EPOCH, vec![name(0, 0)])),
        Some(marker(EPOCH, vec![name(0, 0), name(0, 1), name(1, 0)])),
    ];
    for last_epoch in [None, Some(EPOCH), Some(StoreEpoch(u32::MAX))] {
        for snapshot in snapshots.clone() {
            events.push(Event::Started { last_epoch, snapshot });
        }
    }
    for epoch in [EPOCH, OTHER_EPOCH] {
        events.push(Event::Persisted(RecordId::Epoch(epoch)));
        events.push(Event::PersistFailed(RecordId::Epoch(epoch)));
        let (from, call, name) = (ids::sender(0, 1), CallId(2), name(0, 0));
        events.push(Event::Push { from, epoch, call, name, update: name });
        events.push(Event::Timer(Timer::Snapshot(epoch)));
        events.push(Event::ClosePass { epoch, pass: Pass(0) });
    }
    events.push(Event::Open { from: ids::sender(0, 1), call: CallId(1) });
    events.push(Event::SnapshotWanted { call: CallId(1) });
    let config = config(Staleness::Asynchronous, bugs);
    Pool {
        part: Part::Store,
        config,
        events,
        new: Default::default,
        first: Vec::new(),
        far: |_| false,
        witnesses: START,
    }
}

const START: &[Witness<Fed<Machine>>] = &[
    Witness { name: "it opens", seen: |fed| fed.machine.phase == Phase::Opening },
    Witness {
        name: "it serves in the second epoch",
        seen: |fed| fed.machine.phase == Phase::Serving && fed.machine.version.epoch == OTHER_EPOCH,
    },
];

/// A store with sessions, one with a disk, and one that begins.
#[cfg(test)]
pub(crate) fn pools(bugs: Bugs) -> [Pool<Machine>; 3] {
    [sessions(Staleness::Bounded(0), bugs), disk(bugs), start(bugs)]
}

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    let world = |name, about, (unique, depth), make| World {
        name,
        about,
        golden: Golden { unique, depth },
        deep: false,
        make,
    };
    vec![
        world("store-async", "sessions, nobody waits for anybody", (131_456, 185), |bugs| {
            Box::new(sessions(Staleness::Asynchronous, bugs))
        }),
        world("store-ssp", "sessions, stale by one round at most", (131_456, 185), |bugs| {
            Box::new(Pool { witnesses: WAITING, ..sessions(Staleness::Bounded(1), bugs) })
        }),
        world("store-bsp", "sessions, all in step", (142_992, 186), |bugs| {
            Box::new(Pool { witnesses: WAITING, ..sessions(Staleness::Bounded(0), bugs) })
        }),
        world("store-disk", "snapshots and a disk that answers anything", (6_697, 23), |bugs| {
            Box::new(disk(bugs))
        }),
        world("store-start", "every way to begin", (131, 8), |bugs| Box::new(start(bugs))),
    ]
}
