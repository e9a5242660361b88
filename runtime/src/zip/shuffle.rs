//! A channel in which members exchange records: each goes to the receiver that its hash selects.

use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::MemberId;

use super::channel::{Answered, Channel};
use super::error::ZipError;
use super::member::{Call, Partition};
use super::payload::cut;

/// A seat in a channel of shuffles.
#[derive(Clone, Debug)]
pub struct ShuffleChannel(pub(super) Channel);

/// What has become of a shuffle, for one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shuffled {
    /// The records that count, from whom; each sender's in the order in which it gave them.
    pub received: Vec<(MemberId, Bytes)>,
    /// Senders that are gone before they had sent all: none of their records count.
    pub lost_senders: Vec<MemberId>,
    /// Receivers that are gone and had not said that they have everything.
    pub lost_receivers: Vec<MemberId>,
}

impl Answered for Shuffled {}

impl core::ops::Deref for ShuffleChannel {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.0
    }
}

impl ShuffleChannel {
    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self(self.0.within(deadline))
    }

    /// Takes part in the next shuffle. `partition` is told how many receivers there are and answers with the records for
    /// each, in pieces that arrive as they are; which of them a record is for should follow from its hash modulo that
    /// number. It is called once, in the member's own task.
    ///
    /// The k-th call of a member is for the k-th shuffle that it is in, so all must call equally often.
    ///
    /// # Errors
    /// `NotTaken`: the shuffle before it is not over. `Deadline`, `Fenced`, `Left`.
    pub async fn shuffle(
        &self,
        partition: impl FnOnce(u32) -> Vec<Vec<Bytes>> + Send + 'static,
    ) -> Result<Shuffled, ZipError> {
        let piece_bytes = self.0.piece_bytes;
        let partition: Partition = Box::new(move |receivers| {
            let pieces =
                |records: Vec<Bytes>| records.into_iter().flat_map(|it| cut(it, piece_bytes)).collect();
            partition(receivers).into_iter().map(pieces).collect()
        });
        self.0.ask("a shuffle", |answer| Call::Shuffle(partition, answer)).await
    }
}
