//! The encoders against bytes that were made from `FORMAT.md` by something else.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use cirrus_core::ids::{BlockId, CallId, GradientName, Incarnation, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::store::{Marker, Reason, Sender};
use cirrus_protocol::frame::{Body, DEFAULT_BODY_LIMIT, Decoded, Flags, Frame, decode};
use cirrus_protocol::gradient::{self, KeyReference, Update};
use cirrus_protocol::job::{BlockReport, JobReply, JobRequest, Role, WorkerStatistics};
use cirrus_protocol::names;
use cirrus_protocol::snapshot::{self, Snapshot};
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest, StoreStatistics};

const FROM: Sender = Sender { worker: WorkerId(3), incarnation: Incarnation(7) };
const VERSION: Version = Version { epoch: StoreEpoch(5), count: 600 };
const BLOCK: BlockId = BlockId { partition: 3, block: 4 };
const NAME: GradientName = GradientName { pass: Pass(2), block: BLOCK, part: 1 };

fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = include_str!("../../testdata/wire.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(" = ").unwrap();
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            (name, bytes.collect())
        })
        .collect()
}

fn marker() -> Marker {
    let name = |pass, partition, block, part| GradientName {
        pass: Pass(pass),
        block: BlockId { partition, block },
        part,
    };
    let names = vec![
        name(2, 3, 4, 0),
        name(2, 3, 5, 0),
        name(2, 3, 6, 0),
        name(2, 3, 7, 0),
        name(2, 3, 9, 1),
        name(3, 0, 0, 0),
        name(3, 0, 1, 0),
    ];
    Marker { version: VERSION, closed: Pass(2), names }
}

fn frames() -> Vec<(&'static str, Frame)> {
    let all_fields = Frame {
        kind: 0x1234,
        flags: Flags::NONE,
        channel: 0x0102_0304_0506_0708,
        link: 0x1112_1314_1516_1718,
        call: 0x2122_2324_2526_2728,
        chunk: 0x3132_3334,
        body: Body::from(Bytes::from_static(b"body")),
    };
    let payload_crc = Frame {
        kind: 0x1234,
        flags: Flags::PAYLOAD_CRC,
        body: Body::new(Bytes::from_static(b"1234"), Bytes::from_static(b"56789")),
        ..Frame::default()
    };
    vec![
        ("frame/empty", Frame::default()),
        ("frame/all fields", all_fields),
        ("frame/payload crc", payload_crc),
    ]
}

