//! A member's connections to other members: what each is for, and the tasks that carry it.
//!
//! ```text
//!   this member                                   another one
//!     | dial, proof of the token, first words -----> | admit, first words: what it is for
//!     | outbox --> writer ------ frames -----------> | reader --> News::Said
//! ```
//!
//! A connection has one purpose, its [`Route`], which both ends know from its first words on. There is one connection
//! for a route at a time, and each has a number, so that nothing of an older one is heard any more. What is to be sent
//! are handles to bytes that the member's machine holds anyway, within the limits of its window; what arrives is read
//! only as fast as the member takes it in. So neither side's memory grows by what waits here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cirrus_core::ids::{LinkId, MemberId, Term};
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::{Address, PeerMessage, Purpose};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, Transport, TransportError, auth};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::News;
use crate::store::server::log_end;
use crate::zip::background::Background;
use crate::zip::error::log_stranger;
use crate::zip::metrics::Traffic;
use crate::zip::relay;
use crate::zip::strangers::{Stranger, Strangers};

/// Frames are gathered up to so many bytes for one write.
const WRITE_BYTES: usize = 256 << 10;
/// How long a candidate of an address may take to answer; a relay waits that long for whom it rings.
const DIAL: Duration = Duration::from_secs(6);
/// How long a connection that was closed here may take to send what was said before.
const LINGER: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::zip) enum Route {
    /// A link of the tree; whose end is the parent's, the machine knows.
    Link(LinkId),
    /// From this member to the root of a term.
    Root(Term),
    /// From a sender, to this member as the root.
    Submitter(MemberId),
    /// From this member to another, past the tree.
    To(Purpose, MemberId),
    /// From another one to this, past the tree.
    From(Purpose, MemberId),
}

/// Which connection of a route it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zip) struct Nth(u64);

/// A task that ends with this.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
enum State {
    /// It is being made. Held for its drop.
    Dialling { _task: Task },
    /// It stands.
    Open { outbox: mpsc::UnboundedSender<PeerMessage>, _reader: Task, _hung: oneshot::Sender<()> },
}

/// All connections of a member. Dropped, they close.
#[derive(Debug)]
pub(super) struct Connections {
    background: Background,
    routes: BTreeMap<Route, (u64, State)>,
    /// How many connections there were.
    count: u64,
    /// Counts what goes over them, if anything does.
    traffic: Option<Traffic>,
}

/// One end of a connection, whatever the medium.
pub(in crate::zip) type End<M> = Connection<<M as Transport>::Sender, <M as Transport>::Receiver>;

impl Connections {
    pub(super) fn new(background: Background, traffic: Option<Traffic>) -> Self {
        Self { background, routes: BTreeMap::new(), count: 0, traffic }
    }

    /// Whether this is the connection that the route has now.
    pub(super) fn is_current(&self, route: Route, Nth(nth): Nth) -> bool {
        self.routes.get(&route).is_some_and(|(current, _)| *current == nth)
    }

    /// Whether the route has a connection that stands.
    pub(super) fn is_open(&self, route: Route) -> bool {
        self.routes.get(&route).is_some_and(|(_, state)| matches!(state, State::Open { .. }))
    }

    /// Calls somebody; [`News::Dialled`] says what came of it.
    pub(super) fn dial<M: Transport>(
        &mut self,
        (medium, credential): (M, Credential),
        route: Route,
        address: Address,
        inbox: mpsc::Sender<News<M>>,
    ) {
        self.count += 1;
        let nth = self.count;
        let _task = Task::spawn(async move {
            let made = call(&medium, &address, credential).await;
            let _ = inbox.send(News::Dialled(route, Nth(nth), made)).await;
        });
        self.routes.insert(route, (nth, State::Dialling { _task }));
    }

    /// A connection stands. It takes the place of the route's one before.
    pub(super) fn open<M: Transport>(&mut self, route: Route, end: End<M>, inbox: mpsc::Sender<News<M>>) {
        self.count += 1;
        let nth = self.count;
        let Connection { sender, receiver, peer } = end;
        let (outbox, messages) = mpsc::unbounded_channel();
        let (hung, hangs) = oneshot::channel();
        let needed = self.background.clone();
        let (writes, reads) = (self.traffic.clone(), self.traffic.clone());
        tokio::spawn(async move {
            write(sender, messages, writes, hangs).await;
            drop(needed);
        });
        let reader = Task::spawn(async move {
            if let Err(error) = read((route, Nth(nth)), &peer, receiver, reads, &inbox).await {
                log_end(&error);
            }
            let _ = inbox.send(News::Ended(route, Nth(nth))).await;
        });
        self.routes.insert(route, (nth, State::Open { outbox, _reader: reader, _hung: hung }));
    }

    /// Says something on a route's connection. Where there is none, it is lost.
    pub(super) fn send(&self, route: Route, message: PeerMessage) {
        if let Some((_, State::Open { outbox, .. })) = self.routes.get(&route) {
            let _ = outbox.send(message);
        }
    }

