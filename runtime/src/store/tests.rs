//! A store behind an in-memory transport, with a table that a reader can follow: one `f32` a key, updates add.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::bug::Bugs;
use cirrus_core::ids::{BlockId, GradientName, Incarnation, Millis, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::store::{Config, Reason, Sender, Staleness};
use cirrus_protocol::gradient::{self, KeyReference, Update};
use cirrus_protocol::handshake::{Credential, JobId};
use cirrus_protocol::keys::{self, KeyLimit};
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest};
use cirrus_transport::memory::Memory;
use cirrus_transport::{FrameReceiver, FrameSender, Transport, TransportError, auth};

use super::client::ClientError;
use super::disk::Disk;
use super::server::{Observation, observer};
use super::{Admission, StoreClient, StoreServer, metrics};
use crate::http::Answer;
use crate::object::faulty::FailAfter;
use crate::object::{LocalFolder, ObjectStore};
use crate::table::{Table, TableError, TableFactory};

const KEYS: u32 = 8;
const DEADLINE: Duration = Duration::from_secs(20);
const MODEL: &[u8] = b"sums";

/// One number a key; an update's single column is added.
#[derive(Default)]
struct Sums([f32; KEYS as usize]);

impl Sums {
    fn keys(bytes: &[u8]) -> Result<Vec<u32>, TableError> {
        let mut keys = Vec::new();
        if bytes.is_empty() {
            return Ok((0..KEYS).collect());
        }
        keys::decode_sequence(bytes, KeyLimit { count: KEYS, key_max: KEYS - 1 }, &mut keys)
            .map_err(|error| TableError::Keys(error.to_string()))?;
        Ok(keys)
    }
}

impl Table for Sums {
    fn check_keys(&self, keys: &[u8]) -> Result<(), TableError> {
        Self::keys(keys).map(drop)
    }

    fn check_update(&self, keys: &[u8], update: Update<'_>) -> Result<(), TableError> {
        if update.columns() == 1 && update.count() == Self::keys(keys)?.len() {
            Ok(())
        } else {
            Err(TableError::Update("one number a key is expected".to_owned()))
        }
    }

    fn read(&mut self, keys: &[u8], cells: &mut Vec<u8>) {
        for key in Self::keys(keys).unwrap() {
            cells.extend_from_slice(&self.0[key as usize].to_le_bytes());
        }
    }

