//! What a member says when it calls the controller again: all that a controller needs which has lost everything.

use alloc::vec::Vec;

use super::{Role, Tenancy};
use crate::ids::{AssignmentVersion, Place, Stamp, Term};
use crate::tree::Edge;

/// A member as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Registration<A> {
    /// Where it listens.
    pub address: A,
    /// What it does in shuffles.
    pub role: Role,
    /// Who it is on its machine.
    pub tenancy: Tenancy,
    /// Its newest assignment; the rest of the seat is of that one.
    pub version: AssignmentVersion,
    /// Its place; `None` if it lodges, or has not heard of any.
    pub place: Option<Place>,
    /// Who is above.
    pub parent: Option<Edge>,
    /// Its link to the one above goes by relay.
    pub relay: bool,
    /// Who is below, in the order of its assignment.
    pub children: Vec<Edge>,
    /// It waits to be let go.
    pub leaving: bool,
    /// What it knows of the reign that it is under.
    pub standing: Standing,
}

/// What a member knows of the reign that it is under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Standing {
    /// The newest term that it has heard of.
    pub term: Term,
    /// It is the root of that term.
    pub reigns: bool,
    /// Who is counted, as far as it knows: the members whose stamp is not above this one.
    pub cut: Stamp,
    /// Of the root: who will be counted from the next boundary between rounds on.
    pub next: Option<Stamp>,
}
