//! One channel as its controller sees it: who is in it, who sits where, and who is dead.
//!
//! It keeps the [`Tree`] whole and tells every member that a change concerns its new [`Assign`]ment, and nobody
//! else; the root is told of every change, since it must know whom a round has to reach. It is never asked during a
//! round. A member is dead when the controller says so, and only then: whoever misses a neighbour reports it, the
//! controller probes the accused, and silence is death. From then on the member is *fenced*: it has no links any
//! more, and is told so if it should live after all.
//!
//! ```text
//!  neighbour          controller            accused        survivors
//!      | Report(link) --> | Probe ------------> |               |
//!      |                  | <------- Answer     |   it lives, see `relay`
//!      |                  |       or silence    |               |
//!      |                  | Fenced -----------> |               |
//!      |                  | Assign --------------------------> at most F+3, and the root
//! ```

mod departed;
mod event;
pub mod handler;
pub mod machines;
pub mod pacing;
pub mod recovery;
mod relay;
mod roll;
pub mod rules;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use crate::bug::Bug;
use crate::channel::{
    Assign, Cut, Parent, Probe, ProbeId, Recount, Role, Roster, Tenancy, ToController, ToMember, Unnamed,
};
use crate::ids::{AssignmentVersion, CallId, ControllerEpoch, FanOut, LinkId, MachineId, MemberId, Term};
use crate::machine::{Effects, Machine};
use crate::tree::Tree;

use departed::Departed;
pub use event::{Config, Effect, Event, Refusal, Timer};
pub use machines::Newcomer;
use pacing::Pacing;
use recovery::Recovery;

/// What the controller keeps of a member beside its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record<A> {
    /// Who.
    pub member: MemberId,
    /// Where it listens.
    pub address: A,
    /// What it does in a shuffle.
    pub role: Role,
    /// Who it is on its machine.
    pub tenancy: Tenancy,
    /// Its newest assignment.
    pub version: AssignmentVersion,
    /// The probe that it has not answered yet.
    pub probe: Option<ProbeId>,
    /// It nears the end of its life.
    pub expiring: bool,
}

impl<A> Record<A> {
    /// Whether it is good for a place with children: nothing is known that would end it soon.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.probe.is_none() && !self.expiring
    }
}

/// The time in which one member is the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reign {
    /// The root.
    pub root: MemberId,
    /// The stamp of its first assignment as such.
    pub term: Term,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Channel<A> {
    /// Who sits where.
    pub tree: Tree,
    /// By slot; as long as the tree's table.
    pub records: Vec<Option<Record<A>>>,
    /// By member: neighbours that it reaches by relay alone; some may be neighbours no more. No more than a place can
    /// have, and who has none is not in it: few have any.
    pub relays: BTreeMap<MemberId, Vec<MemberId>>,
    /// By machine: its daemon, if it has one. No more than there are members.
    pub daemons: BTreeMap<MachineId, MemberId>,
    /// Who handles results, in a channel where one does.
    pub handler: Option<MemberId>,
    /// Who is the root, and in which term.
    pub reign: Option<Reign>,
    /// All members.
    pub all: Cut,
    /// Who has departed and since when, until a root has taken note: in this term all, of earlier ones the latest.
    pub departed: Vec<(AssignmentVersion, MemberId)>,
    /// How many more no round has told of.
    pub unnamed: Unnamed,
    /// The same of daemons, but of this term only: nobody has to name them.
    pub departed_daemons: Vec<(AssignmentVersion, MemberId)>,
    /// After a restart, until the root has taken note: who is left of those that it counts.
    pub recount: Option<Recount>,
    /// What rounds have cost, once a root has said so.
    pub pacing: Option<Box<Pacing>>,
    /// While a restarted controller waits for its members. Nobody has a place yet.
    pub recovery: Option<Recovery<A>>,
}

