//! The store's process: connections, timers and writes around one shard.
//!
//! Everything runs on one thread, so that the shard needs no lock: a task for each connection takes the frames that
//! have arrived, hands them to the shard, and writes all answers at once; frames that the shard has for other
//! connections wake their tasks. A connection that sends what is not a request is closed with the reason in the log;
//! the others do not notice. One that has not shown the store's token gets no further than that, and one too many is
//! told so and closed.
//!
//! Asked to end, the store takes no further request, puts what it has on disk, and then closes everything.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::{CallId, StoreEpoch};
use cirrus_core::store::{Config, RecordId};
use cirrus_protocol::error::FormatError;
use cirrus_protocol::handshake::Token;
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest, StoreStatistics};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, Transport, TransportError, auth};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use super::disk::{Disk, DiskError};
use super::eager::Eager;
use super::shard::{ConnectionId, Shard, Task};
use crate::table::{TableError, TableFactory};

/// A store that is to be served.
pub struct StoreServer {
    /// Where its epoch and snapshots are.
    pub disk: Disk,
    /// Its limits and mode.
    pub config: Config,
    /// The model's description.
    pub model: Bytes,
    /// Makes the table.
    pub tables: TableFactory,
    /// Who may connect.
    pub admission: Admission,
}

/// Who may connect to a store.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// What is left of the token that connections show first; `None` where only this machine's user can connect.
    pub token: Option<Token>,
    /// How many connections there can be. One more is told so and closed.
    pub connections_max: u32,
}

impl Admission {
    /// How many connections there can be unless told otherwise.
    pub const CONNECTIONS_MAX: u32 = 4096;
}

impl Default for Admission {
    /// Without a token.
    fn default() -> Self {
        Self { token: None, connections_max: Self::CONNECTIONS_MAX }
    }
}

/// How a store does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Whether workers may come.
    pub ready: bool,
    /// What it has done in this life.
    pub statistics: StoreStatistics,
    /// Connections at present.
    pub connections: u64,
    /// Connections that were refused since there were too many, or no token was shown.
    pub turned_away: u64,
}

/// Asks a store that is served how it does.
#[derive(Clone, Debug)]
pub struct Observer(mpsc::Sender<oneshot::Sender<Observation>>);

impl Observer {
    /// `None` when the store is gone.
    pub async fn observe(&self) -> Option<Observation> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        answered.await.ok()
    }
}

/// The store's end of an [`Observer`].
#[derive(Debug)]
pub struct Observed(mpsc::Receiver<oneshot::Sender<Observation>>);

/// Two ends, one to ask a store how it does, one to serve it with.
#[must_use]
pub fn observer() -> (Observer, Observed) {
    let (ask, asked) = mpsc::channel(16);
    (Observer(ask), Observed(asked))
}

impl std::fmt::Debug for StoreServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreServer")
            .field("disk", &self.disk)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A store cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no table for this model.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Its folder cannot be read.
    #[error("the store's folder cannot be read: {0}")]
    Disk(#[from] DiskError),
    /// The snapshot is of another model.
    #[error("the store cannot be restored: {0}")]
    Snapshot(String),
    /// No new epoch could be put on disk.
    #[error("the store cannot begin a new epoch: its folder cannot be written")]
    CannotOpen,
    /// It cannot listen.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It was asked to end and could not put on disk what it had.
    #[error(
        "the last snapshot could not be written: the store ends without the updates since the one before; see the log"
    )]
    LastSnapshot,
}

/// What the tasks share.
struct Shared {
    shard: RefCell<Shard>,
    wakers: RefCell<BTreeMap<ConnectionId, Rc<Notify>>>,
    tasks: mpsc::UnboundedSender<Task>,
    admission: Admission,
    ready: Cell<bool>,
    /// No request is taken any more.
    ending: Cell<bool>,
    /// Connections, those that have not shown the token yet among them.
    connections: Cell<u64>,
    turned_away: Cell<u64>,
}

impl Shared {
    /// Passes on what the shard has for others: tasks, and frames for other connections.
    fn pass_on(&self, shard: &mut Shard, own: Option<ConnectionId>) {
        for task in shard.take_tasks() {
            // The server's loop outlives the tasks that hold the other end.
            let _ = self.tasks.send(task);
        }
        let wakers = self.wakers.borrow();
        for connection in shard.waiting().filter(|connection| Some(*connection) != own) {
            if let Some(waker) = wakers.get(&connection) {
                waker.notify_one();
            }
        }
    }

    fn with<T>(&self, own: Option<ConnectionId>, act: impl FnOnce(&mut Shard) -> T) -> T {
        let mut shard = self.shard.borrow_mut();
        let answer = act(&mut shard);
        self.pass_on(&mut shard, own);
        answer
    }
}

