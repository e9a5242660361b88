//! A relay: leads to processes that cannot be called.
//!
//! It knows who has registered under which name, for each job by itself, and rings whoever somebody wants to reach. When
//! that one has called back, whatever frames come from one of the two go to the other: one at a time, so that who reads
//! slowly slows who writes and nothing piles up here. Everybody proves to have the job's token first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cirrus_protocol::handshake::{JobId, Token};
use cirrus_protocol::relay::{RelayMessage, RelayName, Ticket};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, Transport, TransportError, auth};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::error::log_stranger;
use super::super::strangers::{Stranger, Strangers};
use crate::store::server::log_end;

/// How long whoever is rung may take to call back.
const CALLS_BACK: Duration = Duration::from_secs(5);
/// Callers that may wait to be told to one who is rung.
const RINGS_MAX: usize = 64;
/// Frames are gathered up to so many bytes for one write.
const WRITE_BYTES: usize = 256 << 10;

/// A relay that listens.
pub struct Relay<T: Transport> {
    listener: T::Listener,
    exchange: Arc<Exchange<T>>,
}

impl<T: Transport> core::fmt::Debug for Relay<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Relay").field("address", &self.address()).finish_non_exhaustive()
    }
}

type End<T> = Connection<<T as Transport>::Sender, <T as Transport>::Receiver>;

/// Who is known, and who waits.
struct Exchange<T: Transport> {
    tokens: BTreeMap<JobId, Token>,
    known: Mutex<Known<T>>,
}

struct Known<T: Transport> {
    registered: HashMap<(JobId, RelayName), mpsc::Sender<Ticket>>,
    waiting: HashMap<(JobId, Ticket), oneshot::Sender<End<T>>>,
    tickets: u64,
}

impl<T: Transport> Relay<T> {
    /// Begins to listen, for members of these jobs.
    ///
    /// # Errors
    /// As [`Transport::listen`].
    pub async fn start(
        transport: &T,
        listen: &str,
        tokens: BTreeMap<JobId, Token>,
    ) -> Result<Self, TransportError> {
        let listener = transport.listen(listen).await?;
        let known = Known { registered: HashMap::new(), waiting: HashMap::new(), tickets: 0 };
        Ok(Self { listener, exchange: Arc::new(Exchange { tokens, known: Mutex::new(known) }) })
    }

    /// Where processes reach it.
    #[must_use]
    pub fn address(&self) -> &str {
        self.listener.address()
    }

