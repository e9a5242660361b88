//! Who has departed, for a root that must name them: a reduce says who is missing from it.
//!
//! In a term the root is told of every departure until it has noted it. A new root is told of the latest from before its
//! reign, its predecessor among them, as many as a reduce may name; it never counted them, and only has to name them.

use crate::bug::Bug;
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
            return self.departed.clear(); // There was nobody to miss them.
        }
        self.departed.extend(last.map(|member| (version, member)));
        let excess = self.departed.len().saturating_sub(config.departed_max as usize);
        self.departed.drain(..excess);
    }
}
