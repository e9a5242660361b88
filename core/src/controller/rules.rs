//! What a channel promises on the controller's side, as rules: T1 to T5, M2 and M3; M4 is in [`recovery`].

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::machines::rules as machines;
use super::pacing::rules as pacing;
use super::{Channel, Config, Effect, Event, Record, Timer, handler, recovery};
use crate::channel::{Census, Present, ToController, ToMember};
use crate::ids::{LinkId, MemberId};
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};
use crate::tree;

/// The members form one tree.
pub const SPANNING: RuleName = RuleName { promise: "T1", name: "the members form one tree" };
/// Nobody has more children than the fan-out allows.
pub const DEGREE: RuleName = RuleName { promise: "T2", name: "no member has too many children" };
/// The tree is as flat as its fan-out allows.
pub const DEPTH: RuleName = RuleName { promise: "T3", name: "the tree is as flat as it can be" };
/// A change is told to a few.
pub const LOCAL: RuleName = RuleName { promise: "T4", name: "a change is told to a few" };
/// A change is told to all whom it concerns.
pub const TOLD: RuleName = RuleName { promise: "T5", name: "whom a change concerns is told of it" };
/// A new root has a new term.
pub const TERM_NEW: RuleName = RuleName { promise: "B2", name: "a new root begins a new term" };
/// The root knows who is counted.
pub const ROSTER_EXACT: RuleName = RuleName { promise: "B2", name: "the roster is who is there" };
/// Who is no member changes nothing.
pub const STRANGERS_UNHEARD: RuleName = RuleName { promise: "M2", name: "who is fenced changes nothing" };
/// Who is declared dead is told.
pub const FENCED_TOLD: RuleName = RuleName { promise: "M2", name: "who is fenced is told" };
/// Who nears its end has nobody below it.
pub const MOVED_DOWN: RuleName = RuleName { promise: "T7", name: "who nears its end is moved to a leaf" };
/// A hole with children is filled by one who will stay.
pub const FILLER_SOUND: RuleName = RuleName { promise: "T7", name: "who fills a hole is not about to go" };
/// Only silence is death.
pub const ONLY_SILENCE: RuleName = RuleName { promise: "M3", name: "who answers is not declared dead" };
/// Who has lost its connection has so long as a call takes, and who calls may take its time again.
pub const RECONNECTS: RuleName =
    RuleName { promise: "M3", name: "who is cut off may call again, and then answer" };
/// Who lives and cannot be reached directly is reached by relay.
pub const RELAYED: RuleName = RuleName { promise: "M3", name: "two who live get a relay if they need one" };
/// A relay is not given again.
pub const RELAYED_ONCE: RuleName = RuleName { promise: "M3", name: "a relay is given at most once a pair" };
/// The roll names everybody.
pub const ROLL_EXACT: RuleName = RuleName { promise: "S1", name: "the roll is who is there" };
/// Who is missed is probed, or gone.
pub const ROLL_CHECKED: RuleName =
    RuleName { promise: "M3", name: "who asks whether the membership has changed is told if it has" };
/// Who misses a member gets a verdict.
pub const MISSED_ANSWERED: RuleName = RuleName { promise: "M3", name: "who misses a member gets a verdict" };

impl<A: Clone + Debug + Eq + Hash + 'static> Ruled for Channel<A> {
    const RULES: &'static [Rule<Self>] = &[
        Rule { name: SPANNING, check: spanning },
        Rule { name: DEGREE, check: degree },
        Rule { name: DEPTH, check: depth },
        Rule { name: ROSTER_EXACT, check: roster_exact },
        Rule { name: machines::ONE_DAEMON, check: machines::one_daemon },
        Rule { name: machines::LODGED, check: machines::lodged },
        Rule { name: handler::ONE_HANDLER, check: handler::one_handler_rule },
    ];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: LOCAL, check: local },
        StepRule { name: TOLD, check: told },
        StepRule { name: TERM_NEW, check: term_new },
        StepRule { name: STRANGERS_UNHEARD, check: strangers_unheard },
        StepRule { name: FENCED_TOLD, check: fenced_told },
        StepRule { name: ONLY_SILENCE, check: only_silence },
        StepRule { name: RECONNECTS, check: reconnects },
        StepRule { name: RELAYED, check: relayed },
        StepRule { name: RELAYED_ONCE, check: relayed_once },
        StepRule { name: MOVED_DOWN, check: moved_down },
        StepRule { name: FILLER_SOUND, check: filler_sound },
        StepRule { name: ROLL_EXACT, check: roll_exact },
        StepRule { name: ROLL_CHECKED, check: roll_checked },
        StepRule { name: MISSED_ANSWERED, check: missed_answered },
        StepRule { name: pacing::ROOT_PACES, check: pacing::root_paces },
        StepRule { name: pacing::MACHINES_CHAINED, check: pacing::machines_chained },
        StepRule { name: pacing::CHAIN_PAYS, check: pacing::chain_pays },
        StepRule { name: machines::MACHINE_MISSED, check: machines::machine_missed },
        StepRule { name: recovery::rules::JOINS_WAIT, check: recovery::rules::joins_wait },
        StepRule { name: recovery::rules::SEATS_KEPT, check: recovery::rules::seats_kept },
        StepRule { name: recovery::rules::LINKS_KEPT, check: recovery::rules::links_kept },
        StepRule { name: recovery::rules::CHANGES_TOLD, check: recovery::rules::changes_told },
        StepRule { name: recovery::rules::ROLL_ANSWERED, check: recovery::rules::roll_answered },
    ];
}

