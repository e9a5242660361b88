//! Zip: channels between processes that come, go and die.
//!
//! A [`Zip`] knows a controller and has a job's token. It opens channels by name: each is a seat of this process among
//! others, with a task in the background that forwards what passes through it. What may happen to the others while a
//! call is under way, and what a call promises then, is said by the promises of `ARCHITECTURE.md`; each call ends with a
//! value or a named error within its deadline.
//!
//! ```no_run
//! # async fn example() -> Result<(), cirrus_runtime::zip::ZipError> {
//! use cirrus_runtime::zip::{Completeness, Zip, operator};
//!
//! let zip = Zip::connect("10.0.0.1:4100", "the job's token").await?;
//! let gradients = zip.reduce("gradients", operator::sum::<f32>(), Completeness::Survivors).await?;
//! gradients.gathered(8).await?;
//! let all = gradients.all_reduce(vec![0_u8; 4096]).await?;
//! println!("{} members, without {:?}", all.members, all.missing);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`controller`] | the controller of channels as a process |
//! | `member` | the task behind a seat |
//! | [`channel`] | what all channels can do: messages from one to another, who is there, leaving |
//! | [`broadcast`], [`reduce`], [`gather`], [`handled`], [`shuffle`] | the kinds of channels |
//! | [`relay`] | the way to processes that nobody can call |
//! | [`operator`] | how values are combined |
//! | [`daemon`] | the daemon of a machine, and how its lambdas use it |
//! | [`metrics`] | what is counted, as a Prometheus server reads it |
//! | [`recording`] | all that happens to a process's machines, in a file |
//!
//! Everything is decided by `cirrus_core`; this carries it out. Every seat has a port of its own; a process that nobody can
//! call is reached by way of a relay ([`Settings::reachable`]).

mod array;
mod background;
pub mod broadcast;
pub mod channel;
pub mod controller;
pub mod daemon;
pub mod error;
pub mod gather;
pub mod handled;
mod member;
pub mod metrics;
pub mod operator;
pub mod payload;
pub mod recording;
pub mod reduce;
pub mod relay;
pub mod settings;
pub mod shuffle;
mod strangers;
#[cfg(test)]
mod tests;
mod timers;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use cirrus_core::channel::{Role, Tenancy};
use cirrus_core::directory::Limits;
use cirrus_core::ids::{JobId, MachineId};
use cirrus_core::member::{Config, Kind};
use cirrus_protocol::error::FormatError;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::{Address, NAME_LIMIT};
use cirrus_transport::memory::Memory;
use cirrus_transport::tcp::Tcp;
use cirrus_transport::{Medium, auth};
use tokio::task::JoinHandle;

use self::background::Background;
use self::controller::{Controller, ControllerError, ControllerSpec, Epochs, Job};
use self::gather::SideBySide;
use self::member::{Place, Spec};

pub use array::Array;
pub use broadcast::{BroadcastChannel, Delivery};
pub use channel::Channel;
pub use error::{NotTaken, ZipError};
pub use gather::{GatherChannel, Gathered};
pub use handled::{HandledChannel, HandlerChannel};
pub use metrics::{Metrics, MetricsServer};
pub use operator::Operator;
pub use payload::Payload;
pub use recording::{Recording, RecordingError};
pub use reduce::{Completeness, ReduceChannel, Reduced};
pub use relay::{Reachable, Relay};
pub use settings::Settings;
pub use shuffle::{ShuffleChannel, Shuffled};

/// The job of a controller that has one.
pub const ONLY_JOB: JobId = JobId(1);

/// Who has no daemon: it does not matter which machine it is on.
const NO_DAEMON: Tenancy = Tenancy::Lambda(MachineId(0));

/// More than what a frame says beside its payload.
const FIXED_BYTES: usize = 64 << 10;

/// What a controller inside a process allows.
const LOCAL: Limits = Limits { channels_max: 1000, members_max: 1000 };

/// A way into channels. Clones are the same.
#[derive(Clone, Debug)]
pub struct Zip<M: Medium = Tcp> {
    place: Place<M>,
    /// The controller inside this process, if there is one; it ends with the last clone.
    _controller: Option<Arc<Local>>,
}

