//! The daemon as a process: who may come in, and what becomes of those who leave.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use cirrus_core::directory::ChannelName;
use cirrus_core::ids::{CallId, JobId, MachineId};
use cirrus_protocol::handshake::{Credential, Token};
use cirrus_protocol::zip::{Lodge, LodgingMessage, TurnedAway};
use cirrus_transport::shared::{Full, Guest, Host, Plain, Slab, Taken};
use cirrus_transport::unix::Unix;
use cirrus_transport::{
    Connection, FrameReceiver as _, FrameSender as _, Listener as _, Medium, Transport, TransportError, auth,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::hall::Hall;
use super::machine;
use crate::store::server::log_end;
use crate::zip::background::Background;
use crate::zip::error::{ZipError, log_stranger};
use crate::zip::member::{self, Place};
use crate::zip::settings::Settings;

/// What a daemon is told when it starts.
#[derive(Clone, Debug)]
pub struct DaemonSpec {
    /// Where lambdas find it: the path of a Unix socket.
    pub socket: String,
    /// The controller of its channels, a `host:port`.
    pub controller: String,
    /// The jobs that it serves, and the digests of their tokens.
    pub jobs: Vec<(JobId, Token)>,
    /// Where its members listen for other machines, each at an address of its own; `None`: at the address of this machine
    /// that reaches the controller.
    pub listen: Option<String>,
    /// Bytes of shared memory for each channel. They take memory as they are used.
    pub channel_bytes: u64,
    /// Threads that combine values.
    pub threads: NonZeroUsize,
    /// Time-outs and limits: as at the lambdas.
    pub settings: Settings,
}

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// It cannot listen.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Its controller is of no use.
    #[error(transparent)]
    Zip(#[from] ZipError),
}

/// A daemon that listens.
pub struct Daemon<M: Medium> {
    listener: <Unix as Transport>::Listener,
    inner: Arc<Inner<M>>,
}

struct Inner<M> {
    medium: M,
    spec: DaemonSpec,
    machine: MachineId,
    background: Background,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    halls: BTreeMap<(JobId, ChannelName), Arc<Hall>>,
    lodgings: BTreeMap<u64, Lodging>,
    last: u64,
}

/// Who may make lines.
#[derive(Clone)]
struct Lodging {
    secret: [u8; 32],
    job: JobId,
    guest: Arc<Guest>,
    hall: Arc<Hall>,
    takes: mpsc::UnboundedSender<Taken>,
}

impl<M: Medium> Daemon<M> {
    /// Listens. A socket that a killed daemon has left behind is taken over.
    ///
    /// # Errors
    /// `Transport`: somebody listens there, or nobody can. `Zip`: the controller is not there, or has another token.
    pub async fn start(medium: M, spec: DaemonSpec) -> Result<Self, DaemonError> {
        let background = Background::here();
        for (job, token) in &spec.jobs {
            let credential = Credential { job: *job, token: *token };
            member::try_controller(place(&medium, &spec, credential, &background)?).await?;
        }
        let listener = Unix::default().listen(&spec.socket).await?;
        let (machine, state) = (machine(&spec.socket), Mutex::default());
        Ok(Self { listener, inner: Arc::new(Inner { medium, spec, machine, background, state }) })
    }

    /// Where lambdas find it.
    #[must_use]
    pub fn socket(&self) -> &str {
        self.listener.address()
    }

    /// To look at what it shares while it runs.
    #[must_use]
    pub fn observer(&self) -> Observer<M> {
        Observer(Arc::clone(&self.inner))
    }

    /// Serves until it is dropped, which ends everything of it.
    pub async fn run(mut self) {
        let mut lambdas = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                called = self.listener.accept() => match called {
                    Ok(end) => _ = lambdas.spawn(Arc::clone(&self.inner).called(end)),
                    Err(error) => {
                        tracing::warn!("{error}");
                        sleep(Duration::from_millis(50)).await; // Out of files, most likely: let some end first.
                    }
                },
                Some(_) = lambdas.join_next() => {}
            }
        }
    }
}

/// What a daemon shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Channels in which lambdas of this machine are.
    pub channels: usize,
    /// Bytes that are held, whole slabs: by lambdas, or on their way.
    pub held: u64,
    /// Bytes that the daemon has copied: those that came from other machines.
    pub copied: u64,
}

/// Looks at a daemon.
pub struct Observer<M>(Arc<Inner<M>>);