fn spanning<A: Clone + Debug + Eq + Hash>(_: &Config, channel: &Channel<A>) -> Verdict {
    if channel.tree.is_empty() {
        return Verdict::Idle;
    }
    let known = channel.tree.everybody().all(|member| channel.record(member).is_some());
    let records = channel.records.iter().flatten().count();
    let root = channel.reign.map(|reign| reign.root) == channel.tree.root();
    let one = tree::rules::spanning(&channel.tree) && known && records == channel.tree.everybody().count();
    Verdict::from_bool(one && root, "places, records and the root do not agree")
}

fn degree<A>(_: &Config, channel: &Channel<A>) -> Verdict {
    if channel.tree.len() < 2 {
        return Verdict::Idle;
    }
    Verdict::from_bool(tree::rules::degree(&channel.tree), "a member has too many children")
}

fn depth<A>(_: &Config, channel: &Channel<A>) -> Verdict {
    if channel.tree.len() < 2 {
        return Verdict::Idle;
    }
    Verdict::from_bool(tree::rules::depth(&channel.tree), "the tree is deeper than it need be")
}

fn roster_exact<A>(_: &Config, channel: &Channel<A>) -> Verdict {
    if channel.tree.is_empty() {
        return Verdict::Idle;
    }
    let census = channel.tree.everybody().map(Census::of).fold(Census::default(), Census::plus);
    let exact = census == channel.all.census && machines::counted(channel);
    Verdict::from_bool(exact, "the root is told of other members than there are")
}

/// Who got an assignment in this step.
pub(super) fn assigned<A>(effects: &[Effect<A>]) -> impl Iterator<Item = MemberId> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message: ToMember::Assign(_) } => Some(*to),
        Effect::Send { message: ToMember::Welcome(_) | ToMember::Probe(_), .. }
        | Effect::Send { message: ToMember::Fenced | ToMember::Released, .. }
        | Effect::Send { message: ToMember::Roll(_) | ToMember::Gone(_), .. }
        | Effect::Accept { .. }
        | Effect::Refuse { .. }
        | Effect::SetTimer { .. }
        | Effect::ClearTimer(_) => None,
    })
}

/// Who was a member before and is none after.
fn departed<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Option<MemberId> {
    let who = match step.event {
        Event::Timer(Timer::Probe(member, _)) | Event::From { member, .. } => *member,
        Event::Join { .. }
        | Event::Suspected(_)
        | Event::Disconnected(_)
        | Event::Expiring(_)
        | Event::Reshape(_)
        | Event::Restarted
        | Event::Timer(Timer::Reshape | Timer::Recovery) => return None,
    };
    (step.before.tree.contains(who) && !step.after.tree.contains(who)).then_some(who)
}

/// A join is told to two, a departure to F+3, a swap to 2F+4, a step of a change of fan-out to three; and each to the
/// root. Two leaves that change places before a departure, so that a sound one fills the hole, are four more; a
/// newcomer that takes the place of one who nears its end is a swap of parent and child. Where a machine's lambdas take a
/// daemon or lose it, it is a matter of how many they are; a chain that comes or goes concerns all who have places.
fn local<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let count = assigned(step.effects).filter(|member| step.after.tree.root() != Some(*member)).count();
    if count == 0 {
        return Verdict::Idle;
    }
    let fan_out = step.after.tree.fan_out().0.max(step.before.tree.fan_out().0) as usize;
    let swap = fan_out.saturating_mul(2).saturating_add(4);
    let expires = step.before.records.iter().flatten().any(|record| record.expiring);
    let unsound = step.before.tree.members().next_back().and_then(|last| step.before.record(last));
    let swapped = if unsound.is_some_and(|last| !last.is_sound()) { 4 } else { 0 };
    let machine = machines::told_at_most(step, fan_out);
    let bound = match step.event {
        Event::Join { .. } | Event::From { .. } | Event::Timer(Timer::Probe(..)) if machine.is_some() => {
            machine.unwrap_or_default()
        }
        Event::Join { .. } if expires => swap,
        Event::Join { .. } => 2,
        Event::Expiring(_) => swap,
        Event::Reshape(_) | Event::Timer(Timer::Reshape) => 3,
        Event::From { message: ToController::Hello(_), .. } => 1,
        Event::From { message: ToController::Paced(_), .. } => step.before.tree.len() as usize,
        // Whose seat has changed is a matter of what the members have said.
        Event::Restarted | Event::Timer(Timer::Recovery) => return Verdict::Idle,
        Event::From { .. }
        | Event::Suspected(_)
        | Event::Disconnected(_)
        | Event::Timer(Timer::Probe(..)) => fan_out.saturating_add(3).saturating_add(swapped),
    };
    Verdict::from_bool(count <= bound, "more members were told than the change concerns")
}

