//! A lambda's way to the daemon of its machine, in one channel: looked for, lost, and found again.
//!
//! Nobody has to wait for a daemon. A lambda that joins gives it a moment, so that it need not move right after; whatever is
//! asked for later is answered with what there is. What it decides is when to look again, and nothing else.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cirrus_core::channel::Tenancy;
use cirrus_core::ids::MachineId;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::{Lodge, LodgingMessage, TurnedAway};
use cirrus_transport::shared::{Array, Plain, SharedReceiver, SharedSender};
use cirrus_transport::unix::Unix;
use cirrus_transport::{
    Connection, FrameReceiver as _, FrameSender as _, Transport as _, TransportError, auth,
};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::lodged::{Ears, Lodged, carry};
use super::machine;
use crate::zip::background::Background;

/// How long one who joins waits for the daemon to have its place.
const FIRST: Duration = Duration::from_secs(2);
/// How long the daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// The pause before a daemon that was lost is looked for again.
const AGAIN: Duration = Duration::from_millis(250);
/// Shorter payloads are not worth a lease.
const LEAST: usize = 16 << 10;

/// What there is.
#[derive(Clone, Debug)]
enum State {
    /// Nobody knows yet.
    Looking,
    /// No daemon.
    Without,
    Lodged {
        lodged: Arc<Lodged>,
        seated: bool,
    },
}

/// A lambda's daemon, or the place where it may be found.
#[derive(Debug)]
pub(in crate::zip) struct House {
    socket: String,
    machine: MachineId,
    credential: Credential,
    lodge: Lodge,
    state: watch::Sender<State>,
}

/// Why a lambda is without a daemon.
enum Without {
    /// It is not there, or went away in the midst of it.
    Gone(String),
    /// It will not have this lambda.
    TurnedAway(TurnedAway),
}

impl From<TransportError> for Without {
    fn from(error: TransportError) -> Self {
        Self::Gone(error.to_string())
    }
}

impl House {
    /// Looks for the daemon at this socket from now on, on the runtime that calls this, until nobody needs it.
    pub(in crate::zip) fn open(
        socket: String,
        credential: Credential,
        lodge: Lodge,
        background: Background,
    ) -> Arc<Self> {
        let machine = machine(&socket);
        let (state, _) = watch::channel(State::Looking);
        let house = Arc::new(Self { socket, machine, credential, lodge, state });
        let weak = Arc::downgrade(&house);
        tokio::spawn(async move {
            keep(weak).await;
            drop(background); // What is held needs the connection, and that this runtime.
        });
        house
    }

    /// Who the lambda is for the controller.
    pub(in crate::zip) fn tenancy(&self) -> Tenancy {
        Tenancy::Lambda(self.machine)
    }

