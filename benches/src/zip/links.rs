//! Large values among machines whose links are slow: what a tree over real links costs.
//!
//! Each machine is a network namespace with one shaped link (see [`network`](super::network)). The time of a round is
//! compared with that of the bytes over one link. On a tree with fan-out 2 an inner link has to carry the value twice, so
//! 2.0 is the least; what is above is what waiting for pieces, headers and acknowledgements cost. Machines with daemons
//! become a chain when the controller has seen that this pays: rounds are measured from then on, and those before it are
//! counted. The link's bandwidth is the nominal one; what one stream really carries over it is measured beside it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

use cirrus_core::ids::FanOut;
use tokio::runtime::Builder;

use super::network::Network;
use super::processes::Watch;
use super::{DAEMON_VARIABLE, Error, Member, Options, TOKEN, controller_at, daemon, slowest};
use crate::first_light::figure;

/// What one stream carries while a link is measured, in bytes, and how much at a time.
const STREAM: usize = 50_000_000;
const WRITE: usize = 256 << 10;
/// Rounds of which the time is taken.
const ROUNDS: u32 = 1;
/// Rounds before that, where there may be a chain.
const TRIALS: u32 = 3;

/// Measures all of it and prints it.
pub(super) fn run(options: &Options, watch: &Watch) -> Result<(), Error> {
    let (machines, large) = (options.machines, options.large.next_multiple_of(8));
    println!(
        "{} cores; {machines} machines{}, links of {} Mbit/s each way, {} processes on each; {} MB, fan-out {}",
        std::thread::available_parallelism()?,
        if options.daemon { " with a daemon each" } else { "" },
        options.megabits,
        options.lambdas,
        large / 1_000_000,
        options.fan_out,
    );
    let network = Network::make(machines, options.megabits, watch)?;
    let nominal = f64::from(options.megabits) * 1e6 / 8.0;
    let mut stream = 0_f64;
    for _ in 0..options.repeat.max(1) {
        watch.check()?;
        stream = stream.max(one_stream(&network)?);
    }
    figure(
        "one TCP stream from machine to machine",
        format!("{:.1} MB/s of {:.1} nominal", stream / 1e6, nominal / 1e6),
    );
    let (address, _controller) = host(&network, FanOut(options.fan_out))?;
    let mut team = Team::start(options, &network, &address, watch)?;
    for (order, what) in [
        ("root-broadcast", "broadcast from the tree's root"),
        ("broadcast", "broadcast from another member"),
        ("reduce", "reduce for one"),
    ] {
        // A reign's first rounds say what a chain would bring, and the next ones whether it does.
        for _ in 0..if options.daemon { TRIALS } else { 0 } {
            watch.check()?;
            let seconds = slowest(&mut team.members, order, large, ROUNDS)?;
            figure(&format!("{what}, before"), format!("{seconds:.2} s"));
        }
        let mut best = Round { seconds: f64::INFINITY, moved: Vec::new() };
        for _ in 0..options.repeat.max(1) {
            watch.check()?;
            let round = Round::measure(&network, &mut team, order, large)?;
            if round.seconds < best.seconds {
                best = round;
            }
        }
        let Round { seconds, moved } = best;
        let ratio = seconds / (large as f64 / nominal);
        let real = seconds / (large as f64 / stream);
        figure(
            what,
            format!("{seconds:.2} s: {ratio:.2}x size/bandwidth ({real:.2}x of what a stream carries)"),
        );
        let share = |way: usize| {
            let times = moved.iter().map(|bytes| format!("{:.2}", bytes[way] as f64 / large as f64));
            times.collect::<Vec<_>>().join(" ")
        };
        figure("  times the value entered each machine", share(0));
        figure("  times it left", share(1));
    }
    Ok(())
}

/// A round that was measured.
struct Round {
    seconds: f64,
    /// Bytes that entered and left each machine.
    moved: Vec<[u64; 2]>,
}

impl Round {
    fn measure(network: &Network, team: &mut Team, order: &str, large: usize) -> Result<Self, Error> {
        let before = network.counters()?;
        let seconds = slowest(&mut team.members, order, large, ROUNDS)?;
        let moved = network.counters()?.into_iter().zip(before);
        let moved = moved.map(|(now, before)| [now[0] - before[0], now[1] - before[1]]).collect();
        Ok(Self { seconds, moved })
    }
}

