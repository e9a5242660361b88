//! One worker: at a window of 1 the next round waits for both answers, at a window of 4 four rounds are under way.

use std::collections::VecDeque;
use std::time::Instant;

use cirrus_core::ids::CallId;
use cirrus_protocol::frame::{self, Frame};
use cirrus_protocol::store::{StoreReply, StoreRequest};
use cirrus_runtime::store::StoreClient;
use cirrus_transport::tcp::Tcp;

use super::server::{BITS, Batch, Error, FEATURES, ROWS, Server, batches, name, runtime};
use crate::first_light::command::Cirrus;
use crate::first_light::figure;

const ROUNDS: u32 = 50_000;
/// Of the original, on the same work: a request and an answer of 8 bytes a nonzero each.
const ORIGINAL_BYTES: f64 = 12_000.0;

pub(crate) fn measure(cirrus: &Cirrus, repeat: u32) -> Result<(), Error> {
    let server = Server::start(cirrus, BITS)?;
    runtime()?.block_on(async {
        let client = server.session(0).await?;
        let mut bench = Bench { client, batches: batches()?, name: 0, bytes: 0 };
        for window in [1, 4, 16] {
            let (mut best_rate, mut best_median, mut bytes) = (0f64, f64::INFINITY, 0.0);
            for _ in 0..repeat.max(1) {
                bench.bytes = 0;
                let (rate, median) = bench.rounds(window).await?;
                best_rate = best_rate.max(rate);
                best_median = best_median.min(median);
                bytes = bench.bytes as f64 / f64::from(ROUNDS);
            }
            let text = format!("{best_rate:.0} updates/s, median round {best_median:.1} us");
            figure(&format!("store, {ROWS} rows of {FEATURES} in 2^{BITS}, window {window}"), text);
            if window == 1 {
                let text = format!("{bytes:.0}, {:.2} times the original's", bytes / ORIGINAL_BYTES);
                figure("bytes an update, both ways", text);
            }
        }
        Ok(())
    })
}

struct Bench {
    client: StoreClient<Tcp>,
    batches: Vec<Batch>,
    name: u32,
    /// On the wire, both ways.
    bytes: usize,
}

impl Bench {
    /// Rounds with `window` of them under way; rounds a second, and the median time of one in microseconds.
    async fn rounds(&mut self, window: u32) -> Result<(f64, f64), Error> {
        let mut begun = VecDeque::new();
        let mut times = Vec::with_capacity(ROUNDS as usize);
        for number in 0..window {
            begun.push_back(self.read(number)?);
        }
        self.client.flush().await?;
        let start = Instant::now();
        let mut sent = window;
        while times.len() < ROUNDS as usize {
            let reply = self.client.receive().await?;
            self.bytes += frame_bytes(reply.clone().into_frame());
            let StoreReply::Values { call, cells, .. } = reply else { continue };
            let Some((expected, number, at)) = begun.pop_front() else {
                return Err("nothing was asked".into());
            };
            assert_eq!(
                (call, cells.len()),
                (expected, self.batch(number).keys.len() * 8),
                "answers come in order"
            );
            times.push(at.elapsed());
            self.push(call, number)?;
            begun.push_back(self.read(sent)?);
            sent = sent.wrapping_add(1);
            self.client.flush().await?;
        }
        let seconds = start.elapsed().as_secs_f64();
        // What is still under way is let go of.
        while !begun.is_empty() {
            if matches!(self.client.receive().await?, StoreReply::Values { .. }) {
                begun.pop_front();
            }
        }
        times.sort_unstable();
        Ok((times.len() as f64 / seconds, times[times.len() / 2].as_secs_f64() * 1e6))
    }

    fn batch(&self, number: u32) -> &Batch {
        &self.batches[number as usize % self.batches.len()]
    }

    fn read(&mut self, number: u32) -> Result<(CallId, u32, Instant), Error> {
        let (call, epoch) = (self.client.next_call(), self.client.epoch());
        let keys = self.batch(number).list.clone();
        self.send(StoreRequest::Read { call, epoch, keys })?;
        Ok((call, number, Instant::now()))
    }

    fn push(&mut self, read: CallId, number: u32) -> Result<(), Error> {
        let (call, epoch) = (self.client.next_call(), self.client.epoch());
        let update = self.batch(number).update(read)?;
        self.name += 1;
        self.send(StoreRequest::Push { call, epoch, name: name(0, self.name), rows: ROWS, update })
    }

    fn send(&mut self, request: StoreRequest) -> Result<(), Error> {
        self.bytes += frame_bytes(request.clone().into_frame());
        Ok(self.client.send(request)?)
    }
}

fn frame_bytes(frame: Frame) -> usize {
    frame::HEADER_BYTES + frame.body.len() + frame.trailer().map_or(0, |trailer| trailer.len())
}
