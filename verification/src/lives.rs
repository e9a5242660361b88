//! A directory's lives, one after the other: its process, its disk, and members that outlive it.
//!
//! ```text
//!  process  --- Persist ---> on its way ---> disk      a crash loses what is on its way, and the process
//!  process  <-- Again ------ members                   with their real registrations
//! ```
//!
//! What the directory and the members say to each other arrives at once: how that goes wrong is explored in
//! [`zip`](crate::zip). Here it is asked which life answers under which epoch, and who is given which id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cirrus_core::channel::{Role, Tenancy, ToMember};
use cirrus_core::directory::{
    Again, ChannelName, Config, Credential, Directory, Effect, Event, Join, Limits, Phase, Token,
};
use cirrus_core::ids::{CallId, ChannelId, ControllerEpoch, JobId, MachineId, MemberId};
use cirrus_core::machine::Machine as _;
use cirrus_core::member::{self, Kind, Member};
use cirrus_core::rule::{RuleName, Step, Verdict};
use cirrus_core::{controller, directory};

use crate::system::{self, End, System, Witness};
use crate::tally::{Broken, Part, Tally};
use crate::zip::{Address, Piece};

/// What may go wrong, and how often; and joins, which need a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process dies.
    Crash,
    /// The disk reports a failure: the write took place or it did not.
    Disk,
    /// Somebody joins.
    Join,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Disk => "failure of the disk",
            Self::Join => "join",
        }
    }
}

/// A rule over all lives.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// What it says of a state.
    pub check: fn(&Lives) -> Verdict,
}

/// Two lives have two epochs.
pub const ONE_LIFE: Rule =
    Rule { name: RuleName { promise: "M4", name: "an epoch is that of one life" }, check: one_life };
/// Two members of a channel have two ids.
pub const GIVEN_ONCE: Rule = Rule {
    name: RuleName { promise: "M4", name: "no id is given twice, in whatever life" },
    check: given_once,
};

/// All of them.
pub const RULES: &[Rule] = &[ONE_LIFE, GIVEN_ONCE];

/// A member, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// In which channel.
    pub channel: ChannelId,
    /// Who it is, as it was told.
    pub member: MemberId,
    /// In which life it was let in.
    pub since: u32,
    /// The life that it has a connection to.
    pub connected: u32,
    /// Its machine.
    pub machine: Arc<Member<Address, Piece>>,
}

/// An epoch on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    epoch: ControllerEpoch,
    /// It is there, and the process does not know yet.
    done: bool,
}

/// All lives so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lives {
    /// The process, if it runs.
    pub directory: Option<Arc<Directory<Address>>>,
    /// What the disk holds.
    pub disk: Option<ControllerEpoch>,
    /// What is on its way there.
    pub write: Option<Write>,
    /// How many times the process was started.
    pub life: u32,
    /// Under which epoch each life has said anything.
    pub answered: BTreeSet<(ControllerEpoch, u32)>,
    /// Who was let in, in that order.
    pub seats: Vec<Seat>,
    /// The directory's window is open.
    pub window: bool,
    /// Channels whose windows are open.
    pub windows: BTreeSet<ChannelId>,
    /// How often each fault may still happen.
    pub budget: BTreeMap<Fault, u32>,
    /// What the last step broke.
    pub broken: Vec<Broken>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process is started.
    Start,
    /// What is on its way reaches the disk.
    Write,
    /// The process hears that it has.
    Report,
    /// Who administers opens the job.
    Open,
    /// A member calls again.
    Call(usize),
    /// A channel has waited long enough.
    Recovered(ChannelId),
    /// So has the directory.
    WindowEnds,
    /// Somebody joins.
    Join,
    /// A fault: the process dies.
    Crash,
    /// A fault: the process hears that a write has failed.
    Fail,
}

/// A directory with a disk, one job, and one name.
#[derive(Clone, Debug)]
pub struct Restarts {
    /// The directory's.
    pub config: Config,
    /// How often each fault may happen.
    pub faults: BTreeMap<Fault, u32>,
    /// What must be seen.
    pub witnesses: &'static [Witness<Lives>],
}

/// No daemon ever comes to this machine.
const ALONE: Tenancy = Tenancy::Lambda(MachineId(0));
const JOB: JobId = JobId(1);
const CREDENTIAL: Credential = Credential { job: JOB, token: Token([1; 32]) };

fn name() -> ChannelName {
    ChannelName("a".into())
}

fn one_life(lives: &Lives) -> Verdict {
    let epochs: BTreeSet<ControllerEpoch> = lives.answered.iter().map(|(epoch, _)| *epoch).collect();
    match lives.answered.len() {
        0 | 1 => Verdict::Idle,
        lives => Verdict::from_bool(epochs.len() == lives, "two lives have answered under one epoch"),
    }
}

fn given_once(lives: &Lives) -> Verdict {
    let given: BTreeSet<_> = lives.seats.iter().map(|seat| (seat.channel, seat.member)).collect();
    match lives.seats.len() {
        0 | 1 => Verdict::Idle,
        members => Verdict::from_bool(given.len() == members, "two members of a channel were given one id"),
    }
}

