//! What the shell prints, and where to: the terminal, and a file while one is spooled to.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use milena_tools::terminal::Terminal;

use super::options::Format;

/// Width of terminals that do not tell theirs.
const USUAL_WIDTH: usize = 80;

/// Where results go and in which form.
pub struct Console {
    terminal: Terminal,
    spool: Option<(PathBuf, File)>,
    /// Tables or JSON.
    pub format: Format,
    /// A person types: hints go where results go.
    pub interactive: bool,
    /// Columns and lines of the terminal, if it has told.
    pub size: Option<(usize, usize)>,
    /// Width of the cells of rows; `None`: the terminal's is shared out.
    pub cell_width: Option<usize>,
    /// Whether long cells go on in the next line; they are cut otherwise.
    pub wrap: bool,
}

impl Console {
    /// A console over `terminal`.
    pub fn new(terminal: Terminal, format: Format) -> Console {
        Console { terminal, spool: None, format, interactive: false, size: None, cell_width: None, wrap: true }
    }

    /// Prints a line.
    pub fn line(&mut self, text: &str) {
        self.terminal.line(text);
        self.copy_to_spool(text);
    }

    /// Prints a line about something that went wrong.
    pub fn error(&mut self, text: &str) {
        if self.interactive {
            self.line(text);
        } else {
            self.terminal.error_line(text);
            self.copy_to_spool(text);
        }
    }

    /// Prints advice. Scripts that read the output are not bothered with it.
    pub fn hint(&mut self, text: &str) {
        if self.interactive {
            self.terminal.line(&format!("Hint: {text}"));
            self.terminal.flush();
        } else {
            self.terminal.error_line(&format!("Hint: {text}"));
        }
    }

    /// Writes what a person has typed into the file that is spooled to.
    pub fn echo(&mut self, statement: &str) {
        self.copy_to_spool(&format!("ksql> {statement}"));
    }

    /// Prints bytes that only a terminal understands.
    pub fn control(&mut self, sequence: &str) {
        self.terminal.print(sequence);
        self.terminal.flush();
    }

    /// Hands everything on to the reader.
    pub fn flush(&mut self) {
        self.terminal.flush();
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.terminal.is_closed()
    }

    /// Width in characters.
    pub fn width(&self) -> usize {
        self.size.map_or(USUAL_WIDTH, |(columns, _)| columns)
    }

    /// Copies everything from now on into a file, which is made anew.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn start_spool(&mut self, path: PathBuf) -> std::io::Result<()> {
        let file = File::create(&path)?;
        self.spool = Some((path, file));
        Ok(())
    }

    /// Ends the copy; the file, if there was one.
    pub fn end_spool(&mut self) -> Option<PathBuf> {
        self.spool.take().map(|(path, _)| path)
    }

    fn copy_to_spool(&mut self, text: &str) {
        let Some((_, file)) = &mut self.spool else { return };
        if let Err(error) = writeln!(file, "{text}") {
            self.spool = None;
            self.terminal.error_line(&format!("The file that is spooled to cannot be written: {error}"));
        }
    }
}