impl<A: Clone + Debug + Eq + Hash> Machine for Channel<A> {
    type Event = Event<A>;
    type Effect = Effect<A>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<A>, out: &mut impl Effects<Effect<A>>) {
        if let Some(recovery) = self.recovery.take() {
            return self.recovering(config, recovery, event, out);
        }
        match event {
            Event::Join { call, address, role, tenancy } => {
                self.join(config, call, Newcomer { address, role, tenancy }, out);
            }
            Event::From { member, message } => self.from(config, member, message, out),
            Event::Suspected(member) => self.probe(config, member, out),
            Event::Disconnected(member) => self.disconnected(config, member, out),
            Event::Expiring(member) => self.expiring(config, member, out),
            Event::Reshape(fan_out) => self.reshape(config, fan_out, out),
            Event::Timer(Timer::Probe(member, probe)) => self.silent(config, member, probe, out),
            Event::Restarted => self.restarted(config, out),
            Event::Timer(Timer::Reshape) => self.reshape_step(config, out),
            Event::Timer(Timer::Recovery) => {} // That window is over.
        }
    }
}

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// A channel without members.
    #[must_use]
    pub fn new(epoch: ControllerEpoch, fan_out: FanOut) -> Self {
        Self {
            tree: Tree::new(epoch, fan_out),
            records: Vec::new(),
            relays: BTreeMap::new(),
            daemons: BTreeMap::new(),
            handler: None,
            reign: None,
            all: Cut::default(),
            departed: Vec::new(),
            unnamed: Unnamed::default(),
            departed_daemons: Vec::new(),
            recount: None,
            pacing: None,
            recovery: None,
        }
    }

    /// What is kept of a member; `None` if it is not in the channel (any more).
    #[must_use]
    pub fn record(&self, member: MemberId) -> Option<&Record<A>> {
        let record = self.records.get(member.slot as usize)?.as_ref()?;
        (record.member == member).then_some(record)
    }

    fn record_mut(&mut self, member: MemberId) -> Option<&mut Record<A>> {
        let record = self.records.get_mut(member.slot as usize)?.as_mut()?;
        (record.member == member).then_some(record)
    }

    /// A member's newest assignment.
    #[must_use]
    pub fn assign(&self, member: MemberId) -> Option<Assign<A>> {
        let record = self.record(member)?;
        let assignment = self.tree.assignment(member)?;
        let parent = assignment.parent.and_then(|edge| {
            let address = self.record(edge.member)?.address.clone();
            Some(Parent { edge, address, relay: self.is_relayed(member, edge.member) })
        });
        let reign = self.reign.filter(|reign| reign.root == member);
        let roster = reign.map(|reign| Roster {
            term: reign.term,
            all: self.all,
            departed: self.departed.clone(),
            unnamed: self.unnamed,
            departed_daemons: self.departed_daemons.clone(),
            recount: self.recount.map(Box::new),
        });
        let (version, place, children) = (record.version, assignment.place, assignment.children);
        Some(Assign { version, place, parent, children, roster })
    }

    fn join(
        &mut self,
        config: &Config,
        call: CallId,
        newcomer: Newcomer<A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let tenancy = newcomer.tenancy;
        let second = tenancy.is_daemon() && self.daemon(tenancy.machine()).is_some();
        if second && !config.bugs.has(Bug::SecondDaemonTaken) {
            return out.push(Effect::Refuse { call, reason: Refusal::SecondDaemon });
        }
        if self.has_handler(config, &newcomer) {
            return out.push(Effect::Refuse { call, reason: Refusal::HandlerTaken });
        }
        if self.all.census.count >= config.members_max {
            return out.push(Effect::Refuse { call, reason: Refusal::Full });
        }
        let mut told = Vec::new();
        let Some(member) = self.settle_in(config, tenancy, &mut told) else {
            return out.push(Effect::Refuse { call, reason: Refusal::IdsExhausted });
        };
        let slot = member.slot as usize;
        if self.records.is_empty() {
            self.records.reserve_exact(1); // Many a channel has one member for long.
        }
        if self.records.len() <= slot {
            self.records.resize(slot.saturating_add(1), None);
        }
        if config.one_receiver && newcomer.handles() {
            self.handler = Some(member);
        }
        if let Some(record) = self.records.get_mut(slot) {
            *record = Some(Record::new(member, newcomer));
        }
        self.all = self.all.plus(member, tenancy);
        out.push(Effect::Accept { call, member });
        out.push(Effect::Send { to: member, message: ToMember::Welcome(member) });
        self.tell(config, told, None, out);
    }

    fn from(
        &mut self,
        config: &Config,
        member: MemberId,
        message: ToController<A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let by_slot = self.records.get(member.slot as usize).and_then(Option::as_ref);
        let record = by_slot.filter(|it| it.member == member || config.bugs.has(Bug::StrangerHeard));
        let Some(record) = record else {
            // M2: it left or was fenced, whatever it says; what it missed then, it is told now.
            if matches!(message, ToController::Hello(_)) {
                out.push(Effect::Send { to: member, message: ToMember::Fenced });
            }
            return;
        };
        let member = record.member;
        match message {
            ToController::Hello(registration) => {
                if registration.version < record.version
                    && let Some(assign) = self.assign(member)
                {
                    out.push(Effect::Send { to: member, message: ToMember::Assign(assign) });
                }
                // It might have missed that too, and from now on it hears.
                if let Some(id) = self.record(member).and_then(|record| record.probe) {
                    if !config.bugs.has(Bug::CallUnheeded) {
                        out.push(Effect::SetTimer { timer: Timer::Probe(member, id), after: config.probe });
                    }
                    out.push(Effect::Send {
                        to: member,
                        message: ToMember::Probe(Probe { id, about: None }),
                    });
                }
            }
            ToController::Report(link) => self.reported(config, member, link, out),
            ToController::Answer(probe) => self.answered(config, member, probe, out),
            ToController::Leave => {
                self.depart(config, member, out);
                out.push(Effect::Send { to: member, message: ToMember::Released });
            }
            ToController::Noted(version) => self.noted(member, version),
            ToController::Counted(version) => self.counted(config, member, version),
            ToController::DaemonsNoted(version) => self.daemons_noted(config, member, version),
            ToController::CallRoll => self.call_roll(config, member, out),
            ToController::CheckRoll(at) => self.check_roll(config, member, at, out),
            ToController::Missing(missed) => self.missing(config, member, missed, out),
            ToController::Paced(pace) => self.paced(config, member, &pace, out),
        }
    }

    fn probe(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A>>) {
        self.probe_about(config, member, None, out);
    }

    /// M3: an end of stream says more than silence. Who lives calls again at once, and is asked then.
    fn disconnected(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A>>) {
        self.probe(config, member, out);
        if config.bugs.has(Bug::EndUnnoticed) {
            return;
        }
        if let Some(probe) = self.record(member).and_then(|record| record.probe) {
            out.push(Effect::SetTimer { timer: Timer::Probe(member, probe), after: config.reconnect });
        }
    }

    /// Asks a member whether it is there; about one of its links, if that was reported.
    fn probe_about(
        &mut self,
        config: &Config,
        member: MemberId,
        about: Option<LinkId>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if self.record(member).is_none_or(|record| record.probe.is_some()) {
            return; // It is gone, or is being probed.
        }
        let Some(id) = self.tree.stamp().map(ProbeId) else { return };
        if let Some(record) = self.record_mut(member) {
            record.probe = Some(id);
        }
        out.push(Effect::Send { to: member, message: ToMember::Probe(Probe { id, about }) });
        out.push(Effect::SetTimer { timer: Timer::Probe(member, id), after: config.probe });
    }

    /// M3: silence is death.
    fn silent(
        &mut self,
        config: &Config,
        member: MemberId,
        probe: ProbeId,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if self.record(member).is_none_or(|record| record.probe != Some(probe)) {
            return; // It answered, or is gone: the timer was on its way.
        }
        let lodgers: Vec<MemberId> = self.tree.lodgers(member).map(|edge| edge.member).collect();
        self.depart(config, member, out);
        if !config.bugs.has(Bug::FencedNotTold) {
            out.push(Effect::Send { to: member, message: ToMember::Fenced });
        }
        self.probe_machine(config, &lodgers, out);
    }

    /// Takes a member out, fills its hole and tells whom that concerns.
    fn depart(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A>>) {
        let mut told = Vec::new();
        self.offer_filler(config, member, &mut told);
        let lodgers: Vec<MemberId> = self.tree.lodgers(member).map(|edge| edge.member).collect();
        if config.bugs.has(Bug::LodgersForgotten) {
            lodgers.iter().for_each(|lodger| _ = self.tree.leave(*lodger, &mut told));
        }
        if !self.tree.leave(member, &mut told) {
            return;
        }
        self.move_down(config, &lodgers, &mut told);
        let record = match self.records.get_mut(member.slot as usize) {
            Some(record) if config.bugs.has(Bug::RecordKept) => record.clone(),
            Some(record) => {
                self.relays.remove(&member);
                record.take()
            }
            None => None,
        };
        self.handler = self.handler.filter(|handler| *handler != member);
        if let Some(probe) = record.as_ref().and_then(|record| record.probe) {
            out.push(Effect::ClearTimer(Timer::Probe(member, probe)));
        }
        let daemon = record.map(|record| record.tenancy).filter(|tenancy| tenancy.is_daemon());
        if let Some(daemon) = daemon {
            self.daemons.remove(&daemon.machine());
        }
        if !config.bugs.has(Bug::RosterKeepsDead) {
            self.all = self.all.minus(member, daemon.is_some());
        }
        let departed = Departed { member, daemon: daemon.is_some() && !config.bugs.has(Bug::DaemonNamed) };
        self.tell(config, told, Some(departed), out);
    }

    /// T7: who nears its end changes places with a leaf, if it has children.
    fn expiring(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A>>) {
        let Some(record) = self.record_mut(member) else { return };
        record.expiring = true;
        if self.tree.children(member).next().is_none() || config.bugs.has(Bug::ExpiringKept) {
            return;
        }
        let mut told = Vec::new();
        if let Some(leaf) = self.sound_leaf(config, member)
            && self.tree.swap(member, leaf, &mut told)
        {
            self.tell(config, told, None, out);
        }
    }

    /// The last leaf that is good for a place with children, among so many last places as a change may look at.
    fn sound_leaf(&self, config: &Config, instead: MemberId) -> Option<MemberId> {
        let last = self.tree.members().rev().take(config.scan as usize);
        let mut leaves = last.filter(|leaf| self.tree.children(*leaf).next().is_none());
        leaves.find(|leaf| *leaf != instead && self.record(*leaf).is_some_and(Record::is_sound))
    }

    /// Sees to it that a sound member is at the end, if one who departs leaves children behind: the last one fills its
    /// hole.
    fn offer_filler(&mut self, config: &Config, departs: MemberId, told: &mut Vec<MemberId>) {
        if self.tree.children(departs).next().is_none() || config.bugs.has(Bug::FillerUnsound) {
            return;
        }
        // Of those who lodge with it, the first has its place.
        let heir = self.tree.lodgers(departs).next();
        if let Some(heir) = heir {
            let sound = self.record(heir.member).is_some_and(Record::is_sound);
            if let Some(leaf) = self.sound_leaf(config, departs).filter(|_| !sound) {
                let _ = self.tree.swap(departs, leaf, told);
            }
            return;
        }
        let last = self.tree.members().next_back();
        if let (Some(last), Some(leaf)) = (last, self.sound_leaf(config, departs))
            && last != leaf
        {
            let _ = self.tree.swap(last, leaf, told);
        }
    }

    fn reshape(&mut self, config: &Config, fan_out: FanOut, out: &mut impl Effects<Effect<A>>) {
        if self.tree.reshape(fan_out) {
            self.pacing = None; // It is not measured what a round takes in a tree like this.
            self.reshape_step(config, out);
        }
    }

    /// Moves the boundary between the fan-outs by one place, and on when those whom that concerned had time to follow.
    fn reshape_step(&mut self, config: &Config, out: &mut impl Effects<Effect<A>>) {
        let mut told = Vec::new();
        let more = self.tree.reshape_step(&mut told);
        if !told.is_empty() {
            self.tell(config, told, None, out);
        }
        if more {
            out.push(Effect::SetTimer { timer: Timer::Reshape, after: config.reshape });
        }
    }

    /// Sends their assignments to those who have a new one, and the roster to the root, who must know of every change.
    fn tell(
        &mut self,
        config: &Config,
        mut told: Vec<MemberId>,
        departed: Option<Departed>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let Some(root) = self.tree.root() else {
            self.reign = None;
            self.departed_daemons.clear(); // Nobody is left who counts them.
            return;
        };
        // A life's 2^32 stamps last for some hundred million changes; then nothing moves any more until a restart.
        let Some(version) = self.tree.stamp().map(AssignmentVersion) else { return };
        let reigns = self.reign.is_some_and(|reign| reign.root == root);
        if reigns {
            self.note_departed(version, departed);
        } else {
            let term = match self.reign {
                Some(reign) if config.bugs.has(Bug::TermKept) => reign.term,
                _ => Term(version.0),
            };
            self.keep_departed(config, version, departed);
            self.reign = Some(Reign { root, term });
            self.recount = None;
        }
        if config.bugs.has(Bug::NeighbourNotTold) {
            told.pop();
        }
        if config.bugs.has(Bug::EverybodyTold) {
            told = self.tree.everybody().collect();
        }
        told.retain(|member| self.tree.contains(*member)); // A swap tells one who departs in the same step.
        told.sort_unstable();
        told.dedup();
        if !told.contains(&root) {
            told.push(root);
        }
        for member in told {
            if let Some(record) = self.record_mut(member) {
                record.version = version;
            }
            if let Some(assign) = self.assign(member) {
                out.push(Effect::Send { to: member, message: ToMember::Assign(assign) });
            }
        }
    }
}
