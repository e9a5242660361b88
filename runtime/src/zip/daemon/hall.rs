//! One channel of a daemon: its segment, its lines, and its place in the tree as long as a lambda lodges.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cirrus_core::channel::{Role, Tenancy};
use cirrus_core::ids::MachineId;
use cirrus_core::member::Config;
use cirrus_protocol::zip::Lodge;
use cirrus_transport::Connection;
use cirrus_transport::Medium;
use cirrus_transport::shared::{Host, SharedReceiver, SharedSender};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::combine::InPlace;
use super::housed::Housed;
use crate::zip::member::{self, Place, Spec};
use crate::zip::operator::{self, Operator};

/// Lines that may wait to be taken in.
const LINES_MAX: usize = 64;
/// The pause before a daemon that was not let in asks again: the one before it may not be known to be dead.
const AGAIN: Duration = Duration::from_millis(250);

pub(super) type Line = Connection<SharedSender, SharedReceiver>;

/// A channel.
pub(super) struct Hall {
    machine: MachineId,
    host: Arc<Host>,
    lodge: Lodge,
    operator: Option<Arc<dyn Operator>>,
    /// Where lines go: to the member that listens now.
    lines: Mutex<Option<mpsc::Sender<Line>>>,
    seated: watch::Sender<bool>,
    /// Lambdas of the channel that lodge.
    lambdas: watch::Sender<usize>,
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hall").field("lodge", &self.lodge).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Hall {
    /// Of this channel; one lambda is there. `None` if it combines values in a way that this daemon does not know.
    pub(super) fn new(
        machine: MachineId,
        host: Arc<Host>,
        lodge: Lodge,
        threads: NonZeroUsize,
    ) -> Option<Arc<Self>> {
        let operator: Option<Arc<dyn Operator>> = if lodge.kind.reduces() {
            let operator = operator::numbered(lodge.operator)?;
            Some(Arc::new(InPlace { operator, host: Arc::clone(&host), threads }))
        } else {
            None
        };
        let (seated, lambdas) = (watch::Sender::new(false), watch::Sender::new(1));
        Some(Arc::new(Self { machine, host, lodge, operator, lines: Mutex::new(None), seated, lambdas }))
    }

    pub(super) fn machine(&self) -> MachineId {
        self.machine
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Whether the channel is for what a lambda says.
    pub(super) fn is_for(&self, lodge: &Lodge) -> bool {
        self.lodge == *lodge
    }

    /// A lambda comes, or goes; how many there are then.
    pub(super) fn count(&self, change: impl FnOnce(usize) -> usize) -> usize {
        self.lambdas.send_modify(|count| *count = change(*count));
        *self.lambdas.borrow()
    }

    /// Whether the daemon has its place.
    pub(super) fn seated(&self) -> watch::Receiver<bool> {
        self.seated.subscribe()
    }

    /// From here on lines come here.
    pub(super) fn listen(&self) -> mpsc::Receiver<Line> {
        let (lines, arriving) = mpsc::channel(LINES_MAX);
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        arriving
    }

    /// A lambda has made a line. If nobody listens it is closed.
    pub(super) async fn arrives(&self, line: Line) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(lines) = lines {
            let _ = lines.send(line).await;
        }
    }

    /// Sits in the channel until no lambda lodges any more, and sits down again whenever it is taken for dead.
    pub(super) async fn sit<M: Medium>(self: Arc<Self>, place: Place<M>) {
        let Place { medium, controller, credential, listen, settings, background } = place;
        let medium = Housed::daemon(medium, Arc::clone(&self));
        let place = Place { medium, controller, credential, listen, settings, background };
        let mut told = false;
        let mut lambdas = self.lambdas.subscribe();
        while *lambdas.borrow_and_update() > 0 {
            match member::join_housed(place.clone(), self.spec(&place.settings)).await {
                Ok(joined) => {
                    told = false;
                    self.seated.send_replace(true);
                    tokio::select! {
                        _ = lambdas.wait_for(|lambdas| *lambdas == 0) => {}
                        () = joined.calls.closed() => {}
                    }
                    self.seated.send_replace(false);
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!("{error}");
                    }
                    sleep(AGAIN).await;
                }
            }
        }
    }

    fn spec(&self, settings: &crate::zip::Settings) -> Spec {
        let Lodge { name, kind, strict, deadline, operator: _ } = &self.lodge;
        let member = Config { strict: *strict, deadline: *deadline, ..member::config(settings, *kind) };
        Spec {
            name: (*name.0).into(),
            member,
            role: Role::Both,
            tenancy: Tenancy::Daemon(self.machine),
            shuffles: false,
            operator: self.operator.clone(),
            house: None,
        }
    }
}
