//! Columns of fixed or growing width, padded with blanks on the right.

use std::fmt::Write as _;

/// One column: its heading and its smallest width; `None` for a last column that is not padded.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Heading.
    pub heading: &'static str,
    /// Width that shorter cells are padded to.
    pub width: Option<usize>,
    /// Whether longer cells widen the whole column.
    pub grows: bool,
}

impl Column {
    /// A column of a fixed width; longer cells stick out.
    pub const fn fixed(heading: &'static str, width: usize) -> Column {
        Column { heading, width: Some(width), grows: false }
    }

    /// A column as wide as its longest cell, at least `width`.
    pub const fn growing(heading: &'static str, width: usize) -> Column {
        Column { heading, width: Some(width), grows: true }
    }

    /// A last column without padding.
    pub const fn last(heading: &'static str) -> Column {
        Column { heading, width: None, grows: false }
    }
}

/// Heading and rows, each **preceded** by a newline as the group commands print them; no newline at the end.
pub fn with_leading_newlines(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for line in lines(columns, rows) {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

/// Heading and rows, one line each.
pub fn lines(columns: &[Column], rows: &[Vec<String>]) -> Vec<String> {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| match column.width {
            Some(width) if column.grows => rows
                .iter()
                .filter_map(|row| row.get(index))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
                .max(width),
            Some(width) => width,
            None => 0,
        })
        .collect();
    let heading: Vec<String> = columns.iter().map(|column| column.heading.to_owned()).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(row, &widths)).collect()
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if index > 0 {
            line.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(line, "{cell:<width$}");
    }
    line
}
