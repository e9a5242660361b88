//! What is said in a channel, in words.

use cirrus_core::channel::{
    Assign, Contribution, Frame, Head, Missing, Piece, Registration, Report, Resume, Spoil, Standing, Sync,
    ToController, ToMember, Try,
};
use cirrus_core::direct::Have;
use cirrus_core::ids::{MemberId, Stamp};
use cirrus_core::{controller, direct, member};

use super::changes::{many, other_end};
use crate::zip::beside::{Item, shuffles};
use crate::zip::{self, Action, Address, FromRoot, Mesh, Timer, ToRoot};

/// The words for what there is in a mesh: a member is called by the number of its process.
pub(super) struct Words<'a>(pub(super) &'a Mesh);

impl Words<'_> {
    /// A stamp of the controller's first life as its number, of a later one as life.number.
    pub(super) fn stamp(stamp: Stamp) -> String {
        match stamp.epoch.0 {
            0 | 1 => stamp.serial.to_string(),
            life => format!("{life}.{}", stamp.serial),
        }
    }

    /// A member.
    pub(super) fn name(&self, member: MemberId) -> String {
        match self.0.seats.get(&member) {
            Some(address) => address.to_string(),
            None => format!("?{}", Self::stamp(member.stamp)),
        }
    }

    /// Members up to this one.
    fn until(&self, stamp: Stamp) -> String {
        let newest = self.0.seats.iter().find(|(member, _)| member.stamp == stamp);
        newest.map_or_else(|| "nobody".to_owned(), |(_, address)| format!("all up to member {address}"))
    }

    /// What is taken by an action; `None` where the script says it.
    pub(super) fn taken(&self, action: &Action) -> Option<String> {
        let process = |address: &Address| self.0.processes.get(*address as usize);
        let wire = |link| self.0.wires.get(link).map(|wire| (wire, wire.child, wire.parent));
        let line = match action {
            Action::Hear(to) => {
                format!("controller > {to}: {}", self.to_member(process(to)?.control.down.front()?))
            }
            Action::Say(from) => {
                format!(
                    "{from} > controller: {}",
                    self.to_controller(*from, process(from)?.control.up.front()?)
                )
            }
            Action::Connect(link) => {
                let (_, child, parent) = wire(link)?;
                arrives(child, &format!("member {parent}"), self.0.live(parent).is_some())
            }
            Action::Up(link) | Action::Down(link) => {
                let (wire, child, parent) = wire(link)?;
                let up = matches!(action, Action::Up(_));
                let (from, to) = if up { (child, parent) } else { (parent, child) };
                match if up { wire.up.front() } else { wire.down.front() } {
                    Some(frame) => format!("{from} > {to}: {}", self.frame(frame)),
                    None => {
                        format!("member {to} notices that link {} to {from} is gone", Self::stamp(link.0))
                    }
                }
            }
            Action::ConnectRoot(from) => {
                let to = process(from)?.direct.as_ref()?.to;
                arrives(*from, &format!("the root {to}"), self.0.live(to).is_some())
            }
            Action::DirectUp(from) => {
                let direct = process(from)?.direct.as_ref()?;
                format!("{from} => {}: {}", direct.to, to_root(direct.up.front()?))
            }
            Action::DirectDown(to) => {
                let direct = process(to)?.direct.as_ref()?;
                match direct.down.front() {
                    Some(word) => format!("{} => {to}: {}", direct.to, from_root(word)),
                    None => {
                        format!("member {to} notices that its connection to the root {} is gone", direct.to)
                    }
                }
            }
            Action::ConnectPipe((from, to)) => {
                arrives(*from, &format!("member {to}, past the tree"), self.0.live(*to).is_some())
            }
            Action::PipeUp(pair @ (from, to)) => match self.0.pipes.get(pair)?.up.front() {
                Some((_, item)) => format!("{from} ~ {to}: {}", past_the_tree(item)),
                None => format!("member {to} notices that the connection of member {from} is gone"),
            },
            Action::PipeDown(pair @ (from, to)) => {
                let pipe = self.0.pipes.get(pair)?;
                match pipe.down.front() {
                    Some(have) => format!("{to} ~ {from}: {}", has(*have)),
                    None if pipe.refused => format!("{to} ~ {from}: you were declared dead"),
                    None => format!("member {from} notices that its connection to member {to} is gone"),
                }
            }
            Action::Fire(Timer::Member(who, member::Timer::Reregister(_))) => {
                format!("member {who} calls the controller again")
            }
            Action::Lapse => {
                format!("the lease of member {} runs out", self.name(self.0.controller.tree.root()?))
            }
            Action::Fire(timer) => format!("{} fires", self.timer(timer)),
            _ => return None,
        };
        Some(line)
    }

    /// What the controller says.
    pub(super) fn to_member(&self, word: &ToMember<Address>) -> String {
        match word {
            ToMember::Welcome(member) => format!("welcome, you are member {}", self.name(*member)),
            ToMember::Assign(assign) => self.assign(assign),
            ToMember::Probe(_) => "are you there?".to_owned(),
            ToMember::Fenced => "you were declared dead".to_owned(),
            ToMember::Released => "you have left".to_owned(),
            ToMember::Roll(roll) => format!("there are {}", many(roll.present.len(), "member")),
            ToMember::Gone(member) => format!("member {} is gone", self.name(*member)),
        }
    }

    fn assign(&self, assign: &Assign<Address>) -> String {
        let link = |edge: &cirrus_core::tree::Edge| {
            format!("{} (link {})", self.name(edge.member), Self::stamp(edge.link.0))
        };
        let mut text = format!("assignment {}:", Self::stamp(assign.version.0));
        text += &match &assign.parent {
            Some(parent) => format!(" below {}", link(&parent.edge)),
            None => " at the top".to_owned(),
        };
        let below: Vec<String> = assign.children.iter().map(link).collect();
        if !below.is_empty() {
            text += &format!(", above {}", below.join(" and "));
        }
        if let Some(roster) = &assign.roster {
            let term = Self::stamp(roster.term.0);
            text +=
                &format!("; root in term {term}, of {}", many(roster.all.census.count as usize, "member"));
            for (_, member) in roster.departed.iter().chain(&roster.departed_daemons) {
                text += &format!("; member {} has departed", self.name(*member));
            }
        }
        text
    }

    /// What a member says to the controller.
    pub(super) fn to_controller(&self, from: Address, word: &ToController<Address>) -> String {
        match word {
            ToController::Hello(registration) => self.registration(registration),
            ToController::Report(link) => match other_end(self.0, from, *link) {
                Some(other) => format!("I miss member {other} on link {}", Self::stamp(link.0)),
                None => format!("I miss somebody on link {}", Self::stamp(link.0)),
            },
            ToController::Answer(_) => "I am there".to_owned(),
            ToController::Leave => "I leave".to_owned(),
            ToController::CallRoll => "who is there?".to_owned(),
            ToController::CheckRoll(_) => "is everybody still there?".to_owned(),
            ToController::Paced(pace) => {
                format!("{} rounds of {} bytes took {} us", pace.rounds, pace.bytes, pace.busy)
            }
            ToController::Missing(member) => format!("I miss member {}", self.name(*member)),
            ToController::Counted(version) => {
                format!("I count who departed up to {}, and name them not", Self::stamp(version.0))
            }
            ToController::DaemonsNoted(version) => {
                format!("I do not count daemons that departed up to {}", Self::stamp(version.0))
            }
            ToController::Noted(version) => {
                format!("I have noted who departed up to {}", Self::stamp(version.0))
            }
        }
    }

    /// How a member sees itself.
    fn registration(&self, registration: &Registration<Address>) -> String {
        let Registration { version, place, parent, children, .. } = registration;
        let place = match place {
            Some(place) => format!("place {}", place.0),
            None => "no place".to_owned(),
        };
        let mut text = format!("here I am again, with assignment {}: {}", Self::stamp(version.0), place);
        if let Some(edge) = parent {
            text += &format!("; parent {} over link {}", self.name(edge.member), Self::stamp(edge.link.0));
        }
        for edge in children {
            text += &format!("; child {} over link {}", self.name(edge.member), Self::stamp(edge.link.0));
        }
        let Standing { term, reigns, .. } = registration.standing;
        let root = if reigns { ", whose root I am" } else { "" };
        text + &format!("; term {}{root}", Self::stamp(term.0))
    }

    /// What one member says to another.
    pub(super) fn frame(&self, frame: &Frame<Address, zip::Piece>) -> String {
        match frame {
            Frame::Attach => "I am your child".to_owned(),
            Frame::Resume(resume) => self::resume(resume),
            Frame::Report(report) => self::report(report),
            Frame::Sync(sync) => self.sync(sync),
            Frame::Chunk(chunk) => {
                let term = chunk.head.id.term;
                let old = if term == chunk.term {
                    String::new()
                } else {
                    format!(" of term {}", Self::stamp(term.0))
                };
                let round = format!("round {}{old}", chunk.head.id.round.0);
                match chunk.piece {
                    Piece::Part(_, false) => format!("{round}, piece {}", chunk.index),
                    Piece::Part(_, true) => format!("{round}, piece {}, the last", chunk.index),
                    Piece::Void => format!("{round} is void"),
                    Piece::Handled => format!("{round} is handled"),
                }
            }
            Frame::Pull { term, from } => {
                format!("send me what you have from round {} on (term {})", from.0, Self::stamp(term.0))
            }
            Frame::Contribution(part) => contribution(part),
            Frame::Spoiled { at, why, .. } => {
                let why = match why {
                    Spoil::Moved => "others sit below me now",
                    Spoil::Mismatch => "the values differ in size",
                };
                format!("{} comes to nothing: {why}", attempt(*at))
            }
        }
    }

    fn sync(&self, sync: &Sync<Address>) -> String {
        let term = Self::stamp(sync.term.0);
        let carried = match sync.carried {
            None => "; what goes on is not known yet".to_owned(),
            Some(round) if round.0 == 0 => String::new(),
            Some(round) => format!("; round {} goes on", round.0),
        };
        let floor = match sync.floor.0 {
            0 => String::new(),
            round => format!("; round {round} is everybody's"),
        };
        format!("term {term}, root {}, counts {}{floor}{carried}", sync.root, self.until(sync.cut))
    }

    /// Who is missing from a result.
    pub(super) fn missing(&self, missing: &Missing) -> String {
        let names =
            |members: &[MemberId]| -> Vec<String> { members.iter().map(|it| self.name(*it)).collect() };
        let departed =
            names(&missing.departed).into_iter().map(|it| format!(", without {it}, which has departed"));
        let late = names(&missing.late).into_iter().map(|it| format!(", without {it}, which is late"));
        departed.chain(late).collect()
    }

    /// A round, as an application sees it.
    pub(super) fn round(&self, head: &Head) -> String {
        match head.origin {
            None if head.sealed.is_some() => {
                let seal = head.sealed.as_ref();
                let count = seal.map_or(0, |seal| seal.census.count);
                let missing = seal.map_or(String::new(), |seal| self.missing(&seal.missing));
                format!("reduce {}, of {}{missing}", head.id.round.0, many(count as usize, "member"))
            }
            Some(origin) => format!("round {}, broadcast by {}", head.id.round.0, self.name(origin.member)),
            None => format!("round {}", head.id.round.0),
        }
    }

    /// A timer.
    pub(super) fn timer(&self, timer: &Timer) -> String {
        let link = |owner: Address, link| match other_end(self.0, owner, link) {
            Some(other) => format!("{owner}>{other}"),
            None => format!("{owner}>(link {}, gone)", Self::stamp(link.0)),
        };
        match *timer {
            Timer::Controller(controller::Timer::Probe(member, _)) => format!("probe {}", self.name(member)),
            Timer::Controller(controller::Timer::Reshape) => "reshape".to_owned(),
            Timer::Controller(controller::Timer::Recovery) => "recovery".to_owned(),
            Timer::Member(owner, member::Timer::Attach(of)) => format!("attach {}", link(owner, of)),
            Timer::Member(owner, member::Timer::Redial(of)) => format!("redial {}", link(owner, of)),
            Timer::Member(owner, member::Timer::RedialRoot(_)) => format!("redial-root {owner}"),
            Timer::Member(owner, member::Timer::Reregister(_)) => format!("reregister {owner}"),
            Timer::Member(owner, member::Timer::Drain) => format!("drain {owner}"),
            Timer::Member(_, member::Timer::Submission(from, _)) => format!("submission {}", self.name(from)),
            Timer::Beside(owner, direct::Timer::Missing(member)) => {
                format!("missing {owner}=>{}", self.name(member))
            }
            Timer::Beside(owner, direct::Timer::Redial(member)) => {
                format!("redial {owner}=>{}", self.name(member))
            }
            Timer::Beside(owner, direct::Timer::Silence) => format!("silence {owner}"),
            Timer::Member(_, member::Timer::HandlerLost(_, round)) => {
                format!("handler of round {}", round.0)
            }
            Timer::Member(_, member::Timer::RoundDeadline(_, round)) => {
                format!("deadline of round {}", round.0)
            }
        }
    }
}

