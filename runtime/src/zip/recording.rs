//! Recordings: all that happens to the machines of a process, as it happens, in a file that `verify replay` plays again.
//!
//! A line is written before the effects that it tells of are carried out, and straight to the system: whoever is killed
//! leaves everything but its last line whole. What can no longer be written ends the recording, not the process: it is
//! said in the log, and by [`Recording::check`]. What is recorded is said by `cirrus_protocol::recording`; payloads and
//! tokens are not.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cirrus_core::directory::{self, Directory, Token};
use cirrus_core::machine::Machine;
use cirrus_protocol::recording::{Fingerprint, Header, Made, VERSION, seal};
use cirrus_protocol::zip::Address;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::driver::Observe;

/// The recording of a process, being made. Clones write to the same.
#[derive(Clone, Debug)]
pub struct Recording(Arc<Tape>);

/// Why there is no recording, or no whole one.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot record: {source}; {}", path.display(), remedy(source))]
pub struct RecordingError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AlreadyExists => "a recording is not written over: name another file",
        io::ErrorKind::NotFound => "make its folder first",
        _ => "look at the disk and at whose the folder is",
    }
}

#[derive(Debug)]
struct Tape {
    path: PathBuf,
    began: Instant,
    end: Mutex<End>,
}

/// Where the recording goes on.
#[derive(Debug)]
struct End {
    file: File,
    sum: u32,
    machines: u32,
    /// Why nothing is written any more.
    failed: Option<io::Error>,
}

impl Recording {
    /// Begins a recording in a file of its own.
    ///
    /// # Errors
    /// [`RecordingError`], also where the file is there already.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, RecordingError> {
        let path = path.into();
        let began = (Instant::now(), SystemTime::now());
        let file = File::create_new(&path);
        let end = |file| Mutex::new(End { file, sum: 0, machines: 0, failed: None });
        let file = file.map_err(|source| RecordingError { path: path.clone(), source })?;
        let recording = Self(Arc::new(Tape { path, began: began.0, end: end(file) }));
        let unix = began.1.duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            format: VERSION,
            cirrus: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        };
        let mut line = b"{\"us\":0,\"recording\":".to_vec();
        write(&mut line, &header);
        recording.0.append(&mut line);
        recording.check().map(|()| recording)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether all that has happened is in it.
    ///
    /// # Errors
    /// [`RecordingError`], once something could not be written.
    pub fn check(&self) -> Result<(), RecordingError> {
        match &self.0.lock().failed {
            None => Ok(()),
            Some(error) => {
                let source = io::Error::new(error.kind(), error.to_string());
                Err(RecordingError { path: self.0.path.clone(), source })
            }
        }
    }

    /// A machine begins; what hears its steps.
    pub(super) fn machine<M>(&self, made: &Made) -> Box<dyn Observe<M>>
    where
        M: Machine<Event: Serialize, Effect: Serialize>,
    {
        Box::new(self.begins(made))
    }

    /// A directory begins; what hears its steps, and keeps its tokens secret.
    pub(super) fn directory(&self, config: &directory::Config) -> Box<dyn Observe<Directory<Address>>> {
        Box::new(Masked { track: self.begins(&Made::Directory(config.clone())), tokens: Vec::new() })
    }

    fn begins(&self, made: &Made) -> Track {
        let mut end = self.0.lock();
        end.machines += 1;
        let number = end.machines;
        drop(end);
        let us = self.0.us();
        let mut line = format!("{{\"us\":{us},\"machine\":{number},\"made\":").into_bytes();
        write(&mut line, made);
        self.0.append(&mut line);
        Track { tape: Arc::clone(&self.0), number, line }
    }
}

impl Tape {
    fn lock(&self) -> std::sync::MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Writes a line that was begun, if all before it were written.
    fn append(&self, line: &mut Vec<u8>) {
        let mut end = self.lock();
        if end.failed.is_some() {
            return;
        }
        end.sum = seal(end.sum, line);
        if let Err(error) = end.file.write_all(line) {
            tracing::error!(
                "{}: the recording ends here, what happens goes on: {error}",
                self.path.display()
            );
            end.failed = Some(error);
        }
    }
}

