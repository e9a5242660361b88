//! `cirrus zip member`: one process of the demo. It does what it is told, line by line, and says what came of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use cirrus_core::channel::{Missing, Role};
use cirrus_core::ids::MemberId;
use cirrus_runtime::fleet::launcher::{PARENT_VARIABLE, SLOT_VARIABLE, die_with_parent};
use cirrus_runtime::zip::error::in_words;
use cirrus_runtime::zip::{
    BroadcastChannel, Completeness, Operator, Recording, ReduceChannel, Settings, ShuffleChannel, Zip,
    operator,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::command::controller::TOKEN_VARIABLE;
use crate::command::{print_text, process};
use crate::failure::{Failure, with};

/// How many there are.
pub(super) const MEMBERS: usize = 8;
/// Bytes of the broadcast, and of each value of a reduce.
pub(super) const BYTES: usize = 8 << 20;
/// Records that each process gives to a shuffle.
pub(super) const RECORDS: u64 = 100_000;

/// The environment's word for where the controller listens.
pub(super) const CONTROLLER_VARIABLE: &str = "CIRRUS_CONTROLLER";
/// The environment's word for where it records what happens to it, if it does.
pub(super) const TRACE_VARIABLE: &str = "CIRRUS_TRACE";

/// Its seats.
struct Seats {
    number: u64,
    news: BroadcastChannel,
    sums: ReduceChannel,
    /// The next sum comes to a halt half-way.
    halts: Arc<AtomicBool>,
    records: ShuffleChannel,
    /// Who sends the broadcast: the last who has joined, so that all others are in it.
    sender: Option<MemberId>,
}

pub(super) fn run() -> Result<(), Failure> {
    let variable = |name| std::env::var(name).map_err(|_| Failure::Failed(by_hand()));
    let number = |name| variable(name)?.parse().map_err(|_| Failure::Failed(by_hand()));
    die_with_parent(number(PARENT_VARIABLE)?)?;
    let (slot, controller, token) =
        (number(SLOT_VARIABLE)?, variable(CONTROLLER_VARIABLE)?, variable(TOKEN_VARIABLE)?);
    let recording = std::env::var_os(TRACE_VARIABLE).map(|file| Recording::create(PathBuf::from(file)));
    let recording = recording.transpose()?;
    process::runtime()?.block_on(async {
        let seats = join(slot.into(), &controller, &token, recording.clone()).await?;
        let member = seats.sums.member();
        let MemberId { stamp, .. } = member;
        say(&json!({ "joined": in_words(member), "stamp": [stamp.epoch.0, stamp.serial] }))?;
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await.map_err(with("standard input"))? {
            match line.as_str() {
                "broadcast" => seats.broadcast().await?,
                "reduce" => seats.reduce().await?,
                "reduce half" => {
                    seats.halts.store(true, Ordering::Relaxed);
                    seats.reduce().await?;
                }
                "shuffle" => seats.shuffle().await?,
                "leave" => return seats.leave().await,
                other => return Err(Failure::Failed(format!("{other}: {}", by_hand()))),
            }
        }
        Ok(())
    })?;
    Ok(recording.map_or(Ok(()), |recording| recording.check())?)
}

fn by_hand() -> String {
    "this is a process of `cirrus zip demo`, not to be started by hand".to_owned()
}

/// Says one thing, on a line of its own.
fn say(what: &Value) -> Result<(), Failure> {
    print_text(&format!("{what}\n"))
}

async fn join(
    number: u64,
    controller: &str,
    token: &str,
    recording: Option<Recording>,
) -> Result<Seats, Failure> {
    let zip =
        Zip::connect(controller, token).await?.with(Settings { recording, ..Settings::from_environment() });
    let halts = Arc::new(AtomicBool::new(false));
    let sum = Halting { sum: operator::sum::<i64>(), halts: halts.clone(), combined: AtomicUsize::new(0) };
    let sums = zip.reduce("sums", sum, Completeness::Survivors).await?;
    let news = zip.broadcast("news").await?;
    let records = zip.shuffle("records", Role::Both).await?;
    sums.gathered(MEMBERS).await?;
    records.gathered(MEMBERS).await?;
    let sender = news.gathered(MEMBERS).await?.last().copied();
    Ok(Seats { number, news, sums, halts, records, sender })
}

/// Adds up. If it is told to, it comes to a halt half-way, for this process to be killed there.
struct Halting<O> {
    sum: O,
    halts: Arc<AtomicBool>,
    /// Bytes since then.
    combined: AtomicUsize,
}

impl<O: Operator> Operator for Halting<O> {
    fn element_bytes(&self) -> Option<usize> {
        self.sum.element_bytes()
    }

    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes> {
        if self.halts.load(Ordering::Relaxed) {
            let bytes = pieces.first().map_or(0, Bytes::len);
            if self.combined.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES / 2 {
                say(&json!({ "half": true })).ok()?;
                loop {
                    std::thread::park();
                }
            }
        }
        self.sum.combine(pieces)
    }
}

/// What the broadcast says: any byte can be told from its neighbours.
fn text() -> Vec<u8> {
    (0..BYTES).map(|at| (at % 251) as u8).collect()
}

/// A process's value: its number plus one, times one for the first place, two for the second, and so on.
fn value(factor: u64) -> Vec<u8> {
    (0..BYTES as u64 / 8).flat_map(|at| (factor * (at + 1)).to_le_bytes()).collect()
}

fn missing(missing: &Missing) -> Vec<String> {
    missing.departed.iter().chain(&missing.late).map(|member| in_words(*member)).collect()
}

impl Seats {
    async fn broadcast(&self) -> Result<(), Failure> {
        let text = text();
        say(&json!({ "ready": true }))?;
        if self.sender == Some(self.news.member()) {
            self.news.send(text).await?;
            say(&json!({ "came": true }))?;
            return say(&json!({ "right": true }));
        }
        let delivery = self.news.receive().await?;
        say(&json!({ "came": true }))?;
        let right = Some(delivery.from) == self.sender && delivery.payload.into_bytes() == text;
        say(&json!({ "right": right }))
    }

    async fn reduce(&self) -> Result<(), Failure> {
        let own = value(self.number + 1);
        say(&json!({ "ready": true }))?;
        let reduced = self.sums.all_reduce(own).await?;
        say(&json!({ "came": true }))?;
        let all = reduced.value.into_bytes();
        let sum = all.first_chunk().copied().map_or(0, u64::from_le_bytes);
        // The first number says how many are in it; the others must agree.
        let right = all == value(sum);
        say(
            &json!({ "right": right, "sum": sum, "missing": missing(&reduced.missing), "unnamed": reduced.missing.more }),
        )
    }

    async fn shuffle(&self) -> Result<(), Failure> {
        let number = self.number;
        say(&json!({ "ready": true }))?;
        let shuffled = self.records.shuffle(move |receivers| records(number, receivers)).await?;
        say(&json!({ "came": true }))?;
        let pieces = shuffled.received.iter().flat_map(|(_, piece)| piece.chunks_exact(8));
        let numbers = pieces.filter_map(|bytes| bytes.first_chunk().copied().map(u64::from_le_bytes));
        let (mut count, mut sum) = (0_u64, 0_u64);
        numbers.for_each(|number| (count, sum) = (count + 1, sum.wrapping_add(number)));
        let lost = shuffled.lost_senders.len() + shuffled.lost_receivers.len();
        say(&json!({ "right": lost == 0, "records": count, "sum": sum }))
    }

    async fn leave(&self) -> Result<(), Failure> {
        self.news.leave().await?;
        self.records.leave().await?;
        self.sums.leave().await?;
        Ok(())
    }
}

/// The records of a process, for so many receivers: which is for whom is said by its hash.
fn records(number: u64, receivers: u32) -> Vec<Vec<Bytes>> {
    let mut all = vec![Vec::new(); receivers as usize];
    for record in of_process(number) {
        let hash = record.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        all[(hash % u64::from(receivers)) as usize].extend_from_slice(&record.to_le_bytes());
    }
    all.into_iter().map(|records| vec![records.into()]).collect()
}

/// The records of a process: no two have the same.
pub(super) fn of_process(number: u64) -> impl Iterator<Item = u64> {
    number * RECORDS..(number + 1) * RECORDS
}
