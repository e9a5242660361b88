//! A tree written again, naively: a list of members, parents laid out one after the other, all compared at once.

use std::collections::{BTreeMap, BTreeSet};

use cirrus_core::ids::{FanOut, LinkId, MemberId, Stamp};
use cirrus_core::tree::{Assignment, Edge, Tree};

/// What every member must know.
pub(crate) type Assignments = BTreeMap<MemberId, Assignment>;

/// What a tree says of all its members.
pub(crate) fn assignments(tree: &Tree) -> Assignments {
    tree.everybody().filter_map(|member| Some((member, tree.assignment(member)?))).collect()
}

/// Those of `after` whose assignment is not that of `before`.
pub(crate) fn differing(before: &Assignments, after: &Assignments) -> BTreeSet<MemberId> {
    after.iter().filter(|(member, now)| before.get(member) != Some(now)).map(|(member, _)| *member).collect()
}

/// Asserts that exactly those were told whose assignment changed, each once.
pub(crate) fn assert_told(before: &Assignments, after: &Assignments, told: &[MemberId]) {
    let once: BTreeSet<MemberId> = told.iter().copied().collect();
    assert_eq!(once.len(), told.len(), "somebody was told twice: {told:?}");
    assert_eq!(once, differing(before, after), "told on the left, changed on the right");
}

/// The parents of `len` places: each place in turn takes the next `fan_out` places.
pub(crate) fn parents(fan_out: usize, len: usize) -> Vec<Option<usize>> {
    let mut parents = vec![None];
    let mut parent = 0;
    while parents.len() < len {
        parents.extend([Some(parent)].repeat(fan_out));
        parent += 1;
    }
    parents.truncate(len);
    parents
}

/// A change of the fan-out that is under way.
#[derive(Clone, Copy, Debug)]
struct Change {
    to: usize,
    boundary: usize,
}

/// The naive tree.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// By place.
    members: Vec<MemberId>,
    fan_out: usize,
    change: Option<Change>,
    links: BTreeMap<(MemberId, MemberId), LinkId>,
    /// Lodgers and their hosts.
    lodgings: BTreeMap<MemberId, MemberId>,
    /// Every stamp that was ever seen, in a member's id or a link's.
    stamps: BTreeSet<Stamp>,
}

impl Reference {
    pub(crate) fn new(fan_out: u32) -> Self {
        let fan_out = fan_out.max(1) as usize;
        let (links, lodgings, stamps) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { members: vec![], fan_out, change: None, links, lodgings, stamps }
    }

    /// All that are there, those with a place first.
    pub(crate) fn everybody(&self) -> Vec<MemberId> {
        self.members.iter().chain(self.lodgings.keys()).copied().collect()
    }

    /// Who lodges with this one, by slot.
    fn lodgers(&self, host: MemberId) -> Vec<MemberId> {
        let lodge = self.lodgings.iter().filter(|(_, of)| **of == host);
        let mut lodgers: Vec<MemberId> = lodge.map(|(lodger, _)| *lodger).collect();
        lodgers.sort_by_key(|lodger| lodger.slot);
        lodgers
    }

    /// Whether somebody can come to lodge with this one.
    pub(crate) fn hosts(&self, host: MemberId) -> bool {
        self.find(host).is_some()
    }

    /// Whether this one can become a lodger.
    pub(crate) fn movable(&self, member: MemberId) -> bool {
        self.find(member).is_some() && self.lodgers(member).is_empty()
    }

    pub(crate) fn lodge(&mut self, host: MemberId, member: MemberId) {
        assert!(self.stamps.insert(member.stamp), "a member's stamp was used before");
        self.lodgings.insert(member, host);
    }

    pub(crate) fn replace(&mut self, member: MemberId, newcomer: MemberId) {
        let place = self.find(member).expect("it was asked whether it can be moved");
        self.members[place] = newcomer;
        assert!(self.stamps.insert(newcomer.stamp), "a member's stamp was used before");
        self.lodgings.insert(member, newcomer);
    }

    pub(crate) fn move_in(&mut self, member: MemberId, host: MemberId) -> bool {
        if !self.movable(member) || !self.hosts(host) || member == host {
            return false;
        }
        self.leave(member);
        // It may have been the host's child, and gets another link now.
        self.links.remove(&(host, member));
        self.lodgings.insert(member, host);
        true
    }

    fn find(&self, member: MemberId) -> Option<usize> {
        self.members.iter().position(|known| *known == member)
    }

    pub(crate) fn join(&mut self, member: MemberId) {
        assert!(self.stamps.insert(member.stamp), "a member's stamp was used before");
        self.members.push(member);
    }

    pub(crate) fn leave(&mut self, member: MemberId) -> bool {
        if self.lodgings.remove(&member).is_some() {
            return true;
        }
        let Some(place) = self.find(member) else { return false };
        let mut lodgers = self.lodgers(member).into_iter();
        if let Some(heir) = lodgers.next() {
            self.members[place] = heir;
            self.members.extend(lodgers);
            self.lodgings.retain(|_, host| *host != member);
            return true;
        }
        self.members.swap_remove(place);
        if let Some(change) = &mut self.change
            && change.to < self.fan_out
        {
            change.boundary = change.boundary.min(self.members.len());
        }
        self.finish();
        true
    }

