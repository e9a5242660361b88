//! A member of a channel as a task: its machines, its connections, a clock, and an application that calls.
//!
//! ```text
//!   application           this shell                               core
//!     | Send, Reduce, ... -> |  an event each ------------------>  Member, and beside it Messages and Shuffle
//!   controller               |
//!     | a word ------------> |  for the two beside it, then for the member
//!   other members            |
//!     | frames, calls -----> |  with what their connection is for
//!     |                      | <-------------------------------  effects: carried out in order before the next event
//! ```
//!
//! It decides nothing. What it adds to the machines is memory of who has called and is to be answered (`application`),
//! of which connection is for what (`connections`), and a connection to the controller that is made again (`contact`).
//! What other members say comes through one bounded queue, and whoever brings it waits while it is full: a member that is
//! slow slows those who send to it. It never waits for anybody itself.

mod application;
pub(super) mod connections;
mod contact;
mod effects;
mod machines;
mod news;
mod pacing;
mod reducing;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use cirrus_core::channel::{Role, Tenancy, ToController, ToMember};
use cirrus_core::directory::ChannelName;
use cirrus_core::ids::{CallId, ControllerEpoch, MemberId, Millis, Stamp};
use cirrus_core::member::{self, End, Kind, Member};
use cirrus_core::messages::Messages;
use cirrus_core::shuffle::Shuffle;
use cirrus_core::{direct, messages, shuffle};
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::{Address, Again, ControllerReply, ControllerRequest, Join, Lodge, PeerMessage};
use cirrus_transport::{Listener as _, Medium, Transport, TransportError};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::Instrument as _;

use self::application::Application;
use self::connections::{Connections, End as Connected, Nth, Route, Task};
use self::contact::Outbox;
use self::machines::Machines;
use self::pacing::Pacing;
use self::reducing::Results;
use super::background::Background;
use super::daemon::{House, Housed};
use super::error::ZipError;
use super::metrics;
use super::operator::Operator;
use super::relay::Registration;
use super::settings::Settings;
use super::timers::Timers;
use crate::driver::Driver;

pub(super) use application::{Answer, Call, Partition};

/// News that may wait: pieces among them are what a member holds beside its window.
const NEWS_MAX: usize = 16;
/// Words of the controller that may wait.
const CONTROLS_MAX: usize = 64;
/// Calls of the application that may wait to be taken in.
const CALLS_MAX: usize = 64;
/// The pause before a controller that recovers is asked again.
const JOIN_AGAIN: Millis = Millis(100);

/// The pause before a controller that was not reached is called again, as long as nothing has come of it.
const CALL_AGAIN: Millis = Millis(100);
/// How long a member whose application is gone tries to leave in order.
const LEAVE_WITHIN: Millis = Millis(10_000);

/// Where a process is, and how it takes part in channels.
#[derive(Clone, Debug)]
pub(super) struct Place<M> {
    pub(super) medium: M,
    pub(super) controller: Address,
    pub(super) credential: Credential,
    /// Where its members listen: at any free port of it.
    pub(super) listen: String,
    pub(super) settings: Arc<Settings>,
    /// Where they live.
    pub(super) background: Background,
}

/// What a member joins.
pub(super) struct Spec {
    pub(super) name: Arc<str>,
    pub(super) member: member::Config,
    /// What it does, where not all do the same.
    pub(super) role: Role,
    /// Who it is on its machine.
    pub(super) tenancy: Tenancy,
    /// It is a channel of shuffles.
    pub(super) shuffles: bool,
    /// In a channel of reduces.
    pub(super) operator: Option<Arc<dyn Operator>>,
    /// Its way to the daemon of its machine, once it looks for one.
    pub(super) house: Option<Arc<House>>,
}

/// A member that has joined, for its application.
pub(super) struct Joined {
    pub(super) member: MemberId,
    pub(super) calls: mpsc::Sender<Call>,
    /// How its time ended, once it has.
    pub(super) ended: Arc<OnceLock<End>>,
    /// Its way to the daemon of its machine.
    pub(super) house: Option<Arc<House>>,
}

/// What happens to a member from outside.
pub(super) enum News<M: Transport> {
    /// A call was taken, or was not.
    Dialled(Route, Nth, Result<Connected<M>, TransportError>),
    /// Somebody calls, and says what for.
    Called(Connected<M>, PeerMessage),
    /// Something is said on a connection.
    Said(Route, Nth, PeerMessage),
    /// A connection is gone.
    Ended(Route, Nth),
}

/// What comes of the connection to the controller. It goes before everything else: a probe is answered at once, however
/// much of a round waits.
enum Control {
    /// It stands.
    Up(Outbox, ControllerEpoch),
    /// It does not.
    Down(Option<TransportError>),
    /// The controller says something.
    Said(ControllerReply),
}

