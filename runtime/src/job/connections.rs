//! The coordinator's connections: messages in from all of them, answers out to each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cirrus_protocol::job::{JobReply, JobRequest};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, Transport, TransportError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::process::malformed;
use crate::store::server::log_end;

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peer(u64);

/// What comes from a connection.
#[derive(Debug)]
pub(super) enum Message {
    /// It exists; answers to it go here.
    Connected(mpsc::UnboundedSender<JobReply>),
    /// Somebody said something.
    Said(JobRequest),
    /// It is gone.
    Gone,
}

/// All connections of a coordinator. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Connections {
    address: String,
    messages: mpsc::UnboundedReceiver<(Peer, Message)>,
    answers: BTreeMap<Peer, mpsc::UnboundedSender<JobReply>>,
    accepting: JoinHandle<()>,
}

impl Connections {
    /// Begins to listen.
    pub(super) async fn listen<T: Transport>(transport: &T, address: &str) -> Result<Self, TransportError> {
        let listener = transport.listen(address).await?;
        let address = listener.address().to_owned();
        let (inbox, messages) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(accept(listener, inbox));
        Ok(Self { address, messages, answers: BTreeMap::new(), accepting })
    }

    /// Where processes reach the coordinator.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The next thing that somebody says, or that somebody is gone. May be dropped and called again.
    pub(super) async fn next(&mut self) -> (Peer, Option<JobRequest>) {
        loop {
            match self.messages.recv().await {
                Some((peer, Message::Connected(answers))) => {
                    self.answers.insert(peer, answers);
                }
                Some((peer, Message::Said(request))) => return (peer, Some(request)),
                Some((peer, Message::Gone)) => {
                    self.answers.remove(&peer);
                    return (peer, None);
                }
                // The accepting task holds the other end for as long as this lives.
                None => std::future::pending().await,
            }
        }
    }

    /// Says something to somebody, if they are still there.
    pub(super) fn say(&self, peer: Peer, reply: JobReply) {
        if let Some(answers) = self.answers.get(&peer) {
            let _ = answers.send(reply);
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<L: Listener>(mut listener: L, inbox: mpsc::UnboundedSender<(Peer, Message)>) {
    for number in 0.. {
        match listener.accept().await {
            Ok(connection) => {
                tokio::spawn(converse(Peer(number), connection, inbox.clone()));
            }
            Err(error) => {
                tracing::warn!("{error}");
                // Out of descriptors, most likely: let some connections end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Carries one connection's messages until it ends, or the coordinator does.
async fn converse<S: FrameSender, R: FrameReceiver>(
    peer: Peer,
    connection: Connection<S, R>,
    inbox: mpsc::UnboundedSender<(Peer, Message)>,
) {
    let (answers, outbox) = mpsc::unbounded_channel();
    if inbox.send((peer, Message::Connected(answers))).is_ok()
        && let Err(error) = exchange(peer, connection, &inbox, outbox).await
    {
        log_end(&error);
    }
    let _ = inbox.send((peer, Message::Gone));
}

async fn exchange<S: FrameSender, R: FrameReceiver>(
    peer: Peer,
    connection: Connection<S, R>,
    inbox: &mpsc::UnboundedSender<(Peer, Message)>,
    mut outbox: mpsc::UnboundedReceiver<JobReply>,
) -> Result<(), TransportError> {
    let Connection { mut sender, mut receiver, peer: name } = connection;
    let name: Arc<str> = name;
    loop {
        let queued = sender.queued_bytes() > 0;
        tokio::select! {
            frame = receiver.next() => match frame? {
                None => return Ok(()),
                Some(frame) => {
                    let request = JobRequest::try_from(frame).map_err(|source| malformed(&name, source))?;
                    if inbox.send((peer, Message::Said(request))).is_err() {
                        return Ok(());
                    }
                }
            },
            reply = outbox.recv() => match reply {
                None => return Ok(()),
                Some(reply) => sender.queue(reply.into_frame())?,
            },
            flushed = sender.flush(), if queued => flushed?,
        }
    }
}
