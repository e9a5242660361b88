//! `cirrus store`: a data store for programs that train by themselves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::bug::Bugs;
use cirrus_core::ids::Millis;
use cirrus_core::store::{Config, Staleness};
use cirrus_ml::job::TrainJob;
use cirrus_ml::table;
use cirrus_protocol::store::NAMES_MAX;
use cirrus_runtime::http::HttpServer;
use cirrus_runtime::object;
use cirrus_runtime::store::disk::Disk;
use cirrus_runtime::store::server::{Observed, Observer, observer};
use cirrus_runtime::store::{Admission, StoreServer, metrics};
use cirrus_transport::tcp::Tcp;
use cirrus_transport::tls::Tls;
use cirrus_transport::{Transport, auth};
use clap::Args;

use super::controller::token;
use super::sort::size;
use crate::Output;
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;

/// Runs a data store, which holds a model that many processes train.
///
/// They read the weights that they need and send updates under names, each of which counts once however often it is sent.
/// Who connects shows the token first, which never travels. What is in the store is put on disk from time to time and at
/// its end, by Ctrl-C or SIGTERM; one that was killed comes back from its last snapshot, as a new epoch. Nothing is ever
/// evicted: what does not fit is refused by name. (`cirrus train` starts a store of its own.)
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    echo '{\"hash_bits\": 20, \"optimizer\": \"ftrl\", \"l1\": 1}' > job.json\n  \
    export CIRRUS_TOKEN=$(head -c 32 /dev/urandom | base64)\n  \
    cirrus store job.json\n  \
    cirrus store job.json --metrics 127.0.0.1:4201      then: curl 127.0.0.1:4201/metrics\n  \
    cirrus store job.json --listen 10.0.0.1:4200 --tls-certificates store.pem --tls-key store.key \\\n      \
        --tls-authorities ca.pem --token-file /run/secrets/cirrus")]
pub(crate) struct Arguments {
    /// What is trained, as JSON: hash_bits, the optimizer, its parameters and the penalties, as in `cirrus train --job`.
    job: PathBuf,
    /// Where it listens, as host:port; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4200")]
    listen: String,
    /// The file that holds the token, instead of CIRRUS_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The folder that keeps its epoch and its snapshots; or a URL, as s3://BUCKET/PREFIX.
    #[arg(long, value_name = "FOLDER", default_value = "cirrus-store")]
    folder: String,
    /// Answers GET /metrics (for a Prometheus server) and GET /health here, as host:port; to whoever asks.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// The store's certificates in PEM format, its own first, given for the name `cirrus`: what is sent is encrypted.
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_authorities"])]
    tls_certificates: Option<PathBuf>,
    /// The private key of its own certificate, in PEM format.
    #[arg(long, value_name = "FILE", requires = "tls_certificates")]
    tls_key: Option<PathBuf>,
    /// The certificates of the authorities that are trusted, in PEM format.
    #[arg(long, value_name = "FILE", requires = "tls_certificates")]
    tls_authorities: Option<PathBuf>,
    /// Seconds between snapshots.
    #[arg(long, value_name = "SECONDS", value_parser = super::train::seconds, default_value = "10")]
    snapshot_interval: Duration,
    /// How far a worker's model may lag behind the others' updates: async (nobody waits), sync, or a number of rounds.
    #[arg(long, value_parser = super::train::staleness, value_name = "async|sync|N", default_value = "async")]
    staleness: super::train::Staleness,
    /// Workers that can have a session; one more is refused.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    workers_max: u32,
    /// Connections at a time; one more is told so and closed.
    #[arg(long, value_name = "N", default_value_t = Admission::CONNECTIONS_MAX,
        value_parser = clap::value_parser!(u32).range(1..))]
    connections_max: u32,
    /// The most memory for the model and the copy of it that becomes a snapshot; a larger model is refused at the start.
    #[arg(long, value_name = "SIZE", default_value = "4GB", value_parser = size::bytes)]
    memory_max: u64,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let token = token(arguments.token_file.as_deref())?;
    let server = server(arguments, &token)?;
    let tls = tls(arguments)?;
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    super::process::runtime()?.block_on(async {
        let (observer, observed) = observer();
        let watched = match &arguments.metrics {
            None => None,
            Some(address) => Some(watched(address, observer).await?),
        };
        let metrics = watched.as_ref().map(|server| server.address().to_string());
        let told = |address: &str| tell(address, metrics.as_deref(), tls.is_some(), output);
        match &tls {
            None => serve(server, &Tcp::default(), &arguments.listen, observed, &interrupt, told).await,
            Some(tls) => serve(server, tls, &arguments.listen, observed, &interrupt, told).await,
        }
    })
}

