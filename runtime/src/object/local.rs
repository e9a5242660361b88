//! Objects as files below one folder of this machine.
//!
//! An object is written to a temporary file in the folder where it will live, flushed to the disk, moved to its name
//! in one step, and the folder is flushed too: a name leads to all the bytes of one `put` or to nothing, also after
//! a power cut. A `put` that fails removes its temporary file; one that was killed leaves it behind, under a name
//! with a dot in front, which is no key: nobody lists or reads it. A writer holds a lock on its temporary file, which
//! the kernel lets go with the process, so that whoever tidies up can tell what was left from what is being written.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{ObjectError, ObjectFault, ObjectFuture, ObjectInfo, ObjectStore, Unfinished, check_key};

/// A folder as an object store. It is created by the first `put`.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    root: PathBuf,
}

/// How a finished temporary file gets its name.
#[derive(Clone, Copy)]
enum Publish {
    Replace,
    IfAbsent,
}

impl LocalFolder {
    /// Objects are files below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs `work` on a thread that may block, with the path of `key`.
    fn blocking<'a, T, W>(&self, key: &'a str, work: W) -> ObjectFuture<'a, T>
    where
        T: Send + 'static,
        W: FnOnce(&Path) -> Result<T, ObjectFault> + Send + 'static,
    {
        let path = self.root.join(key);
        Box::pin(async move {
            let object = path.display().to_string();
            let outcome = match check_key(key) {
                Ok(()) => on_blocking_thread(move || work(&path)).await,
                Err(fault) => Err(fault),
            };
            outcome.map_err(|fault| ObjectError { object, fault })
        })
    }
}

impl ObjectStore for LocalFolder {
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        self.blocking(key, |path| Ok(Bytes::from(fs::read(path)?)))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, Bytes> {
        self.blocking(key, move |path| read_range(path, range))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.blocking(key, move |path| {
            write_atomically(path, Publish::Replace, |file| file.write_all(&bytes))
        })
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.blocking(key, move |path| {
            write_atomically(path, Publish::IfAbsent, |file| file.write_all(&bytes))
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, Vec<ObjectInfo>> {
        let root = self.root.clone();
        Box::pin(async move {
            let object = self.describe(prefix);
            let wanted = prefix.to_owned();
            on_blocking_thread(move || list(&root, &wanted))
                .await
                .map_err(|fault| ObjectError { object, fault })
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        self.blocking(key, |path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectInfo> {
        let name = key.to_owned();
        self.blocking(key, move |path| {
            let metadata = fs::metadata(path)?;
            if metadata.is_file() {
                Ok(ObjectInfo { key: name, bytes: metadata.len() })
            } else {
                Err(ObjectFault::NotFound)
            }
        })
    }

    /// A lock tells whose writer is gone: nobody else's are removed, whoever asks.
    fn remove_unfinished<'a>(&'a self, folder: &'a str, _whose: Unfinished) -> ObjectFuture<'a, ()> {
        let (path, folder) = (self.root.join(folder), folder.to_owned());
        Box::pin(async move {
            let object = path.display().to_string();
            let work = move || {
                if !folder.is_empty() {
                    check_key(&folder)?;
                }
                remove_unfinished(&path)
            };
            on_blocking_thread(work).await.map_err(|fault| ObjectError { object, fault })
        })
    }

    fn describe(&self, key: &str) -> String {
        self.root.join(key).display().to_string()
    }
}

/// Moves blocking work off the async thread.
async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectFault> + Send + 'static,
) -> Result<T, ObjectFault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        // The runtime is shutting down, or the work panicked; both end the call.
        Err(lost) => Err(ObjectFault::Other(io::Error::other(lost))),
    }
}

/// Exactly the bytes of `range`.
fn read_range(path: &Path, range: Range<u64>) -> Result<Bytes, ObjectFault> {
    let mut file = File::open(path)?;
    let found = file.metadata()?.len();
    // Checked before allocating: the range may come from a damaged directory.
    let length = match range.end.checked_sub(range.start).and_then(|length| usize::try_from(length).ok()) {
        Some(length) if range.end <= found => length,
        _ => return Err(ObjectFault::Short { asked: range, found }),
    };
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::with_capacity(length);
    let read = file.take(range.end - range.start).read_to_end(&mut bytes)?;
    if read < length {
        let found = range.start + read as u64;
        return Err(ObjectFault::Short { asked: range, found });
    }
    Ok(Bytes::from(bytes))
}

/// Writes a file that appears under its name whole or not at all.
fn write_atomically(
    path: &Path,
    publish: Publish,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), ObjectFault> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ObjectFault::BadName);
    };
    // A rename would put a file in the place of a device or a pipe; a link fails by itself.
    if matches!(publish, Publish::Replace) && fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("is not a regular file; choose another name").into());
    }
    create_folder(folder)?;
    let (mut file, temporary) = create_temporary(folder, name)?;
    let outcome = write(&mut file).and_then(|()| file.sync_all()).and_then(|()| match publish {
        Publish::Replace => fs::rename(&temporary, path),
        // Unlike a rename, a link fails when the name is taken.
        Publish::IfAbsent => fs::hard_link(&temporary, path),
    });
    if outcome.is_err() || matches!(publish, Publish::IfAbsent) {
        // After a failure the first error counts; a link leaves the temporary name behind by nature.
        let _ = fs::remove_file(&temporary);
    }
    outcome?;
    Ok(File::open(folder)?.sync_all()?)
}

