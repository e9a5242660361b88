//! `cirrus zip demo`: eight processes in channels, one of which is killed in the midst of a round.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cirrus_core::directory::Limits;
use cirrus_runtime::fleet::launcher::{PARENT_VARIABLE, SLOT_VARIABLE};
use cirrus_runtime::zip::controller::{Controller, ControllerSpec, Epochs, Job};
use cirrus_runtime::zip::{ONLY_JOB, Recording};
use cirrus_transport::tcp::Tcp;
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::member::{BYTES, CONTROLLER_VARIABLE, MEMBERS, RECORDS, TRACE_VARIABLE, of_process};
use crate::Output;
use crate::command::controller::{TOKEN_VARIABLE, token};
use crate::command::{grouped, print_json, print_text, process};
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;

/// Which one dies, in the order in which they have joined the sums: the second, which has two others below it.
const VICTIM: usize = 1;
/// Whatever takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows what channels do: in eight processes, one of which is killed.
///
/// Starts eight processes that join channels; one broadcasts to all, all add up arrays, one is killed by signal 9 when
/// half of its value is combined with those of two others, and the survivors get the sum of their values, with the name of
/// the one that is missing; then they exchange records. Every number of every result is checked: it ends non-zero if
/// anything that arrives is wrong.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus zip demo\n  \
    cirrus zip demo --controller 127.0.0.1:4100      with the controller's token in CIRRUS_TOKEN\n  \
    cirrus zip demo --trace traces                   recorded: for `verify replay traces/*`")]
pub(crate) struct Arguments {
    /// The controller that the processes meet at; without it, the demo has one of its own.
    #[arg(long, value_name = "ADDRESS")]
    controller: Option<String>,
    /// The file that holds that controller's token, instead of CIRRUS_TOKEN.
    #[arg(long, value_name = "FILE", requires = "controller")]
    token_file: Option<PathBuf>,
    /// Records what happens to each process in a file of this folder, for `verify replay`. No payload and no token is in
    /// them, and none that is there is written over.
    #[arg(long, value_name = "FOLDER")]
    trace: Option<PathBuf>,
}

/// A process of the demo. It is killed when this is dropped, and by the kernel when the demo dies.
struct Member {
    child: Child,
    orders: ChildStdin,
    words: Lines<BufReader<ChildStdout>>,
    number: usize,
    /// What it is called in the channel of sums.
    name: String,
    /// The controller's life in which it joined that, and which of those it was.
    stamp: [Option<u64>; 2],
}

/// What has come of it.
struct Shown {
    broadcast_ms: f64,
    reduce_ms: f64,
    killed: String,
    process: u32,
    repaired_ms: f64,
    shuffle_ms: f64,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    process::runtime()?.block_on(async {
        tokio::select! {
            shown = show(arguments, output) => report(&shown?, output),
            () = interrupt.pressed() => Err(Failure::Interrupted),
        }
    })
}

