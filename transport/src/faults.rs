//! A medium with faults, for tests of whatever speaks over it.
//!
//! A handle stands for one process: clones share what goes wrong, other handles on the same medium have nothing to do
//! with it. Faults are for connections that this process makes, by the address that it calls:
//!
//! - [`plan`](Faulty::plan): what happens to those that are made from now on, by the byte: so a test can cut the third
//!   byte of a header, every time the same one.
//! - [`block`](Faulty::block), [`heal`](Faulty::heal): as a firewall that swallows packets. What was under way
//!   arrives when it is healed; nobody is told. Only what the process closes is seen to be closed at once.
//! - [`cut_off`](Faulty::cut_off), [`let_back`](Faulty::let_back): the same for everything that this process says and
//!   hears, on connections that others have made, too.
//!
//! Delays run on tokio's clock, which a test can hold still.

use core::future::Future as _;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::error::TransportError;
use crate::medium::{Acceptor, Medium, Stream};

#[cfg(test)]
mod tests;

/// How a direction of a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As if the other end had closed it.
    End,
    /// As if the other end's machine had forgotten it.
    Reset,
    /// Nothing comes or goes any more, and nobody is told.
    Silence,
}

/// What happens to one direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Each read or write takes so much longer.
    pub delay: Duration,
    /// After so many bytes, this.
    pub fault: Option<(u64, Fault)>,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plans {
    /// To what comes from the other end.
    pub read: Plan,
    /// To what goes to it.
    pub write: Plan,
}

/// A medium with faults.
#[derive(Clone, Debug)]
pub struct Faulty<M> {
    medium: M,
    addresses: Arc<Mutex<BTreeMap<String, Target>>>,
    /// In front of everything.
    all: Gate,
}

/// What happens to connections with an address.
#[derive(Clone, Debug, Default)]
struct Target {
    plans: Plans,
    gate: Gate,
}

/// Lets bytes through, or not. Shared by all connections with an address.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<Mutex<Blocked>>);

#[derive(Debug, Default)]
struct Blocked {
    blocked: bool,
    waiting: Vec<Waker>,
}

/// Nothing is half done when a holder panics: every change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut gate = locked(&self.0);
        if !gate.blocked {
            return Poll::Ready(());
        }
        gate.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn set(&self, blocked: bool) {
        let mut gate = locked(&self.0);
        gate.blocked = blocked;
        core::mem::take(&mut gate.waiting).into_iter().for_each(Waker::wake);
    }
}

impl<M> Faulty<M> {
    /// No faults yet.
    #[must_use]
    pub fn new(medium: M) -> Self {
        Self { medium, addresses: Arc::default(), all: Gate::default() }
    }

    /// What happens to connections that are made with `address` from now on.
    pub fn plan(&self, address: &str, plans: Plans) {
        locked(&self.addresses).entry(address.into()).or_default().plans = plans;
    }

    /// Swallows all that goes to `address` and comes from there, on connections of this process.
    pub fn block(&self, address: &str) {
        self.target(address).gate.set(true);
    }

    /// Lets it through again, and what was swallowed.
    pub fn heal(&self, address: &str) {
        self.target(address).gate.set(false);
    }

    /// Swallows all that this process says and hears.
    pub fn cut_off(&self) {
        self.all.set(true);
    }

    /// Lets everything through again that is not blocked by its address, and what was swallowed.
    pub fn let_back(&self) {
        self.all.set(false);
    }

    fn target(&self, address: &str) -> Target {
        locked(&self.addresses).entry(address.into()).or_default().clone()
    }
}

/// A direction of a connection.
#[derive(Debug)]
pub struct FaultyHalf<T> {
    inner: T,
    plan: Plan,
    /// How many bytes have passed.
    passed: u64,
    /// The delay of the read or write that is under way; once it is over, until bytes have passed.
    delay: Option<Pin<Box<Sleep>>>,
    /// That of its address, and that of everything.
    gates: [Gate; 2],
}

