//! Random histories, with ids of members who left and of nobody, against the naive tree.

use std::collections::BTreeSet;

use cirrus_core::ids::{ControllerEpoch, FanOut, MemberId, Stamp};
use cirrus_core::tree::{Tree, rules};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::reference::{Reference, assert_told, assignments};

/// Whom an operation names.
#[derive(Clone, Copy, Debug)]
enum Who {
    /// One of all members that there ever were.
    Ever(usize),
    /// One of those that are there.
    Present(usize),
    /// An id that may be anybody's or nobody's.
    Forged(MemberId),
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Join,
    Leave(Who),
    Swap(Who, Who),
    Renew(Who),
    Lodge(Who),
    Replace(Who),
    MoveIn(Who, Who),
    Reshape(u32),
    Step,
}

fn who() -> impl Strategy<Value = Who> {
    let forged = (0..2_u32, 0..20_u32, 0..8_u32).prop_map(|(epoch, serial, slot)| {
        Who::Forged(MemberId { stamp: Stamp { epoch: ControllerEpoch(epoch), serial }, slot })
    });
    prop_oneof![2 => any::<usize>().prop_map(Who::Ever), 4 => any::<usize>().prop_map(Who::Present), 1 => forged]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => Just(Operation::Join),
        5 => who().prop_map(Operation::Leave),
        4 => (who(), who()).prop_map(|(a, b)| Operation::Swap(a, b)),
        2 => who().prop_map(Operation::Renew),
        3 => who().prop_map(Operation::Lodge),
        2 => who().prop_map(Operation::Replace),
        3 => (who(), who()).prop_map(|(member, host)| Operation::MoveIn(member, host)),
        2 => (0..6_u32).prop_map(Operation::Reshape),
        12 => Just(Operation::Step),
    ]
}

/// A tree, its naive twin, and everybody who was ever in them.
struct Pair {
    tree: Tree,
    reference: Reference,
    ever: Vec<MemberId>,
}

impl Pair {
    fn new(fan_out: u32) -> Self {
        let tree = Tree::new(ControllerEpoch(1), FanOut(fan_out));
        Self { tree, reference: Reference::new(fan_out), ever: vec![] }
    }

    fn id(&self, who: Who) -> MemberId {
        let pick =
            |from: &[MemberId], at: usize| from.get(at % from.len().max(1)).copied().unwrap_or_default();
        match who {
            Who::Ever(at) => pick(&self.ever, at),
            Who::Present(at) => pick(&self.reference.everybody(), at),
            Who::Forged(member) => member,
        }
    }

    /// Somebody has come, perhaps.
    fn came(&mut self, member: Option<MemberId>, note: impl FnOnce(&mut Reference, MemberId)) {
        if let Some(member) = member {
            note(&mut self.reference, member);
            self.ever.push(member);
        }
    }

    /// Does the same to both, and holds them against each other.
    fn step(&mut self, operation: Operation) {
        let before = self.tree.clone();
        let lodgers = match operation {
            Operation::Leave(who) => before.lodgers(self.id(who)).count(),
            _ => 0,
        };
        let mut told = vec![];
        let (answer, expected) = match operation {
            Operation::Join => {
                let member = self.tree.join(&mut told).expect("stamps are left");
                self.reference.join(member);
                self.ever.push(member);
                (true, true)
            }
            Operation::Leave(who) => {
                let member = self.id(who);
                (self.tree.leave(member, &mut told), self.reference.leave(member))
            }
            Operation::Swap(a, b) => {
                let (a, b) = (self.id(a), self.id(b));
                (self.tree.swap(a, b, &mut told), self.reference.swap(a, b))
            }
            Operation::Renew(who) => {
                let member = self.id(who);
                (self.tree.renew(member, &mut told), self.reference.renew(member))
            }
            Operation::Lodge(who) => {
                let host = self.id(who);
                let lodger = self.tree.lodge(host, &mut told);
                let expected = self.reference.hosts(host);
                self.came(lodger, |reference, lodger| reference.lodge(host, lodger));
                (lodger.is_some(), expected)
            }
            Operation::Replace(who) => {
                let member = self.id(who);
                let newcomer = self.tree.replace(member, &mut told);
                let expected = self.reference.movable(member);
                self.came(newcomer, |reference, newcomer| reference.replace(member, newcomer));
                (newcomer.is_some(), expected)
            }
            Operation::MoveIn(member, host) => {
                let (member, host) = (self.id(member), self.id(host));
                (self.tree.move_in(member, host, &mut told), self.reference.move_in(member, host))
            }
            Operation::Reshape(fan_out) => {
                (self.tree.reshape(FanOut(fan_out)), self.reference.reshape(fan_out))
            }
            Operation::Step => (self.tree.reshape_step(&mut told), self.reference.step()),
        };
        assert_eq!(answer, expected);
        self.reference.assert_same(&self.tree);
        assert_told(&assignments(&before), &assignments(&self.tree), &told);
        let fan_out = usize::try_from(self.tree.fan_out().max(before.fan_out()).0).expect("small");
        let most = match operation {
            Operation::Join | Operation::Renew(_) | Operation::Lodge(_) => 2,
            Operation::Leave(_) => fan_out + 3 + 2 * lodgers.saturating_sub(1),
            Operation::Replace(_) => fan_out + 3,
            Operation::MoveIn(..) => fan_out + 5,
            Operation::Swap(..) => 2 * fan_out + 4,
            Operation::Reshape(_) => 0,
            Operation::Step => 3,
        };
        assert!(told.len() <= most, "{} were told, {most} at most", told.len());
        let stepped = matches!(operation, Operation::Step) && before.reshapes_to().is_some();
        assert!(answer || stepped || before == self.tree, "refused, but something changed");
        let there = self.reference.everybody();
        assert_eq!(self.tree.everybody().collect::<BTreeSet<_>>(), there.iter().copied().collect());
        for member in self.ever.iter().filter(|member| !there.contains(member)) {
            assert!(!self.tree.contains(*member) && self.tree.assignment(*member).is_none());
            assert!(self.tree.parent(*member).is_none() && self.tree.children(*member).next().is_none());
        }
        assert!(rules::spanning(&self.tree) && rules::degree(&self.tree) && rules::depth(&self.tree));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_in_the_naive_tree(
        fan_out in 0..5_u32,
        members in 0..30_usize,
        operations in vec(operation(), 0..120),
    ) {
        let mut pair = Pair::new(fan_out);
        for operation in std::iter::repeat_n(Operation::Join, members).chain(operations) {
            pair.step(operation);
        }
    }
}

#[test]
fn joins_and_departures_at_every_boundary_are_right() {
    for (old, new) in [(2, 3), (3, 2), (1, 4), (4, 1), (2, 5), (5, 3)] {
        for steps in 0..24 {
            let mut pair = Pair::new(old);
            for _ in 0..24 {
                pair.step(Operation::Join);
            }
            pair.step(Operation::Reshape(new));
            for _ in 0..steps {
                pair.step(Operation::Step);
            }
            for at in [0, 5, 23, 11, 2, 17] {
                pair.step(Operation::Leave(Who::Present(at)));
                pair.step(Operation::Swap(Who::Present(1), Who::Present(at)));
                pair.step(Operation::Step);
                pair.step(Operation::Join);
            }
            while pair.tree.reshapes_to().is_some() {
                pair.step(Operation::Step);
            }
            assert_eq!(pair.tree.fan_out(), FanOut(new));
        }
    }
}
