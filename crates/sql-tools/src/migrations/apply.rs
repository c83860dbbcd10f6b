//! Which files are due, applying them, and telling about them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest as _, Md5};

use super::metadata::{Event, History, Metadata, NONE, State};
use super::project::{Migration, Project};
use super::{ApplyArguments, Failure, Result};
use crate::session::Session;
use crate::statement::{Kind, split};
use crate::table::Table;

/// What begins statements that only read: migrations change something.
const READING: [&str; 6] = ["DESCRIBE", "EXPLAIN", "LIST", "PRINT", "SELECT", "SHOW"];
/// What stands where there is nothing.
const NOT_AVAILABLE: &str = "N/A";

/// `apply`
pub fn apply(project: &Project, metadata: &Metadata, arguments: &ApplyArguments) -> Result<()> {
    if arguments.dry_run {
        println!("This is a dry run. No ksqlDB statements will be submitted to the ksqlDB server.");
    }
    println!("Validating current migration state before applying new migrations");
    let history = metadata.read()?;
    if let Some(running) = history.current().filter(|current| current.state == State::Running) {
        return Err(Failure::words(format!(
            "Migration version {} is running, or was when its tool ended; it must be over before another one begins",
            running.version
        )));
    }
    validate(project, &history)?;
    println!("Loading migration files");
    let due = due(project.migrations()?, &history, arguments)?;
    if due.is_empty() {
        println!("No eligible migrations found.");
        return Ok(());
    }
    println!("{} migration file(s) loaded.", due.len());
    let mut previous = history.migrated();
    for migration in &due {
        let text = migration.text()?;
        println!("Applying migration version {}: {}", migration.version, migration.name);
        println!("{} contents:\n{text}", migration.path.display());
        if !arguments.dry_run {
            apply_one(metadata, migration, &text, previous, &arguments.define)?;
            println!("Successfully migrated");
        }
        previous = Some(migration.version);
    }
    if arguments.dry_run {
        println!("Dry run complete. No migrations were actually applied.");
    }
    Ok(())
}

/// The files behind the version that was applied last, as far as they are wanted.
fn due(files: Vec<Migration>, history: &History, arguments: &ApplyArguments) -> Result<Vec<Migration>> {
    let applied = history.migrated().unwrap_or_default();
    if let Some(wanted) = arguments.version {
        if !files.iter().any(|file| file.version == wanted) {
            return Err(Failure::words(format!("No migration file with version {wanted} exists.")));
        }
        if wanted <= applied {
            return Err(Failure::words(format!(
                "Version must be newer than the last version migrated. Last version migrated was {applied}"
            )));
        }
    }
    let mut due = files.into_iter().filter(|file| file.version > applied);
    Ok(match (arguments.version, arguments.until) {
        (Some(version), _) => due.filter(|file| file.version == version).collect(),
        (None, Some(until)) => due.filter(|file| file.version <= until).collect(),
        (None, None) if arguments.next => {
            vec![due.next().ok_or_else(|| Failure::words("No eligible migrations found."))?]
        }
        (None, None) => due.collect(),
    })
}

fn apply_one(
    metadata: &Metadata,
    migration: &Migration,
    text: &str,
    previous: Option<u32>,
    definitions: &[(String, String)],
) -> Result<()> {
    let mut event = Event {
        version: migration.version,
        name: migration.name.clone(),
        state: State::Running,
        checksum: checksum(text),
        started_on: now().to_string(),
        completed_on: String::new(),
        previous: previous.map_or_else(|| NONE.to_owned(), |version| version.to_string()),
        error_reason: NOT_AVAILABLE.to_owned(),
    };
    metadata.write(&event)?;
    let done = statements(metadata, text, definitions);
    event.completed_on = now().to_string();
    event.state = if done.is_ok() { State::Migrated } else { State::Error };
    if let Err(failure) = &done {
        event.error_reason = failure.to_string();
    }
    metadata.write(&event)?;
    done
}

