//! What comes from outside, as events.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use cirrus_core::channel::{Frame, ToMember};
use cirrus_core::direct::{Have, LineEvent};
use cirrus_core::directory::Refusal;
use cirrus_core::ids::{ControllerEpoch, MemberId};
use cirrus_core::shuffle;
use cirrus_core::{member, messages};
use cirrus_protocol::zip::{ControllerReply, PeerMessage, Purpose};
use cirrus_transport::{Transport, TransportError};

use super::connections::{End, Route};
use super::{CALL_AGAIN, Control, JOIN_AGAIN, News, Shell, Timer, Todo};
use crate::zip::error::{ZipError, in_words};

/// What happens on a connection past the tree, but for the things that it carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Up,
    Down,
    Refused,
    Called,
    CallerDown,
    Have(Have),
}

impl Change {
    fn of<T>(self, with: MemberId) -> LineEvent<T> {
        match self {
            Self::Up => LineEvent::Up(with),
            Self::Down => LineEvent::Down(with),
            Self::Refused => LineEvent::Refused(with),
            Self::Called => LineEvent::Called(with),
            Self::CallerDown => LineEvent::CallerDown(with),
            Self::Have(have) => LineEvent::Have { from: with, have },
        }
    }
}

impl<M: Transport> Shell<M> {
    pub(super) fn heard(&mut self, news: News<M>) {
        match news {
            News::Dialled(route, nth, made) => {
                if self.connections.is_current(route, nth) {
                    self.dialled(route, made);
                }
            }
            News::Called(end, first) => self.taken_call(end, first),
            News::Said(route, nth, message) => {
                if self.connections.is_current(route, nth) && !self.said(route, message) {
                    tracing::warn!("what came on a connection for {route:?} does not belong there");
                    self.lost(route);
                }
            }
            News::Ended(route, nth) => {
                if self.connections.is_current(route, nth) {
                    self.lost(route);
                }
            }
        }
    }

    pub(super) fn controlled(&mut self, control: Control) {
        match control {
            Control::Up(outbox, epoch) => {
                self.controller = Some(outbox);
                self.controller_up(epoch);
            }
            Control::Down(error) => {
                self.controller = None;
                if let Some(error) = error {
                    self.application.unreachable(error);
                }
                self.controller_lost();
            }
            Control::Said(reply) => self.replied(reply),
        }
    }

    fn controller_lost(&mut self) {
        if self.member.machine().id.is_none() {
            // There is no member yet that would say when.
            return self.timers.set(Timer::CallAgain, CALL_AGAIN);
        }
        let random = RandomState::new().build_hasher().finish();
        self.todo.push_back(Todo::Member(member::Event::ControllerLost { luck: random as u32 }));
    }

    fn controller_up(&mut self, epoch: ControllerEpoch) {
        if self.channel.is_none() {
            return self.ask_to_join();
        }
        self.todo.push_back(Todo::Member(member::Event::ControllerUp { epoch }));
        self.todo.push_back(Todo::Messages(messages::Event::ControllerUp));
        self.todo.push_back(Todo::Shuffle(shuffle::Event::ControllerUp));
        self.call_roll();
    }

    fn replied(&mut self, reply: ControllerReply) {
        match reply {
            ControllerReply::Hello { .. } => {} // The connection keeps it.
            ControllerReply::Accepted { channel, .. } => self.channel = Some(channel),
            ControllerReply::Refused { reason: Refusal::Recovering, .. } => {
                self.timers.set(Timer::JoinAgain, JOIN_AGAIN); // It says: ask again.
            }
            ControllerReply::Refused { reason, .. } => {
                let channel = self.spec.name.clone();
                self.application.not_joined(ZipError::NotAdmitted { channel, reason });
                self.over = Some(member::End::Left);
            }
            ControllerReply::Rejected(reason) => {
                // It is called again as after any other end of the connection.
                tracing::warn!(
                    "the controller does not listen to a member of {}: {reason:?}",
                    self.spec.name
                );
            }
            ControllerReply::To { member, message, .. } => {
                let own = self.member.machine().id.is_none_or(|id| id == member);
                if !own {
                    return;
                }
                match &message {
                    ToMember::Roll(roll) => self.application.called_roll(roll),
                    ToMember::Gone(gone) => tracing::info!(gone = in_words(*gone), "a member is gone"),
                    ToMember::Welcome(me) => _ = tracing::Span::current().record("member", in_words(*me)),
                    ToMember::Assign(_) | ToMember::Probe(_) | ToMember::Fenced | ToMember::Released => {}
                }
                let welcome = matches!(message, ToMember::Welcome(_));
                self.told(message);
                if welcome {
                    self.begin();
                }
            }
        }
    }

