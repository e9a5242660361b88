//! A channel in which every member gives a value, and all see all values with the names of those who gave them.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cirrus_core::channel::Missing;
use cirrus_core::ids::{ControllerEpoch, MemberId, Round, Stamp};

use super::channel::Channel;
use super::error::ZipError;
use super::operator::Operator;
use super::reduce::ReduceChannel;

/// What stands before each value: who gave it, and its length.
const HEADER_BYTES: usize = 16;

/// A seat in a channel of gathers. It is a reduce whose operator puts values side by side, so it promises what a reduce
/// does.
#[derive(Clone, Debug)]
pub struct GatherChannel(pub(super) ReduceChannel);

/// What has been gathered: the same at all who see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// Its number.
    pub round: Round,
    /// The values, in the order in which those who gave them joined. They share one buffer.
    pub values: Vec<(MemberId, Bytes)>,
    /// Whose is not among them and was counted before.
    pub missing: Missing,
}

/// Puts values side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct SideBySide {
    /// Together they may not be longer.
    pub(super) limit: usize,
}

impl Operator for SideBySide {
    fn element_bytes(&self) -> Option<usize> {
        None
    }

    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes> {
        let length = pieces.iter().map(Bytes::len).sum();
        let mut all = BytesMut::with_capacity(if length > self.limit { return None } else { length });
        pieces.iter().for_each(|piece| all.extend_from_slice(piece));
        Some(all.freeze())
    }
}

impl core::ops::Deref for GatherChannel {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.0
    }
}

impl GatherChannel {
    /// The same seat, whose calls end after this long.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self(self.0.within(deadline))
    }

    /// Gives this member's value for its next round, and answers with those of all. Values may differ in length; all together
    /// must fit into one frame ([`Medium::body_limit`](cirrus_transport::Medium::body_limit)).
    ///
    /// The k-th call of a member is for the k-th round that it is in, so all must call equally often.
    ///
    /// # Errors
    /// `TooLong`: this value alone is. `Unfit`: all together are. Else as [`ReduceChannel::all_reduce`].
    pub async fn gather(&self, value: impl AsRef<[u8]> + Send) -> Result<Gathered, ZipError> {
        let named = named(self.member(), value.as_ref());
        let reduced = self.0.all_reduce(named).await?;
        let values = parted(reduced.value.into_bytes()).ok_or(ZipError::Unfit { round: reduced.round })?;
        Ok(Gathered { round: reduced.round, values, missing: reduced.missing })
    }
}

/// A value with its header.
fn named(member: MemberId, value: &[u8]) -> Bytes {
    let mut named = BytesMut::with_capacity(HEADER_BYTES + value.len());
    named.put_u32_le(member.stamp.epoch.0);
    named.put_u32_le(member.stamp.serial);
    named.put_u32_le(member.slot);
    named.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX)); // Nothing longer is taken.
    named.extend_from_slice(value);
    named.freeze()
}

/// The values that stand side by side, by member; `None` if that is not what this is.
fn parted(mut all: Bytes) -> Option<Vec<(MemberId, Bytes)>> {
    let mut values = Vec::new();
    while !all.is_empty() {
        if all.len() < HEADER_BYTES {
            return None;
        }
        let stamp = Stamp { epoch: ControllerEpoch(all.get_u32_le()), serial: all.get_u32_le() };
        let member = MemberId { stamp, slot: all.get_u32_le() };
        let length = all.get_u32_le() as usize;
        if all.len() < length {
            return None;
        }
        values.push((member, all.split_to(length)));
    }
    values.sort_unstable_by_key(|(member, _)| *member);
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(serial: u32) -> MemberId {
        MemberId { stamp: Stamp { epoch: ControllerEpoch(1), serial }, slot: serial }
    }

    #[test]
    fn values_side_by_side_are_told_apart() {
        let operator = SideBySide { limit: 100 };
        let all =
            [(3, &b"abc"[..]), (1, b""), (2, b"de")].map(|(serial, value)| named(member(serial), value));
        let inner = operator.combine(&all[1..]).unwrap();
        let whole = operator.combine(&[all[0].clone(), inner]).unwrap();
        let expected = [(1, &b""[..]), (2, b"de"), (3, b"abc")];
        let expected = expected.map(|(serial, value)| (member(serial), Bytes::from_static(value)));
        assert_eq!(parted(whole.clone()).unwrap(), expected);
        assert_eq!(parted(whole.slice(..whole.len() - 1)), None, "a value is cut off");
        assert_eq!(parted(whole.slice(..HEADER_BYTES - 1)), None, "a header is cut off");
        assert_eq!(SideBySide { limit: whole.len() - 1 }.combine(&all), None);
    }
}