impl Shared {
    fn observation(&self) -> Observation {
        Observation {
            ready: self.ready.get() && !self.ending.get(),
            statistics: self.shard.borrow().statistics(),
            connections: self.connections.get(),
            turned_away: self.turned_away.get(),
        }
    }
}

impl StoreServer {
    /// Serves at `address` until a client asks for the end. `ready` is told the real address and the epoch once
    /// workers may come.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot begin; what happens to single connections is logged and ends only those.
    pub async fn serve<T: Transport>(
        self,
        transport: &T,
        address: &str,
        ready: impl FnOnce(&str, StoreEpoch),
    ) -> Result<(), StoreError> {
        let (_, observed) = observer();
        self.serve_until(transport, address, ready, observed, std::future::pending()).await
    }

    /// As [`serve`](Self::serve), and answers who asks how it does; when `end` completes it takes no further request,
    /// writes a last snapshot, and ends.
    ///
    /// # Errors
    /// Those of [`serve`](Self::serve), and `LastSnapshot`.
    pub async fn serve_until<T: Transport>(
        self,
        transport: &T,
        address: &str,
        ready: impl FnOnce(&str, StoreEpoch),
        observed: Observed,
        end: impl Future<Output = ()>,
    ) -> Result<(), StoreError> {
        let mut shard = Shard::new(self.config, self.model.clone(), (self.tables)(&self.model)?);
        let (last_epoch, snapshot) = self.disk.load().await?;
        shard.start(last_epoch, snapshot).map_err(StoreError::Snapshot)?;
        let mut listener = transport.listen(address).await?;
        let (tasks, inbox) = mpsc::unbounded_channel();
        let shared = Rc::new(Shared {
            shard: RefCell::new(shard),
            wakers: RefCell::default(),
            tasks,
            admission: self.admission,
            ready: Cell::new(false),
            ending: Cell::new(false),
            connections: Cell::new(0),
            turned_away: Cell::new(0),
        });
        shared.with(None, |_| ());
        let local = LocalSet::new();
        local.run_until(run(&shared, &mut listener, (inbox, observed), &self.disk, ready, end)).await
    }
}

/// Accepts connections and carries out tasks until the end.
async fn run<L: Listener>(
    shared: &Rc<Shared>,
    listener: &mut L,
    (mut inbox, mut observed): (mpsc::UnboundedReceiver<Task>, Observed),
    disk: &Disk,
    ready: impl FnOnce(&str, StoreEpoch),
    end: impl Future<Output = ()>,
) -> Result<(), StoreError> {
    let mut ready = Some(ready);
    let mut last = ConnectionId(0);
    let mut end = std::pin::pin!(end);
    loop {
        tokio::select! {
            accepted = listener.accept(), if shared.ready.get() && !shared.ending.get() => match accepted {
                Err(error) => {
                    tracing::warn!("{error}");
                    // Out of descriptors, most likely: let some connections end first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(connection) => {
                    last = ConnectionId(last.0.wrapping_add(1));
                    spawn_local(welcome(Rc::clone(shared), last, connection));
                }
            },
            () = &mut end, if shared.ready.get() && !shared.ending.get() => {
                shared.ending.set(true);
                shared.wakers.borrow().values().for_each(|waker| waker.notify_one());
                shared.with(None, Shard::save);
            }
            Some(asked) = observed.0.recv() => {
                // Who has gone needs no answer.
                let _ = asked.send(shared.observation());
            }
            task = inbox.recv() => match task {
                None | Some(Task::Stop | Task::Saved(true)) => return Ok(()),
                Some(Task::Saved(false)) => return Err(StoreError::LastSnapshot),
                Some(Task::CannotOpen) => return Err(StoreError::CannotOpen),
                Some(Task::Ready(epoch)) => {
                    shared.ready.set(true);
                    if let Some(ready) = ready.take() {
                        ready(listener.address(), epoch);
                    }
                }
                Some(task) => {
                    spawn_local(carry_out(Rc::clone(shared), disk.clone(), task));
                }
            },
        }
    }
}

/// Does what takes time, then tells the shard.
async fn carry_out(shared: Rc<Shared>, disk: Disk, task: Task) {
    match task {
        Task::WriteEpoch(epoch) => {
            let written = disk.write_epoch(epoch).await;
            let written = written.inspect_err(|error| tracing::error!("epoch: {error}")).is_ok();
            shared.with(None, |shard| shard.persisted(RecordId::Epoch(epoch), written));
        }
        Task::WriteSnapshot { id, bytes } => {
            let RecordId::Snapshot(version) = id else { return };
            let written = disk.write_snapshot(version, bytes).await;
            let written = written.inspect_err(|error| tracing::error!("snapshot: {error}")).is_ok();
            shared.with(None, |shard| shard.persisted(id, written));
        }
        Task::StartTimer { timer, after } => {
            tokio::time::sleep(Duration::from_millis(u64::from(after.0))).await;
            shared.with(None, |shard| shard.fired(timer));
        }
        // The loop does these itself.
        Task::Ready(_) | Task::CannotOpen | Task::Saved(_) | Task::Stop => {}
    }
}

