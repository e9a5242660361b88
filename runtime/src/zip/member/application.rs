//! What the application has asked for and was not answered yet, and what has come that it has not asked for yet.
//!
//! An application that gives up waiting drops the other end of its answer. What it had asked for goes on: what was
//! given to a machine stands, and what comes of it is kept for the next call of its kind, or let go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::channel::{Head, Roll};
use cirrus_core::ids::{MemberId, Round, Stamp};
use cirrus_core::member::{End, Outcome};
use cirrus_core::messages;
use cirrus_protocol::zip::Address;
use cirrus_transport::TransportError;
use tokio::sync::oneshot;

use super::reducing::{Reducing, Results};
use crate::zip::broadcast::Delivery;
use crate::zip::error::{NotTaken, ZipError};
use crate::zip::payload::Payload;
use crate::zip::reduce::Reduced;
use crate::zip::shuffle::Shuffled;

/// Broadcasts that may wait for the one before.
const SENDS_MAX: usize = 64;

/// Where an answer goes.
pub(in crate::zip) type Answer<T> = oneshot::Sender<Result<T, ZipError>>;

/// Which records are for which receiver, once it is known how many there are.
pub(in crate::zip) type Partition = Box<dyn FnOnce(u32) -> Vec<Vec<Bytes>> + Send>;

/// What an application asks for.
pub(in crate::zip) enum Call {
    /// Send this to all.
    Send(Vec<Bytes>, Answer<Round>),
    /// The next broadcast of somebody else.
    Receive(Answer<Delivery>),
    /// Combine this with what the others give.
    Reduce(Vec<Bytes>, Answer<Reduced>),
    /// The next result of those that are for this member.
    Result(Answer<Reduced>),
    /// Exchange records.
    Shuffle(Partition, Answer<Shuffled>),
    /// Send this to one.
    SendTo(MemberId, Vec<Bytes>, Answer<()>),
    /// The next message of one.
    ReceiveFrom(MemberId, Answer<Payload>),
    /// Who is in the channel.
    Members(Answer<Vec<MemberId>>),
    /// Answer when this one, and all who joined before, are counted.
    Counted(Stamp, Answer<()>),
    /// Of whom the member has not heard what it needs.
    Awaited(oneshot::Sender<Vec<MemberId>>),
    /// Leave the channel.
    Leave(Answer<()>),
}

/// A shuffle that was called.
pub(super) struct Shuffling {
    pub(super) partition: Option<Partition>,
    pub(super) answer: Answer<Shuffled>,
    /// What is still to be sent, by receiver; `None` before it has begun.
    pub(super) outgoing: Option<Vec<VecDeque<Bytes>>>,
    /// The piece that the machine is being asked to take.
    pub(super) offered: Option<(u32, Bytes)>,
    /// Receivers for which it does not take more until it says so.
    pub(super) full: BTreeSet<u32>,
    /// Everything was sent.
    pub(super) ended: bool,
    pub(super) shuffled: Shuffled,
}

impl Shuffling {
    pub(super) fn new(partition: Partition, answer: Answer<Shuffled>) -> Self {
        let (offered, full) = (None, BTreeSet::new());
        let shuffled = Shuffled::default();
        Self { partition: Some(partition), answer, outgoing: None, offered, full, ended: false, shuffled }
    }
}

/// All that.
pub(super) struct Application {
    channel: Arc<str>,
    joined: Option<Answer<MemberId>>,
    /// Why the controller could not be reached, last.
    unreachable: Option<TransportError>,
    waiting_sends: VecDeque<(Vec<Bytes>, Answer<Round>)>,
    sending: Option<Answer<Round>>,
    receivers: VecDeque<Answer<Delivery>>,
    delivered: VecDeque<Result<Delivery, ZipError>>,
    /// Rounds that the member may still deliver.
    credits: usize,
    pub(super) reducing: Reducing,
    pub(super) shuffling: Option<Shuffling>,
    sent: BTreeMap<MemberId, VecDeque<Answer<()>>>,
    listeners: BTreeMap<MemberId, Listening>,
    rolls: Vec<Answer<Vec<MemberId>>>,
    uncounted: Vec<(Stamp, Answer<()>)>,
    leaves: Vec<Answer<()>>,
}

/// Waits for messages of one member.
#[derive(Default)]
struct Listening {
    waiting: VecDeque<Answer<Payload>>,
    /// How many messages the machine was asked for, and has not given.
    asked: usize,
    /// Came when nobody waited any more.
    kept: VecDeque<Payload>,
}

impl Application {
    pub(super) fn new(channel: Arc<str>, results: Results, joined: Answer<MemberId>) -> Self {
        Self {
            reducing: Reducing::new(channel.clone(), results),
            channel,
            joined: Some(joined),
            unreachable: None,
            waiting_sends: VecDeque::new(),
            sending: None,
            receivers: VecDeque::new(),
            delivered: VecDeque::new(),
            credits: 0,
            shuffling: None,
            sent: BTreeMap::new(),
            listeners: BTreeMap::new(),
            rolls: Vec::new(),
            uncounted: Vec::new(),
            leaves: Vec::new(),
        }
    }