impl<M> Observer<M> {
    /// What it shares now.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let halls: Vec<Arc<Hall>> = state.halls.values().cloned().collect();
        drop(state);
        let hosts = || halls.iter().map(|hall| hall.host());
        let (held, copied) = (hosts().map(|it| it.held()).sum(), hosts().map(|it| it.copied()).sum());
        Memory { channels: halls.len(), held, copied }
    }
}

fn place<M: Medium>(
    medium: &M,
    spec: &DaemonSpec,
    credential: Credential,
    background: &Background,
) -> Result<Place<M>, ZipError> {
    let listen = spec.listen.clone();
    Ok(Place {
        medium: medium.clone(),
        controller: crate::zip::address_of(&spec.controller)?,
        credential,
        listen: listen.unwrap_or_else(|| format!("{}:0", crate::zip::own_address(&spec.controller))),
        settings: Arc::new(spec.settings.clone()),
        background: background.clone(),
    })
}

impl<M: Medium> Inner<M> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody calls: a lambda that wants to lodge, or one that does and makes a line.
    async fn called(self: Arc<Self>, mut end: Plain) {
        let token = |job| self.spec.jobs.iter().find(|(it, _)| *it == job).map(|(_, token)| *token);
        let credential = match auth::admit(&mut end, token).await {
            Ok(credential) => credential,
            Err(error) => return log_stranger(&error),
        };
        let first = match timeout(auth::WITHIN, end.receiver.next()).await {
            Ok(Ok(Some(frame))) => LodgingMessage::try_from(frame),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return log_end(&error),
            Err(_) => return tracing::warn!("{} does not say what it wants", end.peer),
        };
        match first {
            Ok(LodgingMessage::Lodge(lodge)) => self.lodges(end, credential, lodge).await,
            Ok(LodgingMessage::Line { lodging, secret, connection }) => {
                let known = self.state().lodgings.get(&lodging).cloned();
                match known.filter(|it| it.secret == secret && it.job == credential.job) {
                    Some(it) => it.hall.arrives(it.guest.share(end, connection, it.takes)).await,
                    None => tracing::warn!("{} makes a line of a lodging that is not its own", end.peer),
                }
            }
            Ok(_) => tracing::warn!("{} begins with something else than it should", end.peer),
            Err(error) => tracing::warn!("{} does not say what it wants: {error}", end.peer),
        }
    }

    /// The channel that a lambda names, with the daemon in it or about to be.
    fn hall(self: &Arc<Self>, credential: Credential, lodge: &Lodge) -> Result<Arc<Hall>, TurnedAway> {
        let mut state = self.state();
        let key = (credential.job, lodge.name.clone());
        if let Some(hall) = state.halls.get(&key) {
            if !hall.is_for(lodge) {
                return Err(TurnedAway::OtherPurpose);
            }
            hall.count(|lambdas| lambdas + 1);
            return Ok(Arc::clone(hall));
        }
        let host = Host::create(self.spec.channel_bytes).map_err(|error| {
            tracing::warn!("no shared memory for channel {}: {error}", lodge.name.0);
            TurnedAway::NoMemory
        })?;
        let hall = Hall::new(self.machine, host, lodge.clone(), self.spec.threads);
        let hall = hall.ok_or(TurnedAway::UnknownOperator)?;
        let place = place(&self.medium, &self.spec, credential, &self.background);
        tokio::spawn(Arc::clone(&hall).sit(place.map_err(|_| TurnedAway::OtherPurpose)?));
        state.halls.insert(key, Arc::clone(&hall));
        Ok(hall)
    }

    /// A lambda of this channel is no member any more. With the last one the daemon leaves.
    fn left(&self, credential: Credential, lodge: &Lodge, hall: &Arc<Hall>) {
        let mut state = self.state();
        let key = (credential.job, lodge.name.clone());
        if hall.count(|lambdas| lambdas.saturating_sub(1)) == 0
            && state.halls.get(&key).is_some_and(|it| Arc::ptr_eq(it, hall))
        {
            state.halls.remove(&key);
        }
    }

    async fn lodges(self: Arc<Self>, mut end: Plain, credential: Credential, lodge: Lodge) {
        let mut buffer = BytesMut::new();
        let hall = match self.hall(credential, &lodge) {
            Ok(hall) => hall,
            Err(why) => {
                let refused = end.sender.send(LodgingMessage::TurnedAway(why).into_frame(&mut buffer)).await;
                return refused.unwrap_or_else(|error| log_end(&error));
            }
        };
        let mut stay = Stay { there: Some(&*self), credential, lodge, hall, number: 0, guest: None };
        if let Err(error) = stay.last(end, &mut buffer).await {
            log_end(&error);
        }
    }
}

