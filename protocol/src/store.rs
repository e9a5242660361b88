//! What is said to a data store, and what it answers.
//!
//! A worker opens a session and then names its calls by rising numbers; an answer carries its call's number. A
//! push and the next read may leave in one write: the store takes all frames that have arrived before it writes
//! its answers. Who coordinates the workers fences the dead ones, closes passes, and asks for what is recorded;
//! what it says on one connection takes effect in order, so an answer to a later question confirms it all.
//!
//! Keys and updates are opaque here (see [`keys`](crate::keys), [`gradient`](crate::gradient)), and so are cells:
//! `f32`, little-endian, as many a key as the model has. Every message has exactly one encoding. Which request is
//! granted is decided by `cirrus_core::store`.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use cirrus_core::ids::{CallId, GradientName, Pass, StoreEpoch, Version};
use cirrus_core::store::{Marker, Reason, Sender};

use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;
use crate::names;

/// The numbers by which a frame's header names these messages.
pub mod kind {
    /// [`StoreRequest::Open`](super::StoreRequest::Open).
    pub const OPEN: u16 = 0x0101;
    /// [`StoreRequest::Read`](super::StoreRequest::Read).
    pub const READ: u16 = 0x0102;
    /// [`StoreRequest::Push`](super::StoreRequest::Push).
    pub const PUSH: u16 = 0x0103;
    /// [`StoreRequest::Park`](super::StoreRequest::Park).
    pub const PARK: u16 = 0x0104;
    /// [`StoreRequest::Leave`](super::StoreRequest::Leave).
    pub const LEAVE: u16 = 0x0105;
    /// [`StoreRequest::Fence`](super::StoreRequest::Fence).
    pub const FENCE: u16 = 0x0110;
    /// [`StoreRequest::Recorded`](super::StoreRequest::Recorded).
    pub const RECORDED: u16 = 0x0111;
    /// [`StoreRequest::ClosePass`](super::StoreRequest::ClosePass).
    pub const CLOSE_PASS: u16 = 0x0112;
    /// [`StoreRequest::Peek`](super::StoreRequest::Peek).
    pub const PEEK: u16 = 0x0113;
    /// [`StoreRequest::Statistics`](super::StoreRequest::Statistics).
    pub const STATISTICS: u16 = 0x0114;
    /// [`StoreRequest::Snapshot`](super::StoreRequest::Snapshot).
    pub const SNAPSHOT: u16 = 0x0115;
    /// [`StoreRequest::Stop`](super::StoreRequest::Stop).
    pub const STOP: u16 = 0x0116;
    /// [`StoreReply::Opened`](super::StoreReply::Opened).
    pub const OPENED: u16 = 0x0201;
    /// [`StoreReply::Values`](super::StoreReply::Values).
    pub const VALUES: u16 = 0x0202;
    /// [`StoreReply::Acknowledged`](super::StoreReply::Acknowledged).
    pub const ACKNOWLEDGED: u16 = 0x0203;
    /// [`StoreReply::Refused`](super::StoreReply::Refused).
    pub const REFUSED: u16 = 0x0204;
    /// [`StoreReply::RecordedNames`](super::StoreReply::RecordedNames).
    pub const RECORDED_NAMES: u16 = 0x0211;
    /// [`StoreReply::Statistics`](super::StoreReply::Statistics).
    pub const STATISTICS_REPLY: u16 = 0x0214;
    /// [`StoreReply::SnapshotTaken`](super::StoreReply::SnapshotTaken).
    pub const SNAPSHOT_TAKEN: u16 = 0x0215;
}

