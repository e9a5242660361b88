//! What only a whole channel shows of reduces: R1 to R3.

use cirrus_core::channel::{Census, Head};
use cirrus_core::ids::{ControllerEpoch, MemberId};
use cirrus_core::member::Reduction;
use cirrus_core::rule::Verdict;

use super::super::{Address, Fault, Mesh, Piece, Process, Setup};
use super::{Check, Rule, delivered, rule};

/// Every member's value is in a result once.
pub const COMBINED_ONCE: Rule =
    rule("R1", "a value is combined once, and named", Check::Delivery(combined_once));
/// A member's k-th value is for the k-th round that it is in.
pub const CALLED: Rule = rule("R1", "a value is in the round that it was given to", Check::Delivery(called));
/// Who is missing is named.
pub const NAMED: Rule = rule("R1", "who has departed is named", Check::Delivery(named));
/// A member is told what all see.
pub const TOLD: Rule = rule("R1", "what a member is told of a reduce is true", Check::Quiet(told));
/// Who stays is in the result.
pub const COMPLETE: Rule = rule("R2", "who stays is in the result", Check::Delivery(complete));
/// Without the late there are enough.
pub const QUORUM: Rule = rule("R2", "a result without the late holds enough", Check::Delivery(quorum));
/// Nobody is missing from a strict one.
pub const STRICT: Rule = rule("R2", "a strict result lacks nobody", Check::Delivery(strict));
/// Values are combined in the order of a walk over the tree.
pub const ORDERED: Rule = rule("R3", "values are combined in pre-order", Check::Delivery(ordered));

/// Who handles results has all that there are.
pub const HANDLED: Rule = rule("R1", "who handles results has what all know of", Check::Quiet(handled));