    pub(crate) fn swap(&mut self, a: MemberId, b: MemberId) -> bool {
        let (Some(a), Some(b)) = (self.find(a), self.find(b)) else { return false };
        self.members.swap(a, b);
        a != b
    }

    /// The link above a member is to be another one.
    pub(crate) fn renew(&mut self, member: MemberId) -> bool {
        let above = self.find(member).and_then(|place| self.parents()[place]);
        let host = self.lodgings.get(&member).copied();
        let Some(parent) = host.or(above.map(|above| self.members[above])) else { return false };
        self.links.remove(&(parent, member)).is_some()
    }

    pub(crate) fn reshape(&mut self, to: u32) -> bool {
        let to = to.max(1) as usize;
        if self.change.is_some() || to == self.fan_out {
            return false;
        }
        self.change = Some(Change { to, boundary: if to > self.fan_out { 0 } else { self.members.len() } });
        self.finish();
        true
    }

    pub(crate) fn step(&mut self) -> bool {
        if let Some(change) = &mut self.change {
            change.boundary =
                if change.to > self.fan_out { change.boundary + 1 } else { change.boundary - 1 };
        }
        self.finish();
        self.change.is_some()
    }

    /// Ends a change that has gone through all places.
    fn finish(&mut self) {
        if let Some(Change { to, boundary }) = self.change
            && (if to > self.fan_out { boundary >= self.members.len() } else { boundary == 0 })
        {
            (self.fan_out, self.change) = (to, None);
        }
    }

    /// The larger and the smaller fan-out, and where the smaller begins.
    pub(crate) fn shape(&self) -> (usize, usize, usize) {
        match self.change {
            None => (self.fan_out, self.fan_out, 0),
            Some(Change { to, boundary }) => (to.max(self.fan_out), to.min(self.fan_out), boundary),
        }
    }

    /// The parent of every place.
    fn parents(&self) -> Vec<Option<usize>> {
        let (wide, narrow, boundary) = self.shape();
        let mut mixed = parents(wide, self.members.len());
        for (place, parent) in parents(narrow, self.members.len()).into_iter().enumerate().skip(boundary) {
            mixed[place] = parent;
        }
        mixed
    }

    /// Asserts that the tree is this one, and learns the links of edges that are new since the last time.
    pub(crate) fn assert_same(&mut self, tree: &Tree) {
        assert!(tree.members().eq(self.members.iter().copied()));
        assert_eq!((tree.len() as usize, tree.is_empty()), (self.members.len(), self.members.is_empty()));
        assert_eq!(tree.root(), self.members.first().copied());
        let (wide, narrow, _) = self.shape();
        assert_eq!(tree.fan_out(), FanOut(u32::try_from(wide).expect("small")));
        assert_eq!(tree.reshapes_to().is_some(), wide != narrow);
        let parents = self.parents();
        let mut depths: Vec<u32> = vec![];
        for parent in &parents {
            depths.push(parent.map_or(0, |parent| depths[parent] + 1));
        }
        assert_eq!(tree.depth(), depths.iter().copied().max().unwrap_or(0));
        let newest = self.stamps.last().copied();
        let mut links = BTreeMap::new();
        for (place, member) in self.members.iter().enumerate() {
            let now = tree.assignment(*member).expect("a member is assigned");
            assert_eq!(now.place.map(|place| place.0 as usize), Some(place));
            let parent = parents[place].map(|parent| self.members[parent]);
            assert_eq!(now.parent.map(|edge| edge.member), parent);
            let below = (0..self.members.len()).filter(|child| parents[*child] == Some(place));
            let below: Vec<MemberId> = below.map(|child| self.members[child]).collect();
            let all = self.lodgers(*member).into_iter().chain(below.iter().copied());
            assert!(now.children.iter().map(|edge| edge.member).eq(all), "lodgers first, by slot");
            for edge in now.children.iter().filter(|edge| below.contains(&edge.member)) {
                let upward = tree.parent(edge.member).expect("a child has a parent");
                assert_eq!((upward.member, upward.link), (*member, edge.link));
                links.insert((*member, edge.member), edge.link);
            }
        }
        for member in &self.members {
            let lodgers: Vec<Edge> = tree.lodgers(*member).collect();
            assert!(lodgers.iter().map(|edge| edge.member).eq(self.lodgers(*member)));
            for edge in lodgers {
                let host = tree.lodging(edge.member).expect("a lodger has a host");
                assert_eq!((host.member, host.link), (*member, edge.link));
                let assigned = tree.assignment(edge.member).expect("a lodger is assigned its host");
                assert_eq!((assigned.place, assigned.parent, assigned.children), (None, Some(host), vec![]));
                links.insert((*member, edge.member), edge.link);
            }
        }
        for (ends, link) in &links {
            match self.links.get(ends) {
                Some(kept) => assert_eq!(link, kept, "a link changed though its ends did not"),
                None => {
                    assert!(self.stamps.insert(link.0), "a link's stamp was used before");
                    assert!(Some(link.0) > newest, "a link is older than what was there before");
                }
            }
        }
        self.links = links;
        let given = u32::try_from(self.stamps.len()).expect("few");
        assert_eq!(tree.stamps_left(), u32::MAX - given, "a stamp was drawn for nothing");
    }
}
