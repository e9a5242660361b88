//! Faults: whom they concern, and what must be so before they can strike.
//!
//! The nearer to the root a member is, the likelier it is to be struck: in a large channel nearly all are leaves, of
//! which nobody depends. A verdict or a report can be wrong only while somebody waits for something; if nobody does,
//! something is broken first.

use cirrus_core::ids::{LinkId, MemberId, Place};
use cirrus_core::member::Phase;
use cirrus_core::{controller, direct, member};

use crate::simulator::Random;
use crate::zip::{Action, Address, Fault, Mesh, Pair, Timer};

/// How often an incident that finds nobody to concern is tried again.
pub(super) const TRIES: u32 = 8;

/// The fault as something that can happen now; or one that makes it possible, to be struck first.
pub(super) fn strike(mesh: &Mesh, fault: Fault, random: &mut Random) -> Option<Action> {
    match fault {
        Fault::Crash => Some(Action::Crash(member(mesh, random)?, random.below(2) == 0)),
        Fault::Stop => member(mesh, random).map(Action::Stop),
        Fault::Break => {
            let (link, kept) = (link(mesh, random)?, random.below(2) == 0);
            Some(Action::Break(link, kept))
        }
        Fault::Block => {
            let link = link(mesh, random)?;
            mesh.wires.get(&link).filter(|wire| !wire.relay).map(|_| Action::Block(link))
        }
        Fault::BreakControl => {
            let address = member(mesh, random)?;
            let process = mesh.live(address)?;
            // Who has not been welcomed yet has nothing by which to call again: for the channel it is dead.
            let known = process.machine.id.is_some();
            (known && !process.control.cut).then_some(Action::BreakControl(address))
        }
        Fault::BreakDirect => {
            let senders = (0..).zip(&mesh.processes).filter(|(_, process)| {
                let direct = process.direct.as_ref().filter(|direct| !direct.dialling && !direct.shut);
                process.listens() && direct.is_some()
            });
            let senders: Vec<Address> = senders.map(|(address, _)| address).collect();
            random.pick(&senders).map(|address| Action::BreakDirect(*address))
        }
        Fault::Suspect => {
            wrong(mesh, random, |timer| matches!(timer, Timer::Controller(controller::Timer::Probe(..))))
                .or_else(|| strike(mesh, Fault::Impatient, random))
        }
        Fault::Impatient => wrong(mesh, random, |timer| {
            matches!(
                timer,
                Timer::Member(_, member::Timer::Attach(_) | member::Timer::Submission(..))
                    | Timer::Beside(_, direct::Timer::Missing(_))
            )
        })
        .or_else(|| {
            strike(mesh, if random.below(2) == 0 { Fault::Break } else { Fault::BreakDirect }, random)
        }),
        Fault::Join => Some(Action::Join),
        Fault::Leave => {
            let address = member(mesh, random)?;
            (mesh.live(address)?.machine.phase == Phase::Seated).then_some(Action::Leave(address))
        }
        Fault::Expire => {
            let address = member(mesh, random)?;
            let known = mesh.live(address)?.machine.id.and_then(|member| mesh.controller.record(member))?;
            (!known.expiring).then_some(Action::Expire(address))
        }
        Fault::Reshape => Some(Action::Reshape),
        Fault::Hurry => {
            wrong(mesh, random, |timer| matches!(timer, Timer::Member(_, member::Timer::RoundDeadline(..))))
        }
        Fault::Restart => Some(Action::Restart),
        Fault::BreakPipe => {
            let pipes = mesh.pipes.iter().filter(|(_, pipe)| !pipe.dialling && !pipe.broken);
            let pipes: Vec<Pair> = pipes.map(|(pair, _)| *pair).collect();
            let kept = random.below(2) == 0;
            random.pick(&pipes).map(|pair| Action::BreakPipe(*pair, kept))
        }
        Fault::Pace | Fault::Fence | Fault::Repeat | Fault::Overtake => None, // Not of those that strike here.
        Fault::Daemon => daemon(mesh, random),
        Fault::Unanswered => unanswered(mesh, random).or_else(|| strike(mesh, Fault::BreakControl, random)),
        Fault::Overdue => overdue(mesh, random).or_else(|| strike(mesh, Fault::Leave, random)),
    }
}

/// A timer that fires though those whom it waits for live.
fn wrong(mesh: &Mesh, random: &mut Random, of_kind: fn(&Timer) -> bool) -> Option<Action> {
    let waits = |timer: &Timer| match timer {
        Timer::Controller(_) => true,
        Timer::Member(address, _) | Timer::Beside(address, _) => mesh.live(*address).is_some(),
    };
    let timers = mesh.timers.iter().filter(|timer| of_kind(timer) && waits(timer) && !mesh.is_due(**timer));
    let timers: Vec<Timer> = timers.copied().collect();
    random.pick(&timers).map(|timer| Action::Hasten(*timer))
}

/// A place, on each level of a binary tree as likely as on any other.
fn place(mesh: &Mesh, random: &mut Random) -> Place {
    let len = mesh.controller.tree.len();
    let levels = u64::from(u32::BITS - len.leading_zeros());
    let bound = 1_u64 << random.below(levels + 1);
    Place(u32::try_from(random.below(bound.min(len.into()))).unwrap_or(0))
}

/// Whoever has a place, or one of those who lodge with it.
fn anybody(mesh: &Mesh, random: &mut Random) -> Option<MemberId> {
    let member = mesh.controller.tree.member(place(mesh, random))?;
    let lodgers: Vec<MemberId> = mesh.controller.tree.lodgers(member).map(|edge| edge.member).collect();
    if lodgers.is_empty() || random.below(2) == 0 { Some(member) } else { random.pick(&lodgers).copied() }
}

/// The daemon of a machine on which somebody lives.
fn daemon(mesh: &Mesh, random: &mut Random) -> Option<Action> {
    let process = mesh.live(member(mesh, random)?)?;
    Some(Action::Daemon(process.machine.tenancy.machine()))
}

/// Somebody who lives.
fn member(mesh: &Mesh, random: &mut Random) -> Option<Address> {
    let member = anybody(mesh, random)?;
    let address = *mesh.seats.get(&member)?;
    mesh.live(address).map(|_| address)
}

/// A link that stands.
fn link(mesh: &Mesh, random: &mut Random) -> Option<LinkId> {
    let link = mesh.controller.tree.uplink(anybody(mesh, random)?)?.link;
    let wire = mesh.wires.get(&link)?;
    (!wire.dialling && !wire.broken).then_some(link)
}

/// Somebody who calls the controller finds nobody.
fn unanswered(mesh: &Mesh, random: &mut Random) -> Option<Action> {
    let calls = |process: &crate::zip::Process| process.listens() && process.calls_controller().is_some();
    let callers = (0..).zip(&mesh.processes).filter(|(_, process)| calls(process));
    let callers: Vec<Address> = callers.map(|(address, _)| address).collect();
    random.pick(&callers).map(|address| Action::Unanswered(*address))
}

/// Somebody who leaves is not done in time.
fn overdue(mesh: &Mesh, random: &mut Random) -> Option<Action> {
    wrong(mesh, random, |timer| matches!(timer, Timer::Member(_, member::Timer::Drain)))
}
