//! Tables of things that there are: as wide as they need, headings over a line of dashes.
//!
//! ```text
//!  Stream Name | Kafka Topic
//! ---------------------------
//!  ORDERS      | orders
//! ---------------------------
//! ```

use unicode_width::UnicodeWidthStr as _;

/// A table.
pub struct Table<'a> {
    headings: &'a [&'a str],
    rows: Vec<Vec<String>>,
}

impl<'a> Table<'a> {
    /// With rows, each with a cell for every heading.
    pub fn with_rows(headings: &'a [&'a str], rows: impl IntoIterator<Item = Vec<String>>) -> Table<'a> {
        Table { headings, rows: rows.into_iter().collect() }
    }

    /// The table of a single message.
    pub fn message(message: &str) -> String {
        Table { headings: &["Message"], rows: vec![vec![message.to_owned()]] }.render()
    }

    /// The lines of the table, without a newline at the end.
    pub fn render(&self) -> String {
        let width = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).flat_map(|cell| cell.lines());
            let widest = cells.map(|line| line.width()).max().unwrap_or_default();
            widest.max(self.headings[index].width())
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let rule = "-".repeat(widths.iter().sum::<usize>() + 3 * widths.len() - 1);
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let mut lines = vec![];
        push_row(&mut lines, &headings, &widths);
        lines.push(rule.clone());
        for row in &self.rows {
            push_row(&mut lines, row, &widths);
        }
        lines.push(rule);
        lines.join("\n")
    }
}

/// A row takes as many lines as its highest cell.
fn push_row(lines: &mut Vec<String>, row: &[String], widths: &[usize]) {
    let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or_default().max(1);
    for index in 0..height {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| padded(cell.lines().nth(index).unwrap_or_default(), *width))
            .collect();
        lines.push(format!(" {} ", cells.join(" | ")));
    }
}

/// `text` with blanks up to `width` columns of the terminal.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["ORDERS".to_owned(), "o".to_owned()], vec!["日本".to_owned(), "a\nbb".to_owned()]];
        let expected = [
            " Name   | Kafka Topic ",
            "----------------------",
            " ORDERS | o           ",
            " 日本   | a           ",
            "        | bb          ",
            "----------------------",
        ];
        assert_eq!(Table::with_rows(&["Name", "Kafka Topic"], rows).render(), expected.join("\n"));
    }

    #[test]
    fn a_message_stands_in_a_table_of_its_own() {
        let expected = " Message        \n----------------\n Stream created \n----------------";
        assert_eq!(Table::message("Stream created"), expected);
    }
}
