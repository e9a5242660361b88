//! What the machines and the application ask for, carried out.

use std::collections::VecDeque;

use bytes::Bytes;
use cirrus_core::channel::{Head, ToController};
use cirrus_core::direct::LineEffect;
use cirrus_core::ids::{MemberId, Position, Stamp};
use cirrus_core::member::{self, Kind};
use cirrus_core::{messages, shuffle};
use cirrus_protocol::zip::{Address, PeerMessage, Purpose, decode_roll, encode_roll};
use cirrus_transport::Transport;

use super::application::{Call, Shuffling};
use super::connections::Route;
use super::{Shell, Timer, Todo};
use crate::zip::error::{NotTaken, ZipError};
use crate::zip::operator;
use crate::zip::payload::Payload;
use crate::zip::relay;

/// Pieces of a shuffle that may be given to this shell at once.
const TAKEN_AT_ONCE: u32 = 64;

/// Which of the application's calls a step is about, if it may be refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Send,
    Reduce,
    Nothing,
}

impl Asked {
    pub(super) fn of(event: &member::Event<Address, Bytes>) -> Self {
        match event {
            member::Event::Send(_) => Self::Send,
            member::Event::Reduce(_) => Self::Reduce,
            _ => Self::Nothing,
        }
    }
}

/// The same of the messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Talked {
    To(MemberId),
    From(MemberId),
    Nothing,
}

impl Talked {
    pub(super) fn of(event: &messages::Event<Address, Bytes>) -> Self {
        match event {
            messages::Event::Send { to, .. } => Self::To(*to),
            messages::Event::Receive { from } => Self::From(*from),
            _ => Self::Nothing,
        }
    }
}

impl<M: Transport> Shell<M> {
    /// The application asks for something.
    pub(super) fn called(&mut self, call: Call) {
        match call {
            Call::Send(pieces, answer) => {
                self.application.send(pieces, answer);
                self.send_next();
            }
            Call::Receive(answer) => {
                self.application.receive(answer);
                self.receive_on();
            }
            Call::Reduce(pieces, answer) => {
                self.application.reducing.gives(&pieces, answer);
                self.receive_on();
                self.todo.push_back(Todo::Member(member::Event::Reduce(pieces)));
            }
            Call::Result(answer) => {
                self.application.reducing.waits(answer);
                self.receive_on();
            }
            Call::Shuffle(partition, answer) => {
                if self.application.shuffling.is_some() {
                    let (channel, reason) =
                        (self.spec.name.clone(), NotTaken::Shuffle(shuffle::Refusal::Busy));
                    let _ = answer.send(Err(ZipError::NotTaken { channel, reason }));
                    return;
                }
                self.application.shuffling = Some(Shuffling::new(partition, answer));
                self.todo.push_back(Todo::Shuffle(shuffle::Event::Shuffle));
            }
            Call::SendTo(to, pieces, answer) => {
                self.application.sends_to(to, answer);
                self.todo.push_back(Todo::Messages(messages::Event::Send { to, pieces }));
            }
            Call::ReceiveFrom(from, answer) => {
                if self.application.receives_from(from, answer) {
                    self.todo.push_back(Todo::Messages(messages::Event::Receive { from }));
                }
            }
            Call::Members(answer) => {
                self.application.calls_roll(answer);
                self.call_roll();
            }
            Call::Counted(stamp, answer) => self.application.when_counted(stamp, answer),
            Call::Awaited(answer) => _ = answer.send(self.awaited()),
            Call::Leave(answer) => {
                self.application.leaves(answer);
                self.leave();
            }
        }
    }

    /// The member has been let in.
    pub(super) fn begin(&mut self) {
        self.receive_on();
        self.todo.push_back(Todo::Shuffle(shuffle::Event::Take(TAKEN_AT_ONCE)));
    }

    /// Asks for the roll, if the application waits for it.
    pub(super) fn call_roll(&mut self) {
        if self.application.wants_roll() {
            self.tell_controller(ToController::CallRoll);
        }
    }

