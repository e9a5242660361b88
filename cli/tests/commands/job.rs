//! A `cirrus train` that runs, and the processes that it has started.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::run::{Ran, command, until};

/// A running command. Dropped before its end, it is killed.
pub(crate) struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
    said: String,
    out: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts `cirrus` with arguments that have no spaces in them.
    pub(crate) fn start(folder: &Path, line: &str) -> Self {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut child = command(folder, &arguments).spawn().expect("cirrus starts");
        let err = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut stdout: ChildStdout = child.stdout.take().expect("it is a pipe");
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("results are text");
            text
        });
        Self { child, err, said: String::new(), out: Some(out) }
    }

    /// The process that was started.
    pub(crate) fn this(&self) -> Process {
        Process { id: self.child.id(), role: "job".to_owned() }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Reads standard error up to a line with this in it, and answers with that line.
    #[track_caller]
    pub(crate) fn until_says(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            self.err.read_line(&mut line).expect("messages are text");
            self.said.push_str(&line);
            if line.contains(words) {
                return line;
            }
            assert!(!line.is_empty(), "it ended without saying {words:?}: {}", self.said);
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        self.err.read_to_string(&mut self.said).expect("messages are text");
        let status = self.child.wait().expect("it can be waited for");
        let out = self.out.take().expect("it is taken once").join().expect("reading does not panic");
        Ran { code: status.code(), out, err: std::mem::take(&mut self.said) }
    }

    /// The processes that it has started and that live.
    pub(crate) fn children(&self) -> Vec<Process> {
        let entries = fs::read_dir("/proc").expect("these tests are for Linux");
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter_map(|id| Process::child_of(self.child.id(), id)).collect()
    }

    /// Waits for a worker of any slot to be there.
    pub(crate) fn worker(&self, mut pick: impl FnMut(usize) -> usize) -> Process {
        until("a worker", || {
            let mut workers: Vec<_> =
                self.children().into_iter().filter(|child| child.role == "worker").collect();
            (!workers.is_empty()).then(|| workers.swap_remove(pick(workers.len())))
        })
    }

    /// Waits for so many workers to be there.
    pub(crate) fn workers(&self, count: usize) -> Vec<Process> {
        until("workers", || {
            let mut workers = self.children();
            workers.retain(|child| child.role == "worker");
            (workers.len() == count).then_some(workers)
        })
    }

    /// Waits for the store to be there.
    pub(crate) fn store(&self) -> Process {
        until("a store", || self.children().into_iter().find(|child| child.role == "job-store"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process of a job.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    id: u32,
    /// `worker`, `job-store`, `member` of a channel, `redis-server`, or `job` for the process that has started them.
    role: String,
}

impl Process {
    /// The process `id`, if it is a part of the job that `parent` runs and has not ended.
    fn child_of(parent: u32, id: u32) -> Option<Self> {
        if stat(id)?.get(1)?.parse() != Ok(parent) {
            return None;
        }
        let arguments = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        if arguments.starts_with("redis-server") {
            return Some(Self { id, role: "redis-server".to_owned() });
        }
        // Between its fork and its exec a child still has the arguments of its parent.
        let role = arguments.trim_end_matches('\0').rsplit('\0').next()?.to_owned();
        ["worker", "job-store", "member", "redis-server"]
            .contains(&role.as_str())
            .then_some(Self { id, role })
    }

    /// Whether it is there and no zombie.
    pub(crate) fn lives(&self) -> bool {
        stat(self.id).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        send(self.id, Signal::KILL);
    }

    /// SIGSTOP: it lives, and does nothing any more.
    pub(crate) fn stop(&self) {
        send(self.id, Signal::STOP);
    }

    /// How often it has waited for something so far: what a process does in a job is a chain of short waits, so this
    /// says how far it is. `None` when it has ended.
    pub(crate) fn waits(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    }

    /// Ports of this machine on which it listens.
    pub(crate) fn ports(&self) -> Vec<u16> {
        crate::proc::listening(self.id)
    }
}

/// The fields of a process behind its name, from its state on.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Sends a signal. A process that has just ended takes none.
fn send(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).expect("it is a process id");
    let _ = kill_process(id, signal);
}
