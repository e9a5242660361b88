//! The leases alone, fed anything by two workers with a successor each, in two epochs and two passes.

use cirrus_core::bug::Bugs;
use cirrus_core::ids::{BlockId, Millis, Pass, StoreEpoch};
use cirrus_core::lease::{Config, Event, Leases, Timer};

use super::{Golden, World, ids};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;

pub(crate) fn pool(blocks: u32, bugs: Bugs) -> Pool<Leases> {
    let all: Vec<BlockId> = (0..blocks).map(ids::block).collect();
    let senders = [ids::sender(0, 1), ids::sender(0, 2), ids::sender(1, 1), ids::sender(1, 2)];
    let mut events = Vec::new();
    for epoch in [StoreEpoch(1), StoreEpoch(2)] {
        for pass in [Pass(0), Pass(1), Pass(2)] {
            for recorded in [Vec::new(), vec![ids::block(0)], all.clone()] {
                events.push(Event::Begin { epoch, pass, order: all.clone(), recorded });
            }
        }
        for pass in [Pass(0), Pass(1)] {
            events.extend(all.iter().map(|block| Event::Done { epoch, pass, block: *block }));
            let block = ids::block(0);
            events.extend(senders.map(|holder| Event::Timer(Timer { holder, epoch, pass, block })));
        }
    }
    events.extend([StoreEpoch(1), StoreEpoch(2)].map(|epoch| Event::Collected { epoch }));
    for from in senders {
        events.extend([1, 2].map(|count| Event::Wanted { from, count }));
        events.push(Event::Gone(from));
    }
    let config =
        Config { blocks_max: blocks, workers_max: 2, held_max: 2, passes: 2, lease: Millis(10_000), bugs };
    Pool {
        part: Part::Leases,
        config,
        events,
        new: Default::default,
        first: Vec::new(),
        far: |_| false,
        witnesses: WITNESSES,
    }
}

const WITNESSES: &[Witness<Fed<Leases>>] = &[
    Witness { name: "all passes are done", seen: |fed| fed.machine.idle && fed.machine.pass >= Pass(1) },
    Witness {
        name: "a worker holds two",
        seen: |fed| fed.machine.leased.iter().any(|(_, holder)| fed.machine.held(holder.worker) == 2),
    },
    Witness {
        name: "a block of a second epoch is leased",
        seen: |fed| fed.machine.epoch == StoreEpoch(2) && !fed.machine.leased.is_empty(),
    },
    Witness {
        name: "somebody wants and nothing is pending",
        seen: |fed| {
            fed.machine.pending.is_empty() && fed.machine.holders.iter().any(|(_, holder)| holder.wanted > 0)
        },
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![World {
        name: "lease",
        about: "leases fed anything",
        golden: Golden { unique: 6_328, depth: 32 },
        deep: false,
        make: |bugs| Box::new(pool(3, bugs)),
    }]
}