    fn apply(&mut self, keys: &[u8], update: Update<'_>, _: crate::table::Origin) {
        for (key, value) in Self::keys(keys).unwrap().into_iter().zip(update.column(0).unwrap()) {
            self.0[key as usize] += value.get();
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), TableError> {
        let values = floats(bytes);
        self.0 = values.try_into().map_err(|_| TableError::Snapshot("of another size".to_owned()))?;
        Ok(())
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn list(keys: &[u32]) -> Bytes {
    let mut out = Vec::new();
    keys::encode(keys, &mut out).unwrap();
    out.into()
}

fn update(reference: KeyReference<'_>, column: &[f32]) -> Bytes {
    let mut out = Vec::new();
    gradient::encode(reference, &[column], &mut out).unwrap();
    out.into()
}

fn name(block: u32) -> GradientName {
    GradientName { pass: Pass(0), block: BlockId { partition: 0, block }, part: 0 }
}

fn worker(id: u32, incarnation: u32) -> Sender {
    Sender { worker: WorkerId(id), incarnation: Incarnation(incarnation) }
}

fn config(staleness: Staleness) -> Config {
    Config {
        staleness,
        workers_max: 4,
        reads_max: 4,
        applying_max: 4,
        names_max: 100,
        callers_max: 4,
        snapshot_interval: Millis(3_600_000),
        bugs: Bugs::default(),
    }
}

/// Runs `test` beside a store, which is killed (dropped) when the test is over.
async fn beside_store<F: Future>(
    transport: &Memory,
    objects: Arc<dyn ObjectStore>,
    staleness: Staleness,
    test: impl FnOnce(String) -> F,
) -> F::Output {
    let tables: TableFactory = Arc::new(|_| Ok(Box::<Sums>::default()));
    let server = StoreServer {
        disk: Disk::new(objects, "store/"),
        config: config(staleness),
        model: Bytes::from_static(MODEL),
        tables,
        admission: Admission::default(),
    };
    let (ready, told) = tokio::sync::oneshot::channel();
    let serving = server.serve(transport, "*", |address, _| ready.send(address.to_owned()).unwrap());
    tokio::select! {
        served = serving => panic!("the store ended: {served:?}"),
        output = async { test(told.await.unwrap()).await } => output,
    }
}

async fn session(transport: &Memory, address: &str, from: Sender) -> StoreClient<Memory> {
    let mut client = StoreClient::connect(transport, address, DEADLINE).await.unwrap();
    client.open(from, Bytes::from_static(MODEL)).await.unwrap();
    client
}

fn folder() -> (tempfile::TempDir, Arc<dyn ObjectStore>) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(LocalFolder::new(folder.path()));
    (folder, objects)
}

#[tokio::test]
async fn a_round_in_one_write_and_the_name_counts_once() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    beside_store(&transport, objects, Staleness::Asynchronous, async |address| {
        let mut client = session(&transport, &address, worker(0, 1)).await;
        let keys = list(&[1, 5]);
        let (read, _, cells) = client.get(keys.clone()).await.unwrap();
        assert_eq!(floats(&cells), [0.0, 0.0]);

        // The update names the keys of the read before it.
        let by_reference = update(KeyReference::OfRead(read), &[2.0, 3.0]);
        let (_, version, cells) = client.push_and_get(name(0), 10, by_reference, keys.clone()).await.unwrap();
        assert_eq!((version.count, floats(&cells)), (1, vec![2.0, 3.0]));

        // Another worker sends the same block: it is acknowledged and changes nothing.
        let mut other = session(&transport, &address, worker(1, 1)).await;
        let inline = update(KeyReference::Inline(&keys), &[2.0, 3.0]);
        let (_, version, cells) = other.push_and_get(name(0), 10, inline, keys).await.unwrap();
        assert_eq!((version.count, floats(&cells)), (1, vec![2.0, 3.0]));

        let statistics = other.statistics().await.unwrap();
        assert_eq!((statistics.applied, statistics.acknowledged, statistics.duplicates), (1, 2, 1));
        assert_eq!(statistics.rows, 10, "rows of an update that was not applied do not count");
    })
    .await;
}

#[tokio::test]
async fn restarts_from_its_snapshot_in_a_new_epoch() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    beside_store(&transport, Arc::clone(&objects), Staleness::Asynchronous, async |address| {
        let mut client = session(&transport, &address, worker(0, 1)).await;
        for (block, value) in [(0, 1.0), (1, 2.0)] {
            let update = update(KeyReference::Inline(&[]), &[value; KEYS as usize]);
            client.push_and_get(name(block), 1, update, list(&[0])).await.unwrap();
            if block == 0 {
                let durable = client.snapshot().await.unwrap();
                assert_eq!(durable, Version { epoch: StoreEpoch(1), count: 1 });
            }
        }
    })
    .await;

    beside_store(&transport, Arc::clone(&objects), Staleness::Asynchronous, async |address| {
        let mut client = session(&transport, &address, worker(0, 1)).await;
        assert_eq!(client.epoch(), StoreEpoch(2));
        let (_, cells) = client.peek(Bytes::new()).await.unwrap();
        assert_eq!(floats(&cells), [1.0; KEYS as usize], "the model as it was at the snapshot");
        assert_eq!(client.recorded().await.unwrap().names, [name(0)], "and exactly the names in it");

        // A request that was meant for the life before is refused by name.
        let update = update(KeyReference::Inline(&[]), &[2.0; KEYS as usize]);
        let call = client.next_call();
        let epoch = StoreEpoch(1);
        client.send(StoreRequest::Push { call, epoch, name: name(1), rows: 1, update }).unwrap();
        client.flush().await.unwrap();
        let StoreReply::Refused { reason, .. } = client.receive().await.unwrap() else {
            panic!("not refused")
        };
        assert_eq!(reason, Refusal::Rule(Reason::WrongEpoch(StoreEpoch(2))));
    })
    .await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over_for_the_one_before() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    beside_store(&transport, Arc::clone(&objects), Staleness::Asynchronous, async |address| {
        let mut client = session(&transport, &address, worker(0, 1)).await;
        for block in 0..2 {
            let update = update(KeyReference::Inline(&[]), &[1.0; KEYS as usize]);
            client.push_and_get(name(block), 1, update, list(&[0])).await.unwrap();
            client.snapshot().await.unwrap();
        }
    })
    .await;
    let newest = objects.list("store/snapshot-").await.unwrap().pop().unwrap().key;
    let mut bytes = objects.get(&newest).await.unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    objects.put(&newest, bytes.into()).await.unwrap();

