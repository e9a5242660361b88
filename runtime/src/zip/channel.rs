//! What all channels have in common for their application: who it is in them, messages from one to another, and calls
//! that end.
//!
//! Every call ends within its deadline: that of the settings, or that of [`Channel::within`]. Who drops a call's future
//! stops waiting, and nothing more: what was numbered or contributed stands.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::{MemberId, Round};
use cirrus_core::member::End;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{Instrument as _, field};

use super::array::Array;
use super::daemon::House;
use super::error::{ZipError, in_words};
use super::member::{Answer, Call, Joined};
use super::metrics::Metrics;
use super::payload::{Payload, cut};
use super::settings::Settings;

/// How long the member's own task may take to say of whom it waits.
const EXPLAIN: Duration = Duration::from_secs(1);
/// The pauses between looks at who has come: they double from the first to the last.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// Into how many pieces a broadcast is cut that lies in shared memory, if they are not too large then.
const SHARED_PIECES: usize = 16;
const SHARED_PIECE_MAX: usize = 64 << 20;

/// A seat in a channel. Clones are the same seat; when the last is dropped, the member leaves.
#[derive(Clone, Debug)]
pub struct Channel {
    name: Arc<str>,
    member: MemberId,
    calls: mpsc::Sender<Call>,
    ended: Arc<OnceLock<End>>,
    deadline: Duration,
    pub(super) piece_bytes: usize,
    house: Option<Arc<House>>,
    metrics: Option<Metrics>,
}

/// What a call is answered with, as far as its span shows that.
pub(super) trait Answered {
    /// The round that it was about, if it is known.
    fn round(&self) -> Option<Round> {
        None
    }
}

impl Answered for () {}
impl Answered for Payload {}
impl Answered for Vec<MemberId> {}

impl Answered for Round {
    fn round(&self) -> Option<Round> {
        Some(*self)
    }
}