    fn not_taken(&self, reason: NotTaken) -> ZipError {
        ZipError::NotTaken { channel: self.channel.clone(), reason }
    }

    pub(super) fn unreachable(&mut self, error: TransportError) {
        // Without the token, nobody will ever be let in.
        if matches!(error, TransportError::Denied { .. }) && self.joined.is_some() {
            return self.not_joined(error.into());
        }
        tracing::debug!("{error}");
        self.unreachable = Some(error);
    }

    pub(super) fn not_joined(&mut self, error: ZipError) {
        if let Some(joined) = self.joined.take() {
            let _ = joined.send(Err(error));
        }
    }

    pub(super) fn leaves(&mut self, answer: Answer<()>) {
        self.leaves.push(answer);
    }

    /// Members up to this stamp are counted.
    pub(super) fn counted(&mut self, me: Option<MemberId>, until: Option<Stamp>) {
        let Some(until) = until else { return };
        if let Some(me) = me.filter(|me| me.stamp <= until)
            && let Some(joined) = self.joined.take()
        {
            let _ = joined.send(Ok(me));
        }
        for at in (0..self.uncounted.len()).rev() {
            if self.uncounted[at].0 <= until {
                let _ = self.uncounted.swap_remove(at).1.send(Ok(()));
            }
        }
    }

    pub(super) fn when_counted(&mut self, stamp: Stamp, answer: Answer<()>) {
        self.uncounted.push((stamp, answer));
    }

    pub(super) fn calls_roll(&mut self, answer: Answer<Vec<MemberId>>) {
        self.rolls.push(answer);
    }

    pub(super) fn wants_roll(&self) -> bool {
        !self.rolls.is_empty()
    }

    pub(super) fn called_roll(&mut self, roll: &Roll<Address>) {
        let mut members: Vec<MemberId> = roll.present.iter().map(|it| it.member).collect();
        members.sort_unstable();
        for answer in self.rolls.drain(..) {
            let _ = answer.send(Ok(members.clone()));
        }
    }

    // Broadcasts.

    pub(super) fn send(&mut self, pieces: Vec<Bytes>, answer: Answer<Round>) {
        if self.waiting_sends.len() >= SENDS_MAX {
            let _ = answer.send(Err(self.not_taken(NotTaken::TooMany)));
        } else {
            self.waiting_sends.push_back((pieces, answer));
        }
    }

    /// The next broadcast for the member, if it has none.
    pub(super) fn next_send(&mut self) -> Option<Vec<Bytes>> {
        while self.sending.is_none() {
            let (pieces, answer) = self.waiting_sends.pop_front()?;
            if !answer.is_closed() {
                self.sending = Some(answer);
                return Some(pieces);
            }
        }
        None
    }

    pub(super) fn sent(&mut self, outcome: Outcome) {
        let Some(answer) = self.sending.take() else { return };
        let _ = answer.send(match outcome {
            Outcome::Sealed(round) => Ok(round),
            Outcome::Aborted => Err(ZipError::Aborted { round: None }),
            Outcome::Indeterminate => Err(ZipError::Indeterminate { channel: self.channel.clone() }),
        });
    }

    pub(super) fn send_refused(&mut self, reason: NotTaken) {
        let error = self.not_taken(reason);
        if let Some(answer) = self.sending.take() {
            let _ = answer.send(Err(error));
        }
    }

    pub(super) fn receive(&mut self, answer: Answer<Delivery>) {
        self.receivers.push_back(answer);
        self.hand_out();
    }

    /// A round of a channel of broadcasts. The member's own are answered where they are sent.
    pub(super) fn delivered(&mut self, me: Option<MemberId>, head: &Head, pieces: Option<Vec<Bytes>>) {
        let round = head.id.round;
        let from = head.origin.map(|origin| origin.member);
        match (pieces, from) {
            (Some(pieces), from) => {
                self.credits = self.credits.saturating_sub(1);
                if let Some(from) = from.filter(|from| Some(*from) != me) {
                    self.delivered.push_back(Ok(Delivery { round, from, payload: Payload::new(pieces) }));
                }
            }
            (None, from) => {
                // One stands for several in a row, so that these cannot pile up.
                let again = matches!(self.delivered.back(), Some(Err(_)));
                if !again && from != me {
                    self.delivered.push_back(Err(ZipError::Aborted { round: Some(round) }));
                }
            }
        }
        self.hand_out();
    }

    fn hand_out(&mut self) {
        while let Some(delivery) = self.delivered.pop_front() {
            let Some(receiver) = self.receivers.pop_front() else {
                return self.delivered.push_front(delivery);
            };
            if let Err(kept) = receiver.send(delivery) {
                self.delivered.push_front(kept);
            }
        }
    }

