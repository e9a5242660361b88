//! Waiting for the next frame of a conversation that goes back and forth quickly.
//!
//! Waking a thread from an idle processor costs more than a small request and its answer together. Where the last
//! wait was short, the next one is spent looking for a short while before the thread sleeps; where waits are long
//! (workers that learn for a millisecond between two messages), the thread sleeps at once and the processor is left
//! to others.

use std::time::{Duration, Instant};

use cirrus_protocol::frame::Frame;
use cirrus_transport::{FrameReceiver, TransportError};

/// Waits up to this long are worth looking.
const SHORT: Duration = Duration::from_micros(150);

/// How long the last wait was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eager {
    last: Duration,
}

impl Default for Eager {
    /// Begins patiently.
    fn default() -> Self {
        Self { last: Duration::MAX }
    }
}

impl Eager {
    /// The receiver's next frame. May be dropped and called again, as the receiver's own `next`.
    pub(super) async fn next<R: FrameReceiver>(
        &mut self,
        receiver: &mut R,
    ) -> Result<Option<Frame>, TransportError> {
        let began = Instant::now();
        while self.last <= SHORT && began.elapsed() <= SHORT {
            tokio::select! {
                biased;
                frame = receiver.next() => {
                    self.last = began.elapsed();
                    return frame;
                }
                // The runtime looks at its sockets before it comes back here.
                () = tokio::task::yield_now() => {}
            }
            // Where more threads look than there are cores, the one that is waited for comes first.
            std::thread::yield_now();
        }
        let frame = receiver.next().await;
        self.last = began.elapsed();
        frame
    }
}
