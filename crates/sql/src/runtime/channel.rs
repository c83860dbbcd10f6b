//! Changes of rows as records of a query's own topics, whole: between its parts nothing may get lost, old rows and windows
//! included.

use std::sync::Arc;

use bytes::Bytes;

use super::{RawRecord, RecordError};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{self, CodecContext, Field, Format, FormatError, FormatSpec, RowCodec, Side};
use crate::operators::{Change, Headers, Key, ProcessingLog, Row, WindowBounds};
use crate::planner::topology::{Channel, ChannelKey};
use crate::state::codec::{read_time, read_values, time_bytes, write_values};
use crate::types::SqlType;
use crate::value::Value;

/// First byte of a record.
const VERSION: u8 = 1;

/// Writes the records of a channel.
pub struct ChannelWriter {
    key: ChannelKey,
    codec: Box<dyn RowCodec>,
}

impl ChannelWriter {
    /// For `channel`, whose topic is called `topic` in full.
    ///
    /// # Errors
    /// A format that cannot hold the key.
    pub fn new(channel: &Channel, topic: &str, registry: &Arc<dyn SchemaRegistry>) -> Result<Self, FormatError> {
        let field = |position: usize, name: Option<&str>, field_type: Option<SqlType>| Field {
            name: name.map_or_else(|| format!("K{position}").into(), Into::into),
            field_type: field_type.unwrap_or(SqlType::String),
        };
        let fields = match &channel.key {
            ChannelKey::Own(columns) => columns
                .iter()
                .enumerate()
                .map(|(at, key)| field(at, key.names.first().map(|name| &**name), Some(key.column_type.clone())))
                .collect(),
            ChannelKey::Groups(groups) => {
                groups.iter().enumerate().map(|(at, group)| field(at, None, group.value_type.clone())).collect()
            }
            ChannelKey::ForeignKey(key) => vec![field(0, None, key.value_type.clone())],
        };
        let context = CodecContext { topic: topic.to_owned(), side: Side::Key, registry: registry.clone() };
        let format = key_format(channel.format, &fields);
        let codec = formats::open(&FormatSpec::plain(format), fields, &context)?;
        Ok(ChannelWriter { key: channel.key.clone(), codec })
    }

    /// The records of a change: two of them when a row of a table goes from one group to another, none for rows without
    /// group.
    ///
    /// # Errors
    /// A key that the format cannot hold.
    pub fn write(&self, change: &Change, log: &dyn ProcessingLog) -> Result<Vec<RawRecord>, RecordError> {
        let groups = match &self.key {
            ChannelKey::Own(_) => {
                return Ok(vec![self.record(change.key.columns.as_deref().unwrap_or_default(), change)?]);
            }
            // Each change has one row and with it one place: the operator before has taken moves apart.
            ChannelKey::ForeignKey(key) => {
                let row = change.new.as_ref().or(change.old.as_ref());
                let key = row.map_or(Value::Null, |row| key.value(row, log));
                let key = if key.is_null() { Vec::new() } else { vec![key] };
                return Ok(vec![self.record(&key, change)?]);
            }
            ChannelKey::Groups(groups) => groups,
        };
        let group = |row: &Option<Row>| -> Option<Vec<Value>> {
            let row = row.as_ref()?;
            let values: Vec<Value> = groups.iter().map(|group| group.value(row, log)).collect();
            values.iter().all(|value| !value.is_null()).then_some(values)
        };
        let (old, new) = (group(&change.old), group(&change.new));
        if old == new || old.is_none() {
            let Some(new) = new else { return Ok(Vec::new()) };
            return Ok(vec![self.record(&new, change)?]);
        }
        let mut records = Vec::new();
        if let Some(old) = old {
            records.push(self.record(&old, &change.with_row(None, change.old.clone()))?);
        }
        if let Some(new) = new {
            records.push(self.record(&new, &change.with_row(change.new.clone(), None))?);
        }
        Ok(records)
    }

    fn record(&self, key: &[Value], change: &Change) -> Result<RawRecord, RecordError> {
        let key = if key.is_empty() { None } else { self.codec.encode(key).map_err(|error| RecordError(error.0))? };
        Ok(RawRecord {
            key: key.map(Bytes::from),
            value: Some(bytes_of(change).into()),
            timestamp: change.timestamp,
            headers: change.headers.clone(),
            partition: 0,
            offset: 0,
        })
    }
}