    fn send_next(&mut self) {
        if let Some(pieces) = self.application.next_send() {
            self.todo.push_back(Todo::Member(member::Event::Send(pieces)));
        }
    }

    /// The member may deliver as much as the application takes. A shuffle says itself how many rosters it can take.
    fn receive_on(&mut self) {
        if self.shuffle.is_none() {
            let more = match self.spec.member.kind {
                Kind::Broadcast => self.application.more_rounds(),
                Kind::Reduce | Kind::Handled => self.application.reducing.more(),
            };
            self.todo.push_back(Todo::Member(member::Event::Receive(more)));
        }
    }

    /// Of whom the member has not heard what it needs: for people.
    fn awaited(&self) -> Vec<MemberId> {
        let member = self.member.machine();
        let children = member.links.children.iter();
        let lacking = children.filter(|(link, child)| {
            let below = member.reduce.below.get(link).filter(|below| below.at == member.reduce.at);
            let given = below.is_some_and(|below| below.whole.is_some());
            !child.up || self.spec.operator.is_some() && !given
        });
        let lacking: Vec<MemberId> = lacking.map(|(_, child)| child.member).collect();
        let above = member.links.parent.as_ref().map(|uplink| uplink.parent.edge.member);
        if lacking.is_empty() { above.into_iter().collect() } else { lacking }
    }

    fn dial(&mut self, route: Route, address: Address) {
        let caller = (self.place.medium.clone(), self.place.credential);
        self.connections.dial(caller, route, address, self.inbox.clone());
    }

    /// Says something to another member.
    fn say(&self, route: Route, message: impl FnOnce(Stamp) -> PeerMessage) {
        if let Some(channel) = self.channel {
            self.connections.send(route, message(channel));
        }
    }

    pub(super) fn of_member(&mut self, asked: Asked, effect: member::Effect<Address, Bytes>) {
        use member::Effect;
        match effect {
            Effect::ToController(message) => self.tell_controller(message),
            Effect::CallController => self.calls.notify_one(),
            Effect::HangController => self.controller = None,
            Effect::Dial { link, address, relay: false } => self.dial(Route::Link(link), address),
            Effect::Dial { link, address, relay: true } => {
                self.dial(Route::Link(link), relay::only(&address));
            }
            Effect::Send { link, frame } => {
                self.say(Route::Link(link), |channel| PeerMessage::Link { channel, link, frame });
            }
            Effect::Hang(link) => self.connections.hang(Route::Link(link)),
            Effect::DialRoot { term, address } => self.dial(Route::Root(term), address),
            Effect::HangRoot(term) => self.connections.hang(Route::Root(term)),
            Effect::Submit(submit) => {
                self.say(Route::Root(submit.term), |channel| PeerMessage::Submit { channel, submit });
            }
            Effect::Go { to, term, sequence, index } => {
                let go = |channel| PeerMessage::Go { channel, term, sequence, index };
                self.say(Route::Submitter(to), go);
            }
            Effect::Collect(resume) => {
                self.say(Route::Root(resume.term), |channel| PeerMessage::Collect { channel, resume });
            }
            Effect::Hand { to, chunk } => {
                self.say(Route::Submitter(to), |channel| PeerMessage::Hand { channel, chunk });
            }
            Effect::HangSubmitter(from) => self.connections.hang(Route::Submitter(from)),
            Effect::Deliver { head, pieces } => self.delivered(&head, pieces),
            Effect::Sent { sequence: _, outcome } => {
                if self.shuffle.is_some() {
                    self.todo.push_back(Todo::Shuffle(shuffle::Event::Convened));
                } else {
                    self.application.sent(outcome);
                    self.send_next();
                }
            }
            Effect::Combine { term, at, index, inputs } => {
                // Only a channel that has an operator reduces.
                let Some(operator) = &self.spec.operator else { return };
                let value = operator::combine(operator.as_ref(), inputs);
                self.todo.push_back(Todo::Member(member::Event::Combined { term, at, index, value }));
            }
            Effect::Reduced { round, outcome } => self.application.reducing.reduced(round, outcome),
            Effect::Refused(reason) => match asked {
                Asked::Send if self.shuffle.is_some() => {
                    self.todo.push_back(Todo::Shuffle(shuffle::Event::Convened));
                }
                Asked::Send => {
                    self.application.send_refused(NotTaken::Member(reason));
                    self.send_next();
                }
                Asked::Reduce => self.application.reducing.refused(NotTaken::Member(reason)),
                Asked::Nothing => {}
            },
            Effect::Ended(end) => self.ended(end),
            Effect::SetTimer { timer, after } => self.timers.set(Timer::Member(timer), after),
            Effect::ClearTimer(timer) => self.timers.clear(&Timer::Member(timer)),
        }
    }

