//! Time-outs and limits of a process in channels: those of the machines, and the few that are the shell's own.

use std::time::Duration;

use cirrus_core::ids::Millis;
use cirrus_core::{direct, member, messages, shuffle};

use super::daemon::DAEMON_VARIABLE;
use super::metrics::Metrics;
use super::recording::Recording;
use super::relay::Reachable;

/// The longest piece of a payload, a multiple of the size of every number: large enough that a header costs nothing,
/// small enough that all levels of a tree work at once.
const PIECE_BYTES: usize = 256 << 10;

/// How a process takes part in channels. Limits and time-outs should be the same at all members of a channel.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A call that has no deadline of its own ends after this long.
    pub deadline: Duration,
    /// Payloads are cut into pieces of this many bytes, rounded down to whole elements.
    pub piece_bytes: usize,
    /// Of the members of channels. What a channel is for is set when it is joined.
    pub member: member::Config,
    /// Of shuffles.
    pub shuffle: shuffle::Config,
    /// Of messages from one member to another.
    pub messages: messages::Config,
    /// How others reach the process's members.
    pub reachable: Reachable,
    /// Where all that happens to the process's members is recorded, if anywhere.
    pub recording: Option<Recording>,
    /// Where what they do is counted, if anywhere.
    pub metrics: Option<Metrics>,
    /// Where the daemon of this machine listens, or may: the path of a Unix socket. `None`: it has none.
    pub daemon: Option<String>,
}

impl Settings {
    /// The defaults, and what the environment says of a daemon ([`DAEMON_VARIABLE`]).
    #[must_use]
    pub fn from_environment() -> Self {
        let daemon = std::env::var(DAEMON_VARIABLE).ok().filter(|socket| !socket.is_empty());
        Self { daemon, ..Self::default() }
    }
}

impl Default for Settings {
    /// For processes in one data centre.
    fn default() -> Self {
        let limits = direct::Limits {
            window: 16,
            strangers_max: 1000,
            redial: Millis(50),
            missing: Millis(1000),
            bugs: member::Config::default().bugs,
        };
        Self {
            deadline: Duration::from_secs(60),
            piece_bytes: PIECE_BYTES,
            member: member::Config {
                attach: Millis(1000),
                redial: Millis(20),
                recontact: Millis(8),
                recontact_max: Millis(500),
                ..member::Config::default()
            },
            shuffle: shuffle::Config { limits: limits.clone(), rosters_max: 2 },
            messages: messages::Config { limits, talks_max: 1000, messages_max: 16, pieces_max: 1 << 12 },
            reachable: Reachable::default(),
            recording: None,
            metrics: None,
            daemon: None,
        }
    }
}
