//! What a worker, or a store's process, and the coordinator of its job say to each other.
//!
//! ```text
//! worker                        coordinator
//!   |--- Hello(role, slot) -------->|
//!   |<--- Welcome(job) -------------|
//!   |<--- StoreAt(address, epoch) --|   again when the store came back
//!   |--- WantLease(n) ------------->|
//!   |<--- Grant(pass, block) ... ---|   Dry when nothing is pending
//!   |--- Done(name, epoch) -------->|
//!   |<--- Finish -------------------|
//!   |--- Statistics --------------->|
//! ```
//! A store's process is welcomed in the same way, and says `StoreReady` when it listens.
//!
//! Nothing here is a call: each side says what it knows, and the connection keeps the order. Who gets which block
//! is decided by `cirrus_core::lease`, what a worker does next by `cirrus_core::worker`.

use alloc::string::String;
use bytes::Bytes;
use cirrus_core::ids::{BlockId, GradientName, Pass, StoreEpoch};
use cirrus_core::store::Sender;

use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// The numbers by which a frame's header names these messages.
pub mod kind {
    /// [`JobRequest::Hello`](super::JobRequest::Hello).
    pub const HELLO: u16 = 0x0301;
    /// [`JobRequest::WantLease`](super::JobRequest::WantLease).
    pub const WANT_LEASE: u16 = 0x0302;
    /// [`JobRequest::Done`](super::JobRequest::Done).
    pub const DONE: u16 = 0x0303;
    /// [`JobRequest::Failed`](super::JobRequest::Failed).
    pub const FAILED: u16 = 0x0304;
    /// [`JobRequest::Statistics`](super::JobRequest::Statistics).
    pub const WORKER_STATISTICS: u16 = 0x0305;
    /// [`JobRequest::StoreReady`](super::JobRequest::StoreReady).
    pub const STORE_READY: u16 = 0x0306;
    /// [`JobReply::Welcome`](super::JobReply::Welcome).
    pub const WELCOME: u16 = 0x0401;
    /// [`JobReply::Grant`](super::JobReply::Grant).
    pub const GRANT: u16 = 0x0402;
    /// [`JobReply::Dry`](super::JobReply::Dry).
    pub const DRY: u16 = 0x0403;
    /// [`JobReply::StoreAt`](super::JobReply::StoreAt).
    pub const STORE_AT: u16 = 0x0404;
    /// [`JobReply::Finish`](super::JobReply::Finish).
    pub const FINISH: u16 = 0x0405;
    /// [`JobReply::Fenced`](super::JobReply::Fenced).
    pub const FENCED: u16 = 0x0406;
}

/// What a process does for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It learns.
    Worker,
    /// It holds the model.
    Store,
}

/// From a worker or a store to the coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum JobRequest {
    /// The process is up. The first message on a connection.
    Hello {
        /// What it is.
        role: Role,
        /// The slot it fills, and which life of it it is.
        from: Sender,
        /// The number of the process, for people.
        pid: u32,
    },
    /// It could hold this many more blocks.
    WantLease {
        /// How many more.
        count: u32,
    },
    /// The store acknowledged the update of a block.
    Done {
        /// The update's name.
        name: GradientName,
        /// In which epoch.
        epoch: StoreEpoch,
        /// Whether the store had recorded the name before: then the rows do not count twice.
        duplicate: bool,
        /// What came out.
        report: BlockReport,
    },
    /// It cannot go on, and ends.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// What it took; the answer to [`JobReply::Finish`].
    Statistics(WorkerStatistics),
    /// The store takes connections.
    StoreReady {
        /// Where.
        store: String,
        /// The epoch that it begins.
        epoch: StoreEpoch,
    },
}

/// From the coordinator to a worker or a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobReply {
    /// The process belongs to the job.
    Welcome {
        /// What it has to know of the job: a description for its role, JSON.
        job: Bytes,
    },
    /// This block is the worker's now.
    Grant {
        /// In which pass.
        pass: Pass,
        /// Which block.
        block: BlockId,
    },
    /// Nothing is pending. What the worker wanted stays wanted.
    Dry,
    /// The store is there, or came back, elsewhere or in a new epoch.
    StoreAt {
        /// Its address.
        store: String,
        /// Its epoch.
        epoch: StoreEpoch,
    },
    /// The job is over: send the statistics and end.
    Finish,
    /// The worker counts as dead: end at once.
    Fenced,
}

/// What came out of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockReport {
    /// Rows learned from.
    pub rows: u64,
    /// The sum over the rows of the loss before learning from each, in nats.
    pub loss_sum: f64,
}