    /// Waits a moment for the daemon, until it is known whether there is one and it has its place.
    pub(in crate::zip) async fn first(&self) {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| match state {
            State::Looking => false,
            State::Without => true,
            State::Lodged { seated, .. } => *seated,
        });
        let _ = timeout(FIRST, known).await; // It may come later.
    }

    fn lodged(&self) -> Option<Arc<Lodged>> {
        match &*self.state.borrow() {
            State::Lodged { lodged, .. } => Some(Arc::clone(lodged)),
            State::Looking | State::Without => None,
        }
    }

    /// A line to the daemon of this machine. One that has come just now is waited for.
    pub(super) async fn line(
        &self,
        machine: &str,
    ) -> Result<Connection<SharedSender, SharedReceiver>, TransportError> {
        let nobody = |kind: std::io::ErrorKind| TransportError::Connect {
            address: self.socket.clone(),
            source: kind.into(),
        };
        if u64::from_str_radix(machine, 16) != Ok(self.machine.0) {
            return Err(nobody(std::io::ErrorKind::AddrNotAvailable)); // It is the daemon of another machine.
        }
        let mut state = self.state.subscribe();
        let there = state.wait_for(|state| matches!(state, State::Lodged { .. }));
        let waited = timeout(FIRST, there).await.is_ok_and(|waited| waited.is_ok());
        match self.lodged().filter(|_| waited) {
            Some(lodged) => lodged.line().await,
            None => Err(nobody(std::io::ErrorKind::TimedOut)),
        }
    }

    /// An array of so many bytes in shared memory, if there is any.
    pub(in crate::zip) async fn array(&self, bytes: usize) -> Option<Array> {
        self.lodged()?.array(bytes).await
    }

    /// The same bytes in shared memory, if there is any and they are worth it.
    pub(in crate::zip) async fn lift(&self, bytes: Bytes) -> Bytes {
        match self.lodged().filter(|_| bytes.len() >= LEAST) {
            Some(lodged) => lodged.lift(bytes).await,
            None => bytes,
        }
    }

    /// Whether these bytes lie in shared memory.
    pub(in crate::zip) fn contains(&self, bytes: &[u8]) -> bool {
        self.lodged().is_some_and(|lodged| lodged.contains(bytes))
    }

    /// How many bytes this lambda has copied into shared memory, since it has found the daemon that it has.
    pub(in crate::zip) fn copied(&self) -> Option<u64> {
        self.lodged().map(|lodged| lodged.copied())
    }

    /// The lambda has left the channel, or its time in it is over.
    pub(in crate::zip) fn left(&self) {
        if let Some(lodged) = self.lodged() {
            lodged.left();
        }
    }

    fn seated(&self) {
        self.state.send_modify(|state| {
            if let State::Lodged { seated, .. } = state {
                *seated = true;
            }
        });
    }

    /// Calls the daemon, and lodges with it.
    async fn move_in(&self) -> Result<(Arc<Lodged>, Plain, Ears), Without> {
        let mut plain: Plain = Unix::default().connect(&self.socket).await?;
        auth::prove(&mut plain, self.credential).await?;
        let mut buffer = BytesMut::new();
        plain.sender.send(LodgingMessage::Lodge(self.lodge.clone()).into_frame(&mut buffer)).await?;
        let frame = plain.receiver.next().await?.ok_or_else(|| Without::Gone("it hung up".to_owned()))?;
        let (who, segment) = match LodgingMessage::try_from(frame) {
            Ok(LodgingMessage::Lodged { lodging, secret, segment }) => ((lodging, secret), segment),
            Ok(LodgingMessage::TurnedAway(why)) => return Err(Without::TurnedAway(why)),
            Ok(_) => return Err(Without::Gone("it answers something else".to_owned())),
            Err(error) => return Err(Without::Gone(error.to_string())),
        };
        plain.sender.send(LodgingMessage::Ready.into_frame(&mut buffer)).await?;
        let place = (self.socket.clone(), self.credential);
        let (lodged, ears) = Lodged::take_over(&plain, segment, who, place)
            .await
            .map_err(|error| Without::Gone(format!("what it shares cannot be used: {error}")))?;
        Ok((lodged, plain, ears))
    }
}

/// Looks for the daemon until nobody needs it any more, and nothing that was shared is held.
async fn keep(house: Weak<House>) {
    let mut told = false;
    while let Some(it) = house.upgrade() {
        let moved = match timeout(ANSWER, it.move_in()).await {
            Ok(moved) => moved,
            Err(_) => Err(Without::Gone(format!("it was silent for {ANSWER:?}"))),
        };
        let (socket, name) = (it.socket.clone(), it.lodge.name.clone());
        match moved {
            Ok((lodged, plain, ears)) => {
                let weak = Arc::downgrade(&lodged);
                it.state.send_replace(State::Lodged { lodged, seated: false });
                drop(it);
                let seated = || {
                    if let Some(house) = house.upgrade() {
                        house.seated();
                    }
                };
                carry(weak, plain, ears, seated).await;
                let Some(it) = house.upgrade() else { return };
                it.state.send_replace(State::Without);
                told = true;
                tracing::warn!("the daemon at {socket} is gone: channel {} goes on without it", name.0);
            }
            Err(Without::TurnedAway(why)) => {
                it.state.send_replace(State::Without);
                let name = &name.0;
                return tracing::warn!(
                    "the daemon at {socket} does not join channel {name}: {why:?}; it goes on without"
                );
            }
            Err(Without::Gone(why)) => {
                it.state.send_replace(State::Without);
                if !std::mem::replace(&mut told, true) {
                    let name = &name.0;
                    tracing::warn!("no daemon for channel {name}, which goes on without one: {why}");
                }
                drop(it);
            }
        }
        sleep(AGAIN).await;
    }
}
