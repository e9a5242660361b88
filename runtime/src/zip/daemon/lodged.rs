//! A lodging as long as it lasts: leases are asked for, lines are made, and what was taken is told.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use cirrus_core::ids::CallId;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::LodgingMessage;
use cirrus_transport::shared::{Array, Full, Lodging, Plain, SharedReceiver, SharedSender, Slab, Taken};
use cirrus_transport::unix::Unix;
use cirrus_transport::{
    Connection, FrameReceiver as _, FrameSender as _, Transport as _, TransportError, auth,
};
use tokio::sync::{mpsc, oneshot};

use crate::store::server::log_end;

/// What a lambda has at its daemon, in one channel.
#[derive(Debug)]
pub(super) struct Lodged {
    lodging: Arc<Lodging>,
    number: u64,
    secret: [u8; 32],
    socket: String,
    credential: Credential,
    says: mpsc::UnboundedSender<LodgingMessage>,
    takes: mpsc::UnboundedSender<Taken>,
    leases: Mutex<Leases>,
    lines: AtomicU32,
    copied: AtomicU64,
}

/// Leases that were asked for. `None` once nobody will answer.
type Leases = Option<BTreeMap<u64, oneshot::Sender<Result<Slab, Full>>>>;

/// What the task of a lodging hears from this process.
pub(super) struct Ears {
    said: mpsc::UnboundedReceiver<LodgingMessage>,
    taken: mpsc::UnboundedReceiver<Taken>,
}

impl Lodged {
    /// Takes over what the daemon hands over on this connection, on which it was asked to. The connection is needed as
    /// long as anything is held, and so the channel to it is.
    pub(super) async fn take_over(
        plain: &Plain,
        segment: u64,
        (number, secret): (u64, [u8; 32]),
        (socket, credential): (String, Credential),
    ) -> io::Result<(Arc<Self>, Ears)> {
        let ((says, said), (takes, taken)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let lodging = Lodging::take_over(plain, segment, says.clone()).await?;
        let leases = Mutex::new(Some(BTreeMap::new()));
        let (lines, copied) = (AtomicU32::new(0), AtomicU64::new(0));
        let lodged = Self { lodging, number, secret, socket, credential, says, takes, leases, lines, copied };
        Ok((Arc::new(lodged), Ears { said, taken }))
    }

    /// A line to the daemon.
    pub(super) async fn line(&self) -> Result<Connection<SharedSender, SharedReceiver>, TransportError> {
        let mut plain: Plain = Unix::default().connect(&self.socket).await?;
        auth::prove(&mut plain, self.credential).await?;
        let connection = self.lines.fetch_add(1, Ordering::Relaxed);
        let line = LodgingMessage::Line { lodging: self.number, secret: self.secret, connection };
        plain.sender.send(line.into_frame(&mut BytesMut::new())).await?;
        Ok(self.lodging.share(plain, connection, self.takes.clone()))
    }

    /// An array of so many bytes in the segment. `None` if there is no room, or no daemon any more.
    pub(super) async fn array(&self, bytes: usize) -> Option<Array> {
        let (answer, answered) = oneshot::channel();
        let call = {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            let leases = leases.as_mut()?;
            let call = leases.last_key_value().map_or(0, |(call, _)| call + 1);
            leases.insert(call, answer);
            call
        };
        let lease = LodgingMessage::Lease { call: CallId(call), bytes: bytes as u64 };
        self.says.send(lease).ok()?;
        match answered.await.ok()? {
            Ok(slab) => self.lodging.array(slab).ok(),
            Err(full) => {
                tracing::debug!("{full}");
                None
            }
        }
    }

    /// The same bytes in the segment: where they lie already, or copied; or as they are, if there is no room.
    pub(super) async fn lift(&self, bytes: Bytes) -> Bytes {
        if self.lodging.contains(&bytes) {
            return bytes;
        }
        let Some(mut array) = self.array(bytes.len()).await else { return bytes };
        array.copy_from_slice(&bytes);
        self.copied.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        array.freeze()
    }

    /// Whether these bytes lie in the segment.
    pub(super) fn contains(&self, bytes: &[u8]) -> bool {
        self.lodging.contains(bytes)
    }

    /// How many bytes this lambda has copied into the segment.
    pub(super) fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// The lambda has left the channel.
    pub(super) fn left(&self) {
        let _ = self.says.send(LodgingMessage::Left);
    }

    fn heard(&self, message: LodgingMessage) -> Heard {
        match message {
            LodgingMessage::Leased { call, slot, begin, bytes } => {
                self.leased(call, Ok(Slab { slot, begin, bytes }));
            }
            LodgingMessage::Full { call, free } => self.leased(call, Err(Full { bytes: 0, free })),
            LodgingMessage::Taken { connection, count, over } => {
                self.lodging.taken(Taken { connection, count, over });
            }
            LodgingMessage::Seated => return Heard::Seated,
            _ => return Heard::Unfit,
        }
        Heard::Well
    }

    /// Whoever has given up waiting has no array made of it, and so it is let go.
    fn leased(&self, CallId(call): CallId, lease: Result<Slab, Full>) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = leases.as_mut().and_then(|leases| leases.remove(&call));
        drop(leases);
        if let Some(Err(Ok(slab))) = waits.map(|waits| waits.send(lease)) {
            drop(self.lodging.array(slab));
        }
    }
}

enum Heard {
    Well,
    Seated,
    Unfit,
}

/// Carries what is said until the daemon is gone, or nothing that was shared is held any more. `seated` is called when the
/// daemon has its place.
pub(super) async fn carry(
    lodged: Weak<Lodged>,
    Connection { mut sender, mut receiver, peer }: Plain,
    Ears { mut said, mut taken }: Ears,
    mut seated: impl FnMut() + Send,
) {
    let mut buffer = BytesMut::new();
    loop {
        let queued = sender.queued_bytes() > 0;
        let message = tokio::select! {
            frame = receiver.next() => {
                let frame = match frame {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) => {
                        log_end(&error);
                        break;
                    }
                };
                let Some(lodged) = lodged.upgrade() else { continue };
                match LodgingMessage::try_from(frame).map(|message| lodged.heard(message)) {
                    Ok(Heard::Well) => continue,
                    Ok(Heard::Seated) => {
                        seated();
                        continue;
                    }
                    Ok(Heard::Unfit) | Err(_) => {
                        tracing::warn!("{peer} says what a daemon does not");
                        break;
                    }
                }
            }
            message = said.recv() => match message {
                Some(message) => message,
                None => break,
            },
            Some(Taken { connection, count, over }) = taken.recv() => {
                LodgingMessage::Taken { connection, count, over }
            }
            flushed = sender.flush(), if queued => match flushed {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        if sender.queue(message.into_frame(&mut buffer)).is_err() {
            break;
        }
    }
    if let Some(lodged) = lodged.upgrade() {
        // Whoever waits for a lease goes on without.
        lodged.leases.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
