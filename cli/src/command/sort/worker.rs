//! `cirrus sort worker`: one process of a sort.

use std::io::BufRead;

use cirrus_runtime::fleet::launcher::{PARENT_VARIABLE, die_with_parent};
use cirrus_runtime::object;
use cirrus_runtime::sort::team::Team;
use cirrus_runtime::sort::worker::{Report, work};
use cirrus_runtime::zip::Zip;

use super::message::{Task, Word};
use crate::command::{print_text, process};
use crate::failure::{Failure, with};
use crate::own_process;

/// The channels of a sort begin so.
const NAME: &str = "sort";

pub(super) fn run() -> Result<(), Failure> {
    let by_hand =
        || Failure::Failed("this is a process of `cirrus sort run`, not to be started by hand".to_owned());
    let parent = std::env::var(PARENT_VARIABLE).ok().and_then(|parent| parent.parse().ok());
    die_with_parent(parent.ok_or_else(by_hand)?)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(with("standard input"))?;
    let task: Task = serde_json::from_str(&line).map_err(|_| by_hand())?;
    let runtime = process::runtime()?;
    let mut team = None;
    let mut outcome = runtime.block_on(take_part(&task, &mut team));
    if let Ok(report) = &outcome {
        let report = report.clone();
        say(&Word::Done { report, peak_memory_bytes: own_process::peak_memory_bytes() })?;
        // One that hangs is missed here.
        if let Some(Err(error)) = team.as_ref().map(|team| runtime.block_on(team.together())) {
            outcome = Err(error.into());
        }
    }
    if let Err(failure) = outcome {
        say(&Word::Failed(match failure {
            Failure::Failed(text) | Failure::Usage(text) => text,
            Failure::Interrupted | Failure::OutputClosed => "interrupted".to_owned(),
        }))?;
    }
    // It stays among the others, who would be told that it is gone, until all are ended by whoever has started them: what
    // the first who fails says is why.
    let _ = std::io::stdin().lock().read_line(&mut line);
    Ok(())
}

async fn take_part(task: &Task, team: &mut Option<Team>) -> Result<Report, Failure> {
    let (from, to) = (object::open(&task.from)?, object::open(&task.to)?);
    let exchange = task.plan.way.open()?;
    let zip = Zip::connect(&task.controller, &task.token).await?;
    let team = team.insert(Team::join(&zip, NAME, task.workers, task.plan.input.bytes()).await?);
    let progress = |phase, bytes| {
        // Whoever does not listen any more is gone, and this process with it.
        let _ = say(&Word::Progress(phase, bytes));
    };
    Ok(work(&task.plan, from.as_ref(), &to, team, exchange.as_ref(), &progress).await?)
}

/// Says one thing, on a line of its own.
fn say(word: &Word) -> Result<(), Failure> {
    print_text(&format!("{}\n", serde_json::to_string(word)?))
}
