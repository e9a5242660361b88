//! The shell of `cirrus_core::fleet`: launches, watches and kills what that machine says.
//!
//! One task owns the machine. Each process has a watcher that waits for its end, or kills it when told to; its end
//! comes back as an event. What others must know (who is fenced, that a slot was given up) leaves as notices, in
//! order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cirrus_core::fleet::{Config, Effect, Event, Fleet, Timer};
use cirrus_core::ids::{Incarnation, WorkerId};
use tokio::sync::{mpsc, oneshot};

use super::launcher::{Command, Exit, Launched, Launcher};
use crate::driver::Driver;

/// What a fleet tells others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This life, and every earlier one of the slot, counts as dead.
    Fenced {
        /// The slot.
        slot: WorkerId,
        /// The life.
        incarnation: Incarnation,
    },
    /// A process was started.
    Launched {
        /// The slot.
        slot: WorkerId,
        /// The life.
        incarnation: Incarnation,
        /// Its process id, where there is one.
        process_id: Option<u32>,
    },
    /// A process ended, or could not be started; the text says how.
    Ended {
        /// The slot.
        slot: WorkerId,
        /// The life.
        incarnation: Incarnation,
        /// For people.
        how: String,
    },
    /// A slot failed too often and stays empty.
    GaveUp(WorkerId),
    /// Nothing lives any more and nothing will be launched.
    Empty,
}

/// A running fleet. Dropping it ends its task, which kills what it launched.
#[derive(Debug)]
pub struct FleetShell {
    events: mpsc::UnboundedSender<Input>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
enum Input {
    Event(Event),
    Exited { slot: WorkerId, incarnation: Incarnation, how: String },
}

/// What the task owns.
struct Shell {
    machine: Driver<Fleet>,
    launcher: Arc<dyn Launcher>,
    command: Command,
    inputs: mpsc::UnboundedSender<Input>,
    notices: mpsc::UnboundedSender<Notice>,
    /// How to have the process of a slot killed.
    kills: BTreeMap<WorkerId, (Incarnation, oneshot::Sender<()>)>,
}

impl FleetShell {
    /// Starts the task; the fleet itself starts with [`Event::Start`]. Every slot runs `command`.
    #[must_use]
    pub fn new(
        config: Config,
        launcher: Arc<dyn Launcher>,
        command: Command,
    ) -> (Self, mpsc::UnboundedReceiver<Notice>) {
        let (events, inputs) = mpsc::unbounded_channel();
        let (notices, receiver) = mpsc::unbounded_channel();
        let shell = Shell {
            machine: Driver::new(Fleet::default(), config),
            launcher,
            command,
            inputs: events.clone(),
            notices,
            kills: BTreeMap::new(),
        };
        (Self { events, task: tokio::spawn(shell.run(inputs)) }, receiver)
    }

    /// Something happened to the fleet.
    pub fn tell(&self, event: Event) {
        // The task ends with this handle only.
        let _ = self.events.send(Input::Event(event));
    }
}

impl Drop for FleetShell {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shell {
    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        while let Some(input) = inputs.recv().await {
            let event = match input {
                Input::Event(event) => event,
                Input::Exited { slot, incarnation, how } => {
                    self.notice(Notice::Ended { slot, incarnation, how });
                    Event::Exited { slot, incarnation }
                }
            };
            let mut effects = self.machine.step(event);
            for effect in effects.drain(..) {
                self.carry_out(effect).await;
            }
            self.machine.recycle(effects);
        }
    }

    fn notice(&self, notice: Notice) {
        // Whoever listened may have ended before.
        let _ = self.notices.send(notice);
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { slot, incarnation } => self.launch(slot, incarnation).await,
            Effect::Kill { slot, incarnation } => {
                if let Some((living, kill)) = self.kills.remove(&slot) {
                    debug_assert_eq!(living, incarnation, "a slot has one process at a time");
                    // One that has ended meanwhile is reported by its watcher.
                    let _ = kill.send(());
                }
            }
            Effect::Fence { slot, incarnation } => self.notice(Notice::Fenced { slot, incarnation }),
            Effect::GaveUp(slot) => self.notice(Notice::GaveUp(slot)),
            Effect::Empty => self.notice(Notice::Empty),
            Effect::SetTimer { timer, after } => {
                let inputs = self.inputs.clone();
                tokio::spawn(fire(inputs, timer, Duration::from_millis(u64::from(after.0))));
            }
        }
    }

    async fn launch(&mut self, slot: WorkerId, incarnation: Incarnation) {
        match self.launcher.launch(&self.command, slot, incarnation).await {
            Ok(process) => {
                let process_id = process.process_id();
                self.notice(Notice::Launched { slot, incarnation, process_id });
                let (kill, killed) = oneshot::channel();
                self.kills.insert(slot, (incarnation, kill));
                tokio::spawn(watch(self.inputs.clone(), slot, incarnation, process, killed));
            }
            Err(error) => {
                let exited = Input::Exited { slot, incarnation, how: error.to_string() };
                let _ = self.inputs.send(exited);
            }
        }
    }
}

async fn fire(inputs: mpsc::UnboundedSender<Input>, timer: Timer, after: Duration) {
    tokio::time::sleep(after).await;
    let _ = inputs.send(Input::Event(Event::Timer(timer)));
}

/// Waits for a process' end, or brings it about.
async fn watch(
    inputs: mpsc::UnboundedSender<Input>,
    slot: WorkerId,
    incarnation: Incarnation,
    mut process: Box<dyn Launched>,
    killed: oneshot::Receiver<()>,
) {
    let exit: Exit = tokio::select! {
        exit = process.wait() => exit,
        // Also when the fleet's task is gone: then nobody may be left.
        _ = killed => process.kill().await,
    };
    let _ = inputs.send(Input::Exited { slot, incarnation, how: exit.to_string() });
}
