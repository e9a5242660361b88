//! The daemon of this machine, as a process of its own, for the processes that are measured with one.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use cirrus_runtime::zip::daemon::{DAEMON_VARIABLE, Daemon, DaemonSpec};
use cirrus_runtime::zip::{ONLY_JOB, Settings};
use cirrus_transport::auth;
use cirrus_transport::tcp::Tcp;
use tokio::runtime::Builder;

use super::{Error, member};

/// Bytes of shared memory for each channel.
const MEMORY: &str = "CIRRUS_BENCH_MEMORY";

/// A daemon, which ends with this.
pub(super) struct Running {
    pub(super) child: Child,
    /// Where its lambdas find it.
    pub(super) socket: String,
}

impl Running {
    /// With so much memory for each channel.
    pub(super) fn start(controller: &str, token: &str, bytes: usize) -> Result<Self, Error> {
        Self::spawn(Command::new(std::env::current_exe()?), controller, token, bytes, 0)
    }

    /// By a command that runs this program, on the machine of this number.
    pub(super) fn spawn(
        mut command: Command,
        controller: &str,
        token: &str,
        bytes: usize,
        machine: usize,
    ) -> Result<Self, Error> {
        let socket = format!("@cirrus-bench-{}-{machine}", std::process::id());
        let mut child = command
            .arg("zip-daemon")
            .env(member::CONTROLLER, controller)
            .env(member::TOKEN, token)
            .env(MEMORY, bytes.to_string())
            .env(DAEMON_VARIABLE, &socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let words = child.stdout.take().ok_or("no pipe")?;
        let running = Self { child, socket };
        let mut line = String::new();
        BufReader::new(words).read_line(&mut line)?;
        if line.trim() == "ready" { Ok(running) } else { Err("the daemon did not start".into()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // It ends with its input.
        let _ = self.child.wait();
    }
}

/// Serves until its input ends, which it does with the process that has started it, too.
pub(crate) fn run() -> Result<(), Error> {
    let variable = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let spec = DaemonSpec {
        socket: variable(DAEMON_VARIABLE)?,
        controller: variable(member::CONTROLLER)?,
        jobs: vec![(ONLY_JOB, auth::digest(&variable(member::TOKEN)?))],
        listen: None,
        channel_bytes: variable(MEMORY)?.parse()?,
        threads: std::thread::available_parallelism()?,
        settings: Settings::default(),
    };
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let daemon = Daemon::start(Tcp::default(), spec).await?;
        println!("ready");
        tokio::select! {
            () = daemon.run() => {}
            _ = end => {}
        }
        Ok(())
    })
}