/// The format in which the key of a channel is written: that of the source as far as it can hold these columns.
pub(crate) fn key_format(of_source: Format, fields: &[Field]) -> Format {
    let is_nested =
        |field: &Field| matches!(field.field_type, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_));
    let is_plain = |field: &Field| {
        matches!(
            field.field_type,
            SqlType::Integer | SqlType::Bigint | SqlType::Double | SqlType::String | SqlType::Bytes
        )
    };
    match of_source {
        // Keys that name a schema differ with the names of their columns; whatever else the next part reads with such keys
        // comes through a channel too.
        Format::Avro | Format::JsonSr => Format::Json,
        Format::Kafka | Format::None if matches!(fields, [field] if is_plain(field)) => Format::Kafka,
        Format::Kafka | Format::None => Format::Json,
        Format::Delimited if fields.iter().any(is_nested) => Format::Json,
        other => other,
    }
}

fn bytes_of(change: &Change) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    let rows = [change.key.columns.as_ref(), change.new.as_ref(), change.old.as_ref()];
    let there = rows.iter().enumerate().fold(0_u8, |there, (bit, row)| there | (u8::from(row.is_some()) << bit));
    bytes.push(there | (u8::from(change.key.window.is_some()) << rows.len()));
    for row in rows.into_iter().flatten() {
        write_values(row, &mut bytes);
    }
    if let Some(window) = change.key.window {
        bytes.extend(time_bytes(window.start));
        bytes.extend(time_bytes(window.end));
    }
    bytes
}

/// How rows of a channel look.
#[derive(Debug, Clone, Copy)]
pub struct RowShape {
    /// How many columns they have.
    pub width: usize,
    /// Behind the columns of the source, where such may be added: a row that was written before has fewer.
    pub grows_at: Option<usize>,
}

impl RowShape {
    /// The row with null for columns that were added since it was written.
    fn fit(self, row: Row) -> Row {
        let missing = self.width.saturating_sub(row.len());
        match self.grows_at.and_then(|at| at.checked_sub(missing)).and_then(|at| row.split_at_checked(at)) {
            Some((before, after)) if missing > 0 => before
                .iter()
                .cloned()
                .chain(std::iter::repeat_n(Value::Null, missing))
                .chain(after.iter().cloned())
                .collect(),
            _ => row,
        }
    }
}

/// The change that a record of a channel holds, whose rows look so now.
///
/// # Errors
/// A record that no [`ChannelWriter`] of this version has written.
pub fn read(record: &RawRecord, shape: RowShape) -> Result<Change, RecordError> {
    let change = record.value.as_deref().and_then(|bytes| change_of(bytes, record.timestamp, &record.headers));
    let fit = |change: Change| {
        let [new, old] = [change.new, change.old].map(|row| row.map(|row| shape.fit(row)));
        Change { new, old, ..change }
    };
    change.map(fit).ok_or_else(|| RecordError("a record of the query's own topic cannot be read".to_owned()))
}

