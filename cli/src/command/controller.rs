//! `cirrus controller`: the controller of channels.

use std::path::{Path, PathBuf};

use cirrus_core::directory::Limits;
use cirrus_runtime::object;
use cirrus_runtime::zip::ONLY_JOB;
use cirrus_runtime::zip::controller::{Controller, ControllerSpec, Epochs, Job};
use cirrus_transport::auth;
use cirrus_transport::tcp::Tcp;
use clap::Args;

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
    cirrus controller --listen 10.0.0.1:4100 --token-file /run/secrets/cirrus --members-max 10000\n\n\
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
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let token = token(arguments.token_file.as_deref())?;
    let limits = Limits { channels_max: arguments.channels_max, members_max: arguments.members_max };
    let epochs = Epochs::Kept(object::open(&arguments.folder)?);
    let spec = ControllerSpec::new(&arguments.listen, Job::new(ONLY_JOB, &token, limits), epochs);
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    super::process::runtime()?.block_on(async {
        let controller = Controller::start(&Tcp::default(), spec).await?;
        if !output.quiet {
            eprintln!("the controller of channels listens on {}", controller.address());
            if !auth::is_local(controller.address()) {
                eprintln!("other machines reach it; what is sent is not encrypted");
            }
        }
        if output.json {
            super::print_json(&serde_json::json!({ "address": controller.address() }))?;
        }
        tokio::select! {
            () = controller.run() => Ok(()),
            () = interrupt.pressed() => Err(Failure::Interrupted),
        }
    })
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
