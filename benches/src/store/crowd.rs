//! Many workers, each in its own session on its own connection, each with one round under way.

use std::time::Instant;

use super::server::{BITS, Error, FEATURES, ROWS, Server, batches, name, runtime};
use crate::first_light::command::Cirrus;
use crate::first_light::figure;

/// Rounds of all connections together.
const ROUNDS: u32 = 240_000;

pub(crate) fn measure(cirrus: &Cirrus, connections: u32) -> Result<(), Error> {
    let server = Server::start(cirrus, BITS)?;
    let runtime = runtime()?;
    let batches = batches()?;
    let each = (ROUNDS / connections.max(1)).max(1);
    let tasks = tokio::task::LocalSet::new();
    let idle = server.peak_bytes()?;
    let (mut times, seconds) = tasks.block_on(&runtime, async {
        let mut clients = Vec::new();
        for worker in 0..connections {
            clients.push(server.session(worker).await?);
        }
        let start = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        for (worker, mut client) in (0..).zip(clients) {
            let batches = batches.clone();
            running.spawn_local(async move {
                let mut times = Vec::with_capacity(each as usize);
                let batch = |number: u32| &batches[(worker * 7 + number) as usize % batches.len()];
                let (mut read, ..) =
                    client.get(batch(0).list.clone()).await.map_err(|error| error.to_string())?;
                for number in 0..each {
                    let began = Instant::now();
                    let update = batch(number).update(read).map_err(|error| error.to_string())?;
                    let next = batch(number + 1).list.clone();
                    let round = client.push_and_get(name(worker, number), ROWS, update, next).await;
                    (read, ..) = round.map_err(|error| error.to_string())?;
                    times.push(began.elapsed());
                }
                Ok::<_, String>(times)
            });
        }
        let mut times = Vec::new();
        while let Some(ended) = running.join_next().await {
            times.extend(ended??);
        }
        Ok::<_, Error>((times, start.elapsed().as_secs_f64()))
    })?;
    times.sort_unstable();
    let quantile = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e3;
    let text = format!(
        "{:.0} updates/s, p50 {:.2} ms, p99 {:.2} ms",
        times.len() as f64 / seconds,
        quantile(0.5),
        quantile(0.99)
    );
    figure(&format!("store, {connections} connections, {ROWS} rows of {FEATURES} in 2^{BITS}"), text);
    let peak = server.peak_bytes()?;
    let text = format!(
        "{:.1} MB, {:.1} MB before they came: {:.1} kB a connection",
        peak as f64 / 1e6,
        idle as f64 / 1e6,
        peak.saturating_sub(idle) as f64 / 1e3 / f64::from(connections)
    );
    figure("memory of that store", text);
    Ok(())
}
