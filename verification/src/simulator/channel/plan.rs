//! What a seed decides: size, limits, time-outs, and a plan of what happens when.
//!
//! Everything is drawn in a fixed order, whatever the most members are that were asked for, so that the same seed with
//! fewer members has the same limits and the same incidents. An incident chooses whom it concerns when it happens,
//! with luck of its own.

use cirrus_core::controller;
use cirrus_core::ids::{FanOut, Millis, Round};
use cirrus_core::member::{self, Deadline, Kind};

use super::{Asked, Incident, beside, daemons};
use crate::simulator::Random;
use crate::worlds::zip::calm;
use crate::zip::{Address, Everybody, Fault, Setup};

/// No seed plans more faults than this.
const FAULTS_MAX: u32 = 160;
/// No seed plans more broadcasts than this.
const SENDS_MAX: u32 = 60;
/// No seed has more senders than this.
const SENDERS_MAX: u32 = 8;
/// No channel has more members than these and those that are asked for.
pub(super) const ROOM: u32 = FAULTS_MAX + 8 + daemons::MOST;

/// What an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A fault strikes.
    Fault(Fault),
    /// The application of a process sends.
    Send(Address),
    /// The application of a process does what comes next in its script of messages.
    Call(Address),
}

/// Something that happens once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// Its number.
    pub(super) incident: Incident,
    /// When, from the end of joining on.
    pub(super) at: u64,
    /// What.
    pub(super) what: What,
    /// Its luck.
    pub(super) luck: u64,
}

/// A plan. Times are in microseconds where no unit is named.
#[derive(Debug)]
pub(super) struct Plan {
    /// The machines' limits, and what is sent.
    pub(super) setup: Setup,
    /// How many members come in before faults strike.
    pub(super) members: u32,
    /// The time between one newcomer and the next.
    pub(super) join_gap: u64,
    /// Faults strike already while the first members join.
    pub(super) cold: bool,
    /// The least and the most time that something is on its way.
    pub(super) latency: (u64, u64),
    /// How long the lease of a dead root goes on.
    pub(super) lease: u64,
    /// In a channel of reduces: the most time between an answer and the next value.
    pub(super) think: u64,
    /// In the order of their times.
    pub(super) incidents: Vec<Planned>,
    /// What is drawn for messages.
    pub(super) luck: u64,
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn new(asked: &Asked) -> Self {
        let mut random = Random::new(asked.seed);
        let most = asked.members.max(1);
        let members = members(&mut random, most);
        let (low, spread) = (u64::from(random.between(20, 500)), u64::from(random.between(1, 40)));
        let latency = (low, low * spread);
        let mut setup = setup(&mut random, asked, members, latency.1);
        let mut plan = Self {
            members,
            join_gap: join_gap(&mut random, members, latency.1),
            cold: random.below(4) == 0,
            latency,
            lease: micros(setup.controller.probe) + micros(setup.member.attach),
            incidents: Vec::new(),
            think: latency.1 * u64::from(random.between(1, 20)),
            luck: random.draw(),
            setup: setup.clone(),
        };
        plan.incidents = incidents(&mut random, asked, &plan, &mut setup);
        reduces(&mut random, &mut plan, &mut setup);
        handling(&plan, &mut setup);
        beside::plan(&mut random, asked, &mut plan, &mut setup);
        // Who calls again later than that has to join anew.
        let slowest = plan.latency.1 / 1000 + 1;
        let window = u64::from(setup.member.recontact_max.0) + slowest * (2 + random.below(8));
        setup.controller.recovery = Millis(u32::try_from(window).unwrap_or(u32::MAX));
        daemons::plan(&mut random, asked, &mut plan, &mut setup);
        plan.setup = setup;
        plan
    }