    /// Closes a route's connection, behind what was said on it, or gives up calling.
    pub(super) fn hang(&mut self, route: Route) {
        self.routes.remove(&route);
    }
}

/// Calls the first candidate that answers, and proves to it what is to be proven.
pub(super) async fn call<M: Transport>(
    medium: &M,
    address: &Address,
    credential: Credential,
) -> Result<End<M>, TransportError> {
    let mut failure = TransportError::Connect {
        address: address.to_string(),
        source: std::io::ErrorKind::AddrNotAvailable.into(),
    };
    for candidate in address.candidates() {
        match timeout(DIAL, relay::connect(medium, candidate, credential)).await {
            Ok(Ok(mut end)) => match auth::prove(&mut end, credential).await {
                Ok(()) => return Ok(end),
                Err(error) => failure = error,
            },
            Ok(Err(error)) => failure = error,
            Err(_) => {
                let source = std::io::ErrorKind::TimedOut.into();
                failure = TransportError::Connect { address: candidate.to_owned(), source };
            }
        }
    }
    Err(failure)
}

/// Takes calls for a member until it is gone.
pub(super) async fn listen<M: Transport>(
    mut listener: <M as Transport>::Listener,
    credential: Credential,
    inbox: mpsc::Sender<News<M>>,
) {
    let (mut strangers, mut callers) = (Strangers::new(), JoinSet::new());
    loop {
        match listener.accept().await {
            Ok(end) => {
                let (peer, place) = (end.peer.clone(), strangers.place().await);
                let held = Arc::downgrade(&place);
                let caller = callers.spawn(receive(end, place, credential, inbox.clone()));
                strangers.came(peer, held, caller);
            }
            Err(error) => {
                tracing::warn!("{error}");
                // Out of descriptors, most likely: let some connections end first.
                sleep(Duration::from_millis(50)).await;
            }
        }
        while callers.try_join_next().is_some() {}
    }
}

/// Hears what a caller can prove, and what it wants.
pub(in crate::zip) async fn receive<M: Transport>(
    mut end: End<M>,
    place: Arc<Stranger>,
    credential: Credential,
    inbox: mpsc::Sender<News<M>>,
) {
    let token = |job| (job == credential.job).then_some(credential.token);
    if let Err(error) = auth::admit(&mut end, token).await {
        return log_stranger(&error);
    }
    if !place.is_known() {
        return;
    }
    match timeout(auth::WITHIN, end.receiver.next()).await {
        Ok(Ok(Some(frame))) => match PeerMessage::try_from(frame) {
            Ok(first) => _ = inbox.send(News::Called(end, first)).await,
            Err(error) => tracing::warn!("{} does not say what it wants: {error}", end.peer),
        },
        Ok(Ok(None)) => {}
        Ok(Err(error)) => log_end(&error),
        Err(_) => tracing::warn!("{} does not say what it wants", end.peer),
    }
}

async fn read<M: Transport>(
    (route, nth): (Route, Nth),
    peer: &Arc<str>,
    mut receiver: <M as Transport>::Receiver,
    traffic: Option<Traffic>,
    inbox: &mpsc::Sender<News<M>>,
) -> Result<(), TransportError> {
    while let Some(frame) = receiver.next().await? {
        if let Some(traffic) = &traffic {
            traffic.received(&frame);
        }
        let message = PeerMessage::try_from(frame)
            .map_err(|source| TransportError::Format { peer: peer.clone(), source })?;
        if inbox.send(News::Said(route, nth, message)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Writes what there is until there will be no more, or nobody takes it.
async fn write<S: FrameSender>(
    sender: S,
    messages: mpsc::UnboundedReceiver<PeerMessage>,
    traffic: Option<Traffic>,
    hangs: oneshot::Receiver<()>,
) {
    let over = async {
        let _ = hangs.await;
        sleep(LINGER).await;
    };
    tokio::select! {
        written = write_all(sender, messages, traffic) => {
            if let Err(error) = written {
                log_end(&error);
            }
        }
        () = over => {}
    }
}

async fn write_all<S: FrameSender>(
    mut sender: S,
    mut messages: mpsc::UnboundedReceiver<PeerMessage>,
    traffic: Option<Traffic>,
) -> Result<(), TransportError> {
    let mut buffer = BytesMut::new();
    let mut queue = |sender: &mut S, message: PeerMessage| {
        let frame = message.into_frame(&mut buffer);
        if let Some(traffic) = &traffic {
            traffic.sent(&frame);
        }
        sender.queue(frame)
    };
    while let Some(message) = messages.recv().await {
        queue(&mut sender, message)?;
        while sender.queued_bytes() < WRITE_BYTES
            && let Ok(message) = messages.try_recv()
        {
            queue(&mut sender, message)?;
        }
        sender.flush().await?;
    }
    Ok(())
}
