//! Channels that shuffle: two or three members, records, and faults.

pub(crate) mod alone;
mod witnesses;

use cirrus_core::bug::Bugs;
use cirrus_core::channel::Role;
use cirrus_core::ids::{FanOut, Millis};
use cirrus_core::member::Kind;
use cirrus_core::{direct, member, shuffle};

use super::World;
use super::pipes::{FENCED_CALLS, REPEATED, RESUMED, STANDS_STILL};
use crate::system::Witness;
use crate::zip::beside::shuffles::{self, Shuffling};
use crate::zip::{Action, Address, Fault, Mesh, Plan, Setup, Zip};
use witnesses::*;

/// A small channel that shuffles.
#[derive(Clone, Copy)]
struct Small {
    roles: &'static [Role],
    joins_as: Role,
    rounds: u64,
    pieces: u32,
    window: u32,
    slow: &'static [Address],
    faults: &'static [(Fault, u32)],
    mortal: &'static [Address],
    prompt_notices: bool,
    prompt_pipes: bool,
    prologue: fn(&Mesh) -> Option<Action>,
    witnesses: &'static [Witness<Mesh>],
}

/// A sender and a receiver, who is the root.
const PAIR: Small = Small {
    roles: &[Role::Receiver, Role::Sender],
    joins_as: Role::Both,
    rounds: 1,
    pieces: 2,
    window: 2,
    slow: &[],
    faults: &[],
    mortal: &[],
    prompt_notices: true,
    prompt_pipes: true,
    prologue: |_| None,
    witnesses: &[],
};

fn system(small: &Small, bugs: Bugs) -> Zip {
    // The tree below is an ordinary one, and what goes over it arrives at once.
    let zip = super::zip::calm(bugs).setup;
    let limits = direct::Limits {
        window: small.window,
        strangers_max: 4,
        redial: Millis(100),
        missing: Millis(1000),
        bugs,
    };
    let plan = shuffles::Plan {
        config: shuffle::Config { limits, rosters_max: 2 },
        roles: small.roles.to_vec(),
        joins_as: small.joins_as,
        rounds: small.rounds,
        follows: false,
        pieces: small.pieces,
        slow: small.slow.to_vec(),
    };
    let setup = Setup {
        member: member::Config { kind: Kind::Broadcast, window: 1, ..zip.member },
        fan_out: FanOut(2),
        members: u32::try_from(small.roles.len()).unwrap_or(u32::MAX),
        beside: Some(Plan::Shuffles(plan)),
        sends: Vec::new(),
        faults: small.faults.iter().copied().collect(),
        mortal: small.mortal.to_vec(),
        prompt_control: true,
        prompt_links: true,
        prompt_tree: true,
        prompt_notices: small.prompt_notices,
        prompt_pipes: small.prompt_pipes,
        ..zip
    };
    Zip { setup, warm: true, prologue: small.prologue, steps_max: 150, witnesses: small.witnesses }
}

/// A channel in which nothing is left out, for a story.
#[cfg(test)]
pub(crate) fn story(roles: &'static [Role]) -> Zip {
    let small = Small { roles, prompt_pipes: false, prompt_notices: false, ..PAIR };
    system(&small, Bugs::default())
}

/// The application of whoever is in and has not called calls, until all have.
fn all_call(mesh: &Mesh) -> Option<Action> {
    let idle = |it: &Shuffling| !it.machine.called && it.begun.round.0 == 0;
    let all = (0..).zip(&mesh.processes);
    let mut idle = all.filter(|(_, it)| it.beside.as_ref().and_then(|it| it.shuffles()).is_some_and(idle));
    idle.next().map(|(address, _)| Action::Call(address))
}

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    [alone::worlds().into(), calm(), deaths(), standstill(), changes()]
        .into_iter()
        .flatten()
        .collect::<Vec<World>>()
}

/// When all members stay.
fn calm() -> Vec<World> {
    vec![
        world!(
            "shuffle-calm",
            "one who sends and receives, one who receives, two rounds",
            (329, 27),
            Small {
                roles: &[Role::Both, Role::Receiver],
                rounds: 2,
                pieces: 1,
                prompt_notices: false,
                witnesses: &[COMPLETE, EARLY],
                ..PAIR
            }
        ),
        world!(
            "shuffle-breaks",
            "the connection breaks anywhere",
            (525, 26),
            Small {
                pieces: 3,
                prompt_pipes: false,
                faults: &[(Fault::BreakPipe, 3)],
                prologue: all_call,
                witnesses: &[COMPLETE, RESUMED, MARK_LOST, MARK_AGAIN],
                ..PAIR
            }
        ),
        world!(
            "shuffle-slow",
            "a receiver takes one piece at a time",
            (399, 26),
            Small {
                roles: &[Role::Receiver, Role::Sender, Role::Sender],
                pieces: 3,
                window: 1,
                slow: &[0],
                prologue: all_call,
                witnesses: &[COMPLETE, HELD_BACK],
                ..PAIR
            }
        ),
        world!(
            "shuffle-hostile",
            "things come twice and out of order, and connections break",
            (38_477, 24),
            Small {
                pieces: 3,
                window: 3,
                faults: &[(Fault::Repeat, 2), (Fault::Overtake, 2), (Fault::BreakPipe, 1)],
                prologue: all_call,
                witnesses: &[COMPLETE, REPEATED, RESUMED],
                ..PAIR
            }
        ),
    ]
}

