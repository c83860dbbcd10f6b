//! Rows straight from JSON text: what no column wants is passed over, and no tree is made of the rest.
//!
//! Only what is as expected is read here. Everything else (names that repeat, values that do not fit, text that is not
//! JSON) is left to [`super::json::read_row`], which says what is wrong.

use super::Field;
use super::json::{is_called, read};
use super::json_text::Reader;
use crate::types::SqlType;
use crate::value::Value;

/// Most columns that are read this way.
const COLUMNS_MAX: usize = 512;
/// Columns of a row that follow those of the value: pseudo columns, key, bounds of windows.
const MORE_COLUMNS: usize = 8;

/// Knows which columns are wanted.
pub(super) struct RowReader {
    /// Whether no two names differ only in case, so that a member belongs to one column at most.
    usable: bool,
    /// Columns that nobody reads and that take everything.
    left_out: Vec<bool>,
}

impl RowReader {
    pub(super) fn new(fields: &[Field]) -> Self {
        let same = |(position, field): (usize, &Field)| {
            fields[..position].iter().any(|other| other.name.eq_ignore_ascii_case(&field.name))
        };
        let usable = fields.len() <= COLUMNS_MAX && !fields.iter().enumerate().any(same);
        RowReader { usable, left_out: vec![false; fields.len()] }
    }

    /// Makes null of these columns where that hides no error: text columns take whatever there is.
    pub(super) fn leave_out(&mut self, columns: &[usize], fields: &[Field]) {
        for column in columns {
            if fields.get(*column).is_some_and(|field| field.field_type == SqlType::String) {
                self.left_out[*column] = true;
            }
        }
    }

    /// The columns of `text`; `None` when it is no object, or has to be looked at more closely.
    pub(super) fn read(&self, text: &str, fields: &[Field]) -> Option<Vec<Value>> {
        let mut reader = Reader::new(text);
        if !self.usable || !reader.passes(b'{') {
            return None;
        }
        let mut row = Vec::with_capacity(fields.len() + MORE_COLUMNS);
        row.resize(fields.len(), Value::Null);
        if reader.passes(b'}') {
            return Some(row);
        }
        let mut seen = [0_u64; COLUMNS_MAX / 64];
        let mut next = 0;
        loop {
            let name = reader.member().ok()?;
            match position(fields, &name, next) {
                None => reader.skip().ok()?,
                Some(position) => {
                    let bit = 1 << (position % 64);
                    if seen[position / 64] & bit != 0 {
                        return None;
                    }
                    seen[position / 64] |= bit;
                    next = position + 1;
                    if self.left_out[position] {
                        reader.skip().ok()?;
                    } else {
                        row[position] = read(&reader.value().ok()?, &fields[position].field_type).ok()?;
                    }
                }
            }
            if !reader.passes(b',') {
                return reader.passes(b'}').then_some(row);
            }
        }
    }
}

/// The column called `name`, or so in upper case; members mostly come in the order of the columns, so that `next` is asked
/// first.
fn position(fields: &[Field], name: &str, next: usize) -> Option<usize> {
    let is_it = |field: &Field| is_called(name, &field.name);
    if fields.get(next).is_some_and(is_it) {
        return Some(next);
    }
    fields.iter().position(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::json::read_row;
    use crate::formats::json_text::Json;

    fn fields() -> Vec<Field> {
        let types =
            [("ID", SqlType::Bigint), ("NAME", SqlType::String), ("D", SqlType::Double), ("NOTE", SqlType::String)];
        types.map(|(name, field_type)| Field { name: name.into(), field_type }).into()
    }

    #[test]
    fn rows_are_those_that_a_tree_gives() {
        let fields = fields();
        let rows = RowReader::new(&fields);
        for text in [
            r#"{"id":1,"name":"a","d":1.5,"note":null}"#,
            r#" { "note" : [1, {"x":"y"}], "other":{"id":[]}, "d":"2.5", "ID":"7" , "name":12.50 } "#,
            "{}",
            r#"{"name":"\u00e9\n","id":1.9}"#,
            r#"{"name":true,"nothing":"\"","d":-0}"#,
        ] {
            let tree = read_row(&Json::read(text).unwrap(), &fields, false).unwrap();
            assert_eq!(rows.read(text, &fields), tree, "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_others() {
        let mut fields = fields();
        let rows = RowReader::new(&fields);
        for text in ["", "null", "[1]", "{", "{\"id\":true}", "{\"id\":1,\"ID\":2}", "{\"id\":1,}", "{\"x\":nul}"] {
            assert_eq!(rows.read(text, &fields), None, "{text}");
        }
        fields[3].name = "name".into();
        assert_eq!(RowReader::new(&fields).read("{}", &fields), None);
    }

    #[test]
    fn what_nobody_reads_is_null_unless_it_may_be_wrong() {
        let fields = fields();
        let mut rows = RowReader::new(&fields);
        rows.leave_out(&[0, 1], &fields);
        let row = rows.read(r#"{"id":1,"name":"a","note":"b"}"#, &fields).unwrap();
        assert_eq!(row, [Value::Bigint(1), Value::Null, Value::Null, Value::from("b")]);
        assert_eq!(rows.read(r#"{"id":"x"}"#, &fields), None);
        assert_eq!(rows.read(r#"{"name":"x}"#, &fields), None);
    }
}
