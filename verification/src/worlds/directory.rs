//! Many channels of many jobs, fed anything.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Probe, ProbeId, Role, Tenancy, ToController};
use cirrus_core::controller::{self, Timer};
use cirrus_core::directory::{
    Again, ChannelName, Config, Credential, Directory, Event, Join, Limits, Listed, Phase, Token,
};
use cirrus_core::ids::{
    CallId, ChannelId, ControllerEpoch, FanOut, JobId, MachineId, MemberId, Millis, Stamp,
};
use cirrus_core::member::{Kind, Member};

use super::{Golden, World, ids};
use crate::lives::{self, Lives, Restarts};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::zip::{Address, Piece};

type Lists = Directory<Address>;

/// Nothing more is tried behind this many channels,
const CHANNELS: u32 = 3;
/// or this many stamps in one.
const STAMPS: u32 = 6;

const ONE: JobId = JobId(1);
const TWO: JobId = JobId(2);

/// No daemon ever comes to this machine.
const ALONE: Tenancy = Tenancy::Lambda(MachineId(0));

/// What one who knows the token of a job has shown; each job's token is its number.
fn shown(job: JobId) -> Credential {
    Credential { job, token: token(job) }
}

fn token(JobId(job): JobId) -> Token {
    Token([u8::try_from(job).unwrap_or(u8::MAX); 32])
}

fn join(credential: Credential, name: &str, kind: Kind) -> Event<Address> {
    let name = ChannelName(name.into());
    let call = CallId(0);
    Event::Join(Join { call, credential, name, kind, address: 0, role: Role::Both, tenancy: ALONE })
}

/// A directory of its first life.
fn begun() -> Vec<Event<Address>> {
    vec![Event::Started { last: None }, Event::Persisted(ControllerEpoch(1))]
}

fn open(job: JobId, token: Token, channels_max: u32, members_max: u32) -> Event<Address> {
    Event::Open { call: CallId(1), job, token, limits: Limits { channels_max, members_max } }
}

fn close(job: JobId) -> Event<Address> {
    Event::Close { call: CallId(1), job }
}

fn channel(job: JobId, serial: u32) -> ChannelId {
    ChannelId { job, stamp: ids::stamp(serial) }
}

/// A member that a channel's first or second join brings.
fn member(serial: u32, slot: u32) -> MemberId {
    MemberId { stamp: ids::stamp(serial), slot }
}

fn says(
    job: JobId,
    channel: ChannelId,
    member: MemberId,
) -> impl Fn(ToController<Address>) -> Event<Address> {
    let credential = shown(job);
    move |message| Event::From { credential, channel, member, message }
}

fn hello() -> ToController<Address> {
    ToController::Hello(Member::<Address, Piece>::new(0, Role::Both, ALONE).registration())
}

fn config(bugs: Bugs) -> Config {
    let channel = controller::Config {
        recovery: Millis(5000),
        members_max: 8,
        probe: Millis(1000),
        reconnect: Millis(100),
        one_receiver: false,
        scan: 4,
        departed_max: 0,
        reshape: Millis(10),
        chain_max: 4,
        bugs,
    };
    Config { jobs_max: 2, members_max: 6, fan_out: FanOut(1), channel }
}

fn again(
    credential: Credential,
    channel: ChannelId,
    (name, kind): (&str, Kind),
    member: MemberId,
) -> Event<Address> {
    let registration = Member::<Address, Piece>::new(0, Role::Both, ALONE).registration();
    Event::Again(Again { credential, channel, name: ChannelName(name.into()), kind, member, registration })
}

