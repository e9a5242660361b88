//! A whole channel in one value: its controller, its members' processes, the connections between them, and faults.
//!
//! ```text
//!   controller  <--- control: one FIFO each way ---> process
//!   process     <--- wire: one for each link ------> process      the tree
//!   process     <--- direct: to the root ----------> process      senders
//!   process     <--- pipe: one for each direction --> process      what runs beside the member, past the tree
//! ```
//!
//! As in a [`Cluster`](crate::cluster::Cluster), no decision is taken here: [`Mesh::enabled`] lists what can happen,
//! [`Mesh::apply`] lets it happen. A connection delivers in order; a break loses what was under way on it, or only
//! tells both ends so after they have read it. A crash closes all of a process's connections.

mod action;
pub mod beside;
mod connections;
mod control;
mod due;
mod fault;
pub mod rules;
mod run;
mod system;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cirrus_core::channel::{Chunk, Frame, Head, Resume, Role, Roll, Submit, Tenancy, ToController, ToMember};
use cirrus_core::controller::{self, Channel};
use cirrus_core::direct;
use cirrus_core::ids::{ControllerEpoch, FanOut, LinkId, MachineId, MemberId, Round, Sequence, Term};
use cirrus_core::member::{self, Member, Outcome, Reduction};
use cirrus_core::rule::RuleName;

use crate::tally::{Broken, Tally};

pub use action::Action;
pub use beside::{Beside, Pair, Pipe, Plan};
pub use fault::Fault;
pub use rules::{Check, RULES, Rule};
pub use system::Zip;
pub(crate) use system::short;

/// Where a process listens: its number.
pub type Address = u32;

/// A piece of a payload says which it is, and what was combined with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The sending process.
    pub sender: Address,
    /// Which of its broadcasts.
    pub sequence: Sequence,
    /// Which piece, from 0.
    pub index: u32,
    /// What else is in it, in this order: whose, and of which of its calls.
    pub with: Arc<[(Address, Sequence)]>,
    /// What it is about where shuffles broadcast rosters.
    pub roll: Option<Arc<Roll<Address>>>,
}

/// The machines' configurations, and what happens.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The controller's.
    pub controller: controller::Config,
    /// The members'.
    pub member: member::Config,
    /// The tree's.
    pub fan_out: FanOut,
    /// Processes that have joined before it begins.
    pub members: u32,
    /// On which machine the first processes are; all others are alone on theirs.
    pub machines: Vec<u64>,
    /// Machines whose daemons have joined after them.
    pub daemons: Vec<u64>,
    /// How many rounds an application can take, all in all.
    pub wanted: u32,
    /// Which processes send, and how many pieces each time.
    pub sends: Vec<(Address, u32)>,
    /// Which processes handle results, in a channel where one does.
    pub handlers: Vec<Address>,
    /// What runs beside the members.
    pub beside: Option<Plan>,
    /// In a large channel of reduces: what everybody gives.
    pub everybody: Option<Everybody>,
    /// How often each fault may happen.
    pub faults: BTreeMap<Fault, u32>,
    /// Who may die; everybody when it is empty.
    pub mortal: Vec<Address>,
    /// What the controller and the members say to each other arrives at once.
    pub prompt_control: bool,
    /// Connections are made at once.
    pub prompt_links: bool,
    /// What goes over the tree arrives at once.
    pub prompt_tree: bool,
    /// What runs beside a member hears at once what the channel says.
    pub prompt_notices: bool,
    /// Direct connections past the tree are made at once.
    pub prompt_pipes: bool,
}

/// What every member that is counted gives to the reduces of a channel.
#[derive(Clone, Debug)]
pub struct Everybody {
    /// How many pieces its first value has, its second one, and so on; then it begins anew.
    pub pieces: Vec<u32>,
    /// The last round that values are given to.
    pub until: Round,
}

/// A member's connection to the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Control {
    /// On the way to the controller.
    pub up: VecDeque<ToController<Address>>,
    /// On the way to the member.
    pub down: VecDeque<ToMember<Address>>,
    /// It broke, and the member has not called again yet.
    pub cut: bool,
}

/// Whether somebody reads at an end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Yes.
    #[default]
    Open,
    /// It was closed, or has noticed that the other one was.
    Shut,
}

/// A connection for a link of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// Who calls.
    pub child: Address,
    /// Who is called.
    pub parent: Address,
    /// The call has not arrived yet.
    pub dialling: bool,
    /// It broke: who has read what is left notices.
    pub broken: bool,
    /// The child's end.
    pub child_end: End,
    /// The parent's end.
    pub parent_end: End,
    /// It goes by way of a relay.
    pub relay: bool,
    /// On the way to the parent.
    pub up: VecDeque<Frame<Address, Piece>>,
    /// On the way to the child.
    pub down: VecDeque<Frame<Address, Piece>>,
}