/// A timer of one of the machines, or of the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Member(member::Timer),
    Shuffle(direct::Timer),
    Messages(direct::Timer),
    JoinAgain,
    CallAgain,
    LeaveEnds,
}

/// An event on its way to a machine.
enum Todo {
    Member(member::Event<Address, Bytes>),
    Shuffle(shuffle::Event<Address, Bytes>),
    Messages(messages::Event<Address, Bytes>),
}

/// A member.
struct Shell<M: Transport> {
    place: Place<M>,
    spec: Spec,
    address: Address,
    inbox: mpsc::Sender<News<M>>,
    member: Driver<Member<Address, Bytes>>,
    messages: Driver<Messages<Address, Bytes>>,
    shuffle: Option<Driver<Shuffle<Address, Bytes>>>,
    /// The channel, once it is known.
    channel: Option<Stamp>,
    controller: Option<Outbox>,
    /// Has the controller called.
    calls: Arc<Notify>,
    connections: Connections,
    timers: Timers<Timer>,
    todo: VecDeque<Todo>,
    application: Application,
    /// What rounds cost: of machines, which may be a tree or a chain.
    pacing: Option<Pacing>,
    /// Machines beside the member that have not finished what they had begun, once the application leaves.
    undrained: Option<u32>,
    over: Option<End>,
    ended: Arc<OnceLock<End>>,
    _listening: Vec<Task>,
}

/// Joins a channel. It answers when the member has a place and has heard how the term stands; in a channel of reduces,
/// when it is counted: every round that begins from here on waits for it.
pub(super) async fn join<M: Medium>(place: Place<M>, spec: Spec) -> Result<Joined, ZipError> {
    let (background, channel) = (place.background.clone(), spec.name.clone());
    let joined = background.run(join_there(place, spec)).await;
    joined.unwrap_or(Err(ZipError::Left { channel }))
}

/// A lambda may have a daemon, which is given a moment to be found.
async fn join_there<M: Medium>(place: Place<M>, mut spec: Spec) -> Result<Joined, ZipError> {
    let house = house(&place, &spec);
    if let Some(house) = &house {
        spec.tenancy = house.tenancy();
        house.first().await;
    }
    spec.house.clone_from(&house);
    let Place { medium, controller, credential, listen, settings, background } = place;
    let medium = Housed::lambda(medium, house);
    join_housed(Place { medium, controller, credential, listen, settings, background }, spec).await
}

/// Where the member finds its daemon, if it may have one: shuffles go past daemons, and what a daemon cannot combine its
/// lambdas combine for each other.
fn house<M>(place: &Place<M>, spec: &Spec) -> Option<Arc<House>> {
    let socket = place.settings.daemon.clone().filter(|_| !spec.shuffles)?;
    let number = spec.operator.as_ref().map(|operator| operator.number());
    let operator = match number {
        Some(0) => return None,
        Some(number) => number,
        None => 0,
    };
    let member::Config { kind, strict, deadline, .. } = spec.member;
    let lodge = Lodge { name: ChannelName((*spec.name).into()), kind, strict, deadline, operator };
    Some(House::open(socket, place.credential, lodge, place.background.clone()))
}

/// The same for who knows its daemon, or is one.
pub(super) async fn join_housed<M: Transport>(place: Place<M>, spec: Spec) -> Result<Joined, ZipError> {
    let (inbox, news) = mpsc::channel(NEWS_MAX);
    let (address, listening) = listen(&place, &inbox).await?;
    let (controls, control) = mpsc::channel(CONTROLS_MAX);
    let redial = Arc::new(Notify::new());
    tokio::spawn(contact::keep(place.clone(), controls, Arc::clone(&redial)));
    let (answer, joined) = oneshot::channel();
    let (calls, called) = mpsc::channel(CALLS_MAX);
    let (settings, name, house) = (place.settings.clone(), spec.name.clone(), spec.house.clone());
    let tenancy = spec.tenancy;
    let results = Results::of(spec.member.kind, spec.role.receives());
    let ended = Arc::new(OnceLock::new());
    let Machines { member, messages, shuffle, seat } = Machines::new(&spec, &address, &settings);
    let connections = Connections::new(place.background.clone(), seat.map(|seat| seat.traffic()));
    let shell = Shell {
        member,
        messages,
        shuffle,
        place,
        address,
        inbox,
        channel: None,
        controller: None,
        calls: redial,
        connections,
        timers: Timers::default(),
        todo: VecDeque::new(),
        application: Application::new(spec.name.clone(), results, answer),
        spec,
        pacing: tenancy.is_daemon().then(Pacing::default),
        undrained: None,
        over: None,
        ended: ended.clone(),
        _listening: listening,
    };
    let seat = tracing::info_span!(
        "seat",
        channel = &*name,
        kind = metrics::kind(shell.spec.member.kind, shell.spec.shuffles),
        member = tracing::field::Empty,
    );
    tokio::spawn(shell.run(control, news, called).instrument(seat));
    let after = settings.deadline;
    match tokio::time::timeout(after, joined).await {
        Ok(Ok(member)) => Ok(Joined { member: member?, calls, ended, house }),
        Ok(Err(_)) => Err(ZipError::Left { channel: name }),
        Err(_) => Err(ZipError::Deadline { call: "joining", channel: name, after, waits_for: Vec::new() }),
    }
}