/// What a worker process took in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStatistics {
    /// The most resident memory, in bytes.
    pub peak_memory_bytes: u64,
    /// From the start of the process until it was ready for work.
    pub start_micros: u64,
    /// Blocks learned from.
    pub blocks: u64,
    /// Rows learned from.
    pub rows: u64,
    /// Spent waiting for blocks to arrive from object storage.
    pub fetch_wait_micros: u64,
    /// Spent waiting for the store.
    pub store_wait_micros: u64,
    /// Spent checking and decoding blocks.
    pub decode_micros: u64,
    /// Spent learning.
    pub learn_micros: u64,
    /// Sent to the store.
    pub sent_bytes: u64,
    /// Received from the store.
    pub received_bytes: u64,
}

impl JobRequest {
    /// The frame that carries it.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        match self {
            Self::Hello { role, from, pid } => {
                Writer::default().u8(role.number()).sender(from).u32(pid).frame(kind::HELLO)
            }
            Self::WantLease { count } => Writer::default().u32(count).frame(kind::WANT_LEASE),
            Self::Done { name, epoch, duplicate, report } => Writer::default()
                .name(name)
                .u32(epoch.0)
                .flag(duplicate)
                .u64(report.rows)
                .f64(report.loss_sum)
                .frame(kind::DONE),
            Self::Failed { reason } => Writer::default().text(&reason).frame(kind::FAILED),
            Self::Statistics(statistics) => statistics
                .fields()
                .into_iter()
                .fold(Writer::default(), Writer::u64)
                .frame(kind::WORKER_STATISTICS),
            Self::StoreReady { store, epoch } => {
                Writer::default().text(&store).u32(epoch.0).frame(kind::STORE_READY)
            }
        }
    }
}

impl TryFrom<Frame> for JobRequest {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let request = match kind {
            kind::HELLO => {
                Self::Hello { role: Role::read(&mut body)?, from: body.sender()?, pid: body.u32()? }
            }
            kind::WANT_LEASE => Self::WantLease { count: body.u32()? },
            kind::DONE => Self::Done {
                name: body.name()?,
                epoch: body.epoch()?,
                duplicate: body.flag()?,
                report: BlockReport { rows: body.u64()?, loss_sum: body.f64()? },
            },
            kind::FAILED => Self::Failed { reason: body.text()? },
            kind::WORKER_STATISTICS => Self::Statistics(WorkerStatistics::read(&mut body)?),
            kind::STORE_READY => Self::StoreReady { store: body.text()?, epoch: body.epoch()? },
            _ => return Err(FormatError::Corrupt("a frame that is not a message to a coordinator")),
        };
        body.end()?;
        Ok(request)
    }
}

impl JobReply {
    /// The frame that carries it.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        match self {
            Self::Welcome { job } => Writer::default().tail(job).frame(kind::WELCOME),
            Self::Grant { pass, block } => {
                Writer::default().u32(pass.0).u32(block.partition).u32(block.block).frame(kind::GRANT)
            }
            Self::Dry => Writer::default().frame(kind::DRY),
            Self::StoreAt { store, epoch } => {
                Writer::default().text(&store).u32(epoch.0).frame(kind::STORE_AT)
            }
            Self::Finish => Writer::default().frame(kind::FINISH),
            Self::Fenced => Writer::default().frame(kind::FENCED),
        }
    }
}

impl TryFrom<Frame> for JobReply {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let reply = match kind {
            kind::WELCOME => Self::Welcome { job: body.rest() },
            kind::GRANT => Self::Grant { pass: Pass(body.u32()?), block: body.block()? },
            kind::DRY => Self::Dry,
            kind::STORE_AT => Self::StoreAt { store: body.text()?, epoch: body.epoch()? },
            kind::FINISH => Self::Finish,
            kind::FENCED => Self::Fenced,
            _ => return Err(FormatError::Corrupt("a frame that is not a coordinator's message")),
        };
        body.end()?;
        Ok(reply)
    }
}

impl Role {
    fn number(self) -> u8 {
        match self {
            Self::Worker => 0,
            Self::Store => 1,
        }
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        match body.u8()? {
            0 => Ok(Self::Worker),
            1 => Ok(Self::Store),
            _ => Err(FormatError::Corrupt("a process in an unknown role")),
        }
    }
}

impl WorkerStatistics {
    /// In the order of the wire.
    fn fields(self) -> [u64; 10] {
        [
            self.peak_memory_bytes,
            self.start_micros,
            self.blocks,
            self.rows,
            self.fetch_wait_micros,
            self.store_wait_micros,
            self.decode_micros,
            self.learn_micros,
            self.sent_bytes,
            self.received_bytes,
        ]
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok(Self {
            peak_memory_bytes: body.u64()?,
            start_micros: body.u64()?,
            blocks: body.u64()?,
            rows: body.u64()?,
            fetch_wait_micros: body.u64()?,
            store_wait_micros: body.u64()?,
            decode_micros: body.u64()?,
            learn_micros: body.u64()?,
            sent_bytes: body.u64()?,
            received_bytes: body.u64()?,
        })
    }
}
