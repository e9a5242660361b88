//! How many members an operation tells: each number is reached, and never exceeded.

use std::collections::BTreeMap;

use cirrus_core::ids::{ControllerEpoch, FanOut, MemberId, Place};
use cirrus_core::tree::Tree;

use crate::reference::{assert_told, assignments, differing, parents};

const MEMBERS: usize = 60;
const FAN_OUTS: std::ops::RangeInclusive<usize> = 1..=5;

/// What an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    JoinFirst,
    Join,
    LeaveLast,
    LeaveSibling,
    LeaveLeaf,
    LeaveInner,
    LeaveRoot,
    SwapParentChild,
    SwapSiblings,
    SwapInner,
    SwapInnerLeaf,
    SwapLeaves,
}

/// The most that were told in each case.
type Most = BTreeMap<Case, usize>;

fn grown(fan_out: usize, members: usize) -> Tree {
    let mut tree = Tree::new(ControllerEpoch(1), FanOut(u32::try_from(fan_out).expect("small")));
    for _ in 0..members {
        tree.join(&mut vec![]).expect("stamps are left");
    }
    tree
}

fn at(tree: &Tree, place: usize) -> MemberId {
    tree.member(Place(u32::try_from(place).expect("small"))).expect("the place is taken")
}

/// The most told in each case in trees of these sizes; each time exactly those whose assignment changed.
fn most(fan_out: usize, sizes: impl IntoIterator<Item = usize>) -> Most {
    let mut most = Most::new();
    for members in sizes {
        let tree = grown(fan_out, members);
        let before = assignments(&tree);
        let parents = parents(fan_out, members);
        let leaf = |place: usize| !parents.contains(&Some(place));
        let mut record = |case: Case, after: &Tree, told: Vec<MemberId>| {
            assert_told(&before, &assignments(after), &told);
            let entry = most.entry(case).or_default();
            *entry = told.len().max(*entry);
        };
        let mut after = tree.clone();
        let mut told = vec![];
        let joined = after.join(&mut told).expect("stamps are left");
        assert_eq!(after.place(joined), Some(Place(tree.len())));
        record(if members == 0 { Case::JoinFirst } else { Case::Join }, &after, told);
        for place in 0..members {
            let (mut after, mut told) = (tree.clone(), vec![]);
            assert!(after.leave(at(&tree, place), &mut told));
            assert!(!after.contains(at(&tree, place)));
            let case = match place {
                _ if place == members - 1 => Case::LeaveLast,
                0 => Case::LeaveRoot,
                _ if parents[place] == parents[members - 1] => Case::LeaveSibling,
                _ if leaf(place) => Case::LeaveLeaf,
                _ => Case::LeaveInner,
            };
            record(case, &after, told);
        }
        for (upper, lower) in (0..members).flat_map(|lower| (0..lower).map(move |upper| (upper, lower))) {
            let (mut after, mut told) = (tree.clone(), vec![]);
            // Which of the two is named first makes no difference.
            let (a, b) = if (upper + lower) % 2 == 0 { (upper, lower) } else { (lower, upper) };
            assert!(after.swap(at(&tree, a), at(&tree, b), &mut told));
            let case = match (leaf(upper), leaf(lower)) {
                _ if parents[lower] == Some(upper) => Case::SwapParentChild,
                _ if parents[lower] == parents[upper] => Case::SwapSiblings,
                (false, false) => Case::SwapInner,
                (true, true) => Case::SwapLeaves,
                (true, false) | (false, true) => Case::SwapInnerLeaf,
            };
            record(case, &after, told);
        }
    }
    most
}

#[test]
fn each_operation_tells_as_many_as_the_table_says() {
    for fan_out in FAN_OUTS {
        let mut table = Most::from([
            (Case::JoinFirst, 1),
            (Case::Join, 2),
            (Case::LeaveLast, 1),
            (Case::LeaveSibling, 2),
            (Case::LeaveLeaf, 3),
            (Case::LeaveInner, fan_out + 3),
            (Case::LeaveRoot, fan_out + 2),
            (Case::SwapParentChild, 2 * fan_out + 2),
            (Case::SwapSiblings, 2 * fan_out + 3),
            (Case::SwapInner, 2 * fan_out + 4),
            (Case::SwapInnerLeaf, fan_out + 4),
            (Case::SwapLeaves, 4),
        ]);
        if fan_out == 1 {
            // A chain has no siblings and one leaf.
            for absent in [Case::LeaveSibling, Case::LeaveLeaf, Case::SwapSiblings, Case::SwapLeaves] {
                table.remove(&absent);
            }
        }
        assert_eq!(most(fan_out, 0..=MEMBERS), table, "fan-out {fan_out}");
    }
}

