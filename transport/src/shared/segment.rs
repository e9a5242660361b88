//! Memory that processes share: an anonymous file of the system, sealed at its size, and mapped.
//!
//! It has no name. Who has it was handed a descriptor of it, and it is gone with the last process that maps it, however
//! that one ends. Its size cannot change, so that no byte of it can be cut off under anybody's eyes; a file that somebody
//! else hands over is not mapped before that is certain.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::space::HUGE;

/// Bytes of a counter.
const COUNTER: usize = size_of::<AtomicU64>();

/// A mapped segment.
#[derive(Debug)]
pub(crate) struct Segment {
    file: OwnedFd,
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread. What is read and written in it is up to the methods, which say who may.
unsafe impl Send for Segment {}
// SAFETY: as above: counters are atomics, and ranges are given out by who knows that nobody else has them.
unsafe impl Sync for Segment {}

impl Segment {
    /// A new one of so many bytes, all zero. Pages that nobody touches take no memory.
    ///
    /// # Errors
    /// The system's words: too many files are open, or it has no memory for so many pages.
    pub(crate) fn create(name: &str, bytes: u64) -> io::Result<Self> {
        let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, bytes)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Self::map(file)
    }

    /// One that another process has made.
    ///
    /// # Errors
    /// `InvalidData`: its size is not sealed. What the system says when it cannot be mapped.
    pub(crate) fn map(file: OwnedFd) -> io::Result<Self> {
        let sealed = fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        if !sealed {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "shared memory whose size is not sealed"));
        }
        let bytes = usize::try_from(fstat(&file)?.st_size).map_err(io::Error::other)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the system chooses changes no memory of this process.
        let at = unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, &file, 0) }?;
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("a mapping at address zero"))?;
        let segment = Self { file, at, bytes };
        if bytes as u64 > HUGE {
            // SAFETY: it is this mapping, whole, and the advice changes no byte of it. A system without huge pages for
            // shared memory refuses, and nothing is lost.
            let _ = unsafe { madvise(segment.at.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
        }
        Ok(segment)
    }

    /// To be handed to another process.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// Where in the segment these bytes lie, if they do.
    pub(crate) fn offset_of(&self, bytes: &[u8]) -> Option<u64> {
        let begin = bytes.as_ptr().addr().checked_sub(self.at.as_ptr().addr())?;
        (begin.checked_add(bytes.len())? <= self.bytes).then_some(begin as u64)
    }

    /// Where a range of it lies in this process, if it has one.
    fn range(&self, begin: u64, bytes: u64) -> Option<(NonNull<u8>, usize)> {
        let (begin, bytes) = (usize::try_from(begin).ok()?, usize::try_from(bytes).ok()?);
        if begin.checked_add(bytes)? > self.bytes {
            return None;
        }
        // SAFETY: `begin` is within the mapping, or one past its end, by the line above.
        Some((unsafe { self.at.add(begin) }, bytes))
    }

    /// Bytes of a slab, to be read; none if there are no such.
    ///
    /// # Safety
    /// Whoever calls holds the slab in which they lie for as long as the slice lives, and nobody writes to it any more.
    pub(crate) unsafe fn slice(&self, begin: u64, bytes: u64) -> &[u8] {
        match self.range(begin, bytes) {
            // SAFETY: the range is mapped as long as `self` lives, every byte has a value, and by the caller's word nobody
            // writes to it.
            Some((at, bytes)) => unsafe { std::slice::from_raw_parts(at.as_ptr(), bytes) },
            None => &[],
        }
    }

    /// Bytes of a slab, to be written; none if there are no such.
    ///
    /// # Safety
    /// Whoever calls has leased the slab in which they lie, has told nobody of it, and makes no other slice of it while
    /// this one lives.
    #[expect(clippy::mut_from_ref, reason = "who has leased a slab is the only one who may have it")]
    pub(crate) unsafe fn slice_mut(&self, begin: u64, bytes: u64) -> &mut [u8] {
        match self.range(begin, bytes) {
            // SAFETY: the range is mapped as long as `self` lives, every byte has a value, and by the caller's word nobody
            // else has it.
            Some((at, bytes)) => unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), bytes) },
            None => &mut [],
        }
    }

    /// A counter, if there are so many. A segment has counters or slabs, and never both.
    pub(crate) fn counter(&self, number: u32) -> Option<&AtomicU64> {
        let begin = u64::from(number) * COUNTER as u64;
        let (at, _) = self.range(begin, COUNTER as u64)?;
        // SAFETY: the range is mapped as long as `self` lives; a mapping begins at a page, so the counter is aligned; any
        // eight bytes are one; and it is only ever used as an atomic, by this process and the other one.
        Some(unsafe { at.cast::<AtomicU64>().as_ref() })
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: it is this mapping, whole, and whatever reads from it holds a handle to this segment.
        let unmapped = unsafe { munmap(self.at.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping that the system does not know: {unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_mapping_writes_another_one_reads() {
        let segment = Segment::create("test", 1 << 20).unwrap();
        let other = Segment::map(segment.file().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!((segment.bytes(), other.bytes()), (1 << 20, 1 << 20));
        // SAFETY: nobody else knows of this segment, and the slices are used one after the other.
        let (written, read) = unsafe { (segment.slice_mut(4096, 5), other.slice(4096, 5)) };
        written.copy_from_slice(b"hello");
        assert_eq!(read, b"hello");
        assert_eq!(other.offset_of(read), Some(4096));
        assert_eq!(other.offset_of(b"elsewhere"), None);
        segment.counter(7).unwrap().store(9, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(other.counter(7).unwrap().load(std::sync::atomic::Ordering::Relaxed), 9);
    }

    #[test]
    fn nothing_is_beyond_the_end() {
        let segment = Segment::create("test", 1 << 16).unwrap();
        for (begin, bytes) in [(1 << 16, 1), ((1 << 16) - 1, 2), (u64::MAX, 1), (0, u64::MAX)] {
            // SAFETY: nobody else knows of this segment.
            assert!(unsafe { segment.slice(begin, bytes) }.is_empty(), "{bytes} bytes at {begin}");
        }
        assert!(segment.counter((1 << 13) - 1).is_some() && segment.counter(1 << 13).is_none());
        assert!(segment.counter(u32::MAX).is_none());
    }

    #[test]
    fn a_size_stays_and_what_could_change_is_not_mapped() {
        let segment = Segment::create("test", 1 << 16).unwrap();
        assert!(ftruncate(segment.file(), 1 << 12).is_err() && ftruncate(segment.file(), 1 << 20).is_err());
        let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, 1 << 16).unwrap();
        assert_eq!(Segment::map(file).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let ordinary = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Segment::map(ordinary.into()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
