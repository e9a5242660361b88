//! `cirrus daemon`: the daemon of a machine.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cirrus_runtime::zip::daemon::{DAEMON_VARIABLE, Daemon, DaemonSpec};
use cirrus_runtime::zip::{ONLY_JOB, Settings};
use cirrus_transport::auth;
use cirrus_transport::tcp::Tcp;
use clap::Args;

use crate::Output;
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;

/// Runs the daemon of this machine, so that its processes share memory.
///
/// It takes one place in each channel for all processes of this machine that are in it. A payload enters the machine once,
/// lies in memory that they all see, and is read where it lies; their values are combined there before one array leaves
/// the machine. Processes find it by the path in CIRRUS_DAEMON, and go on without it when it is not there or dies: nothing
/// but speed is lost, and another one is found by itself. A file that a killed daemon has left behind is taken over.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    export CIRRUS_TOKEN=$(cat token) CIRRUS_DAEMON=@cirrus\n  \
    cirrus daemon --controller 127.0.0.1:4100 &\n  \
    cirrus zip demo --controller 127.0.0.1:4100\n\n\
    With more memory for each channel, at a path:\n  \
    cirrus daemon --controller 10.0.0.1:4100 --memory 4096 --socket /run/cirrus.socket\n\n\
    A socket whose name begins with @ is no file: it belongs to the machine's network, and leaves nothing behind.")]
pub(crate) struct Arguments {
    /// Where the controller listens, as host:port.
    #[arg(long, value_name = "ADDRESS")]
    controller: String,
    /// Where processes of this machine find it: the path of a Unix socket. If it is not given: CIRRUS_DAEMON.
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// The file that holds the token, instead of CIRRUS_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Memory of each channel, in MiB. It is taken as it is used; what finds no room is sent by sockets.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    memory: u64,
    /// Threads that combine values; as many as there are cores, if it is not given.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let token = super::controller::token(arguments.token_file.as_deref())?;
    let named = std::env::var(DAEMON_VARIABLE).ok().filter(|socket| !socket.is_empty());
    let Some(socket) = arguments.socket.clone().or(named) else {
        let text = format!(
            "nobody could find this daemon: set {DAEMON_VARIABLE}, as for its processes, or give --socket"
        );
        return Err(Failure::Usage(text));
    };
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let spec = DaemonSpec {
        socket,
        controller: arguments.controller.clone(),
        jobs: vec![(ONLY_JOB, auth::digest(&token))],
        listen: None,
        channel_bytes: arguments.memory << 20,
        threads: arguments.threads.unwrap_or(cores),
        settings: Settings::default(),
    };
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    super::process::runtime()?.block_on(async {
        let daemon = Daemon::start(Tcp::default(), spec).await?;
        if !output.quiet {
            eprintln!("the daemon of this machine listens on {}", daemon.socket());
        }
        if output.json {
            super::print_json(&serde_json::json!({ "socket": daemon.socket() }))?;
        }
        tokio::select! {
            () = daemon.run() => Ok(()),
            () = interrupt.pressed() => Err(Failure::Interrupted),
        }
    })
}