/// Jobs that are opened and closed, joins with the wrong token, kind and name, and words of members of other jobs and of
/// channels that are gone.
pub(crate) fn pool(bugs: Bugs) -> Pool<Lists> {
    let mut events = vec![
        open(ONE, token(ONE), 2, 1),
        open(TWO, token(TWO), 1, 2),
        open(ONE, token(TWO), 2, 1), // It has another token.
        open(JobId(3), token(ONE), 1, 1),
        open(JobId(3), token(ONE), 9, 9), // More than there is.
        close(ONE),
        close(TWO),
        join(shown(ONE), "a", Kind::Broadcast),
        join(shown(ONE), "a", Kind::Reduce),
        join(shown(ONE), "b", Kind::Reduce),
        join(shown(ONE), "c", Kind::Broadcast),
        join(shown(TWO), "a", Kind::Broadcast),
        join(Credential { job: TWO, token: token(ONE) }, "a", Kind::Broadcast),
        join(shown(JobId(3)), "a", Kind::Broadcast),
    ];
    for (id, name, kind) in [
        (channel(ONE, 1), "a", Kind::Broadcast),
        (channel(ONE, 2), "b", Kind::Reduce),
        (channel(TWO, 1), "a", Kind::Broadcast),
        (channel(TWO, 2), "a", Kind::Broadcast),
    ] {
        for job in [ONE, TWO] {
            let say = says(job, id, member(1, 0));
            events.push(again(shown(job), id, (name, kind), member(1, 0)));
            events.extend([say(hello()), say(ToController::Leave)]);
        }
        events.push(again(shown(id.job), id, ("c", kind), member(1, 0)));
        let credential = Credential { job: ONE, token: token(TWO) };
        events.push(Event::From { credential, channel: id, member: member(1, 0), message: hello() });
        let (one, other) = (member(1, 0), member(3, 1));
        events.push(Event::Suspected { channel: id, member: one });
        events.push(Event::Disconnected { channel: id, member: one });
        events.push(Event::Timer { channel: id, timer: Timer::Probe(one, ProbeId(ids::stamp(3))) });
        events.push(Event::Expiring { channel: id, member: other });
    }
    events.push(Event::Reshape { channel: channel(TWO, 1), fan_out: FanOut(2) });
    events.push(Event::Timer { channel: channel(TWO, 1), timer: Timer::Reshape });
    let far = |directory: &Lists| {
        let drawn = |channel: &controller::Channel<_>| u32::MAX - channel.tree.stamps_left();
        directory.stamp.serial > CHANNELS
            || directory.channels.iter().any(|(_, listed)| drawn(&listed.channel) > STAMPS)
    };
    let (config, first) = (config(bugs), begun());
    Pool { part: Part::Directory, config, events, new: Directory::default, first, far, witnesses: FED }
}

/// Two jobs with two channels each, whose members come, are missed, and go.
fn four(bugs: Bugs) -> Pool<Lists> {
    let mut events = Vec::new();
    let mut first = begun();
    first.extend([open(ONE, token(ONE), 2, 1), open(TWO, token(TWO), 2, 2)]);
    for (job, name, kind, id) in [
        (ONE, "a", Kind::Broadcast, channel(ONE, 1)),
        (ONE, "b", Kind::Reduce, channel(ONE, 2)),
        (TWO, "a", Kind::Reduce, channel(TWO, 3)),
        (TWO, "b", Kind::Reduce, channel(TWO, 4)),
    ] {
        let one = member(1, 0);
        first.push(join(shown(job), name, kind));
        events.push(join(shown(job), name, kind));
        let (here, there) = (says(job, id, one), says(if job == ONE { TWO } else { ONE }, id, one));
        let probe = ProbeId(ids::stamp(3));
        let answer = ToController::Answer(Probe { id: probe, about: None });
        events.extend([here(ToController::Leave), here(answer.clone()), here(hello())]);
        events.extend([there(ToController::Leave), there(answer)]);
        events.push(Event::Suspected { channel: id, member: one });
        events.push(Event::Disconnected { channel: id, member: one });
        events.push(Event::Timer { channel: id, timer: Timer::Probe(one, probe) });
    }
    events.extend([close(ONE), close(TWO)]);
    let far = |directory: &Lists| {
        let drawn = |channel: &controller::Channel<_>| u32::MAX - channel.tree.stamps_left();
        directory.stamp.serial > 5 || directory.channels.iter().any(|(_, listed)| drawn(&listed.channel) > 5)
    };
    let config = config(bugs);
    Pool { part: Part::Directory, config, events, new: Directory::default, first, far, witnesses: FOUR }
}

