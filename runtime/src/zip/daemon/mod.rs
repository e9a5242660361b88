//! The daemon of a machine: one place in each channel for all of the machine's lambdas, and memory that they share.
//!
//! ```text
//!   lambda                        daemon                               the channel
//!     | Unix socket: lodges -----> | joins as the machine's daemon -----> controller
//!     | <-- segment, ledger ------ | host of the channel's segment
//!     | <== lines: frames, and descriptors of what lies in the segment
//!     |    Member (core)           |    Member (core) <=== TCP ========> members of other machines
//! ```
//!
//! Who is above whom is decided by the controller, in `cirrus_core::controller::machines`: a machine's lambdas lodge with its
//! daemon as soon as it has joined, and take places of their own when it goes. All that is added here is that their
//! links go over Unix sockets on which long payloads are described instead of sent. What comes from other machines is
//! copied into the segment once; what a lambda sends was written there by it.
//!
//! | module | what |
//! |---|---|
//! | `house` | a lambda's side: finds the daemon, lodges with it, and finds it again |
//! | `lodged` | a lodging, as long as it lasts |
//! | `housed` | a medium whose links to the own machine's daemon go over lines |
//! | `serve` | the daemon: who may come in |
//! | `hall` | one channel of the daemon |
//! | `combine` | values that are combined where they lie |
//!
//! A lambda whose daemon is missing or dies goes on without, says so once, and looks for another one from time to time. What
//! it reads in the segment stays readable. A daemon serves the jobs whose tokens it has; a lambda proves that it has its
//! own's before anything is shared with it, and gets the segment of the channel that it names, of that job.

mod combine;
mod hall;
mod house;
mod housed;
mod lodged;
mod serve;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;

use cirrus_core::ids::MachineId;

pub(super) use house::House;
pub(super) use housed::Housed;
pub use serve::{Daemon, DaemonError, DaemonSpec, Memory, Observer};

/// The environment's word for where the daemon of this machine listens.
pub const DAEMON_VARIABLE: &str = "CIRRUS_DAEMON";

/// A candidate of a daemon's address that only the lambdas of its machine can call begins with this.
const AT_HOME: &str = "daemon:";

/// The machine whose daemon listens there: the same in all lives of that daemon, and another one on any other machine.
fn machine(socket: &str) -> MachineId {
    let mut hasher = DefaultHasher::new();
    // One that the system does not name is told from others by the path alone.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().hash(&mut hasher);
    if socket.starts_with('@') {
        socket.hash(&mut hasher);
    } else {
        let path = Path::new(socket);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::canonicalize(folder.unwrap_or(Path::new("."))).unwrap_or_default().hash(&mut hasher);
        path.file_name().hash(&mut hasher);
    }
    MachineId(hasher.finish().max(1)) // Zero is that of who knows of no daemon.
}
