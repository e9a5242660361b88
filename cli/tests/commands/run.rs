//! Running commands to their end, and the data that they run on.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Whatever takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// It ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It ended with this code, standard output is empty, and standard error says all of `words`, and no panic.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "a command that failed has no result");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// A signal has ended it.
    #[track_caller]
    pub(crate) fn fails_by_signal(self) {
        assert_eq!(self.code, None, "{self:?}");
    }

    /// Its result, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// A command in a folder, with nothing to read and pipes for what it says.
pub(crate) fn command<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cirrus"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `cirrus` with arguments that have no spaces in them.
pub(crate) fn cirrus(folder: &Path, line: &str) -> Ran {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    Ran::of(&command(folder, &arguments).output().expect("cirrus starts"))
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// An empty folder that goes away.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room for a folder")
}

/// Writes a file.
pub(crate) fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("there is room for a file");
    path
}

/// What a folder and those in it hold, with the files' bytes.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(&path).expect("the file can be read")));
        }
    }
    found.sort();
    found
}

/// The names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Random numbers, the same for the same seed (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// From 0 up to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }
}

/// Features of the rows that [`rows`] makes.
const FEATURES: u64 = 300;

/// LIBSVM text whose labels depend on their rows' features as logistic regression supposes. About half of the
/// features have no weight.
pub(crate) fn rows(count: usize, seed: u64) -> String {
    let mut random = Random(7);
    let weights: Vec<f64> =
        (0..FEATURES).map(|key| if key % 2 == 0 { 0.0 } else { (random.unit() - 0.5) * 4.0 }).collect();
    let mut random = Random(seed);
    let mut text = Vec::new();
    for _ in 0..count {
        let mut keys: Vec<u64> = (0..8).map(|_| random.below(FEATURES)).collect();
        keys.sort_unstable();
        keys.dedup();
        let margin: f64 = keys.iter().map(|key| weights[*key as usize]).sum::<f64>() - 0.5;
        let label = u8::from(random.unit() < 1.0 / (1.0 + (-margin).exp()));
        let features: String = keys.iter().map(|key| format!(" {}:1", key + 1)).collect();
        writeln!(text, "{label}{features}").expect("memory can be written");
    }
    String::from_utf8(text).expect("digits are UTF-8")
}

/// A folder with the dataset `rows.cirrus`: `count` rows, of which about a tenth are for testing, in small blocks.
pub(crate) fn with_dataset(count: usize) -> TempDir {
    let folder = folder();
    write(folder.path(), "rows.libsvm", rows(count, 1));
    cirrus(folder.path(), "load rows.libsvm --bits 10 --block-rows 512").ok();
    folder
}

/// How many training blocks a dataset has.
pub(crate) fn blocks(folder: &Path, dataset: &str) -> u64 {
    let found = cirrus(folder, &format!("inspect --json {dataset}")).json();
    found["train"]["blocks"].as_u64().expect("a dataset has blocks")
}