/// A sender's connection to the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Direct {
    /// The root's term.
    pub term: Term,
    /// The root.
    pub to: Address,
    /// The call has not arrived yet.
    pub dialling: bool,
    /// The root's end is closed.
    pub shut: bool,
    /// On the way to the root.
    pub up: VecDeque<ToRoot>,
    /// On the way from it.
    pub down: VecDeque<FromRoot>,
}

/// What goes over such a connection to the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToRoot {
    /// A piece of a sender's broadcast.
    Submit(Submit<Piece>),
    /// What one has who handles results.
    Collect(Resume),
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FromRoot {
    /// A sender may go on with this broadcast from this piece on.
    Go(Term, Sequence, u32),
    /// A piece of a result.
    Hand(Chunk<Piece>),
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its machine.
    pub machine: Arc<Member<Address, Piece>>,
    /// It lives.
    pub alive: bool,
    /// To the controller.
    pub control: Control,
    /// To the root.
    pub direct: Option<Direct>,
    /// What its application got.
    pub delivered: Vec<(Head, bool)>,
    /// What became of its broadcasts.
    pub outcomes: Vec<(Sequence, Outcome)>,
    /// Results that it has had, where one handles them.
    pub results: BTreeSet<Round>,
    /// What became of its reduces.
    pub reduced: Vec<(Round, Reduction)>,
    /// What runs beside its machine.
    pub beside: Option<Beside>,
}

/// Every timer there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The controller's.
    Controller(controller::Timer),
    /// A member's.
    Member(Address, member::Timer),
    /// That of what runs beside a member.
    Beside(Address, direct::Timer),
}

/// A whole channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mesh {
    /// The controller.
    pub controller: Arc<Channel<Address>>,
    /// The processes, by address.
    pub processes: Vec<Arc<Process>>,
    /// Which process a member is.
    pub seats: Arc<BTreeMap<MemberId, Address>>,
    /// The connections of the tree.
    pub wires: BTreeMap<LinkId, Arc<Wire>>,
    /// Connections past the tree.
    pub pipes: BTreeMap<Pair, Arc<Pipe>>,
    /// Who cannot reach each other without a relay: the lower address first.
    pub blocked: BTreeSet<(Address, Address)>,
    /// Members that live and were declared dead by a controller which has forgotten it. They bind nobody, but when all is
    /// quiet those that are members again must be like all others.
    pub forgotten: Arc<BTreeSet<MemberId>>,
    /// Timers that are set.
    pub timers: BTreeSet<Timer>,
    /// How often each fault may still happen.
    pub budget: BTreeMap<Fault, u32>,
    /// What the last step broke.
    pub broken: Vec<Broken>,
}

/// Who watches a step: the count of verdicts; and for who has a clock, the timers that it set and what it put on its
/// way.
#[derive(Debug, Default)]
pub struct Watch<'a> {
    /// The verdicts; `None` where nobody asks, and no rule is looked at.
    pub tally: Option<&'a mut Tally>,
    /// Rules of the controller that are not asked this time: those that go through all members are too slow to be
    /// asked at every step of a large channel.
    pub unasked: &'static [RuleName],
    /// The timers that were set, and for how long.
    pub set: Vec<(Timer, cirrus_core::ids::Millis)>,
    /// With what each word, frame and call that was put on its way will arrive, and each end be noticed. An action is
    /// here at least as often as it can happen because of this step; if its connection ends before, it cannot.
    pub sent: Vec<Action>,
}

impl Mesh {
    /// A channel whose first members are joining.
    #[must_use]
    pub fn new(setup: &Setup, watch: &mut Watch<'_>) -> Self {
        let mut mesh = Self {
            controller: Arc::new(Channel::new(ControllerEpoch(1), setup.fan_out)),
            processes: Vec::new(),
            seats: Arc::default(),
            wires: BTreeMap::new(),
            pipes: BTreeMap::new(),
            blocked: BTreeSet::new(),
            forgotten: Arc::default(),
            timers: BTreeSet::new(),
            budget: setup.faults.clone(),
            broken: Vec::new(),
        };
        for _ in 0..setup.members {
            mesh.apply(setup, &Action::Join, watch);
        }
        for machine in &setup.daemons {
            mesh.apply(setup, &Action::Daemon(MachineId(*machine)), watch);
        }
        mesh
    }

