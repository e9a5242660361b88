//! Real child processes: their ends, their last words, and that none outlives who launched it.

use std::fs;
use std::path::{Path, PathBuf};

use cirrus_core::ids::{Incarnation, WorkerId};
use cirrus_runtime::fleet::launcher::{
    Command, ExitCause, Launched, Launcher, PARENT_VARIABLE, ProcessLauncher, die_with_parent,
};

/// Tells this test program, launched again by itself, whom to play.
const ROLE: &str = "CIRRUS_TEST_ROLE";
/// The folder in which the roles write their process ids.
const FOLDER: &str = "CIRRUS_TEST_FOLDER";

fn shell(script: &str) -> Command {
    Command::new("sh", ["-c", script])
}

async fn launch(launcher: &ProcessLauncher, command: &Command) -> Box<dyn Launched> {
    launcher.launch(command, WorkerId(3), Incarnation(7)).await.unwrap()
}

/// Whether a process runs; one that ended and was not reaped yet does not.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// Blocks until `condition` holds. The test runner's own time limit ends a wait that is in vain.
fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn an_exit_is_reported_with_its_code_and_last_words() {
    let launcher = ProcessLauncher::new().unwrap();
    let command = shell("echo lost; echo slot $CIRRUS_SLOT.$CIRRUS_INCARNATION fails >&2; exit 3");
    let mut child = launch(&launcher, &command).await;
    let exit = child.wait().await;
    assert_eq!(exit.cause, ExitCause::Code(3));
    assert_eq!(exit.to_string(), "ended with code 3, its last words:\nslot 3.7 fails");
    assert_eq!(child.wait().await, exit, "asked again, the same answer");
    assert_eq!(child.kill().await, exit, "a kill that comes late changes nothing");
}

#[tokio::test]
async fn of_a_talkative_process_the_end_is_kept() {
    let launcher = ProcessLauncher::new().unwrap();
    let mut child = launch(&launcher, &shell("seq 1 100000 >&2; exit 1")).await;
    let exit = child.wait().await;
    assert!(exit.last_words.ends_with("99999\n100000\n"), "{exit}");
    assert!(exit.last_words.len() <= 4096);
}

#[tokio::test]
async fn a_kill_ends_and_reaps() {
    let launcher = ProcessLauncher::new().unwrap();
    let mut child = launch(&launcher, &shell("trap '' TERM INT; exec sleep 1000")).await;
    let process = child.process_id().unwrap();
    assert!(runs(process));
    assert_eq!(child.kill().await.cause, ExitCause::Signal(9));
    assert!(!exists(process), "reaped");
}

#[tokio::test]
async fn a_dropped_handle_kills() {
    let launcher = ProcessLauncher::new().unwrap();
    let child = launch(&launcher, &Command::new("sleep", ["1000"])).await;
    let process = child.process_id().unwrap();
    drop(child);
    while exists(process) {
        // The runtime reaps between two turns of its tasks.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let launcher = ProcessLauncher::new().unwrap();
    let refused =
        launcher.launch(&Command::new("/no/such/program", [""; 0]), WorkerId(0), Incarnation(0)).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.starts_with("cannot start \"/no/such/program\": No such file"), "{text}");
}

/// This program again, running only the test that plays roles.
fn in_role(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(
        std::env::current_exe().unwrap(),
        ["--exact", "launched_again_by_itself_it_plays_a_role", "--nocapture"],
    );
    command.environment = vec![(ROLE.into(), role.into()), (FOLDER.into(), folder.as_os_str().to_owned())];
    command
}

fn written_id(folder: &Path, role: &str) -> Option<u32> {
    fs::read_to_string(folder.join(role)).ok()?.parse().ok()
}

/// Writes this process' id, complete under its name.
fn write_id(folder: &Path, role: &str) {
    fs::write(folder.join("partial"), std::process::id().to_string()).unwrap();
    fs::rename(folder.join("partial"), folder.join(role)).unwrap();
}

/// Not a test by itself: what the processes of the tests below do.
#[test]
fn launched_again_by_itself_it_plays_a_role() {
    let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    let parent = std::env::var(PARENT_VARIABLE).unwrap().parse().unwrap();
    die_with_parent(parent).unwrap();
    match role.as_str() {
        "worker" => {
            write_id(&folder, "worker");
            wait_forever();
        }
        "job" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let launcher = ProcessLauncher::new().unwrap();
            let _worker = runtime.block_on(launch(&launcher, &in_role("worker", &folder)));
            wait_until(|| written_id(&folder, "worker").is_some());
            write_id(&folder, "job");
            wait_forever();
        }
        other => panic!("unknown role {other}"),
    }
}

fn wait_forever() -> ! {
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn when_the_launching_process_is_killed_its_children_die() {
    let folder = tempfile::tempdir().unwrap();
    let launcher = ProcessLauncher::new().unwrap();
    let mut job = launch(&launcher, &in_role("job", folder.path())).await;
    wait_until(|| written_id(folder.path(), "job").is_some());
    let worker = written_id(folder.path(), "worker").unwrap();
    assert!(runs(worker));
    assert_eq!(job.kill().await.cause, ExitCause::Signal(9));
    wait_until(|| !runs(worker));
}

#[tokio::test]
async fn a_dropped_launcher_takes_its_children_along() {
    let folder = tempfile::tempdir().unwrap();
    let launcher = ProcessLauncher::new().unwrap();
    let mut worker = launch(&launcher, &in_role("worker", folder.path())).await;
    wait_until(|| written_id(folder.path(), "worker").is_some());
    drop(launcher);
    assert_eq!(worker.wait().await.cause, ExitCause::Signal(9));
}

#[test]
fn who_is_not_a_child_of_the_given_process_is_told() {
    let error = std::thread::spawn(|| {
        let outcome = die_with_parent(u32::MAX);
        // This thread asked for a signal that is not meant for the test program.
        rustix::process::set_parent_process_death_signal(None).unwrap();
        outcome.unwrap_err()
    });
    assert!(error.join().unwrap().to_string().contains("ended already"));
}
