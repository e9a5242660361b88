//! Jobs of a swarm: each is of another size, with other limits, and hit by a random subset of the kinds of faults.

use cirrus_core::bug::Bugs;
use cirrus_core::fleet;
use cirrus_core::ids::Millis;
use cirrus_core::lease;
use cirrus_core::store::{self, Staleness};
use cirrus_core::worker;

use crate::cluster::{Fault, Setup};
use crate::simulator::Random;

/// The next job.
pub(super) fn setup(random: &mut Random) -> Setup {
    let bugs = Bugs::default();
    let slots = random.between(2, 20);
    // Most jobs are short, so that many begin and end; some are long.
    let blocks = if random.below(8) == 0 { random.between(60, 200) } else { random.between(2, 60) };
    let passes = random.between(1, 3);
    let window = random.between(1, 3);
    let staleness = match random.below(3) {
        0 => Staleness::Asynchronous,
        1 => Staleness::Bounded(0),
        _ => Staleness::Bounded(random.between(1, 3)),
    };
    // Slots are never given up: a job whose workers all failed for good has no good end.
    let fleet =
        |slots| fleet::Config { slots, failures_max: 1000, pause: Millis(20), pause_max: Millis(500), bugs };
    Setup {
        blocks,
        store: store::Config {
            staleness,
            workers_max: slots,
            reads_max: 8,
            applying_max: 64,
            // After a restore, workers may still end rounds of a later pass than the one that is open.
            names_max: blocks * passes,
            callers_max: 2,
            snapshot_interval: Millis(random.between(50, 2000)),
            bugs,
        },
        lease: lease::Config {
            blocks_max: blocks,
            workers_max: slots,
            held_max: 8,
            passes,
            lease: Millis(random.between(2000, 20_000)),
            bugs,
        },
        fleet: fleet(slots),
        keeper: fleet(1),
        worker: worker::Config {
            window,
            held: window + random.between(0, 3),
            reconnect: Millis(50),
            reconnects_max: 1000,
            bugs,
        },
        slow_fetch: random.below(2) == 0,
        slow_apply: random.below(2) == 0,
        faults: Fault::ALL
            .into_iter()
            .map(|fault| (fault, random.below(2) * random.below(13)))
            .filter(|(_, times)| *times > 0)
            .map(|(fault, times)| (fault, u32::try_from(times).unwrap_or(u32::MAX)))
            .collect(),
    }
}
