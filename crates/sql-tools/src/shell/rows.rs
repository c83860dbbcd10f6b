//! Rows of a query in a grid as wide as the terminal.
//!
//! ```text
//! +------------------+------------------+
//! |ID                |NAME              |
//! +------------------+------------------+
//! |1                 |a name that is too|
//! |                  | long for its cell|
//! ```
//!
//! Rows come one at a time and are printed at once, so widths follow from the number of columns alone.

use unicode_width::UnicodeWidthChar as _;

use super::cell::Cell;
use crate::table::padded;

/// Cells are not made narrower than this, even when the grid becomes wider than the terminal then.
const CELL_WIDTH_MIN: usize = 5;
/// What stands for the values of a row that is gone from its table.
const TOMBSTONE: &str = "<TOMBSTONE>";
/// How a cell ends that is cut.
const ELLIPSIS: &str = "...";

/// The form of a grid.
pub struct Grid {
    columns: Vec<(String, bool)>,
    cell_width: usize,
    wrap: bool,
}

impl Grid {
    /// For columns with their names and whether they are keys.
    pub fn new(columns: Vec<(String, bool)>, width: usize, cell_width: Option<usize>, wrap: bool) -> Grid {
        let shared = width / columns.len().max(1);
        let cell_width = cell_width.unwrap_or(shared.saturating_sub(2)).max(CELL_WIDTH_MIN);
        Grid { columns, cell_width, wrap }
    }

    /// The names of the columns between two rules.
    pub fn head(&self) -> Vec<String> {
        let rule = format!("+{}", format!("{}+", "-".repeat(self.cell_width)).repeat(self.columns.len()));
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut lines = vec![rule.clone()];
        lines.extend(self.lines(&names));
        lines.push(rule);
        lines
    }

    /// A row.
    pub fn row(&self, cells: &[Cell], tombstone: bool) -> Vec<String> {
        let shown = |(index, cell): (usize, &Cell)| {
            let is_key = self.columns.get(index).is_some_and(|(_, is_key)| *is_key);
            if tombstone && !is_key { TOMBSTONE.to_owned() } else { cell.shown() }
        };
        let texts: Vec<String> = cells.iter().enumerate().map(shown).collect();
        self.lines(&texts)
    }

    fn lines(&self, texts: &[String]) -> Vec<String> {
        let cells: Vec<Vec<String>> = texts.iter().map(|text| self.cell(text)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        (0..height)
            .map(|index| {
                let parts = cells.iter().map(|cell| {
                    let part = cell.get(index).map_or("", String::as_str);
                    format!("{}|", padded(part, self.cell_width))
                });
                format!("|{}", parts.collect::<String>())
            })
            .collect()
    }

    /// The text in parts that fit the cell.
    fn cell(&self, text: &str) -> Vec<String> {
        let mut parts = vec![];
        for line in text.split('\n') {
            let mut part = String::new();
            let mut width = 0;
            for c in line.chars().map(|c| if c.is_control() { ' ' } else { c }) {
                let own = c.width().unwrap_or_default();
                if width + own > self.cell_width {
                    parts.push(std::mem::take(&mut part));
                    width = 0;
                }
                part.push(c);
                width += own;
            }
            parts.push(part);
        }
        if self.wrap || parts.len() == 1 {
            return parts;
        }
        let room = self.cell_width - ELLIPSIS.len();
        let mut width = 0;
        let fits = |c: &char| {
            width += c.width().unwrap_or_default();
            width <= room
        };
        let kept: String = parts[0].chars().take_while(fits).collect();
        vec![format!("{kept}{ELLIPSIS}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(width: usize, wrap: bool) -> Grid {
        Grid::new(vec![("ID".to_owned(), true), ("NAME".to_owned(), false)], width, None, wrap)
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn a_grid_is_not_wider_than_the_terminal() {
        for width in 14..200 {
            let lines = grid(width, true).head();
            assert!(lines.iter().all(|line| line.len() <= width), "{width}: {lines:?}");
        }
        assert_eq!(grid(20, true).head(), ["+--------+--------+", "|ID      |NAME    |", "+--------+--------+"]);
    }

    #[test]
    fn long_cells_go_on_or_are_cut() {
        let row = [Cell::Plain("1".to_owned()), text("abcdefghij\tk")];
        assert_eq!(grid(20, true).row(&row, false), ["|1       |abcdefgh|", "|        |ij k    |"]);
        assert_eq!(grid(20, false).row(&row, false), ["|1       |abcde...|"]);
        assert_eq!(
            grid(20, true).row(&[Cell::Null, text("日本日本日")], false),
            ["|null    |日本日本|", "|        |日      |"]
        );
    }

    #[test]
    fn a_row_that_is_gone_keeps_its_key() {
        assert_eq!(grid(28, true).row(&[text("k"), Cell::Null], true), ["|k           |<TOMBSTONE> |"]);
    }
}
