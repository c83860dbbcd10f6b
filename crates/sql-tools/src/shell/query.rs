//! Queries and `PRINT`: lines that come until the end, until a limit, or until Ctrl-C.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cell::Cell;
use super::options::Format;
use super::rows::Grid;
use super::{Done, Shell, Stop};
use crate::client::{ClientError, SqlClient};
use crate::statement::{Kind, columns};

/// Lines that wait to be printed; the server is read no further meanwhile.
const WAITING_LINES_MAX: usize = 256;
/// A query that goes on and has shown nothing for so long is worth a word.
const QUIET: Duration = Duration::from_secs(3);
/// The names of the columns are repeated on a terminal, but not more often than after so many lines.
const PAGE_LINES_MIN: usize = 10;

/// What happens while a query runs.
enum Event {
    Line(String),
    End,
    Refused(ClientError),
    Broken(io::Error),
    /// Where queries begin on this server.
    OffsetReset(Option<String>),
}

/// How a result ended.
enum Ending {
    Complete,
    Failed,
    Interrupted,
    /// At a limit of the command line.
    Enough,
}

/// What a line meant.
enum Step {
    GoOn,
    Failed,
}

/// A result so far.
struct Results {
    kind: Kind,
    id: Option<String>,
    grid: Option<Grid>,
    rows: u64,
    /// Lines since the names of the columns were last shown.
    page_lines: usize,
}

impl Shell {
    /// Runs a query, or `PRINT`, and prints what comes.
    pub(super) fn query(&mut self, statement: &str, kind: Kind) -> Done {
        let (sender, receiver) = mpsc::channel(WAITING_LINES_MAX);
        let (client, request) = (self.client.clone(), self.session.request(statement));
        let lines = sender.clone();
        std::thread::spawn(move || read(&client, &request, kind, &lines));
        let mut results = Results { kind, id: None, grid: None, rows: 0, page_lines: 0 };
        let ending = self.follow(&mut results, receiver, &sender);
        if let (Ending::Interrupted | Ending::Enough, Some(id)) = (&ending, results.id.take()) {
            let client = self.client.clone();
            self.waiting(move || client.close_query(&id));
        }
        if !matches!(ending, Ending::Failed) && self.console.format == Format::Tabular {
            self.console.line(if kind == Kind::Print { "Topic printing ceased" } else { "Query terminated" });
        }
        match ending {
            Ending::Complete => {
                self.advise(kind);
                Ok(())
            }
            Ending::Enough => Ok(()),
            Ending::Failed => Err(Stop::Failed),
            Ending::Interrupted => Err(Stop::Interrupted),
        }
    }

