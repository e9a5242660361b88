//! A `cirrus store` in a process of its own, clients of it, and minibatches.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::{BlockId, CallId, GradientName, Incarnation, Pass, WorkerId};
use cirrus_core::store::Sender;
use cirrus_ml::job::{Description, TrainJob};
use cirrus_protocol::gradient::{self, KeyReference};
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::keys;
use cirrus_runtime::store::StoreClient;
use cirrus_runtime::zip::ONLY_JOB;
use cirrus_transport::auth;
use cirrus_transport::tcp::Tcp;

use crate::first_light::command::Cirrus;

pub(crate) type Error = Box<dyn std::error::Error>;

/// The model has 2^19 weights.
pub(crate) const BITS: u8 = 19;
/// Rows of a minibatch.
pub(crate) const ROWS: u32 = 20;
/// Features of a row.
pub(crate) const FEATURES: u32 = 39;
/// Columns of an AdaGrad update.
const COLUMNS: usize = 3;
const DEADLINE: Duration = Duration::from_secs(30);
const TOKEN: &str = "only for measurements";

/// A store, killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    job: TrainJob,
    _folder: tempfile::TempDir,
}

impl Server {
    /// A store of a model with 2^`bits` weights.
    pub(crate) fn start(cirrus: &Cirrus, bits: u8) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let job = TrainJob::try_from(Description { hash_bits: bits, ..Description::default() })?;
        std::fs::write(folder.path().join("job.json"), job.to_json())?;
        let mut command = cirrus.command();
        command.args(["store", "job.json", "--listen", "127.0.0.1:0", "--snapshot-interval", "3600"]);
        command.args(["--json", "--quiet"]).current_dir(folder.path()).env("CIRRUS_TOKEN", TOKEN);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().ok_or("the store says nothing")?).lines();
        // The document ends at the first line that is a bracket alone.
        while !said.ends_with("}\n") {
            said += &lines.next().ok_or("the store ended: see above")??;
            said.push('\n');
        }
        let document: serde_json::Value = serde_json::from_str(&said)?;
        let address = document["address"].as_str().ok_or("no address")?.to_owned();
        Ok(Self { child, address, job, _folder: folder })
    }

    /// A session of this worker.
    pub(crate) async fn session(&self, worker: u32) -> Result<StoreClient<Tcp>, Error> {
        let credential = Credential { job: ONLY_JOB, token: auth::digest(TOKEN) };
        let tcp = Tcp::default();
        let mut client = StoreClient::connect_as(&tcp, &self.address, DEADLINE, Some(credential)).await?;
        let from = Sender { worker: WorkerId(worker), incarnation: Incarnation(1) };
        client.open(from, Bytes::from(self.job.to_json())).await?;
        Ok(client)
    }

    /// The most memory that the process has held, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<u64, Error> {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB").ok_or("not in kB")?.parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The keys of a minibatch: their list, and how many there are.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<u32>,
    pub(crate) list: Bytes,
}

impl Batch {
    pub(crate) fn of(keys: Vec<u32>) -> Result<Self, Error> {
        let mut list = Vec::new();
        keys::encode(&keys, &mut list)?;
        Ok(Self { keys, list: list.into() })
    }

    /// An update for these keys, which an earlier read asked for.
    pub(crate) fn update(&self, read: CallId) -> Result<Bytes, Error> {
        let count = self.keys.len();
        let columns = [vec![1e-3f32; count], vec![1e-6; count], vec![1.0; count]];
        let columns: [&[f32]; COLUMNS] = columns.each_ref().map(Vec::as_slice);
        let mut update = Vec::with_capacity(count * 4 * COLUMNS + gradient::HEADER_BYTES);
        gradient::encode(KeyReference::OfRead(read), &columns, &mut update)?;
        Ok(update.into())
    }
}

/// Different minibatches, always the same ones.
pub(crate) fn batches() -> Result<Vec<Batch>, Error> {
    let mut state = 1u64;
    let mut key = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> (64 - BITS)) as u32
    };
    let batch = |_| {
        let mut keys: Vec<u32> = (0..ROWS * FEATURES).map(|_| key()).collect();
        keys.sort_unstable();
        keys.dedup();
        Batch::of(keys)
    };
    (0..256).map(batch).collect()
}

/// The name of a worker's `number`th update.
pub(crate) fn name(worker: u32, number: u32) -> GradientName {
    GradientName { pass: Pass(0), block: BlockId { partition: worker, block: number }, part: 0 }
}

/// A runtime on this thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
