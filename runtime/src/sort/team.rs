//! The workers of a sort, in channels: who is which, and steps that all take together.
//!
//! A worker's rank is its place among those that have joined the channel of records, in the order in which they did. So
//! all agree on it without a word, and it is the number under which a shuffle knows it as a receiver.

use std::time::Duration;

use cirrus_core::channel::Role;
use cirrus_core::ids::MemberId;
use cirrus_transport::Medium;

use super::error::SortError;
use crate::zip::error::{in_words, names};
use crate::zip::{Completeness, ReduceChannel, ShuffleChannel, Zip, ZipError, operator};

/// What a call may take beside the time that its bytes need.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long all may take to find each other, and how much longer for each.
const GATHER: (Duration, Duration) = (Duration::from_secs(20), Duration::from_millis(100));
/// How often it is looked whether all are there.
const LOOK: Duration = Duration::from_secs(1);
/// Slower than this nobody exchanges records, however busy the machine.
const BYTES_PER_SECOND: u64 = 5_000_000;

/// How long all workers together may take for something, with so many bytes in all: a minute, and as long as the bytes take
/// at 5 MB/s. Whatever takes longer has failed.
#[must_use]
pub fn deadline(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs(bytes / BYTES_PER_SECOND)
}

/// A worker's seats.
#[derive(Debug)]
pub struct Team {
    rank: u32,
    members: Vec<MemberId>,
    records: ShuffleChannel,
    steps: ReduceChannel,
}

impl Team {
    /// Joins so many workers in channels of this name, which nobody else may be in, and waits some 20 seconds for all. Later
    /// calls end by themselves at the [`deadline`] of `bytes`, those of all workers together.
    ///
    /// # Errors
    /// `Zip`; `Workers`, if there are more.
    pub async fn join<M: Medium>(zip: &Zip<M>, name: &str, size: u32, bytes: u64) -> Result<Self, SortError> {
        let deadline = deadline(bytes);
        let records = zip.shuffle(&format!("{name}-records"), Role::Both).await?;
        let name = format!("{name}-steps");
        let steps = zip.reduce(&name, operator::sum::<i64>(), Completeness::Strict).await?;
        let gather = GATHER.0 + GATHER.1 * size;
        steps.within(gather).gathered(size as usize).await?;
        let members = records.within(gather).gathered(size as usize).await?;
        let (records, steps) = (records.within(deadline), steps.within(deadline));
        let found = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let rank = (0..).zip(&members).find(|(_, member)| **member == records.member());
        match rank {
            Some((rank, _)) if found == size => Ok(Self { rank, members, records, steps }),
            _ => {
                let why = "others are in their channels".to_owned();
                Err(SortError::Workers { expected: size, found, why })
            }
        }
    }

    /// Which worker this is, from 0 on.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// The rank of a member of the channel of records.
    #[must_use]
    pub fn rank_of(&self, member: MemberId) -> Option<usize> {
        self.members.binary_search(&member).ok()
    }

    /// The channel in which records are exchanged.
    #[must_use]
    pub fn records(&self) -> &ShuffleChannel {
        &self.records
    }

    /// Waits until all have come here.
    ///
    /// # Errors
    /// `Workers`, if one of them is gone or does not answer; `Zip`.
    pub async fn together(&self) -> Result<(), SortError> {
        match self.steps.barrier().await {
            Ok(_) => Ok(()),
            Err(ZipError::NoResult { missing, .. }) if !missing.departed.is_empty() => {
                let gone = u32::try_from(missing.departed.len()).unwrap_or(u32::MAX);
                let why = format!("without {}, which ended or does not answer", names(&missing));
                Err(SortError::Workers {
                    expected: self.size(),
                    found: self.size().saturating_sub(gone),
                    why,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Answers when one of them is not in the channels any more, and else never. A shuffle notices that by itself; exchanges
    /// by way of something else know nothing of the other workers.
    pub async fn one_is_gone(&self) -> SortError {
        loop {
            tokio::time::sleep(LOOK).await;
            // A controller that does not answer at the moment says nothing about the others.
            let Ok(present) = self.records.members().await else { continue };
            let mut gone = self.members.iter().filter(|member| present.binary_search(member).is_err());
            if let Some(gone) = gone.next() {
                let why = format!("{} ended or does not answer", in_words(*gone));
                let found = u32::try_from(present.len()).unwrap_or(u32::MAX);
                return SortError::Workers { expected: self.size(), found, why };
            }
        }
    }

    /// Leaves. Not before all others have come from where they were together last: who leaves does not wait until they
    /// have heard of it.
    ///
    /// # Errors
    /// `Zip`.
    pub async fn leave(self) -> Result<(), SortError> {
        self.steps.leave().await?;
        self.records.leave().await?;
        Ok(())
    }
}
