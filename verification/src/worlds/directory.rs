//! Many channels of many jobs, fed anything.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Probe, ProbeId, Role, ToController};
use cirrus_core::controller::{self, Timer};
use cirrus_core::directory::{ChannelName, Config, Credential, Directory, Event, Join, Limits, Token};
use cirrus_core::ids::{CallId, ChannelId, ControllerEpoch, FanOut, JobId, MemberId, Millis};
use cirrus_core::member::{Kind, Member};

use super::{Golden, World, ids};
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

/// What one who knows the token of a job has shown; each job's token is its number.
fn shown(job: JobId) -> Credential {
    Credential { job, token: token(job) }
}

fn token(JobId(job): JobId) -> Token {
    Token([u8::try_from(job).unwrap_or(u8::MAX); 32])
}

fn join(credential: Credential, name: &str, kind: Kind) -> Event<Address> {
    let name = ChannelName(name.into());
    Event::Join(Join { call: CallId(0), credential, name, kind, address: 0, role: Role::Both })
}

fn open(job: JobId, token: Token, channels_max: u32, members_max: u32) -> Event<Address> {
    Event::Open { call: CallId(1), job, token, limits: Limits { channels_max, members_max } }
}

fn close(job: JobId) -> Event<Address> {
    Event::Close { call: CallId(1), job }
}

fn channel(serial: u32) -> ChannelId {
    ChannelId(ids::stamp(serial))
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
    ToController::Hello(Member::<Address, Piece>::new(0).registration())
}

fn config(bugs: Bugs) -> Config {
    let channel = controller::Config {
        recovery: Millis(5000),
        members_max: 8,
        probe: Millis(1000),
        scan: 4,
        departed_max: 0,
        reshape: Millis(10),
        bugs,
    };
    Config { jobs_max: 2, members_max: 6, fan_out: FanOut(1), channel }
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
    for id in [channel(1), channel(2)] {
        for job in [ONE, TWO] {
            let say = says(job, id, member(1, 0));
            events.extend([say(hello()), say(ToController::Leave)]);
        }
        let credential = Credential { job: ONE, token: token(TWO) };
        events.push(Event::From { credential, channel: id, member: member(1, 0), message: hello() });
        let (one, other) = (member(1, 0), member(3, 1));
        events.push(Event::Suspected { channel: id, member: one });
        events.push(Event::Timer { channel: id, timer: Timer::Probe(one, ProbeId(ids::stamp(3))) });
        events.push(Event::Expiring { channel: id, member: other });
    }
    events.push(Event::Reshape { channel: channel(1), fan_out: FanOut(2) });
    events.push(Event::Timer { channel: channel(1), timer: Timer::Reshape });
    let far = |directory: &Lists| {
        let drawn = |channel: &controller::Channel<_>| u32::MAX - channel.tree.stamps_left();
        directory.stamp.serial > CHANNELS
            || directory.channels.iter().any(|(_, listed)| drawn(&listed.channel) > STAMPS)
    };
    let (config, new) = (config(bugs), || Directory::new(ControllerEpoch(1)));
    Pool { part: Part::Directory, config, events, new, first: Vec::new(), far, witnesses: FED }
}

/// Two jobs with two channels each, whose members come, are missed, and go.
fn four(bugs: Bugs) -> Pool<Lists> {
    let mut events = Vec::new();
    let mut first = vec![open(ONE, token(ONE), 2, 1), open(TWO, token(TWO), 2, 2)];
    for (job, name, kind, id) in [
        (ONE, "a", Kind::Broadcast, channel(1)),
        (ONE, "b", Kind::Reduce, channel(2)),
        (TWO, "a", Kind::Reduce, channel(3)),
        (TWO, "b", Kind::Reduce, channel(4)),
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
        events.push(Event::Timer { channel: id, timer: Timer::Probe(one, probe) });
    }
    events.extend([close(ONE), close(TWO)]);
    let far = |directory: &Lists| {
        let drawn = |channel: &controller::Channel<_>| u32::MAX - channel.tree.stamps_left();
        directory.stamp.serial > 5 || directory.channels.iter().any(|(_, listed)| drawn(&listed.channel) > 5)
    };
    let (config, new) = (config(bugs), || Directory::new(ControllerEpoch(1)));
    Pool { part: Part::Directory, config, events, new, first, far, witnesses: FOUR }
}

fn channels(fed: &Fed<Lists>, job: JobId) -> usize {
    fed.machine.channels.iter().filter(|(_, listed)| listed.job == job).count()
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
            id.is_some_and(|id| id > channel(1)) && channels(fed, TWO) == 0 && channels(fed, ONE) == 1
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

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        World {
            name: "directory",
            about: "channels of two jobs fed anything",
            golden: Golden { unique: 4_494, depth: 23 },
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
    ]
}
