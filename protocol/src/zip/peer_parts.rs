//! What messages between members are made of.

use alloc::vec::Vec;

use cirrus_core::channel::{
    Census, Failure, Missing, Origin, Report, Resume, RoundId, Seal, Share, Spoil, Sync, Try,
};
use cirrus_core::direct::Have;
use cirrus_core::ids::{AssignmentVersion, MemberId, Position, Round, Sequence, Stamp, Term};

use super::address::Address;
use super::parts::{Part, choice, structure};
use super::peer::Purpose;
use crate::error::FormatError;
use crate::fields::{Reader, Writer};

choice! {
    Failure, "a reduce that failed for an unknown reason" {
        Self::Incomplete => 0 => Self::Incomplete,
        Self::Churn => 1 => Self::Churn,
        Self::Mismatch => 2 => Self::Mismatch,
        Self::Unhandled => 3 => Self::Unhandled,
    }
    Purpose, "a connection for an unknown purpose" {
        Self::Shuffle => 0 => Self::Shuffle,
        Self::Messages => 1 => Self::Messages,
    }
    Spoil, "an attempt that came to nothing for an unknown reason" {
        Self::Moved => 0 => Self::Moved,
        Self::Mismatch => 1 => Self::Mismatch,
    }
}

structure! {
    RoundId { term: Term, round: Round }
    Origin { member: MemberId, sequence: Sequence }
    Missing { late: Vec<MemberId>, departed: Vec<MemberId>, more: u32 }
    Seal { census: Census, missing: Missing, until: AssignmentVersion, failure: Option<Failure> }
    Try { round: Round, attempt: u32, cut_off: bool }
    Share { census: Census, daemons: Census, late: Vec<MemberId> }
    Sync<Address> {
        term: Term,
        root: Address,
        cut: Stamp,
        floor: Round,
        floor_cut: Stamp,
        prior: Term,
        carried: Option<Round>,
        attempt: Try
    }
    Report {
        term: Term,
        cut: Stamp,
        synced: Census,
        best: Round,
        seen: Round,
        floor: Round,
        floor_cut: Stamp,
        prior: Term,
        done: Vec<Census>
    }
    Resume { term: Term, position: Round, partial: Option<(RoundId, u32)> }
    Have { taken: Position, next: Position }
}
