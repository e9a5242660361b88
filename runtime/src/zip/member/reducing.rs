//! Values that the application has given to reduces and was not answered about, and results that it has not asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::channel::{Head, Missing};
use cirrus_core::ids::Round;
use cirrus_core::member::{Kind, Reduction};

use super::application::Answer;
use crate::zip::error::{NotTaken, ZipError};
use crate::zip::payload::Payload;
use crate::zip::reduce::Reduced;

/// A value that was given to a reduce.
struct Given {
    answer: Answer<Reduced>,
    /// It has no bytes: only who has come counts.
    empty: bool,
}

/// For whom the results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Results {
    /// For all: each is the answer about this member's value.
    All,
    /// For another member.
    Another,
    /// For this one: each is a thing of its own, whether this member has given a value or not.
    This,
}

impl Results {
    pub(super) fn of(kind: Kind, receives: bool) -> Self {
        match kind {
            Kind::Handled if receives => Self::This,
            Kind::Handled => Self::Another,
            Kind::Broadcast | Kind::Reduce => Self::All,
        }
    }
}

/// All that.
pub(super) struct Reducing {
    channel: Arc<str>,
    results: Results,
    /// Results that the member may still deliver.
    credits: usize,
    given: VecDeque<Given>,
    /// Values whose round is sealed, until its result is here.
    sealed: BTreeMap<Round, (Given, Missing)>,
    /// Results whose value was not given yet, with how many values are in it.
    early: BTreeMap<Round, (Payload, u32)>,
    /// Who waits for results that are for this member.
    waiting: VecDeque<Answer<Reduced>>,
    /// Those that nobody has asked for yet.
    handled: VecDeque<Result<Reduced, ZipError>>,
}

impl Reducing {
    pub(super) fn new(channel: Arc<str>, results: Results) -> Self {
        Self {
            channel,
            results,
            credits: 0,
            given: VecDeque::new(),
            sealed: BTreeMap::new(),
            early: BTreeMap::new(),
            waiting: VecDeque::new(),
            handled: VecDeque::new(),
        }
    }

    /// Takes note of a value that is given now.
    pub(super) fn gives(&mut self, pieces: &[Bytes], answer: Answer<Reduced>) {
        let empty = pieces.iter().all(Bytes::is_empty);
        self.given.push_back(Given { answer, empty });
    }

    /// The application waits for a result that is for this member.
    pub(super) fn waits(&mut self, answer: Answer<Reduced>) {
        self.waiting.push_back(answer);
        self.hand_out();
    }

    /// How many results more the member may deliver: one for each value, or one ahead of the application.
    pub(super) fn more(&mut self) -> u32 {
        let wanted = match self.results {
            Results::All => self.given.len() + self.sealed.len(),
            Results::Another => 0, // None come here.
            Results::This => {
                self.waiting.retain(|waiting| !waiting.is_closed());
                self.waiting.len().max(1).saturating_sub(self.handled.len())
            }
        };
        let more = wanted.saturating_sub(self.credits);
        self.credits += more;
        u32::try_from(more).unwrap_or(u32::MAX)
    }

    pub(super) fn refused(&mut self, reason: NotTaken) {
        let channel = self.channel.clone();
        if let Some(given) = self.given.pop_back() {
            let _ = given.answer.send(Err(ZipError::NotTaken { channel, reason }));
        }
    }

    /// What became of the oldest value.
    pub(super) fn reduced(&mut self, round: Round, outcome: Reduction) {
        let Some(given) = self.given.pop_front() else { return };
        let error = match outcome {
            Reduction::Sealed(missing) if self.results != Results::All => {
                // Whoever has the result knows how many values are in it.
                let reduced = Reduced { round, value: Payload::default(), members: 0, missing };
                let _ = given.answer.send(Ok(reduced));
                return;
            }
            Reduction::Sealed(missing) => {
                match self.early.remove(&round) {
                    Some((value, count)) => conclude(given, round, value, count, missing),
                    None => _ = self.sealed.insert(round, (given, missing)),
                }
                return;
            }
            Reduction::Failed(failure, missing) => ZipError::NoResult { round, failure, missing },
            Reduction::Late => {
                self.early.remove(&round);
                ZipError::Late { round }
            }
            Reduction::Indeterminate => ZipError::Indeterminate { channel: self.channel.clone() },
        };
        let _ = given.answer.send(Err(error));
    }

    /// The result of a round.
    pub(super) fn result(&mut self, head: &Head, pieces: Option<Vec<Bytes>>) {
        let Some(pieces) = pieces else { return };
        self.credits = self.credits.saturating_sub(1);
        let (round, value) = (head.id.round, Payload::new(pieces));
        let (count, missing) = match &head.sealed {
            Some(seal) => (seal.census.count, seal.missing.clone()),
            None => (0, Missing::default()),
        };
        if self.results == Results::This {
            let unfit = value.pieces().iter().any(Bytes::is_empty);
            let reduced = Reduced { round, value, members: count, missing };
            self.handled.push_back(if unfit { Err(ZipError::Unfit { round }) } else { Ok(reduced) });
            return self.hand_out();
        }
        match self.sealed.remove(&round) {
            Some((given, missing)) => conclude(given, round, value, count, missing),
            None => _ = self.early.insert(round, (value, count)),
        }
    }

    fn hand_out(&mut self) {
        while let Some(result) = self.handled.pop_front() {
            let Some(waiting) = self.waiting.pop_front() else {
                return self.handled.push_front(result);
            };
            if let Err(kept) = waiting.send(result) {
                self.handled.push_front(kept);
            }
        }
    }

    /// The member's time is over: whoever waits is told.
    pub(super) fn end(&mut self, over: impl Fn() -> ZipError) {
        let given = self.given.drain(..).map(|given| given.answer);
        let sealed = std::mem::take(&mut self.sealed).into_values().map(|(given, _)| given.answer);
        let all = given.chain(sealed).chain(self.waiting.drain(..));
        all.for_each(|answer| _ = answer.send(Err(over())));
    }
}

/// Answers who gave a value with what all have together.
fn conclude(given: Given, round: Round, value: Payload, members: u32, missing: Missing) {
    // What could not be combined is empty, and so is what it was combined with.
    let unfit = !given.empty && value.pieces().iter().any(Bytes::is_empty);
    let reduced = Reduced { round, value, members, missing };
    let _ = given.answer.send(if unfit { Err(ZipError::Unfit { round }) } else { Ok(reduced) });
}