    fn delivered(&mut self, head: &Head, pieces: Option<Vec<Bytes>>) {
        if self.spec.operator.is_some() {
            self.application.reducing.result(head, pieces);
            return self.receive_on();
        }
        if self.shuffle.is_none() {
            self.application.delivered(self.member.machine().id, head, pieces);
            return self.receive_on();
        }
        // The roster of a shuffle. A broadcast that came to nothing is none.
        let Some(pieces) = pieces else { return };
        match decode_roll(Payload::new(pieces).into_bytes()) {
            Ok(roll) => {
                let (round, cut) = (head.id, head.cut);
                self.todo.push_back(Todo::Shuffle(shuffle::Event::Roster { round, cut, roll }));
            }
            Err(error) => {
                tracing::warn!("channel {}: a broadcast that is not a roster: {error}", self.spec.name);
                self.todo.push_back(Todo::Member(member::Event::Receive(1)));
            }
        }
    }

    fn of_line<T>(
        &mut self,
        purpose: Purpose,
        effect: LineEffect<Address, T>,
        timer: fn(cirrus_core::direct::Timer) -> Timer,
        thing: fn(Stamp, Position, T) -> PeerMessage,
    ) {
        match effect {
            LineEffect::Dial { to, address } => self.dial(Route::To(purpose, to), address),
            LineEffect::Hang(to) => self.connections.hang(Route::To(purpose, to)),
            LineEffect::Send { to, position, item } => {
                self.say(Route::To(purpose, to), |channel| thing(channel, position, item));
            }
            LineEffect::HangCaller(from) => self.connections.hang(Route::From(purpose, from)),
            LineEffect::Refuse(from) => {
                self.say(Route::From(purpose, from), |channel| PeerMessage::Fenced { channel });
                self.connections.hang(Route::From(purpose, from));
            }
            LineEffect::Have { to, have } => {
                self.say(Route::From(purpose, to), |channel| PeerMessage::Have { channel, have });
            }
            LineEffect::SetTimer { timer: it, after } => self.timers.set(timer(it), after),
            LineEffect::ClearTimer(it) => self.timers.clear(&timer(it)),
        }
    }

    pub(super) fn of_messages(&mut self, talked: Talked, effect: messages::Effect<Address, Bytes>) {
        use messages::Effect;
        match effect {
            Effect::ToController(message) => self.tell_controller(message),
            Effect::Line(effect) => {
                let thing = |channel, position, part| PeerMessage::Part { channel, position, part };
                self.of_line(Purpose::Messages, effect, Timer::Messages, thing);
            }
            Effect::Sent { to, outcome } => self.application.sent_to(to, outcome),
            Effect::Received { from, pieces } => self.application.received_from(from, pieces),
            Effect::Refused(reason) => match talked {
                Talked::To(to) => self.application.send_to_refused(to, NotTaken::Messages(reason)),
                Talked::From(from) => self.application.receive_refused(from, NotTaken::Messages(reason)),
                Talked::Nothing => {}
            },
            Effect::Drained => self.drained(),
            Effect::Ended(end) => self.ended(end),
        }
    }

