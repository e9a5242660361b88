//! A member's connection to the controller, made again whenever it breaks.
//!
//! One task carries it. It tells the member when the connection stands and when it does not, and says now and then that
//! the process lives. When it calls is the member's business, and so is what is said then.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::zip::{ControllerReply, ControllerRequest};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Transport, TransportError};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::timers::span;
use super::connections::{End, call};
use super::{Control, Place};
use crate::store::server::log_end;

/// How long whoever takes the call may take to say that it is the controller.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long the last words may take.
const LINGER: Duration = Duration::from_secs(5);

/// What finds no connection within this is asked for again by whoever needs it.
pub(super) type Outbox = mpsc::UnboundedSender<ControllerRequest>;

/// Calls the controller at once, and then whenever it is told to, until the member is gone.
pub(super) async fn keep<M: Transport>(place: Place<M>, inbox: mpsc::Sender<Control>, calls: Arc<Notify>) {
    while !inbox.is_closed() {
        let unreachable = match call(&place.medium, &place.controller, place.credential).await {
            Ok(end) => {
                if let Err(error) = exchange::<M>(end, &inbox).await {
                    log_end(&error);
                }
                None
            }
            Err(error) => Some(error),
        };
        if inbox.send(Control::Down(unreachable)).await.is_err() {
            return;
        }
        tokio::select! {
            () = calls.notified() => {}
            () = inbox.closed() => return,
        }
    }
}

/// Carries what is said until the connection ends, or the member has nothing more to say. It stands when the controller
/// has said who it is, which comes before anything else.
async fn exchange<M: Transport>(end: End<M>, inbox: &mpsc::Sender<Control>) -> Result<(), TransportError> {
    let Connection { mut sender, mut receiver, peer } = end;
    let Ok(first) = timeout(HELLO_WITHIN, receiver.next()).await else {
        let source = std::io::ErrorKind::TimedOut.into();
        return Err(TransportError::Broken { peer, source });
    };
    let Some(first) = first? else { return Ok(()) };
    let format = |source| TransportError::Format { peer: peer.clone(), source };
    let (epoch, every) = match ControllerReply::try_from(first).map_err(format)? {
        ControllerReply::Hello { epoch, lease } => (epoch, span(lease) / 3),
        _ => return Err(format(FormatError::Corrupt("the first word of a controller is not its epoch"))),
    };
    let (outbox, mut requests): (Outbox, _) = mpsc::unbounded_channel();
    if inbox.send(Control::Up(outbox, epoch)).await.is_err() {
        return Ok(());
    }
    let mut next_alive = Instant::now() + every;
    let mut buffer = BytesMut::new();
    loop {
        let queued = sender.queued_bytes() > 0;
        tokio::select! {
            frame = receiver.next() => {
                let Some(frame) = frame? else { return Ok(()) };
                let said = Control::Said(ControllerReply::try_from(frame).map_err(format)?);
                if inbox.send(said).await.is_err() {
                    return Ok(());
                }
            }
            request = requests.recv() => match request {
                Some(request) => {
                    sender.queue(request.into_frame(&mut buffer))?;
                    next_alive = Instant::now() + every;
                }
                None => return timeout(LINGER, sender.flush()).await.unwrap_or(Ok(())),
            },
            () = sleep_until(next_alive), if !queued => {
                sender.queue(ControllerRequest::Alive.into_frame(&mut buffer))?;
                next_alive = Instant::now() + every;
            }
            flushed = sender.flush(), if queued => flushed?,
        }
    }
}
