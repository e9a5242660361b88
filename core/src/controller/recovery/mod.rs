//! A controller that was restarted: it has forgotten everything but how many lives it has had, and its members tell it
//! (M4).
//!
//! ```text
//!  members               controller
//!     |  (rounds go on)      x      it dies, and is started again with the next epoch
//!     | Hello(seat, standing) --> |
//!     | Hello(seat, standing) --> |  joins wait, nobody is judged
//!     |                           |  the window ends: whoever is silent is dead
//!     | <---- Assign, if its seat is another one, and to the root
//! ```
//!
//! **Seats.** Of two that claim one place, the one that was assigned it later has it. Whose place is not contested and
//! still exists keeps it, and a link that both its ends know stays; so those whose views agree are told nothing. The
//! others fill the holes, or follow at the end. Whoever has a daemon lodges with it, whatever it says of a place; of two
//! daemons of one machine the later one stays.
//!
//! **Who was declared dead** before the restart and lives is a member again, and finds out by itself that it may not be
//! (see [`History`](crate::member::broadcast::History)). The controller cannot tell: what the members say of the
//! channel's progress is overtaken by the time at which the window ends.
//!
//! **The root** goes on in its term if nobody has heard of a newer one; then no round is disturbed. It is told how those
//! it counts add up without the ones who are gone ([`Recount`]), since nobody knows their names any more.

pub mod rules;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::handler::one_handler;
use super::{Channel, Config, Effect, Event, Newcomer, Record, Refusal, Reign, Timer};
use crate::bounded::{Map, Queue};
use crate::bug::Bug;
use crate::channel::{Cut, Recount, Registration, Standing, Tenancy, ToController, ToMember};
use crate::ids::{AssignmentVersion, CallId, MachineId, MemberId, Stamp, Term};
use crate::machine::Effects;
use crate::tree::Assignment;

/// What is kept while a restarted controller waits for its members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recovery<A> {
    /// Who has called, by slot.
    pub claims: Map<u32, Claim<A>>,
    /// Requests to join, in the order in which they came.
    pub joins: Queue<(CallId, Newcomer<A>)>,
}

impl<A> Default for Recovery<A> {
    fn default() -> Self {
        Self { claims: Map::default(), joins: Queue::default() }
    }
}

