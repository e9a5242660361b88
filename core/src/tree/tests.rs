//! What only the inside of a tree shows: its memory, the end of the stamps, and that the rules see a fault.

use super::shape::Shape;
use super::{LinkId, Seat, Slot, Tree, rules};
use crate::ids::{ControllerEpoch, FanOut, MemberId, Place, Stamp};
use alloc::vec::Vec;

/// What is done to a tree, and whether it was done.
type Operation = fn(&mut Tree, &mut Vec<MemberId>) -> bool;
/// What breaks a tree.
type Fault = fn(&mut Tree);

fn grown(fan_out: u32, members: u32) -> Tree {
    let mut tree = Tree::new(ControllerEpoch(7), FanOut(fan_out));
    for _ in 0..members {
        tree.join(&mut Vec::new()).expect("stamps are left");
    }
    tree
}

fn at(tree: &Tree, place: u32) -> MemberId {
    tree.member(Place(place)).expect("the place is taken")
}

#[test]
fn a_member_takes_forty_bytes_and_room_to_grow() {
    assert_eq!((size_of::<Seat>(), size_of::<Slot>()), (24, 16));
    // One more than a power of two is where the vectors have the most room to spare.
    for members in [2, 3, 5, 9, 1_000, (1 << 16) + 1] {
        let tree = grown(8, members);
        let bytes = tree.seats.capacity() * size_of::<Seat>() + tree.slots.capacity() * size_of::<Slot>();
        let each = bytes.div_ceil(members as usize);
        assert!(each <= 80, "{each} bytes a member of {members}");
    }
}

#[test]
fn churn_takes_no_more_room() {
    let mut tree = grown(3, 50);
    for round in 0..1_000_u32 {
        let gone = at(&tree, round.wrapping_mul(7919) % 50);
        assert!(tree.leave(gone, &mut Vec::new()));
        let new = tree.join(&mut Vec::new()).expect("stamps are left");
        assert_eq!(new.slot, gone.slot);
        assert!(!tree.contains(gone) && tree.contains(new));
    }
    assert_eq!(tree.slots.len(), 50);
    assert!(rules::spanning(&tree));
}

#[test]
fn without_stamps_nothing_changes() {
    let mut tree = grown(2, 7);
    assert_eq!(tree.stamps_left(), u32::MAX - 13);
    tree.stamp.serial = u32::MAX;
    assert_eq!(tree.stamps_left(), 0);
    assert!(tree.reshape(FanOut(3)));
    // Places 0 to 2 hang the same way in both shapes, so these steps need no stamp.
    for _ in 0..3 {
        assert!(tree.reshape_step(&mut Vec::new()));
    }
    let before = tree.clone();
    let out = &mut Vec::new();
    assert_eq!(tree.stamp(), None);
    assert_eq!(tree.join(out), None);
    assert!(!tree.leave(at(&before, 0), out));
    assert!(!tree.swap(at(&before, 1), at(&before, 5), out));
    assert!(!tree.reshape_step(out));
    assert_eq!((&tree, out.len()), (&before, 0));
    // These need none.
    assert!(tree.swap(at(&before, 5), at(&before, 6), out));
    assert!(tree.leave(at(&before, 5), out));
    assert!(rules::spanning(&tree));
}

#[test]
fn one_stamp_too_few_changes_nothing() {
    let cases: [(&str, u32, Operation); 5] = [
        ("an id and a link to a host", 2, |tree, out| tree.lodge(at(tree, 3), out).is_some()),
        ("an id, a lodger, one above and two below", 5, |tree, out| tree.replace(at(tree, 1), out).is_some()),
        ("an id and a link", 2, |tree, out| tree.join(out).is_some()),
        ("two links below the root's filler", 2, |tree, out| tree.leave(at(tree, 0), out)),
        ("two above and two below", 4, |tree, out| tree.swap(at(tree, 1), at(tree, 6), out)),
    ];
    for (case, wanted, operation) in cases {
        for (left, done) in [(wanted - 1, false), (wanted, true)] {
            let mut tree = grown(2, 7);
            tree.stamp.serial = u32::MAX - left;
            let before = tree.clone();
            let out = &mut Vec::new();
            assert_eq!(operation(&mut tree, out), done, "{case}");
            assert_eq!((tree != before, out.is_empty()), (done, !done), "{case}");
        }
    }
}

