//! A member's connection to the controller, made again whenever it breaks.
//!
//! One task carries it. It tells the member when the connection stands and when it does not, and says now and then that
//! the process lives. When it calls is the member's business, and so is what is said then.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cirrus_protocol::zip::{ControllerReply, ControllerRequest};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Medium, TransportError};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::timers::span;
use super::connections::{End, call};
use super::{Control, Place};
use crate::store::server::log_end;

/// How long the last words may take.
const LINGER: Duration = Duration::from_secs(5);

/// What finds no connection within this is asked for again by whoever needs it.
pub(super) type Outbox = mpsc::UnboundedSender<ControllerRequest>;

/// Calls the controller at once, and then whenever it is told to, until the member is gone.
pub(super) async fn keep<M: Medium>(place: Place<M>, inbox: mpsc::Sender<Control>, calls: Arc<Notify>) {
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
/// has said who it is.
async fn exchange<M: Medium>(end: End<M>, inbox: &mpsc::Sender<Control>) -> Result<(), TransportError> {
    let (outbox, mut requests) = mpsc::unbounded_channel();
    let mut outbox: Option<Outbox> = Some(outbox);
    let Connection { mut sender, mut receiver, peer } = end;
    let mut buffer = BytesMut::new();
    let mut alive = None;
    let mut next_alive = Instant::now();
    loop {
        let queued = sender.queued_bytes() > 0;
        tokio::select! {
            frame = receiver.next() => {
                let Some(frame) = frame? else { return Ok(()) };
                let reply = ControllerReply::try_from(frame)
                    .map_err(|source| TransportError::Format { peer: peer.clone(), source })?;
                let control = match (reply, outbox.take()) {
                    (ControllerReply::Hello { epoch, lease }, Some(outbox)) => {
                        let every = span(lease) / 3;
                        (alive, next_alive) = (Some(every), Instant::now() + every);
                        Control::Up(outbox, epoch)
                    }
                    (reply, _) => Control::Said(reply),
                };
                if inbox.send(control).await.is_err() {
                    return Ok(());
                }
            }
            request = requests.recv() => match request {
                Some(request) => {
                    sender.queue(request.into_frame(&mut buffer))?;
                    next_alive = alive.map_or(next_alive, |every| Instant::now() + every);
                }
                None => return timeout(LINGER, sender.flush()).await.unwrap_or(Ok(())),
            },
            () = sleep_until(next_alive), if alive.is_some() && !queued => {
                sender.queue(ControllerRequest::Alive.into_frame(&mut buffer))?;
                next_alive = alive.map_or(next_alive, |every| Instant::now() + every);
            }
            flushed = sender.flush(), if queued => flushed?,
        }
    }
}
