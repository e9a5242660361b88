//! The Redis server of a sort: one that runs, or one that is started for it and ends with it.
//!
//! A server that is started listens on this machine only, wants a password that nobody else has, and writes nothing to
//! disk. It is started by way of this program, which asks the kernel to be killed with the sort and then becomes the
//! server: so it does not outlive the sort, however that ends.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use cirrus_runtime::fleet::launcher::{PARENT_VARIABLE, die_with_parent};
use cirrus_runtime::sort::exchange::redis::ByRedis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, with};

const PROGRAM: &str = "redis-server";
/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(20);
/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_millis(10);
/// A port that was free a moment ago may be taken by now.
const TRIES: u32 = 3;

/// A server, for as long as this is held.
pub(super) struct RedisServer {
    url: String,
    /// It, if it was started here.
    started: Option<Child>,
}

impl RedisServer {
    /// One that runs: `host:port`, or a URL.
    pub(super) fn at(address: &str) -> Result<Self, Failure> {
        let url = if address.contains("://") { address.to_owned() } else { format!("redis://{address}") };
        ByRedis::new(&url, "")?.ping()?;
        Ok(Self { url, started: None })
    }

    /// Starts one.
    pub(super) async fn start(token: &str) -> Result<Self, Failure> {
        if !is_installed() {
            return Err(Failure::Failed(format!(
                "{PROGRAM} is not installed: install it (on Debian: apt-get install {PROGRAM}), \
                 or name a server that runs by --redis HOST:PORT"
            )));
        }
        let mut tries = 1;
        loop {
            match Self::try_start(token).await? {
                Ok(server) => return Ok(server),
                Err(_) if tries < TRIES => tries += 1,
                Err(said) => {
                    let said = said.trim();
                    return Err(Failure::Failed(format!("{PROGRAM} does not start; it says: {said}")));
                }
            }
        }
    }

    /// Starts one at a port that is free now; or what it has said before it ended.
    async fn try_start(token: &str) -> Result<Result<Self, String>, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sort", "redis-server"])
            // It writes nothing, so it needs no folder of its own.
            .current_dir("/")
            .env(PARENT_VARIABLE, std::process::id().to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(with("cannot start a process"))?;
        let settings = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {token}\nsave \"\"\nappendonly no\nloglevel warning\n"
        );
        if let Some(mut input) = child.stdin.take() {
            // One that does not listen is heard of by its end.
            let _ = input.write_all(settings.as_bytes()).await;
        }
        let url = format!("redis://:{token}@127.0.0.1:{port}");
        let (answers, until) = (ByRedis::new(&url, "")?, Instant::now() + START);
        loop {
            if child.try_wait()?.is_some() {
                let mut said = String::new();
                if let Some(mut words) = child.stdout.take() {
                    let _ = words.read_to_string(&mut said).await;
                }
                return Ok(Err(said));
            }
            match answers.ping() {
                Ok(()) => return Ok(Ok(Self { url, started: Some(child) })),
                Err(error) if Instant::now() > until => return Err(error.into()),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// Ends it, if it was started here, and waits until it is gone.
    pub(super) async fn stop(self) {
        if let Some(mut child) = self.started {
            // Fails only for one that has ended.
            let _ = child.kill().await;
        }
    }

    /// Where it is, with its password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file())
}

/// Becomes the server, whose settings come by standard input.
pub(super) fn become_one() -> Result<(), Failure> {
    let parent = std::env::var(PARENT_VARIABLE).ok().and_then(|parent| parent.parse().ok());
    let by_hand =
        || Failure::Failed("this is a process of `cirrus sort run`, not to be started by hand".to_owned());
    die_with_parent(parent.ok_or_else(by_hand)?)?;
    // What was asked of the kernel holds for what this becomes.
    let error = std::process::Command::new(PROGRAM).arg("-").exec();
    Err(Failure::Failed(format!("{PROGRAM}: {error}")))
}