impl Seat {
    /// Its time is not over.
    fn stays(&self) -> bool {
        !matches!(self.machine.phase, member::Phase::Ended(_))
    }
}

impl Lives {
    fn may(&self, fault: Fault) -> bool {
        self.budget.get(&fault).is_some_and(|left| *left > 0)
    }

    fn spend(&mut self, fault: Fault) {
        if let Some(left) = self.budget.get_mut(&fault) {
            *left = left.saturating_sub(1);
        }
    }

    /// The directory, if it answers.
    #[must_use]
    pub fn answers(&self) -> Option<&Directory<Address>> {
        let directory = self.directory.as_deref()?;
        matches!(directory.phase, Phase::Recovering | Phase::Serving).then_some(directory)
    }

    fn by_itself(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let failed = self.directory.as_ref().is_some_and(|it| it.phase == Phase::Failed);
        if self.directory.is_none() || failed {
            return vec![Action::Start]; // Whoever looks after it starts it again.
        }
        if let Some(write) = self.write {
            actions.push(if write.done { Action::Report } else { Action::Write });
        }
        let Some(directory) = self.answers() else { return actions };
        actions.extend((!directory.jobs.contains(&JOB)).then_some(Action::Open));
        let cut = |seat: &Seat| seat.stays() && seat.connected < self.life;
        actions.extend((0..).zip(&self.seats).filter(|(_, it)| cut(it)).map(|(nth, _)| Action::Call(nth)));
        actions.extend(self.windows.iter().copied().map(Action::Recovered));
        actions.extend(self.window.then_some(Action::WindowEnds));
        actions
    }

    fn effect(&mut self, effect: Effect<Address>) {
        if let Some(directory) = &self.directory
            && !matches!(effect, Effect::Persist(_) | Effect::CannotBegin)
        {
            self.answered.insert((directory.stamp.epoch, self.life));
        }
        match effect {
            Effect::Persist(epoch) => self.write = Some(Write { epoch, done: false }),
            Effect::SetWindow { .. } => self.window = true,
            Effect::Channel { channel, effect } => match effect {
                controller::Effect::Accept { member, .. } => {
                    let address = Address::try_from(self.seats.len()).unwrap_or(Address::MAX);
                    let machine = Arc::new(Member::new(address, Role::Both, ALONE));
                    let (since, connected) = (self.life, self.life);
                    self.seats.push(Seat { channel, member, since, connected, machine });
                }
                controller::Effect::Send { to, message } => self.say(channel, to, message),
                controller::Effect::SetTimer { timer: controller::Timer::Recovery, .. } => {
                    self.windows.insert(channel);
                }
                controller::Effect::ClearTimer(controller::Timer::Recovery) => {
                    self.windows.remove(&channel);
                }
                controller::Effect::Refuse { .. }
                | controller::Effect::SetTimer { .. }
                | controller::Effect::ClearTimer(_) => {}
            },
            Effect::Ready(_)
            | Effect::CannotBegin
            | Effect::Opened(_)
            | Effect::Closed(_)
            | Effect::Refuse { .. }
            | Effect::Reject(_) => {}
        }
    }

    /// A word for a member, which may be the newest with this id.
    fn say(&mut self, channel: ChannelId, to: MemberId, message: ToMember<Address>) {
        let life = self.life;
        let mut seats = self.seats.iter_mut().rev();
        let seat = seats.find(|it| (it.channel, it.member, it.connected) == (channel, to, life));
        let Some(seat) = seat else { return };
        let config = crate::worlds::zip::calm(cirrus_core::bug::Bugs::default()).setup.member;
        let heard = member::Event::Controller(message);
        Arc::make_mut(&mut seat.machine).step(&config, heard, &mut Vec::new());
    }

    fn event(&mut self, action: Action) -> Option<Event<Address>> {
        Some(match action {
            Action::Start => {
                self.directory = Some(Arc::default());
                (self.life, self.write) = (self.life + 1, None);
                Event::Started { last: self.disk }
            }
            Action::Write => {
                if let Some(write) = &mut self.write {
                    write.done = true;
                    self.disk = Some(write.epoch);
                }
                return None;
            }
            Action::Report => Event::Persisted(self.write.take()?.epoch),
            Action::Open => {
                let limits = Limits { channels_max: 1, members_max: 3 };
                Event::Open { call: CallId(0), job: JOB, token: CREDENTIAL.token, limits }
            }
            Action::Call(nth) => {
                let seat = self.seats.get_mut(nth)?;
                seat.connected = self.life;
                let (channel, member) = (seat.channel, seat.member);
                let registration = seat.machine.registration();
                let credential = CREDENTIAL;
                Event::Again(Again {
                    credential,
                    channel,
                    name: name(),
                    kind: Kind::Broadcast,
                    member,
                    registration,
                })
            }
            Action::Recovered(channel) => {
                self.windows.remove(&channel);
                Event::Timer { channel, timer: controller::Timer::Recovery }
            }
            Action::WindowEnds => {
                self.window = false;
                Event::WindowEnds(self.directory.as_ref()?.stamp.epoch)
            }
            Action::Join => {
                self.spend(Fault::Join);
                let (call, credential, address) = (CallId(0), CREDENTIAL, 0);
                let (name, kind, role) = (name(), Kind::Broadcast, Role::Both);
                Event::Join(Join { call, credential, name, kind, address, role, tenancy: ALONE })
            }
            Action::Crash => {
                self.spend(Fault::Crash);
                (self.directory, self.write, self.window) = (None, None, false);
                self.windows.clear();
                return None;
            }
            Action::Fail => {
                self.spend(Fault::Disk);
                Event::PersistFailed(self.write.take()?.epoch)
            }
        })
    }
}

