//! The machines of a seat, and the recording that hears them from their first event on.

use bytes::Bytes;
use cirrus_core::member::Member;
use cirrus_core::messages::Messages;
use cirrus_core::shuffle::Shuffle;
use cirrus_protocol::recording::Made;
use cirrus_protocol::zip::Address;

use super::{Spec, TENANCY};
use crate::driver::Driver;
use crate::zip::settings::Settings;

/// All that step for one seat.
pub(super) struct Machines {
    pub(super) member: Driver<Member<Address, Bytes>>,
    pub(super) messages: Driver<Messages<Address, Bytes>>,
    /// Of a channel of shuffles.
    pub(super) shuffle: Option<Driver<Shuffle<Address, Bytes>>>,
}

impl Machines {
    /// Of a process that listens at this address.
    pub(super) fn new(spec: &Spec, address: &Address, settings: &Settings) -> Self {
        let channel = || (*spec.name).to_owned();
        let record = settings.recording.as_ref();
        let (role, config) = (spec.role, spec.member.clone());
        let made = Made::Member {
            channel: channel(),
            address: address.clone(),
            role,
            tenancy: TENANCY,
            config: config.clone(),
        };
        let member = Driver::new(Member::new(address.clone(), role, TENANCY), config)
            .recorded(record.map(|recording| recording.machine(&made)));
        let config = settings.messages.clone();
        let made = Made::Messages { channel: channel(), config: config.clone() };
        let messages = Driver::new(Messages::default(), config)
            .recorded(record.map(|recording| recording.machine(&made)));
        let shuffle = spec.shuffles.then(|| {
            let config = settings.shuffle.clone();
            let made = Made::Shuffle { channel: channel(), config: config.clone() };
            Driver::new(Shuffle::default(), config).recorded(record.map(|recording| recording.machine(&made)))
        });
        Self { member, messages, shuffle }
    }
}
