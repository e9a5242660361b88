//! Futures for what may or may not be there to be waited for.

use std::future::Future;

use cirrus_core::worker::Timer;
use cirrus_protocol::frame::Frame;
use cirrus_transport::{FrameReceiver, FrameSender, TransportError};
use tokio::time::Instant;

/// What an optional future answers; never, when there is none.
pub(super) async fn some<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

pub(super) async fn flush<S: FrameSender>(sender: Option<&mut S>) -> Result<(), TransportError> {
    match sender {
        Some(sender) => sender.flush().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn receive<R: FrameReceiver>(
    receiver: Option<&mut R>,
) -> Result<Option<Frame>, TransportError> {
    match receiver {
        Some(receiver) => receiver.next().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn alarm(timer: Option<(Timer, Instant)>) -> Timer {
    match timer {
        Some((timer, at)) => {
            tokio::time::sleep_until(at).await;
            timer
        }
        None => std::future::pending().await,
    }
}