async fn show(arguments: &Arguments, output: Output) -> Result<Shown, Failure> {
    let say = |line: String| {
        if !output.quiet {
            eprintln!("{line}");
        }
    };
    let folder = arguments.trace.as_deref();
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(with(folder.display()))?;
    }
    let mut recording = None;
    let (controller, token) = match &arguments.controller {
        Some(controller) => (controller.clone(), token(arguments.token_file.as_deref())?),
        None => {
            recording = folder.map(|it| Recording::create(it.join("controller.trace"))).transpose()?;
            own_controller(recording.clone()).await?
        }
    };
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let trace = folder.map(|folder| folder.join(format!("member-{}.trace", number + 1)));
        members.push(Member::start(number, &controller, &token, trace)?);
    }
    for member in &mut members {
        let joined = member.hear().await?;
        member.name = joined["joined"].as_str().unwrap_or_default().to_owned();
        member.stamp = [0, 1].map(|at| joined["stamp"][at].as_u64());
    }
    say(format!("{MEMBERS} processes have joined three channels at {controller}"));

    let (broadcast_ms, answers) = together(&mut members, "broadcast").await?;
    expect(answers.iter().all(|it| it["right"] == true), "the broadcast arrived wrong", &answers)?;
    say(format!("broadcast: {} MB from one are whole at the others after {broadcast_ms:.1} ms", BYTES >> 20));

    let (reduce_ms, answers) = together(&mut members, "reduce").await?;
    let all: u64 = (1..=MEMBERS as u64).sum();
    let right = |it: &Value| it["right"] == true && it["sum"] == all && it["missing"] == json!([]);
    expect(answers.iter().all(right), "the sum is wrong", &answers)?;
    say(format!("reduce: all have the sum of {MEMBERS} x {} MB after {reduce_ms:.1} ms", BYTES >> 20));

    let (victim, repaired_ms) = kill_one(&mut members, all, &say).await?;
    let (shuffle_ms, answers) = together(&mut members, "shuffle").await?;
    let survivors = members.iter().map(|member| member.number as u64);
    let sum = survivors.flat_map(of_process).fold(0, u64::wrapping_add);
    let total = |key: &str| answers.iter().filter_map(|it| it[key].as_u64()).fold(0, u64::wrapping_add);
    let count = RECORDS * (MEMBERS as u64 - 1);
    let right =
        answers.iter().all(|it| it["right"] == true) && (total("records"), total("sum")) == (count, sum);
    expect(right, "records are wrong or missing", &answers)?;
    let records = grouped(count);
    say(format!("shuffle: {records} records are where their hash says, each once, after {shuffle_ms:.1} ms"));

    for member in &mut members {
        member.order("leave").await?;
    }
    for mut member in members {
        let ended = timeout(PATIENCE, member.child.wait()).await;
        let ended = ended.map_err(|_| Failure::Failed(format!("{} does not leave", member.name)))??;
        if !ended.success() {
            return Err(Failure::Failed(format!("{} ended with {ended}", member.name)));
        }
    }
    say("all survivors have left".to_owned());
    recording.map_or(Ok(()), |recording| recording.check())?;
    let process = victim.child.id().unwrap_or_default();
    Ok(Shown { broadcast_ms, reduce_ms, killed: victim.name, process, repaired_ms, shuffle_ms })
}

/// All give their values to the next reduce, and one is killed when it has combined half of its own with those below it.
async fn kill_one(
    members: &mut Vec<Member>,
    all: u64,
    say: &impl Fn(String),
) -> Result<(Member, f64), Failure> {
    members.sort_by_key(|member| member.stamp);
    let mut victim = members.remove(VICTIM);
    victim.order("reduce half").await?;
    for member in members.iter_mut() {
        member.order("reduce").await?;
    }
    for member in members.iter_mut() {
        member.hear_until("ready").await?;
    }
    victim.hear_until("half").await?;
    let process = victim.child.id().unwrap_or_default();
    say(format!(
        "reduce: half of the values of {} and of those below it are combined; killing it (process {process}) by signal 9",
        victim.name
    ));
    victim.child.start_kill()?;
    let (repaired_ms, answers) = all_come(members, Instant::now()).await?;
    victim.child.wait().await?;
    let sum = all - (victim.number as u64 + 1);
    let right = |it: &Value| it["right"] == true && it["sum"] == sum;
    expect(answers.iter().all(right), "the survivors' sum is wrong", &answers)?;
    let named = |it: &Value| it["missing"] == json!([victim.name]);
    let nameless = "the survivors' sum is right, but they are not told the name of the one that is missing; a controller that \
                    is started again has forgotten who died meanwhile";
    expect(answers.iter().all(named), nameless, &answers)?;
    say(format!(
        "reduce: all {} survivors have the sum of their values, without {}, {repaired_ms:.0} ms after the kill",
        members.len(),
        victim.name
    ));
    Ok((victim, repaired_ms))
}

/// A controller inside this process, with a token that nobody else has.
async fn own_controller(recording: Option<Recording>) -> Result<(String, String), Failure> {
    let mut bytes = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let job = Job::new(ONLY_JOB, &token, Limits { channels_max: 3, members_max: 64 });
    let mut spec = ControllerSpec::new(process::LISTEN_AT, job, Epochs::Lent(std::sync::Arc::default()));
    spec.recording = recording;
    let controller = Controller::start(&Tcp::default(), spec).await?;
    let address = controller.address().to_owned();
    tokio::spawn(controller.run());
    Ok((address, token))
}

