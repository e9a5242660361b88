//! The situations in which a machine can be, as a reader would tell them apart.

use cirrus_core::controller::{self, Channel};
use cirrus_core::direct::{self, LineEvent};
use cirrus_core::directory::{self, Directory, Refusal};
use cirrus_core::fleet::{self, Fleet};
use cirrus_core::ids::{Incarnation, MemberId, WorkerId};
use cirrus_core::lease::Leases;
use cirrus_core::member::{self, Member};
use cirrus_core::messages::{self, Messages};
use cirrus_core::rule::Ruled;
use cirrus_core::shuffle::{self, Shuffle};
use cirrus_core::store::{self, Store};
use cirrus_core::worker::{Link, Worker};

use crate::cluster::Payload;
use crate::zip::beside::{self, shuffles};
use crate::zip::{Address, Piece};

/// A machine whose situations have names.
pub(super) trait Situated: Ruled {
    /// The table's title.
    const ABOUT: &'static str;
    /// The columns, in their order.
    const SITUATIONS: &'static [&'static str];

    /// The situation that matters to this event.
    fn situation(&self, event: &Self::Event) -> &'static str;

    /// Whether it is about something that the machine does not know (any more), in words.
    fn stale(&self, _: &Self::Event) -> Option<&'static str> {
        None
    }
}

impl Situated for Channel<Address> {
    const ABOUT: &'static str =
        "A channel's controller. A stranger is one who is not in the channel (any more).";
    const SITUATIONS: &'static [&'static str] = &["empty", "at rest", "probing", "reshaping", "restarted"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match () {
            () if self.recovery.is_some() => "restarted",
            () if self.tree.is_empty() => "empty",
            () if self.tree.reshapes_to().is_some() => "reshaping",
            () if self.records.iter().flatten().any(|record| record.probe.is_some()) => "probing",
            () => "at rest",
        }
    }

    fn stale(&self, event: &Self::Event) -> Option<&'static str> {
        let about = match event {
            controller::Event::From { member, .. }
            | controller::Event::Suspected(member)
            | controller::Event::Disconnected(member) => Some(*member),
            controller::Event::Timer(controller::Timer::Probe(member, _)) => Some(*member),
            _ => None,
        };
        let known = |member: &MemberId| self.recovery.is_some() || self.record(*member).is_some();
        about.filter(|member| !known(member)).map(|_| "stranger")
    }
}

impl Situated for Directory<Address> {
    const ABOUT: &'static str = "The directory: which channels there are, and who may join them.";
    const SITUATIONS: &'static [&'static str] =
        &["down", "beginning", "failed", "recovering", "no job", "no channel", "channels"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match self.phase {
            directory::Phase::Down => "down",
            directory::Phase::Beginning { .. } => "beginning",
            directory::Phase::Failed => "failed",
            directory::Phase::Recovering => "recovering",
            directory::Phase::Serving if self.jobs.is_empty() => "no job",
            directory::Phase::Serving if self.channels.is_empty() => "no channel",
            directory::Phase::Serving => "channels",
        }
    }

    fn stale(&self, event: &Self::Event) -> Option<&'static str> {
        let (credential, channel) = match event {
            directory::Event::Join(join) => (Some(join.credential), None),
            directory::Event::Again(again) => (Some(again.credential), Some(again.channel)),
            directory::Event::From { credential, channel, .. } => (Some(*credential), Some(*channel)),
            directory::Event::Suspected { channel, .. }
            | directory::Event::Disconnected { channel, .. }
            | directory::Event::Expiring { channel, .. }
            | directory::Event::Reshape { channel, .. }
            | directory::Event::Timer { channel, .. } => (None, Some(*channel)),
            directory::Event::Started { .. }
            | directory::Event::Persisted(_)
            | directory::Event::PersistFailed(_)
            | directory::Event::WindowEnds(_)
            | directory::Event::Open { .. }
            | directory::Event::Close { .. } => return None,
        };
        let there = channel.is_some_and(|channel| self.channels.contains(&channel));
        match credential.map(|credential| (credential.job, self.admits(credential).err())) {
            Some((_, Some(Refusal::WrongToken))) => Some("wrong token"),
            Some((_, Some(_))) => Some("unknown job"),
            Some((job, None)) if channel.is_some_and(|of| of.job != job) => Some("channel of another job"),
            Some(_) | None => (channel.is_some() && !there).then_some("channel that is not there"),
        }
    }
}