/// Lets others reach the member, as the settings say: where, and the tasks that take their calls.
async fn listen<M: Transport>(
    place: &Place<M>,
    inbox: &mpsc::Sender<News<M>>,
) -> Result<(Address, Vec<Task>), ZipError> {
    let (mut candidates, mut tasks) = (Vec::new(), Vec::new());
    let reachable = &place.settings.reachable;
    if reachable.listens() {
        let listener = place.medium.listen(&place.listen).await?;
        candidates.extend(listener.address().split(',').map(str::to_owned));
        tasks.push(Task::spawn(connections::listen::<M>(listener, place.credential, inbox.clone())));
    }
    if let Some(relay) = reachable.relay() {
        let registration = Registration::make(place.medium.clone(), relay, place.credential).await?;
        candidates.push(registration.candidate());
        tasks.push(Task::spawn(registration.listen(inbox.clone())));
    }
    let address = Address::new(candidates.iter().map(String::as_str));
    let address = address.map_err(|source| ZipError::Name { what: candidates.join(","), source })?;
    Ok((address, tasks))
}

impl<M: Transport> Shell<M> {
    async fn run(
        mut self,
        mut control: mpsc::Receiver<Control>,
        mut news: mpsc::Receiver<News<M>>,
        mut calls: mpsc::Receiver<Call>,
    ) {
        let mut alone = false;
        while self.over.is_none() {
            tokio::select! {
                biased;
                Some(control) = control.recv() => self.controlled(control),
                timer = self.timers.next() => self.fired(timer),
                call = calls.recv(), if !alone => match call {
                    Some(call) => self.called(call),
                    None => {
                        alone = true;
                        self.leave();
                        self.timers.set(Timer::LeaveEnds, LEAVE_WITHIN);
                    }
                },
                Some(news) = news.recv() => self.heard(news),
            }
            self.work();
            let (me, until) = (self.member.machine().id, self.counted());
            self.application.counted(me, until);
        }
        if let Some(house) = &self.spec.house {
            house.left();
        }
        if let Some(end) = self.over {
            let _ = self.ended.set(end); // It ends once.
            self.application.end(end);
        }
    }

    fn fired(&mut self, timer: Timer) {
        match timer {
            Timer::Member(timer) => self.todo.push_back(Todo::Member(member::Event::Timer(timer))),
            Timer::Shuffle(timer) => self.todo.push_back(Todo::Shuffle(shuffle::Event::Timer(timer))),
            Timer::Messages(timer) => self.todo.push_back(Todo::Messages(messages::Event::Timer(timer))),
            Timer::JoinAgain => self.ask_to_join(),
            Timer::CallAgain => self.calls.notify_one(),
            Timer::LeaveEnds => self.over = Some(End::Left),
        }
    }

    /// Who is in the next round, as far as this member knows; `None` before it has a place and has heard of a term.
    fn counted(&self) -> Option<Stamp> {
        let member = self.member.machine();
        let sync = member.broadcast.sync.as_ref()?;
        Some(match self.spec.member.kind {
            Kind::Reduce | Kind::Handled => sync.cut,
            // The root counts who is there when somebody sends.
            Kind::Broadcast => Stamp { epoch: ControllerEpoch(u32::MAX), serial: u32::MAX },
        })
    }

