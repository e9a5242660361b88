//! What is counted of a controller: from the events and effects of its directory.

use std::collections::BTreeMap;

use cirrus_core::channel::ToMember;
use cirrus_core::directory::{Directory, Effect, Event};
use cirrus_core::ids::ChannelId;
use cirrus_core::{controller, ids::ControllerEpoch};
use cirrus_protocol::zip::Address;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::{Metrics, Traffic};
use crate::driver::Observe;

/// The directory of a controller.
#[derive(Debug)]
pub(in crate::zip) struct OfDirectory {
    epoch: Gauge,
    channels: Gauge,
    members: Gauge,
    joins: Counter,
    refusals: Counter,
    leaves: Counter,
    deaths: Counter,
    reattaches: Counter,
    assignments: Counter,
    probes: Counter,
    /// The channel that the step is about, if its event says so.
    about: Option<ChannelId>,
    /// How many members each channel has, and all together.
    sizes: BTreeMap<ChannelId, u32>,
    total: u64,
}

impl Metrics {
    /// A controller begins.
    pub(in crate::zip) fn directory(&self) -> OfDirectory {
        let all = &self.0.controller;
        OfDirectory {
            epoch: all.epoch.get_or_create_owned(&[]),
            channels: all.channels.get_or_create_owned(&[]),
            members: all.members.get_or_create_owned(&[]),
            joins: all.joins.get_or_create_owned(&[]),
            refusals: all.refusals.get_or_create_owned(&[]),
            leaves: all.leaves.get_or_create_owned(&[]),
            deaths: all.deaths.get_or_create_owned(&[]),
            reattaches: all.reattaches.get_or_create_owned(&[]),
            assignments: all.assignments.get_or_create_owned(&[]),
            probes: all.probes.get_or_create_owned(&[]),
            about: None,
            sizes: BTreeMap::new(),
            total: 0,
        }
    }

    /// Of its connections.
    pub(in crate::zip) fn controller_traffic(&self) -> Traffic {
        self.0.controller.traffic.of(&[])
    }
}

impl Observe<Directory<Address>> for OfDirectory {
    fn event(&mut self, event: &Event<Address>) {
        self.about = match event {
            Event::Again(again) => {
                self.reattaches.inc();
                Some(again.channel)
            }
            Event::From { channel, .. }
            | Event::Suspected { channel, .. }
            | Event::Disconnected { channel, .. }
            | Event::Expiring { channel, .. }
            | Event::Reshape { channel, .. }
            | Event::Timer { channel, .. } => Some(*channel),
            Event::Started { .. } | Event::Persisted(_) | Event::PersistFailed(_) => None,
            Event::Open { .. } | Event::Close { .. } | Event::Join(_) | Event::WindowEnds(_) => None,
        };
    }

    fn answered(&mut self, machine: &Directory<Address>, effects: &[Effect<Address>]) {
        let mut released = 0;
        let mut before = None;
        for effect in effects {
            let (channel, effect) = match effect {
                Effect::Ready(ControllerEpoch(epoch)) => {
                    self.epoch.set(i64::from(*epoch));
                    continue;
                }
                Effect::Refuse { .. } | Effect::Reject(_) => {
                    self.refusals.inc();
                    continue;
                }
                Effect::Channel { channel, effect } => (channel, effect),
                Effect::Persist(_) | Effect::CannotBegin | Effect::SetWindow { .. } => continue,
                Effect::Opened(_) | Effect::Closed(_) => continue,
            };
            before = before.or(Some(*channel));
            match effect {
                controller::Effect::Accept { .. } => _ = self.joins.inc(),
                controller::Effect::Send { message: ToMember::Assign(_), .. } => _ = self.assignments.inc(),
                controller::Effect::Send { message: ToMember::Probe(_), .. } => _ = self.probes.inc(),
                controller::Effect::Send { message: ToMember::Released, .. } => released += 1,
                controller::Effect::Send { .. } | controller::Effect::Refuse { .. } => {}
                controller::Effect::SetTimer { .. } | controller::Effect::ClearTimer(_) => {}
            }
        }
        if let Some(channel) = self.about.take().or(before) {
            let gone = self.resize(machine, channel);
            self.leaves.inc_by(released.min(gone));
            self.deaths.inc_by(gone.saturating_sub(released));
        }
        self.channels.set(self.sizes.len() as i64);
        self.members.set(i64::try_from(self.total).unwrap_or(i64::MAX));
    }
}

impl OfDirectory {
    /// Takes note of how many are in a channel now. How many fewer.
    fn resize(&mut self, machine: &Directory<Address>, channel: ChannelId) -> u64 {
        let now = machine.channels.get(&channel).map_or(0, |listed| listed.channel.all.census.count);
        let before = if now == 0 { self.sizes.remove(&channel) } else { self.sizes.insert(channel, now) };
        let (before, now) = (u64::from(before.unwrap_or_default()), u64::from(now));
        self.total = self.total + now - before;
        before.saturating_sub(now)
    }
}
