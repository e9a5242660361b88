//! Records by way of an object store: each worker puts one object for each other one, and when all have, gets its own.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Exchange, Exchanging, Moved, Pieces, whole};
use crate::object::{ObjectError, ObjectFault, ObjectStore};
use crate::sort::team::Team;

/// Objects of a store.
pub struct ByStore {
    store: Arc<dyn ObjectStore>,
}

impl ByStore {
    /// In a store that nobody else uses.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }
}

impl std::fmt::Debug for ByStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ByStore").field(&self.store.describe("")).finish()
    }
}

/// An object of the exchange.
fn key(from: u32, to: u32) -> String {
    format!("from-{from:05}/to-{to:05}")
}

impl Exchange for ByStore {
    fn exchange<'a>(&'a self, team: &'a Team, outgoing: Pieces, moved: &'a Moved) -> Exchanging<'a> {
        Box::pin(async move {
            let me = team.rank();
            for (to, pieces) in (0..).zip(outgoing) {
                if pieces.is_empty() {
                    continue; // Whoever finds no object gets nothing.
                }
                let bytes = pieces.iter().map(Bytes::len).sum();
                let mut object = BytesMut::with_capacity(bytes);
                for piece in pieces {
                    object.extend_from_slice(&piece);
                }
                self.store.put(&key(me, to), object.freeze()).await?;
                moved.add(bytes);
            }
            team.together().await?;
            let mut incoming = vec![Vec::new(); team.size() as usize];
            for (from, pieces) in (0..).zip(&mut incoming) {
                if from == me {
                    continue;
                }
                let key = key(from, me);
                match self.store.get(&key).await {
                    Ok(object) => pieces.push(object),
                    // That one has nothing for this one.
                    Err(ObjectError { fault: ObjectFault::NotFound, .. }) => continue,
                    Err(error) => return Err(error.into()),
                }
                whole(from as usize, pieces)?;
                self.store.delete(&key).await?;
            }
            Ok(incoming)
        })
    }
}