    /// Steps the machines as long as something is to be done, each step's effects before the next.
    fn work(&mut self) {
        while let Some(todo) = self.todo.pop_front() {
            match todo {
                Todo::Member(event) => {
                    let asked = effects::Asked::of(&event);
                    if let Some(pacing) = &mut self.pacing {
                        pacing.hears(self.member.machine(), &event);
                    }
                    let mut effects = self.member.step(event);
                    effects.drain(..).for_each(|effect| self.of_member(asked, effect));
                    self.member.recycle(effects);
                    let pacing = self.pacing.as_mut();
                    let pace = pacing.and_then(|it| it.stepped(self.member.machine(), Instant::now));
                    self.todo.extend(pace.map(|pace| Todo::Member(member::Event::Paced(pace))));
                }
                Todo::Shuffle(event) => self.shuffles(event),
                Todo::Messages(event) => {
                    let asked = effects::Talked::of(&event);
                    let mut effects = self.messages.step(event);
                    effects.drain(..).for_each(|effect| self.of_messages(asked, effect));
                    self.messages.recycle(effects);
                }
            }
        }
    }

    /// Steps the shuffles, if this is a channel of such.
    fn shuffles(&mut self, event: shuffle::Event<Address, Bytes>) {
        let Some(shuffle) = &mut self.shuffle else { return };
        let offers = matches!(event, shuffle::Event::Push { .. });
        let mut effects = shuffle.step(event);
        effects.drain(..).for_each(|effect| self.of_shuffle(effect));
        if let Some(shuffle) = &mut self.shuffle {
            shuffle.recycle(effects);
        }
        if offers && let Some(shuffling) = &mut self.application.shuffling {
            shuffling.offered = None;
        }
        self.shuffle_on();
    }

    fn ask_to_join(&mut self) {
        if self.channel.is_some() {
            return;
        }
        let request = ControllerRequest::Join(Join {
            call: CallId(1),
            name: ChannelName((*self.spec.name).into()),
            kind: self.spec.member.kind,
            address: self.address.clone(),
            role: self.spec.role,
            tenancy: self.spec.tenancy,
        });
        self.request(request);
    }

    /// Says something to the controller. What finds no connection is lost.
    fn request(&self, request: ControllerRequest) {
        if let Some(outbox) = &self.controller {
            let _ = outbox.send(request);
        }
    }

    fn tell_controller(&self, message: ToController<Address>) {
        let (Some(channel), Some(member)) = (self.channel, self.member.machine().id) else { return };
        self.request(match message {
            ToController::Hello(registration) => ControllerRequest::Again(Again {
                channel,
                member,
                name: ChannelName((*self.spec.name).into()),
                kind: self.spec.member.kind,
                registration,
            }),
            message => ControllerRequest::From { channel, member, message },
        });
    }

    /// Every machine hears every word of the controller, the member last.
    fn told(&mut self, word: ToMember<Address>) {
        if self.shuffle.is_some() {
            self.todo.push_back(Todo::Shuffle(shuffle::Event::Controller(word.clone())));
        }
        self.todo.push_back(Todo::Messages(messages::Event::Controller(word.clone())));
        self.todo.push_back(Todo::Member(member::Event::Controller(word)));
    }

    /// The application wants to leave: what runs beside the member finishes first.
    fn leave(&mut self) {
        if self.channel.is_none() {
            // Nobody has let it in yet, or nobody has said so.
            self.over = Some(End::Left);
        }
        if self.undrained.is_some() {
            return;
        }
        self.undrained = Some(1 + u32::from(self.shuffle.is_some()));
        if self.shuffle.is_some() {
            self.todo.push_back(Todo::Shuffle(shuffle::Event::Leave));
        }
        self.todo.push_back(Todo::Messages(messages::Event::Leave));
    }

    /// One of those beside the member has finished.
    fn drained(&mut self) {
        self.undrained = self.undrained.map(|count| count.saturating_sub(1));
        if self.undrained == Some(0) {
            self.todo.push_back(Todo::Member(member::Event::Leave));
        }
    }

    /// The time of one of the machines is over, and so is that of the others.
    fn ended(&mut self, end: End) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(end);
        match end {
            End::Left => tracing::debug!("left"),
            End::Fenced => tracing::warn!("this member was declared dead"),
            End::Overdue => tracing::warn!("this member has gone without being let go"),
        }
        self.told(match end {
            End::Left => ToMember::Released,
            End::Fenced | End::Overdue => ToMember::Fenced, // It has gone without being let go.
        });
    }
}

/// What a channel of this kind wants of its members.
pub(super) fn config(settings: &Settings, kind: Kind) -> member::Config {
    member::Config { kind, ..settings.member.clone() }
}

/// Whether the controller can be reached, and admits this process.
pub(super) async fn try_controller<M: Transport>(place: Place<M>) -> Result<(), ZipError> {
    let background = place.background.clone();
    let call = async move { connections::call(&place.medium, &place.controller, place.credential).await };
    match background.run(call).await {
        Some(reached) => Ok(reached.map(drop)?),
        None => Err(ZipError::Thread(std::io::Error::other("the runtime of this process's members is gone"))),
    }
}
