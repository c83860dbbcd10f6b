//! Loggers whose levels change while the process runs.
//!
//! Log lines go through one subscriber a process, so the levels are one table a process too. Whoever installs the subscriber
//! registers how a new table is put into force; until then changes are refused.
//!
//! A logger is a module path (`milena_broker::net`) or `root`, which is the level of everything without one of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// The logger that everything without a level of its own follows.
pub const ROOT: &str = "root";

/// How much a logger writes, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What needs somebody's attention.
    Error,
    /// What might.
    Warn,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level called `name` in any case. `FATAL` of log4j means [`LogLevel::Error`] here.
    pub fn from_name(name: &str) -> Option<LogLevel> {
        Some(match name.to_ascii_uppercase().as_str() {
            "OFF" => LogLevel::Off,
            "FATAL" | "ERROR" => LogLevel::Error,
            "WARN" => LogLevel::Warn,
            "INFO" => LogLevel::Info,
            "DEBUG" => LogLevel::Debug,
            "TRACE" => LogLevel::Trace,
            _ => return None,
        })
    }

    /// The name in capitals.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Off => "OFF",
            LogLevel::Error => "ERROR",
            LogLevel::Warn => "WARN",
            LogLevel::Info => "INFO",
            LogLevel::Debug => "DEBUG",
            LogLevel::Trace => "TRACE",
        }
    }
}

/// The levels were not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotChanged(pub String);

type Apply = Box<dyn Fn(&str) -> Result<(), String> + Send>;

struct Loggers {
    levels: BTreeMap<String, LogLevel>,
    apply: Apply,
}

static LOGGERS: Mutex<Option<Loggers>> = Mutex::new(None);

/// Registers the levels that are in force and how others are: `apply` gets directives like `info,milena_broker::net=debug`.
pub fn install(levels: BTreeMap<String, LogLevel>, apply: impl Fn(&str) -> Result<(), String> + Send + 'static) {
    *lock() = Some(Loggers { levels, apply: Box::new(apply) });
}

/// Every logger with its level; nothing when no subscriber was installed.
pub fn levels() -> BTreeMap<String, LogLevel> {
    lock().as_ref().map(|loggers| loggers.levels.clone()).unwrap_or_default()
}

/// Gives `logger` a level of its own, or with `None` takes it away; `root` always keeps one.
///
/// # Errors
/// When there is no subscriber, it refuses, or the root would lose its level.
pub fn set(logger: &str, level: Option<LogLevel>) -> Result<(), NotChanged> {
    let mut guard = lock();
    let Some(loggers) = guard.as_mut() else {
        return Err(NotChanged("log levels of this process cannot be changed".to_owned()));
    };
    let mut levels = loggers.levels.clone();
    match level {
        Some(level) => {
            levels.insert(logger.to_owned(), level);
        }
        None if logger == ROOT => return Err(NotChanged("the root logger always has a level".to_owned())),
        None => {
            levels.remove(logger);
        }
    }
    (loggers.apply)(&directives(&levels)).map_err(NotChanged)?;
    loggers.levels = levels;
    Ok(())
}

/// The table in the notation of `RUST_LOG`.
pub fn directives(levels: &BTreeMap<String, LogLevel>) -> String {
    let directive = |(logger, level): (&String, &LogLevel)| {
        let level = level.name().to_ascii_lowercase();
        if logger == ROOT { level } else { format!("{logger}={level}") }
    };
    levels.iter().map(directive).collect::<Vec<_>>().join(",")
}

fn lock() -> std::sync::MutexGuard<'static, Option<Loggers>> {
    LOGGERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_applied_before_they_are_kept() {
        let levels = BTreeMap::from([(ROOT.to_owned(), LogLevel::Info)]);
        let refuse_traces = |text: &str| if text.contains("trace") { Err("no".to_owned()) } else { Ok(()) };
        install(levels, refuse_traces);
        set("milena_log", Some(LogLevel::Debug)).unwrap();
        assert_eq!(directives(&super::levels()), "milena_log=debug,info");
        assert!(set("milena_log", Some(LogLevel::Trace)).is_err());
        assert_eq!(super::levels()["milena_log"], LogLevel::Debug);
        set("milena_log", None).unwrap();
        assert_eq!(directives(&super::levels()), "info");
        assert!(set(ROOT, None).is_err());
    }

    #[test]
    fn levels_have_log4js_names() {
        for name in ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"] {
            assert_eq!(LogLevel::from_name(&name.to_lowercase()).map(LogLevel::name), Some(name));
        }
        assert_eq!(LogLevel::from_name("FATAL"), Some(LogLevel::Error));
        assert_eq!(LogLevel::from_name("LOUD"), None);
    }
}
