//! A proxy for HTTP that misbehaves by a seed: what happens to a request follows from the seed and the request's number.
//!
//! Of those that fail, one in four each is answered `503 SlowDown`, answered `500`, cut before the server has seen it,
//! and cut after the server has done it, which is the hard one. Of those that are truncated the answer's head is
//! passed on, and half of its body. A connection takes one request, so that requests are counted in the order in
//! which they come.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Another seed, other requests.
    pub seed: u64,
    /// How many of a thousand requests fail.
    pub failing: u64,
    /// How many of a thousand answers end early.
    pub truncated: u64,
    /// How long each request waits before it is passed on.
    pub delay: Duration,
    /// Requests whose first line contains this are answered so, and reach no server.
    pub answer: Option<Answer>,
}

/// An answer that a server might give.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// In the first line of the request.
    pub containing: &'static str,
    /// As `403 Forbidden`.
    pub status: &'static str,
    /// The name of the error.
    pub code: &'static str,
    /// A header with its line end, or nothing.
    pub header: &'static str,
}

/// What has passed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Requests.
    pub requests: u64,
    /// Of these, those that failed.
    pub failed: u64,
    /// Of these, those whose answers were cut short.
    pub truncated: u64,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    truncated: AtomicU64,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    port: u16,
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one before the server at `port` of the loopback interface.
    ///
    /// # Errors
    /// When there is no port or no thread.
    pub fn start(port: u16, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let own = listener.local_addr()?.port();
        let (counts, over) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
        let (shared, ended) = (Arc::clone(&counts), Arc::clone(&over));
        let thread = std::thread::Builder::new().name("cirrus-proxy".to_owned()).spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let counts = Arc::clone(&shared);
                // A connection that breaks is the client's to notice.
                std::thread::spawn(move || pass(client, port, faults, &counts));
            }
        })?;
        Ok(Self { port: own, counts, over, thread: Some(thread) })
    }

    /// Where it is called.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What has passed so far.
    #[must_use]
    pub fn passed(&self) -> Passed {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { requests, failed, truncated } = &*self.counts;
        Passed { requests: of(requests), failed: of(failed), truncated: of(truncated) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it up, so that it sees that it is over.
        let woken = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("port", &self.port)
            .field("passed", &self.passed())
            .finish_non_exhaustive()
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passed,
    Truncated,
    SlowDown,
    Failed,
    CutBefore,
    CutAfter,
}

fn fate(faults: Faults, number: u64) -> Fate {
    // SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    let mut state = faults.seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^= state >> 31;
    let (drawn, way) = (state % 1000, state >> 32 & 3);
    match way {
        _ if drawn >= faults.failing + faults.truncated => Fate::Passed,
        _ if drawn >= faults.failing => Fate::Truncated,
        0 => Fate::SlowDown,
        1 => Fate::Failed,
        2 => Fate::CutBefore,
        _ => Fate::CutAfter,
    }
}

fn pass(mut client: TcpStream, server: u16, faults: Faults, counts: &Counts) -> io::Result<()> {
    let (mut head, mut body) = read_head(&mut client)?;
    let number = counts.requests.fetch_add(1, Ordering::Relaxed);
    let fate = fate(faults, number);
    match fate {
        Fate::Passed => {}
        Fate::Truncated => drop(counts.truncated.fetch_add(1, Ordering::Relaxed)),
        _ => drop(counts.failed.fetch_add(1, Ordering::Relaxed)),
    }
    // A client that wants to be asked for its body is.
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    read_body(&mut client, &head, &mut body)?;
    let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    if let Some(answer) = faults.answer.filter(|answer| first.contains(answer.containing)) {
        return refuse(&mut client, answer.status, answer.code, answer.header);
    }
    std::thread::sleep(faults.delay);
    match fate {
        Fate::CutBefore => return Ok(()),
        Fate::SlowDown => return refuse(&mut client, "503 Slow Down", "SlowDown", ""),
        Fate::Failed => return refuse(&mut client, "500 Internal Server Error", "InternalError", ""),
        Fate::Passed | Fate::Truncated | Fate::CutAfter => {}
    }
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    head = for_one_request(&head);
    upstream.write_all(&head)?;
    upstream.write_all(&body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    if fate == Fate::CutAfter {
        return Ok(());
    }
    let end = end_of_head(&answer).unwrap_or(answer.len());
    let (answer_head, answer_body) = answer.split_at(end);
    let kept = if fate == Fate::Truncated { answer_body.len() / 2 } else { answer_body.len() };
    client.write_all(&for_one_request(answer_head))?;
    client.write_all(&answer_body[..kept])?;
    client.shutdown(Shutdown::Write)
}

fn refuse(client: &mut TcpStream, status: &str, code: &str, header: &str) -> io::Result<()> {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the proxy</Message></Error>");
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n{header}");
    client.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    client.shutdown(Shutdown::Write)
}

/// Up to the end of the head, and what has come of the body.
fn read_head(stream: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = end_of_head(&bytes) {
            let body = bytes.split_off(end);
            return Ok((bytes, body));
        }
        read_more(stream, &mut bytes)?;
    }
}

fn read_body(stream: &mut TcpStream, head: &[u8], body: &mut Vec<u8>) -> io::Result<()> {
    if header(head, "transfer-encoding").is_some() {
        // Chunks end with an empty one; trailers are short, and come with it.
        while !body.ends_with(b"0\r\n\r\n") {
            read_more(stream, body)?;
        }
        return Ok(());
    }
    let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        read_more(stream, body)?;
    }
    Ok(())
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 64 << 10];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            bytes.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn header(head: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let of = |line: &str| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(of)
}

/// A head that says that the connection ends with this message.
fn for_one_request(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let mut out = String::new();
    for line in text.trim_end().lines() {
        let name = line.split_once(':').map(|(name, _)| name);
        if !name.is_some_and(|name| {
            ["connection", "keep-alive", "expect"].iter().any(|not| name.eq_ignore_ascii_case(not))
        }) {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out.push_str("Connection: close\r\n\r\n");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_go_wrong_as_were_asked_for() {
        let faults = Faults { seed: 7, failing: 100, truncated: 10, ..Faults::default() };
        let count = |wanted: &[Fate]| (0..100_000).filter(|at| wanted.contains(&fate(faults, *at))).count();
        let ways = [Fate::SlowDown, Fate::Failed, Fate::CutBefore, Fate::CutAfter];
        assert!(count(&ways).abs_diff(10_000) < 300, "{}", count(&ways));
        assert!(count(&[Fate::Truncated]).abs_diff(1_000) < 150);
        assert!(ways.iter().all(|way| count(&[*way]).abs_diff(2_500) < 200));
    }

    #[test]
    fn heads_are_rewritten_line_by_line() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(for_one_request(head), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(header(head, "host").as_deref(), Some("a"));
        assert_eq!(end_of_head(head), Some(head.len()));
    }
}
