//! A progress line for long work, shown only to a person.

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::Terminal;

/// A bar on standard error that counts to `total`, or one that is never drawn.
pub fn bar(terminal: &Terminal, total: u64) -> ProgressBar {
    if !terminal.is_interactive() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(total);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
