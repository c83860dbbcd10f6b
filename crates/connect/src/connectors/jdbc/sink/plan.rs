//! In which order the changes of a batch are made: those of one kind together, without changing what comes out.
//!
//! With `upsert` only the last change of a key counts, so earlier ones are dropped; a table's deletes are made before its
//! writes. With `insert` and `update` changes keep their order, and a run of one kind is one group.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::database::{Row, SqlValue};
use super::config::InsertMode;
use super::layout::Layout;

/// What one record does.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Columns.
    pub layout: Arc<Layout>,
    /// Whether the row with this key goes; otherwise it is written.
    pub deletes: bool,
    /// Values of the columns.
    pub row: Row,
}

/// Changes of one kind in one table.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// Columns.
    pub layout: Arc<Layout>,
    /// Whether rows go.
    pub deletes: bool,
    /// Rows in order.
    pub rows: Vec<Row>,
}

/// Puts changes, which are in the order of their records, together.
pub fn plan(mode: InsertMode, changes: Vec<Change>) -> Vec<Group> {
    let mut tables: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        let is_of = |table: &Vec<Change>| {
            table.first().is_some_and(|first| {
                Arc::ptr_eq(&first.layout, &change.layout) || first.layout.table == change.layout.table
            })
        };
        match tables.iter().position(is_of) {
            Some(index) => tables[index].push(change),
            None => tables.push(vec![change]),
        }
    }
    tables.into_iter().flat_map(|changes| plan_table(mode, changes)).collect()
}

fn plan_table(mode: InsertMode, changes: Vec<Change>) -> Vec<Group> {
    if mode != InsertMode::Upsert {
        return runs(changes);
    }
    let (changes, is_ordered) = last_of_each_key(changes);
    if is_ordered || !changes.iter().any(|change| change.deletes) {
        return runs(changes);
    }
    let (deletes, writes) = changes.into_iter().partition(|change| change.deletes);
    let mut groups = runs(deletes);
    groups.extend(runs(writes));
    groups
}

/// What is left of earlier changes of a key: nothing when a later one deletes, or writes the same columns. `true`: a key
/// is written with different columns, so that the order must stay.
fn last_of_each_key(changes: Vec<Change>) -> (Vec<Change>, bool) {
    struct Later {
        deletes: bool,
        layout: Arc<Layout>,
    }
    let mut later: HashMap<Vec<u8>, Later> = HashMap::with_capacity(changes.len());
    let mut is_ordered = false;
    let mut kept = Vec::with_capacity(changes.len());
    for change in changes.into_iter().rev() {
        let key = key_bytes(&change.row[..change.layout.keys.min(change.row.len())]);
        let found = Later { deletes: change.deletes, layout: change.layout.clone() };
        match later.get(&key) {
            Some(later) if later.deletes => continue,
            Some(later) if !change.deletes && Arc::ptr_eq(&later.layout, &change.layout) => continue,
            Some(_) if !change.deletes => is_ordered = true,
            _ => {}
        }
        later.insert(key, found);
        kept.push(change);
    }
    kept.reverse();
    (kept, is_ordered)
}

fn runs(changes: Vec<Change>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for Change { layout, deletes, row } in changes {
        match groups.last_mut() {
            Some(group) if group.deletes == deletes && Arc::ptr_eq(&group.layout, &layout) => group.rows.push(row),
            _ => groups.push(Group { layout, deletes, rows: vec![row] }),
        }
    }
    groups
}

/// Bytes that are the same for the same key.
fn key_bytes(key: &[SqlValue]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    for value in key {
        match value {
            SqlValue::Int(number) => {
                bytes.push(b'i');
                bytes.extend(number.to_be_bytes());
            }
            SqlValue::Text(text) => {
                bytes.push(b't');
                bytes.extend(text.len().to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            SqlValue::Decimal(number) => {
                bytes.push(b'd');
                bytes.extend(number.normalized().to_string().into_bytes());
                bytes.push(0);
            }
            other => {
                bytes.push(b'o');
                bytes.extend(format!("{other:?}").into_bytes());
                bytes.push(0);
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, int_key, record};
    use super::*;
    use crate::data::{Field, Kind, Schema, Typed, Value};

    fn layout(fields: &[&str]) -> Arc<Layout> {
        let config = config(&[("pk.mode", "record_key"), ("pk.fields", "id")]);
        let fields: Vec<Field> = fields.iter().map(|name| Field::new(*name, Schema::new(Kind::Int32))).collect();
        let values = vec![Value::Int32(0); fields.len()];
        let record = record(int_key(0), fields, values);
        let value = if record.value == Typed::null() { Typed::null() } else { record.value.clone() };
        Arc::new(Layout::of(&config, &record, &value).expect("a layout"))
    }

    fn write(layout: &Arc<Layout>, key: i64, value: i64) -> Change {
        let row = std::iter::once(key).chain(std::iter::repeat_n(value, layout.columns.len() - 1)).map(SqlValue::Int);
        Change { layout: layout.clone(), deletes: false, row: row.collect() }
    }

    fn delete(layout: &Arc<Layout>, key: i64) -> Change {
        Change { layout: layout.clone(), deletes: true, row: vec![SqlValue::Int(key)] }
    }

    fn shape(groups: &[Group]) -> Vec<(bool, Vec<i64>)> {
        groups
            .iter()
            .map(|group| (group.deletes, group.rows.iter().flatten().filter_map(SqlValue::as_i64).collect()))
            .collect()
    }

    #[test]
    fn of_upserts_the_last_of_each_key_is_written() {
        let layout = layout(&["v"]);
        let changes = vec![write(&layout, 1, 10), write(&layout, 2, 20), write(&layout, 1, 11)];
        assert_eq!(shape(&plan(InsertMode::Upsert, changes.clone())), [(false, vec![2, 20, 1, 11])]);
        assert_eq!(shape(&plan(InsertMode::Insert, changes)), [(false, vec![1, 10, 2, 20, 1, 11])]);
    }

    #[test]
    fn deletes_come_first_and_undo_what_was_before_them() {
        let (layout, key) = (layout(&["v"]), layout(&[]));
        let changes =
            vec![write(&layout, 1, 10), delete(&key, 1), write(&layout, 2, 20), delete(&key, 3), write(&layout, 3, 30)];
        assert_eq!(
            shape(&plan(InsertMode::Upsert, changes.clone())),
            [(true, vec![1, 3]), (false, vec![2, 20, 3, 30])]
        );
        let ordered =
            [(false, vec![1, 10]), (true, vec![1]), (false, vec![2, 20]), (true, vec![3]), (false, vec![3, 30])];
        assert_eq!(shape(&plan(InsertMode::Insert, changes)), ordered);
    }

    #[test]
    fn writes_of_other_columns_keep_their_order() {
        let (narrow, wide) = (layout(&["v"]), layout(&["v", "w"]));
        let changes = vec![write(&narrow, 1, 10), write(&wide, 1, 11), write(&narrow, 1, 12), write(&narrow, 2, 20)];
        let expected = [(false, vec![1, 10]), (false, vec![1, 11, 11]), (false, vec![1, 12, 2, 20])];
        assert_eq!(shape(&plan(InsertMode::Upsert, changes)), expected);
    }
}