/// All do the same, at once. How long it took from when the last was ready until the last had what it was to have, and what
/// each says of it.
async fn together(members: &mut [Member], order: &str) -> Result<(f64, Vec<Value>), Failure> {
    for member in members.iter_mut() {
        member.order(order).await?;
    }
    for member in members.iter_mut() {
        member.hear_until("ready").await?;
    }
    all_come(members, Instant::now()).await
}

async fn all_come(members: &mut [Member], since: Instant) -> Result<(f64, Vec<Value>), Failure> {
    for member in members.iter_mut() {
        member.hear_until("came").await?;
    }
    let came_ms = since.elapsed().as_secs_f64() * 1e3;
    let mut answers = Vec::new();
    for member in members {
        answers.push(member.hear_until("right").await?);
    }
    Ok((came_ms, answers))
}

fn expect(right: bool, what: &str, answers: &[Value]) -> Result<(), Failure> {
    if right { Ok(()) } else { Err(Failure::Failed(format!("{what}: {}", json!(answers)))) }
}

impl Member {
    fn start(number: usize, controller: &str, token: &str, trace: Option<PathBuf>) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["zip", "member"])
            .env(CONTROLLER_VARIABLE, controller)
            .env(TOKEN_VARIABLE, token)
            .env(SLOT_VARIABLE, number.to_string())
            .env(PARENT_VARIABLE, std::process::id().to_string())
            // Ctrl-C in a terminal is for the demo alone, which ends them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .envs(trace.map(|trace| (TRACE_VARIABLE, trace)));
        let mut child = command.spawn().map_err(with("cannot start a process"))?;
        let (Some(orders), Some(words)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::Failed("a process has no pipes".to_owned()));
        };
        let words = BufReader::new(words).lines();
        Ok(Self { child, orders, words, number, name: format!("process {number}"), stamp: [None; 2] })
    }

    async fn order(&mut self, order: &str) -> Result<(), Failure> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }

    async fn hear(&mut self) -> Result<Value, Failure> {
        let name = &self.name;
        match timeout(PATIENCE, self.words.next_line()).await {
            Ok(Ok(Some(line))) => Ok(serde_json::from_str(&line)?),
            Ok(Ok(None)) => Err(Failure::Failed(format!("{name} ended early"))),
            Ok(Err(error)) => Err(Failure::Failed(format!("{name}: {error}"))),
            Err(_) => Err(Failure::Failed(format!("{name} says nothing"))),
        }
    }

    /// The next thing it says that tells this.
    async fn hear_until(&mut self, key: &str) -> Result<Value, Failure> {
        loop {
            let heard = self.hear().await?;
            if !heard[key].is_null() {
                return Ok(heard);
            }
        }
    }
}

fn report(shown: &Shown, output: Output) -> Result<(), Failure> {
    let Shown { broadcast_ms, reduce_ms, killed, process, repaired_ms, shuffle_ms } = shown;
    if output.json {
        return print_json(&json!({
            "processes": MEMBERS,
            "broadcast_ms": broadcast_ms,
            "reduce_ms": reduce_ms,
            "killed": { "member": killed, "process": process },
            "from_kill_to_sum_ms": repaired_ms,
            "shuffle_ms": shuffle_ms,
        }));
    }
    print_text(&format!(
        "broadcast of {} MB to {MEMBERS} processes      {broadcast_ms:>8.1} ms\n\
         sum of {MEMBERS} x {} MB at all                {reduce_ms:>8.1} ms\n\
         from kill -9 to the survivors' sum      {repaired_ms:>8.1} ms\n\
         shuffle of {} records              {shuffle_ms:>8.1} ms\n",
        BYTES >> 20,
        BYTES >> 20,
        grouped(RECORDS * (MEMBERS as u64 - 1)),
    ))
}
