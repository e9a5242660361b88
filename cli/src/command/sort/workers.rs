//! The worker processes of a sort, as the process that has started them sees them.

use std::process::{ExitStatus, Stdio};

use cirrus_runtime::fleet::launcher::PARENT_VARIABLE;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::message::{Task, Word};
use crate::failure::{Failure, with};

/// How the C library of a worker keeps memory: what was let go by one thread is there for the others, and is not given
/// back. A worker lets its records go while others' arrive; to have the kernel clear new pages for those takes longer than
/// it takes to move them. Elsewhere these mean nothing.
const MEMORY: [(&str, &str); 4] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TOP_PAD_", "67108864"),
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "1099511627776"),
];

/// Words that may wait: whoever says more waits, too.
const WORDS_MAX: usize = 64;

/// Worker processes. Dropped, they are killed; by the kernel if this process is killed.
pub(super) struct Workers {
    children: Vec<Child>,
    words: mpsc::Receiver<(usize, Option<Word>)>,
}

impl Workers {
    /// Starts so many as the task says, and gives it to each.
    pub(super) async fn start(task: &Task) -> Result<Self, Failure> {
        let line = format!("{}\n", serde_json::to_string(task)?);
        let (says, words) = mpsc::channel(WORDS_MAX);
        let mut workers = Self { children: Vec::new(), words };
        for number in 0..task.workers as usize {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(["sort", "worker"])
                .env(PARENT_VARIABLE, std::process::id().to_string())
                .envs(MEMORY)
                // Ctrl-C in a terminal is for this process alone, which ends them.
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true);
            let mut child = command.spawn().map_err(with("cannot start a worker"))?;
            // It stays open: a worker that finds it closed ends.
            if let Some(orders) = &mut child.stdin {
                // One that does not listen is heard of by its end.
                let _ = orders.write_all(line.as_bytes()).await;
            }
            if let Some(said) = child.stdout.take() {
                tokio::spawn(listen(number, said, says.clone()));
            }
            workers.children.push(child);
        }
        Ok(workers)
    }

    /// What one of them says next; `None` from one that says nothing any more.
    pub(super) async fn hear(&mut self) -> Result<(usize, Option<Word>), Failure> {
        self.words.recv().await.ok_or_else(|| Failure::Failed("no worker is there any more".to_owned()))
    }

    /// How one has ended that says nothing any more.
    pub(super) async fn end_of(&mut self, number: usize) -> Result<String, Failure> {
        let Some(child) = self.children.get_mut(number) else { return Ok(String::new()) };
        let process = child.id().map(|id| format!(" (process {id})")).unwrap_or_default();
        let status = child.wait().await?;
        Ok(format!("worker {number}{process} {}", how(status)))
    }

    /// Kills those that live, and waits until all are gone.
    pub(super) async fn kill(mut self) {
        for child in &mut self.children {
            // Fails only for one that has ended.
            let _ = child.start_kill();
        }
        for mut child in self.children {
            let _ = child.wait().await;
        }
    }
}

async fn listen(number: usize, said: ChildStdout, says: mpsc::Sender<(usize, Option<Word>)>) {
    let mut lines = BufReader::new(said).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let word = serde_json::from_str(&line)
            .unwrap_or_else(|error| Word::Failed(format!("it says what is not understood: {error}: {line}")));
        if says.send((number, Some(word))).await.is_err() {
            return;
        }
    }
    let _ = says.send((number, None)).await;
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("was killed by signal {signal}"),
        None => format!("ended early with code {}", status.code().unwrap_or_default()),
    }
}
