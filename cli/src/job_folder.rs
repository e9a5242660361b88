//! The hidden folder where a job's store keeps its snapshots.
//!
//! A job that ends, however, removes its folder. One that is killed cannot, and its store is killed with it: the next
//! job at the same place does it. Which folders were left is told by locks: a job holds one on its folder, and the
//! kernel lets go of it with the process. A process id would not do: by now it may be another's, and a folder may be
//! shared by containers or machines that number their processes alike. Where folders cannot be locked, none is removed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::{Builder, TempDir};

const PREFIX: &str = ".cirrus-job-";
/// How many random letters and digits follow.
const RANDOM: usize = 8;

/// A folder that goes when it is dropped. Until then it is locked.
#[derive(Debug)]
pub(crate) struct JobFolder {
    // Dropped in this order: it is locked until it is gone.
    folder: TempDir,
    _lock: File,
}

impl JobFolder {
    /// Makes a folder, and removes those in the same place that dead jobs have left.
    pub(crate) fn create_in(place: &Path) -> io::Result<Self> {
        remove_left(place);
        loop {
            let folder = Builder::new().prefix(PREFIX).rand_bytes(RANDOM).tempdir_in(place)?;
            // Until it is locked another job may take it for one that was left: then this one makes another.
            let lock = match File::open(folder.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Ok(()) if !folder.path().exists() => {}
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Self { folder, _lock: lock }),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of jobs that are dead. One that cannot be removed stays; no job depends on it.
fn remove_left(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_ours = entry.file_name().to_str().is_some_and(is_job_folder);
        if is_folder
            && is_ours
            && let Ok(lock) = File::open(entry.path())
            && lock.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_job_folder(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    random.is_some_and(|text| text.len() == RANDOM && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_no_job_holds_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let running = JobFolder::create_in(place.path()).unwrap();
        assert!(running.path().file_name().and_then(|name| name.to_str()).is_some_and(is_job_folder));
        let left = place.path().join(".cirrus-job-a1B2c3D4");
        fs::create_dir_all(left.join("store")).unwrap();
        fs::write(left.join("store/snapshot-0000000001"), "cells").unwrap();
        let strangers =
            [".cirrus-job-", ".cirrus-job-of-mine", "cirrus-job-a1B2c3D4", ".cirrus-job-a1B2c3D4e"];
        for name in strangers {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        fs::write(place.path().join(".cirrus-job-aaaaaaaa"), "a file").unwrap();
        std::os::unix::fs::symlink(place.path(), place.path().join(".cirrus-job-bbbbbbbb")).unwrap();

        let another = JobFolder::create_in(place.path()).unwrap();
        assert!(!left.exists() && running.path().exists());
        // Beside the strangers, the file and the link there are the two that are held.
        let entries = || fs::read_dir(place.path()).unwrap().count();
        assert_eq!(entries(), strangers.len() + 2 + 2);
        drop((running, another));
        assert_eq!(entries(), strangers.len() + 2);
    }

    #[test]
    fn jobs_that_start_together_keep_their_folders() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let folder = JobFolder::create_in(place.path()).unwrap();
                        fs::write(folder.path().join("epoch"), "1").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
