//! The machines of a seat, and those who see what happens to them, from their first event on.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::machine::Machine;
use cirrus_core::member::Member;
use cirrus_core::messages::Messages;
use cirrus_core::rule::Ruled;
use cirrus_core::shuffle::Shuffle;
use cirrus_protocol::recording::Made;
use cirrus_protocol::zip::Address;
use serde::Serialize;

use super::Spec;
use crate::driver::{Driver, Observe};
use crate::zip::metrics::{OfMember, OfMessages, OfShuffle, Seat};
use crate::zip::recording::Recording;
use crate::zip::settings::Settings;

/// All that step for one seat.
pub(super) struct Machines {
    pub(super) member: Driver<Member<Address, Bytes>>,
    pub(super) messages: Driver<Messages<Address, Bytes>>,
    /// Of a channel of shuffles.
    pub(super) shuffle: Option<Driver<Shuffle<Address, Bytes>>>,
    /// What is counted of the seat, if anything is.
    pub(super) seat: Option<Arc<Seat>>,
}

impl Machines {
    /// Of a process that listens at this address.
    pub(super) fn new(spec: &Spec, address: &Address, settings: &Settings) -> Self {
        let channel = || (*spec.name).to_owned();
        let record = settings.recording.as_ref();
        let (role, shuffles) = (spec.role, spec.shuffles);
        let metrics = settings.metrics.as_ref();
        let seat = metrics.map(|it| it.seat(&spec.name, &spec.member, role.receives(), shuffles));
        let config = spec.member.clone();
        let made = Made::Member {
            channel: channel(),
            address: address.clone(),
            role,
            tenancy: spec.tenancy,
            config: config.clone(),
        };
        let member = Member::new(address.clone(), role, spec.tenancy);
        let counts = seat.clone().map(|seat| OfMember { seat, shuffles, held: (0, 0) });
        let member = observed(Driver::new(member, config), record, &made, counts);
        let config = settings.messages.clone();
        let made = Made::Messages { channel: channel(), config: config.clone() };
        let messages = Driver::new(Messages::default(), config);
        let messages = observed(messages, record, &made, seat.clone().map(OfMessages));
        let shuffle = spec.shuffles.then(|| {
            let config = settings.shuffle.clone();
            let made = Made::Shuffle { channel: channel(), config: config.clone() };
            let counts = seat.clone().map(|seat| OfShuffle { seat, open: false });
            observed(Driver::new(Shuffle::default(), config), record, &made, counts)
        });
        Self { member, messages, shuffle, seat }
    }
}

/// A machine, recorded and counted where that is wanted.
fn observed<M>(
    driver: Driver<M>,
    recording: Option<&Recording>,
    made: &Made,
    counts: Option<impl Observe<M> + 'static>,
) -> Driver<M>
where
    M: Ruled + Machine<Event: Serialize, Effect: Serialize>,
{
    let recorded = recording.map(|recording| recording.machine(made));
    driver.observed(recorded).observed(counts.map(|counts| Box::new(counts) as Box<dyn Observe<M>>))
}
