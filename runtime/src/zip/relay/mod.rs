//! Members that nobody can call, or that cannot reach each other: by way of a relay.
//!
//! A member that uses a relay registers there under a name of its own, drawn at random, and puts that into its address
//! (see [`cirrus_protocol::relay`]). Others call that as they call any other candidate of an address. [`Relay`] is the
//! other side: a process that all can call, such as the controller's (`cirrus controller --relay`).

pub mod server;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cirrus_protocol::handshake::Credential;
use cirrus_protocol::relay::{RelayAddress, RelayMessage, RelayName, Ticket, address_by};
use cirrus_protocol::zip::Address;
use cirrus_transport::{FrameReceiver as _, FrameSender as _, Transport, TransportError, auth};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::member::News;
use super::member::connections::{End, receive};
use super::strangers::Strangers;

pub use server::Relay;

/// How long a relay may take to answer: longer than it waits for whom it rings.
const ANSWERS: Duration = Duration::from_secs(10);
/// The pause before a relay is called again.
const AGAIN: Duration = Duration::from_millis(200);

/// How others reach the members of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachable {
    /// They call it.
    #[default]
    Directly,
    /// They cannot call it: all goes by way of the relay that listens there.
    ByRelay(String),
    /// Who cannot call it goes by way of the relay that listens there.
    Both(String),
}

impl Reachable {
    /// Where the relay listens, if there is one.
    #[must_use]
    pub fn relay(&self) -> Option<&str> {
        match self {
            Self::Directly => None,
            Self::ByRelay(relay) | Self::Both(relay) => Some(relay),
        }
    }

    /// Whether its members listen.
    #[must_use]
    pub fn listens(&self) -> bool {
        match self {
            Self::Directly | Self::Both(_) => true,
            Self::ByRelay(_) => false,
        }
    }
}

/// Of an address, what leads by way of a relay.
pub(super) fn only(address: &Address) -> Address {
    let relayed = address.candidates().filter(|candidate| RelayAddress::parse(candidate).is_some());
    Address::new(relayed).unwrap_or_default() // As they were in one already.
}

/// Calls a candidate of an address: directly, or by way of a relay.
pub(super) async fn connect<T: Transport>(
    transport: &T,
    candidate: &str,
    credential: Credential,
) -> Result<End<T>, TransportError> {
    let Some(RelayAddress { relay, name }) = RelayAddress::parse(candidate) else {
        return transport.connect(candidate).await;
    };
    let mut end = known(transport, relay, credential).await?;
    match asked::<T>(&mut end, RelayMessage::Reach(name)).await? {
        RelayMessage::Through => Ok(end),
        RelayMessage::Unreachable => {
            let source = io::Error::new(io::ErrorKind::HostUnreachable, "nobody answers by way of the relay");
            Err(TransportError::Connect { address: candidate.to_owned(), source })
        }
        _ => Err(TransportError::Unasked { peer: end.peer }),
    }
}

/// A connection to a relay that has let this process in.
async fn known<T: Transport>(
    transport: &T,
    relay: &str,
    credential: Credential,
) -> Result<End<T>, TransportError> {
    let mut end = transport.connect(relay).await?;
    auth::prove(&mut end, credential).await?;
    Ok(end)
}

/// Says something to a relay and waits for the answer.
async fn asked<T: Transport>(
    end: &mut End<T>,
    message: RelayMessage,
) -> Result<RelayMessage, TransportError> {
    end.sender.send(message.into_frame()).await?;
    match timeout(ANSWERS, heard::<T>(end)).await {
        Ok(Ok(Some(message))) => Ok(message),
        Ok(Ok(None)) => Err(TransportError::Unasked { peer: end.peer.clone() }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(TransportError::Silent { peer: end.peer.clone(), after: ANSWERS }),
    }
}

async fn heard<T: Transport>(end: &mut End<T>) -> Result<Option<RelayMessage>, TransportError> {
    let Some(frame) = end.receiver.next().await? else { return Ok(None) };
    let format = |source| TransportError::Format { peer: end.peer.clone(), source };
    RelayMessage::try_from(frame).map(Some).map_err(format)
}

/// A member's registration at a relay.
pub(super) struct Registration<T: Transport> {
    transport: T,
    relay: String,
    name: RelayName,
    credential: Credential,
    end: End<T>,
}

impl<T: Transport> Registration<T> {
    /// Registers under a new name.
    ///
    /// # Errors
    /// Of the connection to the relay; `Denied`.
    pub(super) async fn make(
        transport: T,
        relay: &str,
        credential: Credential,
    ) -> Result<Self, TransportError> {
        let random = || u128::from(RandomState::new().build_hasher().finish());
        let name = RelayName(random() << 64 | random());
        let end = registered(&transport, relay, name, credential).await?;
        Ok(Self { transport, relay: relay.to_owned(), name, credential, end })
    }

    /// The candidate of an address that leads here.
    pub(super) fn candidate(&self) -> String {
        address_by(&self.relay, self.name)
    }

    /// Takes calls for a member until it is gone. A relay that is gone is called again and again.
    pub(super) async fn listen(self, inbox: mpsc::Sender<News<T>>) {
        let Self { transport, relay, name, credential, mut end } = self;
        let (mut strangers, mut met) = (Strangers::new(), JoinSet::new());
        loop {
            while let Ok(Some(RelayMessage::Ring(ticket))) = heard::<T>(&mut end).await {
                let (peer, place) = (end.peer.clone(), strangers.place().await);
                let held = Arc::downgrade(&place);
                let (transport, relay, inbox) = (transport.clone(), relay.clone(), inbox.clone());
                let meeting = async move {
                    match meet(&transport, &relay, ticket, credential).await {
                        Ok(end) => receive(end, place, credential, inbox).await,
                        Err(error) => tracing::debug!("somebody who called by way of a relay: {error}"),
                    }
                };
                strangers.came(peer, held, met.spawn(meeting));
                while met.try_join_next().is_some() {}
            }
            tracing::warn!("the relay {relay} is gone, and is called again");
            end = loop {
                sleep(AGAIN).await;
                match registered(&transport, &relay, name, credential).await {
                    Ok(end) => break end,
                    Err(error) => tracing::debug!("{error}"),
                }
            };
        }
    }
}

async fn registered<T: Transport>(
    transport: &T,
    relay: &str,
    name: RelayName,
    credential: Credential,
) -> Result<End<T>, TransportError> {
    let mut end = known(transport, relay, credential).await?;
    match asked::<T>(&mut end, RelayMessage::Register(name)).await? {
        RelayMessage::Registered => Ok(end),
        _ => Err(TransportError::Unasked { peer: end.peer }),
    }
}

/// Calls back for somebody who waits at the relay.
async fn meet<T: Transport>(
    transport: &T,
    relay: &str,
    ticket: Ticket,
    credential: Credential,
) -> Result<End<T>, TransportError> {
    let mut end = known(transport, relay, credential).await?;
    match asked::<T>(&mut end, RelayMessage::Meet(ticket)).await? {
        RelayMessage::Through => Ok(end),
        _ => Err(TransportError::Unasked { peer: end.peer }),
    }
}