impl Channel {
    pub(super) fn new(name: Arc<str>, joined: Joined, settings: &Settings) -> Self {
        let Joined { member, calls, ended, house } = joined;
        let (deadline, piece_bytes) = (settings.deadline, settings.piece_bytes);
        let metrics = settings.metrics.clone();
        Self { name, member, calls, ended, deadline, piece_bytes, house, metrics }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who this is in it.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// An array of so many bytes to be filled and sent: in memory that this machine's lambdas share, if it has a daemon and
    /// that has room, or else in this process's own. It is in use until all who were sent it have let go of it.
    pub async fn array(&self, bytes: usize) -> Array {
        let shared = match &self.house {
            Some(house) => timeout(self.deadline, house.array(bytes)).await.unwrap_or_default(),
            None => None,
        };
        Array::new(shared, bytes)
    }

    /// How many bytes this member has copied into memory that it shares with the daemon of its machine; `None` if it is
    /// without one now.
    #[must_use]
    pub fn copied(&self) -> Option<u64> {
        self.house.as_ref()?.copied()
    }

    /// The same bytes where others of this machine can read them, if there is such a place.
    pub(super) async fn lift(&self, bytes: Bytes) -> Bytes {
        match &self.house {
            Some(house) => timeout(self.deadline, house.lift(bytes.clone())).await.unwrap_or(bytes),
            None => bytes,
        }
    }

    /// Cuts what is sent to all. What lies in shared memory is described, so that larger pieces are better there; there are
    /// still enough of them for the machines beyond to pass one on while the next comes.
    pub(super) fn cut(&self, data: Bytes) -> Vec<Bytes> {
        let shared = self.house.as_ref().is_some_and(|house| house.contains(&data));
        let larger = if shared { (data.len() / SHARED_PIECES).min(SHARED_PIECE_MAX) } else { 0 };
        cut(data, self.piece_bytes.max(larger))
    }

    /// Asks the member for something, within the deadline: in a span of its own, and counted.
    pub(super) async fn ask<T: Answered>(
        &self,
        call: &'static str,
        asked: impl FnOnce(Answer<T>) -> Call + Send,
    ) -> Result<T, ZipError> {
        let span = tracing::debug_span!(
            "call",
            call,
            channel = &*self.name,
            member = in_words(self.member),
            round = field::Empty,
        );
        let this = span.clone();
        let began = self.metrics.as_ref().map(|metrics| (metrics, Instant::now()));
        let asking = async {
            let answer = self.answer(call, asked).await;
            match &answer {
                Ok(answer) => {
                    if let Some(Round(round)) = answer.round() {
                        this.record("round", round);
                    }
                    tracing::debug!("answered");
                }
                Err(error) => tracing::info!("{error}"),
            }
            answer
        };
        let answer = asking.instrument(span).await;
        if let Some((metrics, began)) = began {
            metrics.called(&self.name, call, began.elapsed().as_secs_f64());
        }
        answer
    }

    async fn answer<T>(
        &self,
        call: &'static str,
        asked: impl FnOnce(Answer<T>) -> Call + Send,
    ) -> Result<T, ZipError> {
        let (answer, answered) = oneshot::channel();
        let asking = async {
            self.calls.send(asked(answer)).await.map_err(|_| self.over())?;
            answered.await.map_err(|_| self.over())?
        };
        match timeout(self.deadline, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(self.late(call).await),
        }
    }

    /// The member's time is over.
    fn over(&self) -> ZipError {
        let channel = self.name.clone();
        match self.ended.get() {
            Some(End::Fenced) => ZipError::Fenced { channel },
            Some(End::Left | End::Overdue) | None => ZipError::Left { channel },
        }
    }

    async fn late(&self, call: &'static str) -> ZipError {
        let (answer, answered) = oneshot::channel();
        let asking = async {
            self.calls.send(Call::Awaited(answer)).await.ok()?;
            answered.await.ok()
        };
        let waits_for = timeout(EXPLAIN, asking).await.ok().flatten().unwrap_or_default();
        let (channel, after) = (self.name.clone(), self.deadline);
        ZipError::Deadline { call, channel, after, waits_for }
    }

    /// Who is in the channel now, in the order in which they joined.
    ///
    /// # Errors
    /// `Deadline`, if the controller does not answer; `Fenced`, `Left`.
    pub async fn members(&self) -> Result<Vec<MemberId>, ZipError> {
        self.ask("asking who is there", Call::Members).await
    }

    /// Waits until so many members are in the channel; in one of reduces, until they are counted: every round that begins
    /// from here on waits for them all. (A broadcast is for those of whom the root has heard when it begins; those who
    /// joined before its sender are among them.)
    ///
    /// # Errors
    /// As [`Channel::members`].
    pub async fn gathered(&self, count: usize) -> Result<Vec<MemberId>, ZipError> {
        let until = Instant::now() + self.deadline;
        let mut pause = LOOKS[0];
        loop {
            let members = self.members().await?;
            if let Some(last) = members.last().filter(|_| members.len() >= count) {
                let stamp = last.stamp;
                self.ask("waiting for members", |answer| Call::Counted(stamp, answer)).await?;
                return Ok(members);
            }
            if timeout_at(until, sleep(pause)).await.is_err() {
                return Err(self.late("waiting for members").await);
            }
            pause = (pause * 2).min(LOOKS[1]);
        }
    }

    /// Sends a message to one member. It answers when that one's application has it, whole.
    ///
    /// # Errors
    /// `Gone`: the other member is not in the channel any more. `Indeterminate`, `NotTaken`, `Deadline`, `Fenced`,
    /// `Left`.
    pub async fn send_to(&self, to: MemberId, message: impl Into<Bytes> + Send) -> Result<(), ZipError> {
        let pieces = cut(message.into(), self.piece_bytes);
        self.ask("sending a message", |answer| Call::SendTo(to, pieces, answer)).await
    }

    /// The next message of one member, in the order in which that one has sent them. If the call ends before there is one,
    /// nothing is lost: the next call gets it.
    ///
    /// # Errors
    /// `Gone`: the other member is not in the channel any more, and no more will come. `NotTaken`, `Deadline`, `Fenced`,
    /// `Left`.
    pub async fn receive_from(&self, from: MemberId) -> Result<Payload, ZipError> {
        self.ask("receiving a message", |answer| Call::ReceiveFrom(from, answer)).await
    }

    /// Leaves the channel, in order: what was begun is finished first. A member that is in a shuffle which others have
    /// called has to take part in it before it can leave.
    ///
    /// # Errors
    /// `Deadline`, `Fenced`.
    pub async fn leave(&self) -> Result<(), ZipError> {
        self.ask("leaving", Call::Leave).await
    }
}
