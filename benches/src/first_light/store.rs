//! The data store over loopback TCP: minibatches of 20 rows with 39 features of 2^19, as small as users make them.
//!
//! Each round sends the update of one minibatch and reads the cells of the next in one write. At a window of 1 the
//! next round waits for both answers; at a window of 4 four rounds are under way.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cirrus_core::bug::Bugs;
use cirrus_core::ids::{BlockId, CallId, GradientName, Incarnation, Millis, Pass, WorkerId};
use cirrus_core::store::{Config, Sender, Staleness};
use cirrus_ml::job::{Description, TrainJob};
use cirrus_protocol::gradient::{self, KeyReference};
use cirrus_protocol::keys;
use cirrus_protocol::store::{StoreReply, StoreRequest};
use cirrus_runtime::object;
use cirrus_runtime::store::disk::Disk;
use cirrus_runtime::store::{StoreClient, StoreServer};
use cirrus_transport::tcp::Tcp;

use super::{Options, figure};

const KEYS: u32 = 20 * 39;
const BITS: u8 = 19;
const ROUNDS: u32 = 50_000;
const DEADLINE: Duration = Duration::from_secs(10);

type Error = Box<dyn std::error::Error>;

pub(super) fn measure(options: &Options) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let url = folder.path().to_str().ok_or("the folder's name is not UTF-8")?.to_owned();
    let job = TrainJob::try_from(Description { hash_bits: BITS, ..Description::default() })?;
    let model = Bytes::from(job.to_json());
    let server = StoreServer {
        disk: Disk::new(object::open(&url)?, "store/"),
        config: Config {
            staleness: Staleness::Asynchronous,
            workers_max: 1,
            reads_max: 64,
            applying_max: 64,
            names_max: 1 << 22,
            callers_max: 4,
            snapshot_interval: Millis(3_600_000),
            bugs: Bugs::default(),
        },
        model: model.clone(),
        tables: cirrus_ml::table::factory(),
    };
    let (ready, address) = std::sync::mpsc::channel();
    // The store has a thread of its own; the other core is the client's.
    let serving = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let listening = |address: &str, _| drop(ready.send(address.to_owned()));
        runtime
            .block_on(server.serve(&Tcp::default(), "127.0.0.1:0", listening))
            .map_err(|error| error.to_string())
    });
    let address = address.recv().map_err(|_| "the store did not start")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = StoreClient::connect(&Tcp::default(), &address, DEADLINE).await?;
        let from = Sender { worker: WorkerId(0), incarnation: Incarnation(1) };
        client.open(from, model).await?;
        let mut bench = Bench { client, batches: batches()?, name: 0 };
        for window in [1, 4, 16] {
            let (mut best_rate, mut best_median) = (0f64, f64::INFINITY);
            for _ in 0..options.repeat.max(1) {
                let (rate, median) = bench.rounds(window).await?;
                best_rate = best_rate.max(rate);
                best_median = best_median.min(median);
            }
            let text = format!("{best_rate:.0} updates/s, median round {best_median:.1} us");
            figure(&format!("store, 20 rows of 39 in 2^19, window {window}"), text);
        }
        bench.client.send(StoreRequest::Stop)?;
        bench.client.flush().await?;
        Ok::<(), Error>(())
    })?;
    serving.join().map_err(|_| "the store panicked")??;
    Ok(())
}

/// Different minibatches: their key lists, and how many keys each has.
fn batches() -> Result<Vec<(Bytes, usize)>, Error> {
    let mut batches = Vec::new();
    let mut state = 1u64;
    for _ in 0..256 {
        let mut batch: Vec<u32> = (0..KEYS)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> (64 - BITS)) as u32
            })
            .collect();
        batch.sort_unstable();
        batch.dedup();
        let mut list = Vec::new();
        keys::encode(&batch, &mut list)?;
        batches.push((list.into(), batch.len()));
    }
    Ok(batches)
}

struct Bench {
    client: StoreClient<Tcp>,
    batches: Vec<(Bytes, usize)>,
    name: u32,
}

impl Bench {
    /// Rounds with `window` of them under way; rounds a second, and the median time of one in microseconds.
    async fn rounds(&mut self, window: u32) -> Result<(f64, f64), Error> {
        let mut begun = std::collections::VecDeque::new();
        let mut times = Vec::with_capacity(ROUNDS as usize);
        for number in 0..window {
            begun.push_back(self.read(number)?);
        }
        self.client.flush().await?;
        let start = Instant::now();
        let mut sent = window;
        while times.len() < ROUNDS as usize {
            let StoreReply::Values { call, cells, .. } = self.client.receive().await? else { continue };
            let Some((expected, number, at)) = begun.pop_front() else {
                return Err("nothing was asked".into());
            };
            assert_eq!((call, cells.len()), (expected, self.batch(number).1 * 8), "answers come in order");
            times.push(at.elapsed());
            self.push(call, number)?;
            begun.push_back(self.read(sent)?);
            sent = sent.wrapping_add(1);
            self.client.flush().await?;
        }
        let seconds = start.elapsed().as_secs_f64();
        // What is still under way is let go of.
        while !begun.is_empty() {
            if matches!(self.client.receive().await?, StoreReply::Values { .. }) {
                begun.pop_front();
            }
        }
        times.sort_unstable();
        Ok((times.len() as f64 / seconds, times[times.len() / 2].as_secs_f64() * 1e6))
    }

    fn batch(&self, number: u32) -> &(Bytes, usize) {
        &self.batches[number as usize % self.batches.len()]
    }

    fn read(&mut self, number: u32) -> Result<(CallId, u32, Instant), Error> {
        let (call, epoch) = (self.client.next_call(), self.client.epoch());
        let keys = self.batch(number).0.clone();
        self.client.send(StoreRequest::Read { call, epoch, keys })?;
        Ok((call, number, Instant::now()))
    }

    fn push(&mut self, read: CallId, number: u32) -> Result<(), Error> {
        let (call, epoch) = (self.client.next_call(), self.client.epoch());
        let count = self.batch(number).1;
        let columns = [vec![1e-3f32; count], vec![1e-6; count], vec![1.0; count]];
        let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
        let mut update = Vec::with_capacity(count * 12 + gradient::HEADER_BYTES);
        gradient::encode(KeyReference::OfRead(read), &columns, &mut update)?;
        self.name += 1;
        let block = BlockId { partition: 0, block: self.name };
        let name = GradientName { pass: Pass(0), block, part: 0 };
        self.client.send(StoreRequest::Push { call, epoch, name, rows: 20, update: update.into() })?;
        Ok(())
    }
}
