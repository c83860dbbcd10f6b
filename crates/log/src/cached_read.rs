//! Reads that can be told not to wait for a disk.
//!
//! A lookup goes through an index and some batch headers. Mostly their pages are in the page cache and the lookup takes microseconds,
//! so an asynchronous caller wants to do it in place; but it must not block its thread when a page is not there. Within [`only`],
//! [`read_exact_at`] answers `WouldBlock` instead, and the caller goes to a thread that may wait.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

thread_local! {
    static CACHED_ONLY: Cell<bool> = const { Cell::new(false) };
}

/// Calls `lookup`; its reads fail with `WouldBlock` where they would wait for a disk.
pub(crate) fn only<T>(lookup: impl FnOnce() -> T) -> T {
    let _guard = Guard { before: CACHED_ONLY.replace(true) };
    lookup()
}

struct Guard {
    before: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        CACHED_ONLY.set(self.before);
    }
}

/// Fills `buffer` from `position` on.
///
/// # Errors
/// `WouldBlock` within [`only`] when a page is not in the page cache, `UnexpectedEof`, or what the disk reports.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    if !CACHED_ONLY.get() {
        return file.read_exact_at(buffer, position);
    }
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut [IoSliceMut::new(&mut buffer[filled..])];
        match preadv2(file, rest, position + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            // A file system that cannot tell: waiting is all that is left.
            Err(Errno::OPNOTSUPP) => return file.read_exact_at(&mut buffer[filled..], position + filled as u64),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn cached_pages_are_read_in_place_and_the_mode_ends_with_the_lookup() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut buffer = [0; 4];
        only(|| read_exact_at(&file, &mut buffer, 3)).unwrap();
        assert_eq!(&buffer, b"3456");
        let past_the_end = only(|| read_exact_at(&file, &mut buffer, 8)).unwrap_err();
        assert_eq!(past_the_end.kind(), io::ErrorKind::UnexpectedEof);
        assert!(!CACHED_ONLY.get());
    }

    #[test]
    fn a_page_that_is_not_cached_is_not_waited_for() {
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(&[7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut buffer = [0; 16];
        let outcome = only(|| read_exact_at(&file, &mut buffer, 512 * 1024));
        // A file system in memory has no other place for the page.
        assert!(outcome.is_ok() || outcome.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        read_exact_at(&file, &mut buffer, 512 * 1024).unwrap();
        assert_eq!(buffer, [7; 16]);
    }
}
