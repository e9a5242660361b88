//! Sets of gradient names, as a snapshot and the answer to "what is recorded?" hold them.
//!
//! A worker finishes whole partitions, so the names of a pass are nearly all blocks of nearly all partitions. They
//! are written as runs of neighbouring blocks: 20 bytes a run, whatever its length. The header counts runs and
//! names; a reader holds the number of names against its limit before it expands them, since a short run can stand
//! for four thousand million names.

use alloc::vec::Vec;
use cirrus_core::ids::{BlockId, GradientName, Pass};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::FormatError;

/// Blocks that follow one another in one partition, all with the same pass and part.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Run {
    pass: U32,
    partition: U32,
    block: U32,
    part: U32,
    /// Blocks in the run, at least 1.
    length: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    runs: U32,
    names: U32,
}

impl Run {
    fn of(name: &GradientName) -> Self {
        Self {
            pass: U32::new(name.pass.0),
            partition: U32::new(name.block.partition),
            block: U32::new(name.block.block),
            part: U32::new(name.part),
            length: U32::new(1),
        }
    }

    fn name(&self, offset: u32) -> Option<GradientName> {
        let block = self.block.get().checked_add(offset)?;
        Some(GradientName {
            pass: Pass(self.pass.get()),
            block: BlockId { partition: self.partition.get(), block },
            part: self.part.get(),
        })
    }

    /// Takes a name in, if it is the one behind the last.
    fn extend(&mut self, name: &GradientName) -> bool {
        let follows = self.name(self.length.get()) == Some(*name);
        if follows {
            self.length = U32::new(self.length.get().saturating_add(1));
        }
        follows
    }
}

/// Appends a set of names, at most `u32::MAX`, to `out`. They must rise: [`decode`] accepts nothing else.
pub fn encode(names: &[GradientName], out: &mut Vec<u8>) {
    let mut runs: Vec<Run> = Vec::new();
    for name in names {
        if !runs.last_mut().is_some_and(|run| run.extend(name)) {
            runs.push(Run::of(name));
        }
    }
    let count = |count| U32::new(u32::try_from(count).unwrap_or(u32::MAX));
    let header = Header { runs: count(runs.len()), names: count(names.len()) };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(runs.as_bytes());
}

/// Reads a set of names. `bytes` must hold the set and nothing else.
///
/// # Errors
/// - `Limit`: there are more than `names_max`.
/// - `Truncated`, `Corrupt`: the bytes are not a set of rising names in the only form it has.
pub fn decode(bytes: &[u8], names_max: u32) -> Result<Vec<GradientName>, FormatError> {
    let Ok((header, rest)) = Header::ref_from_prefix(bytes) else {
        return Err(FormatError::Truncated {
            what: "a set of names",
            needed: size_of::<Header>() as u64,
            found: bytes.len() as u64,
        });
    };
    let count = header.names.get();
    if count > names_max {
        return Err(FormatError::Limit {
            what: "number of names in a set",
            found: count.into(),
            limit: names_max.into(),
        });
    }
    let runs =
        <[Run]>::ref_from_bytes(rest).map_err(|_| FormatError::Corrupt("names that end within a run"))?;
    let lengths = runs.iter().try_fold(0_u32, |sum, run| sum.checked_add(run.length.get()));
    if runs.len() as u64 != u64::from(header.runs.get()) || lengths != Some(count) {
        return Err(FormatError::Corrupt("a set of names is not as long as its header says"));
    }
    let mut names = Vec::with_capacity(count as usize);
    for run in runs {
        expand(run, &mut names)?;
    }
    Ok(names)
}

/// Adds the names of a run behind smaller ones that it does not continue.
fn expand(run: &Run, names: &mut Vec<GradientName>) -> Result<(), FormatError> {
    let first = run.name(0);
    let rises = names.last().copied() < first;
    let continues = names.last().is_some_and(|last| {
        let mut last = Run::of(last);
        first.is_some_and(|first| last.extend(&first))
    });
    if !rises || continues || run.length.get() == 0 {
        return Err(FormatError::Corrupt("runs of names that are not in the only form that they have"));
    }
    for offset in 0..run.length.get() {
        let name = run.name(offset).ok_or(FormatError::Corrupt("a name with a block beyond the last"))?;
        names.push(name);
    }
    Ok(())
}
