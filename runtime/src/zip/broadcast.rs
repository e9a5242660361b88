//! A channel in which every member sends to all others, and all see the same broadcasts in the same order.

use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::{MemberId, Round};

use super::channel::{Answered, Channel};
use super::error::ZipError;
use super::member::Call;
use super::payload::Payload;

/// A seat in a channel of broadcasts.
#[derive(Clone, Debug)]
pub struct BroadcastChannel(pub(super) Channel);

/// A broadcast, as one member gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number: the same at all members, and rising.
    pub round: Round,
    /// Who has sent it.
    pub from: MemberId,
    /// What.
    pub payload: Payload,
}

impl Answered for Delivery {
    fn round(&self) -> Option<Round> {
        Some(self.round)
    }
}

impl core::ops::Deref for BroadcastChannel {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.0
    }
}

impl BroadcastChannel {
    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self(self.0.within(deadline))
    }

    /// Sends something to all others. It answers with the round that it became when it is certain that all who are in it
    /// and stay will have it. The bytes are sent from where they lie; with a daemon they are copied once into memory that all
    /// its lambdas share, if they do not lie there already ([`Channel::array`]).
    ///
    /// # Errors
    /// `Aborted`: nobody has it, or will have it. `Indeterminate`, `NotTaken`, `Deadline`, `Fenced`, `Left`.
    pub async fn send(&self, data: impl Into<Bytes> + Send) -> Result<Round, ZipError> {
        let pieces = self.0.cut(self.0.lift(data.into()).await);
        self.0.ask("a broadcast", |answer| Call::Send(pieces, answer)).await
    }

    /// The next broadcast of another member. If the call ends before there is one, nothing is lost: the next call gets it.
    /// Who does not call for long slows down those who send.
    ///
    /// # Errors
    /// `Aborted`: one came to nothing, at all members. `Deadline`, `Fenced`, `Left`.
    pub async fn receive(&self) -> Result<Delivery, ZipError> {
        self.0.ask("receiving a broadcast", Call::Receive).await
    }
}