/// A lambda that lodges. Dropped, all that it had here is gone, however that came about.
struct Stay<'a, M> {
    /// Where it is counted; `None` once it has left.
    there: Option<&'a Inner<M>>,
    credential: Credential,
    lodge: Lodge,
    hall: Arc<Hall>,
    number: u64,
    guest: Option<(&'a Inner<M>, Arc<Guest>)>,
}

impl<M> Drop for Stay<'_, M> {
    fn drop(&mut self) {
        if let Some((inner, guest)) = self.guest.take() {
            inner.state.lock().unwrap_or_else(PoisonError::into_inner).lodgings.remove(&self.number);
            guest.evict();
        }
    }
}

impl<'a, M: Medium> Stay<'a, M> {
    async fn last(&mut self, end: Plain, buffer: &mut BytesMut) -> Result<(), TransportError> {
        let stayed = self.stays(end, buffer).await;
        self.leaves();
        stayed
    }

    fn leaves(&mut self) {
        if let Some(inner) = self.there.take() {
            inner.left(self.credential, &self.lodge, &self.hall);
        }
    }

    async fn stays(&mut self, mut end: Plain, buffer: &mut BytesMut) -> Result<(), TransportError> {
        let Some(inner) = self.there else { return Ok(()) };
        let broken = |source| TransportError::Broken { peer: end.peer.clone(), source };
        let guest = Arc::new(self.hall.host().admit().map_err(broken)?);
        let (takes, mut taken) = mpsc::unbounded_channel();
        let secret = auth::secret().map_err(broken)?;
        self.number = {
            let mut state = inner.state();
            state.last += 1;
            let (hall, guest, job) = (Arc::clone(&self.hall), Arc::clone(&guest), self.credential.job);
            let (number, lodging) = (state.last, Lodging { secret, job, guest, hall, takes });
            state.lodgings.insert(number, lodging);
            number
        };
        self.guest = Some((inner, Arc::clone(&guest)));
        let lodged = LodgingMessage::Lodged { lodging: self.number, secret, segment: self.hall.host().id() };
        end.sender.send(lodged.into_frame(buffer)).await?;
        match end.receiver.next().await?.map(LodgingMessage::try_from) {
            Some(Ok(LodgingMessage::Ready)) => guest.hand_over(&end).await.map_err(broken)?,
            _ => return Ok(()), // It does not want it.
        }
        let mut seated = self.hall.seated();
        seated.mark_changed();
        let Connection { mut sender, mut receiver, peer } = end;
        loop {
            let queued = sender.queued_bytes() > 0;
            let answer = tokio::select! {
                frame = receiver.next() => match frame?.map(LodgingMessage::try_from) {
                    Some(Ok(LodgingMessage::Lease { call, bytes })) => leased(&guest, call, bytes),
                    Some(Ok(LodgingMessage::Taken { connection, count, over })) => {
                        guest.taken(Taken { connection, count, over });
                        continue;
                    }
                    Some(Ok(LodgingMessage::Left)) => {
                        self.leaves();
                        continue;
                    }
                    Some(Ok(_)) => {
                        tracing::warn!("{peer} says what a lambda does not");
                        return Ok(());
                    }
                    Some(Err(source)) => return Err(TransportError::Format { peer, source }),
                    None => return Ok(()),
                },
                Some(Taken { connection, count, over }) = taken.recv() => {
                    LodgingMessage::Taken { connection, count, over }
                }
                Ok(()) = seated.changed() => {
                    if !*seated.borrow() {
                        continue;
                    }
                    LodgingMessage::Seated
                }
                flushed = sender.flush(), if queued => {
                    flushed?;
                    continue;
                }
            };
            sender.queue(answer.into_frame(buffer))?;
        }
    }
}

fn leased(guest: &Guest, call: CallId, bytes: u64) -> LodgingMessage {
    match guest.lease(bytes) {
        Ok(Slab { slot, begin, bytes }) => LodgingMessage::Leased { call, slot, begin, bytes },
        Err(Full { free, .. }) => LodgingMessage::Full { call, free },
    }
}