#[test]
fn what_leaves_tell_does_not_depend_on_the_tree() {
    for fan_out in FAN_OUTS {
        for members in 2..=MEMBERS {
            let tree = grown(fan_out, members);
            let parents = parents(fan_out, members);
            for place in (1..members).filter(|place| !parents.contains(&Some(*place))) {
                let told = &mut vec![];
                assert!(tree.clone().leave(at(&tree, place), told));
                let sibling = parents[place] == parents[members - 1];
                let expected = if place == members - 1 { 1 } else { 3 - usize::from(sibling) };
                assert_eq!(told.len(), expected, "place {place} of {members}, fan-out {fan_out}");
            }
        }
    }
}

/// How many are told when a daemon takes the places of `lambdas`, and when it goes again; each once.
fn lodged(tree: &Tree, lambdas: &[usize]) -> (usize, usize) {
    let lambdas: Vec<MemberId> = lambdas.iter().map(|place| at(tree, *place)).collect();
    let before = assignments(tree);
    let mut with = tree.clone();
    let mut told = vec![];
    let daemon = with.replace(lambdas[0], &mut told).expect("stamps are left");
    assert!(lambdas[1..].iter().all(|lambda| with.move_in(*lambda, daemon, &mut told)));
    told.sort_unstable();
    told.dedup();
    // Who had a neighbour between two steps that it has no more may be told for nothing.
    assert!(differing(&before, &assignments(&with)).iter().all(|member| told.contains(member)));
    let (mut without, mut gone) = (with.clone(), vec![]);
    assert!(without.leave(daemon, &mut gone));
    assert_told(&assignments(&with), &assignments(&without), &gone);
    assert_eq!(without.len(), tree.len());
    (told.len(), gone.len())
}

#[test]
fn a_daemon_that_comes_or_goes_tells_as_many_as_the_table_says() {
    for fan_out in FAN_OUTS {
        for lambdas in 1..=3 {
            let mut most = (0, 0);
            for members in lambdas..=24 {
                let tree = grown(fan_out, members);
                for first in 0..members {
                    let others = (0..members).filter(|place| *place != first).take(lambdas - 1);
                    let near: Vec<usize> = std::iter::once(first).chain(others).collect();
                    let far: Vec<usize> = (0..lambdas).map(|nth| (first + nth * 7) % members).collect();
                    let distinct = far.iter().collect::<std::collections::BTreeSet<_>>().len() == lambdas;
                    for chosen in std::iter::once(near).chain(distinct.then_some(far)) {
                        let told = lodged(&tree, &chosen);
                        most = (most.0.max(told.0), most.1.max(told.1));
                    }
                }
            }
            // The first takes in the one in whose place it sits; each other one leaves a hole, and is told of its host.
            let others = lambdas - 1;
            let (comes, goes) = (fan_out + 3 + others * (fan_out + 4), fan_out + 2 + 2 * others);
            assert!(most.0 <= comes && most.1 <= goes, "fan-out {fan_out}, {lambdas} lambdas: {most:?}");
            assert!(others > 0 || most == (comes, goes), "fan-out {fan_out}: {most:?}");
        }
    }
}

#[test]
fn the_last_to_leave_tells_nobody() {
    let mut tree = grown(2, 1);
    let told = &mut vec![];
    assert!(tree.leave(at(&tree.clone(), 0), told));
    assert!(told.is_empty() && tree.is_empty() && tree.root().is_none());
}

#[test]
fn a_change_of_the_fan_out_tells_three_a_place_or_nobody() {
    for (old, new) in FAN_OUTS.flat_map(|old| FAN_OUTS.map(move |new| (old, new))) {
        for members in 0..=MEMBERS {
            let mut tree = grown(old, members);
            let target = FanOut(u32::try_from(new).expect("small"));
            assert_eq!(tree.reshape(target), old != new);
            if old == new || members == 0 {
                assert_eq!((tree.fan_out(), tree.reshapes_to()), (target, None));
                continue;
            }
            assert!(!tree.reshape(FanOut(9)), "one change at a time");
            let (by_old, by_new) = (parents(old, members), parents(new, members));
            let places: Vec<usize> =
                if new > old { (0..members).collect() } else { (0..members).rev().collect() };
            for (steps, place) in places.into_iter().enumerate() {
                let before = assignments(&tree);
                let mut told = vec![];
                assert_eq!(tree.reshape_step(&mut told), steps + 1 < members);
                assert_told(&before, &assignments(&tree), &told);
                let expected = if by_old[place] == by_new[place] { 0 } else { 3 };
                assert_eq!(told.len(), expected, "place {place} of {members}, from {old} to {new}");
            }
            assert!(!tree.reshape_step(&mut vec![]));
            assert_eq!((tree.fan_out(), tree.reshapes_to()), (target, None));
            let parent = |place| tree.parent(at(&tree, place)).map(|edge| edge.member);
            let expected = |place: usize| by_new[place].map(|above| at(&tree, above));
            assert!((0..members).all(|place| parent(place) == expected(place)));
        }
    }
}
