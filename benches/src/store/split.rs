//! One model on two servers: every minibatch goes to both, each half of the keys to the server that holds it.

use std::time::Instant;

use super::server::{BITS, Batch, Error, ROWS, Server, batches, name, runtime};
use crate::first_light::command::Cirrus;
use crate::first_light::figure;

const ROUNDS: u32 = 20_000;

pub(crate) fn measure(cirrus: &Cirrus, repeat: u32) -> Result<(), Error> {
    let whole = batches()?.into_iter().map(|batch| vec![batch]).collect();
    let halves: Result<Vec<_>, Error> = batches()?.into_iter().map(halves).collect();
    let one = best(cirrus, whole, repeat)?;
    let two = best(cirrus, halves?, repeat)?;
    let text = format!("{two:.0} updates/s, with one {one:.0}: {:.2} times", two / one);
    figure("store, two servers, window 1", text);
    Ok(())
}

/// The keys below the middle, and those above it as the second server counts them.
fn halves(batch: Batch) -> Result<Vec<Batch>, Error> {
    let middle = 1 << (BITS - 1);
    let (low, high): (Vec<u32>, Vec<u32>) = batch.keys.iter().partition(|key| **key < middle);
    Ok(vec![Batch::of(low)?, Batch::of(high.into_iter().map(|key| key - middle).collect())?])
}

/// The most updates a second of a few runs; each minibatch has one part a server.
fn best(cirrus: &Cirrus, batches: Vec<Vec<Batch>>, repeat: u32) -> Result<f64, Error> {
    let parts = batches.first().map_or(0, Vec::len);
    let bits = if parts == 1 { BITS } else { BITS - 1 };
    let servers = (0..parts).map(|_| Server::start(cirrus, bits)).collect::<Result<Vec<_>, _>>()?;
    runtime()?.block_on(async {
        let mut clients = Vec::new();
        for server in &servers {
            clients.push(server.session(0).await?);
        }
        let mut number = 0;
        let mut best = 0f64;
        for _ in 0..repeat.max(1) {
            let mut reads = Vec::new();
            for (client, part) in clients.iter_mut().zip(&batches[0]) {
                reads.push(client.get(part.list.clone()).await?.0);
            }
            let mut before = &batches[0];
            let start = Instant::now();
            for _ in 0..ROUNDS {
                number += 1;
                let next = &batches[number as usize % batches.len()];
                let parts = clients.iter_mut().zip(before).zip(next).zip(&reads);
                let rounds = parts.map(|(((client, part), next), read)| async move {
                    let update = part.update(*read)?;
                    let round = client.push_and_get(name(0, number), ROWS, update, next.list.clone());
                    Ok::<_, Error>(round.await?.0)
                });
                reads = both(rounds.collect()).await?;
                before = next;
            }
            best = best.max(f64::from(ROUNDS) / start.elapsed().as_secs_f64());
        }
        Ok(best)
    })
}

/// All answers of one or two rounds that are under way together.
async fn both<T>(mut rounds: Vec<impl Future<Output = Result<T, Error>>>) -> Result<Vec<T>, Error> {
    let (second, first) = (rounds.pop(), rounds.pop());
    match (first, second) {
        (Some(first), Some(second)) => {
            let (first, second) = tokio::join!(first, second);
            Ok(vec![first?, second?])
        }
        (None, Some(only)) => Ok(vec![only.await?]),
        _ => Ok(Vec::new()),
    }
}
