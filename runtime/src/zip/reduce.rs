//! A channel in which members combine their values, and all see the same result.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::channel::Missing;
use cirrus_core::ids::{Millis, Round};
use cirrus_core::member::Deadline;

use super::channel::{Answered, Channel};
use super::error::ZipError;
use super::member::Call;
use super::operator::Operator;
use super::payload::{Payload, cut};

/// A seat in a channel of reduces.
#[derive(Clone)]
pub struct ReduceChannel {
    pub(super) channel: Channel,
    pub(super) operator: Arc<dyn Operator>,
}

impl core::fmt::Debug for ReduceChannel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ReduceChannel").field(&self.channel).finish()
    }
}

/// When a reduce has a result. The same at all members of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// Who dies or leaves before the result is sealed is not in it, and named.
    #[default]
    Survivors,
    /// If somebody who is counted dies or leaves before that, there is none.
    Strict,
    /// As with survivors; and when this long has passed since the first value, so many are enough. The late are named.
    Quorum {
        /// How long the others may take.
        after: Duration,
        /// How many values are enough.
        members: u32,
    },
}

impl Completeness {
    /// Whether it is strict, and its deadline, for the member's machine.
    pub(super) fn parts(self) -> (bool, Option<Deadline>) {
        match self {
            Self::Survivors => (false, None),
            Self::Strict => (true, None),
            Self::Quorum { after, members } => {
                let after = Millis(u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
                (false, Some(Deadline { after, quorum: members }))
            }
        }
    }
}

/// What a reduce has come to: the same at all who see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// Its number.
    pub round: Round,
    /// The combined value.
    pub value: Payload,
    /// How many members' values are in it.
    pub members: u32,
    /// Who is not in it and was counted before.
    pub missing: Missing,
}

impl Answered for Reduced {
    fn round(&self) -> Option<Round> {
        Some(self.round)
    }
}

impl core::ops::Deref for ReduceChannel {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

impl ReduceChannel {
    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { channel: self.channel.within(deadline), ..self.clone() }
    }

    /// Gives this member's value for its next round, and answers with what all have together.
    ///
    /// The k-th call of a member is for the k-th round that it is in, so all must call equally often. The bytes are lent
    /// until the answer.
    ///
    /// # Errors
    /// `NoResult`: too many links broke, or it is strict and somebody is missing. `Unfit`: the members' values do not fit
    /// each other. `TooLong`: the operator takes whole values. `Late`: the round was over. `Indeterminate`, `NotTaken`, `Deadline`, `Fenced`, `Left`.
    pub async fn all_reduce(&self, value: impl Into<Bytes> + Send) -> Result<Reduced, ZipError> {
        let (value, limit) = (value.into(), self.channel.piece_bytes);
        if self.operator.element_bytes().is_none() && value.len() > limit {
            return Err(ZipError::TooLong { bytes: value.len(), limit });
        }
        let pieces = cut(self.channel.lift(value).await, limit);
        let reduced = self.channel.ask("a reduce", |answer| Call::Reduce(pieces, answer)).await?;
        Ok(self.finish(reduced))
    }

    pub(super) fn finish(&self, reduced: Reduced) -> Reduced {
        Reduced { value: self.operator.finish(reduced.value, reduced.members), ..reduced }
    }

    /// Gives this member's value, for others who want the result.
    ///
    /// # Errors
    /// As [`ReduceChannel::all_reduce`].
    pub async fn reduce(&self, value: impl Into<Bytes> + Send) -> Result<Missing, ZipError> {
        Ok(self.all_reduce(value).await?.missing)
    }

    /// Waits until all who are counted and stay have called it: a reduce of nothing.
    ///
    /// # Errors
    /// As [`ReduceChannel::all_reduce`].
    pub async fn barrier(&self) -> Result<Missing, ZipError> {
        let nothing = vec![Bytes::new()];
        Ok(self.channel.ask("a barrier", |answer| Call::Reduce(nothing, answer)).await?.missing)
    }
}