/// What is asked of a data store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreRequest {
    /// A worker begins a session on this connection, or begins it again.
    Open {
        /// Who: all that follows on this connection comes from it.
        from: Sender,
        /// Names the request.
        call: CallId,
        /// The model's description, JSON. The first one makes the table, later ones must be equal to it.
        model: Bytes,
    },
    /// A worker begins a round and wants cells.
    Read {
        /// Names the request.
        call: CallId,
        /// In which epoch.
        epoch: StoreEpoch,
        /// A sequence of key lists; empty: every cell there is.
        keys: Bytes,
    },
    /// A worker ends a round with a named update.
    Push {
        /// Names the request.
        call: CallId,
        /// In which epoch.
        epoch: StoreEpoch,
        /// The rows that it was computed from.
        name: GradientName,
        /// How many rows those are.
        rows: u32,
        /// The update.
        update: Bytes,
    },
    /// A worker has no work in hand: nobody need wait for it. Not answered.
    Park {
        /// Names the request.
        call: CallId,
    },
    /// A worker ends its session. Not answered.
    Leave,
    /// This incarnation and every earlier one of its slot count as dead. Not answered.
    Fence {
        /// Who died.
        dead: Sender,
    },
    /// Which names are recorded? Answered by [`StoreReply::RecordedNames`].
    Recorded {
        /// Names the request.
        call: CallId,
    },
    /// Every block of this pass is recorded. Not answered.
    ClosePass {
        /// In which epoch.
        epoch: StoreEpoch,
        /// The pass.
        pass: Pass,
    },
    /// Cells as they are now, outside any session. Answered by [`StoreReply::Values`].
    Peek {
        /// Names the request.
        call: CallId,
        /// A sequence of key lists; empty: every cell there is.
        keys: Bytes,
    },
    /// What has been done so far? Answered by [`StoreReply::Statistics`].
    Statistics {
        /// Names the request.
        call: CallId,
    },
    /// Put the present state on disk. Answered by [`StoreReply::SnapshotTaken`] when it is there.
    Snapshot {
        /// Names the request.
        call: CallId,
    },
    /// End the process. Answered by the end of the connection.
    Stop,
}

/// What a data store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreReply {
    /// The session has begun.
    Opened {
        /// The request.
        call: CallId,
        /// The state of the store; its epoch may be new to the worker.
        version: Version,
    },
    /// The cells that were asked for.
    Values {
        /// The request.
        call: CallId,
        /// The state that was read.
        version: Version,
        /// The cells, in the order of the keys.
        cells: Bytes,
    },
    /// The update counts.
    Acknowledged {
        /// The request.
        call: CallId,
        /// Its name.
        name: GradientName,
        /// A state that contains it.
        version: Version,
        /// Whether the name had been recorded before, so that nothing was applied now.
        duplicate: bool,
    },
    /// Nothing was done.
    Refused {
        /// The request.
        call: CallId,
        /// Why.
        reason: Refusal,
    },
    /// What is recorded.
    RecordedNames {
        /// The request.
        call: CallId,
        /// The state and the names in it.
        marker: Marker,
    },
    /// What has been done so far.
    Statistics {
        /// The request.
        call: CallId,
        /// The counts.
        statistics: StoreStatistics,
    },
    /// A snapshot of at least the state at the time of the request is on disk.
    SnapshotTaken {
        /// The request.
        call: CallId,
        /// The state on disk.
        version: Version,
    },
}

/// Why a store did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The store's rules forbid it.
    Rule(Reason),
    /// An update refers to the keys of a read that the store does not hold any more: send the keys with it.
    UnknownRead(CallId),
    /// The model's description, the keys or the update do not fit the store's table; the text says why.
    Unfit(String),
    /// The store could not do it (write a snapshot); the text says why.
    Failed(String),
}

/// What a store has done in this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Its state.
    pub version: Version,
    /// Updates applied.
    pub applied: u64,
    /// Updates acknowledged, repeats included.
    pub acknowledged: u64,
    /// Updates acknowledged without being applied, because their name was recorded already.
    pub duplicates: u64,
    /// Requests refused.
    pub refused: u64,
    /// Reads served.
    pub reads: u64,
    /// Rows in the applied updates.
    pub rows: u64,
    /// Snapshots written.
    pub snapshots: u64,
}

