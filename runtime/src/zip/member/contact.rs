//! A member's connection to the controller, made again whenever it breaks.
//!
//! One task carries it. It tells the member when the connection stands and when it does not, and says now and then that
//! the process lives. How often it calls is its own business; what is said then is the member's.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use bytes::BytesMut;
use cirrus_protocol::zip::{ControllerReply, ControllerRequest};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Medium, TransportError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::timers::span;
use super::connections::{End, call};
use super::{Control, Place};
use crate::store::server::log_end;

/// The pauses between calls that fail: they double from the first to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

/// How long the last words may take.
const LINGER: Duration = Duration::from_secs(5);

/// What finds no connection within this is asked for again by whoever needs it.
pub(super) type Outbox = mpsc::UnboundedSender<ControllerRequest>;

/// Keeps the connection until the member is gone.
pub(super) async fn keep<M: Medium>(place: Place<M>, inbox: mpsc::Sender<Control>) {
    let mut pause = PAUSES[0];
    while !inbox.is_closed() {
        match call(&place.medium, &place.controller, place.credential).await {
            Ok(end) => {
                let (outbox, requests) = mpsc::unbounded_channel();
                if inbox.send(Control::Up(outbox)).await.is_err() {
                    return;
                }
                pause = PAUSES[0];
                match exchange::<M>(end, requests, &inbox).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => log_end(&error),
                }
                if inbox.send(Control::Down(None)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if inbox.send(Control::Down(Some(error))).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = sleep(scattered(pause)) => {}
            () = inbox.closed() => return,
        }
        pause = (pause * 2).min(PAUSES[1]);
    }
}

/// Between half of it and the whole, so that not all members call a restarted controller at once.
fn scattered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause.mul_f64(0.5 + (random % 1024) as f64 / 2048.0)
}

/// Carries what is said until the connection ends, or the member has nothing more to say, which is answered by `true`.
async fn exchange<M: Medium>(
    end: End<M>,
    mut requests: mpsc::UnboundedReceiver<ControllerRequest>,
    inbox: &mpsc::Sender<Control>,
) -> Result<bool, TransportError> {
    let Connection { mut sender, mut receiver, peer } = end;
    let mut buffer = BytesMut::new();
    let mut alive = None;
    let mut next_alive = Instant::now();
    loop {
        let queued = sender.queued_bytes() > 0;
        tokio::select! {
            frame = receiver.next() => {
                let Some(frame) = frame? else { return Ok(false) };
                let reply = ControllerReply::try_from(frame)
                    .map_err(|source| TransportError::Format { peer: peer.clone(), source })?;
                if let ControllerReply::Lease(lease) = reply {
                    let every = span(lease) / 3;
                    (alive, next_alive) = (Some(every), Instant::now() + every);
                } else if inbox.send(Control::Said(reply)).await.is_err() {
                    return Ok(true);
                }
            }
            request = requests.recv() => match request {
                Some(request) => {
                    sender.queue(request.into_frame(&mut buffer))?;
                    next_alive = alive.map_or(next_alive, |every| Instant::now() + every);
                }
                None => return timeout(LINGER, sender.flush()).await.unwrap_or(Ok(())).map(|()| true),
            },
            () = sleep_until(next_alive), if alive.is_some() && !queued => {
                sender.queue(ControllerRequest::Alive.into_frame(&mut buffer))?;
                next_alive = alive.map_or(next_alive, |every| Instant::now() + every);
            }
            flushed = sender.flush(), if queued => flushed?,
        }
    }
}
