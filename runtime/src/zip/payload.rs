//! What applications send: cut into pieces without a copy, and put together again only for who wants one array.

use bytes::{Bytes, BytesMut};

/// What has arrived, in the pieces in which it did. Each is a slice of the buffer that its bytes were received in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(Vec<Bytes>);

impl Payload {
    /// Of these pieces.
    #[must_use]
    pub fn new(pieces: Vec<Bytes>) -> Self {
        Self(pieces)
    }

    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// All bytes in one piece; copies them only where there are several.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.0.len() == 1 {
            return self.0.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.0.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }
}

/// Cuts what is to be sent into pieces of at most this many bytes, at least one.
pub(super) fn cut(mut data: Bytes, piece_bytes: usize) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(data.len() / piece_bytes.max(1) + 1);
    while data.len() > piece_bytes {
        pieces.push(data.split_to(piece_bytes.max(1)));
    }
    pieces.push(data);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_what_comes_together() {
        for (length, pieces) in [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3)] {
            let data: Bytes = (0..length).collect::<Vec<u8>>().into();
            let cut = cut(data.clone(), 4);
            assert_eq!(cut.len(), pieces, "{length} bytes");
            assert!(cut.iter().all(|piece| data.is_empty() || data.as_ptr_range().contains(&piece.as_ptr())));
            let payload = Payload::new(cut);
            assert_eq!((payload.len(), payload.is_empty()), (data.len(), data.is_empty()));
            assert_eq!(payload.into_bytes(), data);
        }
    }
}
