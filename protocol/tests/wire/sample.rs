//! Arbitrary messages.

use bytes::Bytes;
use cirrus_core::ids::{BlockId, CallId, GradientName, Incarnation, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::store::{Marker, Reason, Sender};
use cirrus_protocol::frame::{Body, Flags, Frame};
use cirrus_protocol::job::{BlockReport, JobReply, JobRequest, Role, WorkerStatistics};
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest, StoreStatistics};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

/// A number, mostly from a few neighbouring ones so that runs arise, now and then any.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..6_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

pub(crate) fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..100).prop_map(Bytes::from)
}

fn call() -> impl Strategy<Value = CallId> {
    any::<u64>().prop_map(CallId)
}

fn epoch() -> impl Strategy<Value = StoreEpoch> {
    any::<u32>().prop_map(StoreEpoch)
}

fn sender() -> impl Strategy<Value = Sender> {
    any::<(u32, u32)>().prop_map(|(worker, incarnation)| Sender {
        worker: WorkerId(worker),
        incarnation: Incarnation(incarnation),
    })
}

pub(crate) fn name() -> impl Strategy<Value = GradientName> {
    (number(), number(), number(), number()).prop_map(|(pass, partition, block, part)| GradientName {
        pass: Pass(pass),
        block: BlockId { partition, block },
        part: part % 2,
    })
}

/// Names in order, each once.
pub(crate) fn names() -> impl Strategy<Value = Vec<GradientName>> {
    btree_set(name(), 0..200).prop_map(|names| names.into_iter().collect())
}

fn version() -> impl Strategy<Value = Version> {
    any::<(u32, u64)>().prop_map(|(epoch, count)| Version { epoch: StoreEpoch(epoch), count })
}

pub(crate) fn marker() -> impl Strategy<Value = Marker> {
    (version(), any::<u32>(), names()).prop_map(|(version, closed, names)| Marker {
        version,
        closed: Pass(closed),
        names,
    })
}

pub(crate) fn store_request() -> impl Strategy<Value = StoreRequest> {
    prop_oneof![
        (sender(), call(), bytes()).prop_map(|(from, call, model)| StoreRequest::Open { from, call, model }),
        (call(), epoch(), bytes()).prop_map(|(call, epoch, keys)| StoreRequest::Read { call, epoch, keys }),
        (call(), epoch(), name(), any::<u32>(), bytes()).prop_map(|(call, epoch, name, rows, update)| {
            StoreRequest::Push { call, epoch, name, rows, update }
        }),
        call().prop_map(|call| StoreRequest::Park { call }),
        Just(StoreRequest::Leave),
        sender().prop_map(|dead| StoreRequest::Fence { dead }),
        call().prop_map(|call| StoreRequest::Recorded { call }),
        (epoch(), any::<u32>()).prop_map(|(epoch, pass)| StoreRequest::ClosePass { epoch, pass: Pass(pass) }),
        (call(), bytes()).prop_map(|(call, keys)| StoreRequest::Peek { call, keys }),
        call().prop_map(|call| StoreRequest::Statistics { call }),
        call().prop_map(|call| StoreRequest::Snapshot { call }),
        Just(StoreRequest::Stop),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::Rule(Reason::Fenced)),
        epoch().prop_map(|epoch| Refusal::Rule(Reason::WrongEpoch(epoch))),
        Just(Refusal::Rule(Reason::NotOpen)),
        Just(Refusal::Rule(Reason::NotReady)),
        Just(Refusal::Rule(Reason::Full)),
        call().prop_map(Refusal::UnknownRead),
        ".{0,40}".prop_map(Refusal::Unfit),
        ".{0,40}".prop_map(Refusal::Failed),
    ]
}

pub(crate) fn store_reply() -> impl Strategy<Value = StoreReply> {
    prop_oneof![
        (call(), version()).prop_map(|(call, version)| StoreReply::Opened { call, version }),
        (call(), version(), bytes()).prop_map(|(call, version, cells)| StoreReply::Values {
            call,
            version,
            cells
        }),
        (call(), name(), version(), any::<bool>()).prop_map(|(call, name, version, duplicate)| {
            StoreReply::Acknowledged { call, name, version, duplicate }
        }),
        (call(), refusal()).prop_map(|(call, reason)| StoreReply::Refused { call, reason }),
        (call(), marker()).prop_map(|(call, marker)| StoreReply::RecordedNames { call, marker }),
        (call(), version(), any::<[u64; 7]>()).prop_map(|(call, version, [a, b, c, d, e, f, g])| {
            let statistics = StoreStatistics {
                version,
                applied: a,
                acknowledged: b,
                duplicates: c,
                refused: d,
                reads: e,
                rows: f,
                snapshots: g,
            };
            StoreReply::Statistics { call, statistics }
        }),
        (call(), version()).prop_map(|(call, version)| StoreReply::SnapshotTaken { call, version }),
    ]
}

pub(crate) fn job_request() -> impl Strategy<Value = JobRequest> {
    prop_oneof![
        (any::<bool>(), sender(), any::<u32>()).prop_map(|(store, from, pid)| JobRequest::Hello {
            role: if store { Role::Store } else { Role::Worker },
            from,
            pid
        }),
        (".{0,40}", epoch()).prop_map(|(store, epoch)| JobRequest::StoreReady { store, epoch }),
        any::<u32>().prop_map(|count| JobRequest::WantLease { count }),
        (name(), epoch(), any::<bool>(), any::<u64>(), any::<f64>()).prop_map(
            |(name, epoch, duplicate, rows, loss_sum)| JobRequest::Done {
                name,
                epoch,
                duplicate,
                report: BlockReport { rows, loss_sum },
            }
        ),
        ".{0,40}".prop_map(|reason| JobRequest::Failed { reason }),
        any::<[u64; 10]>().prop_map(|[a, b, c, d, e, f, g, h, i, j]| {
            JobRequest::Statistics(WorkerStatistics {
                peak_memory_bytes: a,
                start_micros: b,
                blocks: c,
                rows: d,
                fetch_wait_micros: e,
                store_wait_micros: f,
                decode_micros: g,
                learn_micros: h,
                sent_bytes: i,
                received_bytes: j,
            })
        }),
    ]
}

pub(crate) fn job_reply() -> impl Strategy<Value = JobReply> {
    prop_oneof![
        bytes().prop_map(|job| JobReply::Welcome { job }),
        any::<(u32, u32, u32)>().prop_map(|(pass, partition, block)| JobReply::Grant {
            pass: Pass(pass),
            block: BlockId { partition, block }
        }),
        Just(JobReply::Dry),
        (".{0,40}", epoch()).prop_map(|(store, epoch)| JobReply::StoreAt { store, epoch }),
        Just(JobReply::Finish),
        Just(JobReply::Fenced),
    ]
}

/// Any frame, its body in two pieces.
pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    (any::<(u16, bool, u64, u64, u64, u32)>(), bytes(), bytes()).prop_map(
        |((kind, crc, channel, link, call, chunk), head, tail)| Frame {
            kind,
            flags: if crc { Flags::PAYLOAD_CRC } else { Flags::NONE },
            channel,
            link,
            call,
            chunk,
            body: Body::new(head, tail),
        },
    )
}
