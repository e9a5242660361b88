//! `cirrus controller`: the controller of channels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cirrus_core::directory::Limits;
use cirrus_core::ids::FanOut;
use cirrus_runtime::object;
use cirrus_runtime::zip::controller::{CHAIN_MAX, Controller, ControllerSpec, Epochs, FAN_OUT, Job};
use cirrus_runtime::zip::{Metrics, MetricsServer, ONLY_JOB, Recording, Relay};
use cirrus_transport::auth;
use cirrus_transport::tcp::Tcp;
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::Output;
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;

/// The environment's word for the token.
pub(super) const TOKEN_VARIABLE: &str = "CIRRUS_TOKEN";
/// A shorter token could be guessed by who listens in.
const TOKEN_BYTES_MIN: usize = 16;

/// Runs the controller of channels, through which processes find each other.
///
/// It says who is in which channel, who sits where in its tree, and who is dead; what is sent in channels does not pass
/// through it. Processes show that they have its token, which never travels. It can be killed and started again at any
/// time: rounds go on, and its members call again. How many lives it has had is kept in its folder, and must not be lost
/// while any process of an earlier life is in a channel.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    export CIRRUS_TOKEN=$(head -c 32 /dev/urandom | base64)\n  \
    cirrus controller\n  \
    cirrus controller --listen 10.0.0.1:4100 --token-file /run/secrets/cirrus --members-max 10000\n  \
    cirrus controller --metrics 127.0.0.1:9100 --trace controller.trace\n  \
    cirrus controller --listen 10.0.0.1:4100 --relay 10.0.0.1:4101     for processes that nobody can call\n\n\
    Then, with the same token: cirrus zip demo --controller 127.0.0.1:4100")]
pub(crate) struct Arguments {
    /// Where it listens, as host:port; port 0 takes any free one. Traffic is authenticated, not encrypted.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4100")]
    listen: String,
    /// The file that holds the token, instead of CIRRUS_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The folder that keeps how many lives it has had.
    #[arg(long, value_name = "FOLDER", default_value = "cirrus-controller")]
    folder: String,
    /// Channels at a time.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    channels_max: u32,
    /// Members in each.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    members_max: u32,
    /// How many members may be below each in a channel's tree. More make the tree flatter, so that small rounds are faster;
    /// fewer let large ones pass slow links faster, since a link carries a copy for each.
    #[arg(long, value_name = "N", default_value_t = FAN_OUT.0, value_parser = clap::value_parser!(u32).range(1..=64))]
    fan_out: u32,
    /// As many machines at most, each with a daemon, become a chain as soon as large values are seen to take much longer in
    /// the tree than they would in a chain; and a tree again when the chain does not pay. 0: never.
    #[arg(long, value_name = "N", default_value_t = CHAIN_MAX)]
    chain_max: u32,
    /// Records all that happens to it in this file, which must not be there, for `verify replay`. No token is in it.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Answers GET /metrics (for a Prometheus server) and GET /health here, as host:port; to whoever asks.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// Leads to processes that nobody can call (on AWS Lambda, say) by way of this address, as host:port, which all must
    /// reach. What is sent to them passes through this process; it costs no more than that.
    #[arg(long, value_name = "ADDRESS")]
    relay: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let token = token(arguments.token_file.as_deref())?;
    let limits = Limits { channels_max: arguments.channels_max, members_max: arguments.members_max };
    let tokens = BTreeMap::from([(ONLY_JOB, auth::digest(&token))]);
    let epochs = Epochs::Kept(object::open(&arguments.folder)?);
    let recording = arguments.trace.as_ref().map(Recording::create).transpose()?;
    let mut spec = ControllerSpec::new(&arguments.listen, Job::new(ONLY_JOB, &token, limits), epochs);
    spec.recording.clone_from(&recording);
    spec.config.fan_out = FanOut(arguments.fan_out);
    spec.config.channel.chain_max = arguments.chain_max;
    spec.metrics = arguments.metrics.as_ref().map(|_| Metrics::default());
    let metrics = spec.metrics.clone();
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    runtime()?.block_on(async {
        let controller = Controller::start(&Tcp::default(), spec).await.inspect_err(|_| {
            // A recording of nothing would be in the way of the next one.
            if let Some(recording) = &recording {
                let _ = std::fs::remove_file(recording.path());
            }
        })?;
        let server = match (&arguments.metrics, metrics) {
            (Some(address), Some(metrics)) => Some(MetricsServer::start(address, metrics).await?),
            _ => None,
        };
        let relay = match &arguments.relay {
            Some(listen) => Some(Relay::start(&Tcp::default(), listen, tokens).await?),
            None => None,
        };
        let relayed = relay.as_ref().map(|relay| relay.address().to_owned());
        if !output.quiet {
            eprintln!("the controller of channels listens on {}", controller.address());
            if !auth::is_local(controller.address()) {
                eprintln!("other machines reach it; what is sent is not encrypted");
            }
            if let Some(relayed) = &relayed {
                eprintln!("it leads to processes that cannot be called at {relayed}");
            }
            if let Some(server) = &server {
                eprintln!("its metrics are at http://{}/metrics", server.address());
            }
        }
        if output.json {
            let metrics = server.as_ref().map(|server| server.address().to_string());
            super::print_json(&serde_json::json!({
                "address": controller.address(),
                "metrics": metrics,
                "relay": relayed,
            }))?;
        }
        tokio::select! {
            () = controller.run() => Ok(()),
            () = lead(relay) => Ok(()),
            () = interrupt.pressed() => {
                recording.map_or(Ok(()), |recording| recording.check())?;
                Err(Failure::Interrupted)
            }
        }
    })
}

/// What is decided is decided on the thread that blocks on this; another one reads and writes meanwhile.
fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_multi_thread().worker_threads(1).thread_name("cirrus-io").enable_all().build();
    built.map_err(with("cannot start the runtime"))
}

/// Leads for ever, if there is a relay; else it just waits.
async fn lead(relay: Option<Relay<Tcp>>) {
    match relay {
        Some(relay) => relay.run().await,
        None => std::future::pending().await,
    }
}

/// The token of a file, or of the environment.
pub(super) fn token(file: Option<&Path>) -> Result<String, Failure> {
    let remedy = "make one by: head -c 32 /dev/urandom | base64";
    let (token, place) = match file {
        Some(file) => {
            (std::fs::read_to_string(file).map_err(with(file.display()))?, file.display().to_string())
        }
        None => match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => (token, TOKEN_VARIABLE.to_owned()),
            Err(_) => {
                let text = format!("there is no token: set {TOKEN_VARIABLE} or give --token-file; {remedy}");
                return Err(Failure::Usage(text));
            }
        },
    };
    let token = token.trim();
    if token.len() < TOKEN_BYTES_MIN {
        let text = format!(
            "{place}: the token has {} characters, {TOKEN_BYTES_MIN} at least; {remedy}",
            token.len()
        );
        return Err(Failure::Usage(text));
    }
    Ok(token.to_owned())
}
