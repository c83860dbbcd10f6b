//! The line that a person types into, its history, and what the terminal tells about itself.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Editor, Helper};

const PROMPT: &str = "ksql> ";
const CONTINUATION: &str = "> ";
/// Entries that the history keeps.
const HISTORY_MAX: usize = 1000;
/// Names the file of the history instead of the usual one.
const HISTORY_VARIABLE: &str = "KSQL_HISTORY_FILE";
const HISTORY_FILE: &str = ".ksql_history";

/// What came from the keyboard.
pub enum Line {
    /// A line, or several that were pasted or brought back.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D.
    End,
}

/// The line editor.
pub struct Prompt {
    editor: Editor<Mask, FileHistory>,
    path: Option<PathBuf>,
}

impl Prompt {
    /// With the history of earlier sessions.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub fn new() -> io::Result<Prompt> {
        let config = Config::builder().max_history_size(HISTORY_MAX).map_err(io::Error::other)?.build();
        let mut editor = Editor::with_config(config).map_err(io::Error::other)?;
        let path = std::env::var_os(HISTORY_VARIABLE)
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(HISTORY_FILE)));
        if let Some(path) = &path {
            // The first session has no history.
            let _ = editor.load_history(path);
        }
        Ok(Prompt { editor, path })
    }

    /// Reads a line: the first of a statement, or one that goes on with it.
    pub fn read(&mut self, first: bool) -> Line {
        match self.editor.readline(if first { PROMPT } else { CONTINUATION }) {
            Ok(text) => Line::Text(text),
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(_) => Line::End,
        }
    }

    /// Keeps `text` for the arrow keys and for later sessions.
    pub fn remember(&mut self, text: &str) {
        let added = self.editor.add_history_entry(text).unwrap_or_default();
        if let Some(path) = self.path.as_ref().filter(|_| added) {
            // A history that cannot be kept is no reason to stop.
            let _ = self.editor.append_history(path);
        }
    }

    /// What was typed in earlier sessions.
    pub fn history(&self) -> Vec<String> {
        self.editor.history().iter().cloned().collect()
    }

    /// Columns and lines of the terminal.
    pub fn size(&mut self) -> Option<(usize, usize)> {
        size_of(&mut self.editor)
    }
}

fn size_of(editor: &mut Editor<Mask, FileHistory>) -> Option<(usize, usize)> {
    let (columns, lines) = editor.dimensions()?;
    Some((usize::from(columns), usize::from(lines)))
}

/// Columns and lines of the terminal that is printed to; without one, `COLUMNS` of the environment.
pub fn terminal_size() -> Option<(usize, usize)> {
    if io::stdout().is_terminal() {
        let mut editor = Editor::new().ok()?;
        return size_of(&mut editor);
    }
    let columns = std::env::var("COLUMNS").ok()?.parse().ok()?;
    Some((columns, usize::MAX))
}

/// Asks for a password without showing it.
///
/// # Errors
/// There is nobody to answer.
pub fn password() -> io::Result<String> {
    let config = Config::builder().color_mode(ColorMode::Forced).build();
    let mut editor: Editor<Mask, FileHistory> = Editor::with_config(config).map_err(io::Error::other)?;
    editor.set_helper(Some(Mask));
    editor.readline("Enter password: ").map_err(io::Error::other)
}

/// Shows a star for each character.
struct Mask;

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned("*".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        true
    }
}

impl Completer for Mask {
    type Candidate = String;
}

impl Hinter for Mask {
    type Hint = String;
}

impl Validator for Mask {}

impl Helper for Mask {}