/// The most names in a message. Names are kept for the open passes only, one a block: this is enough for passes
/// over 34,000 million rows.
pub const NAMES_MAX: u32 = 1 << 22;

impl StoreRequest {
    /// The frame that carries it. Keys, update and model stay where they are.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        let fields = Writer::default();
        match self {
            Self::Open { from, call, model } => fields.call(call).sender(from).tail(model).frame(kind::OPEN),
            Self::Read { call, epoch, keys } => fields.call(call).u32(epoch.0).tail(keys).frame(kind::READ),
            Self::Push { call, epoch, name, rows, update } => {
                fields.call(call).u32(epoch.0).name(name).u32(rows).tail(update).frame(kind::PUSH)
            }
            Self::Park { call } => fields.call(call).frame(kind::PARK),
            Self::Leave => fields.frame(kind::LEAVE),
            Self::Fence { dead } => fields.sender(dead).frame(kind::FENCE),
            Self::Recorded { call } => fields.call(call).frame(kind::RECORDED),
            Self::ClosePass { epoch, pass } => fields.u32(epoch.0).u32(pass.0).frame(kind::CLOSE_PASS),
            Self::Peek { call, keys } => fields.call(call).tail(keys).frame(kind::PEEK),
            Self::Statistics { call } => fields.call(call).frame(kind::STATISTICS),
            Self::Snapshot { call } => fields.call(call).frame(kind::SNAPSHOT),
            Self::Stop => fields.frame(kind::STOP),
        }
    }
}

impl TryFrom<Frame> for StoreRequest {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let request = match kind {
            kind::OPEN => Self::Open { from: body.sender()?, call: body.call(), model: body.rest() },
            kind::READ => Self::Read { call: body.call(), epoch: body.epoch()?, keys: body.rest() },
            kind::PUSH => Self::Push {
                call: body.call(),
                epoch: body.epoch()?,
                name: body.name()?,
                rows: body.u32()?,
                update: body.rest(),
            },
            kind::PARK => Self::Park { call: body.call() },
            kind::LEAVE => Self::Leave,
            kind::FENCE => Self::Fence { dead: body.sender()? },
            kind::RECORDED => Self::Recorded { call: body.call() },
            kind::CLOSE_PASS => Self::ClosePass { epoch: body.epoch()?, pass: Pass(body.u32()?) },
            kind::PEEK => Self::Peek { call: body.call(), keys: body.rest() },
            kind::STATISTICS => Self::Statistics { call: body.call() },
            kind::SNAPSHOT => Self::Snapshot { call: body.call() },
            kind::STOP => Self::Stop,
            _ => return Err(FormatError::Corrupt("a frame that is not a request to a data store")),
        };
        body.end()?;
        Ok(request)
    }
}

impl StoreReply {
    /// The frame that carries it. Cells stay where they are.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        let fields = Writer::default();
        match self {
            Self::Opened { call, version } => fields.call(call).version(version).frame(kind::OPENED),
            Self::Values { call, version, cells } => {
                fields.call(call).version(version).tail(cells).frame(kind::VALUES)
            }
            Self::Acknowledged { call, name, version, duplicate } => {
                fields.call(call).name(name).version(version).flag(duplicate).frame(kind::ACKNOWLEDGED)
            }
            Self::Refused { call, reason } => reason.write(fields.call(call)).frame(kind::REFUSED),
            Self::RecordedNames { call, marker } => {
                let mut set = Vec::new();
                names::encode(&marker.names, &mut set);
                let fields = fields.call(call).version(marker.version).u32(marker.closed.0);
                fields.tail(set.into()).frame(kind::RECORDED_NAMES)
            }
            Self::Statistics { call, statistics } => {
                let fields = fields.call(call).version(statistics.version);
                statistics.counts().into_iter().fold(fields, Writer::u64).frame(kind::STATISTICS_REPLY)
            }
            Self::SnapshotTaken { call, version } => {
                fields.call(call).version(version).frame(kind::SNAPSHOT_TAKEN)
            }
        }
    }
}

