//! Blocks fetched ahead of the computation, in the order asked.
//!
//! Two tasks work through the wanted blocks in order. The first starts one ranged read a block while the encoded
//! bytes on their way or waiting fit the buffer; the second hands what arrived to the work pool, while at most two
//! decoded blocks wait. Both take their room in the order asked, so the block that the consumer
//! waits for always has its room and nothing can wait in a circle. Memory: `buffer_bytes` of encoded blocks (or one
//! block, if a single one is larger), two decoded ones, and what the consumer holds.
//!
//! Time that the consumer waits is counted as stall: at speed it is near zero.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cirrus_core::ids::BlockId;
use cirrus_protocol::partition::DecodedBlock;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle};

use super::decode;
use crate::dataset::{DatasetError, DatasetPart, EncodedBlock};
use crate::io::IoThread;
use crate::pool::{JobPanicked, WorkPool};

/// Decoded blocks that may wait for the consumer: one to take next, one being decoded meanwhile.
pub(crate) const DECODED_AHEAD: usize = 2;

/// Ids that [`BlockIterator`] draws from its source ahead of the block it yields.
const WANTED_AHEAD: u64 = 64;

/// Buffers kept for further blocks; more would only hold memory after a consumer let go of many at once.
const SPARE_BUFFERS: usize = DECODED_AHEAD + 2;

/// What may be chosen about fetching ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefetchOptions {
    /// Room for encoded blocks on their way or waiting, in bytes.
    pub buffer_bytes: u32,
}

impl Default for PrefetchOptions {
    /// 8 MiB: some sixteen blocks, which hides 10 ms of latency at full speed.
    fn default() -> Self {
        Self { buffer_bytes: 8 << 20 }
    }
}

/// What a prefetcher did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefetchStatistics {
    /// Blocks handed out.
    pub blocks: u64,
    /// Their encoded bytes.
    pub bytes: u64,
    /// Time that the consumer waited for blocks; a wait that was dropped is not counted.
    pub stall: Duration,
    /// Time that checking and decoding them took, on the pool's threads.
    pub decoding: Duration,
}

type Fetching = JoinHandle<Result<Fetched, DatasetError>>;
type Decoding = JoinHandle<Result<FetchedBlock, DatasetError>>;

/// A block that arrived, and the room that its bytes take.
struct Fetched {
    id: BlockId,
    encoded: EncodedBlock,
    _room: OwnedSemaphorePermit,
}

/// Fetches wanted blocks ahead. After it is dropped nothing new is fetched.
pub struct Prefetcher {
    part: Arc<DatasetPart>,
    runtime: Handle,
    wanted: mpsc::UnboundedSender<BlockId>,
    ready: mpsc::UnboundedReceiver<Decoding>,
    /// The block to hand out next; kept here, so that a caller may stop waiting and come back.
    front: Option<Decoding>,
    outstanding: u64,
    statistics: PrefetchStatistics,
    tasks: [JoinHandle<()>; 2],
}

impl Prefetcher {
    /// Starts with nothing wanted. Its tasks run on `runtime`, decoding on `pool`.
    #[must_use]
    pub fn new(
        part: Arc<DatasetPart>,
        pool: Arc<WorkPool>,
        runtime: &Handle,
        options: PrefetchOptions,
    ) -> Self {
        let (wanted, ids) = mpsc::unbounded_channel();
        let (fetched, arrivals) = mpsc::unbounded_channel();
        let (decoded, ready) = mpsc::unbounded_channel();
        let tasks = [
            runtime.spawn(fetch_in_order(Arc::clone(&part), options.buffer_bytes.max(1), ids, fetched)),
            runtime.spawn(decode_in_order(pool, arrivals, decoded)),
        ];
        let statistics = PrefetchStatistics::default();
        let runtime = runtime.clone();
        Self { part, runtime, wanted, ready, front: None, outstanding: 0, statistics, tasks }
    }

    /// Asks for one more block, to be handed out after those asked for before.
    pub fn want(&mut self, id: BlockId) {
        if !self.part.is_listed(id) {
            // Blocks are fetched in order, so the directories of all partitions would be awaited one after the other.
            let part = Arc::clone(&self.part);
            // Should that fail, fetching the block tries again, and says why.
            self.runtime.spawn(async move { part.entry(id).await.is_ok() });
        }
        // The task that takes ids ends with this prefetcher only; should it have panicked, `next` says so.
        let _ = self.wanted.send(id);
        self.outstanding += 1;
    }

    /// How many blocks were asked for and not handed out yet.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// The next block in the order asked; `None` when all were handed out.
    ///
    /// The future may be dropped and asked for again: no block is lost.
    ///
    /// # Errors
    /// A block that cannot be read takes its place in the order as a [`DatasetError`]; the later ones still come.
    pub async fn next(&mut self) -> Option<Result<FetchedBlock, DatasetError>> {
        if self.outstanding == 0 {
            return None;
        }
        let began = Instant::now();
        if self.front.is_none() {
            self.front = self.ready.recv().await;
        }
        let outcome = match &mut self.front {
            Some(decoding) => decoding.await.unwrap_or_else(|error| Err(lost(&error))),
            None => Err(DatasetError::Panicked(JobPanicked("the prefetcher's task ended".to_owned()))),
        };
        self.front = None;
        self.outstanding -= 1;
        self.statistics.stall += began.elapsed();
        Some(outcome.map(|mut block| {
            block.slot = None;
            self.statistics.blocks += 1;
            self.statistics.bytes += block.encoded_bytes;
            self.statistics.decoding += block.decoding;
            block
        }))
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> PrefetchStatistics {
        self.statistics
    }
}

impl Drop for Prefetcher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Prefetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetcher").field("outstanding", &self.outstanding).finish_non_exhaustive()
    }
}

