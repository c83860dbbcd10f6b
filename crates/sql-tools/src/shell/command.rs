//! Commands that the shell executes by itself. They need no `;` and are known in any case.

use std::path::PathBuf;

use super::options::Format;
use crate::statement::split;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `help`
    Help,
    /// `clear`
    Clear,
    /// `exit`, `quit`
    Exit,
    /// `history`
    History,
    /// `version`
    Version,
    /// `output`, `output JSON`
    Output(Option<Format>),
    /// `server`, `server 'url'`
    Server(Option<String>),
    /// `request-pipelining`, `request-pipelining on`
    Pipelining(Option<bool>),
    /// `set cli column-width 10`; 0 is as usual
    ColumnWidth(usize),
    /// `set cli wrap on`
    Wrap(bool),
    /// `run script 'file'`
    RunScript(PathBuf),
    /// `spool 'file'`
    Spool(PathBuf),
    /// `spool off`
    SpoolOff,
}

/// What commands do, for `help`.
pub const HELP: &[(&str, &str)] = &[
    ("clear", "Clears the screen."),
    ("exit, quit, Ctrl-D", "Leaves the shell."),
    ("help", "Shows this text."),
    ("history", "Shows what has been typed before; the arrow keys bring it back."),
    ("output [JSON|TABULAR]", "Shows or sets how results are printed."),
    ("request-pipelining [ON|OFF]", "Shows or sets whether statements go out before those ahead are done everywhere."),
    ("run script '<file>'", "Executes the statements of a file."),
    ("server ['<url>']", "Shows the server, or goes to another one."),
    ("set cli column-width <n>", "Makes the cells of rows that wide; 0 shares out the terminal."),
    ("set cli wrap ON|OFF", "Long cells go on in the next line, or are cut."),
    ("spool '<file>'|OFF", "Copies everything into a file, or ends that."),
    ("version", "Shows the server's version."),
];

/// The command that `line` is. `None`: it is something else. `Some(Err)`: a command with a mistake, in words.
pub fn parse(line: &str) -> Option<Result<Command, String>> {
    let line = line.trim();
    let line = line.strip_suffix(';').unwrap_or(line).trim_end();
    let words: Vec<String> = line.split_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        ["help" | "?", ..] => Command::Help,
        ["clear"] => Command::Clear,
        ["exit" | "quit"] => Command::Exit,
        ["history"] => Command::History,
        ["version"] => Command::Version,
        ["output"] => Command::Output(None),
        ["output", "json"] => Command::Output(Some(Format::Json)),
        ["output", "tabular"] => Command::Output(Some(Format::Tabular)),
        ["output", other] => {
            return Some(Err(format!("Invalid output format: '{other}' (valid formats: 'JSON', 'TABULAR')")));
        }
        ["server"] => Command::Server(None),
        ["server", _] => Command::Server(Some(unquoted(behind(line, 1)))),
        ["request-pipelining"] | ["request", "pipelining"] => Command::Pipelining(None),
        ["request-pipelining", switch] | ["request", "pipelining", switch] => {
            return Some(on_or_off(switch).map(|on| Command::Pipelining(Some(on))).map_err(|_| {
                format!("Invalid request-pipelining setting: {switch}. Valid options are 'ON' and 'OFF'.")
            }));
        }
        ["set", "cli", "column-width", number] => match unquoted(number).parse() {
            Ok(width) => Command::ColumnWidth(width),
            Err(_) => {
                return Some(Err(format!(
                    "Invalid column width: '{number}'. Must be a number of characters, 0 for as usual"
                )));
            }
        },
        ["set", "cli", "wrap", switch] => return Some(on_or_off(&unquoted(switch)).map(Command::Wrap)),
        ["set", "cli", ..] => {
            return Some(Err("Expected 'set cli column-width <n>' or 'set cli wrap ON|OFF'".to_owned()));
        }
        ["run", "script", _, ..] => Command::RunScript(PathBuf::from(unquoted(behind(line, 2)))),
        ["spool", "off"] => Command::SpoolOff,
        ["spool", _, ..] => Command::Spool(PathBuf::from(unquoted(behind(line, 1)))),
        ["run" | "spool", ..] => return Some(Err("A file in single quotes is missing".to_owned())),
        _ => return None,
    };
    // `history of me;` and the like have been sorted out above; a second statement makes a line no command.
    (split(line).statements.is_empty()).then_some(Ok(command))
}

fn on_or_off(switch: &str) -> Result<bool, String> {
    match switch.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("Expected ON or OFF, got '{other}'")),
    }
}

/// What follows the first `words` words.
fn behind(line: &str, words: usize) -> &str {
    (0..words)
        .fold(line, |rest, _| rest.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest))
        .trim()
}

fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_in_any_case_and_with_or_without_a_semicolon() {
        assert_eq!(parse("EXIT;"), Some(Ok(Command::Exit)));
        assert_eq!(parse("  output json"), Some(Ok(Command::Output(Some(Format::Json)))));
        assert_eq!(parse("Run Script '/tmp/My File.sql';"), Some(Ok(Command::RunScript("/tmp/My File.sql".into()))));
        assert_eq!(parse("SET CLI COLUMN-WIDTH 20"), Some(Ok(Command::ColumnWidth(20))));
        assert_eq!(parse("set cli wrap 'off'"), Some(Ok(Command::Wrap(false))));
        assert_eq!(parse("spool OFF"), Some(Ok(Command::SpoolOff)));
        assert_eq!(parse("server http://h:1"), Some(Ok(Command::Server(Some("http://h:1".to_owned())))));
    }

    #[test]
    fn statements_are_no_commands() {
        for line in ["SHOW STREAMS;", "SET 'a'='b';", "exit; SHOW STREAMS;", "", "-- help"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for line in ["output xml", "set cli wrap maybe", "set cli column-width wide", "spool", "request-pipelining yes"]
        {
            assert!(matches!(parse(line), Some(Err(_))), "{line}");
        }
    }
}