    /// Leads callers until it is dropped, and all that it leads with it.
    pub async fn run(mut self) {
        let (mut strangers, mut all) = (Strangers::new(), JoinSet::new());
        loop {
            match self.listener.accept().await {
                Ok(end) => {
                    let (name, place) = (end.peer.clone(), strangers.place().await);
                    let held = Arc::downgrade(&place);
                    strangers.came(name, held, all.spawn(serve(end, place, self.exchange.clone())));
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    // Out of descriptors, most likely: let some connections end first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            while all.try_join_next().is_some() {}
        }
    }
}

impl<T: Transport> Exchange<T> {
    fn lock(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings a process. The caller gets what it calls back on, if it does.
    fn ring(&self, job: JobId, name: RelayName) -> Option<(Ticket, oneshot::Receiver<End<T>>)> {
        let mut known = self.lock();
        known.tickets += 1;
        let ticket = Ticket(known.tickets);
        known.registered.get(&(job, name))?.try_send(ticket).ok()?;
        let (calls_back, back) = oneshot::channel();
        known.waiting.insert((job, ticket), calls_back);
        Some((ticket, back))
    }
}

/// Does what a connection is for.
async fn serve<T: Transport>(mut end: End<T>, place: Arc<Stranger>, exchange: Arc<Exchange<T>>) {
    let job = match auth::admit(&mut end, |job| exchange.tokens.get(&job).copied()).await {
        Ok(credential) => credential.job,
        Err(error) => return log_stranger(&error),
    };
    let first = timeout(auth::WITHIN, hear(&mut end)).await;
    if !place.is_known() {
        return;
    }
    let served = match first {
        Ok(Ok(Some(RelayMessage::Register(name)))) => register(end, (job, name), &exchange).await,
        Ok(Ok(Some(RelayMessage::Reach(name)))) => reach(end, job, name, &exchange).await,
        Ok(Ok(Some(RelayMessage::Meet(ticket)))) => meet(end, job, ticket, &exchange).await,
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(_))) => Err(TransportError::Unasked { peer: end.peer }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(TransportError::Silent { peer: end.peer, after: auth::WITHIN }),
    };
    if let Err(error) = served {
        log_end(&error);
    }
}

async fn hear<S, R: FrameReceiver>(
    end: &mut Connection<S, R>,
) -> Result<Option<RelayMessage>, TransportError> {
    let Some(frame) = end.receiver.next().await? else { return Ok(None) };
    let format = |source| TransportError::Format { peer: end.peer.clone(), source };
    RelayMessage::try_from(frame).map(Some).map_err(format)
}

/// Rings a process as long as it is there. One that registers again takes its own place.
async fn register<T: Transport>(
    mut end: End<T>,
    name: (JobId, RelayName),
    exchange: &Exchange<T>,
) -> Result<(), TransportError> {
    let (rings, mut rung) = mpsc::channel(RINGS_MAX);
    exchange.lock().registered.insert(name, rings.clone());
    let rings_until_gone = async {
        end.sender.send(RelayMessage::Registered.into_frame()).await?;
        loop {
            tokio::select! {
                ticket = rung.recv() => match ticket {
                    Some(ticket) => end.sender.send(RelayMessage::Ring(ticket).into_frame()).await?,
                    None => return Ok(()),
                },
                frame = end.receiver.next() => match frame? {
                    Some(_) => return Err(TransportError::Unasked { peer: end.peer.clone() }),
                    None => return Ok(()),
                },
            }
        }
    };
    let ended = rings_until_gone.await;
    let mut known = exchange.lock();
    if known.registered.get(&name).is_some_and(|current| current.same_channel(&rings)) {
        known.registered.remove(&name);
    }
    ended
}

/// Leads a caller to whom it wants to reach.
async fn reach<T: Transport>(
    mut caller: End<T>,
    job: JobId,
    name: RelayName,
    exchange: &Exchange<T>,
) -> Result<(), TransportError> {
    let called = match exchange.ring(job, name) {
        Some((ticket, back)) => {
            let called = timeout(CALLS_BACK, back).await.ok().and_then(Result::ok);
            exchange.lock().waiting.remove(&(job, ticket));
            called
        }
        None => None,
    };
    let Some(mut called) = called else {
        return caller.sender.send(RelayMessage::Unreachable.into_frame()).await;
    };
    called.sender.send(RelayMessage::Through.into_frame()).await?;
    caller.sender.send(RelayMessage::Through.into_frame()).await?;
    tokio::try_join!(carry(caller.receiver, called.sender), carry(called.receiver, caller.sender)).map(|_| ())
}

/// One who was rung has called back.
async fn meet<T: Transport>(
    end: End<T>,
    job: JobId,
    ticket: Ticket,
    exchange: &Exchange<T>,
) -> Result<(), TransportError> {
    let waits = exchange.lock().waiting.remove(&(job, ticket));
    let refused = match waits {
        Some(waits) => waits.send(end).err(),
        None => Some(end),
    };
    match refused {
        Some(mut end) => end.sender.send(RelayMessage::Unreachable.into_frame()).await,
        None => Ok(()),
    }
}

/// Carries frames one way until they end; then that way is closed.
async fn carry<R: FrameReceiver, S: FrameSender>(mut from: R, mut to: S) -> Result<(), TransportError> {
    while let Some(frame) = from.next().await? {
        to.queue(frame)?;
        while to.queued_bytes() < WRITE_BYTES
            && let Some(frame) = from.try_next_buffered()?
        {
            to.queue(frame)?;
        }
        to.flush().await?;
    }
    Ok(())
}
