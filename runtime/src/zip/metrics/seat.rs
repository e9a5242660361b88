//! What is counted of a seat: from the events and effects of its machines.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::channel::ToMember;
use cirrus_core::member::{self, End, Kind, Member, Reduction};
use cirrus_core::messages::{self, Messages, Outcome};
use cirrus_core::shuffle::{self, Shuffle};
use cirrus_protocol::zip::Address;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::{Labels, Metrics, Traffic};
use crate::driver::Observe;

/// One seat in a channel. Its machines share it, and it counts as a seat until the last of them is gone.
#[derive(Debug)]
pub(in crate::zip) struct Seat {
    metrics: Metrics,
    channel: String,
    kind: Kind,
    /// The results of the channel are for this one.
    handles: bool,
    seats: Gauge,
    rounds_completed: Counter,
    rounds_aborted: Counter,
    values_missing: Counter,
    messages_received: Counter,
    held_rounds: Gauge,
    held_bytes: Gauge,
    assignments: Counter,
    links_made: Counter,
    links_lost: Counter,
    controller_losses: Counter,
}

/// What a channel is called by its kind, in labels and spans.
pub(in crate::zip) fn kind(kind: Kind, shuffles: bool) -> &'static str {
    match kind {
        Kind::Broadcast if shuffles => "shuffle",
        Kind::Broadcast => "broadcast",
        Kind::Reduce => "reduce",
        Kind::Handled => "handled",
    }
}

impl Metrics {
    /// A process takes a seat in a channel of this kind.
    pub(in crate::zip) fn seat(
        &self,
        channel: &str,
        config: &member::Config,
        receives: bool,
        shuffles: bool,
    ) -> Arc<Seat> {
        let all = &self.0.seats;
        let one: Labels<1> = [("channel", channel.to_owned())];
        let both = [("channel", channel.to_owned()), ("kind", kind(config.kind, shuffles).to_owned())];
        let limit = i64::from(config.window.saturating_add(config.buffer));
        all.held_rounds_limit.get_or_create(&one).set(limit);
        let seat = Seat {
            metrics: self.clone(),
            channel: channel.to_owned(),
            kind: config.kind,
            handles: config.kind.is_handled() && receives,
            seats: all.seats.get_or_create_owned(&both),
            rounds_completed: all.rounds_completed.get_or_create_owned(&both),
            rounds_aborted: all.rounds_aborted.get_or_create_owned(&both),
            values_missing: all.values_missing.get_or_create_owned(&one),
            messages_received: all.messages_received.get_or_create_owned(&one),
            held_rounds: all.held_rounds.get_or_create_owned(&one),
            held_bytes: all.held_bytes.get_or_create_owned(&one),
            assignments: all.assignments.get_or_create_owned(&one),
            links_made: all.links_made.get_or_create_owned(&one),
            links_lost: all.links_lost.get_or_create_owned(&one),
            controller_losses: all.controller_losses.get_or_create_owned(&one),
        };
        seat.seats.inc();
        Arc::new(seat)
    }

    /// A call of an application was answered after so many seconds.
    pub(in crate::zip) fn called(&self, channel: &str, call: &str, seconds: f64) {
        let labels = [("channel", channel.to_owned()), ("call", call.to_owned())];
        self.0.seats.calls.get_or_create(&labels).observe(seconds);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.dec();
    }
}

impl Seat {
    /// Of its connections to other members.
    pub(in crate::zip) fn traffic(&self) -> Traffic {
        self.metrics.0.seats.traffic.of(&[("channel", self.channel.clone())])
    }

    fn ended(&self, end: End) {
        let end = match end {
            End::Left => "left",
            End::Fenced => "fenced",
            End::Overdue => "overdue",
        };
        let labels = [("channel", self.channel.clone()), ("end", end.to_owned())];
        self.metrics.0.seats.ended.get_or_create(&labels).inc();
    }

    fn sent(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Delivered => "delivered",
            Outcome::Lost => "lost",
            Outcome::Indeterminate => "indeterminate",
        };
        let labels = [("channel", self.channel.clone()), ("outcome", outcome.to_owned())];
        self.metrics.0.seats.messages_sent.get_or_create(&labels).inc();
    }

    fn round(&self, whole: bool) {
        if whole {
            self.rounds_completed.inc()
        } else {
            self.rounds_aborted.inc()
        };
    }
}