/// A member that has called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim<A> {
    /// Who.
    pub member: MemberId,
    /// What it says of itself.
    pub registration: Registration<A>,
    /// It has called the roll, and is answered when there is one.
    pub calls_roll: bool,
}

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// The controller was restarted, and this channel had members.
    pub(super) fn restarted(&mut self, config: &Config, out: &mut impl Effects<Effect<A>>) {
        if self.tree.is_empty() && self.recovery.is_none() {
            self.recovery = Some(Recovery::default());
            out.push(Effect::SetTimer { timer: Timer::Recovery, after: config.recovery });
        }
    }

    /// Something happens while the members are waited for.
    pub(super) fn recovering(
        &mut self,
        config: &Config,
        mut recovery: Recovery<A>,
        event: Event<A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        match event {
            Event::Join { call, address, role, tenancy } if config.bugs.has(Bug::JoinNotHeld) => {
                self.join(config, call, Newcomer { address, role, tenancy }, out);
            }
            Event::Join { call, address, role, tenancy } => {
                let newcomer = Newcomer { address, role, tenancy };
                if recovery.joins.push(config.members_max, (call, newcomer)).is_err() {
                    out.push(Effect::Refuse { call, reason: Refusal::Full });
                }
            }
            Event::From { member, message: ToController::Hello(registration) } => {
                self.claim(config, &mut recovery, Claim { member, registration, calls_roll: false }, out);
            }
            Event::From { member, message: ToController::Leave } => {
                if let Some(claim) = recovery.claims.get_mut(&member.slot)
                    && claim.member == member
                {
                    claim.registration.leaving = true;
                }
            }
            Event::From { member, message: ToController::CallRoll } => {
                if let Some(claim) = recovery.claims.get_mut(&member.slot)
                    && claim.member == member
                {
                    claim.calls_roll = true;
                }
            }
            // Nobody is judged yet; a member that still misses its neighbour will say so again.
            Event::From {
                message: ToController::Report(_) | ToController::Missing(_) | ToController::CheckRoll(_),
                ..
            }
            | Event::Suspected(_)
            | Event::Disconnected(_) => {}
            // Answers to a controller that is dead, and what whoever knows of lifetimes says again.
            Event::From {
                message:
                    ToController::Answer(_)
                    | ToController::Noted(_)
                    | ToController::Counted(_)
                    | ToController::DaemonsNoted(_)
                    | ToController::Paced(_),
                ..
            }
            | Event::Expiring(_)
            | Event::Restarted
            | Event::Timer(Timer::Probe(..) | Timer::Reshape) => {}
            Event::Reshape(fan_out) => {
                // There is nobody yet who would have to follow.
                let _ = self.tree.reshape(fan_out);
            }
            Event::Timer(Timer::Recovery) => return self.recovered(config, recovery, out),
        }
        self.recovery = Some(recovery);
    }

    /// A member says who it is. Two that have had one slot are one after the other.
    fn claim(
        &self,
        config: &Config,
        recovery: &mut Recovery<A>,
        claim: Claim<A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let MemberId { stamp, slot } = claim.member;
        let other = recovery.claims.get(&slot).map(|other| other.member);
        let late = other.is_some_and(|other| other.stamp > stamp);
        // It can have been given this in an earlier life only.
        let newest = stamp.max(claim.registration.version.0);
        let foreign = newest.epoch >= self.tree.epoch() || slot >= config.members_max;
        if late || foreign {
            return out.push(Effect::Send { to: claim.member, message: ToMember::Fenced });
        }
        if let Some(other) = other.filter(|other| *other != claim.member) {
            out.push(Effect::Send { to: other, message: ToMember::Fenced });
        }
        let _ = recovery.claims.insert(config.members_max, slot, claim); // Slots are fewer than that.
    }

    /// The window is over: who has called is there, and who has not is dead.
    fn recovered(&mut self, config: &Config, recovery: Recovery<A>, out: &mut impl Effects<Effect<A>>) {
        let Recovery { claims, mut joins } = recovery;
        let mut here: Vec<&Claim<A>> = Vec::new();
        let mut stamps = BTreeSet::new();
        for (_, claim) in claims.iter() {
            match () {
                () if !stamps.insert(claim.member.stamp) => {
                    out.push(Effect::Send { to: claim.member, message: ToMember::Fenced });
                }
                () if claim.registration.leaving => {
                    out.push(Effect::Send { to: claim.member, message: ToMember::Released });
                }
                () => here.push(claim),
            }
        }
        let (here, daemons) = one_daemon_each(here, out);
        let here = one_handler(config, here, out);
        let host = |claim: &Claim<A>| match claim.registration.tenancy {
            Tenancy::Lambda(machine) if !config.bugs.has(Bug::LodgingsForgotten) => daemons.get(&machine),
            Tenancy::Lambda(_) | Tenancy::Daemon(_) => None,
        };
        let lodgers = here.iter().filter_map(|claim| Some((claim.member, *host(claim)?))).collect();
        let (lodging, seated): (Vec<_>, Vec<_>) = here.into_iter().partition(|it| host(it).is_some());
        let seated = by_place(config, seated);
        let found = Found { places: seated.len(), lodgers, all: [seated, lodging].concat() };
        self.daemons = daemons;
        self.seat(config, &claims, &found, out);
        let lost = config.bugs.has(Bug::RollCallLost);
        for claim in found.all.iter().filter(|claim| claim.calls_roll && !lost) {
            self.call_roll(config, claim.member, out);
        }
        while let Some((call, newcomer)) = joins.pop() {
            self.join(config, call, newcomer, out);
        }
    }

    /// Takes these as the members, and tells those who see it otherwise.
    fn seat(
        &mut self,
        config: &Config,
        claims: &Map<u32, Claim<A>>,
        found: &Found<'_, A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let said = |member: MemberId| claims.get(&member.slot).map(|claim| &claim.registration);
        let all = &found.all;
        let members: Vec<MemberId> = all.iter().take(found.places).map(|claim| claim.member).collect();
        let restored = self.tree.restore(&members, &found.lodgers, |below, above| {
            let up = said(below)?.parent.filter(|edge| edge.member == above)?;
            let both = said(above)?.children.iter().any(|edge| edge.member == below && edge.link == up.link);
            (both && !config.bugs.has(Bug::LinksForgotten)).then_some(up.link)
        });
        let (Some(root), true) = (all.first(), restored) else { return };
        let Some(version) = self.tree.stamp().map(AssignmentVersion) else { return };
        let standings = || claims.iter().map(|(_, claim)| claim.registration.standing);
        let counted = standings().map(|standing| standing.next.unwrap_or(standing.cut)).max();
        let joined = all.iter().map(|claim| claim.member.stamp).max();
        self.all = members_until(all, counted.max(joined).unwrap_or_default());
        let newest = standings().map(|standing| standing.term).max();
        self.reign_on(root, version, newest.unwrap_or_default(), all);
        for claim in all {
            let Claim { member, registration, .. } = claim;
            let slot = member.slot as usize;
            if self.records.len() <= slot {
                self.records.resize(slot.saturating_add(1), None);
            }
            let agrees = self.tree.assignment(*member).is_some_and(|it| registration.agrees(&it));
            let told = !agrees || *member == root.member || config.bugs.has(Bug::AllToldAgain);
            if let Some(record) = self.records.get_mut(slot) {
                let version = if told { version } else { registration.version };
                let Registration { role, tenancy, .. } = *registration;
                let newcomer = Newcomer { address: registration.address.clone(), role, tenancy };
                let handles = config.one_receiver && newcomer.handles();
                self.handler = self.handler.max(handles.then_some(*member));
                *record = Some(Record { version, ..Record::new(*member, newcomer) });
            }
        }
        if !config.bugs.has(Bug::RelayForgotten) {
            self.keep_relays(all);
        }
        for claim in all {
            if self.record(claim.member).is_some_and(|record| record.version == version)
                && let Some(assign) = self.assign(claim.member)
            {
                out.push(Effect::Send { to: claim.member, message: ToMember::Assign(assign) });
            }
        }
    }

    /// A link that stays, and went by relay, still does.
    fn keep_relays(&mut self, seated: &[&Claim<A>]) {
        for Claim { member, registration, .. } in seated {
            let Some(above) = registration.parent.filter(|_| registration.relay) else { continue };
            if self.tree.uplink(*member) == Some(above) {
                for (one, other) in [(*member, above.member), (above.member, *member)] {
                    if self.record(one).is_some() {
                        self.relays.entry(one).or_default().push(other);
                    }
                }
            }
        }
    }

    /// The root goes on in its term, if nobody has heard of a newer one.
    fn reign_on(&mut self, root: &Claim<A>, version: AssignmentVersion, newest: Term, seated: &[&Claim<A>]) {
        let Standing { term, reigns, cut, next } = root.registration.standing;
        let same = reigns && term == newest;
        self.reign = Some(Reign { root: root.member, term: if same { term } else { Term(version.0) } });
        let cuts = [cut, next.unwrap_or(cut)].map(|until| members_until(seated, until));
        self.recount = same.then_some(Recount { version, cuts });
    }
}