    fn dialled(&mut self, route: Route, made: Result<End<M>, TransportError>) {
        let (Some(channel), Some(me)) = (self.channel, self.member.machine().id) else { return };
        let end = match made {
            Ok(end) => end,
            Err(error) => {
                tracing::debug!("{error}");
                return self.lost(route);
            }
        };
        self.connections.open(route, end, self.inbox.clone());
        match route {
            Route::Link(link) => self.todo.push_back(Todo::Member(member::Event::LinkUp(link))),
            Route::Root(term) => {
                self.connections.send(route, PeerMessage::Sender { channel, term, from: me });
                self.todo.push_back(Todo::Member(member::Event::RootUp(term)));
            }
            Route::To(purpose, to) => {
                self.connections.send(route, PeerMessage::Caller { channel, from: me, to, purpose });
                self.line(purpose, to, Change::Up);
            }
            Route::Submitter(_) | Route::From(..) => {} // Others call for these.
        }
    }

    /// Somebody calls. Who means another channel, or another member, is let go: another process listened here before.
    fn taken_call(&mut self, end: End<M>, first: PeerMessage) {
        let (own, me) = (self.channel, self.member.machine().id);
        match first {
            PeerMessage::Link { channel, link, frame: frame @ Frame::Attach } if own == Some(channel) => {
                self.arrived(Route::Link(link), end);
                self.todo.push_back(Todo::Member(member::Event::Frame { link, frame }));
            }
            PeerMessage::Sender { channel, from, .. } if own == Some(channel) => {
                self.arrived(Route::Submitter(from), end);
            }
            PeerMessage::Caller { channel, from, to, purpose } if own == Some(channel) && me == Some(to) => {
                self.arrived(Route::From(purpose, from), end);
                self.line(purpose, from, Change::Called);
            }
            PeerMessage::Link { .. }
            | PeerMessage::Sender { .. }
            | PeerMessage::Caller { .. }
            | PeerMessage::Submit { .. }
            | PeerMessage::Go { .. }
            | PeerMessage::Collect { .. }
            | PeerMessage::Hand { .. }
            | PeerMessage::Item { .. }
            | PeerMessage::Part { .. }
            | PeerMessage::Have { .. }
            | PeerMessage::Fenced { .. } => {
                tracing::debug!("{} calls for something that is not here", end.peer);
            }
        }
    }

    /// A call takes the place of the connection that its route had: of that one nothing more is heard.
    fn arrived(&mut self, route: Route, end: End<M>) {
        if self.connections.is_open(route) {
            self.lost(route);
        }
        self.connections.open(route, end, self.inbox.clone());
    }

    /// A connection is gone, or could not be made.
    fn lost(&mut self, route: Route) {
        self.connections.hang(route);
        let event = match route {
            Route::Link(link) => member::Event::LinkDown(link),
            Route::Root(term) => member::Event::RootDown(term),
            Route::Submitter(from) => member::Event::SubmitterDown(from),
            Route::To(purpose, to) => return self.line(purpose, to, Change::Down),
            Route::From(purpose, from) => return self.line(purpose, from, Change::CallerDown),
        };
        self.todo.push_back(Todo::Member(event));
    }

    fn line(&mut self, purpose: Purpose, with: MemberId, change: Change) {
        self.todo.push_back(match purpose {
            Purpose::Shuffle => Todo::Shuffle(shuffle::Event::Line(change.of(with))),
            Purpose::Messages => Todo::Messages(messages::Event::Line(change.of(with))),
        });
    }

    /// Something is said on a connection. Whether it belongs there.
    fn said(&mut self, route: Route, message: PeerMessage) -> bool {
        let event = match (route, message) {
            (Route::Link(link), PeerMessage::Link { link: named, frame, .. }) if named == link => {
                Todo::Member(member::Event::Frame { link, frame })
            }
            (Route::Root(_), PeerMessage::Go { term, sequence, index, .. }) => {
                Todo::Member(member::Event::Go { term, sequence, index })
            }
            (Route::Submitter(from), PeerMessage::Submit { submit, .. }) => {
                Todo::Member(member::Event::Submitted { from, submit })
            }
            (Route::Submitter(from), PeerMessage::Collect { resume, .. }) => {
                Todo::Member(member::Event::Collected { from, resume })
            }
            (Route::Root(_), PeerMessage::Hand { chunk, .. }) => Todo::Member(member::Event::Handed(chunk)),
            (Route::To(purpose, to), PeerMessage::Have { have, .. }) => {
                self.line(purpose, to, Change::Have(have));
                return true;
            }
            (Route::To(purpose, to), PeerMessage::Fenced { .. }) => {
                self.line(purpose, to, Change::Refused);
                return true;
            }
            (Route::From(Purpose::Shuffle, from), PeerMessage::Item { position, item, .. }) => {
                Todo::Shuffle(shuffle::Event::Line(LineEvent::Item { from, position, item }))
            }
            (Route::From(Purpose::Messages, from), PeerMessage::Part { position, part, .. }) => {
                Todo::Messages(messages::Event::Line(LineEvent::Item { from, position, item: part }))
            }
            _ => return false,
        };
        self.todo.push_back(event);
        true
    }
}
