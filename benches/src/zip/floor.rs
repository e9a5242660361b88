//! What this machine cannot beat: the bytes that must move, over the rates at which it moves any.
//!
//! With P processes and S bytes in each, and each byte moved as seldom as the work allows:
//!
//! | work | through memory in common | through sockets |
//! |---|---|---|
//! | broadcast | S / copy: written once, read in place | (P - 1) S / stream: once into each receiver |
//! | reduce to one | P S / add: each input is read once | (P - 1) S / stream: all but one must leave their process |
//! | all-reduce | P S / add: the sum is read in place | 2 (P - 1) S / stream: and the sum must enter all but one |
//! | shuffle | P S / copy: each record is written once | (P - 1) S / stream: a P-th of the records stays where it is |
//! | exchange | (P - 1) S / copy: of those that move | (P - 1) S / stream |
//!
//! `copy` and `add` are one core's: bytes copied a second, and bytes added a second to a sum that stays in the cache.
//! `stream` is what as many TCP streams over loopback as there are pairs of cores carry together, a core at each end.
//! For 100 bytes these floors are below anything that a wake-up costs. Through sockets that of a small round is therefore
//! measured: P threads that sleep until something comes, P - 1 of which write to the first, which answers them all when it
//! has heard them all. Whatever a round is for, so many messages it takes until all know that it is over; and nothing is
//! done here but to read and write them. So is the time of a single one, from a thread that writes to one that sleeps.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use super::Error;
use super::work::Work;
use crate::first_light::figure;

/// What is copied and added: far larger than the caches.
const MEMORY: usize = 1 << 28;
/// Sums that stay in a core's own cache.
const SUMS: usize = 1 << 12;
/// What goes through a socket, and how much at a time.
const STREAM: usize = 1 << 30;
const WRITE: usize = 1 << 18;
/// Measured no fewer times: a floor that other work on the machine has raised is none.
const LEAST: u32 = 5;
/// Round trips of a small message, and small rounds.
const TRIPS: u32 = 5000;
/// A message.
const SMALL: usize = 100;

/// Bytes a second.
pub(super) struct Rates {
    copy: f64,
    add: f64,
    stream: f64,
    /// Seconds that a round takes which moves next to nothing.
    round: f64,
}

impl Rates {
    /// Measures them, the best of so many times or more, and prints them.
    pub(super) fn measure(repeat: u32, processes: usize) -> Result<Self, Error> {
        let [mut copy, mut add, mut stream, mut hop, mut round] = [f64::INFINITY; 5];
        let source = vec![1_u8; MEMORY];
        let mut target = vec![0_u8; MEMORY];
        let inputs = vec![1_i64; MEMORY / size_of::<i64>()];
        let mut sums = vec![0_i64; SUMS];
        // Pages are there before the clock starts.
        target.fill(2);
        for _ in 0..repeat.max(LEAST) {
            copy = copy.min(seconds(|| black_box(&mut target[..]).copy_from_slice(black_box(&source))));
            add = add.min(seconds(|| add_up(black_box(&inputs), black_box(&mut sums))));
            stream = stream.min(streams()?);
            hop = hop.min(hops()?);
            round = round.min(rounds(processes)?);
        }
        let pairs = pairs()?;
        let rates = Self {
            copy: MEMORY as f64 / copy,
            add: MEMORY as f64 / add,
            stream: (STREAM * pairs) as f64 / stream,
            round,
        };
        figure("memory copy, one core", format!("{:.1} GB/s", rates.copy / 1e9));
        figure("reading and adding up, one core", format!("{:.1} GB/s", rates.add / 1e9));
        figure(
            &format!("TCP over loopback, streams together: {pairs}"),
            format!("{:.1} GB/s", rates.stream / 1e9),
        );
        figure("100 B over loopback, one way, the receiver asleep", format!("{:.1} us", hop * 1e6));
        figure(
            &format!("100 B from {} threads to one, and back to each", processes.saturating_sub(1)),
            format!("{:.1} us", round * 1e6),
        );
        Ok(rates)
    }