    beside_store(&transport, objects, Staleness::Asynchronous, async |address| {
        let mut client = StoreClient::connect(&transport, &address, DEADLINE).await.unwrap();
        assert_eq!(client.recorded().await.unwrap().names, [name(0)]);
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_costs_the_snapshot_and_not_the_store() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    // Room for the epoch, not for a snapshot.
    let full = Arc::new(FailAfter::new(objects, 10));
    beside_store(&transport, full, Staleness::Asynchronous, async |address| {
        let mut client = session(&transport, &address, worker(0, 1)).await;
        let inline = update(KeyReference::Inline(&[]), &[1.0; KEYS as usize]);
        client.push_and_get(name(0), 1, inline, list(&[0])).await.unwrap();
        let refused = client.snapshot().await.unwrap_err();
        assert!(matches!(&refused, ClientError::Refused(Refusal::Failed(_))), "{refused}");
        let (version, cells) = client.peek(list(&[7])).await.unwrap();
        assert_eq!((version.count, floats(&cells)), (1, vec![1.0]));
    })
    .await;
}

#[tokio::test]
async fn no_new_epoch_no_service() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    let server = StoreServer {
        disk: Disk::new(Arc::new(FailAfter::new(objects, 0)), "store/"),
        config: config(Staleness::Asynchronous),
        model: Bytes::from_static(MODEL),
        tables: Arc::new(|_| Ok(Box::<Sums>::default())),
        admission: Admission::default(),
    };
    let error = server.serve(&transport, "*", |_, _| panic!("it is not ready")).await.unwrap_err();
    assert!(error.to_string().contains("cannot begin a new epoch"), "{error}");
}

/// A store with a token and room for two connections, that ends when it is told.
#[tokio::test]
async fn a_store_lets_in_who_has_its_token_while_there_is_room_and_ends_with_all_on_disk() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    let token = auth::digest("the token of this store");
    let server = || StoreServer {
        disk: Disk::new(Arc::clone(&objects), "store/"),
        config: config(Staleness::Asynchronous),
        model: Bytes::from_static(MODEL),
        tables: Arc::new(|_| Ok(Box::<Sums>::default())),
        admission: Admission { token: Some(token), connections_max: 2 },
    };
    let ((ready, told), (end, asked)) = (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel());
    let (observer, observed) = observer();
    let serving = server().serve_until(
        &transport,
        "*",
        |address, _| ready.send(address.to_owned()).unwrap(),
        observed,
        async { asked.await.unwrap() },
    );
    let credential = |token| Some(Credential { job: JobId(1), token });
    let using = async {
        let address = told.await.unwrap();
        let come = |token| StoreClient::connect_as(&transport, &address, DEADLINE, credential(token));
        let other = come(auth::digest("another token")).await.unwrap_err();
        assert!(matches!(other, ClientError::Transport(TransportError::Denied { .. })), "{other}");

        let mut first = come(token).await.unwrap();
        first.open(worker(0, 1), Bytes::from_static(MODEL)).await.unwrap();
        let inline = update(KeyReference::Inline(&list(&[3])), &[2.5]);
        first.push_and_get(name(0), 7, inline, list(&[3])).await.unwrap();
        let mut second = come(token).await.unwrap();
        second.statistics().await.unwrap();
        let mut third = come(token).await.unwrap();
        let refused = third.statistics().await.unwrap_err().to_string();
        assert!(refused.contains("all its 2 connections"), "{refused}");
        drop(third);
        // The others have not noticed; when one leaves there is room again.
        first.statistics().await.unwrap();
        drop(second);
        loop {
            let mut again = come(token).await.unwrap();
            if again.statistics().await.is_ok() {
                break;
            }
        }
        let seen = observer.observe().await.unwrap();
        assert!(seen.ready && seen.turned_away >= 2, "{seen:?}");
        assert_eq!((seen.statistics.applied, seen.statistics.rows), (1, 7));
        let text = metrics::text(&seen);
        for line in ["cirrus_store_ready 1", "cirrus_store_applied_total 1", "cirrus_store_rows_total 7"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert_eq!(metrics::answer("/health", &observer).await, Answer::Fine("ready\n"));
        assert_eq!(metrics::answer("/", &observer).await, Answer::NotFound);

        end.send(()).unwrap();
        // What it has taken before it hears of its end is still answered.
        let closed = loop {
            if let Err(closed) = first.statistics().await {
                break closed;
            }
        };
        assert!(matches!(closed, ClientError::Closed(_) | ClientError::Transport(_)), "{closed}");
        address
    };
    let (served, _) = tokio::join!(serving, using);
    served.unwrap();
    assert_eq!(observer.observe().await, None::<Observation>);
    assert!(matches!(metrics::answer("/health", &observer).await, Answer::Unavailable(_)));
    // No interval of a snapshot has passed: what is there was written at the end.
    let (epoch, snapshot) = Disk::new(Arc::clone(&objects), "store/").load().await.unwrap();
    assert_eq!(epoch, Some(StoreEpoch(1)));
    assert_eq!(snapshot.unwrap().marker.names, [name(0)]);
}

#[tokio::test]
async fn a_store_that_cannot_write_its_last_snapshot_says_so() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    let server = StoreServer {
        // The epoch, and nothing after it.
        disk: Disk::new(Arc::new(FailAfter::new(objects, 1)), "store/"),
        config: config(Staleness::Asynchronous),
        model: Bytes::from_static(MODEL),
        tables: Arc::new(|_| Ok(Box::<Sums>::default())),
        admission: Admission::default(),
    };
    let (_, observed) = observer();
    let ended = server.serve_until(&transport, "*", |_, _| (), observed, async {}).await.unwrap_err();
    assert!(ended.to_string().contains("the last snapshot could not be written"), "{ended}");
}