fn handled(setup: &Setup, mesh: &Mesh) -> Verdict {
    if !setup.member.kind.is_handled() {
        return Verdict::Idle;
    }
    let Ok(rounds) = delivered(mesh, |_| true) else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for (member, process) in mesh.applications().filter(|(_, process)| process.machine.role.receives()) {
        let results = rounds.iter().filter(|(_, (head, whole))| *whole && member.stamp <= head.cut);
        for (round, _) in results {
            if !process.results.contains(round) {
                return Verdict::Broken("all know of a result that its handler does not have");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

fn combined_once(_: &Setup, mesh: &Mesh, _: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let (Some(seal), Some(pieces)) = (&head.sealed, pieces) else { return Verdict::Idle };
    for (index, piece) in (0..).zip(pieces) {
        let mut seen = vec![false; mesh.processes.len()];
        let (mut census, mut once) = (Census::default(), true);
        for (address, _) in piece.values() {
            // Of nobody: pieces of different places were combined.
            let Some(process) = mesh.processes.get(address as usize) else {
                once = false;
                break;
            };
            once &= !std::mem::replace(&mut seen[address as usize], true);
            census = process.machine.id.map_or(census, |member| census.plus(Census::of(member)));
        }
        if census != seal.census || !once || piece.index != index {
            return Verdict::Broken("a piece of a result holds other values than it says");
        }
    }
    Verdict::Holds
}

fn called(_: &Setup, _: &Mesh, process: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let (Some(_), Some(pieces)) = (&head.sealed, pieces) else { return Verdict::Idle };
    // It has delivered every round that it was in before, and maybe a result that was kept for it.
    let me = process.machine.id.map(|member| member.stamp);
    // Who is counted stays so: those before it came are all at the beginning. There may be tens of thousands.
    let before = process.delivered.partition_point(|(head, _)| me > Some(head.cut));
    let place = process.delivered.len() - before + 1;
    let own = pieces.iter().flat_map(Piece::values);
    let own = own.filter(|(address, _)| *address == process.machine.address);
    let mut verdict = Verdict::Idle;
    for (_, sequence) in own {
        if sequence.0 as usize != place {
            return Verdict::Broken("a value is in another round than the one that it was given to");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

/// Whose values are in a result, in each piece of it.
struct Inside {
    /// By address: in how many pieces.
    counts: Vec<usize>,
    /// How many there are.
    pieces: usize,
}

impl Inside {
    fn of(mesh: &Mesh, pieces: Option<&[Piece]>) -> Self {
        let pieces = pieces.unwrap_or_default();
        let mut counts = vec![0; mesh.processes.len()];
        for (address, _) in pieces.iter().flat_map(Piece::values) {
            if let Some(count) = counts.get_mut(address as usize) {
                *count += 1;
            }
        }
        Self { counts, pieces: pieces.len() }
    }

    /// Whether those of this process are.
    fn holds(&self, address: Address) -> bool {
        self.pieces > 0 && self.counts.get(address as usize) == Some(&self.pieces)
    }

    /// Whether those of this member are.
    fn has(&self, mesh: &Mesh, member: MemberId) -> bool {
        mesh.seats.get(&member).is_some_and(|address| self.holds(*address))
    }
}

/// Those who were counted for a round and have departed, with whether an earlier round has named them. `None` for who
/// cannot know: one that was not in all rounds before.
fn gone(setup: &Setup, mesh: &Mesh, process: &Process, head: &Head) -> Option<Vec<(MemberId, bool)>> {
    let before = &process.delivered;
    // A restarted controller has forgotten who departed before: who is missing is then counted at best, not named.
    if mesh.controller.tree.epoch() > ControllerEpoch(1) {
        return None;
    }
    // A channel that all had left begins anew.
    let first = before.first().map_or(head, |(first, _)| first);
    if setup.members == 0 && first.id.term.0.serial > 2 {
        return None;
    }
    if first.id.round.0 != 1 {
        return None;
    }
    if mesh.seats.len() == mesh.controller.tree.len() as usize {
        return Some(Vec::new()); // All who ever came are there.
    }
    // Who was in the round before was counted for this one, unless it was named. In the first round all are, if nobody
    // came meanwhile.
    let joined = mesh.budget.get(&Fault::Join) != setup.faults.get(&Fault::Join) || setup.members == 0;
    let until = match before.last() {
        Some((last, _)) => last.cut,
        None if joined => return None,
        None => head.cut,
    };
    let missing = || before.iter().filter_map(|(head, _)| Some(&head.sealed.as_ref()?.missing));
    let earlier = |member| missing().any(|missing| missing.more > 0 || missing.departed.contains(&member));
    let gone = mesh.seats.keys().filter(|it| it.stamp <= until && !mesh.controller.tree.contains(**it));
    // Who came and went between two rounds was not counted; one that has had a round was.
    let counted = |member: &MemberId| {
        setup.members > 0 || mesh.of(*member).is_some_and(|process| !process.delivered.is_empty())
    };
    let gone = gone.filter(|member| counted(member) && !mesh.is_daemon(**member));
    Some(gone.map(|member| (*member, earlier(*member))).collect())
}

fn named(setup: &Setup, mesh: &Mesh, process: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let Some(seal) = &head.sealed else { return Verdict::Idle };
    let inside = Inside::of(mesh, pieces);
    for member in &seal.missing.departed {
        if mesh.is_daemon(*member) {
            return Verdict::Broken("a daemon is named as missing, which had no value");
        }
        let there = mesh.controller.tree.contains(*member) && !mesh.forgotten.contains(member);
        if there || inside.has(mesh, *member) {
            return Verdict::Broken("one is named as departed that is there, or in the result");
        }
    }
    if seal.missing.departed.len() > setup.member.missing_max as usize {
        return Verdict::Broken("a head names more than it may");
    }
    let Some(gone) = gone(setup, mesh, process, head) else { return Verdict::Idle };
    let more = seal.missing.more > 0;
    let mut verdict = Verdict::Idle;
    for (member, earlier) in gone {
        let here = seal.missing.departed.contains(&member);
        // A root that came after the round which named it may name it again, if the controller was not told of that.
        let same = process.delivered.iter().filter(|(before, _)| before.id.term == head.id.term);
        let before = same.filter_map(|(head, _)| head.sealed.as_ref());
        let twice = before.into_iter().any(|seal| seal.missing.departed.contains(&member));
        // One whose death was forgotten may die twice.
        if here && twice && !more && !mesh.forgotten.contains(&member) {
            return Verdict::Broken("one who has departed is named twice");
        }
        let late = seal.missing.late.contains(&member); // It has departed since.
        // Whose values would have been in a result that there is not, nobody knows.
        if pieces.is_some() && !here && !earlier && !more && !late && !inside.has(mesh, member) {
            return Verdict::Broken("one who has departed is neither in a result nor named");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn quorum(setup: &Setup, _: &Mesh, _: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let Some(seal) = head.sealed.as_ref().filter(|seal| !seal.missing.late.is_empty() && pieces.is_some())
    else {
        return Verdict::Idle;
    };
    let enough = setup.member.deadline.is_some_and(|deadline| seal.census.count >= deadline.quorum);
    Verdict::from_bool(enough, "a result without the late holds fewer values than it must")
}

fn strict(setup: &Setup, mesh: &Mesh, process: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let (Some(seal), Some(_), true) = (&head.sealed, pieces, setup.member.strict) else {
        return Verdict::Idle;
    };
    let gone = gone(setup, mesh, process, head).unwrap_or_default();
    let inside = Inside::of(mesh, pieces);
    // One that was late has departed since.
    let late = |member| seal.missing.late.contains(member);
    let lacks = gone.iter().any(|(member, earlier)| !earlier && !late(member) && !inside.has(mesh, *member));
    Verdict::from_bool(
        !seal.missing.lacks_departed() && !lacks,
        "a strict reduce has a result that lacks one",
    )
}

fn complete(_: &Setup, mesh: &Mesh, _: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let (Some(seal), Some(_)) = (&head.sealed, pieces) else { return Verdict::Idle };
    if seal.missing.late.iter().any(|member| mesh.is_daemon(*member)) {
        return Verdict::Broken("a daemon is late, which has no value");
    }
    let inside = Inside::of(mesh, pieces);
    let late = &seal.missing.late;
    let counted = |member: MemberId| member.stamp <= head.cut && !mesh.forgotten.contains(&member);
    let stays = |member: MemberId, address: Address| {
        let live = mesh.controller.tree.contains(member).then(|| mesh.live(address)).flatten();
        live.is_some_and(|it| !it.is_daemon()) && counted(member)
    };
    // It is in it, or named as late, and not both. Most are in it, and are not looked at: rules come here often.
    let mut others = mesh.seats.iter().filter(|(_, address)| !inside.holds(**address));
    let lacks = others.any(|(member, address)| stays(*member, *address) && !late.contains(member));
    let mut late = late.iter().filter_map(|member| Some((*member, *mesh.seats.get(member)?)));
    let twice = late.any(|(member, address)| stays(member, address) && inside.holds(address));
    let all = !lacks && !twice;
    Verdict::from_bool(all, "a member that stays is neither in a result nor late")
}

fn ordered(setup: &Setup, mesh: &Mesh, _: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    // Once somebody has moved, the walk is another one than when the values were combined.
    let all = mesh.seats.len() == mesh.controller.tree.everybody().count();
    let calm = mesh
        .budget
        .iter()
        .all(|(fault, left)| *fault == Fault::Hurry || setup.faults.get(fault) == Some(left));
    let (Some(seal), Some(pieces)) = (&head.sealed, pieces.filter(|_| calm && all)) else {
        return Verdict::Idle;
    };
    let mut walk = Vec::new();
    let mut next: Vec<MemberId> = mesh.controller.tree.root().into_iter().collect();
    while let Some(member) = next.pop() {
        walk.extend(mesh.seats.get(&member).filter(|_| !mesh.is_daemon(member)).copied());
        let tree = &mesh.controller.tree;
        let children: Vec<MemberId> = tree.children(member).map(|edge| edge.member).collect();
        next.extend(children.into_iter().rev());
        // A daemon's lambdas come before what is below it in the tree.
        let mut lodgers: Vec<MemberId> = tree.lodgers(member).map(|edge| edge.member).collect();
        lodgers.sort_unstable_by_key(|lodger| lodger.slot);
        next.extend(lodgers.into_iter().rev());
    }
    let late = seal.missing.late.iter().filter_map(|member| mesh.seats.get(member));
    let late: Vec<_> = late.collect();
    walk.retain(|address| !late.contains(&address));
    let same = |piece: &Piece| piece.values().map(|(address, _)| address).eq(walk.iter().copied());
    Verdict::from_bool(pieces.iter().all(same), "values were combined in another order than that of a walk")
}

fn told(_: &Setup, mesh: &Mesh) -> Verdict {
    let Ok(rounds) = delivered(mesh, |_| true) else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for (_, process) in mesh.staying() {
        for (round, outcome) in &process.reduced {
            let seal = rounds.get(round).and_then(|(head, whole)| Some((head.sealed.as_ref()?, *whole)));
            let kept = match (outcome, seal) {
                (Reduction::Sealed(missing), Some((seal, whole))) => {
                    let late = process.machine.id.is_some_and(|me| missing.late.contains(&me));
                    whole && seal.failure.is_none() && *missing == seal.missing && !late
                }
                (Reduction::Failed(failure, missing), Some((seal, whole))) => {
                    !whole && seal.failure == Some(*failure) && *missing == seal.missing
                }
                (Reduction::Late, known) => known.is_some(),
                (Reduction::Indeterminate, _) => continue,
                (Reduction::Sealed(_) | Reduction::Failed(..), None) => false,
            };
            if !kept {
                return Verdict::Broken("a member was told something else of a reduce than happened");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}
