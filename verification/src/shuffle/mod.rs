//! A channel that shuffles, in one value: its controller, the members with their shuffles, direct connections, faults.
//!
//! ```text
//!   controller  <--- words, at once unless cut off ---> process { member, shuffle, application }
//!   process     <--- the tree: at once ---------------> process      rosters wait to be heard
//!   process     --- wire: things, and what it has ----> process      one for each direction of a pair
//! ```
//!
//! What is left to chance is what shuffles are about: when a member hears of a roster, what arrives on direct
//! connections, and what breaks. The tree below, which has worlds of its own (see [`zip`](crate::zip)), carries out all
//! that follows from a step in that step. No decision is taken here. Applications send as soon as they may.

mod action;
mod connections;
pub mod rules;
mod run;
mod system;
mod tree;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cirrus_core::channel::{Role, Roll, RoundId};
use cirrus_core::controller::{self, Channel};
use cirrus_core::direct::{self, Have};
use cirrus_core::ids::{ControllerEpoch, FanOut, LinkId, MemberId, Position, Stamp, Term};
use cirrus_core::member::{self, Member, Phase};
use cirrus_core::shuffle::{self, Parcel, Shuffle};

use crate::tally::{Broken, Tally};
use crate::zip::{Address, End};

pub use action::{Action, Fault, Pair};
pub use rules::{Check, RULES, Rule};
pub use system::Shuffles;

/// Records say from whom to whom they are, in which round, and which they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The sending process.
    pub from: Address,
    /// The round.
    pub round: RoundId,
    /// The receiver.
    pub to: MemberId,
    /// Which of those for it.
    pub nth: u32,
}

/// The machines' configurations, and what happens.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The controller's.
    pub controller: controller::Config,
    /// The members'.
    pub member: member::Config,
    /// The shuffles'.
    pub shuffle: shuffle::Config,
    /// The tree's.
    pub fan_out: FanOut,
    /// The roles of the processes that are in when it begins.
    pub roles: Vec<Role>,
    /// That of those who join later.
    pub joins_as: Role,
    /// How many rounds there are.
    pub rounds: u64,
    /// How many pieces a sender has for each receiver.
    pub pieces: u32,
    /// Whose application takes one piece at a time.
    pub slow: Vec<Address>,
    /// How often each fault may happen.
    pub faults: BTreeMap<Fault, u32>,
    /// Who may die, or be declared dead; everybody when it is empty.
    pub mortal: Vec<Address>,
    /// Rosters are heard at once.
    pub prompt_rosters: bool,
    /// Connections are made at once.
    pub prompt_calls: bool,
}

/// A direct connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// The call has not arrived yet.
    pub dialling: bool,
    /// It broke: who has read what is left notices.
    pub broken: bool,
    /// The caller's end.
    pub caller_end: End,
    /// The other end.
    pub called_end: End,
    /// On the way from the caller.
    pub up: VecDeque<(Position, Parcel<Piece>)>,
    /// On the way to the caller.
    pub down: VecDeque<Have>,
}

/// What a channel says to the shuffle beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// A roster: a round, who hears of it, and the members.
    Roster(RoundId, Stamp, Roll<Address>),
    /// The shuffle's own roster has gone its way.
    Convened,
}

/// Which side of a round a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What was received.
    Received,
    /// What was sent.
    Sent,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its member.
    pub member: Arc<Member<Address, Roll<Address>>>,
    /// Its shuffles.
    pub shuffle: Arc<Shuffle<Address, Piece>>,
    /// It lives.
    pub alive: bool,
    /// Its connection to the controller is gone.
    pub cut: bool,
    /// What the channel has said and the shuffle has not heard.
    pub unheard: VecDeque<Word>,
    /// The last round that the application has begun.
    pub begun: RoundId,
    /// Which piece it has for whom next; `None` if it is not sending.
    pub next: Option<u32>,
    /// What it was allowed to send.
    pub pushed: Vec<Piece>,
    /// What it got, from whom.
    pub got: Vec<(MemberId, Piece)>,
    /// How its rounds ended.
    pub verdicts: Vec<(RoundId, Side, Vec<MemberId>)>,
}

/// Every timer there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The controller's.
    Controller(controller::Timer),
    /// A member's.
    Member(Address, member::Timer),
    /// A shuffle's.
    Shuffle(Address, direct::Timer),
}

/// A whole channel that shuffles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The controller.
    pub controller: Arc<Channel<Address>>,
    /// The processes, by address.
    pub processes: Vec<Arc<Process>>,
    /// Which process a member is.
    pub seats: Arc<BTreeMap<MemberId, Address>>,
    /// The tree's links that stand: child and parent.
    pub links: Arc<BTreeMap<LinkId, (Address, Address)>>,
    /// Senders' connections to the root: in which term, to whom.
    pub roots: Arc<BTreeMap<Address, (Term, Address)>>,
    /// Direct connections, by caller and called.
    pub wires: BTreeMap<(Address, Address), Arc<Wire>>,
    /// Timers that are set.
    pub timers: BTreeSet<Timer>,
    /// How often each fault may still happen.
    pub budget: BTreeMap<Fault, u32>,
    /// What the last step broke.
    pub broken: Vec<Broken>,
}

impl Group {
    /// A channel whose first members have joined.
    #[must_use]
    pub fn new(setup: &Setup, tally: Option<&mut Tally>) -> Self {
        let mut group = Self {
            controller: Arc::new(Channel::new(ControllerEpoch(1), setup.fan_out)),
            processes: Vec::new(),
            seats: Arc::default(),
            links: Arc::default(),
            roots: Arc::default(),
            wires: BTreeMap::new(),
            timers: BTreeSet::new(),
            budget: BTreeMap::new(),
            broken: Vec::new(),
        };
        let mut tally = tally;
        for _ in &setup.roles {
            group.apply(setup, &Action::Join, tally.as_deref_mut());
        }
        group.budget.clone_from(&setup.faults);
        group
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

    /// Processes whose member lives and was neither fenced nor let go.
    pub fn staying(&self) -> impl Iterator<Item = (MemberId, &Arc<Process>)> {
        self.controller.tree.members().filter_map(|member| {
            let process = self.of(member)?;
            process.listens().then_some((member, process))
        })
    }
}

impl Process {
    /// It lives, and its member's time is not over.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.alive && !matches!(self.member.phase, Phase::Ended(_))
    }

    /// What it got from a member in a round.
    pub fn got_from(&self, from: MemberId, round: RoundId) -> impl Iterator<Item = Piece> {
        let of = move |(sender, piece): &&(MemberId, Piece)| *sender == from && piece.round == round;
        self.got.iter().filter(of).map(|(_, piece)| *piece)
    }

    /// What it was allowed to send to a member in a round.
    pub fn pushed_to(&self, to: MemberId, round: RoundId) -> impl Iterator<Item = Piece> {
        self.pushed.iter().copied().filter(move |piece| piece.to == to && piece.round == round)
    }

    /// Who was lost in a round, if it has ended.
    #[must_use]
    pub fn verdict(&self, round: RoundId, side: Side) -> Option<&[MemberId]> {
        let of = |(of, about, _): &&(RoundId, Side, Vec<MemberId>)| (*of, *about) == (round, side);
        self.verdicts.iter().find(of).map(|(_, _, lost)| lost.as_slice())
    }
}
