//! A member's links: which it has been assigned, and which of them stand.

use crate::bounded::SmallMap;
use crate::channel::Parent;
use crate::ids::{LinkId, MemberId, Place};

/// How a connection that the member makes stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// There is none, and nobody needs one.
    #[default]
    None,
    /// It is being made.
    Dialling,
    /// It stands.
    Up,
    /// It broke or could not be made; a timer will try again.
    Waiting,
}

/// The link to the parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uplink<A> {
    /// Who, where, over which link.
    pub parent: Parent<A>,
    /// How it stands.
    pub line: Line,
}

/// The link to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Downlink {
    /// Who.
    pub member: MemberId,
    /// Which child it is, in the order of the assignment.
    pub nth: u32,
    /// It has called.
    pub up: bool,
}

/// A member's links as it was assigned them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Links<A> {
    /// The member's place in the tree; `None` if it lodges, and before the first assignment.
    pub place: Option<Place>,
    /// Or to the daemon. `None` for the root, and before the first assignment.
    pub parent: Option<Uplink<A>>,
    /// Whoever is below, a daemon's lambdas among them. By link, which is by age.
    pub children: SmallMap<LinkId, Downlink>,
}

impl<A> Default for Links<A> {
    fn default() -> Self {
        Self { place: None, parent: None, children: SmallMap::default() }
    }
}

impl<A> Links<A> {
    /// The link to the parent, if it is this one.
    pub(super) fn uplink(&mut self, link: LinkId) -> Option<&mut Uplink<A>> {
        self.parent.as_mut().filter(|uplink| uplink.parent.edge.link == link)
    }

    /// The link to the parent, if it stands.
    #[must_use]
    pub fn up(&self) -> Option<LinkId> {
        let uplink = self.parent.as_ref()?;
        (uplink.line == Line::Up).then_some(uplink.parent.edge.link)
    }
}
