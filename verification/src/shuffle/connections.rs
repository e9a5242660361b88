//! Direct connections: calls that arrive, ends that close, and who notices.

use std::collections::VecDeque;
use std::sync::Arc;

use cirrus_core::direct::{LineEffect, LineEvent};
use cirrus_core::ids::MemberId;
use cirrus_core::shuffle::{Event, Parcel};

use super::action::Pair;
use super::run::Run;
use super::{Address, Piece, Timer, Wire};
use crate::zip::End;

impl Run<'_, '_> {
    pub(super) fn wire(&mut self, pair: Pair) -> Option<&mut Wire> {
        self.group.wires.get_mut(&pair).map(Arc::make_mut)
    }

    fn id(&self, address: Address) -> Option<MemberId> {
        self.group.processes.get(address as usize)?.shuffle.id
    }

    fn line(&mut self, address: Address, event: LineEvent<Parcel<Piece>>) {
        self.for_shuffle(address, Event::Line(event));
    }

    pub(super) fn on_line(&mut self, me: Address, effect: LineEffect<Address, Parcel<Piece>>) {
        let seats = Arc::clone(&self.group.seats);
        let other = |it: &MemberId| seats.get(it).copied();
        match effect {
            LineEffect::Dial { address, .. } => self.dial((me, address)),
            LineEffect::Hang(to) => _ = other(&to).map(|to| self.hang((me, to), true)),
            LineEffect::HangCaller(from) => _ = other(&from).map(|from| self.hang((from, me), false)),
            LineEffect::Send { to, position, item } => {
                let Some(wire) = other(&to).and_then(|to| self.wire((me, to))) else { return };
                if !wire.dialling && !wire.broken && wire.called_end == End::Open {
                    wire.up.push_back((position, item));
                }
            }
            LineEffect::Have { to, have } => {
                let Some(wire) = other(&to).and_then(|to| self.wire((to, me))) else { return };
                if !wire.dialling && !wire.broken && wire.caller_end == End::Open {
                    wire.down.push_back(have);
                }
            }
            LineEffect::SetTimer { timer, .. } => _ = self.group.timers.insert(Timer::Shuffle(me, timer)),
            LineEffect::ClearTimer(timer) => _ = self.group.timers.remove(&Timer::Shuffle(me, timer)),
        }
    }

    fn dial(&mut self, pair: Pair) {
        // A new call ends the connection that the called one still has open.
        let old = self.group.wires.get(&pair);
        if old.is_some_and(|wire| wire.called_end == End::Open && !wire.dialling)
            && let Some(caller) = self.id(pair.0)
        {
            self.line(pair.1, LineEvent::CallerDown(caller));
        }
        let (up, down) = (VecDeque::new(), VecDeque::new());
        let (caller_end, called_end) = (End::Open, End::Shut);
        let wire = Wire { dialling: true, broken: false, caller_end, called_end, up, down };
        self.group.wires.insert(pair, Arc::new(wire));
    }

    pub(super) fn connect(&mut self, pair: Pair) {
        let (Some(caller), Some(called)) = (self.id(pair.0), self.id(pair.1)) else { return };
        if self.group.live(pair.1).is_some() {
            if let Some(wire) = self.wire(pair) {
                wire.dialling = false;
                wire.called_end = End::Open;
            }
            self.line(pair.0, LineEvent::Up(called));
            self.line(pair.1, LineEvent::Called(caller));
        } else {
            self.group.wires.remove(&pair);
            self.line(pair.0, LineEvent::Down(called));
        }
    }

    pub(super) fn up(&mut self, pair: Pair) {
        let Some(from) = self.id(pair.0) else { return };
        let Some(wire) = self.wire(pair) else { return };
        if let Some((position, item)) = wire.up.pop_front() {
            return self.line(pair.1, LineEvent::Item { from, position, item });
        }
        self.hang(pair, false);
        self.line(pair.1, LineEvent::CallerDown(from));
    }

    pub(super) fn down(&mut self, pair: Pair) {
        let Some(from) = self.id(pair.1) else { return };
        let Some(wire) = self.wire(pair) else { return };
        if let Some(have) = wire.down.pop_front() {
            return self.line(pair.0, LineEvent::Have { from, have });
        }
        self.hang(pair, true);
        self.line(pair.0, LineEvent::Down(from));
    }

    /// One end of a connection is closed.
    fn hang(&mut self, pair: Pair, by_caller: bool) {
        let Some(wire) = self.wire(pair) else { return };
        if by_caller {
            wire.caller_end = End::Shut;
            wire.down.clear();
        } else if !wire.dialling {
            wire.called_end = End::Shut;
            wire.up.clear();
        }
        if wire.caller_end == End::Shut && wire.called_end == End::Shut {
            self.group.wires.remove(&pair);
        }
    }

    /// Closes all direct connections of a process.
    pub(super) fn hang_all(&mut self, address: Address, kept: bool) {
        let pairs: Vec<Pair> = self.group.wires.keys().copied().collect();
        for pair in pairs.into_iter().filter(|(caller, called)| [*caller, *called].contains(&address)) {
            let Some(wire) = self.wire(pair) else { continue };
            if !kept && pair.0 == address {
                wire.up.clear();
            }
            if !kept && pair.1 == address {
                wire.down.clear();
            }
            if pair.0 == address {
                self.hang(pair, true);
            }
            if pair.1 == address {
                self.hang(pair, false);
            }
        }
    }
}