/// When members die, or are taken for dead.
fn deaths() -> Vec<World> {
    vec![
        world!(
            "shuffle-sender",
            "a sender dies anywhere, or is declared dead",
            (1_738, 19),
            Small {
                roles: &[Role::Receiver, Role::Sender, Role::Sender],
                faults: &[(Fault::Crash, 1), (Fault::Fence, 1)],
                mortal: &[1],
                prologue: all_call,
                witnesses: &[COMPLETE, HALF_LOST, DEAD_COUNTS],
                ..PAIR
            }
        ),
        world!(
            "shuffle-fenced",
            "a sender is declared dead and does not know it, and a connection breaks",
            (900, 20),
            Small {
                slow: &[0],
                prompt_pipes: false,
                faults: &[(Fault::Fence, 1), (Fault::BreakPipe, 1)],
                mortal: &[1],
                prologue: all_call,
                witnesses: &[COMPLETE, FENCED_KEPT, FENCED_CALLS],
                ..PAIR
            }
        ),
        world!(
            "shuffle-receiver",
            "a receiver dies anywhere, or is declared dead",
            (2_565, 26),
            Small {
                roles: &[Role::Receiver, Role::Receiver, Role::Sender],
                window: 1,
                slow: &[1],
                faults: &[(Fault::Crash, 1), (Fault::Fence, 1)],
                mortal: &[1],
                witnesses: &[COMPLETE, RECEIVER_LOST, TAKEN_AND_LOST],
                ..PAIR
            }
        ),
        world!(
            "shuffle-root",
            "the root dies anywhere, or is declared dead, in two rounds",
            (24_362, 37),
            Small {
                roles: &[Role::Sender, Role::Receiver, Role::Sender],
                rounds: 2,
                pieces: 1,
                faults: &[(Fault::Crash, 1), (Fault::Fence, 1)],
                mortal: &[0],
                prompt_notices: false,
                witnesses: &[COMPLETE, RECONVENED, EARLY_LOST],
                ..PAIR
            }
        ),
    ]
}

/// When one does nothing any more, and its connections stand.
fn standstill() -> Vec<World> {
    vec![world!(
        "shuffle-stopped",
        "one stands still, and its connections stand",
        (115_185, 28),
        Small {
            roles: &[Role::Receiver, Role::Both, Role::Sender],
            pieces: 1,
            window: 1,
            faults: &[(Fault::Stop, 1)],
            mortal: &[1],
            prologue: all_call,
            witnesses: &[COMPLETE, STANDS_STILL, HALF_LOST, RECEIVER_LOST],
            ..PAIR
        }
    )]
}

/// When members come and go, and when the controller is out of reach.
fn changes() -> Vec<World> {
    vec![
        world!(
            "shuffle-join",
            "somebody joins between two rounds, or in one",
            (21_199, 50),
            Small {
                rounds: 2,
                pieces: 1,
                faults: &[(Fault::Join, 1)],
                prompt_notices: false,
                witnesses: &[COMPLETE, OUTSIDER, JOINED],
                ..PAIR
            }
        ),
        world!(
            "shuffle-leave",
            "somebody leaves",
            (25_843, 45),
            Small {
                roles: &[Role::Both, Role::Both],
                rounds: 2,
                pieces: 1,
                faults: &[(Fault::Leave, 1)],
                witnesses: &[COMPLETE, DRAINED],
                ..PAIR
            }
        ),
        world!(
            "shuffle-apart",
            "the controller is out of reach, and somebody reports in vain",
            (3_288, 23),
            Small {
                rounds: 2,
                pieces: 1,
                prompt_pipes: false,
                faults: &[(Fault::BreakControl, 1), (Fault::Impatient, 1), (Fault::BreakPipe, 1)],
                witnesses: &[COMPLETE, ASKED_AGAIN],
                ..PAIR
            }
        ),
    ]
}