/// Executes the statements of a file. Properties and variables that it sets end with it.
fn statements(metadata: &Metadata, text: &str, definitions: &[(String, String)]) -> Result<()> {
    let mut session = Session::default();
    session.variables.extend(definitions.iter().cloned());
    let parts = split(text);
    if !parts.rest.trim().is_empty() {
        return Err(Failure::words(format!("The last statement does not end with ';': {}", parts.rest.trim())));
    }
    for statement in &parts.statements {
        let words = statement.to_uppercase();
        let verb = words.split_whitespace().next().unwrap_or_default();
        if READING.contains(&verb) {
            return Err(failed("parse", statement, &format!("'{verb}' statements are not supported.")));
        }
    }
    for statement in parts.statements {
        execute(metadata, &mut session, statement).map_err(|failure| failed("execute", statement, &failure))?;
    }
    Ok(())
}

fn failed(what: &str, statement: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::words(format!("Failed to {what} sql: {statement}. Error: {why}"))
}

fn execute(metadata: &Metadata, session: &mut Session, statement: &str) -> Result<()> {
    if Kind::of(statement) == Kind::Session {
        return session.execute(statement).map(|_| ()).map_err(Failure::Words);
    }
    for answer in metadata.client().statements(&session.request(statement))? {
        session.note(&answer);
        if answer["commandStatus"]["status"] == "ERROR" {
            return Err(Failure::words(answer["commandStatus"]["message"].as_str().unwrap_or_default()));
        }
    }
    Ok(())
}

/// Checks the files of the versions that were applied, from the last one back.
pub fn validate(project: &Project, history: &History) -> Result<()> {
    let files = project.migrations()?;
    let mut version = history.migrated();
    while let Some(number) = version {
        let Some(event) = history.version(number) else { break };
        let Some(file) = files.iter().find(|file| file.version == number) else {
            return Err(Failure::words(format!(
                "No migrations file found for version with status MIGRATED. Version: {number}"
            )));
        };
        let found = checksum(&file.text()?);
        if found != event.checksum {
            return Err(Failure::words(format!(
                "Migrations file found for version {number} does not match the checksum saved for this version. Expected \
                 checksum: {}. Actual checksum: {found}. File name: {}",
                event.checksum,
                file.path.display()
            )));
        }
        // Versions only go down, whatever the events say.
        version = event.previous.parse().ok().filter(|previous| *previous < number);
    }
    Ok(())
}

/// `info`
pub fn info(project: &Project, metadata: &Metadata) -> Result<()> {
    let history = metadata.read()?;
    let current = history.migrated().map_or_else(|| NONE.to_owned(), |version| version.to_string());
    println!("Current migration version: {current}");
    let rows = project.migrations()?.into_iter().map(|file| {
        let known = history.version(file.version);
        let of_event = |text: fn(&Event) -> String| known.map_or_else(|| NOT_AVAILABLE.to_owned(), text);
        vec![
            file.version.to_string(),
            file.name.clone(),
            known.map_or(State::Pending, |event| event.state).to_string(),
            of_event(|event| event.previous.clone()),
            of_event(|event| shown_time(&event.started_on)),
            of_event(|event| shown_time(&event.completed_on)),
            of_event(|event| event.error_reason.clone()),
        ]
    });
    let headings = ["Version", "Name", "State", "Previous Version", "Started On", "Completed On", "Error Reason"];
    println!("{}", Table::with_rows(&headings, rows).render());
    Ok(())
}

fn checksum(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds since 1970.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis()
}

/// `2026-03-03 23:47:50.455 UTC`
fn shown_time(milliseconds: &str) -> String {
    let time = milliseconds.parse().ok().and_then(|number| jiff::Timestamp::from_millisecond(number).ok());
    time.map_or_else(
        || NOT_AVAILABLE.to_owned(),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f %Z").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_md5_in_hexadecimal_digits() {
        assert_eq!(checksum("abc"), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn times_that_are_not_yet_are_not_shown() {
        assert_eq!(shown_time(""), NOT_AVAILABLE);
        assert!(shown_time("1614829670455").starts_with("2021-03-0"));
    }
}