/// Starts a read for each wanted block, in order, while there is room for its bytes.
async fn fetch_in_order(
    part: Arc<DatasetPart>,
    buffer_bytes: u32,
    mut wanted: mpsc::UnboundedReceiver<BlockId>,
    fetched: mpsc::UnboundedSender<Fetching>,
) {
    let buffer = Arc::new(Semaphore::new(usize::try_from(buffer_bytes).unwrap_or(usize::MAX)));
    while let Some(id) = wanted.recv().await {
        // A block that cannot be located takes the least room: fetching it says what is wrong.
        let length = part.entry(id).await.map_or(1, |(entry, _)| entry.length.get());
        let Ok(room) = Arc::clone(&buffer).acquire_many_owned(length.clamp(1, buffer_bytes)).await else {
            return;
        };
        let part = Arc::clone(&part);
        let fetching = tokio::spawn(async move {
            let encoded = part.fetch(id).await?;
            Ok(Fetched { id, encoded, _room: room })
        });
        if fetched.send(fetching).is_err() {
            return;
        }
    }
}

/// Decodes what arrives, in order, while few decoded blocks wait for the consumer.
async fn decode_in_order(
    pool: Arc<WorkPool>,
    mut arrivals: mpsc::UnboundedReceiver<Fetching>,
    decoded: mpsc::UnboundedSender<Decoding>,
) {
    let slots = Arc::new(Semaphore::new(DECODED_AHEAD));
    let spare = Arc::new(Spare::default());
    while let Some(fetching) = arrivals.recv().await {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (pool, spare) = (Arc::clone(&pool), Arc::clone(&spare));
        let decoding = tokio::spawn(async move {
            let fetched = fetching.await.unwrap_or_else(|error| Err(lost(&error)))?;
            pool.run(move || decode_fetched(&fetched, spare, slot)).await?
        });
        if decoded.send(decoding).is_err() {
            return;
        }
    }
}

/// One job of the work pool: fetched bytes into a spare buffer.
fn decode_fetched(
    fetched: &Fetched,
    spare: Arc<Spare>,
    slot: OwnedSemaphorePermit,
) -> Result<FetchedBlock, DatasetError> {
    let mut block = spare.take();
    let began = Instant::now();
    decode(&fetched.encoded, &mut block)?;
    let decoding = began.elapsed();
    let encoded_bytes = fetched.encoded.bytes.len() as u64;
    Ok(FetchedBlock { id: fetched.id, block, encoded_bytes, decoding, spare, slot: Some(slot) })
}

/// A task that ended without an answer.
fn lost(error: &JoinError) -> DatasetError {
    DatasetError::Panicked(JobPanicked(error.to_string()))
}

/// Buffers of blocks that were let go.
#[derive(Default)]
struct Spare(Mutex<Vec<DecodedBlock>>);

impl Spare {
    fn take(&self) -> DecodedBlock {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put(&self, block: DecodedBlock) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() < SPARE_BUFFERS {
            blocks.push(block);
        }
    }
}

/// A decoded block on loan: its buffers are used again once it is dropped.
pub struct FetchedBlock {
    id: BlockId,
    block: DecodedBlock,
    encoded_bytes: u64,
    decoding: Duration,
    spare: Arc<Spare>,
    /// Held while the block waits for the consumer, given back when it is handed out.
    slot: Option<OwnedSemaphorePermit>,
}

impl FetchedBlock {
    /// Which block this is.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }
}

impl Deref for FetchedBlock {
    type Target = DecodedBlock;

    fn deref(&self) -> &DecodedBlock {
        &self.block
    }
}

impl Drop for FetchedBlock {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.block));
    }
}

impl fmt::Debug for FetchedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedBlock").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Fetches the blocks of an iterator of ids ahead, for callers that are not async.
pub struct BlockIterator<I> {
    ids: std::iter::Fuse<I>,
    prefetcher: Prefetcher,
    io: Arc<IoThread>,
}

impl<I: Iterator<Item = BlockId>> BlockIterator<I> {
    /// The blocks of `ids`, in their order. Storage is driven by `io`, decoding runs on `pool`.
    pub fn new(
        part: Arc<DatasetPart>,
        ids: impl IntoIterator<IntoIter = I>,
        pool: Arc<WorkPool>,
        io: Arc<IoThread>,
        options: PrefetchOptions,
    ) -> Self {
        let prefetcher = Prefetcher::new(part, pool, io.handle(), options);
        Self { ids: ids.into_iter().fuse(), prefetcher, io }
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> PrefetchStatistics {
        self.prefetcher.statistics()
    }
}

impl<I: Iterator<Item = BlockId>> Iterator for BlockIterator<I> {
    type Item = Result<FetchedBlock, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.prefetcher.outstanding() < WANTED_AHEAD {
            let Some(id) = self.ids.next() else { break };
            self.prefetcher.want(id);
        }
        self.io.block_on(self.prefetcher.next())
    }
}

impl<I> fmt::Debug for BlockIterator<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockIterator").field("prefetcher", &self.prefetcher).finish_non_exhaustive()
    }
}
