//! Records by way of a Redis server: each worker sets values for each other one, and when all have, gets its own.
//!
//! A piece is a value, so none is longer than a quarter of a megabyte; several go in one request. A value that nobody
//! fetches goes away by itself. The server holds all records that change hands, at once.

use std::time::Duration;

use bytes::Bytes;
use redis::{Client, Connection, ConnectionInfo, Pipeline, RedisError};

use super::{Exchange, Exchanging, Moved, Pieces, whole};
use crate::sort::error::SortError;
use crate::sort::team::Team;

/// Pieces of one request.
const REQUEST_PIECES: usize = 16;
/// How long the server may take to answer one.
const ANSWER: Duration = Duration::from_secs(60);
/// How long it may take to take a call.
const DIAL: Duration = Duration::from_secs(5);
/// A value that was not fetched goes away after so many seconds.
const KEPT_SECONDS: u32 = 3600;

/// Values of a server.
#[derive(Clone, Debug)]
pub struct ByRedis {
    server: ConnectionInfo,
    prefix: String,
}

impl ByRedis {
    /// At the server of this URL, under keys that begin so.
    ///
    /// # Errors
    /// `Redis`, if that is no URL of a server. Nobody is called yet.
    pub fn new(url: &str, prefix: &str) -> Result<Self, SortError> {
        let client = Client::open(url).map_err(|error| SortError::Redis {
            // It may have a password in it.
            server: "the address that was given".to_owned(),
            reason: format!("{error}; write it as redis://HOST:PORT"),
        })?;
        Ok(Self { server: client.get_connection_info().clone(), prefix: prefix.to_owned() })
    }

    /// Whether the server is there, and answers.
    ///
    /// # Errors
    /// `Redis`.
    pub fn ping(&self) -> Result<(), SortError> {
        let answered = redis::cmd("PING").exec(&mut self.connect()?);
        answered.map_err(|error| self.failed(&error))
    }

    fn connect(&self) -> Result<Connection, SortError> {
        let failed = |error| self.failed(&error);
        let connection = Client::open(self.server.clone())
            .and_then(|client| client.get_connection_with_timeout(DIAL))
            .map_err(failed)?;
        connection.set_read_timeout(Some(ANSWER)).map_err(failed)?;
        connection.set_write_timeout(Some(ANSWER)).map_err(failed)?;
        Ok(connection)
    }

    fn failed(&self, error: &RedisError) -> SortError {
        SortError::Redis { server: self.server.addr().to_string(), reason: error.to_string() }
    }

    /// The key of the number of pieces, and in front of those of the pieces.
    fn key(&self, from: u32, to: u32) -> String {
        format!("{}:{from}:{to}", self.prefix)
    }

    fn set_all(&self, me: u32, outgoing: Pieces, moved: &Moved) -> Result<(), SortError> {
        let mut connection = self.connect()?;
        let kept = |pipeline: &mut Pipeline, key: &str, value: &[u8]| {
            pipeline.cmd("SET").arg(key).arg(value).arg("EX").arg(KEPT_SECONDS).ignore();
        };
        for (to, pieces) in (0..).zip(outgoing) {
            if to == me {
                continue;
            }
            let key = self.key(me, to);
            for (nth, some) in pieces.chunks(REQUEST_PIECES).enumerate() {
                let mut pipeline = redis::pipe();
                for (piece, at) in some.iter().zip(nth * REQUEST_PIECES..) {
                    kept(&mut pipeline, &format!("{key}:{at}"), piece);
                }
                pipeline.exec(&mut connection).map_err(|error| self.failed(&error))?;
                moved.add(some.iter().map(Bytes::len).sum());
            }
            let mut pipeline = redis::pipe();
            kept(&mut pipeline, &key, pieces.len().to_string().as_bytes());
            pipeline.exec(&mut connection).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn get_all(&self, me: u32, size: u32) -> Result<Pieces, SortError> {
        let mut connection = self.connect()?;
        let mut incoming = vec![Vec::new(); size as usize];
        for (from, pieces) in (0..).zip(&mut incoming) {
            let key = self.key(from, me);
            if from == me {
                continue;
            }
            let missing = |key: &str| SortError::Redis {
                server: self.server.addr().to_string(),
                reason: format!("it has lost {key}; see that it has memory for all records, and evicts none"),
            };
            let count = redis::cmd("GET").arg(&key).query::<Option<usize>>(&mut connection);
            let count = count.map_err(|error| self.failed(&error))?.ok_or_else(|| missing(&key))?;
            let keys: Vec<String> = (0..count).map(|at| format!("{key}:{at}")).collect();
            for keys in keys.chunks(REQUEST_PIECES) {
                let values = redis::cmd("MGET").arg(keys).query::<Vec<Option<Vec<u8>>>>(&mut connection);
                for (key, value) in keys.iter().zip(values.map_err(|error| self.failed(&error))?) {
                    pieces.push(Bytes::from(value.ok_or_else(|| missing(key))?));
                }
                let gone = redis::cmd("UNLINK").arg(keys).exec(&mut connection);
                gone.map_err(|error| self.failed(&error))?;
            }
            let gone = redis::cmd("UNLINK").arg(&key).exec(&mut connection);
            gone.map_err(|error| self.failed(&error))?;
            whole(from as usize, pieces)?;
        }
        Ok(incoming)
    }
}

impl Exchange for ByRedis {
    fn exchange<'a>(&'a self, team: &'a Team, outgoing: Pieces, moved: &'a Moved) -> Exchanging<'a> {
        Box::pin(async move {
            let (me, size) = (team.rank(), team.size());
            let (sets, moved) = (self.clone(), moved.clone());
            blocking(move || sets.set_all(me, outgoing, &moved)).await?;
            team.together().await?;
            let gets = self.clone();
            blocking(move || gets.get_all(me, size)).await
        })
    }
}

/// Waits for what blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SortError> + Send + 'static,
) -> Result<T, SortError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(lost) => Err(crate::pool::JobPanicked(lost.to_string()).into()),
    }
}
