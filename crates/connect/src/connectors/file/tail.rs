//! Follows a file: what is appended, whether it was cut off, whether another file took its place.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::lines::Lines;

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;

/// What a look at the file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailRead {
    /// Bytes that were not seen before.
    Data,
    /// Nothing new.
    End,
    /// There is no file.
    Missing,
    /// The file was cut off or replaced; it is read from its start on.
    StartedOver,
}

/// See the module's words.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    open: Option<Open>,
    lines: Lines,
}

#[derive(Debug)]
struct Open {
    file: File,
    device_and_inode: (u64, u64),
}

impl Tail {
    /// Follows the file at `path` from byte `position` on.
    pub fn new(path: impl Into<PathBuf>, position: u64) -> Tail {
        Tail { path: path.into(), open: None, lines: Lines::starting_at(position) }
    }

    /// The file that is followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lines that were read.
    pub fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    /// Reads on. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&mut self) -> io::Result<TailRead> {
        if self.open.is_none() && !self.open()? {
            return Ok(TailRead::Missing);
        }
        let Some(open) = self.open.as_mut() else { return Ok(TailRead::Missing) };
        let count = self.lines.fill(READ_BYTES, |space| read_some(&mut open.file, space))?;
        if count > 0 {
            return Ok(TailRead::Data);
        }
        self.look_for_change()
    }

    /// Opens the file at the position that is next; one that is shorter is read from its start.
    fn open(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let wanted = self.lines.position();
        if metadata.is_file() && metadata.len() < wanted {
            tracing::warn!(
                "{} has {} bytes, fewer than the {wanted} that were read of it: it was truncated or replaced, and is read from its start",
                self.path.display(),
                metadata.len()
            );
            self.lines = Lines::default();
        } else {
            if metadata.is_file() {
                file.seek(SeekFrom::Start(wanted))?;
            }
            self.lines = Lines::starting_at(wanted);
        }
        self.open = Some(Open { device_and_inode: identity(&metadata), file });
        Ok(true)
    }

    /// At the end of the file: is it still the one, and still as long?
    fn look_for_change(&mut self) -> io::Result<TailRead> {
        let Some(open) = self.open.as_ref() else { return Ok(TailRead::Missing) };
        let read_to = self.lines.position() + self.lines.held_back() as u64;
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            // Renamed, and the new one is not there yet: the old one may still be written to.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(TailRead::End),
            Err(error) => return Err(error),
        };
        if !now.is_file() {
            return Ok(TailRead::End);
        }
        let reason = if identity(&now) != open.device_and_inode {
            // What was appended to the old file between the read and now still counts.
            if open.file.metadata()?.len() > read_to {
                return Ok(TailRead::Data);
            }
            "another file took its place"
        } else if now.len() < read_to {
            "it was truncated"
        } else {
            return Ok(TailRead::End);
        };
        tracing::warn!("{} is read from its start: {reason}", self.path.display());
        if self.lines.held_back() > 0 {
            tracing::warn!("{} bytes of a last line without an end are given up", self.lines.held_back());
        }
        (self.open, self.lines) = (None, Lines::default());
        Ok(TailRead::StartedOver)
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn read_some(file: &mut File, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    /// Everything there is to read now.
    fn lines(tail: &mut Tail) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let read = tail.read().unwrap();
            while let Some((line, _)) = tail.lines().next_line() {
                all.push(String::from_utf8(line.to_vec()).unwrap());
            }
            if matches!(read, TailRead::End | TailRead::Missing) {
                return all;
            }
        }
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn appended_lines_come_once_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut tail = Tail::new(&path, 0);
        assert_eq!(tail.read().unwrap(), TailRead::Missing);
        append(&path, "größer\nhalf");
        assert_eq!(lines(&mut tail), ["größer"]);
        let position = tail.lines().position();
        assert_eq!(position, 9);
        append(&path, " done\n");
        assert_eq!(lines(&mut tail), ["half done"]);
        assert_eq!(lines(&mut Tail::new(&path, position)), ["half done"]);
    }

    #[test]
    fn a_truncated_file_is_read_from_its_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        append(&path, "one\ntwo\n");
        let mut tail = Tail::new(&path, 0);
        assert_eq!(lines(&mut tail), ["one", "two"]);
        fs::write(&path, "3\n").unwrap();
        assert_eq!(lines(&mut tail), ["3"]);
        // The same while nobody was looking.
        assert_eq!(lines(&mut Tail::new(&path, 8)), ["3"]);
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("f"), directory.path().join("f.1"));
        append(&path, "one\n");
        let mut tail = Tail::new(&path, 0);
        assert_eq!(lines(&mut tail), ["one"]);
        fs::rename(&path, &old).unwrap();
        append(&old, "two\n");
        append(&path, "three is longer than what was there\n");
        assert_eq!(lines(&mut tail), ["two", "three is longer than what was there"]);
    }
}