/// What goes past the tree.
pub(super) fn past_the_tree(item: &Item) -> String {
    match item {
        Item::Parcel(parcel) => shuffles::in_words(&parcel.what),
        Item::Part(part) => {
            let last = if part.last { ", the last" } else { "" };
            format!("message {}, piece {}{last}", part.piece.nth + 1, part.piece.index)
        }
    }
}

/// How far a receiver is.
pub(super) fn has(have: Have) -> String {
    format!("I have {} of you, and took {}", have.next.0, have.taken.0)
}

/// From where on a child needs rounds.
fn resume(resume: &Resume) -> String {
    let from = match resume.partial {
        Some((id, pieces)) => format!("round {} from piece {pieces} on", id.round.0),
        None => format!("what follows round {}", resume.position.0),
    };
    format!("send me {from} (term {})", Words::stamp(resume.term.0))
}

/// What the members below a link have.
fn report(report: &Report) -> String {
    let term = Words::stamp(report.term.0);
    let mut text = match report.synced.count {
        0 => format!("nobody who counts is in term {term} here"),
        1 => format!("I am in term {term}"),
        count => format!("{count} of us are in term {term}"),
    };
    if report.best.0 > 0 {
        text += &format!(", round {} is here", report.best.0);
    }
    if report.seen > report.best {
        text += &format!(", a part of round {} is here", report.seen.0);
    }
    for (round, census) in (report.floor.0 + 1..).zip(&report.done) {
        text += &match census.count {
            1 => format!(", one has round {round}"),
            count => format!(", {count} have round {round}"),
        };
    }
    text
}

