//! What can happen to a data store. `P` is a payload (keys, an update) that the machine never looks into.

use super::{Marker, RecordId, Timer};
use crate::ids::{CallId, GradientName, Incarnation, Pass, StoreEpoch, Version, WorkerId};

/// Who sends a request: a worker's slot and which life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender {
    /// The slot.
    pub worker: WorkerId,
    /// The life.
    pub incarnation: Incarnation,
}

/// What can happen to a data store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<P> {
    /// The process is up; `last_epoch` and `snapshot` are what its disk holds. Comes once, first.
    Started {
        /// The newest epoch on disk.
        last_epoch: Option<StoreEpoch>,
        /// What the newest whole snapshot covers; its table is loaded already.
        snapshot: Option<Marker>,
    },
    /// A worker begins a session, or begins it again after its connection broke. What it sent before counts
    /// no more: requests with a call up to this one are stale.
    Open {
        /// Who.
        from: Sender,
        /// The first call of the session.
        call: CallId,
    },
    /// A worker begins a round: it wants the cells of `keys`.
    Read {
        /// Who.
        from: Sender,
        /// In which epoch.
        epoch: StoreEpoch,
        /// Names the request.
        call: CallId,
        /// Which cells.
        keys: P,
    },
    /// A worker ends a round with a named update.
    Push {
        /// Who.
        from: Sender,
        /// In which epoch.
        epoch: StoreEpoch,
        /// Names the request.
        call: CallId,
        /// The rows that the update was computed from.
        name: GradientName,
        /// The update.
        update: P,
    },
    /// A worker has no work in hand: nobody need wait for it.
    Park {
        /// Who.
        from: Sender,
        /// Names the request.
        call: CallId,
    },
    /// A worker ends its session.
    Leave {
        /// Who.
        from: Sender,
    },
    /// This incarnation, and every earlier one of the slot, is dead or counts as dead.
    Fence(Sender),
    /// Every block of this pass is recorded: its names need not be kept one by one.
    ClosePass {
        /// The epoch in which they were recorded.
        epoch: StoreEpoch,
        /// The pass.
        pass: Pass,
    },
    /// Somebody outside any session wants to see cells as they are.
    Peek {
        /// Names the request.
        call: CallId,
        /// Which cells.
        keys: P,
    },
    /// Somebody wants the present state on disk, and to be told when it is.
    SnapshotWanted {
        /// Names the request.
        call: CallId,
    },
    /// The update that made this version is in the table (`Effect::Apply` is done).
    Applied(Version),
    /// A record is on disk (`Effect::Persist` is done).
    Persisted(RecordId),
    /// A record could not be written; what the disk held before is still there.
    PersistFailed(RecordId),
    /// A timer fired.
    Timer(Timer),
}

impl<P> Event<P> {
    /// Who sent it, if a worker did.
    #[must_use]
    pub fn sender(&self) -> Option<Sender> {
        let (Self::Open { from, .. }
        | Self::Read { from, .. }
        | Self::Push { from, .. }
        | Self::Park { from, .. }
        | Self::Leave { from }) = self
        else {
            return None;
        };
        Some(*from)
    }
}
