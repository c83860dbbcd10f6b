//! A copy of the command topic in a file: what the topic has told is known although it is lost, and can be put back.
//!
//! ```text
//!   directory/backup_<topic>_<milliseconds>:      "stream/`A`/create":{"statement":"CREATE STREAM a ...", ...}
//! ```
//!
//! One line a command, in the order of the topic: the key, a colon, the value, both as they are in the topic. A topic that
//! does not begin with what the file has is not the one that the server knew.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use milena_sql::parser;
use milena_stdx::{Clock as _, SystemClock};
use serde::de::IgnoredAny;

use super::record::{Command, TERMINATE_CLUSTER};

/// A record of the command topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// A JSON text, the name of the command.
    pub key: Vec<u8>,
    /// A JSON object with the statement.
    pub value: Vec<u8>,
}

impl BackedUp {
    fn line(&self) -> Vec<u8> {
        [&self.key, &b":"[..], &self.value].concat()
    }

    fn of_line(line: &[u8]) -> Option<BackedUp> {
        let mut keys = serde_json::Deserializer::from_slice(line).into_iter::<String>();
        keys.next()?.ok()?;
        let (key, rest) = line.split_at_checked(keys.byte_offset())?;
        let value = rest.strip_prefix(b":")?;
        let is_json = serde_json::from_slice::<IgnoredAny>(value).is_ok();
        is_json.then(|| BackedUp { key: key.to_vec(), value: value.to_vec() })
    }

    fn statement(&self) -> Option<String> {
        serde_json::from_slice::<Command>(&self.value).ok().map(|command| command.statement)
    }

    /// Whether it ends the service, which nobody wants to be restored.
    pub fn ends_service(&self) -> bool {
        self.statement().is_some_and(|statement| statement == TERMINATE_CLUSTER)
    }

    /// Whether servers of this version can execute it, as far as that is known without those before it.
    pub fn is_compatible(&self) -> bool {
        let is_one = |statement: String| parser::parse(&statement).is_ok_and(|statements| statements.len() == 1);
        self.statement().is_some_and(is_one)
    }
}

/// The commands of a backup.
///
/// # Errors
/// A file that cannot be read, or a line that is none of a backup ([`io::ErrorKind::InvalidData`]). The last line may be
/// incomplete: a server was killed that wrote it.
pub fn read(path: &Path) -> io::Result<Vec<BackedUp>> {
    let bytes = std::fs::read(path)?;
    let lines = whole_lines(&bytes).split_inclusive(|byte| *byte == b'\n').enumerate();
    let command = |(index, line): (usize, &[u8])| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        BackedUp::of_line(line).ok_or_else(|| {
            let words = format!("line {} is not a command with its name", index + 1);
            io::Error::new(io::ErrorKind::InvalidData, words)
        })
    };
    lines.map(command).collect()
}

/// The bytes up to the last end of a line.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}

/// The backup that a server writes while it reads its command topic from the beginning.
pub struct Backup {
    directory: PathBuf,
    prefix: String,
    file: File,
    /// What the topic has to tell next.
    expected: VecDeque<BackedUp>,
    /// Something could not be written: no more is until the next start, which writes what is missing.
    has_failed: bool,
}

impl Backup {
    /// Goes on with the newest backup of `topic` in `directory`, or starts the first one.
    ///
    /// # Errors
    /// A directory or file that cannot be used.
    pub fn open(directory: &Path, topic: &str) -> io::Result<Backup> {
        std::fs::create_dir_all(directory)?;
        let prefix = format!("backup_{topic}_");
        let newest = newest(directory, &prefix)?.unwrap_or_else(|| SystemClock.now_ms());
        let path = directory.join(format!("{prefix}{newest}"));
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let expected = read(&path)?.into();
        file.set_len(whole_lines(&std::fs::read(&path)?).len() as u64)?;
        Ok(Backup { directory: directory.to_owned(), prefix, file, expected, has_failed: false })
    }

    /// Whether the topic has told less than the backup knows.
    pub fn knows_more(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Takes the next record of the topic. `false`: there was another in its place when the backup was written.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> bool {
        let told = BackedUp { key: key.to_vec(), value: value.to_vec() };
        if let Some(expected) = self.expected.pop_front() {
            return expected == told;
        }
        let line = told.line();
        // What is no command ends the reading of the topic; a restored topic shall not.
        let is_command = !line.contains(&b'\n') && BackedUp::of_line(&line).as_ref() == Some(&told);
        if is_command && !self.has_failed {
            let written = self.file.write_all(&[&line[..], b"\n"].concat()).and_then(|()| self.file.sync_data());
            if let Err(error) = written {
                tracing::error!("ksql.metastore.backup.location: commands are not backed up any more: {error}");
                self.has_failed = true;
            }
        }
        true
    }

    /// Starts a file of its own for what comes: the service was ended, and its topic with it.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn start_over(&mut self) -> io::Result<()> {
        let path = self.directory.join(format!("{}{}", self.prefix, SystemClock.now_ms()));
        self.file = OpenOptions::new().create(true).append(true).open(path)?;
        self.expected.clear();
        Ok(())
    }
}

/// The time in the name of the newest backup.
fn newest(directory: &Path, prefix: &str) -> io::Result<Option<i64>> {
    let mut newest = None;
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<i64>().ok());
        newest = newest.max(time);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"\"stream/`A:B`/create\"";
    const VALUE: &[u8] =
        b"{\"statement\":\"CREATE STREAM `A:B` (n INT) WITH (kafka_topic='a', value_format='JSON');\"}";

    #[test]
    fn what_was_backed_up_has_to_come_again() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Backup::open(directory.path(), "t").unwrap();
        let mut first = open();
        assert!(!first.knows_more() && first.take(KEY, VALUE) && first.take(b"\"b\"", b"{}"));
        let mut second = open();
        assert!(second.knows_more() && second.take(KEY, VALUE) && second.knows_more());
        assert!(second.take(b"\"b\"", b"{}") && !second.knows_more() && second.take(b"\"c\"", b"{}"));
        let mut third = open();
        assert!(third.take(KEY, VALUE) && !third.take(b"\"b\"", b"[]"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn lines_are_commands_with_their_names_and_the_last_may_be_half_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut backup = Backup::open(directory.path(), "t").unwrap();
        assert!(backup.take(KEY, VALUE) && backup.take(b"no JSON", b"{}"));
        let path = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"\"c\":{\"stat");
        std::fs::write(&path, text).unwrap();
        let commands = read(&path).unwrap();
        assert_eq!(commands, [BackedUp { key: KEY.to_vec(), value: VALUE.to_vec() }]);
        assert!(commands[0].is_compatible());
        assert!(!BackedUp { value: b"{\"statement\":\"MAKE TEA;\"}".to_vec(), ..commands[0].clone() }.is_compatible());
        assert!(Backup::open(directory.path(), "t").unwrap().take(KEY, VALUE));
        assert!(std::fs::read(&path).unwrap().ends_with(b"}\n"));
        std::fs::write(&path, "a line\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn a_service_that_was_ended_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("backup_t_5"), [KEY, b":", VALUE, b"\n"].concat()).unwrap();
        std::fs::write(directory.path().join("backup_t_4"), "an older one\n").unwrap();
        let mut backup = Backup::open(directory.path(), "t").unwrap();
        assert!(backup.knows_more());
        backup.start_over().unwrap();
        assert!(!backup.knows_more());
        assert!(!Backup::open(directory.path(), "t").unwrap().knows_more());
    }
}