    pub(super) fn of_shuffle(&mut self, effect: shuffle::Effect<Address, Bytes>) {
        use shuffle::Effect;
        match effect {
            Effect::ToController(message) => self.tell_controller(message),
            Effect::Convene(roll) => {
                self.todo.push_back(Todo::Member(member::Event::Send(vec![encode_roll(&roll)])));
            }
            Effect::Receive(count) => self.todo.push_back(Todo::Member(member::Event::Receive(count))),
            Effect::Line(effect) => {
                let thing = |channel, position, item| PeerMessage::Item { channel, position, item };
                self.of_line(Purpose::Shuffle, effect, Timer::Shuffle, thing);
            }
            Effect::Begun { round: _, receivers } => {
                if let Some(shuffling) = &mut self.application.shuffling
                    && let Some(partition) = shuffling.partition.take()
                {
                    let outgoing = partition(receivers).into_iter().map(VecDeque::from);
                    shuffling.outgoing = Some(outgoing.take(receivers as usize).collect());
                }
            }
            Effect::Deliver { round: _, from, piece } => {
                self.todo.push_back(Todo::Shuffle(shuffle::Event::Take(1)));
                if let Some(shuffling) = &mut self.application.shuffling {
                    shuffling.shuffled.received.push((from, piece));
                }
            }
            Effect::Received { round: _, lost } => {
                if let Some(shuffling) = &mut self.application.shuffling {
                    // What these had sent does not count.
                    shuffling.shuffled.received.retain(|(from, _)| !lost.contains(from));
                    shuffling.shuffled.lost_senders = lost;
                }
            }
            Effect::Sent { round: _, lost } => {
                if let Some(shuffling) = &mut self.application.shuffling {
                    shuffling.shuffled.lost_receivers = lost;
                }
            }
            Effect::Room { receiver } => {
                if let Some(shuffling) = &mut self.application.shuffling {
                    shuffling.full.remove(&receiver);
                }
            }
            Effect::Refused(reason) => self.shuffle_refused(reason),
            Effect::Drained => self.drained(),
            Effect::Ended(end) => self.ended(end),
        }
    }

    fn shuffle_refused(&mut self, reason: shuffle::Refusal) {
        let Some(shuffling) = &mut self.application.shuffling else { return };
        if let Some((receiver, piece)) = shuffling.offered.take() {
            // It is offered again when there is room.
            shuffling.full.insert(receiver);
            if let Some(pieces) = shuffling.outgoing.as_mut().and_then(|all| all.get_mut(receiver as usize)) {
                pieces.push_front(piece);
            }
        } else if shuffling.partition.is_some()
            && let Some(refused) = self.application.shuffling.take()
        {
            let (channel, reason) = (self.spec.name.clone(), NotTaken::Shuffle(reason));
            let _ = refused.answer.send(Err(ZipError::NotTaken { channel, reason }));
        }
    }

    /// Goes on with a shuffle: offers the next piece, and answers when the round is over.
    pub(super) fn shuffle_on(&mut self) {
        let Some(shuffle) = &self.shuffle else { return };
        let role = self.spec.role;
        let Some(shuffling) = &mut self.application.shuffling else { return };
        let Some(outgoing) = &mut shuffling.outgoing else { return };
        if shuffle.machine().open.is_none() {
            if let Some(over) = self.application.shuffling.take() {
                let _ = over.answer.send(Ok(over.shuffled));
            }
            return;
        }
        if shuffling.ended || shuffling.offered.is_some() || !role.sends() {
            return;
        }
        let full = &shuffling.full;
        let mut roomy = (0..).zip(outgoing.iter_mut()).filter(|(receiver, _)| !full.contains(receiver));
        let next = roomy.find_map(|(receiver, pieces)| Some((receiver, pieces.pop_front()?)));
        if let Some((receiver, piece)) = next {
            shuffling.offered = Some((receiver, piece.clone()));
            self.todo.push_back(Todo::Shuffle(shuffle::Event::Push { receiver, piece }));
        } else if outgoing.iter().all(VecDeque::is_empty) {
            shuffling.ended = true;
            self.todo.push_back(Todo::Shuffle(shuffle::Event::End));
        }
    }
}
