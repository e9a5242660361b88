//! What one worker of a sort does: reads its share, deals it out by ranges of keys, exchanges it for what lies in its own
//! range, sorts that, and writes it.
//!
//! It holds its share in memory once: pieces are let go as they are dealt out and as they arrive elsewhere. Sorting takes
//! 16 bytes more a record, writing two parts. All workers together must have room for all records. What was let go comes
//! back for what arrives only if the process keeps it (see how `cirrus sort run` starts its workers): new pages take longer
//! than moving what is put into them.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use cirrus_protocol::records::{RECORD_BYTES, RecordsPart};
use serde::{Deserialize, Serialize};

use super::boundary::Boundaries;
use super::error::SortError;
use super::exchange::{Exchange, Moved, Way};
use super::input::Input;
use super::order::Order;
use super::output::{PART_BYTES, part_name};
use super::partition::Partition;
use super::team::Team;
use crate::object::{ObjectError, ObjectStore};

/// Records that are read at once.
const READ_RECORDS: u64 = 40_000;

/// What all workers of a sort are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is sorted.
    pub input: Input,
    /// Whose is what: as many ranges as workers.
    pub boundaries: Boundaries,
    /// How records get there.
    pub way: Way,
}

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It reads its share of the input.
    Download,
    /// It deals that out.
    Partition,
    /// Records change hands.
    Exchange,
    /// It sorts.
    Sort,
    /// It writes.
    Upload,
}

/// What has come of a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which one it was.
    pub rank: u32,
    /// How long each phase took, in seconds.
    pub seconds: Seconds,
    /// What it has written, in order.
    pub parts: Vec<RecordsPart>,
}

/// How long phases took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Reading.
    pub download: f64,
    /// Dealing out.
    pub partition: f64,
    /// From when all have dealt out until this one has what is for it, and others have what it has for them.
    pub exchange: f64,
    /// Sorting.
    pub sort: f64,
    /// Writing.
    pub upload: f64,
}

impl Seconds {
    /// The longer of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            download: self.download.max(other.download),
            partition: self.partition.max(other.partition),
            exchange: self.exchange.max(other.exchange),
            sort: self.sort.max(other.sort),
            upload: self.upload.max(other.upload),
        }
    }
}

impl Report {
    /// Records that it has written.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }
}

/// Works. Whoever is done, or has failed, should stay in its team until all are, and wait for the others there
/// ([`Team::together`]): so one that hangs is missed, whatever it is at. `progress` is told how many bytes more a phase has done. What was written before an error stays, and is for
/// whoever has started the sort to remove.
///
/// # Errors
/// `Object`, `Zip`, `Workers`, `Wrong`, `Redis`.
pub async fn work(
    plan: &Plan,
    from: &dyn ObjectStore,
    to: &Arc<dyn ObjectStore>,
    team: &Team,
    exchange: &dyn Exchange,
    progress: &(dyn Fn(Phase, u64) + Send + Sync),
) -> Result<Report, SortError> {
    let mut seconds = Seconds::default();
    let rank = team.rank();
    let mut since = Instant::now();
    let mut lap = || std::mem::replace(&mut since, Instant::now()).elapsed().as_secs_f64();

    let share = plan.input.share(rank, team.size());
    let read = download(&plan.input, share.clone(), from, progress).await?;
    seconds.download = lap();

    let mut partition = Partition::new(&plan.boundaries, share.start);
    for chunk in read {
        partition.add(&chunk);
        progress(Phase::Partition, chunk.len() as u64);
    }
    let mut outgoing = partition.finish();
    let own = outgoing.get_mut(rank as usize).map(std::mem::take).unwrap_or_default();
    seconds.partition = lap();

    team.together().await?;
    lap();
    let mut incoming = observed(exchange, team, outgoing, progress).await?;
    if let Some(place) = incoming.get_mut(rank as usize) {
        *place = own;
    }
    seconds.exchange = lap();

    let order = Order::of(incoming.into_iter().flatten());
    progress(Phase::Sort, (order.records() * RECORD_BYTES) as u64);
    seconds.sort = lap();

    let parts = upload(&order, rank, to, progress).await?;
    seconds.upload = lap();
    Ok(Report { rank, seconds, parts })
}

async fn download(
    input: &Input,
    mut share: std::ops::Range<u64>,
    store: &dyn ObjectStore,
    progress: &(dyn Fn(Phase, u64) + Send + Sync),
) -> Result<Vec<Bytes>, SortError> {
    let mut chunks = Vec::new();
    while share.start < share.end {
        let chunk = input.read(store, share.clone(), READ_RECORDS).await?;
        share.start += (chunk.len() / RECORD_BYTES) as u64;
        progress(Phase::Download, chunk.len() as u64);
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// Exchanges, and says now and then how far that is.
async fn observed(
    exchange: &dyn Exchange,
    team: &Team,
    outgoing: Vec<Vec<Bytes>>,
    progress: &(dyn Fn(Phase, u64) + Send + Sync),
) -> Result<Vec<Vec<Bytes>>, SortError> {
    let moved = Moved::default();
    let mut told = 0;
    let mut tell = || {
        let bytes = moved.bytes();
        progress(Phase::Exchange, bytes - std::mem::replace(&mut told, bytes));
    };
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(100));
    let mut exchanging = exchange.exchange(team, outgoing, &moved);
    let mut one_is_gone = std::pin::pin!(team.one_is_gone());
    let incoming = loop {
        tokio::select! {
            incoming = &mut exchanging => break incoming?,
            error = &mut one_is_gone => return Err(error),
            _ = looks.tick() => tell(),
        }
    };
    tell();
    Ok(incoming)
}

/// Writes records in order. The next part is put together while one is written.
async fn upload(
    order: &Order,
    rank: u32,
    store: &Arc<dyn ObjectStore>,
    progress: &(dyn Fn(Phase, u64) + Send + Sync),
) -> Result<Vec<RecordsPart>, SortError> {
    let per_part = PART_BYTES / RECORD_BYTES;
    let (mut parts, mut putting) = (Vec::new(), None);
    for from in (0..order.records()).step_by(per_part) {
        let count = per_part.min(order.records() - from);
        let mut bytes = Vec::with_capacity(count * RECORD_BYTES);
        order.copy(from, count, &mut bytes);
        if let Some(putting) = putting.take() {
            progress(Phase::Upload, put(putting).await?);
        }
        let name = part_name(rank, parts.len() as u32);
        let (to, key, length) = (Arc::clone(store), name.clone(), bytes.len() as u64);
        putting = Some(tokio::spawn(async move { to.put(&key, Bytes::from(bytes)).await.map(|()| length) }));
        parts.push(RecordsPart { name, records: count as u64 });
    }
    if let Some(putting) = putting {
        progress(Phase::Upload, put(putting).await?);
    }
    Ok(parts)
}

/// The length of what was put.
async fn put(putting: tokio::task::JoinHandle<Result<u64, ObjectError>>) -> Result<u64, SortError> {
    match putting.await {
        Ok(put) => Ok(put?),
        Err(lost) => Err(crate::pool::JobPanicked(lost.to_string()).into()),
    }
}
