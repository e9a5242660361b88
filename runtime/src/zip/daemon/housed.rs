//! A medium for who may have a daemon, or is one: what is between the two goes over lines, everything else as ever.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::frame::Frame;
use cirrus_transport::shared::{Host, SharedReceiver, SharedSender};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Listener, Medium, Transport, TransportError};
use tokio::sync::mpsc;

use super::AT_HOME;
use super::hall::Hall;
use super::house::House;

/// What comes from elsewhere is lifted into shared memory from this length on.
const LEAST: usize = 4 << 10;

/// A medium, and who the member is on its machine.
#[derive(Clone, Debug)]
pub(in crate::zip) struct Housed<M> {
    outer: M,
    side: Side,
}

#[derive(Clone, Debug)]
enum Side {
    /// A lambda that may have a daemon.
    Lambda(Option<Arc<House>>),
    Daemon(Arc<Hall>),
}

impl<M> Housed<M> {
    /// For a lambda.
    pub(in crate::zip) fn lambda(outer: M, house: Option<Arc<House>>) -> Self {
        Self { outer, side: Side::Lambda(house) }
    }

    /// For a daemon.
    pub(super) fn daemon(outer: M, hall: Arc<Hall>) -> Self {
        Self { outer, side: Side::Daemon(hall) }
    }
}

/// Sends to another machine, or on a line.
#[derive(Debug)]
pub(in crate::zip) enum HousedSender<S> {
    Outer(S),
    Line(SharedSender),
}

/// Receives likewise. A daemon lifts what comes from elsewhere into shared memory.
#[derive(Debug)]
pub(in crate::zip) enum HousedReceiver<R> {
    Outer(R, Option<Arc<Host>>),
    Line(SharedReceiver),
}

type Housing<S, R> = Connection<HousedSender<S>, HousedReceiver<R>>;

fn outer<S, R>(
    Connection { sender, receiver, peer }: Connection<S, R>,
    host: Option<Arc<Host>>,
) -> Housing<S, R> {
    Connection { sender: HousedSender::Outer(sender), receiver: HousedReceiver::Outer(receiver, host), peer }
}

fn line<S, R>(
    Connection { sender, receiver, peer }: Connection<SharedSender, SharedReceiver>,
) -> Housing<S, R> {
    Connection { sender: HousedSender::Line(sender), receiver: HousedReceiver::Line(receiver), peer }
}

impl<M: Medium> Transport for Housed<M> {
    type Sender = HousedSender<<M as Transport>::Sender>;
    type Receiver = HousedReceiver<<M as Transport>::Receiver>;
    type Listener = HousedListener<M>;

    async fn connect(
        &self,
        address: &str,
    ) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        let Some(machine) = address.strip_prefix(AT_HOME) else {
            let host = match &self.side {
                Side::Lambda(_) => None,
                Side::Daemon(hall) => Some(Arc::clone(hall.host())),
            };
            return Ok(outer(self.outer.connect(address).await?, host));
        };
        match &self.side {
            Side::Lambda(Some(house)) => Ok(line(house.line(machine).await?)),
            Side::Lambda(None) | Side::Daemon(_) => {
                let source = std::io::ErrorKind::AddrNotAvailable.into();
                Err(TransportError::Connect { address: address.to_owned(), source })
            }
        }
    }

    async fn listen(&self, address: &str) -> Result<HousedListener<M>, TransportError> {
        let listener = self.outer.listen(address).await?;
        Ok(match &self.side {
            Side::Lambda(_) => {
                let address = listener.address().to_owned();
                HousedListener { outer: listener, address, lines: None, host: None }
            }
            Side::Daemon(hall) => {
                let address = format!("{AT_HOME}{:016x},{}", hall.machine().0, listener.address());
                let host = Some(Arc::clone(hall.host()));
                HousedListener { outer: listener, address, lines: Some(hall.listen()), host }
            }
        })
    }
}

/// Listens for other machines, and a daemon for its lambdas as well.
pub(in crate::zip) struct HousedListener<M: Medium> {
    outer: <M as Transport>::Listener,
    address: String,
    lines: Option<mpsc::Receiver<Connection<SharedSender, SharedReceiver>>>,
    host: Option<Arc<Host>>,
}

impl<M: Medium> Listener for HousedListener<M> {
    type Sender = HousedSender<<M as Transport>::Sender>;
    type Receiver = HousedReceiver<<M as Transport>::Receiver>;

    fn address(&self) -> &str {
        &self.address
    }

    async fn accept(&mut self) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        let Some(lines) = &mut self.lines else { return Ok(outer(self.outer.accept().await?, None)) };
        tokio::select! {
            Some(called) = lines.recv() => Ok(line(called)),
            called = self.outer.accept() => Ok(outer(called?, self.host.clone())),
        }
    }
}

impl<S: FrameSender> FrameSender for HousedSender<S> {
    fn queue(&mut self, frame: Frame) -> Result<(), TransportError> {
        match self {
            Self::Outer(sender) => sender.queue(frame),
            Self::Line(sender) => sender.queue(frame),
        }
    }

    fn queued_bytes(&self) -> usize {
        match self {
            Self::Outer(sender) => sender.queued_bytes(),
            Self::Line(sender) => sender.queued_bytes(),
        }
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        match self {
            Self::Outer(sender) => sender.flush().await,
            Self::Line(sender) => sender.flush().await,
        }
    }
}

/// What has come from another machine, in shared memory, if that is worth it and there is room.
fn lifted(frame: Frame, host: Option<&Arc<Host>>) -> Frame {
    let Some(host) = host.filter(|_| frame.body.len() >= LEAST) else { return frame };
    let body: Bytes = frame.body.into_bytes();
    let body = host.lift(&body).unwrap_or(body);
    Frame { body: body.into(), ..frame }
}

impl<R: FrameReceiver> FrameReceiver for HousedReceiver<R> {
    async fn next(&mut self) -> Result<Option<Frame>, TransportError> {
        match self {
            Self::Outer(receiver, host) => {
                Ok(receiver.next().await?.map(|frame| lifted(frame, host.as_ref())))
            }
            Self::Line(receiver) => receiver.next().await,
        }
    }

    fn try_next_buffered(&mut self) -> Result<Option<Frame>, TransportError> {
        match self {
            Self::Outer(receiver, host) => {
                Ok(receiver.try_next_buffered()?.map(|frame| lifted(frame, host.as_ref())))
            }
            Self::Line(receiver) => receiver.try_next_buffered(),
        }
    }

    fn set_body_limit(&mut self, limit: u32) -> u32 {
        match self {
            Self::Outer(receiver, _) => receiver.set_body_limit(limit),
            Self::Line(receiver) => receiver.set_body_limit(limit),
        }
    }
}
