//! Who has departed, for a root that must name them: a reduce says who is missing from it.
//!
//! In a term the root is told of every departure until it has noted it. A new root is told of the latest from before its
//! reign, its predecessor among them, as many as a reduce may name; it never counted them, and only has to name them. Of
//! the others only their number is kept, until a round has told of them.
//!
//! Of daemons no value can be missing: a root that counted them takes them off, says so, and nobody hears of them again.

use crate::bug::Bug;
use crate::channel::Unnamed;
use crate::ids::{AssignmentVersion, MemberId};

use super::{Channel, Config};

/// Who has departed in a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departed {
    /// Who.
    pub(super) member: MemberId,
    /// It was a daemon: the root must know that it is gone, but nobody misses a value.
    pub(super) daemon: bool,
}

impl<A> Channel<A> {
    /// The root will be told.
    pub(super) fn note_departed(&mut self, version: AssignmentVersion, departed: Option<Departed>) {
        let Some(Departed { member, daemon }) = departed else { return };
        let list = if daemon { &mut self.departed_daemons } else { &mut self.departed };
        list.push((version, member));
    }

    /// Another reign begins.
    pub(super) fn keep_departed(
        &mut self,
        config: &Config,
        version: AssignmentVersion,
        last: Option<Departed>,
    ) {
        if self.reign.is_none() || config.bugs.has(Bug::DepartedForgotten) {
            // There was nobody to miss them.
            self.departed.clear();
            self.departed_daemons.clear();
            self.unnamed = Unnamed::default();
            return;
        }
        self.note_departed(version, last);
        self.departed_daemons.clear(); // The new root never counted them.
        let excess = self.departed.len().saturating_sub(config.departed_max as usize);
        self.drop_names(config, excess);
    }

    /// The root has told of those up to this version, or needs not to.
    pub(super) fn noted(&mut self, member: MemberId, version: AssignmentVersion) {
        if self.reign.is_some_and(|reign| reign.root == member) {
            self.departed.retain(|(since, _)| *since > version);
            self.unnamed = self.unnamed.after(version);
            self.recount = self.recount.filter(|recount| recount.version > version);
        }
    }

    /// The root counts the daemons up to this version no more.
    pub(super) fn daemons_noted(&mut self, config: &Config, member: MemberId, version: AssignmentVersion) {
        let root = self.reign.is_some_and(|reign| reign.root == member);
        if root && !config.bugs.has(Bug::DepartedDaemonsKept) {
            self.departed_daemons.retain(|(since, _)| *since > version);
        }
    }

    /// The root will not name those up to this version.
    pub(super) fn counted(&mut self, config: &Config, member: MemberId, version: AssignmentVersion) {
        if self.reign.is_some_and(|reign| reign.root == member) {
            let dropped = self.departed.partition_point(|(since, _)| *since <= version);
            self.drop_names(config, dropped);
        }
    }

    /// Keeps the number of the first so many, and no names. Where nobody reduces, nobody asks.
    fn drop_names(&mut self, config: &Config, many: usize) {
        let dropped = self.departed.drain(..many.min(self.departed.len()));
        if config.departed_max > 0 && !config.bugs.has(Bug::DroppedUncounted) {
            self.unnamed = dropped.fold(self.unnamed, |unnamed, (since, _)| unnamed.plus(1, since));
        }
    }
}