    /// Whether a fault may still happen.
    #[must_use]
    pub fn may(&self, fault: Fault) -> bool {
        self.budget.get(&fault).is_some_and(|left| *left > 0)
    }

    /// A process, as long as there is life in it.
    #[must_use]
    pub fn live(&self, address: Address) -> Option<&Arc<Process>> {
        self.processes.get(address as usize).filter(|process| process.listens())
    }

    /// The process of a member, dead or alive.
    #[must_use]
    pub fn of(&self, member: MemberId) -> Option<&Arc<Process>> {
        self.processes.get(*self.seats.get(&member)? as usize)
    }

    /// Whether these two cannot reach each other without a relay.
    #[must_use]
    pub fn is_blocked(&self, one: Address, other: Address) -> bool {
        !self.blocked.is_empty() && self.blocked.contains(&(one.min(other), one.max(other)))
    }

    /// Whether the controller takes somebody for a member, or will when it has heard of it.
    #[must_use]
    pub fn knows(&self, member: MemberId) -> bool {
        self.controller.tree.contains(member) || self.controller.recovery.is_some()
    }

    /// Processes whose member lives and was neither fenced nor let go.
    pub fn staying(&self) -> impl Iterator<Item = (MemberId, &Arc<Process>)> {
        // By seat, not by place: rules come here often, and a search for each member would be most of what they cost.
        self.seats.iter().filter(|(member, _)| self.controller.tree.contains(**member)).filter_map(
            |(member, address)| {
                let process = self.processes.get(*address as usize)?;
                process.listens().then_some((*member, process))
            },
        )
    }

    /// Those of them that have an application.
    pub fn applications(&self) -> impl Iterator<Item = (MemberId, &Arc<Process>)> {
        self.staying().filter(|(_, process)| !process.is_daemon())
    }

    /// Whether a member is a daemon, or was.
    #[must_use]
    pub fn is_daemon(&self, member: MemberId) -> bool {
        self.of(member).is_some_and(|process| process.is_daemon())
    }
}

impl Setup {
    /// What a process does in the channel.
    #[must_use]
    pub fn role(&self, address: Address) -> Role {
        match &self.beside {
            Some(plan) => plan.role(address),
            None if !self.member.kind.is_handled() || self.handlers.contains(&address) => Role::Both,
            None => Role::Sender,
        }
    }

    /// On which machine a process is.
    #[must_use]
    pub fn machine(&self, address: Address) -> MachineId {
        // Far from those that are named.
        let alone = (1 << 32) + u64::from(address);
        MachineId(self.machines.get(address as usize).copied().unwrap_or(alone))
    }
}

impl Piece {
    /// The only piece of a roster.
    #[must_use]
    pub fn of_roll(sender: Address, sequence: u32, roll: Arc<Roll<Address>>) -> Self {
        Self { sender, sequence: Sequence(sequence), index: 0, with: Arc::default(), roll: Some(roll) }
    }

    /// Whose values are in it, and of which calls.
    pub fn values(&self) -> impl Iterator<Item = (Address, Sequence)> {
        std::iter::once((self.sender, self.sequence)).chain(self.with.iter().copied())
    }
}

impl Process {
    /// The timer with which it calls the controller again, if it has lost it.
    #[must_use]
    pub fn calls_controller(&self) -> Option<member::Timer> {
        let contact = &self.machine.contact;
        (contact.line == member::Line::Waiting).then_some(member::Timer::Reregister(contact.losses))
    }

    /// How many broadcasts or values its application has given.
    #[must_use]
    pub fn called(&self) -> usize {
        let pending = self.machine.reduce.calls.len() as usize;
        self.outcomes.len() + self.reduced.len() + pending + usize::from(self.machine.broadcast.is_sending())
    }

    /// The last round that it has given a value to. One that has just joined has had none of those before.
    #[must_use]
    pub fn given(&self) -> Round {
        let (reduce, broadcast) = (&self.machine.reduce, &self.machine.broadcast);
        let known = reduce.answered.max(broadcast.floor()).max(broadcast.carried().unwrap_or_default());
        Round(known.0 + u64::from(reduce.calls.len()))
    }

    /// The round that its next value would be given to.
    #[must_use]
    pub fn next_round(&self) -> Round {
        Round((self.given().0 + 1).saturating_sub(self.machine.reduce.missed))
    }

    /// It has no application.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        match self.machine.tenancy {
            Tenancy::Daemon(_) => true,
            Tenancy::Lambda(_) => false,
        }
    }

    /// It lives, and its member's time is not over.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.alive && !matches!(self.machine.phase, member::Phase::Ended(_))
    }
}