/// What is to become of a read or write.
enum Passage {
    /// So many bytes may pass.
    Open(usize),
    Broken(Fault),
}

impl<T> FaultyHalf<T> {
    fn new(inner: T, plan: Plan, gates: [Gate; 2]) -> Self {
        Self { inner, plan, passed: 0, delay: None, gates }
    }

    fn poll_passage(&mut self, cx: &mut Context<'_>) -> Poll<Passage> {
        for gate in &self.gates {
            core::task::ready!(gate.poll(cx));
        }
        let passage = match self.plan.fault {
            Some((after, Fault::Silence)) if self.passed >= after => return Poll::Pending,
            Some((after, fault)) if self.passed >= after => Passage::Broken(fault),
            Some((after, _)) => Passage::Open(usize::try_from(after - self.passed).unwrap_or(usize::MAX)),
            None => Passage::Open(usize::MAX),
        };
        if !self.plan.delay.is_zero() {
            let delay = self.delay.get_or_insert_with(|| Box::pin(sleep(self.plan.delay)));
            core::task::ready!(delay.as_mut().poll(cx));
        }
        Poll::Ready(passage)
    }

    fn pass(&mut self, bytes: usize) {
        self.passed += bytes as u64;
        self.delay = None;
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FaultyHalf<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match core::task::ready!(self.poll_passage(cx)) {
            Passage::Broken(Fault::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Passage::Broken(Fault::End | Fault::Silence) => Poll::Ready(Ok(())),
            Passage::Open(most) => {
                let most = most.min(buffer.remaining());
                let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
                core::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
                let read = part.filled().len();
                buffer.advance(read);
                self.pass(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FaultyHalf<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match core::task::ready!(self.poll_passage(cx)) {
            Passage::Broken(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Passage::Open(most) => {
                let part = &bytes[..most.min(bytes.len())];
                let written = core::task::ready!(Pin::new(&mut self.inner).poll_write(cx, part))?;
                self.pass(written);
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<M: Medium> Medium for Faulty<M> {
    type Read = FaultyHalf<M::Read>;
    type Write = FaultyHalf<M::Write>;
    type Acceptor = FaultyAcceptor<M::Acceptor>;

    fn body_limit(&self) -> u32 {
        self.medium.body_limit()
    }

    async fn open(&self, address: &str) -> Result<Stream<Self::Read, Self::Write>, TransportError> {
        let Target { plans, gate } = self.target(address);
        let gates = [gate, self.all.clone()];
        for gate in &gates {
            core::future::poll_fn(|cx| gate.poll(cx)).await;
        }
        let Stream { read, write, peer } = self.medium.open(address).await?;
        let read = FaultyHalf::new(read, plans.read, gates.clone());
        let write = FaultyHalf::new(write, plans.write, gates);
        Ok(Stream { read, write, peer })
    }

    async fn bind(&self, address: &str) -> Result<Self::Acceptor, TransportError> {
        Ok(FaultyAcceptor { acceptor: self.medium.bind(address).await?, all: self.all.clone() })
    }
}

/// Listens on the medium beneath. Faults are the caller's, unless the process is cut off.
#[derive(Debug)]
pub struct FaultyAcceptor<A> {
    acceptor: A,
    all: Gate,
}

impl<A: Acceptor> Acceptor for FaultyAcceptor<A> {
    type Read = FaultyHalf<A::Read>;
    type Write = FaultyHalf<A::Write>;

    fn address(&self) -> &str {
        self.acceptor.address()
    }

    async fn next(&mut self) -> Result<Stream<Self::Read, Self::Write>, TransportError> {
        let Stream { read, write, peer } = self.acceptor.next().await?;
        let gates = [Gate::default(), self.all.clone()];
        let read = FaultyHalf::new(read, Plan::default(), gates.clone());
        let write = FaultyHalf::new(write, Plan::default(), gates);
        Ok(Stream { read, write, peer })
    }
}