/// A call that arrives.
fn arrives(from: Address, to: &str, taken: bool) -> String {
    if taken {
        format!("the call of member {from} reaches {to}")
    } else {
        format!("the call of member {from} to {to} is in vain")
    }
}

/// An attempt at a reduce.
fn attempt(at: Try) -> String {
    match at.attempt {
        0 => format!("reduce {}", at.round.0),
        attempt => format!("reduce {}, attempt {attempt}", at.round.0),
    }
}

/// A piece of what the members below a link have combined.
fn contribution(part: &Contribution<zip::Piece>) -> String {
    let whose = part.whole.as_ref();
    let whose = whose.map(|whole| format!(", the last, of {}", many(whole.census.count as usize, "member")));
    format!("{}, piece {}{}", attempt(part.at), part.index, whose.unwrap_or_default())
}

/// A piece of a sender's broadcast.
pub(super) fn to_root(what: &ToRoot) -> String {
    match what {
        ToRoot::Submit(submit) => {
            let last = if submit.last { ", the last" } else { "" };
            format!("broadcast {}, piece {}{last}", submit.sequence.0, submit.index)
        }
        ToRoot::Collect(resume) => format!("my application has the results up to {}", resume.position.0),
    }
}

/// What the root says to a sender, or to who handles results.
pub(super) fn from_root(what: &FromRoot) -> String {
    match what {
        FromRoot::Go(_, sequence, index) => format!("broadcast {}: go on from piece {index}", sequence.0),
        FromRoot::Hand(chunk) => {
            let last = if matches!(chunk.piece, Piece::Part(_, true)) { ", the last" } else { "" };
            format!("result of round {}, piece {}{last}", chunk.head.id.round.0, chunk.index)
        }
    }
}