    /// In a line.
    pub(super) fn describe(&self) -> String {
        let Setup { controller, member, fan_out, .. } = &self.setup;
        let reduces = match (member.kind, member.deadline) {
            (Kind::Broadcast, _) => String::new(),
            (Kind::Reduce | Kind::Handled, None) => format!("reduces, strict {}, ", member.strict),
            (Kind::Reduce | Kind::Handled, Some(deadline)) => {
                format!("reduces, strict {}, {} by {} ms, ", member.strict, deadline.quorum, deadline.after.0)
            }
        };
        let handled = if member.kind.is_handled() {
            format!("results for one, {} ms, ", member.handler.0)
        } else {
            String::new()
        };
        let beside = self.setup.beside.as_ref().map_or(String::new(), |it| format!("{}, ", it.bounds()));
        format!(
            "{reduces}{handled}{beside}{} members, fan-out {}, window {}, buffer {}, {} to {} us on the way, probe {} ms, attach {} ms, redial \
             {} ms, submission {} ms, {} incidents",
            self.members,
            fan_out.0,
            member.window,
            member.buffer,
            self.latency.0,
            self.latency.1,
            controller.probe.0,
            member.attach.0,
            member.redial.0,
            member.submission.0,
            self.incidents.len(),
        )
    }
}

/// In microseconds.
pub(super) fn micros(time: Millis) -> u64 {
    u64::from(time.0) * 1000
}

/// Every fourth channel is small, every fourth of any size, and half of them are as large as they may be.
fn members(random: &mut Random, most: u32) -> u32 {
    let (size, share) = (random.below(4), random.draw());
    let bound = match size {
        0 => most.min(16),
        _ => most,
    };
    match size {
        0 | 1 => 1 + u32::try_from(Random::new(share).below(bound.into())).unwrap_or(0),
        _ => most,
    }
}

/// Members come in a burst. In an idle channel each one that comes alone makes a wave through all that are there; a
/// thousand of them would do nothing else for a million events.
fn join_gap(random: &mut Random, members: u32, slowest: u64) -> u64 {
    let burst = slowest * (1 << random.below(6)) / 8;
    if members <= 64 { burst } else { burst / u64::from(members) }
}

fn setup(random: &mut Random, asked: &Asked, members: u32, slowest: u64) -> Setup {
    let bugs = asked.bugs;
    let slowest = u32::try_from(slowest / 1000).unwrap_or(u32::MAX) + 1;
    let (narrow, fan_out) = (random.below(6) == 0, random.between(2, 16));
    // A chain of a thousand would do nothing but report.
    let fan_out = if narrow { 1 + u32::from(members > 40) } else { fan_out };
    // An answer takes two ways, and as long again if the member has to call again: who is slower is dead.
    let probe = Millis(slowest * random.between(3, 20));
    let attach = Millis(slowest * random.between(2, 30));
    let base = calm(bugs).setup;
    Setup {
        controller: controller::Config {
            members_max: members + ROOM,
            probe,
            reshape: Millis(random.between(1, 10)),
            ..base.controller
        },
        member: member::Config {
            window: random.between(1, 4),
            buffer: random.between(0, 3),
            senders_max: members + ROOM,
            attach,
            redial: Millis(random.between(1, 50)),
            submission: Millis(slowest * random.between(2, 40)),
            recontact: Millis(random.between(1, 50)),
            recontact_max: Millis(random.between(50, 200)),
            drain: Millis(slowest * random.between(40, 400)),
            ..base.member
        },
        fan_out: FanOut(fan_out),
        members: 0,
        wanted: u32::MAX,
        sends: Vec::new(),
        faults: Fault::ALL.map(|fault| (fault, u32::MAX)).into(),
        ..base
    }
}