/// A new temporary file for an object called `name`. It stays locked for as long as it is open.
fn create_temporary(folder: &Path, name: &OsStr) -> io::Result<(File, PathBuf)> {
    loop {
        let path = folder.join(temporary_name(name));
        let file = match File::create_new(&path) {
            // A process of the same number has left it: in a container they begin at 1 each time.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        match file.try_lock() {
            // Who tidies up has come in between, and is about to remove it or has done so.
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if file.metadata()?.nlink() == 0 => {}
            // Where files cannot be locked nobody tidies up.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok((file, path)),
        }
    }
}

/// Removes the temporary files in `folder` whose writers are no more.
fn remove_unfinished(folder: &Path) -> Result<(), ObjectFault> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Nothing was ever put here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        // Whatever has no such name, or is no plain file, is not ours.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_temporary_name(&entry.file_name()) {
            // One that has got its name meanwhile, or may not be removed, is left at that.
            let _ = remove_unlocked(&entry.path());
        }
    }
    Ok(())
}

fn remove_unlocked(path: &Path) -> io::Result<()> {
    // Some file systems lock only what may be written.
    let file = File::options().write(true).open(path)?;
    // Without a link somebody else has removed it, and what has its name by now is another file.
    if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Creates a folder and those above it, each flushed into its parent.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        },
    }
}

/// A name that no other writer of this machine uses, and that is no key.
fn temporary_name(name: &OsStr) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(".{}.{}-{unique}.partial", name.display(), std::process::id())
}

/// Whether [`temporary_name`] gives such names.
fn is_temporary_name(name: &OsStr) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let inner = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".partial"));
    let unique = inner.and_then(|inner| inner.rsplit_once('.')?.1.split_once('-'));
    unique.is_some_and(|(process, unique)| number(process) && number(unique))
}

/// All files below `root` whose key starts with `prefix`.
fn list(root: &Path, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectFault> {
    let mut found = Vec::new();
    // Only the deepest folder that the prefix names whole has to be walked.
    let start = prefix.rfind('/').map_or("", |slash| prefix.get(..slash).unwrap_or(""));
    if !start.is_empty() {
        check_key(start)?;
    }
    let mut folders = vec![start.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            // Nothing was ever put here, or it was removed during the walk.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            // What is not UTF-8 or starts with a dot is no key: not ours, or an unfinished write.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let key = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_dir() => folders.push(key),
                Ok(metadata) if metadata.is_file() && key.starts_with(prefix) => {
                    found.push(ObjectInfo { key, bytes: metadata.len() });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_half_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part/model");
        for publish in [Publish::Replace, Publish::IfAbsent] {
            let outcome = write_atomically(&path, publish, |file| {
                file.write_all(b"half of it")?;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert!(matches!(outcome, Err(ObjectFault::Full)), "{outcome:?}");
            let left: Vec<_> = fs::read_dir(folder.path().join("part")).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }

    #[test]
    fn only_what_no_writer_holds_any_more_is_tidied_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let left = temporary_name(OsStr::new("g0-train-00000.cirrus"));
        let strangers = [
            "model",
            ".hidden",
            ".partial",
            ".model.partial",
            ".model.1.partial",
            ".a.1-.partial",
            ".a.1-x.partial",
            "a.1-2.partial",
            ".a.1-2.partial~",
        ];
        for name in strangers.into_iter().chain([left.as_str()]) {
            fs::write(path(name), "half").unwrap();
        }
        fs::create_dir(path(".folder.1-2.partial")).unwrap();
        std::os::unix::fs::symlink(path("model"), path(".link.1-2.partial")).unwrap();
        let (held, held_at) = create_temporary(folder.path(), OsStr::new("b")).unwrap();
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        let before = entries();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!((entries(), path(&left).exists()), (before - 1, false));
        drop(held);
        remove_unfinished(folder.path()).unwrap();
        assert_eq!((entries(), held_at.exists()), (before - 2, false));
        remove_unfinished(&path("nothing")).unwrap();
    }

    #[test]
    fn writers_and_those_who_tidy_up_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    remove_unfinished(folder.path()).unwrap();
                }
            });
            for publish in [Publish::Replace, Publish::IfAbsent].repeat(200) {
                let path = folder.path().join("model");
                let _ = fs::remove_file(&path);
                // No panic before the other thread is told.
                let written = write_atomically(&path, publish, |file| file.write_all(b"all"));
                if !matches!(written, Ok(())) || !fs::read(&path).is_ok_and(|bytes| bytes == b"all") {
                    done.store(true, Ordering::Relaxed);
                    panic!("{written:?}");
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_that_a_dead_process_has_left_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::new("model");
        let next = temporary_name(name);
        let number: u64 = next.rsplit_once('-').unwrap().1.split_once('.').unwrap().0.parse().unwrap();
        // Other tests take numbers at the same time, so more than one may come.
        for number in number..number + 1000 {
            let taken = format!(".model.{}-{number}.partial", std::process::id());
            fs::write(folder.path().join(taken), "half").unwrap();
        }
        let path = folder.path().join(name);
        write_atomically(&path, Publish::IfAbsent, |file| file.write_all(b"all")).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"all");
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let outcome = write_atomically(&path, Publish::Replace, |file| file.write_all(b"new"));
        assert!(matches!(outcome, Err(ObjectFault::Other(_))), "{outcome:?}");
        let outcome = write_atomically(&path, Publish::IfAbsent, |file| file.write_all(b"new"));
        assert!(matches!(outcome, Err(ObjectFault::Exists)), "{outcome:?}");
        assert!(!fs::metadata(&path).unwrap().is_file());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_atomically(&path, Publish::Replace, |file| file.write_all(b"old")).unwrap();
        let outcome = write_atomically(&path, Publish::Replace, |file| {
            file.write_all(b"ne")?;
            // The kernel's own answer of a full device.
            File::options().write(true).open("/dev/full")?.write_all(b"w")
        });
        assert!(matches!(outcome, Err(ObjectFault::Full)), "{outcome:?}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