/// The processes, and the daemons of their machines; killed if they do not end by themselves.
struct Team {
    members: Vec<Member>,
    daemons: Vec<daemon::Running>,
}

impl Team {
    /// So many on each machine, which have joined.
    fn start(options: &Options, network: &Network, controller: &str, watch: &Watch) -> Result<Self, Error> {
        let (machines, lambdas) = (options.machines, options.lambdas as usize);
        let program = std::env::current_exe()?;
        let mut daemons = Vec::new();
        if options.daemon {
            let bytes = (lambdas + 8) * options.large / 4 * 5 + (64 << 20);
            for nth in 1..=machines {
                let command = network.command(nth, &program);
                let daemon = daemon::Running::spawn(command, controller, TOKEN, bytes, nth)?;
                watch.admit(&daemon.child)?;
                daemons.push(daemon);
            }
        }
        let mut team = Self { members: Vec::new(), daemons };
        for nth in (1..=machines).flat_map(|nth| std::iter::repeat_n(nth, lambdas)) {
            let mut command = network.command(nth, &program);
            if let Some(daemon) = team.daemons.get(nth - 1) {
                command.env(DAEMON_VARIABLE, &daemon.socket);
            }
            let member = Member::spawn(command, controller, machines * lambdas)?;
            watch.admit(&member.child)?;
            team.members.push(member);
        }
        for member in &mut team.members {
            member.hear()?;
        }
        Ok(team)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

/// A controller on the switch, where no link is shaped; where it listens. It lives as long as the sender.
fn host(network: &Network, fan_out: FanOut) -> Result<(String, tokio::sync::oneshot::Sender<()>), Error> {
    let listen = format!("{}:0", network.switch());
    let (found, find) = mpsc::channel();
    let (alive, ended) = tokio::sync::oneshot::channel::<()>();
    let serve = move || -> Result<(), Error> {
        Network::enter(0)?;
        Builder::new_current_thread().enable_all().build()?.block_on(async {
            let controller = controller_at(&listen, fan_out).await?;
            found.send(Ok(controller.address().to_owned()))?;
            tokio::select! { () = controller.run() => (), _ = ended => () }
            Ok(())
        })
    };
    let thread = std::thread::spawn(serve);
    match find.recv() {
        Ok(address) => address.map(|address| (address, alive)),
        Err(_) => Err(match thread.join() {
            Ok(ended) => ended.err().unwrap_or_else(|| "the controller ended early".into()),
            Err(_) => "the controller's thread panicked".into(),
        }),
    }
}

/// Bytes a second from the first machine to the second.
fn one_stream(network: &Network) -> Result<f64, Error> {
    let (to, (ready, listens)) = (network.address(2), mpsc::channel());
    std::thread::scope(|scope| {
        let receiver = scope.spawn(move || -> Result<(), Error> {
            Network::enter(2)?;
            let listener = TcpListener::bind((to, 0))?;
            ready.send(listener.local_addr()?)?;
            let (mut stream, _) = listener.accept()?;
            let mut data = vec![0; WRITE];
            let mut left = STREAM;
            while left > 0 {
                match stream.read(&mut data)? {
                    0 => return Err("the stream ended early".into()),
                    read => left -= read,
                }
            }
            stream.write_all(&[1])?;
            Ok(())
        });
        let sender = scope.spawn(move || -> Result<f64, Error> {
            Network::enter(1)?;
            let mut stream = TcpStream::connect(listens.recv()?)?;
            let data = vec![1; WRITE];
            let began = Instant::now();
            for at in (0..STREAM).step_by(WRITE) {
                stream.write_all(&data[..WRITE.min(STREAM - at)])?;
            }
            stream.read_exact(&mut [0])?;
            Ok(STREAM as f64 / began.elapsed().as_secs_f64())
        });
        let panicked = |_| "a stream's thread panicked";
        let (sent, received) = (sender.join().map_err(panicked)?, receiver.join().map_err(panicked)?);
        received?;
        sent
    })
}