#[derive(Debug)]
struct Local(JoinHandle<()>);

impl Drop for Local {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Zip<Tcp> {
    /// Belongs to the one job of the controller that listens at `controller`, a `host:port`, if it has its token. Its members
    /// live on a thread of their own, so the application may block. They lodge with the daemon of this machine, if the
    /// environment says where that listens ([`daemon::DAEMON_VARIABLE`]) or the settings do.
    ///
    /// # Errors
    /// `Transport`: nobody listens there, or it does not admit this process (`Denied`).
    pub async fn connect(controller: &str, token: &str) -> Result<Self, ZipError> {
        let credential = Credential { job: ONLY_JOB, token: auth::digest(token) };
        let background = Background::start().map_err(ZipError::Thread)?;
        Self::reach(Place {
            medium: Tcp::default(),
            controller: address_of(controller)?,
            credential,
            listen: format!("{}:0", own_address(controller)),
            settings: Arc::new(Settings::from_environment()),
            background,
        })
        .await
    }
}

impl Zip<Memory> {
    /// Channels among the tasks of this process, with a controller of their own.
    ///
    /// # Errors
    /// None in practice: a fresh medium has room for a controller.
    pub async fn local() -> Result<Self, ControllerError> {
        let (medium, token) = (Memory::default(), "the process itself");
        let job = Job::new(ONLY_JOB, token, LOCAL);
        let epochs = Epochs::Lent(Arc::new(Mutex::new(None)));
        let controller = Controller::start(&medium, ControllerSpec::new("*", job, epochs)).await?;
        let address = Address::new([controller.address()]).unwrap_or_default();
        let credential = Credential { job: ONLY_JOB, token: auth::digest(token) };
        let task = tokio::spawn(controller.run());
        let settings = Arc::default();
        let (listen, background) = ("*".to_owned(), Background::here());
        let place = Place { medium, controller: address, credential, listen, settings, background };
        Ok(Self { place, _controller: Some(Arc::new(Local(task))) })
    }
}

impl<M: Medium> Zip<M> {
    /// Over any medium, on the runtime that calls this: with what this process has to show, and where its members listen,
    /// each at an address of its own (for TCP, port 0).
    ///
    /// # Errors
    /// As [`Zip::connect`].
    pub async fn over(
        medium: M,
        controller: &str,
        credential: Credential,
        listen: impl Into<String>,
        settings: Settings,
    ) -> Result<Self, ZipError> {
        let (controller, settings) = (address_of(controller)?, Arc::new(settings));
        let (listen, background) = (listen.into(), Background::here());
        Self::reach(Place { medium, controller, credential, listen, settings, background }).await
    }

    /// Whether anything is wrong with a place is better known now than at the first channel.
    async fn reach(place: Place<M>) -> Result<Self, ZipError> {
        member::try_controller(place.clone()).await?;
        Ok(Self { place, _controller: None })
    }

    /// The same, with other time-outs and limits.
    #[must_use]
    pub fn with(self, settings: Settings) -> Self {
        let place = Place { settings: Arc::new(settings), ..self.place };
        Self { place, ..self }
    }

    /// Takes a seat in the channel of broadcasts of this name.
    ///
    /// # Errors
    /// `NotAdmitted`, `Deadline`; `Transport`, if it cannot listen; `Name`.
    pub async fn broadcast(&self, name: &str) -> Result<BroadcastChannel, ZipError> {
        Ok(BroadcastChannel(self.join(self.spec(name, Kind::Broadcast)).await?))
    }

    /// Takes a seat in the channel of reduces of this name. Operator and completeness are the same at all its members.
    ///
    /// # Errors
    /// As [`Zip::broadcast`].
    pub async fn reduce(
        &self,
        name: &str,
        operator: impl Operator,
        completeness: Completeness,
    ) -> Result<ReduceChannel, ZipError> {
        self.combine(self.spec(name, Kind::Reduce), Arc::new(operator), completeness).await
    }