/// The member of a seat.
#[derive(Debug)]
pub(in crate::zip) struct OfMember {
    pub(in crate::zip) seat: Arc<Seat>,
    /// Its rounds are rosters of shuffles, and no rounds of the application.
    pub(in crate::zip) shuffles: bool,
    /// What it keeps, as last told.
    pub(in crate::zip) held: (i64, i64),
}

impl Observe<Member<Address, Bytes>> for OfMember {
    fn event(&mut self, event: &member::Event<Address, Bytes>) {
        use member::Event;
        match event {
            Event::Controller(ToMember::Assign(_)) => _ = self.seat.assignments.inc(),
            Event::LinkUp(_) => _ = self.seat.links_made.inc(),
            Event::LinkDown(_) => _ = self.seat.links_lost.inc(),
            Event::ControllerLost { .. } => _ = self.seat.controller_losses.inc(),
            _ => {}
        }
    }

    fn answered(&mut self, machine: &Member<Address, Bytes>, effects: &[member::Effect<Address, Bytes>]) {
        use member::Effect;
        let by_delivery = !self.shuffles && (self.seat.kind == Kind::Broadcast || self.seat.handles);
        for effect in effects {
            match effect {
                Effect::Deliver { pieces, .. } if by_delivery => self.seat.round(pieces.is_some()),
                Effect::Reduced { outcome, .. } => {
                    if let Reduction::Sealed(missing) = outcome {
                        let many = missing.late.len() + missing.departed.len() + missing.more as usize;
                        self.seat.values_missing.inc_by(many as u64);
                    }
                    if !by_delivery {
                        self.seat.round(matches!(outcome, Reduction::Sealed(_)));
                    }
                }
                Effect::Ended(end) => self.seat.ended(*end),
                _ => {}
            }
        }
        let rounds = machine.broadcast.rounds.iter();
        let pieces = rounds.flat_map(|(_, held)| &held.pieces);
        let bytes = pieces.map(|piece| piece.len() as i64).sum();
        self.holds((i64::from(machine.broadcast.rounds.len()), bytes));
    }
}

impl OfMember {
    /// Seats in one channel add up.
    fn holds(&mut self, now: (i64, i64)) {
        self.seat.held_rounds.inc_by(now.0 - self.held.0);
        self.seat.held_bytes.inc_by(now.1 - self.held.1);
        self.held = now;
    }
}

impl Drop for OfMember {
    fn drop(&mut self) {
        self.holds((0, 0));
    }
}

/// The messages of a seat.
#[derive(Debug)]
pub(in crate::zip) struct OfMessages(pub(in crate::zip) Arc<Seat>);

impl Observe<Messages<Address, Bytes>> for OfMessages {
    fn event(&mut self, _: &messages::Event<Address, Bytes>) {}

    fn answered(&mut self, _: &Messages<Address, Bytes>, effects: &[messages::Effect<Address, Bytes>]) {
        for effect in effects {
            match effect {
                messages::Effect::Sent { outcome, .. } => self.0.sent(*outcome),
                messages::Effect::Received { pieces: Some(_), .. } => _ = self.0.messages_received.inc(),
                _ => {}
            }
        }
    }
}

/// The shuffles of a seat.
#[derive(Debug)]
pub(in crate::zip) struct OfShuffle {
    pub(in crate::zip) seat: Arc<Seat>,
    /// A round is under way.
    pub(in crate::zip) open: bool,
}

impl Observe<Shuffle<Address, Bytes>> for OfShuffle {
    fn event(&mut self, _: &shuffle::Event<Address, Bytes>) {}

    fn answered(&mut self, machine: &Shuffle<Address, Bytes>, effects: &[shuffle::Effect<Address, Bytes>]) {
        use shuffle::Effect;
        let mut ended = false;
        for effect in effects {
            match effect {
                Effect::Received { lost, .. } | Effect::Sent { lost, .. } => {
                    self.seat.values_missing.inc_by(lost.len() as u64);
                }
                Effect::Begun { .. } => self.open = true,
                Effect::Ended(_) => ended = true,
                _ => {}
            }
        }
        if self.open && machine.open.is_none() {
            self.open = false;
            self.seat.round(!ended);
        }
    }
}
