//! The controller's connections: who has proven to have a job's token may say something, and is answered.
//!
//! A connection of which nothing is heard for the length of a lease says so, once for every such time; the shell passes
//! that on. One that does not take its answers is closed when too many wait, since all that the controller says is
//! absolute: who calls again is told anew.
//!
//! A connection may carry many members. So what has arrived on it is passed on at once, and what is to be said on it is
//! gathered (see [`outbox`]): a system call and a change of tasks carry many words then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cirrus_core::directory::{Credential, Token};
use cirrus_core::ids::{ControllerEpoch, JobId, Millis};
use cirrus_protocol::frame::Frame;
use cirrus_protocol::zip::{Address, ControllerReply, ControllerRequest};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, TransportError, auth};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::error::log_stranger;
use super::super::metrics::Traffic;
use super::super::strangers::{Stranger, Strangers};
use super::super::timers::span;
use super::outbox::{self, Inlet, Outlet};
use crate::store::server::log_end;

/// Requests that are passed on at once.
const BATCH: usize = 256;
/// Answers that are gathered for one write, in bytes.
const WRITE_BYTES: usize = 64 << 10;
/// How long a connection may take to take what is said.
const STUCK: Duration = Duration::from_secs(10);

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Peer(pub(super) u64);

/// What comes from a connection.
#[derive(Debug)]
pub(super) enum News {
    /// It has shown what it may; answers to it go here.
    Admitted(Credential, Inlet),
    /// It says something, in this order.
    Said(Vec<ControllerRequest>),
    /// Nothing was heard of it for the length of a lease.
    Lapsed,
    /// It is gone.
    Gone,
}

/// Whose tokens are accepted, and how long silence lasts.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) tokens: Arc<BTreeMap<JobId, Token>>,
    pub(super) epoch: ControllerEpoch,
    pub(super) lease: Millis,
    /// Counts what goes over the connections, if anything does.
    pub(super) traffic: Option<Traffic>,
}

/// Accepts connections until the shell is gone; all of them end with this.
pub(super) async fn accept<L: Listener>(
    mut listener: L,
    admission: Admission,
    inbox: mpsc::Sender<(Peer, News)>,
) {
    let (mut strangers, mut all) = (Strangers::new(), JoinSet::new());
    for number in 0.. {
        match listener.accept().await {
            Ok(connection) => {
                let (name, place) = (connection.peer.clone(), strangers.place().await);
                let held = Arc::downgrade(&place);
                let conversation =
                    converse(Peer(number), connection, place, admission.clone(), inbox.clone());
                strangers.came(name, held, all.spawn(conversation));
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

/// Carries one connection's messages until it ends, or the controller does.
async fn converse<S: FrameSender, R: FrameReceiver>(
    peer: Peer,
    mut connection: Connection<S, R>,
    place: Arc<Stranger>,
    admission: Admission,
    inbox: mpsc::Sender<(Peer, News)>,
) {
    let Admission { tokens, epoch, lease, traffic } = admission;
    let credential = match auth::admit(&mut connection, |job| tokens.get(&job).copied()).await {
        Ok(credential) => credential,
        Err(error) => return log_stranger(&error),
    };
    if !place.is_known() {
        return;
    }
    let (answers, outbox) = outbox::pair();
    // It is told what it is held to before anything else.
    let _ = answers.say(ControllerReply::Hello { epoch, lease });
    answers.wake();
    if inbox.send((peer, News::Admitted(credential, answers))).await.is_err() {
        return;
    }
    let Connection { sender, receiver, peer: name } = connection;
    let ended = tokio::select! {
        ended = listen((peer, &name), receiver, lease, traffic.as_ref(), &inbox) => ended,
        ended = answer(sender, traffic.as_ref(), outbox) => ended,
    };
    if let Err(error) = ended {
        log_end(&error);
    }
    let _ = inbox.send((peer, News::Gone)).await;
}

async fn listen<R: FrameReceiver>(
    (peer, name): (Peer, &Arc<str>),
    mut receiver: R,
    lease: Millis,
    traffic: Option<&Traffic>,
    inbox: &mpsc::Sender<(Peer, News)>,
) -> Result<(), TransportError> {
    let mut shared = Address::default();
    loop {
        let next = match timeout(span(lease), receiver.next()).await {
            Err(_) => {
                if inbox.send((peer, News::Lapsed)).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            Ok(frame) => frame?,
        };
        let Some(first) = next else { return Ok(()) };
        let mut requests = Vec::new();
        let ended = gather(first, (&mut receiver, traffic), name, &mut shared, &mut requests);
        // What came before a mistake counts.
        if !requests.is_empty() && inbox.send((peer, News::Said(requests))).await.is_err() {
            return Ok(());
        }
        ended?;
    }
}

/// Reads a request and those that have arrived behind it.
fn gather<R: FrameReceiver>(
    first: Frame,
    (receiver, traffic): (&mut R, Option<&Traffic>),
    name: &Arc<str>,
    shared: &mut Address,
    requests: &mut Vec<ControllerRequest>,
) -> Result<(), TransportError> {
    let mut next = Some(first);
    while let Some(frame) = next {
        if let Some(traffic) = traffic {
            traffic.received(&frame);
        }
        match ControllerRequest::try_from(frame) {
            Ok(ControllerRequest::Alive) => {}
            Ok(mut request) => {
                if let ControllerRequest::Join(join) = &mut request {
                    share(&mut join.address, shared);
                }
                requests.push(request);
            }
            Err(source) => return Err(TransportError::Format { peer: name.clone(), source }),
        }
        next = if requests.len() < BATCH { receiver.try_next_buffered()? } else { None };
    }
    Ok(())
}

/// All members of one process listen at one place: that is kept once for all of them.
fn share(address: &mut Address, last: &mut Address) {
    if address == last {
        address.clone_from(last);
    } else {
        last.clone_from(address);
    }
}

/// Writes answers until the shell has no more for this connection.
async fn answer<S: FrameSender>(
    mut sender: S,
    traffic: Option<&Traffic>,
    mut outbox: Outlet,
) -> Result<(), TransportError> {
    let mut buffer = BytesMut::new();
    while let Some(replies) = outbox.next().await {
        for reply in replies.drain(..) {
            let frame = reply.into_frame(&mut buffer);
            if let Some(traffic) = traffic {
                traffic.sent(&frame);
            }
            sender.queue(frame)?;
            if sender.queued_bytes() >= WRITE_BYTES && !flushed(&mut sender).await? {
                return Ok(());
            }
        }
        if !flushed(&mut sender).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// False if it takes nothing any more: whoever is there will call again.
async fn flushed<S: FrameSender>(sender: &mut S) -> Result<bool, TransportError> {
    match timeout(STUCK, sender.flush()).await {
        Ok(flushed) => flushed.map(|()| true),
        Err(_) => Ok(false),
    }
}