impl Situated for Member<Address, Piece> {
    const ABOUT: &'static str =
        "A member of a channel. A strange link is one that it was not assigned, or not any more.";
    const SITUATIONS: &'static [&'static str] =
        &["joining", "unplaced", "leaf", "inner", "new root", "root", "draining", "leaving", "ended"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match self.phase {
            member::Phase::Joining => "joining",
            member::Phase::Draining => "draining",
            member::Phase::Leaving => "leaving",
            member::Phase::Ended(_) => "ended",
            // Until it knows what everybody has.
            member::Phase::Seated if self.broadcast.reign.is_some() => match self.broadcast.carried() {
                None => "new root",
                Some(_) => "root",
            },
            member::Phase::Seated if self.links.parent.is_none() => "unplaced",
            member::Phase::Seated if self.links.children.is_empty() => "leaf",
            member::Phase::Seated => "inner",
        }
    }

    fn stale(&self, event: &Self::Event) -> Option<&'static str> {
        let link = match event {
            member::Event::Frame { link, .. }
            | member::Event::LinkUp(link)
            | member::Event::LinkDown(link) => Some(*link),
            _ => None,
        };
        let up = self.links.parent.as_ref().map(|uplink| uplink.parent.edge.link);
        let strange = link.filter(|link| up != Some(*link) && !self.links.children.contains(link));
        strange.map(|_| "strange link")
    }
}

impl Situated for Store<Payload> {
    const ABOUT: &'static str = "The data store.";
    const SITUATIONS: &'static [&'static str] = &["down", "opening", "serving", "serving and writing"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match self.phase {
            store::Phase::Down => "down",
            store::Phase::Opening => "opening",
            store::Phase::Serving if self.writing.is_some() => "serving and writing",
            store::Phase::Serving => "serving",
        }
    }
}

impl Situated for Leases {
    const ABOUT: &'static str = "The leases of a job's blocks.";
    const SITUATIONS: &'static [&'static str] =
        &["before all", "blocks left", "all given out", "between passes"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match () {
            () if self.epoch.0 == 0 => "before all",
            () if self.idle => "between passes",
            () if self.pending.is_empty() => "all given out",
            () => "blocks left",
        }
    }
}

impl Situated for Worker<Payload> {
    const ABOUT: &'static str = "A worker. It is busy when it has a block in hand.";
    const SITUATIONS: &'static [&'static str] =
        &["no store known", "waiting", "connecting", "opening", "idle", "busy", "ended"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match self.link {
            _ if self.end.is_some() => "ended",
            Link::Unknown => "no store known",
            Link::Down(_) => "waiting",
            Link::Connecting(_) => "connecting",
            Link::Opening(..) => "opening",
            Link::Open(_) if self.tasks.is_empty() => "idle",
            Link::Open(_) => "busy",
        }
    }
}

/// Which slot an event of the fleet is about, and which life in it.
fn slot(event: &fleet::Event) -> Option<(WorkerId, Incarnation)> {
    match *event {
        fleet::Event::Running { slot, incarnation }
        | fleet::Event::Progress { slot, incarnation }
        | fleet::Event::Exited { slot, incarnation }
        | fleet::Event::Suspected { slot, incarnation } => Some((slot, incarnation)),
        fleet::Event::Timer(fleet::Timer { slot, failed }) => Some((slot, failed)),
        fleet::Event::Start | fleet::Event::Finish | fleet::Event::Stop => None,
    }
}

