//! Messages between members: two or three of them, and faults.

pub(crate) mod alone;
mod witnesses;

use cirrus_core::bug::Bugs;
use cirrus_core::ids::{FanOut, Millis};
use cirrus_core::{direct, messages};

use super::World;
use super::pipes::{FENCED_CALLS, REPEATED, RESUMED, STANDS_STILL};
use crate::system::Witness;
use crate::zip::beside::messages::{self as talks, Deed, Talking};
use crate::zip::{Action, Address, Beside, Fault, Mesh, Plan, Setup, Zip};
use Deed::{Hear, Say};
use witnesses::*;

/// A small channel whose members exchange messages.
#[derive(Clone, Copy)]
struct Small {
    members: u32,
    script: &'static [(Address, Deed)],
    eager: bool,
    window: u32,
    messages: u32,
    faults: &'static [(Fault, u32)],
    mortal: &'static [Address],
    prompt_pipes: bool,
    prologue: fn(&Mesh) -> Option<Action>,
    witnesses: &'static [Witness<Mesh>],
}

/// One says something to the other, who says something back.
const PAIR: Small = Small {
    members: 2,
    script: &[(1, Say(0, 2)), (0, Hear(1)), (0, Say(1, 1)), (1, Hear(0))],
    eager: false,
    window: 1,
    messages: 2,
    faults: &[],
    mortal: &[],
    prompt_pipes: true,
    prologue: |_| None,
    witnesses: &[TALKED],
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
    let config = messages::Config { limits, talks_max: 4, messages_max: small.messages, pieces_max: 4 };
    let plan = talks::Plan { config, script: small.script.to_vec(), eager: small.eager };
    let setup = Setup {
        fan_out: FanOut(2),
        members: small.members,
        beside: Some(Plan::Messages(plan)),
        sends: Vec::new(),
        faults: small.faults.iter().copied().collect(),
        mortal: small.mortal.to_vec(),
        prompt_control: true,
        prompt_links: true,
        prompt_tree: true,
        prompt_notices: true,
        prompt_pipes: small.prompt_pipes,
        ..zip
    };
    Zip { setup, warm: true, prologue: small.prologue, steps_max: 150, witnesses: small.witnesses }
}

/// A channel in which nothing is left out, for a story.
#[cfg(test)]
pub(crate) fn story() -> Setup {
    let setup =
        system(&Small { script: &[], eager: true, prompt_pipes: false, ..PAIR }, Bugs::default()).setup;
    Setup { prompt_control: false, prompt_links: false, prompt_tree: false, ..setup }
}

/// Applications make their first call.
fn all_call(mesh: &Mesh) -> Option<Action> {
    let idle = |it: &Talking| it.done == 0;
    let all = (0..).zip(&mesh.processes);
    let mut idle = all.filter(|(_, it)| it.beside.as_ref().and_then(Beside::messages).is_some_and(idle));
    idle.next().map(|(address, _)| Action::Call(address))
}

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    [alone::worlds().into(), calm(), deaths(), changes(), restarts()]
        .into_iter()
        .flatten()
        .collect::<Vec<World>>()
}

/// Three messages at once, for one who takes its time.
const SEVERAL: &[(Address, Deed)] =
    &[(1, Say(0, 2)), (1, Say(0, 1)), (1, Say(0, 3)), (0, Hear(1)), (0, Hear(1)), (0, Hear(1))];

/// When all members stay.
fn calm() -> Vec<World> {
    vec![
        world!("message-calm", "a message, and one back", (61, 15), Small { prompt_pipes: false, ..PAIR }),
        world!(
            "message-several",
            "messages for one who takes its time",
            (245, 21),
            Small {
                script: SEVERAL,
                eager: true,
                messages: 3,
                witnesses: &[TALKED, EARLY, HELD_BACK],
                ..PAIR
            }
        ),
        world!(
            "message-breaks",
            "the connection breaks anywhere",
            (37_567, 38),
            Small {
                script: SEVERAL,
                eager: true,
                messages: 3,
                prompt_pipes: false,
                faults: &[(Fault::BreakPipe, 3)],
                witnesses: &[TALKED, RESUMED, HALF_BROKEN],
                ..PAIR
            }
        ),
        world!(
            "message-hostile",
            "things come twice and out of order, and connections break",
            (68_026, 23),
            Small {
                script: &[(1, Say(0, 3)), (0, Hear(1))],
                window: 2,
                faults: &[(Fault::Repeat, 2), (Fault::Overtake, 2), (Fault::BreakPipe, 1)],
                prologue: all_call,
                witnesses: &[TALKED, REPEATED, RESUMED],
                ..PAIR
            }
        ),
        world!(
            "message-silent",
            "one waits for another that is silent and then dies",
            (83, 12),
            Small {
                script: &[(0, Hear(1))],
                prompt_pipes: false,
                faults: &[(Fault::Crash, 1), (Fault::BreakPipe, 1)],
                mortal: &[1],
                witnesses: &[SILENT, TOLD_GONE],
                ..PAIR
            }
        ),
    ]
}