    fn follow(
        &mut self,
        results: &mut Results,
        mut events: mpsc::Receiver<Event>,
        sender: &mpsc::Sender<Event>,
    ) -> Ending {
        let begun = Instant::now();
        let mut quiet_at = matches!(results.kind, Kind::Query { push: true, .. }).then(|| begun + QUIET);
        loop {
            if events.is_empty() {
                self.console.flush();
            }
            let (interrupts, timeout) = (&mut self.interrupts, self.query_timeout);
            let event = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = interrupts.recv() => Err(Ending::Interrupted),
                    () = until(timeout.map(|timeout| begun + timeout)) => Err(Ending::Enough),
                    // The sender of this side keeps the channel open.
                    Some(event) = events.recv() => Ok(Some(event)),
                    () = until(quiet_at) => Ok(None),
                }
            });
            match event {
                Err(ending) => return ending,
                Ok(None) => {
                    quiet_at = None;
                    self.ask_where_queries_begin(sender);
                }
                Ok(Some(Event::OffsetReset(begin))) => {
                    if results.rows == 0 && begin.as_deref() != Some("earliest") {
                        self.console.hint(
                            "nothing has come yet. 'auto.offset.reset' is 'latest', so the query shows only what arrives \
                             from now on.\n      Ctrl-C, SET 'auto.offset.reset'='earliest'; and the same query again begin \
                             at the start of the topic.",
                        );
                    }
                }
                Ok(Some(Event::Line(line))) => {
                    if let Step::Failed = self.show(results, &line) {
                        return Ending::Failed;
                    }
                    if results.rows > 0 {
                        quiet_at = None;
                    }
                    if self.row_limit.is_some_and(|limit| results.rows >= limit) || self.console.is_closed() {
                        return Ending::Enough;
                    }
                }
                Ok(Some(Event::End)) => return Ending::Complete,
                Ok(Some(Event::Refused(error))) => {
                    self.refused(&error);
                    return Ending::Failed;
                }
                Ok(Some(Event::Broken(error))) => {
                    self.console.error(&format!("The connection to the server was lost: {error}"));
                    return Ending::Failed;
                }
            }
        }
    }

    /// The answer comes as an event, so that rows need not wait for it.
    fn ask_where_queries_begin(&self, sender: &mpsc::Sender<Event>) {
        let (client, sender) = (self.client.clone(), sender.clone());
        let known = self.session.offset_reset().map(str::to_owned);
        std::thread::spawn(move || {
            let begin = known.or_else(|| server_offset_reset(&client));
            let _ = sender.blocking_send(Event::OffsetReset(begin));
        });
    }

    /// Prints an element of a result, or a line that `PRINT` shows.
    fn show(&mut self, results: &mut Results, line: &str) -> Step {
        let Some(parsed) = line.starts_with('{').then(|| Cell::parse(line)).flatten() else {
            self.console.line(line);
            results.rows += 1;
            return Step::GoOn;
        };
        if let Some(error) = parsed.get("errorMessage").filter(|error| **error != Cell::Null) {
            let message = error.get("message").unwrap_or(error);
            self.console.error(&message.shown());
            return Step::Failed;
        }
        let is_row = parsed.get("row").is_some_and(|row| *row != Cell::Null);
        results.rows += u64::from(is_row);
        if let Some(header) = parsed.get("header") {
            results.id = header.get("queryId").and_then(Cell::as_text).map(str::to_owned);
        }
        match self.console.format {
            Format::Json => self.console.line(line),
            Format::Tabular => self.show_in_grid(results, &parsed, line),
        }
        Step::GoOn
    }

    fn show_in_grid(&mut self, results: &mut Results, element: &Cell, line: &str) {
        if let Some(header) = element.get("header") {
            let schema = header.get("schema").and_then(Cell::as_text).unwrap_or_default();
            let grid = Grid::new(columns(schema), self.console.width(), self.console.cell_width, self.console.wrap);
            self.lines(results, grid.head());
            results.page_lines = 0;
            results.grid = Some(grid);
        } else if let (Some(Cell::List(cells)), Some(grid)) =
            (element.get("row").and_then(|row| row.get("columns")), &results.grid)
        {
            let tombstone = element.get("row").and_then(|row| row.get("tombstone"));
            let row = grid.row(cells, tombstone == Some(&Cell::Plain("true".to_owned())));
            let page = self.console.size.map(|(_, lines)| lines.saturating_sub(4).max(PAGE_LINES_MIN));
            if page.is_some_and(|page| results.page_lines + row.len() > page) {
                let head = grid.head();
                self.lines(results, head);
                results.page_lines = 0;
            }
            self.lines(results, row);
        } else if let Some(words) = element.get("finalMessage").and_then(Cell::as_text) {
            self.console.line(words);
        } else if results.kind == Kind::Print {
            self.console.line(line);
        }
    }

    fn lines(&mut self, results: &mut Results, lines: Vec<String>) {
        results.page_lines += lines.len();
        for line in lines {
            self.console.line(&line);
        }
    }

    /// Explains once, to a person, why a query has ended and what decides where one begins that does not.
    fn advise(&mut self, kind: Kind) {
        let scanned = kind == Kind::Query { push: false, filtered: false };
        if !scanned || self.advised || !self.console.interactive {
            return;
        }
        self.advised = true;
        let begin = self.session.offset_reset().unwrap_or("latest unless the server is set otherwise").to_owned();
        self.console.hint(&format!(
            "without EMIT CHANGES a query shows what is there, from the start, and ends. With EMIT CHANGES it goes on,\n      \
             and 'auto.offset.reset' decides where it begins (now: {begin});\n      \
             SET 'auto.offset.reset'='earliest'; is the start of the topic."
        ));
    }
}

/// Waits until then, or for ever.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Reads a result until its end, or until nobody wants it any more.
fn read(client: &SqlClient, request: &Value, kind: Kind, sender: &mpsc::Sender<Event>) {
    let refused = match kind {
        Kind::Print => client.print(request).map(|lines| hand_on(lines, sender)),
        _ => client.query(request).map(|elements| hand_on(elements, sender)),
    };
    if let Err(error) = refused {
        let _ = sender.blocking_send(Event::Refused(error));
    }
}

fn hand_on(lines: impl Iterator<Item = io::Result<String>>, sender: &mpsc::Sender<Event>) {
    for line in lines {
        let event = line.map_or_else(Event::Broken, Event::Line);
        let is_last = matches!(event, Event::Broken(_));
        if sender.blocking_send(event).is_err() || is_last {
            return;
        }
    }
    let _ = sender.blocking_send(Event::End);
}

/// Where queries begin on this server when their session does not say.
pub(super) fn server_offset_reset(client: &SqlClient) -> Option<String> {
    let answers = client.statements(&json!({ "ksql": "SHOW PROPERTIES;", "streamsProperties": {} })).ok()?;
    let properties = answers.first()?["properties"].as_array()?;
    let named = |property: &&Value| property["name"].as_str().is_some_and(|name| name.ends_with("auto.offset.reset"));
    properties.iter().find(named)?["value"].as_str().map(str::to_owned)
}