    /// How many rounds more the member may deliver: one ahead of the application.
    pub(super) fn more_rounds(&mut self) -> u32 {
        self.receivers.retain(|receiver| !receiver.is_closed());
        let wanted = self.receivers.len().max(1);
        // What came to nothing took no credit: who only sends would else be held up by it, and with it everybody.
        let whole = self.delivered.iter().filter(|delivery| delivery.is_ok()).count();
        let more = wanted.saturating_sub(self.credits + whole);
        self.credits += more;
        u32::try_from(more).unwrap_or(u32::MAX)
    }

    // Messages.

    pub(super) fn sends_to(&mut self, to: MemberId, answer: Answer<()>) {
        self.sent.entry(to).or_default().push_back(answer);
    }

    pub(super) fn sent_to(&mut self, to: MemberId, outcome: messages::Outcome) {
        let Some(waiting) = self.sent.get_mut(&to) else { return };
        let answer = waiting.pop_front();
        if waiting.is_empty() {
            self.sent.remove(&to);
        }
        let channel = self.channel.clone();
        if let Some(answer) = answer {
            let _ = answer.send(match outcome {
                messages::Outcome::Delivered => Ok(()),
                messages::Outcome::Lost => Err(ZipError::Gone { channel, member: to }),
                messages::Outcome::Indeterminate => Err(ZipError::Indeterminate { channel }),
            });
        }
    }

    pub(super) fn send_to_refused(&mut self, to: MemberId, reason: NotTaken) {
        let error = self.not_taken(reason);
        if let Some(answer) = self.sent.get_mut(&to).and_then(VecDeque::pop_back) {
            let _ = answer.send(Err(error));
        }
    }

    /// The application waits for a message. Whether the machine is to be asked for one more.
    pub(super) fn receives_from(&mut self, from: MemberId, answer: Answer<Payload>) -> bool {
        let listening = self.listeners.entry(from).or_default();
        listening.waiting.retain(|waiting| !waiting.is_closed());
        listening.waiting.push_back(answer);
        listening.hand_out();
        let more = listening.asked < listening.waiting.len();
        listening.asked += usize::from(more);
        more
    }

    pub(super) fn received_from(&mut self, from: MemberId, pieces: Option<Vec<Bytes>>) {
        let Some(listening) = self.listeners.get_mut(&from) else { return };
        listening.asked = listening.asked.saturating_sub(1);
        match pieces {
            Some(pieces) => {
                listening.kept.push_back(Payload::new(pieces));
                listening.hand_out();
            }
            None => {
                let channel = self.channel.clone();
                if let Some(answer) = listening.waiting.pop_front() {
                    let _ = answer.send(Err(ZipError::Gone { channel, member: from }));
                }
            }
        }
        if listening.is_over() {
            self.listeners.remove(&from);
        }
    }

    pub(super) fn receive_refused(&mut self, from: MemberId, reason: NotTaken) {
        let error = self.not_taken(reason);
        let Some(listening) = self.listeners.get_mut(&from) else { return };
        listening.asked = listening.asked.saturating_sub(1);
        if let Some(answer) = listening.waiting.pop_back() {
            let _ = answer.send(Err(error));
        }
    }

    /// The member's time is over: whoever waits is told.
    pub(super) fn end(mut self, end: End) {
        let channel = self.channel.clone();
        let over = || match end {
            End::Left | End::Overdue => ZipError::Left { channel: channel.clone() },
            End::Fenced => ZipError::Fenced { channel: channel.clone() },
        };
        for answer in self.leaves.drain(..) {
            let _ = answer.send(if end == End::Left { Ok(()) } else { Err(over()) });
        }
        let joined = self.unreachable.take().map_or_else(over, ZipError::from);
        self.not_joined(joined);
        let sends = self.waiting_sends.drain(..).map(|(_, answer)| answer).chain(self.sending.take());
        sends.for_each(|answer| _ = answer.send(Err(over())));
        self.receivers.drain(..).for_each(|answer| _ = answer.send(Err(over())));
        self.reducing.end(over);
        if let Some(shuffling) = self.shuffling.take() {
            let _ = shuffling.answer.send(Err(over()));
        }
        let sent = std::mem::take(&mut self.sent).into_values().flatten();
        let (rolls, uncounted) = (self.rolls.drain(..), self.uncounted.drain(..));
        sent.chain(uncounted.map(|(_, answer)| answer)).for_each(|answer| _ = answer.send(Err(over())));
        rolls.for_each(|answer| _ = answer.send(Err(over())));
        let listening = std::mem::take(&mut self.listeners).into_values().flat_map(|it| it.waiting);
        listening.for_each(|answer| _ = answer.send(Err(over())));
    }
}

impl Listening {
    fn hand_out(&mut self) {
        while let Some(payload) = self.kept.pop_front() {
            let Some(waiting) = self.waiting.pop_front() else {
                return self.kept.push_front(payload);
            };
            if let Err(Ok(payload)) = waiting.send(Ok(payload)) {
                self.kept.push_front(payload);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.asked == 0 && self.waiting.is_empty() && self.kept.is_empty()
    }
}