/// A directory that was restarted: channels of before, two lives of one name among them, jobs that are opened again late
/// or not at all, and newcomers.
pub(crate) fn restarted(bugs: Bugs) -> Pool<Lists> {
    let (epoch, second) = (ControllerEpoch(2), |serial| Stamp { epoch: ControllerEpoch(2), serial });
    let one = |serial, of| again(shown(ONE), channel(ONE, serial), of, member(1, 0));
    let mut events = vec![
        Event::Started { last: Some(ControllerEpoch(1)) },
        Event::Persisted(epoch),
        Event::Persisted(ControllerEpoch(1)),
        Event::PersistFailed(epoch),
        Event::WindowEnds(epoch),
        Event::WindowEnds(ControllerEpoch(1)),
        open(ONE, token(ONE), 2, 2),
        open(TWO, token(TWO), 1, 2),
        close(ONE),
        one(1, ("a", Kind::Broadcast)),
        one(1, ("a", Kind::Reduce)),
        again(shown(ONE), channel(ONE, 1), ("a", Kind::Broadcast), member(3, 1)),
        one(2, ("a", Kind::Reduce)), // It began when the one before had ended.
        one(3, ("b", Kind::Broadcast)),
        again(shown(TWO), channel(ONE, 1), ("a", Kind::Broadcast), member(1, 0)),
        again(shown(TWO), channel(TWO, 1), ("a", Kind::Reduce), member(1, 0)), // Of the same number, by chance.
        again(shown(ONE), ChannelId { job: ONE, stamp: second(1) }, ("a", Kind::Broadcast), member(1, 0)),
        join(shown(ONE), "a", Kind::Broadcast),
        join(shown(ONE), "b", Kind::Broadcast),
    ];
    for serial in [1, 2] {
        let id = channel(ONE, serial);
        events.push(says(ONE, id, member(1, 0))(ToController::Leave));
        events.push(Event::Timer { channel: id, timer: Timer::Recovery });
    }
    let far = |directory: &Lists| {
        let drawn = |channel: &controller::Channel<_>| u32::MAX - channel.tree.stamps_left();
        let waiting =
            |channel: &controller::Channel<_>| channel.recovery.as_ref().map_or(0, |it| it.joins.len());
        let many = |listed: &Listed<_>| drawn(&listed.channel) > 5 || waiting(&listed.channel) > 1;
        directory.stamp.serial > 1
            || directory.channels.iter().any(|(_, listed)| many(listed))
            || directory.jobs.iter().any(|(_, job)| job.waiting.len() > 1)
    };
    let config = config(bugs);
    let new = Directory::default;
    Pool { part: Part::Directory, config, events, new, first: Vec::new(), far, witnesses: RESTARTED }
}

/// A directory that dies three times, at any moment, with its disk and with members that outlive it.
fn lives(bugs: Bugs) -> Restarts {
    let faults = [(lives::Fault::Crash, 3), (lives::Fault::Disk, 1), (lives::Fault::Join, 2)];
    Restarts { config: config(bugs), faults: faults.into_iter().collect(), witnesses: LIVES }
}

const LIVES: &[Witness<Lives>] = &[
    Witness {
        name: "an epoch is on disk in which nothing was said",
        seen: |lives| {
            lives.directory.is_none()
                && lives.disk.is_some_and(|epoch| lives.answered.iter().all(|(used, _)| *used != epoch))
        },
    },
    Witness {
        name: "two lives have wanted the same epoch, and one has had it",
        seen: |lives| lives.answered.iter().any(|(epoch, life)| epoch.0 < *life),
    },
    Witness { name: "one has joined a channel of an earlier life", seen: lives::is_mixed },
    Witness {
        name: "one has outlived two lives",
        seen: |lives| lives.seats.iter().any(|seat| seat.connected > seat.since + 1),
    },
];

fn channels(fed: &Fed<Lists>, job: JobId) -> usize {
    fed.machine.channels.iter().filter(|(id, _)| id.job == job).count()
}

