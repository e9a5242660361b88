//! The fleet alone, fed anything about two slots.

use cirrus_core::bug::Bugs;
use cirrus_core::fleet::{Config, Event, Fleet, Phase, Timer};
use cirrus_core::ids::{Incarnation, Millis, WorkerId};

use super::{Golden, World};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;

/// Lives that are followed; a slot that gets further is left alone.
const LIVES: u32 = 4;

pub(crate) fn pool(bugs: Bugs) -> Pool<Fleet> {
    let mut events = vec![Event::Start, Event::Finish, Event::Stop];
    for slot in [WorkerId(0), WorkerId(1)] {
        for incarnation in (1..=LIVES).map(Incarnation) {
            events.extend([
                Event::Running { slot, incarnation },
                Event::Progress { slot, incarnation },
                Event::Exited { slot, incarnation },
                Event::Suspected { slot, incarnation },
                Event::Timer(Timer { slot, failed: incarnation }),
            ]);
        }
    }
    let config = Config { slots: 2, failures_max: 2, pause: Millis(100), pause_max: Millis(150), bugs };
    let far = |fleet: &Fleet| fleet.slots.iter().any(|(_, slot)| slot.incarnation.0 > LIVES);
    Pool {
        part: Part::Fleet,
        config,
        events,
        new: Default::default,
        first: Vec::new(),
        far,
        witnesses: WITNESSES,
    }
}

fn any(fed: &Fed<Fleet>, phase: Phase) -> bool {
    fed.machine.slots.iter().any(|(_, slot)| slot.phase == phase)
}

const WITNESSES: &[Witness<Fed<Fleet>>] = &[
    Witness { name: "a slot gave up", seen: |fed| any(fed, Phase::GaveUp) },
    Witness {
        name: "a slot waits after the stop",
        seen: |fed| fed.machine.closing && any(fed, Phase::Waiting),
    },
    Witness { name: "a process is being ended", seen: |fed| any(fed, Phase::Ending) },
    Witness {
        name: "nothing lives and nothing will",
        seen: |fed| !fed.machine.slots.is_empty() && fed.machine.is_empty(),
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![World {
        name: "fleet",
        about: "a fleet fed anything",
        golden: Golden { unique: 4_619, depth: 33 },
        deep: false,
        make: |bugs| Box::new(pool(bugs)),
    }]
}
