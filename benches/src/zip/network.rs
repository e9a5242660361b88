//! Machines made of network namespaces: each has one link to a switch, which is another namespace with a bridge in it.
//!
//! ```text
//!   <prefix>-1         <prefix>-switch
//!    eth0 10.77.0.1 === port1 -+
//!    eth0 10.77.0.2 === port2 -+- bridge 10.77.0.254
//! ```
//!
//! A link carries so many bits a second each way: `tbf` shapes what leaves either of its ends. Nothing of this is seen
//! outside these namespaces, and it goes with them. They end with the value; after a `kill -9` the next run removes them.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cirrus_runtime::zip::daemon::DAEMON_VARIABLE;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use super::Error;
use super::processes::Watch;

/// What all these namespaces are called; the number of the process follows.
const PREFIX: &str = "cirrus-links-";
/// Where named namespaces are.
const NAMED: &str = "/run/netns";
/// What a link may carry at once, beyond its rate: some of the largest packets that the system cuts up by itself.
const BURST: &str = "256kb";
/// How long a packet may wait for a link before it is dropped, as in a switch with large buffers.
const QUEUE: &str = "100ms";

/// Some machines.
pub(super) struct Network {
    machines: usize,
}

impl Network {
    /// Makes them, each with a link of so many megabits a second both ways.
    ///
    /// # Errors
    /// Without root, `ip` or `tc`; when the kernel has no `tbf`; we were interrupted.
    pub(super) fn make(machines: usize, megabits: u32, watch: &Watch) -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces need root: run this as root, or by sudo".into());
        }
        for tool in ["ip", "tc"] {
            Command::new(tool).arg("-V").output().map_err(|error| {
                format!("`{tool}` does not run ({error}): install it by `apt-get install iproute2`")
            })?;
        }
        sweep()?;
        // From here on it is removed whatever happens.
        let network = Self { machines };
        let switch = name("switch");
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "addr", "add", &format!("{}/24", network.switch()), "dev", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for nth in 1..=machines {
            watch.check()?;
            let (machine, port) = (name(nth), format!("port{nth}"));
            ip(&["netns", "add", &machine])?;
            ip(&[
                "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns",
                &machine,
            ])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&["-n", &machine, "addr", "add", &format!("{}/24", network.address(nth)), "dev", "eth0"])?;
            ip(&["-n", &machine, "link", "set", "lo", "up"])?;
            ip(&["-n", &machine, "link", "set", "eth0", "up"])?;
            for (namespace, device) in [(&machine, "eth0"), (&switch, port.as_str())] {
                let rate = format!("{megabits}mbit");
                let shape = ["root", "tbf", "rate", &rate, "burst", BURST, "latency", QUEUE];
                run(
                    "tc",
                    &[&["-n", namespace.as_str(), "qdisc", "add", "dev", device][..], &shape].concat(),
                )?;
            }
        }
        Ok(network)
    }

    /// The address of a machine, from 1.
    pub(super) fn address(&self, nth: usize) -> String {
        format!("10.77.0.{nth}")
    }

    /// The address of the switch.
    pub(super) fn switch(&self) -> &'static str {
        "10.77.0.254"
    }

    /// A command whose process runs on a machine, from 1.
    pub(super) fn command(&self, nth: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &name(nth)]).arg(program);
        // There is none.
        command.env_remove(DAEMON_VARIABLE);
        command
    }

    /// From here on the calling thread is on a machine, from 1, or on the switch, 0.
    pub(super) fn enter(nth: usize) -> Result<(), Error> {
        let name = if nth == 0 { name("switch") } else { name(nth) };
        let file = File::open(PathBuf::from(NAMED).join(name))?;
        Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// Bytes that have entered and left each machine.
    pub(super) fn counters(&self) -> Result<Vec<[u64; 2]>, Error> {
        (1..=self.machines)
            .map(|nth| {
                let said = ip(&["-n", &name(nth), "-s", "-j", "link", "show", "dev", "eth0"])?;
                let said: Value = serde_json::from_slice(&said)?;
                let count = |way: &str| said[0]["stats64"][way]["bytes"].as_u64();
                count("rx")
                    .zip(count("tx"))
                    .map(<[u64; 2]>::from)
                    .ok_or_else(|| "`ip` counts no bytes".into())
            })
            .collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in (1..=self.machines).map(name).chain([name("switch")]) {
            if Path::new(NAMED).join(&name).exists()
                && let Err(error) = ip(&["netns", "del", &name])
            {
                eprintln!("{error}; remove it by: ip netns del {name}");
            }
        }
    }
}

fn name(what: impl std::fmt::Display) -> String {
    format!("{PREFIX}{}-{what}", std::process::id())
}

/// Removes what was left by runs that were killed.
fn sweep() -> Result<(), Error> {
    let Ok(entries) = std::fs::read_dir(NAMED) else { return Ok(()) }; // There was never any.
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(owner) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        // Another process may have that number by now.
        let program = std::fs::read_to_string(format!("/proc/{owner}/comm")).unwrap_or_default();
        if owner == std::process::id().to_string() || program.trim() != "cirrus-benches" {
            ip(&["netns", "del", &name])?;
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<Vec<u8>, Error> {
    run("ip", arguments)
}

/// Runs a command to its end; what it said.
fn run(program: &str, arguments: &[&str]) -> Result<Vec<u8>, Error> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}`: {}", arguments.join(" "), said.trim()).into())
}