const FED: &[Witness<Fed<Lists>>] = &[
    Witness {
        name: "both jobs have a channel of one name",
        seen: |fed| channels(fed, ONE) > 0 && channels(fed, TWO) > 0,
    },
    Witness { name: "a job has as many channels as it may", seen: |fed| channels(fed, ONE) == 2 },
    Witness {
        name: "a channel has as many members as its job allows",
        seen: |fed| fed.machine.channels.iter().any(|(_, listed)| listed.channel.tree.len() == 2),
    },
    Witness {
        name: "a name has begun anew",
        seen: |fed| {
            let id = fed.machine.named(ONE, &ChannelName("a".into()));
            id.is_some_and(|id| id > channel(ONE, 1)) && channels(fed, TWO) == 0 && channels(fed, ONE) == 1
        },
    },
    Witness {
        name: "a job is closed while another one goes on",
        seen: |fed| {
            fed.machine.jobs.len() == 1 && fed.machine.stamp.serial > 1 && !fed.machine.channels.is_empty()
        },
    },
];

const FOUR: &[Witness<Fed<Lists>>] = &[
    Witness { name: "two jobs with two channels each", seen: |fed| fed.machine.channels.len() == 4 },
    Witness {
        name: "members of two channels are missed",
        seen: |fed| {
            let missed = |channel: &controller::Channel<_>| {
                channel.records.iter().flatten().any(|record| record.probe.is_some())
            };
            fed.machine.channels.iter().filter(|(_, listed)| missed(&listed.channel)).count() > 1
        },
    },
];

fn waits(fed: &Fed<Lists>) -> bool {
    fed.machine.jobs.iter().any(|(_, job)| !job.waiting.is_empty())
}

const RESTARTED: &[Witness<Fed<Lists>>] = &[
    Witness {
        name: "an epoch is on its way to the disk",
        seen: |fed| matches!(fed.machine.phase, Phase::Beginning { .. }),
    },
    Witness { name: "an epoch was not written", seen: |fed| fed.machine.phase == Phase::Failed },
    Witness {
        name: "a channel of before has its members and its id",
        seen: |fed| {
            let id = channel(ONE, 1);
            fed.machine.channels.get(&id).is_some_and(|listed| listed.channel.tree.len() == 2)
        },
    },
    Witness {
        name: "two jobs have channels of before",
        seen: |fed| channels(fed, ONE) == 1 && channels(fed, TWO) == 1,
    },
    Witness {
        name: "the later life of a name goes on",
        seen: |fed| {
            fed.machine.named(ONE, &ChannelName("a".into())) == Some(channel(ONE, 2))
                && fed.machine.phase == Phase::Serving
        },
    },
    Witness { name: "one who wants to join waits for a name", seen: waits },
    Witness {
        name: "one who waited for a name joins the channel of before",
        seen: |fed| {
            let listed = fed.machine.channels.get(&channel(ONE, 1));
            listed.is_some_and(|it| it.channel.tree.members().any(|it| it.stamp.epoch == ControllerEpoch(2)))
        },
    },
    Witness {
        name: "one who waited for a name begins it anew",
        seen: |fed| fed.machine.channels.iter().any(|(id, _)| id.stamp.epoch == ControllerEpoch(2)),
    },
    Witness {
        name: "a channel that all have left stays while others may call",
        seen: |fed| {
            let recovering = fed.machine.phase == Phase::Recovering;
            recovering && fed.machine.channels.iter().any(|(_, listed)| listed.is_over())
        },
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        World {
            name: "directory",
            about: "channels of two jobs fed anything",
            golden: Golden { unique: 3_466, depth: 23 },
            deep: false,
            make: |bugs| Box::new(pool(bugs)),
        },
        World {
            name: "directory-four",
            about: "two jobs with two channels each",
            golden: Golden { unique: 5_318, depth: 19 },
            deep: false,
            make: |bugs| Box::new(four(bugs)),
        },
        World {
            name: "directory-restart",
            about: "a directory that was restarted, fed anything",
            golden: Golden { unique: 1_560, depth: 15 },
            deep: false,
            make: |bugs| Box::new(restarted(bugs)),
        },
        World {
            name: "directory-lives",
            about: "a directory that dies, with its disk",
            golden: Golden { unique: 58_534, depth: 42 },
            deep: false,
            make: |bugs| Box::new(lives(bugs)),
        },
    ]
}
