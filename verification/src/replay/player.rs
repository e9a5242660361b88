//! One machine of a recording, stepped by what it heard.

use cirrus_core::controller::Channel;
use cirrus_core::directory::{self, Directory};
use cirrus_core::member::Member;
use cirrus_core::messages::Messages;
use cirrus_core::rule::{Ruled, Step};
use cirrus_core::shuffle::Shuffle;
use cirrus_protocol::recording::{Fingerprint, Made};
use cirrus_protocol::zip::Address;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Difference, Fault};
use crate::tally::{Broken, Part, Tally};

/// A machine that was recorded.
pub(super) enum Player {
    Directory(Box<Play<Directory<Address>>>),
    Member(Box<Play<Member<Address, Fingerprint>>>),
    Messages(Box<Play<Messages<Address, Fingerprint>>>),
    Shuffle(Box<Play<Shuffle<Address, Fingerprint>>>),
}

impl Player {
    /// The machine as it began.
    pub(super) fn new(made: &Made) -> Self {
        match made {
            Made::Directory(config) => {
                Self::Directory(Play::new(Part::Directory, Directory::default(), config))
            }
            Made::Member { channel: _, address, role, tenancy, config } => {
                let member = Member::new(address.clone(), *role, *tenancy);
                Self::Member(Play::new(Part::Member, member, config))
            }
            Made::Messages { channel: _, config } => {
                Self::Messages(Play::new(Part::Messages, Messages::default(), config))
            }
            Made::Shuffle { channel: _, config } => {
                Self::Shuffle(Play::new(Part::Shuffle, Shuffle::default(), config))
            }
        }
    }

    /// The machine hears an event, and must answer these effects. How many they are.
    pub(super) fn step(&mut self, event: &Value, effects: Value, tally: &mut Tally) -> Result<usize, Fault> {
        match self {
            Self::Directory(play) => {
                let before = play.machine.clone();
                let count = play.step(event, effects, tally)?;
                channels(&play.config, &before, &play.machine, tally).map(|()| count)
            }
            Self::Member(play) => play.step(event, effects, tally),
            Self::Messages(play) => play.step(event, effects, tally),
            Self::Shuffle(play) => play.step(event, effects, tally),
        }
    }
}

/// A machine and its configuration.
pub(super) struct Play<M: Ruled> {
    part: Part,
    machine: M,
    config: M::Config,
}

impl<M> Play<M>
where
    M: Ruled<Config: Clone, Event: DeserializeOwned, Effect: DeserializeOwned + Serialize>,
{
    fn new(part: Part, machine: M, config: &M::Config) -> Box<Self> {
        Box::new(Self { part, machine, config: config.clone() })
    }

    fn step(&mut self, event: &Value, effects: Value, tally: &mut Tally) -> Result<usize, Fault> {
        let event: M::Event = known("event", event.clone())?;
        let recorded: Vec<M::Effect> = known("effects", effects)?;
        let before = self.machine.clone();
        let mut effects = Vec::new();
        self.machine.step(&self.config, event.clone(), &mut effects);
        if let Some(difference) = difference(&recorded, &effects) {
            return Err(Fault::Differs(difference));
        }
        let (config, after) = (&self.config, &self.machine);
        let step = Step { config, before: &before, event: &event, effects: &effects, after };
        let mut broken = Vec::new();
        tally.step(self.part, &step, &mut broken);
        held(&broken).map(|()| effects.len())
    }
}

/// A value of a recording, as what it must be.
fn known<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|error| {
        Fault::Unknown(format!(
            "the {what} cannot be those of this machine: {error}; was it recorded by another version?"
        ))
    })
}

/// Where two lists begin to differ.
fn difference<E: PartialEq + Serialize>(recorded: &[E], now: &[E]) -> Option<Difference> {
    let place = (0..recorded.len().max(now.len())).find(|place| recorded.get(*place) != now.get(*place))?;
    let text = |list: &[E]| list.get(place).map(|effect| serde_json::to_string(effect).unwrap_or_default());
    Some(Difference { effect: place + 1, recorded: text(recorded), now: text(now) })
}

fn held(broken: &[Broken]) -> Result<(), Fault> {
    broken.first().map_or(Ok(()), |broken| Err(Fault::Rule(*broken)))
}

/// The rules of the channels that an event has changed. A directory hides what each of them hears, so those about their
/// states are all that can be asked.
fn channels(
    config: &directory::Config,
    before: &Directory<Address>,
    after: &Directory<Address>,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let mut broken = Vec::new();
    for (id, listed) in after.channels.iter().filter(|(id, listed)| before.channels.get(id) != Some(listed)) {
        let config = after.config_of(config, *id, listed.kind);
        for (place, rule) in Channel::<Address>::RULES.iter().enumerate() {
            let verdict = (rule.check)(&config, &listed.channel);
            tally.add(Part::Controller, place, rule.name, verdict, &mut broken);
        }
    }
    held(&broken)
}