/// How many connections more than the limit are let in to hear that they are too many.
const TURNED_AWAY_MAX: u64 = 64;

/// Sees whether a connection may be here, and speaks with it if so.
async fn welcome<S: FrameSender, R: FrameReceiver>(
    shared: Rc<Shared>,
    id: ConnectionId,
    mut connection: Connection<S, R>,
) {
    let others = shared.connections.get();
    shared.connections.set(others + 1);
    let Admission { token, connections_max } = shared.admission;
    let room = others < u64::from(connections_max);
    let admitted = match token {
        None => Ok(()),
        // One store is one job.
        Some(token) => auth::admit(&mut connection, |_| Some(token)).await.map(drop),
    };
    match admitted {
        Ok(()) if room => converse(Rc::clone(&shared), id, connection).await,
        Ok(()) => {
            shared.turned_away.set(shared.turned_away.get() + 1);
            if others < u64::from(connections_max) + TURNED_AWAY_MAX {
                turn_away(connection, connections_max).await;
            }
        }
        Err(error) => {
            shared.turned_away.set(shared.turned_away.get() + 1);
            tracing::warn!("{error}");
        }
    }
    shared.connections.set(shared.connections.get() - 1);
}

/// Answers the first request by what is wrong, within the time that a handshake may take.
async fn turn_away<S: FrameSender, R: FrameReceiver>(connection: Connection<S, R>, connections_max: u32) {
    let Connection { mut sender, mut receiver, peer } = connection;
    tracing::warn!("{peer}: turned away, there are {connections_max} connections already");
    let text = format!("the store has all its {connections_max} connections; raise --connections-max");
    let farewell = StoreReply::Refused { call: CallId(0), reason: Refusal::Failed(text) };
    let told = async {
        sender.send(farewell.into_frame()).await?;
        // Closed with something unread, the connection would take the answer with it.
        while receiver.next().await?.is_some() {}
        Ok::<(), TransportError>(())
    };
    match tokio::time::timeout(auth::WITHIN, told).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => log_end(&error),
    }
}

/// Speaks with one connection until it ends.
async fn converse<S: FrameSender, R: FrameReceiver>(
    shared: Rc<Shared>,
    id: ConnectionId,
    connection: Connection<S, R>,
) {
    let Connection { mut sender, mut receiver, peer } = connection;
    let waker = Rc::new(Notify::new());
    shared.wakers.borrow_mut().insert(id, Rc::clone(&waker));
    shared.with(Some(id), |shard| shard.connect(id));
    if let Err(error) = exchange(&shared, id, &mut sender, &mut receiver, &waker, &peer).await {
        log_end(&error);
    }
    shared.wakers.borrow_mut().remove(&id);
    shared.with(None, |shard| shard.disconnect(id));
}

/// Logs why a connection ended. Processes of a job may be killed at any time; what is not a message of this protocol
/// comes from somebody who should not be there.
pub(crate) fn log_end(error: &TransportError) {
    match error {
        TransportError::Format { .. } => tracing::warn!("{error}"),
        error => tracing::info!("{error}"),
    }
}

async fn exchange<S: FrameSender, R: FrameReceiver>(
    shared: &Shared,
    id: ConnectionId,
    sender: &mut S,
    receiver: &mut R,
    waker: &Notify,
    peer: &Arc<str>,
) -> Result<(), TransportError> {
    let format = |source: FormatError| TransportError::Format { peer: Arc::clone(peer), source };
    let mut eager = Eager::default();
    while !shared.ending.get() {
        tokio::select! {
            biased;
            frame = eager.next(receiver) => {
                let Some(mut frame) = frame? else { return Ok(()) };
                loop {
                    let request = StoreRequest::try_from(frame).map_err(format)?;
                    shared.with(Some(id), |shard| shard.request(id, request));
                    match receiver.try_next_buffered()? {
                        Some(next) => frame = next,
                        None => break,
                    }
                }
            }
            () = waker.notified() => {}
        }
        let frames = shared.shard.borrow_mut().take_frames(id);
        for frame in frames {
            sender.queue(frame)?;
        }
        sender.flush().await?;
    }
    Ok(())
}