/// Everybody whose assignment is another one now was sent it in this step.
fn told<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    // Those whom a restarted controller finds again have their seats already.
    if step.before.tree == step.after.tree || step.before.recovery.is_some() {
        return Verdict::Idle;
    }
    let told: Vec<MemberId> = assigned(step.effects).collect();
    let mut verdict = Verdict::Idle;
    for member in step.after.tree.everybody() {
        if step.before.tree.assignment(member) != step.after.tree.assignment(member) {
            if !told.contains(&member) {
                return Verdict::Broken("a member has another assignment and was not told");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

fn term_new<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let (Some(before), Some(after)) = (step.before.reign, step.after.reign) else { return Verdict::Idle };
    if before.root == after.root {
        return Verdict::Idle;
    }
    Verdict::from_bool(before.term < after.term, "a new root goes on in the term of another")
}

fn strangers_unheard<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Event::From { member, .. } = step.event else { return Verdict::Idle };
    if step.before.tree.contains(*member) || step.before.recovery.is_some() {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before == step.after, "who is no member changed something")
}

fn fenced_told<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    if step.before.recovery.is_some() {
        return Verdict::Idle; // It is not known yet who is a member.
    }
    let stranger = match step.event {
        Event::From { member, message: ToController::Hello(_) } if !step.before.tree.contains(*member) => {
            *member
        }
        Event::Timer(Timer::Probe(..)) => match departed(step) {
            Some(member) => member,
            None => return Verdict::Idle,
        },
        Event::From { .. }
        | Event::Join { .. }
        | Event::Suspected(_)
        | Event::Disconnected(_)
        | Event::Expiring(_)
        | Event::Reshape(_)
        | Event::Restarted
        | Event::Timer(Timer::Reshape | Timer::Recovery) => return Verdict::Idle,
    };
    let word = Effect::Send { to: stranger, message: ToMember::Fenced };
    Verdict::from_bool(step.effects.contains(&word), "who was declared dead is not told")
}

fn only_silence<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    match step.event {
        Event::From { member, message: ToController::Answer(probe) } => {
            let Some(record) = step.before.record(*member) else { return Verdict::Idle };
            if record.probe != Some(probe.id) {
                return Verdict::Idle;
            }
            let cleared = step.after.record(*member).is_some_and(|record| record.probe.is_none());
            Verdict::from_bool(cleared, "a member answered and is waited for nevertheless")
        }
        Event::Timer(Timer::Probe(member, probe)) => {
            let Some(gone) = departed(step) else { return Verdict::Idle };
            let silent = step.before.record(gone).is_some_and(|record| record.probe == Some(*probe));
            Verdict::from_bool(gone == *member && silent, "a member is declared dead that nobody waited for")
        }
        Event::From { message: ToController::Leave, .. } => Verdict::Idle,
        Event::From { .. }
        | Event::Join { .. }
        | Event::Suspected(_)
        | Event::Disconnected(_)
        | Event::Expiring(_)
        | Event::Reshape(_)
        | Event::Restarted
        | Event::Timer(Timer::Reshape | Timer::Recovery) => {
            Verdict::from_bool(departed(step).is_none(), "a member is gone that neither left nor was silent")
        }
    }
}

/// The link that a member was asked about and has answered for in this step, and who is at its ends.
fn answered_for<A: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Channel<A>>,
) -> Option<(LinkId, MemberId, MemberId)> {
    let Event::From { member, message: ToController::Answer(probe) } = step.event else { return None };
    let (link, record) = (probe.about?, step.before.record(*member)?);
    let other = step.before.other_end(*member, link)?;
    (record.probe == Some(probe.id)).then_some((link, *member, other))
}

fn relayed<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((link, member, other)) = answered_for(step) else { return Verdict::Idle };
    if step.before.is_relayed(member, other) {
        return Verdict::Idle;
    }
    let renewed = step.after.other_end(member, link).is_none();
    let both = step.after.is_relayed(member, other) && step.after.is_relayed(other, member);
    Verdict::from_bool(renewed && both, "two that live and cannot reach each other are left to themselves")
}

