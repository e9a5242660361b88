//! What runs beside every member of a channel and speaks past its tree: shuffles, or messages from one to another.
//!
//! ```text
//!   process { member, beside }  --- pipe: things, and what it has ---> process      one for each direction of a pair
//! ```
//!
//! It hears every word of the controller that the member hears, and says its own over the same connection. No decision is
//! taken here: `pipes` lets connections be made, deliver and break, `action` lists what can happen, and the other two say
//! what applications do.

mod action;
pub mod messages;
mod pipes;
pub mod shuffles;

use std::collections::VecDeque;
use std::sync::Arc;

use cirrus_core::channel::{Role, ToMember};
use cirrus_core::direct::{self, Have, LineEvent, Peer};
use cirrus_core::ids::{MemberId, Position};
use cirrus_core::member::{self, Phase};
use cirrus_core::messages::{self as machine, Messages, Part};
use cirrus_core::shuffle::{self, Parcel, Shuffle};

use super::run::{Inner, Run};
use super::{Action, Address, End};
use messages::Talking;
use shuffles::Shuffling;

/// A direct connection: who calls whom.
pub type Pair = (Address, Address);

/// What runs beside the members of a channel, and what its applications do.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Shuffles.
    Shuffles(shuffles::Plan),
    /// Messages.
    Messages(messages::Plan),
}

/// What runs beside a member, with its application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Beside {
    /// Shuffles.
    Shuffles(Arc<Shuffling>),
    /// Messages.
    Messages(Arc<Talking>),
}

/// What travels on a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Of a shuffle.
    Parcel(Parcel<shuffles::Piece>),
    /// Of a message.
    Part(Part<messages::Piece>),
}

/// A direct connection between two members, past the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pipe {
    /// The call has not arrived yet.
    pub dialling: bool,
    /// It broke: who has read what is left notices.
    pub broken: bool,
    /// The called one has said that the caller was declared dead.
    pub refused: bool,
    /// The caller's end.
    pub caller_end: End,
    /// The other end.
    pub called_end: End,
    /// On the way from the caller.
    pub up: VecDeque<(Position, Item)>,
    /// On the way to the caller.
    pub down: VecDeque<Have>,
}

/// What a member knows of a peer, whatever travels between them.
#[derive(Clone, Copy, Debug)]
pub struct PeerView {
    /// It is gone.
    pub gone: bool,
    /// The next position that is needed of it.
    pub next: Position,
    /// It has taken everything before this.
    pub first: Position,
    /// It has said on this connection how far it is.
    pub told: bool,
    /// Something is awaited over a connection with it that stands.
    pub awaited: bool,
}

/// Something that every machine which speaks past the tree takes.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// The controller says something.
    Word(ToMember<Address>),
    /// The connection to the controller stands again.
    ControllerUp,
    /// Something happens on a direct connection.
    Line(LineEvent<Item>),
    /// A timer fired.
    Timer(direct::Timer),
    /// The application wants to leave.
    Leave,
}

impl Plan {
    /// What the process of this address does in a shuffle.
    #[must_use]
    pub fn role(&self, address: Address) -> Role {
        match self {
            Self::Shuffles(plan) => plan.roles.get(address as usize).copied().unwrap_or(plan.joins_as),
            Self::Messages(_) => Role::Both,
        }
    }

    /// The same, in which applications do nothing.
    #[must_use]
    pub fn silent(&self) -> Self {
        match self.clone() {
            Self::Shuffles(plan) => Self::Shuffles(shuffles::Plan { rounds: 0, follows: false, ..plan }),
            Self::Messages(plan) => Self::Messages(messages::Plan { script: Vec::new(), ..plan }),
        }
    }

    /// The limits of its direct connections.
    #[must_use]
    pub fn limits(&self) -> &direct::Limits {
        match self {
            Self::Shuffles(plan) => &plan.config.limits,
            Self::Messages(plan) => &plan.config.limits,
        }
    }

    /// Its size, in words.
    #[must_use]
    pub fn bounds(&self) -> String {
        match self {
            Self::Shuffles(plan) => format!("{} rounds, {} pieces a pair", plan.rounds, plan.pieces),
            Self::Messages(plan) => {
                let said = plan.script.iter().filter(|(_, deed)| matches!(deed, messages::Deed::Say(..)));
                format!("{} messages", said.count())
            }
        }
    }

    /// What runs beside a member that has not joined yet.
    #[must_use]
    pub fn begin(&self) -> Beside {
        match self {
            Self::Shuffles(_) => Beside::Shuffles(Arc::default()),
            Self::Messages(_) => Beside::Messages(Arc::default()),
        }
    }
}

impl Beside {
    /// Who it takes itself for.
    #[must_use]
    pub fn id(&self) -> Option<MemberId> {
        match self {
            Self::Shuffles(it) => it.machine.id,
            Self::Messages(it) => it.machine.id,
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Shuffles(it) => it.machine.phase,
            Self::Messages(it) => it.machine.phase,
        }
    }

    /// Its shuffles, if it is that.
    #[must_use]
    pub fn shuffles(&self) -> Option<&Shuffling> {
        match self {
            Self::Shuffles(it) => Some(it),
            Self::Messages(_) => None,
        }
    }

