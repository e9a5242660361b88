//! The store's process: connections, timers and writes around one shard.
//!
//! Everything runs on one thread, so that the shard needs no lock: a task for each connection takes the frames that
//! have arrived, hands them to the shard, and writes all answers at once; frames that the shard has for other
//! connections wake their tasks. A connection that sends what is not a request is closed with the reason in the log;
//! the others do not notice.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::StoreEpoch;
use cirrus_core::store::{Config, RecordId};
use cirrus_protocol::error::FormatError;
use cirrus_protocol::store::StoreRequest;
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, Transport, TransportError};
use tokio::sync::{Notify, mpsc};
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
}

/// What the tasks share.
struct Shared {
    shard: RefCell<Shard>,
    wakers: RefCell<BTreeMap<ConnectionId, Rc<Notify>>>,
    tasks: mpsc::UnboundedSender<Task>,
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

impl StoreServer {
    /// Serves at `address` until somebody asks for the end. `ready` is told the real address and the epoch once
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
        let mut shard = Shard::new(self.config, self.model.clone(), (self.tables)(&self.model)?);
        let (last_epoch, snapshot) = self.disk.load().await?;
        shard.start(last_epoch, snapshot).map_err(StoreError::Snapshot)?;
        let mut listener = transport.listen(address).await?;
        let (tasks, inbox) = mpsc::unbounded_channel();
        let shared = Rc::new(Shared { shard: RefCell::new(shard), wakers: RefCell::default(), tasks });
        shared.with(None, |_| ());
        let local = LocalSet::new();
        local.run_until(run(&shared, &mut listener, inbox, &self.disk, ready)).await
    }
}

/// Accepts connections and carries out tasks until the end.
async fn run<L: Listener>(
    shared: &Rc<Shared>,
    listener: &mut L,
    mut inbox: mpsc::UnboundedReceiver<Task>,
    disk: &Disk,
    ready: impl FnOnce(&str, StoreEpoch),
) -> Result<(), StoreError> {
    let mut ready = Some(ready);
    let mut last = ConnectionId(0);
    let mut open = false;
    loop {
        tokio::select! {
            accepted = listener.accept(), if open => match accepted {
                Err(error) => {
                    tracing::warn!("{error}");
                    // Out of descriptors, most likely: let some connections end first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(connection) => {
                    last = ConnectionId(last.0.wrapping_add(1));
                    spawn_local(converse(Rc::clone(shared), last, connection));
                }
            },
            task = inbox.recv() => match task {
                None | Some(Task::Stop) => return Ok(()),
                Some(Task::CannotOpen) => return Err(StoreError::CannotOpen),
                Some(Task::Ready(epoch)) => {
                    open = true;
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
        Task::Ready(_) | Task::CannotOpen | Task::Stop => {}
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
    loop {
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
}