impl Situated for Fleet {
    const ABOUT: &'static str =
        "The fleet: events about all of it, and about a slot by what that slot is doing.";
    const SITUATIONS: &'static [&'static str] =
        &["not started", "open", "closing", "starting", "living", "ending", "waiting", "gave up", "finished"];

    fn situation(&self, event: &Self::Event) -> &'static str {
        if self.slots.is_empty() {
            return "not started";
        }
        match slot(event).and_then(|(slot, _)| self.slots.get(&slot)).map(|slot| slot.phase) {
            None if self.closing => "closing",
            None => "open",
            Some(fleet::Phase::Starting) => "starting",
            Some(fleet::Phase::Living) => "living",
            Some(fleet::Phase::Ending) => "ending",
            Some(fleet::Phase::Waiting) => "waiting",
            Some(fleet::Phase::GaveUp) => "gave up",
            Some(fleet::Phase::Finished) => "finished",
        }
    }

    fn stale(&self, event: &Self::Event) -> Option<&'static str> {
        let other = slot(event)
            .filter(|(slot, life)| self.slots.get(slot).is_some_and(|slot| slot.incarnation != *life));
        other.map(|_| "other life")
    }
}

/// Which peer something on a direct connection is about.
fn peer<T>(event: &LineEvent<T>) -> MemberId {
    match event {
        LineEvent::Up(it)
        | LineEvent::Down(it)
        | LineEvent::Refused(it)
        | LineEvent::Called(it)
        | LineEvent::CallerDown(it) => *it,
        LineEvent::Have { from, .. } | LineEvent::Item { from, .. } => *from,
    }
}

/// Which peer a timer is about, if it is about one.
fn timed(timer: &direct::Timer) -> Option<MemberId> {
    match timer {
        direct::Timer::Missing(it) | direct::Timer::Redial(it) => Some(*it),
        direct::Timer::Silence => None,
    }
}

impl Situated for Shuffle<Address, shuffles::Piece> {
    const ABOUT: &'static str = "A member's shuffles. Strange is whom it does not know, or knows to be gone.";
    const SITUATIONS: &'static [&'static str] =
        &["idle", "called", "sending", "sent", "receiving", "draining", "leaving", "ended"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        match (self.phase, &self.open) {
            (member::Phase::Ended(_), _) => "ended",
            (member::Phase::Leaving, _) => "leaving",
            (member::Phase::Draining, _) => "draining",
            (_, Some(open)) if open.receiving.is_some() => "receiving",
            (_, Some(open)) if open.ended => "sent",
            (_, Some(_)) => "sending",
            (_, None) if self.called => "called",
            (_, None) => "idle",
        }
    }

    fn stale(&self, event: &Self::Event) -> Option<&'static str> {
        let about = match event {
            shuffle::Event::Line(event) => peer(event),
            shuffle::Event::Timer(timer) => timed(timer)?,
            _ => return None,
        };
        (!self.lines.knows(about)).then_some("strange")
    }
}

impl Situated for Messages<Address, beside::messages::Piece> {
    const ABOUT: &'static str =
        "A member's messages to others. Strange is whom it does not know, or knows to be gone.";
    const SITUATIONS: &'static [&'static str] =
        &["idle", "asking", "sending", "waiting", "draining", "leaving", "ended"];

    fn situation(&self, _: &Self::Event) -> &'static str {
        let sends = self.talks.iter().any(|(_, talk)| talk.unanswered() > 0);
        let waits = self.talks.iter().any(|(_, talk)| talk.wanted > 0);
        match self.phase {
            member::Phase::Ended(_) => "ended",
            member::Phase::Leaving => "leaving",
            member::Phase::Draining => "draining",
            _ if self.asked => "asking",
            _ if sends => "sending",
            _ if waits => "waiting",
            _ => "idle",
        }
    }

    fn stale(&self, event: &Self::Event) -> Option<&'static str> {
        let about = match event {
            messages::Event::Line(event) => peer(event),
            messages::Event::Timer(timer) => timed(timer)?,
            messages::Event::Send { to: about, .. } | messages::Event::Receive { from: about } => *about,
            _ => return None,
        };
        (!self.lines.knows(about)).then_some("strange")
    }
}