impl<A> Registration<A> {
    /// Whether a member sees its seat like this.
    fn agrees(&self, seat: &Assignment) -> bool {
        self.place == seat.place && self.parent == seat.parent && self.children == seat.children
    }
}

/// Who is there after the window.
struct Found<'a, A> {
    /// Those with a place, by place, and then the others.
    all: Vec<&'a Claim<A>>,
    /// How many have a place.
    places: usize,
    /// The others, and with whom they lodge.
    lodgers: Vec<(MemberId, MemberId)>,
}

/// Of two daemons of one machine the later one is there: the other was declared dead before.
fn one_daemon_each<'a, A>(
    here: Vec<&'a Claim<A>>,
    out: &mut impl Effects<Effect<A>>,
) -> (Vec<&'a Claim<A>>, BTreeMap<MachineId, MemberId>) {
    let mut daemons: BTreeMap<MachineId, MemberId> = BTreeMap::new();
    for claim in here.iter().filter(|claim| claim.registration.tenancy.is_daemon()) {
        let newest = daemons.entry(claim.registration.tenancy.machine()).or_insert(claim.member);
        *newest = claim.member.max(*newest);
    }
    let (stay, go): (Vec<_>, Vec<_>) = here.into_iter().partition(|claim| match claim.registration.tenancy {
        Tenancy::Daemon(machine) => daemons.get(&machine) == Some(&claim.member),
        Tenancy::Lambda(_) => true,
    });
    go.iter().for_each(|claim| out.push(Effect::Send { to: claim.member, message: ToMember::Fenced }));
    (stay, daemons)
}

/// Those of these whose stamp is not above this one.
fn members_until<A>(seated: &[&Claim<A>], until: Stamp) -> Cut {
    let counted = seated.iter().filter(|claim| claim.member.stamp <= until);
    let none = Cut { until, ..Cut::default() };
    counted.fold(none, |cut, claim| cut.plus(claim.member, claim.registration.tenancy))
}

/// Who gets which place: first whoever was assigned it last, then the others, as they sat.
fn by_place<'a, A>(config: &Config, here: Vec<&'a Claim<A>>) -> Vec<&'a Claim<A>> {
    let mut places: Vec<Option<&Claim<A>>> = Vec::new();
    places.resize(here.len(), None);
    let mut others: Vec<&Claim<A>> = Vec::new();
    for claim in here {
        let Registration { place, version, .. } = &claim.registration;
        let assigned = *version != AssignmentVersion::default() && !config.bugs.has(Bug::SeatsForgotten);
        match place.filter(|_| assigned).and_then(|place| places.get_mut(place.0 as usize)) {
            Some(seat) if seat.is_none_or(|other| other.registration.version < *version) => {
                others.extend(seat.replace(claim));
            }
            Some(_) | None => others.push(claim),
        }
    }
    others.sort_unstable_by_key(|claim| {
        let Registration { place, version, .. } = &claim.registration;
        (*version == AssignmentVersion::default(), place.is_none(), *place, claim.member)
    });
    let mut others = others.into_iter();
    places.into_iter().filter_map(|seat| seat.or_else(|| others.next())).collect()
}
