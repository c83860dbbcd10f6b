//! The last lines about each connector, for `milena connector logs`.

use std::collections::{HashMap, VecDeque};

use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;

/// Lines that are kept of a connector.
const LINES_MAX: usize = 200;

/// A line about a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentLine {
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
    /// What.
    pub text: String,
}

/// See the module's words.
#[derive(Default)]
pub struct RecentLines(Mutex<HashMap<String, VecDeque<RecentLine>>>);

impl RecentLines {
    /// Keeps a line, and gives up the oldest one when there are many.
    pub fn note(&self, connector: &str, text: &str) {
        let mut all = self.0.lock();
        if !all.contains_key(connector) {
            all.insert(connector.to_owned(), VecDeque::new());
        }
        let Some(lines) = all.get_mut(connector) else { return };
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(RecentLine { timestamp: SystemClock.now_ms(), text: text.to_owned() });
    }

    /// The lines about a connector, oldest first.
    pub fn of(&self, connector: &str) -> Vec<RecentLine> {
        self.0.lock().get(connector).map(|lines| lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// The connectors that there are lines about.
    pub fn connectors(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// Forgets a connector.
    pub fn forget(&self, connector: &str) {
        self.0.lock().remove(connector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let recent = RecentLines::default();
        (0..LINES_MAX + 5).for_each(|number| recent.note("c", &number.to_string()));
        let lines = recent.of("c");
        assert_eq!((lines.len(), lines[0].text.as_str()), (LINES_MAX, "5"));
        recent.forget("c");
        assert!(recent.of("c").is_empty());
    }
}
