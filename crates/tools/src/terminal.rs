//! Where a tool prints: standard output and standard error, or buffers in tests.
//!
//! Standard output is buffered; it is flushed when a tool ends and whenever it would wait.
//! A reader that goes away (`| head`) is remembered, not reported: see [`Terminal::is_closed`].

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The two streams.
pub struct Terminal {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    closed: bool,
    interactive: bool,
}

impl Terminal {
    /// The process's own streams.
    pub fn standard() -> Terminal {
        Terminal {
            out: Box::new(io::BufWriter::with_capacity(64 * 1024, io::stdout())),
            err: Box::new(io::stderr()),
            closed: false,
            interactive: io::stderr().is_terminal(),
        }
    }

    /// Streams that end in the two buffers.
    pub fn captured() -> (Terminal, Capture, Capture) {
        let (out, err) = (Capture::default(), Capture::default());
        let terminal =
            Terminal { out: Box::new(out.clone()), err: Box::new(err.clone()), closed: false, interactive: false };
        (terminal, out, err)
    }

    /// Prints `text` to standard output as it is.
    pub fn print(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Prints a line to standard output.
    pub fn line(&mut self, text: &str) {
        self.write(text.as_bytes());
        self.write(b"\n");
    }

    /// Writes bytes to standard output.
    pub fn write(&mut self, bytes: &[u8]) {
        self.closed |= self.out.write_all(bytes).is_err();
    }

    /// Prints a line to standard error, after what standard output still holds.
    pub fn error_line(&mut self, text: &str) {
        self.flush();
        let _ = writeln!(self.err, "{text}");
    }

    /// Hands standard output on to its reader.
    pub fn flush(&mut self) {
        self.closed |= self.out.flush().is_err();
    }

    /// Whether nobody reads standard output any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a person watches, so that progress is worth showing.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }
}

/// A buffer that tests read.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// What was written, as text.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