/// Faults and broadcasts, by time; and what is sent, for the rules.
fn incidents(random: &mut Random, asked: &Asked, plan: &Plan, setup: &mut Setup) -> Vec<Planned> {
    let kinds = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Daemon); // They are planned by themselves.
    let kinds: Vec<Fault> = kinds.filter(|_| random.below(2) == 0).collect();
    let faults = random.between(0, FAULTS_MAX);
    // From one in two messages' time to the time that it takes to find out who is dead.
    let gap = plan.latency.1 * (1 << random.below(8)) / 2;
    let span = gap * u64::from(faults.max(20));
    let mut all = Vec::new();
    for incident in 0..faults {
        let (at, kind, luck) = (random.below(span), random.draw(), random.draw());
        let kind = Random::new(kind).pick(&kinds).copied();
        all.extend(kind.map(|kind| Planned { incident, at, what: What::Fault(kind), luck }));
    }
    // A small channel is not killed ten times over.
    all.truncate(usize::try_from(plan.members * 5 + 8).unwrap_or(usize::MAX));
    let senders: Vec<Address> =
        (0..random.between(1, SENDERS_MAX)).map(|_| sender(random, plan.members)).collect();
    // A broadcast is some six events for each member.
    let fit = asked.steps / (u64::from(plan.members) * 6);
    let sends = random.between(2, SENDS_MAX);
    let mut pieces = Vec::new();
    for number in 0..sends {
        let (at, who) = (random.below(span), random.draw());
        let (few, many, long) = (random.between(1, 3), random.between(4, 12), random.below(8) == 0);
        let Some(sender) = Random::new(who).pick(&senders).copied() else { continue };
        let planned = Planned { incident: FAULTS_MAX + number, at, what: What::Send(sender), luck: who };
        pieces.push((planned, if long { many } else { few }));
    }
    pieces.truncate(usize::try_from(fit.max(3)).unwrap_or(usize::MAX));
    let chosen = |it: &Planned| asked.only.as_ref().is_none_or(|only| only.contains(&it.incident));
    pieces.retain(|(planned, _)| chosen(planned));
    pieces.sort_by_key(|(planned, _)| planned.at);
    for (planned, pieces) in &pieces {
        if let What::Send(sender) = planned.what {
            setup.sends.push((sender, *pieces));
        }
    }
    all.retain(chosen);
    all.extend(pieces.into_iter().map(|(planned, _)| planned));
    all.sort_by_key(|it| (it.at, it.incident));
    all
}

/// Every third channel is one of reduces; half of those have a deadline, a quarter is strict. Nobody broadcasts there.
fn reduces(random: &mut Random, plan: &mut Plan, setup: &mut Setup) {
    let (kind, strict, timed) = (random.below(3), random.below(4) == 0, random.below(2) == 0);
    let (attempts, named) = (random.between(1, 8), random.between(1, 64));
    let (ways, quorum) = (random.between(2, 60), random.draw());
    let pieces = [(); 4].map(|()| random.between(1, 3));
    // Who comes later gives its first value beside the others' second one: where they differ, there is no result.
    let same = random.below(8) > 0;
    if kind > 0 {
        return;
    }
    setup.sends.clear();
    plan.incidents.retain(|planned| matches!(planned.what, What::Fault(_)));
    let pieces = if same { vec![pieces[0]] } else { pieces.to_vec() };
    setup.everybody = Some(Everybody { pieces, until: Round(0) });
    let after = Millis(u32::try_from(plan.latency.1 / 1000).unwrap_or(0) * ways + ways);
    let quorum = 1 + u32::try_from(Random::new(quorum).below(plan.members.into())).unwrap_or(0);
    setup.member.kind = Kind::Reduce;
    setup.member.strict = strict;
    setup.member.attempts_max = attempts;
    setup.member.missing_max = named;
    setup.controller.departed_max = named;
    setup.member.deadline = timed.then_some(Deadline { after, quorum });
}

/// In every third channel of reduces the results are for one member: the first that comes of a few, and when it is gone
/// one of those who join later.
fn handling(plan: &Plan, setup: &mut Setup) {
    let mut random = Random::new(plan.luck.rotate_left(7));
    let (kind, share, ways) = (random.below(3), random.between(2, 4), random.between(4, 200));
    let first = u32::try_from(random.below(plan.members.into())).unwrap_or(0);
    if kind > 0 || setup.everybody.is_none() {
        return;
    }
    let later = (plan.members..plan.members + ROOM).filter(|address| address.is_multiple_of(share));
    setup.handlers = std::iter::once(first).chain(later).collect();
    setup.controller.one_receiver = true;
    let slowest = u32::try_from(plan.latency.1 / 1000).unwrap_or(0) + 1;
    setup.member.kind = Kind::Handled;
    setup.member.handler = Millis(slowest * ways);
}

/// The first member, any other, or one who joins later.
fn sender(random: &mut Random, members: u32) -> Address {
    let (kind, place) = (random.below(8), random.draw());
    let any = Random::new(place).below(members.into());
    match kind {
        0 => 0,
        1 => members + u32::try_from(any % 4).unwrap_or(0),
        _ => u32::try_from(any).unwrap_or(0),
    }
}