#[test]
fn spanning_sees_what_is_broken() {
    let mut whole = grown(2, 6);
    let host = at(&whole, 1);
    assert!(whole.lodge(host, &mut Vec::new()).is_some() && whole.lodge(host, &mut Vec::new()).is_some());
    assert!(whole.leave(at(&whole, 4), &mut Vec::new()) && whole.leave(at(&whole, 2), &mut Vec::new()));
    assert!(rules::spanning(&whole));
    let faults: [(&str, Fault); 16] = [
        ("a lodger lost", |tree| _ = tree.lodgings.pop_first()),
        ("a lodger's link twice", |tree| {
            let link = tree.seats[1].link.expect("it is not the root");
            tree.lodgings.values_mut().for_each(|lodgers| lodgers[0].link = link);
        }),
        ("a host that nobody lodges with", |tree| {
            let root = at(tree, 0);
            tree.lodgings.insert(root, Vec::new());
        }),
        ("lodgers in another order", |tree| {
            tree.lodgings.values_mut().for_each(|lodgers| lodgers.reverse());
        }),
        ("two on one place", |tree| tree.seats[1] = tree.seats[2]),
        ("a seat lost", |tree| tree.seats.truncate(3)),
        ("a link twice", |tree| tree.seats[1].link = tree.seats[2].link),
        ("a link with a member's stamp", |tree| tree.seats[1].link = Some(LinkId(at(tree, 1).stamp))),
        ("no link", |tree| tree.seats[3].link = None),
        ("a link above the root", |tree| tree.seats[0].link = Some(LinkId(Stamp::default()))),
        ("a link of the future", |tree| tree.seats[1].link = tree.stamp.next().map(LinkId)),
        ("places exchanged in the seats alone", |tree| tree.seats.swap(1, 2)),
        ("a slot of nobody", |tree| tree.slots[0] = Slot::Free { next: None }),
        ("a free slot lost", |tree| tree.free = None),
        ("a taken slot that counts as free", |tree| tree.free = Some(0)),
        ("free slots in a circle", |tree| {
            let slot = tree.free.expect("two have left");
            tree.slots[slot as usize] = Slot::Free { next: Some(slot) };
        }),
    ];
    for (fault, inflict) in faults {
        let mut tree = whole.clone();
        inflict(&mut tree);
        assert!(!rules::spanning(&tree), "{fault}");
    }
}

#[test]
fn degree_and_depth_see_a_shape_that_is_broken() {
    let mut tree = grown(2, 20);
    assert!(rules::degree(&tree) && rules::depth(&tree));
    // The fan-outs the wrong way round: three below a place that may have two, and a tree that is too flat.
    tree.shape = Shape { wide: FanOut(2), narrow: FanOut(3), boundary: Place(3), target: FanOut(3) };
    assert!(!rules::degree(&tree) && !rules::depth(&tree));
    // And one that is too deep for a complete tree of three.
    tree.shape.boundary = Place(20);
    assert!(!rules::depth(&tree));
}

#[test]
fn members_are_seated_again_with_the_links_that_are_known() {
    let mut before = Tree::new(ControllerEpoch(1), FanOut(2));
    let members: Vec<MemberId> = (0..7).filter_map(|_| before.join(&mut Vec::new())).collect();
    assert!(before.leave(members[5], &mut Vec::new()));
    let seated: Vec<MemberId> = before.members().collect();
    let mut after = Tree::new(ControllerEpoch(2), FanOut(2));
    let known = |below: MemberId, above: MemberId| {
        before.parent(below).filter(|edge| edge.member == above && below != members[1]).map(|edge| edge.link)
    };
    assert!(after.restore(&seated, &[], known));
    assert!(rules::spanning(&after) && rules::degree(&after) && rules::depth(&after));
    for member in &seated {
        assert_eq!(after.place(*member), before.place(*member));
        let (old, new) = (before.parent(*member), after.parent(*member));
        assert_eq!(old == new, *member != members[1], "{member:?}");
    }
    // The slot of the one who had left is given again, and its id is above all others.
    let joined = after.join(&mut Vec::new()).unwrap();
    assert_eq!(joined.slot, members[5].slot);
    assert!(joined.stamp > before.stamp().unwrap());
    assert!(!after.restore(&seated, &[], |_, _| None), "somebody is there already");
}

#[test]
fn two_members_of_one_slot_and_a_link_that_is_used_twice_are_refused() {
    let member = |serial, slot| MemberId { stamp: Stamp { epoch: ControllerEpoch(1), serial }, slot };
    let mut tree = Tree::new(ControllerEpoch(2), FanOut(2));
    let empty = tree.clone();
    assert!(!tree.restore(&[member(1, 0), member(2, 0)], &[], |_, _| None));
    assert!(!tree.restore(&[member(1, 0)], &[(member(2, 0), member(1, 0))], |_, _| None));
    assert!(!tree.restore(&[member(1, 0)], &[(member(2, 1), member(3, 2))], |_, _| None), "no such host");
    assert_eq!(tree, empty);
    let link = LinkId(member(9, 0).stamp);
    assert!(tree.restore(&[member(1, 0), member(2, 1)], &[(member(3, 2), member(1, 0))], |_, _| Some(link)));
    assert!(rules::spanning(&tree), "one of the two got another link");
}

#[test]
fn lodgers_are_taken_in_again_with_the_links_that_are_known() {
    let mut before = grown(2, 3);
    let host = at(&before, 1);
    let lodgers: Vec<MemberId> = (0..2).filter_map(|_| before.lodge(host, &mut Vec::new())).collect();
    let seated: Vec<MemberId> = before.members().collect();
    let mut after = Tree::new(ControllerEpoch(8), FanOut(2));
    let known = |below: MemberId, above: MemberId| {
        before.uplink(below).filter(|edge| edge.member == above && below != lodgers[0]).map(|edge| edge.link)
    };
    let pairs = [(lodgers[1], host), (lodgers[0], host)];
    assert!(after.restore(&seated, &pairs, known) && rules::spanning(&after));
    assert!(after.everybody().eq(before.everybody()));
    for lodger in &lodgers {
        let (old, new) = (before.lodging(*lodger), after.lodging(*lodger));
        assert_eq!((old == new, new.map(|edge| edge.member)), (*lodger != lodgers[0], Some(host)));
    }
}