fn store_requests() -> Vec<(&'static str, StoreRequest)> {
    let epoch = StoreEpoch(5);
    let keys = Bytes::from_static(&[1, 2, 3]);
    let model = Bytes::from_static(br#"{"bits":20}"#);
    let update = Bytes::from_static(&[4, 5, 6]);
    vec![
        ("store/open", StoreRequest::Open { from: FROM, call: CallId(9), model }),
        ("store/read", StoreRequest::Read { call: CallId(10), epoch, keys: keys.clone() }),
        ("store/push", StoreRequest::Push { call: CallId(11), epoch, name: NAME, rows: 8192, update }),
        ("store/park", StoreRequest::Park { call: CallId(12) }),
        ("store/leave", StoreRequest::Leave),
        ("store/fence", StoreRequest::Fence { dead: FROM }),
        ("store/recorded", StoreRequest::Recorded { call: CallId(13) }),
        ("store/close pass", StoreRequest::ClosePass { epoch, pass: Pass(2) }),
        ("store/peek", StoreRequest::Peek { call: CallId(14), keys }),
        ("store/statistics", StoreRequest::Statistics { call: CallId(15) }),
        ("store/snapshot", StoreRequest::Snapshot { call: CallId(16) }),
        ("store/stop", StoreRequest::Stop),
    ]
}

fn store_replies() -> Vec<(&'static str, StoreReply)> {
    let mut cells = Vec::new();
    gradient::append_floats(&[1.5, -2.0], &mut cells);
    let refused = |reason| StoreReply::Refused { call: CallId(11), reason };
    let statistics = StoreStatistics {
        version: VERSION,
        applied: 1,
        acknowledged: 2,
        duplicates: 3,
        refused: 4,
        reads: 5,
        rows: 6,
        snapshots: 7,
    };
    let acknowledged =
        StoreReply::Acknowledged { call: CallId(11), name: NAME, version: VERSION, duplicate: true };
    vec![
        ("store/opened", StoreReply::Opened { call: CallId(9), version: VERSION }),
        ("store/values", StoreReply::Values { call: CallId(10), version: VERSION, cells: cells.into() }),
        ("store/acknowledged", acknowledged),
        ("store/refused: fenced", refused(Refusal::Rule(Reason::Fenced))),
        ("store/refused: wrong epoch", refused(Refusal::Rule(Reason::WrongEpoch(StoreEpoch(6))))),
        ("store/refused: not open", refused(Refusal::Rule(Reason::NotOpen))),
        ("store/refused: not ready", refused(Refusal::Rule(Reason::NotReady))),
        ("store/refused: full", refused(Refusal::Rule(Reason::Full))),
        ("store/refused: unknown read", refused(Refusal::UnknownRead(CallId(10)))),
        ("store/refused: unfit", refused(Refusal::Unfit("key 9 of 8".into()))),
        ("store/refused: failed", refused(Refusal::Failed("disk full".into()))),
        ("store/recorded names", StoreReply::RecordedNames { call: CallId(13), marker: marker() }),
        ("store/statistics reply", StoreReply::Statistics { call: CallId(15), statistics }),
        ("store/snapshot taken", StoreReply::SnapshotTaken { call: CallId(16), version: VERSION }),
    ]
}

fn job_requests() -> Vec<(&'static str, JobRequest)> {
    let report = BlockReport { rows: 8192, loss_sum: 3456.75 };
    let statistics = WorkerStatistics {
        peak_memory_bytes: 1,
        start_micros: 2,
        blocks: 3,
        rows: 4,
        fetch_wait_micros: 5,
        store_wait_micros: 6,
        decode_micros: 7,
        learn_micros: 8,
        sent_bytes: 9,
        received_bytes: 10,
    };
    vec![
        ("job/hello, worker", JobRequest::Hello { role: Role::Worker, from: FROM, pid: 4242 }),
        ("job/hello, store", JobRequest::Hello { role: Role::Store, from: FROM, pid: 4242 }),
        ("job/store ready", JobRequest::StoreReady { store: "127.0.0.1:4100".into(), epoch: StoreEpoch(5) }),
        ("job/want lease", JobRequest::WantLease { count: 2 }),
        ("job/done", JobRequest::Done { name: NAME, epoch: StoreEpoch(5), duplicate: false, report }),
        ("job/failed", JobRequest::Failed { reason: "no memory".into() }),
        ("job/statistics", JobRequest::Statistics(statistics)),
    ]
}

fn job_replies() -> Vec<(&'static str, JobReply)> {
    let job = Bytes::from_static(br#"{"passes":3}"#);
    vec![
        ("job/welcome", JobReply::Welcome { job }),
        ("job/grant", JobReply::Grant { pass: Pass(2), block: BLOCK }),
        ("job/dry", JobReply::Dry),
        ("job/store at", JobReply::StoreAt { store: "127.0.0.1:4101".into(), epoch: StoreEpoch(6) }),
        ("job/finish", JobReply::Finish),
        ("job/fenced", JobReply::Fenced),
    ]
}

fn check_frame(vectors: &mut BTreeMap<&str, Vec<u8>>, name: &str, frame: &Frame) -> Frame {
    let expected = vectors.remove(name).unwrap_or_else(|| panic!("no vector for {name}"));
    let mut bytes = Vec::new();
    frame.encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
    assert_eq!(bytes, expected, "{name}");
    match decode(&mut BytesMut::from(expected.as_slice()), DEFAULT_BODY_LIMIT) {
        Ok(Decoded::Frame(frame)) => frame,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_encoder_writes_its_vector_and_reads_it() {
    let mut vectors = vectors();
    for (name, frame) in frames() {
        assert_eq!(check_frame(&mut vectors, name, &frame), frame, "{name}");
    }
    for (name, message) in store_requests() {
        let frame = check_frame(&mut vectors, name, &message.clone().into_frame());
        assert_eq!(StoreRequest::try_from(frame), Ok(message), "{name}");
    }
    for (name, message) in store_replies() {
        let frame = check_frame(&mut vectors, name, &message.clone().into_frame());
        assert_eq!(StoreReply::try_from(frame), Ok(message), "{name}");
    }
    for (name, message) in job_requests() {
        let frame = check_frame(&mut vectors, name, &message.clone().into_frame());
        assert_eq!(JobRequest::try_from(frame), Ok(message), "{name}");
    }
    for (name, message) in job_replies() {
        let frame = check_frame(&mut vectors, name, &message.clone().into_frame());
        assert_eq!(JobReply::try_from(frame), Ok(message), "{name}");
    }
    check_updates(&mut vectors);
    check_names_and_snapshot(&mut vectors);
    assert!(vectors.is_empty(), "vectors that nothing was compared with: {:?}", vectors.keys());
}

fn check_updates(vectors: &mut BTreeMap<&str, Vec<u8>>) {
    let updates: [(&str, KeyReference<'_>, &[&[f32]]); 3] = [
        (
            "update/inline, two columns",
            KeyReference::Inline(&[10, 11]),
            &[&[0.5, -1.0, 2.0], &[4.0, 0.0, -0.25]],
        ),
        ("update/of read 10, one column", KeyReference::OfRead(CallId(10)), &[&[1.0, 2.0]]),
        ("update/every cell", KeyReference::Inline(&[]), &[&[3.0]]),
    ];
    for (name, keys, columns) in updates {
        let expected = vectors.remove(name).unwrap();
        let mut bytes = Vec::new();
        gradient::encode(keys, columns, &mut bytes).unwrap();
        assert_eq!(bytes, expected, "{name}");
        let update = Update::parse(&expected).unwrap();
        assert_eq!(update.keys(), keys, "{name}");
        assert_eq!(update.columns(), columns.len(), "{name}");
        for (index, column) in columns.iter().enumerate() {
            let read: Vec<f32> = update.column(index).unwrap().iter().map(|number| number.get()).collect();
            assert_eq!(read, *column, "{name}");
        }
    }
}

fn check_names_and_snapshot(vectors: &mut BTreeMap<&str, Vec<u8>>) {
    for (name, set) in [("names/none", Vec::new()), ("names/three runs", marker().names)] {
        let expected = vectors.remove(name).unwrap();
        let mut bytes = Vec::new();
        names::encode(&set, &mut bytes);
        assert_eq!(bytes, expected, "{name}");
        assert_eq!(names::decode(&expected, 7), Ok(set), "{name}");
    }
    let expected = vectors.remove("snapshot/small").unwrap();
    let (model, table) = (br#"{"bits":20}"#, b"table bytes");
    let mut object = Vec::new();
    snapshot::encode(&marker(), model, |out| out.extend_from_slice(table), &mut object).unwrap();
    assert_eq!(object, expected);
    let read = Snapshot::parse(expected.into(), 7).unwrap();
    assert_eq!(read.marker, marker());
    assert_eq!((&read.model[..], &read.table[..]), (&model[..], &table[..]));
}