impl System for Restarts {
    type State = Lives;
    type Action = Action;

    fn initial(&self, _: &mut Tally) -> Lives {
        Lives {
            directory: None,
            disk: None,
            write: None,
            life: 0,
            answered: BTreeSet::new(),
            seats: Vec::new(),
            window: false,
            windows: BTreeSet::new(),
            budget: self.faults.clone(),
            broken: Vec::new(),
        }
    }

    fn enabled(&self, lives: &Lives) -> Vec<Action> {
        let mut actions = lives.by_itself();
        let joins = lives.may(Fault::Join) && lives.answers().is_some_and(|it| it.jobs.contains(&JOB));
        actions.extend(joins.then_some(Action::Join));
        actions.extend((lives.may(Fault::Crash) && lives.directory.is_some()).then_some(Action::Crash));
        actions.extend((lives.may(Fault::Disk) && lives.write.is_some()).then_some(Action::Fail));
        actions
    }

    fn apply(&self, lives: &mut Lives, action: &Action, tally: Option<&mut Tally>) {
        lives.broken.clear();
        let Some(event) = lives.event(*action) else { return };
        let Some(machine) = &mut lives.directory else { return };
        let (before, mut effects) = (Arc::clone(machine), Vec::new());
        Arc::make_mut(machine).step(&self.config, event.clone(), &mut effects);
        if let Some(tally) = tally {
            let (config, after) = (&self.config, &**machine);
            let step = Step { config, before: &*before, event: &event, effects: &effects, after };
            tally.step(Part::Directory, &step, &mut lives.broken);
        }
        // Who is turned away has no connection again, and will call once more.
        if let Action::Call(nth) = *action
            && effects.iter().any(|effect| matches!(effect, Effect::Reject(_)))
            && let Some(seat) = lives.seats.get_mut(nth)
        {
            seat.connected = 0;
        }
        for effect in effects {
            lives.effect(effect);
        }
    }

    fn broken(&self, lives: &Lives, tally: &mut Tally) -> Vec<Broken> {
        let mut broken = lives.broken.clone();
        for (place, rule) in RULES.iter().enumerate() {
            tally.add(Part::Lives, place, rule.name, (rule.check)(lives), &mut broken);
        }
        broken
    }

    fn fair(&self, lives: &Lives) -> Option<Action> {
        lives.by_itself().into_iter().next()
    }

    fn end(&self, lives: &Lives) -> Option<End> {
        let serves = lives.answers().filter(|directory| directory.phase == Phase::Serving);
        let has = |directory: &Directory<Address>, seat: &Seat| {
            let listed = directory.channels.get(&seat.channel);
            listed.is_some_and(|listed| listed.channel.tree.contains(seat.member))
        };
        let all = serves.is_some_and(|it| lives.seats.iter().all(|seat| !seat.stays() || has(it, seat)));
        Some(End { good: all, steps_max: 20 })
    }

    fn witnesses(&self) -> &'static [Witness<Lives>] {
        self.witnesses
    }

    fn kind(&self, action: &Action) -> &'static str {
        match action {
            Action::Start => "start",
            Action::Write => "write",
            Action::Report => "report",
            Action::Open => "open",
            Action::Call(_) => "call",
            Action::Recovered(_) => "end of a channel's window",
            Action::WindowEnds => "end of the window",
            Action::Join => Fault::Join.name(),
            Action::Crash => Fault::Crash.name(),
            Action::Fail => Fault::Disk.name(),
        }
    }

    fn kinds(&self) -> Vec<&'static str> {
        system::names(&self.faults, Fault::name)
    }

    fn describe(&self, _: &Lives, action: &Action) -> String {
        crate::zip::short(&crate::cluster::compact(&format!("{action:?}")))
    }

    fn bounds(&self) -> String {
        system::in_words(&self.faults, Fault::name)
    }
}

/// Whether the directory has a channel of an earlier life with a member of this one in it.
pub(crate) fn is_mixed(lives: &Lives) -> bool {
    let Some(directory) = lives.answers() else { return false };
    let epoch = directory.stamp.epoch;
    let mixed = |id: &ChannelId, listed: &directory::Listed<Address>| {
        id.stamp.epoch < epoch && listed.channel.tree.members().any(|member| member.stamp.epoch == epoch)
    };
    directory.channels.iter().any(|(id, listed)| mixed(id, listed))
}