fn relayed_once<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((_, member, other)) = answered_for(step) else { return Verdict::Idle };
    if !step.before.is_relayed(member, other) {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before.tree == step.after.tree, "a link by relay was reported and given anew")
}

/// Whether one of the last places has a leaf that is good for more; not counting this member.
fn has_sound_leaf<A: Clone + Debug + Eq + Hash>(
    config: &Config,
    channel: &Channel<A>,
    but: MemberId,
) -> bool {
    let last = channel.tree.members().rev().take(config.scan as usize);
    let mut leaves = last.filter(|leaf| channel.tree.children(*leaf).next().is_none() && *leaf != but);
    leaves.any(|leaf| channel.record(leaf).is_some_and(Record::is_sound))
}

fn moved_down<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Event::Expiring(member) = step.event else { return Verdict::Idle };
    let inner = |channel: &Channel<A>| channel.tree.children(*member).next().is_some();
    if !inner(step.before) || !has_sound_leaf(step.config, step.before, *member) {
        return Verdict::Idle;
    }
    Verdict::from_bool(!inner(step.after), "a member that nears its end keeps its children")
}

fn filler_sound<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some(gone) = departed(step) else { return Verdict::Idle };
    let Some(place) = step.before.tree.place(gone) else { return Verdict::Idle };
    if step.before.tree.children(gone).next().is_none() || !has_sound_leaf(step.config, step.before, gone) {
        return Verdict::Idle;
    }
    // That a machine is missed together with its daemon is known only when its place is filled already.
    let filler = step.after.tree.member(place).and_then(|filler| step.before.record(filler));
    let Some(filler) = filler else { return Verdict::Idle };
    Verdict::from_bool(filler.is_sound(), "one that is about to go was moved above others")
}

fn roll_checked<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Event::From { member, message: ToController::CheckRoll(at) } = step.event else {
        return Verdict::Idle;
    };
    if !step.before.tree.contains(*member) || step.before.recovery.is_some() {
        return Verdict::Idle;
    }
    let told = |effect: &Effect<A>| matches!(effect, Effect::Send { message: ToMember::Roll(roll), .. } if roll.at == step.after.all);
    let changed = *at != step.before.all;
    Verdict::from_bool(
        step.effects.iter().any(told) == changed,
        "who asks whether the membership has changed is misled",
    )
}

fn roll_exact<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Event::From { member, message: ToController::CallRoll } = step.event else { return Verdict::Idle };
    if !step.before.tree.contains(*member) {
        return Verdict::Idle;
    }
    let told = step.effects.iter().find_map(|effect| match effect {
        Effect::Send { to, message: ToMember::Roll(roll) } if to == member => Some(roll),
        Effect::Send { .. }
        | Effect::Accept { .. }
        | Effect::Refuse { .. }
        | Effect::SetTimer { .. }
        | Effect::ClearTimer(_) => None,
    });
    let Some(roll) = told else { return Verdict::Broken("the roll was called and is not answered") };
    let named = roll.present.iter().map(|it| it.member).chain(step.after.daemons.values().copied());
    let census = named.map(Census::of).fold(Census::default(), Census::plus);
    let known = |it: &Present<A>| {
        let record = step.after.record(it.member);
        let same = |record: &Record<A>| record.address == it.address && record.role == it.role;
        record.is_some_and(|record| same(record) && !record.tenancy.is_daemon())
    };
    let exact = census == roll.at.census && roll.at == step.after.all && roll.present.iter().all(known);
    Verdict::from_bool(exact, "the roll names others than are there")
}

fn reconnects<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let (member, after) = if let Event::Disconnected(member) = step.event {
        (*member, step.config.reconnect)
    } else if let Event::From { member, message: ToController::Hello(_) } = step.event {
        (*member, step.config.probe)
    } else {
        return Verdict::Idle;
    };
    if step.before.recovery.is_some() {
        return Verdict::Idle; // Nobody is judged yet.
    }
    let Some(probe) = step.after.record(member).and_then(|record| record.probe) else {
        return Verdict::Idle;
    };
    let set = Effect::SetTimer { timer: Timer::Probe(member, probe), after };
    Verdict::from_bool(step.effects.contains(&set), "one who is cut off has another time than to call again")
}

fn missed_answered<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Event::From { member, message: ToController::Missing(missed) } = step.event else {
        return Verdict::Idle;
    };
    if !step.before.tree.contains(*member) {
        return Verdict::Idle;
    }
    if step.before.tree.contains(*missed) {
        let probed = step.after.record(*missed).is_some_and(|record| record.probe.is_some());
        return Verdict::from_bool(probed, "a member is missed and nobody asks whether it is there");
    }
    let word = Effect::Send { to: *member, message: ToMember::Gone(*missed) };
    Verdict::from_bool(step.effects.contains(&word), "one who is gone is missed for ever")
}