/// When members die, or are taken for dead.
fn deaths() -> Vec<World> {
    vec![
        world!(
            "message-sender",
            "a sender dies anywhere, or is declared dead",
            (17_444, 22),
            Small {
                members: 3,
                script: &[(1, Say(0, 2)), (2, Say(0, 1)), (0, Hear(1)), (0, Hear(2)), (0, Hear(1))],
                eager: true,
                window: 0,
                faults: &[(Fault::Crash, 1), (Fault::Fence, 1)],
                mortal: &[1],
                witnesses: &[TALKED, HALF_LOST, TOLD_GONE],
                ..PAIR
            }
        ),
        world!(
            "message-receiver",
            "a receiver dies anywhere, or is declared dead",
            (26_367, 23),
            Small {
                members: 3,
                script: &[(0, Say(1, 2)), (0, Say(2, 1)), (0, Say(1, 1)), (1, Hear(0)), (2, Hear(0))],
                eager: true,
                faults: &[(Fault::Crash, 1), (Fault::Fence, 1)],
                mortal: &[1],
                witnesses: &[TALKED, LOST, HAD_IT],
                ..PAIR
            }
        ),
        world!(
            "message-stopped",
            "one stands still, and its connections stand",
            (35_741, 27),
            Small {
                members: 3,
                script: &[
                    (1, Say(0, 2)),
                    (2, Say(0, 1)),
                    (0, Hear(1)),
                    (0, Hear(2)),
                    (0, Say(1, 2)),
                    (1, Hear(0))
                ],
                eager: true,
                faults: &[(Fault::Stop, 1)],
                mortal: &[1],
                witnesses: &[TALKED, STANDS_STILL, LOST, TOLD_GONE],
                ..PAIR
            }
        ),
        world!(
            "message-fenced",
            "one is declared dead and does not know it, and a connection breaks",
            (5_677, 24),
            Small {
                script: &[(1, Say(0, 1)), (1, Say(0, 1)), (0, Hear(1)), (0, Hear(1)), (0, Say(1, 1))],
                eager: true,
                prompt_pipes: false,
                faults: &[(Fault::Fence, 1), (Fault::BreakPipe, 1)],
                mortal: &[1],
                witnesses: &[TALKED, FENCED_CALLS, TOLD_GONE],
                ..PAIR
            }
        ),
    ]
}

/// When members come and go, and when the controller is out of reach.
fn changes() -> Vec<World> {
    vec![
        world!(
            "message-join",
            "somebody joins and speaks, and is spoken to",
            (14_211, 28),
            Small {
                script: &[
                    (1, Say(0, 1)),
                    (0, Hear(1)),
                    (2, Say(0, 1)),
                    (0, Hear(2)),
                    (1, Say(2, 1)),
                    (2, Hear(1)),
                ],
                prompt_pipes: false,
                faults: &[(Fault::Join, 1), (Fault::BreakControl, 1)],
                witnesses: &[TALKED, STRANGER],
                ..PAIR
            }
        ),
        world!(
            "message-leave",
            "somebody leaves",
            (373, 16),
            Small {
                script: &[(1, Say(0, 2)), (0, Hear(1)), (0, Say(1, 1)), (1, Hear(0))],
                eager: true,
                faults: &[(Fault::Leave, 1)],
                witnesses: &[TALKED, DRAINED, TOLD_GONE, LOST],
                ..PAIR
            }
        ),
        world!(
            "message-apart",
            "the controller is out of reach, and somebody reports in vain",
            (12_041, 23),
            Small {
                prompt_pipes: false,
                faults: &[(Fault::BreakControl, 1), (Fault::Impatient, 1), (Fault::BreakPipe, 1)],
                witnesses: &[TALKED, ASKED_IN_VAIN],
                ..PAIR
            }
        ),
    ]
}

/// When the controller dies and is started again.
fn restarts() -> Vec<World> {
    vec![
        world!(
            "message-restart",
            "the controller is started again, and somebody dies",
            (37_043, 24),
            Small {
                members: 3,
                script: &[(1, Say(0, 1)), (0, Hear(1)), (0, Hear(2)), (2, Say(1, 1))],
                faults: &[(Fault::Restart, 1), (Fault::Crash, 1)],
                mortal: &[1],
                witnesses: &[TALKED, ASKED_A_NEW_ONE, TOLD_GONE],
                ..PAIR
            }
        ),
        world!(
            "message-forgotten",
            "one is declared dead, and the controller that did it is started again",
            (1_208, 21),
            Small {
                script: &[(1, Say(0, 1)), (1, Say(0, 1)), (0, Hear(1)), (0, Hear(1)), (0, Say(1, 1))],
                faults: &[(Fault::Restart, 1), (Fault::Fence, 1)],
                mortal: &[1],
                witnesses: &[TALKED, TOLD_GONE, REFUSED],
                ..PAIR
            }
        ),
    ]
}
