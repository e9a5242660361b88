//! A process of the channels that are measured.

use std::hint::black_box;
use std::io::Write;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use cirrus_core::channel::Role;
use cirrus_protocol::handshake::Credential;
use cirrus_runtime::zip::{
    BroadcastChannel, Channel, Completeness, HandledChannel, HandlerChannel, ONLY_JOB, Payload,
    ReduceChannel, Settings, ShuffleChannel, Zip, ZipError, operator,
};
use cirrus_transport::auth;
use cirrus_transport::tcp::Tcp;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::runtime::Builder;

type Error = Box<dyn std::error::Error>;

/// Where the controller listens.
pub(super) const CONTROLLER: &str = "CIRRUS_BENCH_CONTROLLER";
/// Its token.
pub(super) const TOKEN: &str = "CIRRUS_BENCH_TOKEN";
/// How many processes there are.
pub(super) const MEMBERS: &str = "CIRRUS_BENCH_MEMBERS";

/// Set if the members live on the application's runtime.
pub(super) const EMBEDDED: &str = "CIRRUS_BENCH_EMBEDDED";

/// Bytes of a piece where there is a daemon: pieces are described there, so that fewer are better.
const PIECE: usize = 2 << 20;
/// Bytes of a page.
const PAGE: usize = 4096;

struct Seats {
    news: BroadcastChannel,
    sums: ReduceChannel,
    records: ShuffleChannel,
    /// Sums for one.
    totals: Totals,
    /// Here members are killed.
    fragile: ReduceChannel,
    members: u32,
    /// This one broadcasts.
    sends: bool,
    /// This one is the root of its tree, and broadcasts when that shall.
    reigns: bool,
}

/// A seat in the channel whose results are for one.
enum Totals {
    Give(HandledChannel),
    Handle(HandlerChannel),
}

/// Does what it is told until there is nothing more.
pub(crate) fn run() -> Result<(), Error> {
    Builder::new_current_thread().enable_all().build()?.block_on(obey())
}