    /// Takes a seat in the channel of this name, whose members' values are combined for one of them; as one that gives values.
    /// Operator and completeness are the same at all its members.
    ///
    /// # Errors
    /// As [`Zip::broadcast`].
    pub async fn give(
        &self,
        name: &str,
        operator: impl Operator,
        completeness: Completeness,
    ) -> Result<HandledChannel, ZipError> {
        let spec = Spec { role: Role::Sender, ..self.spec(name, Kind::Handled) };
        Ok(HandledChannel(self.combine(spec, Arc::new(operator), completeness).await?))
    }

    /// Takes a seat in such a channel as the one who handles the results.
    ///
    /// # Errors
    /// As [`Zip::broadcast`]; `NotAdmitted` with `HandlerTaken`, as long as another member does.
    pub async fn handle(
        &self,
        name: &str,
        operator: impl Operator,
        completeness: Completeness,
    ) -> Result<HandlerChannel, ZipError> {
        let spec = self.spec(name, Kind::Handled);
        let channel = self.combine(spec, Arc::new(operator), completeness).await?;
        Ok(HandlerChannel(HandledChannel(channel)))
    }

    /// Takes a seat in the channel of gathers of this name. Completeness is the same at all its members.
    ///
    /// # Errors
    /// As [`Zip::broadcast`].
    pub async fn gather(&self, name: &str, completeness: Completeness) -> Result<GatherChannel, ZipError> {
        let operator = SideBySide { limit: self.whole_bytes() };
        let spec = self.spec(name, Kind::Reduce);
        Ok(GatherChannel(self.combine(spec, Arc::new(operator), completeness).await?))
    }

    /// The longest value that travels whole, in bytes.
    fn whole_bytes(&self) -> usize {
        (self.place.medium.body_limit() as usize).saturating_sub(FIXED_BYTES)
    }

    async fn combine(
        &self,
        spec: Spec,
        operator: Arc<dyn Operator>,
        completeness: Completeness,
    ) -> Result<ReduceChannel, ZipError> {
        let (strict, deadline) = completeness.parts();
        let element = operator.element_bytes().map(|bytes| bytes.max(1));
        let member = Config { strict, deadline, ..spec.member };
        let mut channel = self.join(Spec { member, operator: Some(operator.clone()), ..spec }).await?;
        channel.piece_bytes = match element {
            Some(bytes) => (channel.piece_bytes / bytes).max(1) * bytes,
            None => self.whole_bytes(),
        };
        Ok(ReduceChannel { channel, operator })
    }

    /// Takes a seat in the channel of shuffles of this name.
    ///
    /// # Errors
    /// As [`Zip::broadcast`].
    pub async fn shuffle(&self, name: &str, role: Role) -> Result<ShuffleChannel, ZipError> {
        let spec = Spec { role, shuffles: true, ..self.spec(name, Kind::Broadcast) };
        Ok(ShuffleChannel(self.join(spec).await?))
    }

    async fn join(&self, spec: Spec) -> Result<Channel, ZipError> {
        let name = spec.name.clone();
        if name.len() > NAME_LIMIT {
            let (found, limit) = (name.len() as u64, NAME_LIMIT as u64);
            let source = FormatError::Limit { what: "a channel's name", found, limit };
            return Err(ZipError::Name { what: format!("channel {name}"), source });
        }
        let joined = member::join(self.place.clone(), spec).await?;
        Ok(Channel::new(name, joined, &self.place.settings))
    }

    /// A seat in which a member of a channel of this kind sits.
    fn spec(&self, name: &str, kind: Kind) -> Spec {
        let member = member::config(&self.place.settings, kind);
        let (role, tenancy) = (Role::Both, NO_DAEMON);
        Spec { name: name.into(), member, role, tenancy, shuffles: false, operator: None, house: None }
    }
}

fn address_of(controller: &str) -> Result<Address, ZipError> {
    let what = || format!("controller {controller}");
    Address::new([controller]).map_err(|source| ZipError::Name { what: what(), source })
}

/// The address of this machine by which it reaches the controller: others who reach that one reach it there, too. Nothing
/// is sent to find out.
fn own_address(controller: &str) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(controller)?;
        socket.local_addr()
    });
    let address = socket.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address: SocketAddr| address.ip());
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
