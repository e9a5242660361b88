//! A worker alone, fed anything by a store, by leases, and by itself.

use cirrus_core::bug::Bugs;
use cirrus_core::ids::{CallId, Millis, StoreEpoch, Version};
use cirrus_core::store::Reason;
use cirrus_core::worker::{Config, End, Event, Link, Stage, Timer, Worker};

use super::{Golden, World, ids};
use crate::cluster::Payload;
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;

type Machine = Worker<Payload>;

/// Calls that are answered; a worker that gets further is left alone.
const CALLS: u64 = 7;

pub(crate) fn pool(window: u32, bugs: Bugs) -> Pool<Machine> {
    let version = |epoch, count| Version { epoch: StoreEpoch(epoch), count };
    let mut events = vec![Event::Connected, Event::Disconnected, Event::Dry, Event::Finish, Event::Failed];
    events.extend([1, 2].map(|epoch| Event::StoreAt(StoreEpoch(epoch))));
    events.extend([0, 1, 2].map(|failures| Event::Timer(Timer::Reconnect(failures))));
    for name in [ids::name(0, 0), ids::name(0, 1)] {
        events.push(Event::Granted(name));
        events.push(Event::Fetched { name, keys: name });
        events.push(Event::Computed { name, update: name });
    }
    for call in (1..=CALLS).map(CallId) {
        events.extend([1, 2].map(|epoch| Event::Opened { call, version: version(epoch, 0) }));
        for epoch in [1, 2] {
            let version = version(epoch, 1);
            events.push(Event::Values { call, version, values: ids::name(0, 0) });
            events.push(Event::Acknowledged { call, version, duplicate: false });
        }
        events.push(Event::Refused { call, reason: Reason::WrongEpoch(StoreEpoch(2)) });
        events.push(Event::Refused { call, reason: Reason::Full });
    }
    events.push(Event::Refused { call: CallId(0), reason: Reason::Fenced });
    let config = Config { window, held: 2, reconnect: Millis(100), reconnects_max: 1, bugs };
    let far = |worker: &Machine| worker.last_call.0 > CALLS;
    Pool {
        part: Part::Worker,
        config,
        events,
        new: Default::default,
        first: Vec::new(),
        far,
        witnesses: WITNESSES,
    }
}

fn ends(fed: &Fed<Machine>, end: End) -> bool {
    fed.machine.end == Some(end)
}

fn any(fed: &Fed<Machine>, stage: fn(&Stage<Payload>) -> bool) -> bool {
    fed.machine.tasks.iter().any(|task| stage(&task.stage))
}

const WITNESSES: &[Witness<Fed<Machine>>] = &[
    Witness { name: "it finishes", seen: |fed| ends(fed, End::Finished) },
    Witness { name: "it learns that it is fenced", seen: |fed| ends(fed, End::Fenced) },
    Witness { name: "the store is gone", seen: |fed| ends(fed, End::StoreGone) },
    Witness { name: "the store is full", seen: |fed| ends(fed, End::StoreFull) },
    Witness {
        name: "a result will be thrown away",
        seen: |fed| any(fed, |stage| *stage == Stage::Discarding),
    },
    Witness {
        name: "an update is to be sent again",
        seen: |fed| {
            matches!(fed.machine.link, Link::Down(_)) && any(fed, |stage| matches!(stage, Stage::Computed(_)))
        },
    },
    Witness {
        name: "two updates are under way",
        seen: |fed| {
            fed.machine.tasks.iter().filter(|task| matches!(task.stage, Stage::Pushing(..))).count() == 2
        },
    },
    Witness { name: "it is parked", seen: |fed| fed.machine.parked },
];

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
        world("worker", "a worker fed anything", (58_470, 38), |bugs| Box::new(pool(1, bugs))),
        world("worker-ahead", "a worker fed anything, two rounds ahead", (61_394, 38), |bugs| {
            Box::new(pool(2, bugs))
        }),
    ]
}
