//! Reads by ranges: a large object in pieces, several of them on their way at once, all of one state of the object.

use std::ops::Range;

use aws_sdk_s3::Client;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::super::ObjectFault;
use super::S3Folder;
use super::client::{ATTEMPTS, pause};
use super::fault::{CONDITION_FAILED, OUT_OF_RANGE, innermost, status};

/// Bytes asked for at once.
const PIECE_BYTES: u64 = 4 << 20;
/// Pieces of one object on their way at once.
const AT_ONCE: usize = 4;

/// A part of an object.
struct Piece {
    bytes: Bytes,
    /// The object's size.
    total: u64,
    /// Names the object's state.
    tag: Option<String>,
}

/// Why there is no piece.
enum Refused {
    /// The object ends before it.
    OutOfRange,
    /// The object is another one by now.
    Replaced,
    /// Anything else.
    Fault(ObjectFault),
}

impl From<Refused> for ObjectFault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::OutOfRange => Self::NotFound, // Callers ask for the size first.
            Refused::Replaced => {
                Self::Remote("it was replaced by another while it was read; read it again".to_owned())
            }
            Refused::Fault(fault) => fault,
        }
    }
}

/// What reads pieces of one object, on a task of its own if need be.
#[derive(Clone)]
struct Source {
    client: Client,
    bucket: String,
    full: String,
}

impl S3Folder {
    /// The whole object.
    pub(super) async fn read_all(&self, full: &str) -> Result<Bytes, ObjectFault> {
        let source = self.source(full).await?;
        let first = match self.piece(&source, 0..PIECE_BYTES, None).await {
            // No range of an empty object can be had.
            Err(Refused::OutOfRange) => return Ok(Bytes::new()),
            first => first?,
        };
        let total = first.total;
        self.rest(source, first, 0..total).await
    }

    /// Exactly the bytes of `range`.
    pub(super) async fn read_range(&self, full: &str, range: Range<u64>) -> Result<Bytes, ObjectFault> {
        if range.start >= range.end {
            let found = self.look(full).await?;
            let sound = range.start == range.end && range.end <= found;
            return if sound { Ok(Bytes::new()) } else { Err(ObjectFault::Short { asked: range, found }) };
        }
        let source = self.source(full).await?;
        let end = range.end.min(range.start.saturating_add(PIECE_BYTES));
        match self.piece(&source, range.start..end, None).await {
            Ok(first) if first.total < range.end => {
                Err(ObjectFault::Short { asked: range, found: first.total })
            }
            Ok(first) => self.rest(source, first, range).await,
            Err(Refused::OutOfRange) => {
                Err(ObjectFault::Short { asked: range, found: self.look(full).await? })
            }
            Err(refused) => Err(refused.into()),
        }
    }

    async fn source(&self, full: &str) -> Result<Source, ObjectFault> {
        let client = self.client().await?.clone();
        Ok(Source { client, bucket: self.bucket.clone(), full: full.to_owned() })
    }

    /// The bytes of `range`, of which the first piece is there already.
    async fn rest(&self, source: Source, first: Piece, range: Range<u64>) -> Result<Bytes, ObjectFault> {
        let length = range.end - range.start;
        if first.bytes.len() as u64 == length {
            return Ok(first.bytes);
        }
        let too_large = || ObjectFault::Remote(format!("{length} bytes are more than fit into memory"));
        let mut out = vec![0; usize::try_from(length).map_err(|_| too_large())?];
        out[..first.bytes.len()].copy_from_slice(&first.bytes);
        let begin = range.start + first.bytes.len() as u64;
        let mut starts = (begin..range.end).step_by(PIECE_BYTES as usize).peekable();
        let mut reading = JoinSet::new();
        while starts.peek().is_some() || !reading.is_empty() {
            while reading.len() < AT_ONCE
                && let Some(start) = starts.next()
            {
                let (source, tag) = (source.clone(), first.tag.clone());
                let end = range.end.min(start + PIECE_BYTES);
                reading.spawn(async move { (start, source.piece(start..end, tag).await) });
            }
            let Some(read) = reading.join_next().await else { break };
            let (start, piece) = read.map_err(|lost| ObjectFault::Other(std::io::Error::other(lost)))?;
            let piece = self.told(piece)?.bytes;
            let at = usize::try_from(start - range.start).map_err(|_| too_large())?;
            match out.get_mut(at..at + piece.len()) {
                Some(place) => place.copy_from_slice(&piece),
                None => return Err(Refused::Replaced.into()),
            }
        }
        Ok(Bytes::from(out))
    }

    async fn piece(&self, source: &Source, range: Range<u64>, tag: Option<String>) -> Result<Piece, Refused> {
        self.told(source.piece(range, tag).await)
    }

    /// Puts an answer into words.
    fn told(&self, read: Result<Piece, Failed>) -> Result<Piece, Refused> {
        read.map_err(|failed| match (failed, self.connected.get()) {
            (Failed::Request(error), Some(connected)) => match status(&error) {
                Some(OUT_OF_RANGE) => Refused::OutOfRange,
                Some(CONDITION_FAILED) => Refused::Replaced,
                _ => Refused::Fault(connected.fault(*error)),
            },
            (Failed::Request(error), None) => Refused::Fault(ObjectFault::Remote(error.to_string())),
            (Failed::Body(text), _) => Refused::Fault(ObjectFault::Remote(text)),
        })
    }
}

type GetError = aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::get_object::GetObjectError>;

/// How reading fails.
enum Failed {
    Request(Box<GetError>),
    /// What was answered is not what was asked for.
    Body(String),
}

impl Source {
    /// The bytes of `range`, or fewer if the object ends within it; of the state `tag`, if one is given.
    async fn piece(&self, range: Range<u64>, tag: Option<String>) -> Result<Piece, Failed> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt - 1)).await;
            }
            let wanted = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            let request = self.client.get_object().bucket(&self.bucket).key(&self.full).range(wanted);
            let answer = request.set_if_match(tag.clone()).send().await;
            let answer = answer.map_err(|error| Failed::Request(Box::new(error)))?;
            let Some((begin, end, total)) = answer.content_range().and_then(content_range) else {
                let text = "the server does not serve parts of objects (no Content-Range in its answer); use another";
                return Err(Failed::Body(text.to_owned()));
            };
            let tag = answer.e_tag().map(str::to_owned);
            if begin != range.start || end != range.end.min(total) {
                last = format!("bytes {begin} to {end} of {total} came for {} to {}", range.start, range.end);
                continue;
            }
            match answer.body.collect().await {
                Ok(body) => {
                    let bytes = body.into_bytes();
                    if bytes.len() as u64 == end - begin {
                        return Ok(Piece { bytes, total, tag });
                    }
                    last = format!("{} bytes came of {}", bytes.len(), end - begin);
                }
                Err(error) => last = innermost(&error),
            }
        }
        Err(Failed::Body(format!(
            "the server's answer was cut short {ATTEMPTS} times in a row (the last time: {last})"
        )))
    }
}

/// First byte, end and total of `bytes FIRST-LAST/TOTAL`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_told_with_the_size() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0, 10, 100)));
        for text in ["", "bytes */100", "bytes 0-9/*", "bytes 9", "bytes 0-18446744073709551615/1"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