impl TryFrom<Frame> for StoreReply {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let call = body.call();
        let reply = match kind {
            kind::OPENED => Self::Opened { call, version: body.version()? },
            kind::VALUES => Self::Values { call, version: body.version()?, cells: body.rest() },
            kind::ACKNOWLEDGED => Self::Acknowledged {
                call,
                name: body.name()?,
                version: body.version()?,
                duplicate: body.flag()?,
            },
            kind::REFUSED => Self::Refused { call, reason: Refusal::read(&mut body)? },
            kind::RECORDED_NAMES => {
                let (version, closed) = (body.version()?, Pass(body.u32()?));
                let names = names::decode(&body.rest(), NAMES_MAX)?;
                Self::RecordedNames { call, marker: Marker { version, closed, names } }
            }
            kind::STATISTICS_REPLY => {
                Self::Statistics { call, statistics: StoreStatistics::read(&mut body)? }
            }
            kind::SNAPSHOT_TAKEN => Self::SnapshotTaken { call, version: body.version()? },
            _ => return Err(FormatError::Corrupt("a frame that is not a data store's answer")),
        };
        body.end()?;
        Ok(reply)
    }
}

/// One byte for every [`Refusal`].
mod reason {
    pub(super) const FENCED: u8 = 1;
    pub(super) const WRONG_EPOCH: u8 = 2;
    pub(super) const NOT_OPEN: u8 = 3;
    pub(super) const NOT_READY: u8 = 4;
    pub(super) const FULL: u8 = 5;
    pub(super) const UNKNOWN_READ: u8 = 6;
    pub(super) const UNFIT: u8 = 7;
    pub(super) const FAILED: u8 = 8;
}

impl Refusal {
    fn write(self, fields: Writer) -> Writer {
        match self {
            Self::Rule(Reason::Fenced) => fields.u8(reason::FENCED),
            Self::Rule(Reason::WrongEpoch(epoch)) => fields.u8(reason::WRONG_EPOCH).u32(epoch.0),
            Self::Rule(Reason::NotOpen) => fields.u8(reason::NOT_OPEN),
            Self::Rule(Reason::NotReady) => fields.u8(reason::NOT_READY),
            Self::Rule(Reason::Full) => fields.u8(reason::FULL),
            Self::UnknownRead(call) => fields.u8(reason::UNKNOWN_READ).u64(call.0),
            Self::Unfit(text) => fields.u8(reason::UNFIT).text(&text),
            Self::Failed(text) => fields.u8(reason::FAILED).text(&text),
        }
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok(match body.u8()? {
            reason::FENCED => Self::Rule(Reason::Fenced),
            reason::WRONG_EPOCH => Self::Rule(Reason::WrongEpoch(body.epoch()?)),
            reason::NOT_OPEN => Self::Rule(Reason::NotOpen),
            reason::NOT_READY => Self::Rule(Reason::NotReady),
            reason::FULL => Self::Rule(Reason::Full),
            reason::UNKNOWN_READ => Self::UnknownRead(CallId(body.u64()?)),
            reason::UNFIT => Self::Unfit(body.text()?),
            reason::FAILED => Self::Failed(body.text()?),
            _ => return Err(FormatError::Corrupt("a refusal for an unknown reason")),
        })
    }
}

impl StoreStatistics {
    /// In the order of the wire.
    fn counts(self) -> [u64; 7] {
        [
            self.applied,
            self.acknowledged,
            self.duplicates,
            self.refused,
            self.reads,
            self.rows,
            self.snapshots,
        ]
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok(Self {
            version: body.version()?,
            applied: body.u64()?,
            acknowledged: body.u64()?,
            duplicates: body.u64()?,
            refused: body.u64()?,
            reads: body.u64()?,
            rows: body.u64()?,
            snapshots: body.u64()?,
        })
    }
}
