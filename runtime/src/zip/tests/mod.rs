//! Whole channels in one process: the real shells, each member on a thread and a runtime of its own, which can be killed.

mod daemon;
mod faults;
mod gather;
mod handled;
mod relay;
mod rounds;
mod spans;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cirrus_core::directory::Limits;
use cirrus_core::ids::{JobId, Millis};
use cirrus_protocol::handshake::Credential;
use cirrus_transport::memory::Memory;
use cirrus_transport::tcp::Tcp;
use cirrus_transport::{Medium, auth};
use tokio::task::JoinHandle;

use super::controller::{Controller, ControllerSpec, Epochs, Job};
use super::{ONLY_JOB, Reachable, Settings, Zip, ZipError};
use crate::io::IoThread;

const TOKEN: &str = "a token that is too long to guess";
/// Of another job of the same controller.
const OTHER_TOKEN: &str = "a token of somebody else's job";
const OTHER_JOB: JobId = JobId(2);
const LIMITS: Limits = Limits { channels_max: 8, members_max: 32 };
/// Whatever takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens in a process of its own, which ends with this.
struct Process(IoThread);

impl Process {
    fn start() -> Self {
        Self(IoThread::start().unwrap())
    }

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.handle().spawn(task)
    }
}

/// A controller, and what is needed to start it again at the same address.
struct Field<M: Medium> {
    medium: M,
    address: String,
    epochs: Epochs,
    controller: Option<Process>,
    lease: Millis,
    reachable: Reachable,
    /// Where the daemon of this machine listens, if there may be one.
    daemon: Option<String>,
}

impl<M: Medium> Field<M> {
    async fn start(medium: M, listen: &str) -> Self {
        let epochs = Epochs::Lent(Arc::new(Mutex::new(None)));
        let (address, lease) = (listen.to_owned(), Millis(3000));
        let reachable = Reachable::Directly;
        let mut field = Self { medium, address, epochs, controller: None, lease, reachable, daemon: None };
        field.start_controller().await;
        field
    }

    async fn start_controller(&mut self) {
        let job = Job::new(ONLY_JOB, TOKEN, LIMITS);
        let mut spec = ControllerSpec::new(self.address.clone(), job, self.epochs.clone());
        spec.jobs.push(Job::new(OTHER_JOB, OTHER_TOKEN, LIMITS));
        spec.config.jobs_max = 2;
        spec.config.members_max *= 2;
        spec.config.channel.recovery = Millis(1500);
        spec.lease = self.lease;
        let (medium, process) = (self.medium.clone(), Process::start());
        let started = process.run(async move { Controller::start(&medium, spec).await });
        let controller = started.await.unwrap().unwrap();
        self.address = controller.address().to_owned();
        process.run(controller.run());
        self.controller = Some(process);
    }

    fn kill_controller(&mut self) {
        self.controller = None;
    }

    /// A way into channels, which is to be awaited in the process whose members are to live and die with it.
    fn zip_with(&self, token: &str) -> impl Future<Output = Result<Zip<M>, ZipError>> + Send + use<M> {
        let credential = self.credential(token);
        let (reachable, daemon) = (self.reachable.clone(), self.daemon.clone());
        let mut settings = Settings { deadline: PATIENCE / 2, reachable, daemon, ..Settings::default() };
        settings.member.attach = Millis(300);
        settings.messages.limits.missing = Millis(300);
        settings.shuffle.limits.missing = Millis(300);
        let (medium, address) = (self.medium.clone(), self.address.clone());
        async move { Zip::over(medium, &address, credential, listen_at(&address), settings).await }
    }

    fn credential(&self, token: &str) -> Credential {
        Credential { job: ONLY_JOB, token: auth::digest(token) }
    }

    async fn zip(&self) -> Zip<M> {
        self.zip_with(TOKEN).await.unwrap()
    }

    /// So many processes, each of which joins with `join`, one after the other.
    async fn members<C, J, F>(&self, count: usize, join: J) -> Vec<(Process, C)>
    where
        C: Send + 'static,
        J: Fn(Zip<M>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<C, ZipError>> + Send + 'static,
    {
        let mut members = Vec::new();
        for _ in 0..count {
            let process = Process::start();
            let (zip, join) = (self.zip_with(TOKEN), join.clone());
            let joined = process.run(async move { join(zip.await?).await }).await.unwrap();
            members.push((process, joined.unwrap()));
        }
        members
    }
}

fn listen_at(controller: &str) -> &'static str {
    if controller.contains("127.0.0.1") { "127.0.0.1:0" } else { "*" }
}

async fn in_memory() -> Field<Memory> {
    Field::start(Memory::default(), "the controller").await
}

async fn over_tcp() -> Field<Tcp> {
    Field::start(Tcp::default(), "127.0.0.1:0").await
}

/// All of them, in order.
async fn all<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(tokio::time::timeout(PATIENCE, task).await.expect("it hangs").unwrap());
    }
    answers
}

/// Runs a test over each medium.
macro_rules! over_each_medium {
    ($($name:ident: $test:ident;)*) => {$(
        mod $name {
            #[tokio::test]
            async fn in_memory() {
                super::$test(crate::zip::tests::in_memory().await).await;
            }

            #[tokio::test]
            async fn over_tcp() {
                super::$test(crate::zip::tests::over_tcp().await).await;
            }
        }
    )*};
}
use over_each_medium;