    /// Its messages, if it is that.
    #[must_use]
    pub fn messages(&self) -> Option<&Talking> {
        match self {
            Self::Messages(it) => Some(it),
            Self::Shuffles(_) => None,
        }
    }

    /// The machine of its shuffles.
    #[must_use]
    pub fn shuffle(&self) -> Option<&Shuffle<Address, shuffles::Piece>> {
        self.shuffles().map(|it| &*it.machine)
    }

    /// The machine of its messages.
    #[must_use]
    pub fn talks(&self) -> Option<&Messages<Address, messages::Piece>> {
        self.messages().map(|it| &*it.machine)
    }

    /// What it knows of a peer.
    #[must_use]
    pub fn peer(&self, member: MemberId) -> Option<PeerView> {
        match self {
            Self::Shuffles(it) => it.machine.lines.peers.get(&member).map(PeerView::of),
            Self::Messages(it) => it.machine.lines.peers.get(&member).map(PeerView::of),
        }
    }
}

impl PeerView {
    fn of<T: Clone>(peer: &Peer<Address, T>) -> Self {
        let (first, told) = (peer.out.first, peer.out.sent.is_some());
        Self { gone: peer.gone, next: peer.inbox.next, first, told, awaited: peer.is_awaited() }
    }
}

impl Run<'_, '_> {
    /// What happens past the tree.
    pub(super) fn past_the_tree(&mut self, action: Action) {
        match action {
            Action::Notice(address) => self.notice(address),
            Action::ConnectPipe(pair) => self.connect_pipe(pair),
            Action::PipeUp(pair) => self.pipe_up(pair),
            Action::PipeDown(pair) => self.pipe_down(pair),
            Action::Take(address) => self.for_shuffle(address, shuffle::Event::Take(1)),
            Action::Call(address) => match self.setup.beside {
                Some(Plan::Shuffles(_)) => self.for_shuffle(address, shuffle::Event::Shuffle),
                Some(Plan::Messages(_)) => self.do_next(address),
                None => {}
            },
            Action::BreakPipe(pair, kept) => self.break_pipe(pair, kept),
            Action::Repeat(pair) => self.repeat(pair),
            Action::Overtake(pair) => self.overtake(pair),
            _ => {} // Over the tree, or at the controller.
        }
    }

    /// Something that every machine which speaks past the tree takes, for the one beside a member.
    pub(super) fn for_beside(&mut self, address: Address, news: News) {
        let beside = self.mesh.processes.get(address as usize).and_then(|it| it.beside.as_ref());
        match beside {
            None => {}
            Some(Beside::Shuffles(_)) => {
                let event = match news {
                    News::Word(word) => Some(shuffle::Event::Controller(word)),
                    News::ControllerUp => Some(shuffle::Event::ControllerUp),
                    News::Line(event) => of_kind(event, Item::parcel).map(shuffle::Event::Line),
                    News::Timer(timer) => Some(shuffle::Event::Timer(timer)),
                    News::Leave => Some(shuffle::Event::Leave),
                };
                self.todo.extend(event.map(|event| Inner::Shuffle(address, event)));
            }
            Some(Beside::Messages(_)) => {
                let event = match news {
                    News::Word(word) => Some(machine::Event::Controller(word)),
                    News::ControllerUp => Some(machine::Event::ControllerUp),
                    News::Line(event) => of_kind(event, Item::part).map(machine::Event::Line),
                    News::Timer(timer) => Some(machine::Event::Timer(timer)),
                    News::Leave => Some(machine::Event::Leave),
                };
                self.todo.extend(event.map(|event| Inner::Messages(address, event)));
            }
        }
    }

    /// The time of what runs beside a member is over: the member is told so, if it does not know.
    pub(super) fn beside_over(&mut self, address: Address, end: member::End) {
        self.to(address, member::Event::Controller(word_of(end)));
    }

    /// A member's time is over: what runs beside it is told so, if it does not know.
    pub(super) fn over(&mut self, address: Address, end: member::End) {
        self.for_beside(address, News::Word(word_of(end)));
    }
}

/// What the controller would say of it.
fn word_of(end: member::End) -> ToMember<Address> {
    match end {
        member::End::Left => ToMember::Released,
        member::End::Fenced | member::End::Overdue => ToMember::Fenced, // It has gone without being let go.
    }
}

/// The same event, of what this kind of machine sends.
fn of_kind<T>(event: LineEvent<Item>, kind: fn(Item) -> Option<T>) -> Option<LineEvent<T>> {
    Some(match event {
        LineEvent::Up(it) => LineEvent::Up(it),
        LineEvent::Down(it) => LineEvent::Down(it),
        LineEvent::Refused(it) => LineEvent::Refused(it),
        LineEvent::Have { from, have } => LineEvent::Have { from, have },
        LineEvent::Called(it) => LineEvent::Called(it),
        LineEvent::CallerDown(it) => LineEvent::CallerDown(it),
        LineEvent::Item { from, position, item } => LineEvent::Item { from, position, item: kind(item)? },
    })
}

impl Item {
    fn parcel(self) -> Option<Parcel<shuffles::Piece>> {
        match self {
            Self::Parcel(parcel) => Some(parcel),
            Self::Part(_) => None,
        }
    }

    fn part(self) -> Option<Part<messages::Piece>> {
        match self {
            Self::Part(part) => Some(part),
            Self::Parcel(_) => None,
        }
    }
}
