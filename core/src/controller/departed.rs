//! Who has departed, for a root that must name them: a reduce says who is missing from it.
//!
//! In a term the root is told of every departure until it has noted it. A new root is told of the latest from before its
//! reign, its predecessor among them, as many as a reduce may name; it never counted them, and only has to name them. Of
//! the others only their number is kept, until a round has told of them.

use crate::bug::Bug;
use crate::channel::Unnamed;
use crate::ids::{AssignmentVersion, MemberId};

use super::{Channel, Config};

impl<A> Channel<A> {
    /// Another reign begins.
    pub(super) fn keep_departed(
        &mut self,
        config: &Config,
        version: AssignmentVersion,
        last: Option<MemberId>,
    ) {
        if self.reign.is_none() || config.bugs.has(Bug::DepartedForgotten) {
            // There was nobody to miss them.
            self.departed.clear();
            self.unnamed = Unnamed::default();
            return;
        }
        self.departed.extend(last.map(|member| (version, member)));
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