#[tokio::test]
async fn a_read_waits_for_the_slowest_until_it_is_fenced() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    beside_store(&transport, objects, Staleness::Bounded(0), async |address| {
        let mut slow = session(&transport, &address, worker(0, 1)).await;
        let mut fast = session(&transport, &address, worker(1, 1)).await;
        slow.get(list(&[0])).await.unwrap();
        let (read, ..) = fast.get(list(&[0])).await.unwrap();
        let push = update(KeyReference::OfRead(read), &[1.0]);
        let mut round = Box::pin(fast.push_and_get(name(1), 1, push, list(&[0])));

        // The fast worker's second read is not answered while the slow one is in its first round.
        let mut coordinator = StoreClient::connect(&transport, &address, DEADLINE).await.unwrap();
        let statistics = tokio::select! {
            biased;
            early = &mut round => panic!("answered early: {early:?}"),
            statistics = async {
                loop {
                    let statistics = coordinator.statistics().await.unwrap();
                    if statistics.applied == 1 { break statistics; }
                }
            } => statistics,
        };
        assert_eq!(statistics.reads, 2);

        coordinator.send(StoreRequest::Fence { dead: worker(0, 1) }).unwrap();
        coordinator.flush().await.unwrap();
        let (_, version, cells) = round.await.unwrap();
        assert_eq!((version.count, floats(&cells)), (1, vec![1.0]));

        let refused = slow.get(list(&[0])).await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(Refusal::Rule(Reason::Fenced))), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn nonsense_ends_its_own_connection_only() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    beside_store(&transport, objects, Staleness::Asynchronous, async |address| {
        let mut client = session(&transport, &address, worker(0, 1)).await;
        // A frame that is no request of a store.
        let mut stranger = transport.connect(&address).await.unwrap();
        let answer = StoreReply::SnapshotTaken { call: client.next_call(), version: Version::default() };
        stranger.sender.send(answer.into_frame()).await.unwrap();
        assert!(stranger.receiver.next().await.unwrap().is_none(), "its connection is closed");

        // What does not fit the table is refused with a reason, and the session goes on.
        let unfit = update(KeyReference::Inline(&list(&[0])), &[1.0, 2.0]);
        let refused = client.push_and_get(name(0), 1, unfit, list(&[0])).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused(Refusal::Unfit(text)) if text.contains("one number"))
        );
        let StoreReply::Values { .. } = client.receive().await.unwrap() else { panic!("the read was fine") };
        let refused = client.get(list(&[KEYS])).await.unwrap_err();
        assert!(matches!(&refused, ClientError::Refused(Refusal::Unfit(_))), "{refused}");
        assert_eq!(client.statistics().await.unwrap().applied, 0);
    })
    .await;
}

#[tokio::test]
async fn a_session_of_another_model_is_refused() {
    let (transport, (_folder, objects)) = (Memory::default(), folder());
    beside_store(&transport, objects, Staleness::Asynchronous, async |address| {
        let mut client = StoreClient::connect(&transport, &address, DEADLINE).await.unwrap();
        let refused = client.open(worker(0, 1), Bytes::from_static(b"products")).await.unwrap_err();
        assert!(refused.to_string().contains("another description"), "{refused}");
        let refused = client.get(list(&[0])).await.unwrap_err();
        assert!(refused.to_string().contains("no session was opened"), "{refused}");
    })
    .await;
}