fn change_of(bytes: &[u8], timestamp: i64, headers: &Headers) -> Option<Change> {
    let (&[version, there], mut rest) = bytes.split_first_chunk()?;
    if version != VERSION {
        return None;
    }
    let mut row = |bit: u8| -> Option<Option<Row>> {
        if there & (1 << bit) == 0 {
            return Some(None);
        }
        read_values(&mut rest).map(|values| Some(values.into()))
    };
    let (columns, new, old) = (row(0)?, row(1)?, row(2)?);
    let window = match there & (1 << 3) {
        0 => None,
        _ => Some(WindowBounds { start: read_time(&mut rest)?, end: read_time(&mut rest)? }),
    };
    rest.is_empty().then(|| Change { key: Key { columns, window }, new, old, timestamp, headers: headers.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::registry::MemoryRegistry;
    use crate::operators::NoLog;
    use crate::operators::evaluator::Evaluator;

    fn row(values: &[i32]) -> Row {
        values.iter().map(|value| Value::Int(*value)).collect()
    }

    fn change(new: Option<Row>, old: Option<Row>) -> Change {
        let window = Some(WindowBounds { start: -5, end: 7 });
        Change { key: Key { columns: Some(row(&[9])), window }, new, old, timestamp: 4, headers: [].into() }
    }

    fn writer() -> ChannelWriter {
        let key = ChannelKey::Groups(vec![Evaluator::column(0, SqlType::Integer, "A")]);
        let channel = Channel { topic: "t".to_owned(), format: Format::Kafka, key };
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        ChannelWriter::new(&channel, "q-t", &registry).unwrap()
    }

    const SHAPE: RowShape = RowShape { width: 2, grows_at: Some(1) };

    #[test]
    fn rows_from_before_columns_were_added_have_none_of_them() {
        let record = &writer().write(&change(Some(row(&[1, 2, 3])), None), &NoLog).unwrap()[0];
        let grown = read(record, RowShape { width: 5, grows_at: Some(4) }).unwrap().new.unwrap();
        let numbers = |numbers: &[i32]| numbers.iter().copied().map(Value::Int).collect::<Vec<_>>();
        assert_eq!(grown[..2], numbers(&[1, 2])[..]);
        assert_eq!(grown[2..4], [Value::Null, Value::Null]);
        assert_eq!(grown[4..], numbers(&[3])[..]);
        for shape in [RowShape { width: 5, grows_at: None }, RowShape { width: 9, grows_at: Some(1) }] {
            assert_eq!(read(record, shape).unwrap().new.unwrap().len(), 3);
        }
    }

    #[test]
    fn changes_come_back_whole() {
        let written = writer().write(&change(Some(row(&[1, 2])), Some(row(&[1, 3]))), &NoLog).unwrap();
        let [record] = written.as_slice() else { panic!("{written:?}") };
        assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]));
        let read = read(record, SHAPE).unwrap();
        assert_eq!((read.new, read.old, read.timestamp), (Some(row(&[1, 2])), Some(row(&[1, 3])), 4));
        assert_eq!(read.key, Key { columns: Some(row(&[9])), window: Some(WindowBounds { start: -5, end: 7 }) });
    }

    #[test]
    fn a_row_that_changes_its_group_leaves_one_for_the_other() {
        let written = writer().write(&change(Some(row(&[1, 2])), Some(row(&[5, 2]))), &NoLog).unwrap();
        let changes: Vec<_> = written.iter().map(|record| read(record, SHAPE).unwrap()).collect();
        assert_eq!((changes[0].new.clone(), changes[0].old.clone()), (None, Some(row(&[5, 2]))));
        assert_eq!((changes[1].new.clone(), changes[1].old.clone()), (Some(row(&[1, 2])), None));
    }

    #[test]
    fn rows_without_group_go_nowhere_and_other_bytes_are_refused() {
        let null: Row = vec![Value::Null].into();
        assert!(writer().write(&change(Some(null), None), &NoLog).unwrap().is_empty());
        let [record] = &writer().write(&change(Some(row(&[1])), None), &NoLog).unwrap()[..] else { panic!() };
        let value = record.value.clone().unwrap();
        for cut in 0..value.len() {
            assert!(read(&RawRecord { value: Some(value.slice(..cut)), ..record.clone() }, SHAPE).is_err());
        }
    }

    #[test]
    fn keys_that_the_format_of_the_source_cannot_hold_are_json() {
        let field = |name: &str, field_type| Field { name: name.into(), field_type };
        let (text, number) = (field("A", SqlType::String), field("B", SqlType::Integer));
        let list = field("C", SqlType::array(SqlType::Integer));
        assert_eq!(key_format(Format::Kafka, std::slice::from_ref(&text)), Format::Kafka);
        assert_eq!(key_format(Format::None, std::slice::from_ref(&text)), Format::Kafka);
        assert_eq!(key_format(Format::Kafka, &[text.clone(), number.clone()]), Format::Json);
        assert_eq!(key_format(Format::Kafka, &[field("B", SqlType::Boolean)]), Format::Json);
        assert_eq!(key_format(Format::Delimited, &[text.clone(), number]), Format::Delimited);
        assert_eq!(key_format(Format::Delimited, &[list]), Format::Json);
        assert_eq!(key_format(Format::Avro, &[text]), Format::Json);
    }
}
