//! Who a member is on its machine.

use crate::ids::MachineId;

/// What a member is, and on which machine.
///
/// A daemon is optional: without one every lambda takes a place of its own. It has no application: it passes on what goes
/// by, delivers nothing, and has no values that could be combined, or be missing. Shuffles go past it: it joins no channel
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Tenancy {
    /// A process with an application.
    Lambda(MachineId),
    /// The one process that takes a place in the tree for all lambdas of its machine.
    Daemon(MachineId),
}

impl Tenancy {
    /// The machine.
    #[must_use]
    pub fn machine(self) -> MachineId {
        match self {
            Self::Lambda(machine) | Self::Daemon(machine) => machine,
        }
    }

    /// Whether it is a daemon.
    #[must_use]
    pub fn is_daemon(self) -> bool {
        match self {
            Self::Daemon(_) => true,
            Self::Lambda(_) => false,
        }
    }
}
