//! Direct connections: calls that arrive, ends that close, and who notices.

use std::collections::VecDeque;
use std::sync::Arc;

use cirrus_core::direct::{LineEffect, LineEvent};
use cirrus_core::ids::MemberId;

use super::{Item, News, Pair, Pipe};
use crate::zip::run::Run;
use crate::zip::{Action, Address, End, Timer};

impl Run<'_, '_> {
    pub(in crate::zip) fn pipe(&mut self, pair: Pair) -> Option<&mut Pipe> {
        self.mesh.pipes.get_mut(&pair).map(Arc::make_mut)
    }

    fn id(&self, address: Address) -> Option<MemberId> {
        self.mesh.processes.get(address as usize)?.machine.id
    }

    fn line(&mut self, address: Address, event: LineEvent<Item>) {
        self.for_beside(address, News::Line(event));
    }

    pub(super) fn on_line<T>(&mut self, me: Address, effect: LineEffect<Address, T>, item: fn(T) -> Item) {
        let seats = Arc::clone(&self.mesh.seats);
        let other = |it: &MemberId| seats.get(it).copied();
        match effect {
            LineEffect::Dial { address, .. } => self.dial_pipe((me, address)),
            LineEffect::Hang(to) => _ = other(&to).map(|to| self.hang_pipe((me, to), true)),
            LineEffect::HangCaller(from) => _ = other(&from).map(|from| self.hang_pipe((from, me), false)),
            LineEffect::Refuse(from) => {
                let Some(pair) = other(&from).map(|from| (from, me)) else { return };
                if let Some(pipe) = self.pipe(pair) {
                    pipe.refused = !pipe.broken;
                }
                self.hang_pipe(pair, false);
            }
            LineEffect::Send { to, position, item: thing } => {
                let Some(pair) = other(&to).map(|to| (me, to)) else { return };
                let Some(pipe) = self.pipe(pair) else { return };
                if !pipe.dialling && !pipe.broken && pipe.called_end == End::Open {
                    pipe.up.push_back((position, item(thing)));
                    self.sent(Action::PipeUp(pair));
                }
            }
            LineEffect::Have { to, have } => {
                let Some(pair) = other(&to).map(|to| (to, me)) else { return };
                let Some(pipe) = self.pipe(pair) else { return };
                if !pipe.dialling && !pipe.broken && pipe.caller_end == End::Open {
                    pipe.down.push_back(have);
                    self.sent(Action::PipeDown(pair));
                }
            }
            LineEffect::SetTimer { timer, after } => self.set(Timer::Beside(me, timer), after),
            LineEffect::ClearTimer(timer) => _ = self.mesh.timers.remove(&Timer::Beside(me, timer)),
        }
    }

    fn dial_pipe(&mut self, pair: Pair) {
        // A new call ends the connection that the called one still has open.
        let old = self.mesh.pipes.get(&pair);
        if old.is_some_and(|pipe| pipe.called_end == End::Open && !pipe.dialling)
            && let Some(caller) = self.id(pair.0)
        {
            self.line(pair.1, LineEvent::CallerDown(caller));
        }
        let (up, down) = (VecDeque::new(), VecDeque::new());
        let (caller_end, called_end) = (End::Open, End::Shut);
        let pipe = Pipe { dialling: true, broken: false, refused: false, caller_end, called_end, up, down };
        self.mesh.pipes.insert(pair, Arc::new(pipe));
        self.sent(Action::ConnectPipe(pair));
    }

    pub(in crate::zip) fn connect_pipe(&mut self, pair: Pair) {
        let (Some(caller), Some(called)) = (self.id(pair.0), self.id(pair.1)) else { return };
        if self.mesh.live(pair.1).is_some() {
            if let Some(pipe) = self.pipe(pair) {
                pipe.dialling = false;
                pipe.called_end = End::Open;
            }
            self.line(pair.0, LineEvent::Up(called));
            self.line(pair.1, LineEvent::Called(caller));
        } else {
            self.mesh.pipes.remove(&pair);
            self.line(pair.0, LineEvent::Down(called));
        }
    }

    pub(in crate::zip) fn pipe_up(&mut self, pair: Pair) {
        let Some(from) = self.id(pair.0) else { return };
        let Some(pipe) = self.pipe(pair) else { return };
        if let Some((position, item)) = pipe.up.pop_front() {
            return self.line(pair.1, LineEvent::Item { from, position, item });
        }
        self.hang_pipe(pair, false);
        self.line(pair.1, LineEvent::CallerDown(from));
    }

    pub(in crate::zip) fn pipe_down(&mut self, pair: Pair) {
        let Some(from) = self.id(pair.1) else { return };
        let Some(pipe) = self.pipe(pair) else { return };
        if let Some(have) = pipe.down.pop_front() {
            return self.line(pair.0, LineEvent::Have { from, have });
        }
        let refused = pipe.refused;
        self.hang_pipe(pair, true);
        self.line(pair.0, if refused { LineEvent::Refused(from) } else { LineEvent::Down(from) });
    }

    /// One end of a connection is closed.
    fn hang_pipe(&mut self, pair: Pair, by_caller: bool) {
        let Some(pipe) = self.pipe(pair) else { return };
        if by_caller {
            pipe.caller_end = End::Shut;
            pipe.down.clear();
        } else if !pipe.dialling {
            pipe.called_end = End::Shut;
            pipe.up.clear();
        }
        if pipe.caller_end == End::Shut && pipe.called_end == End::Shut {
            self.mesh.pipes.remove(&pair);
        } else {
            self.sent(if by_caller { Action::PipeUp(pair) } else { Action::PipeDown(pair) });
        }
    }

    /// Closes all direct connections of a process.
    pub(in crate::zip) fn hang_pipes(&mut self, address: Address, kept: bool) {
        let pairs: Vec<Pair> = self.mesh.pipes.keys().copied().collect();
        for pair in pairs.into_iter().filter(|(caller, called)| [*caller, *called].contains(&address)) {
            let Some(pipe) = self.pipe(pair) else { continue };
            if !kept && pair.0 == address {
                pipe.up.clear();
            }
            if !kept && pair.1 == address {
                pipe.down.clear();
            }
            if pair.0 == address {
                self.hang_pipe(pair, true);
            }
            if pair.1 == address {
                self.hang_pipe(pair, false);
            }
        }
    }

    /// A direct connection breaks; what was under way is lost, or still arrives.
    pub(in crate::zip) fn break_pipe(&mut self, pair: Pair, kept: bool) {
        let Some(pipe) = self.pipe(pair) else { return };
        pipe.broken = true;
        if !kept {
            pipe.refused = false;
            pipe.up.clear();
            pipe.down.clear();
        }
        self.sent(Action::PipeUp(pair));
        self.sent(Action::PipeDown(pair));
    }

    /// The next thing on a connection comes once more, at the end.
    pub(in crate::zip) fn repeat(&mut self, pair: Pair) {
        let Some(pipe) = self.pipe(pair) else { return };
        pipe.up.extend(pipe.up.front().copied());
        pipe.down.extend(pipe.down.front().copied());
    }

    /// The last thing on a connection comes first.
    pub(in crate::zip) fn overtake(&mut self, pair: Pair) {
        let Some(pipe) = self.pipe(pair) else { return };
        pipe.up.rotate_right(usize::from(pipe.up.len() > 1));
        pipe.down.rotate_right(usize::from(pipe.down.len() > 1));
    }
}