    /// The floors of a work with so many processes and bytes in each, in seconds: through memory, through sockets.
    pub(super) fn floors(&self, work: Work, processes: usize, bytes: usize) -> (f64, f64) {
        let (all, each) = (processes as f64 * bytes as f64, bytes as f64);
        let others = all - each;
        let (memory, sockets) = match work {
            Work::Broadcast => (each / self.copy, others / self.stream),
            Work::AllReduce => (all / self.add, 2.0 * others / self.stream),
            Work::Reduce => (all / self.add, others / self.stream),
            Work::Shuffle => (all / self.copy, others / self.stream),
            Work::Exchange => (others / self.copy, others / self.stream),
            // They are measured beside what they are without a daemon.
            Work::BroadcastBorn | Work::BroadcastRead | Work::AllReduceBorn | Work::ReduceBorn => {
                self.floors(work.plain(), processes, bytes)
            }
        };
        (memory, sockets.max(self.round))
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn add_up(inputs: &[i64], sums: &mut [i64]) {
    for input in inputs.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(input) {
            *sum = sum.wrapping_add(*value);
        }
    }
}

fn pairs() -> std::io::Result<usize> {
    Ok((std::thread::available_parallelism()?.get() / 2).max(1))
}

/// Both ends of a connection over loopback.
fn connection() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    Ok((one, other))
}

/// How long the streams take for what each has to carry.
fn streams() -> Result<f64, Error> {
    let connections = (0..pairs()?).map(|_| connection()).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (mut from, mut to) in connections {
            threads.push(scope.spawn(move || {
                let data = vec![1; WRITE];
                (0..STREAM / WRITE).try_for_each(|_| from.write_all(&data))
            }));
            threads.push(scope.spawn(move || {
                let mut data = vec![0; WRITE];
                (0..STREAM / WRITE).try_for_each(|_| to.read_exact(&mut data))
            }));
        }
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| "a stream's thread panicked")?.map_err(Error::from)
        })
    })?;
    Ok(began.elapsed().as_secs_f64())
}

/// How long a small round takes.
fn rounds(processes: usize) -> Result<f64, Error> {
    let all = (1..processes).map(|_| connection()).collect::<Result<Vec<_>, _>>()?;
    let (mut here, there): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    std::thread::scope(|scope| {
        let others = there.into_iter().map(|mut stream| {
            scope.spawn(move || {
                let mut message = [0; SMALL];
                (0..TRIPS).try_for_each(|_| {
                    stream.write_all(&message)?;
                    stream.read_exact(&mut message)
                })
            })
        });
        let others: Vec<_> = others.collect();
        let mut message = [0; SMALL];
        let began = Instant::now();
        for _ in 0..TRIPS {
            here.iter_mut().try_for_each(|stream| stream.read_exact(&mut message))?;
            here.iter_mut().try_for_each(|stream| stream.write_all(&message))?;
        }
        let took = began.elapsed().as_secs_f64();
        drop(here); // Had one of them failed, the others would wait.
        for other in others {
            other.join().map_err(|_| "a thread of a round panicked")??;
        }
        Ok(took / f64::from(TRIPS))
    })
}

/// How long a small message is under way.
fn hops() -> Result<f64, Error> {
    let (mut here, mut there) = connection()?;
    std::thread::scope(|scope| {
        let echo = scope.spawn(move || {
            let mut message = [0; SMALL];
            (0..TRIPS)
                .try_for_each(|_| there.read_exact(&mut message).and_then(|()| there.write_all(&message)))
        });
        let mut message = [1; SMALL];
        let began = Instant::now();
        (0..TRIPS).try_for_each(|_| here.write_all(&message).and_then(|()| here.read_exact(&mut message)))?;
        let took = began.elapsed().as_secs_f64();
        echo.join().map_err(|_| "the echo's thread panicked")??;
        Ok(took / 2.0 / f64::from(TRIPS))
    })
}
