//! What a data store asks its shell to do.

use super::event::Sender;
use super::{Marker, RecordId, Timer};
use crate::ids::{CallId, Clock, GradientName, Millis, StoreEpoch, Version};

/// What a data store asks its shell to do. Effects are carried out in order; work on the table too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<P> {
    /// Answer a worker. If its connection is gone the answer is dropped: it will ask again.
    Reply {
        /// Whom.
        to: Sender,
        /// What.
        reply: Reply,
    },
    /// Read these cells of the table and send them to the worker.
    Serve {
        /// Whom.
        to: Sender,
        /// The request.
        call: CallId,
        /// The state that is read.
        version: Version,
        /// The round of the reader.
        clock: Clock,
        /// Which cells.
        keys: P,
    },
    /// Apply an update to the table, then say `Applied(version)`.
    Apply {
        /// Its name.
        name: GradientName,
        /// The state that it makes.
        version: Version,
        /// The update.
        update: P,
    },
    /// Read these cells and send them to who peeked.
    ServePeek {
        /// The request.
        call: CallId,
        /// The state that is read.
        version: Version,
        /// Which cells.
        keys: P,
    },
    /// Write a record that survives a crash, then say `Persisted` (or `PersistFailed`).
    Persist(Record),
    /// Tell who asked that a snapshot of at least the state it asked for is on disk.
    SnapshotDone {
        /// The request.
        call: CallId,
        /// The state on disk.
        version: Version,
    },
    /// Tell who asked that the snapshot could not be written.
    SnapshotFailed {
        /// The request.
        call: CallId,
    },
    /// Fire this timer after this long.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
    /// The epoch is on disk: workers may come.
    Ready(StoreEpoch),
    /// The store cannot open: there is no next epoch, or it could not be put on disk.
    CannotOpen,
}

/// What must survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The epoch that begins. Later ones replace earlier ones.
    Epoch(StoreEpoch),
    /// The whole table as it is at this point among the effects, and what it covers.
    Snapshot(Marker),
}

impl Record {
    /// The record's name, by which its fate is told.
    #[must_use]
    pub fn id(&self) -> RecordId {
        match self {
            Self::Epoch(epoch) => RecordId::Epoch(*epoch),
            Self::Snapshot(marker) => RecordId::Snapshot(marker.version),
        }
    }
}

/// An answer to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The session has begun.
    Opened {
        /// The request.
        call: CallId,
        /// The state of the store; its epoch may be new to the worker.
        version: Version,
    },
    /// The update counts.
    Acknowledged {
        /// The request.
        call: CallId,
        /// Its name.
        name: GradientName,
        /// A state that contains it.
        version: Version,
        /// Whether the same name had been recorded before, so that nothing was applied now.
        duplicate: bool,
    },
    /// Nothing was done.
    Refused {
        /// The request.
        call: CallId,
        /// Why.
        reason: Reason,
    },
}

/// Why a request was refused. The state of the store is unchanged in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// This incarnation was declared dead: it must end.
    Fenced,
    /// The store lives in this epoch, the request was for another.
    WrongEpoch(StoreEpoch),
    /// There is no session: open one first.
    NotOpen,
    /// The store is not ready yet.
    NotReady,
    /// A limit is reached (workers, waiting reads, updates in progress, or names).
    Full,
}
