//! Channels: a controller and a few members, with broadcasts or reduces, and faults.

mod alone;
mod broadcast;
mod chain;
mod daemon;
mod deadline;
mod deep;
mod handled;
mod recovery;
mod reduce;
mod witnesses;

use cirrus_core::bug::Bugs;
use cirrus_core::controller;
use cirrus_core::ids::{FanOut, Millis};
use cirrus_core::member::{self, Deadline, Kind};

use super::World;
use crate::system::Witness;
use crate::zip::{Action, Address, Fault, Mesh, Setup, Zip};

/// A small channel.
#[derive(Clone, Copy)]
struct Small {
    kind: Kind,
    members: u32,
    /// On which machine they are; each on its own, if none is named.
    machines: &'static [u64],
    /// Machines that have daemons, which have joined after them.
    daemons: &'static [u64],
    fan_out: u32,
    /// Who sends, how many pieces.
    sends: &'static [(Address, u32)],
    window: u32,
    /// Rounds that are kept for an application.
    buffer: u32,
    /// Attempts at a reduce that may come to nothing.
    attempts: u32,
    /// A reduce fails when one is missing.
    strict: bool,
    /// How many of the missing are named.
    named: u32,
    /// A reduce has a deadline, by which so many are enough.
    quorum: Option<u32>,
    /// Who handles results: one after the other, or nobody in particular when it is empty.
    handlers: &'static [Address],
    faults: &'static [(Fault, u32)],
    /// Its members are in when it begins.
    warm: bool,
    /// What happens before it begins.
    prologue: fn(&Mesh) -> Option<Action>,
    /// Who may die; everybody when it is empty.
    mortal: &'static [Address],
    /// The controller's words arrive at once.
    prompt_control: bool,
    /// Connections are made at once.
    prompt_links: bool,
    witnesses: &'static [Witness<Mesh>],
}

/// Three members, two of them leaves.
const SMALL: Small = Small {
    kind: Kind::Broadcast,
    members: 3,
    machines: &[],
    daemons: &[],
    fan_out: 2,
    sends: &[],
    window: 1,
    buffer: 1,
    attempts: 4,
    strict: false,
    named: 4,
    quorum: None,
    handlers: &[],
    faults: &[],
    warm: true,
    prologue: |_| None,
    mortal: &[],
    prompt_control: false,
    prompt_links: false,
    witnesses: &[],
};

fn system(small: &Small, bugs: Bugs) -> Zip {
    let setup = Setup {
        controller: controller::Config {
            members_max: 8,
            probe: Millis(1000),
            reconnect: Millis(100),
            one_receiver: !small.handlers.is_empty(),
            departed_max: if small.kind.reduces() { small.named } else { 0 },
            scan: 4,
            reshape: Millis(10),
            chain_max: 4,
            recovery: Millis(5000),
            bugs,
        },
        member: member::Config {
            kind: small.kind,
            attempts_max: small.attempts,
            strict: small.strict,
            missing_max: small.named,
            deadline: small.quorum.map(|quorum| Deadline { after: Millis(1000), quorum }),
            handler: Millis(1000),
            window: small.window,
            buffer: small.buffer,
            senders_max: 4,
            attach: Millis(1000),
            redial: Millis(100),
            submission: Millis(1000),
            recontact: Millis(100),
            recontact_max: Millis(400),
            drain: Millis(1000),
            bugs,
        },
        fan_out: FanOut(small.fan_out),
        members: small.members,
        machines: small.machines.to_vec(),
        daemons: small.daemons.to_vec(),
        wanted: 8,
        sends: small.sends.to_vec(),
        handlers: small.handlers.to_vec(),
        beside: None,
        everybody: None,
        faults: small.faults.iter().copied().collect(),
        mortal: small.mortal.to_vec(),
        prompt_control: small.prompt_control,
        prompt_links: small.prompt_links,
        prompt_tree: false,
        prompt_notices: false,
        prompt_pipes: false,
    };
    Zip { setup, warm: small.warm, prologue: small.prologue, steps_max: 150, witnesses: small.witnesses }
}

/// A channel in which nothing goes wrong.
pub(crate) fn calm(bugs: Bugs) -> Zip {
    system(&broadcast::CALM, bugs)
}

/// A channel of reduces in which nothing goes wrong; so many values are enough by a deadline, if there is one.
#[cfg(test)]
pub(crate) fn summing(quorum: Option<u32>) -> Setup {
    system(&Small { quorum, ..reduce::SUM }, Bugs::default()).setup
}

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    [
        broadcast::worlds(),
        alone::worlds(),
        chain::worlds(),
        daemon::worlds(),
        recovery::worlds(),
        reduce::worlds(),
        deadline::worlds(),
        handled::worlds(),
        deep::worlds(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