/// The store with its limits, unless its model is too large.
fn server(arguments: &Arguments, token: &str) -> Result<StoreServer, Failure> {
    let file = arguments.job.display();
    let text = std::fs::read(&arguments.job).map_err(with(&file))?;
    let job = TrainJob::from_json(&text).map_err(|error| Failure::Usage(format!("{file}: {error}")))?;
    let needed = table::bytes(&job).saturating_mul(2);
    if needed > arguments.memory_max {
        return Err(Failure::Failed(format!(
            "{file}: the model and a snapshot of it take {}, --memory-max is {}; lower hash_bits or raise it",
            size::of_bytes(needed),
            size::of_bytes(arguments.memory_max)
        )));
    }
    let interval = u32::try_from(arguments.snapshot_interval.as_millis()).unwrap_or(u32::MAX);
    Ok(StoreServer {
        disk: Disk::new(object::open(&arguments.folder)?, "store/"),
        config: Config {
            staleness: arguments.staleness.0.map_or(Staleness::Asynchronous, Staleness::Bounded),
            workers_max: arguments.workers_max,
            reads_max: 64,
            applying_max: 1024,
            names_max: NAMES_MAX,
            callers_max: 64,
            snapshot_interval: Millis(interval.max(1)),
            bugs: Bugs::default(),
        },
        model: Bytes::from(job.to_json()),
        tables: table::factory(),
        admission: Admission { token: Some(auth::digest(token)), connections_max: arguments.connections_max },
    })
}

/// Encryption, if it was asked for; clap has seen to it that all three files are named then.
fn tls(arguments: &Arguments) -> Result<Option<Tls<Tcp>>, Failure> {
    let files = [&arguments.tls_authorities, &arguments.tls_certificates, &arguments.tls_key];
    let [Some(authorities), Some(certificates), Some(key)] = files else { return Ok(None) };
    let read = |file: &Path| std::fs::read(file).map_err(with(file.display()));
    let (authorities, certificates, key) = (read(authorities)?, read(certificates)?, read(key)?);
    Ok(Some(Tls::new(Tcp::default(), &authorities, &certificates, &key)?))
}

/// Answers those who watch, until it is dropped.
async fn watched(address: &str, observer: Observer) -> Result<HttpServer, Failure> {
    let answer = move |path: String| {
        let observer = observer.clone();
        async move { metrics::answer(&path, &observer).await }
    };
    Ok(HttpServer::start(address, answer).await?)
}

fn tell(address: &str, metrics: Option<&str>, encrypted: bool, output: Output) {
    if !output.quiet {
        if let Some(metrics) = metrics {
            eprintln!("its metrics are at http://{metrics}/metrics");
        }
        if !encrypted && !auth::is_local(address) {
            eprintln!("other machines reach it; what is sent is not encrypted");
        }
        eprintln!("the data store listens on {address}");
    }
    if output.json {
        let document = serde_json::json!({ "address": address, "metrics": metrics });
        // Nobody reads it: the store serves all the same.
        let _ = super::print_json(&document);
    }
}

async fn serve<T: Transport>(
    server: StoreServer,
    transport: &T,
    listen: &str,
    observed: Observed,
    interrupt: &Interrupt,
    told: impl Fn(&str),
) -> Result<(), Failure> {
    let end = interrupt.pressed();
    Ok(server.serve_until(transport, listen, |address, _| told(address), observed, end).await?)
}
