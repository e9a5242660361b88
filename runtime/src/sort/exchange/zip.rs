//! Records from process to process, by a shuffle.

use bytes::Bytes;

use super::{Exchange, Exchanging, Moved, Pieces, whole};
use crate::sort::error::SortError;
use crate::sort::team::Team;
use crate::zip::error::in_words;

/// A shuffle in the channel that the workers are in anyway.
#[derive(Clone, Copy, Debug)]
pub struct ByZip;

/// A piece that is counted when the last who holds it lets it go: then it has arrived.
struct Counted {
    piece: Bytes,
    moved: Moved,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.moved.add(self.piece.len());
    }
}

impl Exchange for ByZip {
    fn exchange<'a>(&'a self, team: &'a Team, outgoing: Pieces, moved: &'a Moved) -> Exchanging<'a> {
        Box::pin(async move {
            let moved = moved.clone();
            let counted = move |piece| Bytes::from_owner(Counted { piece, moved: moved.clone() });
            let (tells, receivers) = std::sync::mpsc::channel();
            let shuffled = team.records().shuffle(move |receivers| {
                // Whoever sorts has long gone if it does not listen.
                let _ = tells.send(receivers);
                outgoing.into_iter().map(|pieces| pieces.into_iter().map(&counted).collect()).collect()
            });
            let shuffled = shuffled.await?;
            let found = receivers.try_recv().unwrap_or_default();
            let mut lost = shuffled.lost_senders.iter().chain(&shuffled.lost_receivers);
            if let Some(lost) = lost.next() {
                let why = format!("{} is gone", in_words(*lost));
                return Err(SortError::Workers {
                    expected: team.size(),
                    found: found.saturating_sub(1),
                    why,
                });
            }
            if found != team.size() {
                let why = "one of them has come or gone".to_owned();
                return Err(SortError::Workers { expected: team.size(), found, why });
            }
            let mut incoming = vec![Vec::new(); team.size() as usize];
            for (from, piece) in shuffled.received {
                // Only those who are in the channel are heard.
                if let Some(pieces) = team.rank_of(from).and_then(|rank| incoming.get_mut(rank)) {
                    pieces.push(piece);
                }
            }
            for (from, pieces) in incoming.iter().enumerate() {
                whole(from, pieces)?;
            }
            Ok(incoming)
        })
    }
}
