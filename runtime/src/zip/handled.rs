//! A channel in which all members' values are combined for one of them: the handler.

use std::time::Duration;

use bytes::Bytes;
use cirrus_core::channel::Missing;

use super::channel::Channel;
use super::error::ZipError;
use super::member::Call;
use super::reduce::{ReduceChannel, Reduced};

/// A seat in such a channel. Whoever sits in it gives values, the handler, too.
#[derive(Clone, Debug)]
pub struct HandledChannel(pub(super) ReduceChannel);

/// The handler's seat, of which there is one. When it is gone, another member may take it.
#[derive(Clone, Debug)]
pub struct HandlerChannel(pub(super) HandledChannel);

impl core::ops::Deref for HandledChannel {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.0
    }
}

impl core::ops::Deref for HandlerChannel {
    type Target = HandledChannel;

    fn deref(&self) -> &HandledChannel {
        &self.0
    }
}

impl HandledChannel {
    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self(self.0.within(deadline))
    }

    /// Gives this member's value for its next round, which must not be empty. It answers when the handler's application has
    /// the result, with who is not in it.
    ///
    /// The k-th call of a member is for the k-th round that it is in, so all must call equally often. The bytes are lent
    /// until the answer.
    ///
    /// # Errors
    /// `NoResult`: too many links broke, nobody came to handle it (`Unhandled`), or it is strict and somebody is missing.
    /// `TooLong`: the operator takes whole values. `Late`, `Indeterminate`, `NotTaken`, `Deadline`, `Fenced`, `Left`.
    pub async fn reduce(&self, value: impl Into<Bytes> + Send) -> Result<Missing, ZipError> {
        self.0.reduce(value).await
    }
}

impl HandlerChannel {
    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self(self.0.within(deadline))
    }

    /// The next result, in the order of the rounds: the first may be one that was kept for this member before it came. If
    /// the call ends before there is one, nothing is lost: the next call gets it.
    ///
    /// # Errors
    /// `Unfit`: the members' values do not fit each other. `Deadline`, `Fenced`, `Left`.
    pub async fn result(&self) -> Result<Reduced, ZipError> {
        let channel: &Channel = self;
        let reduced = channel.ask("waiting for a result", Call::Result).await?;
        Ok((self.0).0.finish(reduced))
    }
}
