//! Object storage by the S3 protocol, against a server of this machine and a proxy that misbehaves.
//!
//! The server is MiniStack, or what `CIRRUS_TEST_S3` says (`seaweedfs`); see `cirrus_runtime::object::testing`.

mod chaos;
mod commands;
mod store;

use std::path::Path;
use std::process::Command;

use cirrus_runtime::object::testing::S3Server;

use crate::run::{Ran, command};

/// Runs `cirrus` with nothing of object storage in its environment but what `endpoint` needs.
fn cirrus_at(endpoint: &str, folder: &Path, line: &str) -> Ran {
    Ran::of(&command_at(endpoint, folder, line).output().expect("cirrus starts"))
}

fn command_at(endpoint: &str, folder: &Path, line: &str) -> Command {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut command = command(folder, &arguments);
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"] {
        command.env_remove(name);
    }
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").envs(S3Server::environment(endpoint));
    command
}

fn server() -> S3Server {
    S3Server::start().expect("an S3 server for tests can be installed and started")
}

/// Makes a bucket.
fn bucket(server: &S3Server, name: &str) -> std::sync::Arc<dyn cirrus_runtime::object::ObjectStore> {
    let io = cirrus_runtime::io::IoThread::start().expect("a thread");
    // Its connections belong to `io`, which ends here: callers use the answer with a runtime of their own.
    io.block_on(server.bucket(name)).expect("the server makes a bucket");
    std::sync::Arc::new(cirrus_runtime::object::s3::S3Folder::with(name, "", server.settings()))
}