/// Where the steps of one machine go.
#[derive(Debug)]
struct Track {
    tape: Arc<Tape>,
    number: u32,
    /// The step under way, as far as it is known.
    line: Vec<u8>,
}

impl Track {
    fn begin(&mut self, event: &impl Serialize) {
        let (us, number) = (self.tape.us(), self.number);
        self.line.clear();
        self.line.extend_from_slice(format!("{{\"us\":{us},\"machine\":{number},\"event\":").as_bytes());
        write(&mut self.line, event);
    }

    fn end(&mut self, effects: &[impl Serialize]) {
        self.line.extend_from_slice(b",\"effects\":");
        write(&mut self.line, &effects);
        self.tape.append(&mut self.line);
    }
}

impl<M> Observe<M> for Track
where
    M: Machine<Event: Serialize, Effect: Serialize>,
{
    fn event(&mut self, event: &M::Event) {
        self.begin(event);
    }

    fn answered(&mut self, _: &M, effects: &[M::Effect]) {
        self.end(effects);
    }
}

/// The steps of a directory: what it holds of a token would open its channels to whoever reads the recording.
#[derive(Debug)]
struct Masked {
    track: Track,
    /// By the number that each is recorded as.
    tokens: Vec<Token>,
}

impl Masked {
    fn mask(&mut self, token: &mut Token) {
        let known = self.tokens.iter().position(|it| it == token);
        let place = known.unwrap_or_else(|| {
            self.tokens.push(*token);
            self.tokens.len() - 1
        });
        *token = Token::default();
        for (to, from) in token.0.iter_mut().zip((place as u64 + 1).to_le_bytes()) {
            *to = from;
        }
    }
}

impl Observe<Directory<Address>> for Masked {
    fn event(&mut self, event: &directory::Event<Address>) {
        use directory::Event;
        let mut event = event.clone();
        match &mut event {
            Event::Open { token, .. } => self.mask(token),
            Event::Join(join) => self.mask(&mut join.credential.token),
            Event::Again(again) => self.mask(&mut again.credential.token),
            Event::From { credential, .. } => self.mask(&mut credential.token),
            Event::Started { .. } | Event::Persisted(_) | Event::PersistFailed(_) => {}
            Event::Close { .. } | Event::Suspected { .. } | Event::Disconnected { .. } => {}
            Event::Expiring { .. } | Event::Reshape { .. } | Event::Timer { .. } => {}
            Event::WindowEnds(_) => {}
        }
        self.track.begin(&event);
    }

    fn answered(&mut self, _: &Directory<Address>, effects: &[directory::Effect<Address>]) {
        self.track.end(effects);
    }
}

/// JSON, but that bytes are written as their fingerprint.
struct Fingerprints(CompactFormatter);

impl Formatter for Fingerprints {
    fn write_byte_array<W: ?Sized + Write>(&mut self, writer: &mut W, value: &[u8]) -> io::Result<()> {
        write!(writer, "\"{}\"", Fingerprint::of(value))
    }
}

/// Appends a value to a line.
fn write(line: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let mut to = serde_json::Serializer::with_formatter(&mut *line, Fingerprints(CompactFormatter));
    if let Err(error) = value.serialize(&mut to) {
        // There is no map of other keys than text in what machines say. If there were, no replay would take it for whole.
        tracing::error!("a recording lacks something: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_ends_the_recording_and_is_named() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let end = Mutex::new(End { file, sum: 0, machines: 0, failed: None });
        let recording = Recording(Arc::new(Tape { path, began: Instant::now(), end }));
        recording.check().unwrap();
        for _ in 0..2 {
            recording.0.append(&mut b"{\"us\":0".to_vec());
            let error = recording.check().unwrap_err().to_string();
            assert!(error.contains("/dev/full") && error.contains("look at the disk"), "{error}");
        }
        assert_eq!(recording.0.lock().sum, seal(0, &mut b"{\"us\":0".to_vec()), "nothing follows");
    }
}