/// What lives on this runtime goes on while there is no order.
async fn obey() -> Result<(), Error> {
    let seats = join().await?;
    println!("ready");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = orders.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, bytes, times] = words[..] else { return Err("not an order".into()) };
        let (bytes, times) = (bytes.parse()?, times.parse()?);
        if what == "survive" {
            println!("{}", seats.survive(bytes, times).await?);
        } else {
            println!("{}", seats.measure(what, bytes, times).await?);
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

async fn join() -> Result<Seats, Error> {
    let count: u32 = std::env::var(MEMBERS)?.parse()?;
    let members = count as usize;
    let zip = connect(&std::env::var(CONTROLLER)?, &std::env::var(TOKEN)?).await?;
    let mut settings = Settings::from_environment();
    if settings.daemon.is_some() {
        settings.piece_bytes = PIECE;
    }
    let zip = zip.with(settings);
    let news = zip.broadcast("news").await?;
    let sums = zip.reduce("sums", operator::sum::<i64>(), Completeness::Strict).await?;
    let records = zip.shuffle("records", Role::Both).await?;
    // The first who comes.
    let sum = operator::sum::<i64>;
    let totals = match zip.handle("totals", sum(), Completeness::Strict).await {
        Ok(seat) => Totals::Handle(seat),
        Err(ZipError::NotAdmitted { .. }) => {
            Totals::Give(zip.give("totals", sum(), Completeness::Strict).await?)
        }
        Err(error) => return Err(error.into()),
    };
    let fragile = zip.reduce("fragile", operator::sum::<i64>(), Completeness::Survivors).await?;
    sums.gathered(members).await?;
    fragile.gathered(members).await?;
    match &totals {
        Totals::Give(seat) => _ = seat.gathered(members).await?,
        Totals::Handle(seat) => _ = seat.gathered(members).await?,
    }
    records.gathered(members).await?;
    let all = news.gathered(members).await?;
    // Nobody has left, so the first still sits where it sat down.
    let [reigns, sends] = [all.first(), all.last()].map(|one| one == Some(&news.member()));
    Ok(Seats { news, sums, records, totals, fragile, members: count, sends, reigns })
}

async fn connect(controller: &str, token: &str) -> Result<Zip, ZipError> {
    if std::env::var_os(EMBEDDED).is_none() {
        return Zip::connect(controller, token).await;
    }
    let credential = Credential { job: ONLY_JOB, token: auth::digest(token) };
    Zip::over(Tcp::default(), controller, credential, "127.0.0.1:0", Settings::default()).await
}

impl Seats {
    /// Adds up with the others, one round after the other, until there are no more of them than so many; answers when that
    /// round had ended, in nanoseconds since 1970. Says when it has begun.
    async fn survive(&self, bytes: usize, members: u32) -> Result<u128, Error> {
        let data = Bytes::from(vec![1; bytes.next_multiple_of(8)]);
        let mut said = false;
        loop {
            let sum = self.fragile.all_reduce(data.clone()).await?;
            if sum.members <= members {
                return Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos());
            }
            if !said {
                println!("under way");
                said = true;
            }
        }
    }

    /// A reduce for one.
    async fn reduce(&self, data: Bytes) -> Result<(), Error> {
        match &self.totals {
            Totals::Give(seat) => _ = seat.reduce(data).await?,
            Totals::Handle(seat) => _ = tokio::try_join!(seat.reduce(data), seat.result())?,
        }
        Ok(())
    }

    async fn measure(&self, what: &str, bytes: usize, times: u32) -> Result<f64, Error> {
        let (what, way) = what.split_once(':').unwrap_or((what, ""));
        let bytes = bytes.next_multiple_of(8);
        let data = match (what, way) {
            ("broadcast", "born") if self.sends => born(&self.news, bytes).await?,
            ("all-reduce", "born") => born(&self.sums, bytes).await?,
            ("reduce", "born") => match &self.totals {
                Totals::Give(seat) => born(seat, bytes).await?,
                Totals::Handle(seat) => born(seat, bytes).await?,
            },
            _ => Bytes::from(vec![1; bytes]),
        };
        // Parts are handed over without being copied: a copy of this is none of theirs.
        let parts = if what == "exchange" { partition(&data, self.members) } else { Vec::new() };
        self.sums.barrier().await?;
        let started = Instant::now();
        for _ in 0..times {
            match what {
                "broadcast" if self.sends => _ = self.news.send(data.clone()).await?,
                "root-broadcast" if self.reigns => _ = self.news.send(data.clone()).await?,
                "broadcast" if way == "read" => read(&self.news.receive().await?.payload),
                "broadcast" | "root-broadcast" => _ = self.news.receive().await?,
                "all-reduce" => _ = self.sums.all_reduce(data.clone()).await?,
                "reduce" => self.reduce(data.clone()).await?,
                "barrier" => _ = self.sums.barrier().await?,
                "shuffle" => {
                    let data = data.clone();
                    let numbers = move |receivers: u32| partition(&data, receivers);
                    self.records.shuffle(numbers).await?;
                }
                "exchange" => {
                    let parts = parts.clone();
                    self.records.shuffle(|_| parts).await?;
                }
                other => return Err(format!("{other}: not an order").into()),
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

/// A value that lies where all processes of this machine can read it.
async fn born(channel: &Channel, bytes: usize) -> Result<Bytes, Error> {
    let mut array = channel.array(bytes).await;
    if !array.is_shared() {
        return Err("there is no room in the daemon's memory".into());
    }
    array.fill(1);
    Ok(array.into())
}

/// Reads from every page.
fn read(payload: &Payload) {
    let pages = payload.pieces().iter().flat_map(|piece| piece.iter().step_by(PAGE));
    black_box(pages.fold(0_u8, |all, byte| all ^ byte));
}

/// Integers by their hash.
fn partition(numbers: &[u8], receivers: u32) -> Vec<Vec<Bytes>> {
    let each = numbers.len() / receivers as usize + numbers.len() / 64;
    let mut all = vec![Vec::with_capacity(each); receivers as usize];
    for (nth, number) in (0_u64..).zip(numbers.chunks_exact(8)) {
        let hash = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        all[(hash % u64::from(receivers)) as usize].extend_from_slice(number);
    }
    all.into_iter().map(|numbers| vec![numbers.into()]).collect()
}
