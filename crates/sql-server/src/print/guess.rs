//! What bytes of a topic could be, judged by the bytes alone.
//!
//! All forms are candidates at first; each record takes away those that it cannot be. What remains is told to the user, and
//! the first of it shows the records.

use std::sync::Arc;

use milena_schema::wire::split_prefix;
use milena_schema::wire::{SchemaId, read_message_indexes};
use milena_sql::formats::json_text::Json;
use milena_sql::formats::registry::SchemaRegistry;
use milena_sql::formats::{CodecContext, Format, FormatSpec, Side, inference, open};
use milena_sql::types::SqlType;
use milena_sql::value::Value;

use super::text;

/// What is shown where there are no bytes.
pub const NULL: &str = "<null>";
/// What the formats are called before there was anything but nulls.
const NO_DATA: &str = "¯\\_(ツ)_/¯ - no data processed";
/// What bytes are that are nothing else; clients know these words with the blank.
const UNRECOGNISED: &str =
    " does not match any supported format. It may be a STRING with encoding other than UTF8, or some other format.";
/// Milliseconds that can be the bound of a window: no text has two zero bytes at their place.
const BOUND_MAX: i64 = 1 << 48;

/// How a side of a topic may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    windowed: Windowed,
    form: Form,
}

/// How a key or a value is written, without its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Registered(Format),
    Json,
    Kafka(Primitive),
}

/// What Kafka's own serializers write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Primitive {
    Int,
    Bigint,
    Double,
    String,
}

/// The windows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Windowed {
    No,
    Session,
    Hopping,
    Tumbling,
}

/// All of them, in the order in which they are told.
const FORMS: [Form; 8] = [
    Form::Registered(Format::Avro),
    Form::Registered(Format::Protobuf),
    Form::Json,
    Form::Registered(Format::JsonSr),
    Form::Kafka(Primitive::Int),
    Form::Kafka(Primitive::Bigint),
    Form::Kafka(Primitive::Double),
    Form::Kafka(Primitive::String),
];

/// What the records of a side could be so far.
pub struct Guess {
    candidates: Vec<Candidate>,
    seen: bool,
    side: Side,
    topic: String,
    registry: Arc<dyn SchemaRegistry>,
}

impl Guess {
    /// Everything is possible. Only keys have windows.
    pub fn new(topic: &str, side: Side, registry: Arc<dyn SchemaRegistry>) -> Guess {
        let windows: &[Windowed] = match side {
            Side::Key => &[Windowed::Session, Windowed::Hopping, Windowed::Tumbling, Windowed::No],
            Side::Value => &[Windowed::No],
        };
        let of_form = |form| windows.iter().map(move |windowed| Candidate { windowed: *windowed, form });
        let candidates = FORMS.into_iter().flat_map(of_form).collect();
        Guess { candidates, seen: false, side, topic: topic.to_owned(), registry }
    }

    /// Takes away what `bytes` cannot be. May block on the registry.
    pub fn narrow(&mut self, bytes: Option<&[u8]>) {
        let Some(bytes) = bytes else { return };
        self.seen = true;
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.retain(|candidate| self.shown_as(*candidate, bytes).is_some());
        self.candidates = candidates;
    }

    /// The formats that remain.
    pub fn formats(&self) -> String {
        if !self.seen {
            return NO_DATA.to_owned();
        }
        let names: Vec<String> = self.candidates.iter().map(Candidate::name).collect();
        if names.is_empty() { UNRECOGNISED.to_owned() } else { names.join(" or ") }
    }

    /// The text of `bytes`. May block on the registry.
    pub fn show(&self, bytes: Option<&[u8]>) -> String {
        let Some(bytes) = bytes else { return NULL.to_owned() };
        let shown = self.candidates.iter().find_map(|candidate| self.shown_as(*candidate, bytes));
        shown.unwrap_or_else(|| text::escaped(bytes))
    }

    fn shown_as(&self, candidate: Candidate, bytes: &[u8]) -> Option<String> {
        candidate.windowed.shown(bytes, |bytes| match candidate.form {
            Form::Registered(format) => self.registered(format, bytes),
            Form::Json => {
                let text = plain(bytes)?;
                Json::read(text).ok()?;
                Some(text.to_owned())
            }
            Form::Kafka(primitive) => primitive.shown(bytes),
        })
    }

    fn registered(&self, format: Format, bytes: &[u8]) -> Option<String> {
        let framed = split_prefix(bytes).ok()?;
        let SchemaId::Id(id) = framed.schema_id else { return None };
        let schema = self.registry.by_id(id).ok()??.schema;
        match format {
            Format::Avro => {
                schema.as_avro()?;
                // The columns of the schema without the tags that Avro's own JSON has.
                let fields = inference::fields(&schema, None, "").ok()?;
                let is_single = inference::is_single(&schema);
                let spec = FormatSpec { schema_id: Some(id), wrap: Some(!is_single), ..FormatSpec::plain(format) };
                let context =
                    CodecContext { topic: self.topic.clone(), side: self.side, registry: self.registry.clone() };
                let row = open(&spec, fields.clone(), &context).ok()?.decode(bytes).ok()??;
                Some(text::avro(&fields, &row, is_single))
            }
            Format::Protobuf => {
                schema.as_protobuf()?;
                let (indexes, payload) = read_message_indexes(framed.rest).ok()?;
                Some(text::protobuf(&schema.decode(payload, Some(&indexes)).ok()?))
            }
            _ => {
                schema.as_json()?;
                Json::read(std::str::from_utf8(framed.rest).ok()?).ok().map(|json| json.text())
            }
        }
    }
}

/// A text, unless it is empty or something in it was lost.
fn plain(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER))
}

impl Candidate {
    fn name(&self) -> String {
        let form = match self.form {
            Form::Registered(format) => format.name(),
            Form::Json => "JSON",
            Form::Kafka(Primitive::Int) => "KAFKA_INT",
            Form::Kafka(Primitive::Bigint) => "KAFKA_BIGINT",
            Form::Kafka(Primitive::Double) => "KAFKA_DOUBLE",
            Form::Kafka(Primitive::String) => "KAFKA_STRING",
        };
        match self.windowed {
            Windowed::No => form.to_owned(),
            Windowed::Session => format!("SESSION({form})"),
            Windowed::Hopping => format!("HOPPING({form})"),
            Windowed::Tumbling => format!("TUMBLING({form})"),
        }
    }
}

impl Primitive {
    fn shown(self, bytes: &[u8]) -> Option<String> {
        Some(match self {
            Primitive::Int => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
            Primitive::Bigint => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
            Primitive::Double => Value::Double(f64::from_be_bytes(bytes.try_into().ok()?)).text(&SqlType::Double),
            Primitive::String => plain(bytes)?.to_owned(),
        })
    }
}

impl Windowed {
    /// The key and the bounds of its window: `[key@start/end]`. Windows of a length that the bytes do not tell end at `-`.
    fn shown(self, bytes: &[u8], form: impl Fn(&[u8]) -> Option<String>) -> Option<String> {
        match self {
            Windowed::No => form(bytes),
            Windowed::Hopping | Windowed::Tumbling => {
                let (key, start) = bound(bytes)?;
                Some(format!("[{}@{start}/-]", form(key)?))
            }
            // The end stands before the start.
            Windowed::Session => {
                let (rest, start) = bound(bytes)?;
                let (key, end) = bound(rest)?;
                let key = form(key).filter(|_| start <= end)?;
                Some(format!("[{key}@{start}/{end}]"))
            }
        }
    }
}

/// The bound at the end of `bytes`, and what stands before it.
fn bound(bytes: &[u8]) -> Option<(&[u8], i64)> {
    let (rest, last) = bytes.split_last_chunk::<8>()?;
    let bound = i64::from_be_bytes(*last);
    ((0..BOUND_MAX).contains(&bound) && !rest.is_empty()).then_some((rest, bound))
}

#[cfg(test)]
mod tests {
    use milena_schema::SchemaType;
    use milena_sql::formats::Field;
    use milena_sql::formats::registry::MemoryRegistry;

    use super::*;

    fn guess(side: Side) -> Guess {
        Guess::new("t", side, Arc::new(MemoryRegistry::default()))
    }

    fn after(side: Side, records: &[&[u8]]) -> Guess {
        let mut guess = guess(side);
        records.iter().for_each(|bytes| guess.narrow(Some(bytes)));
        guess
    }

    #[test]
    fn every_record_takes_away_what_it_cannot_be() {
        let mut guess = guess(Side::Key);
        guess.narrow(None);
        assert_eq!(guess.formats(), "¯\\_(ツ)_/¯ - no data processed");
        guess.narrow(Some(b"Die "));
        assert_eq!(guess.formats(), "KAFKA_INT or KAFKA_STRING");
        guess.narrow(Some(b"Hard"));
        guess.narrow(Some(b"again"));
        assert_eq!((guess.formats().as_str(), guess.show(Some(b"Hard"))), ("KAFKA_STRING", "Hard".to_owned()));
        assert_eq!(guess.show(None), "<null>");
        guess.narrow(Some(&[0xff, 0xfe, b'a', b'\\']));
        assert_eq!(guess.formats(), UNRECOGNISED);
        assert_eq!(guess.show(Some(&[0xff, 0x0a, b'a', b'\\'])), "\\xFF\\x0Aa\\x5C");
    }

    #[test]
    fn numbers_are_known_by_their_length() {
        assert_eq!(after(Side::Value, &[&7_i32.to_be_bytes()]).show(Some(&7_i32.to_be_bytes())), "7");
        let long = (-5_i64).to_be_bytes();
        let guess = after(Side::Value, &[&long]);
        assert_eq!(
            (guess.formats().as_str(), guess.show(Some(&long))),
            ("KAFKA_BIGINT or KAFKA_DOUBLE", "-5".to_owned())
        );
        assert_eq!(
            after(Side::Value, &[b"{\"a\": 1}"]).formats(),
            "JSON or KAFKA_BIGINT or KAFKA_DOUBLE or KAFKA_STRING"
        );
        assert_eq!(after(Side::Value, &[b"{\"a\": 1.50}"]).show(Some(b"{\"a\": 1.50}")), "{\"a\": 1.50}");
    }

    #[test]
    fn windows_of_keys_are_seen() {
        let at = |key: &[u8], bounds: &[i64]| {
            let bounds = bounds.iter().flat_map(|bound| bound.to_be_bytes());
            key.iter().copied().chain(bounds).collect::<Vec<u8>>()
        };
        let hopping = at(b"alice", &[1_562_630_400_000]);
        let guess = after(Side::Key, &[&hopping]);
        assert_eq!(guess.formats(), "HOPPING(KAFKA_STRING) or TUMBLING(KAFKA_STRING)");
        assert_eq!(guess.show(Some(&hopping)), "[alice@1562630400000/-]");
        let session = at(b"alice", &[1_562_630_400_009, 1_562_630_400_000]);
        assert_eq!(after(Side::Key, &[&session]).show(Some(&session)), "[alice@1562630400000/1562630400009]");
        assert_eq!(after(Side::Key, &[b"key20200529"]).formats(), "KAFKA_STRING");
        let json = at(b"{\"K\":1}", &[1_562_630_400_000]);
        let guess = after(Side::Key, &[&json]);
        let formats = guess.formats();
        assert!(formats.starts_with("HOPPING(JSON) or TUMBLING(JSON) or HOPPING(KAFKA_"), "{formats}");
        assert_eq!(guess.show(Some(&json)), "[{\"K\":1}@1562630400000/-]");
    }

    #[test]
    fn registered_schemas_show_records() {
        let registry = Arc::new(MemoryRegistry::default());
        let avro = r#"{"type":"record","name":"R","fields":[{"name":"title","type":["null","string"]},{"name":"n","type":"int"}]}"#;
        let avro = registry.register("a-value", SchemaType::Avro, avro).unwrap();
        let context = CodecContext { topic: "a".to_owned(), side: Side::Value, registry: registry.clone() };
        let fields: Vec<Field> = inference::fields(&avro.schema, None, "").unwrap();
        let spec = FormatSpec { schema_id: Some(avro.id), ..FormatSpec::plain(Format::Avro) };
        let codec = open(&spec, fields, &context).unwrap();
        let bytes = codec.encode(&[Value::string("Die Hard"), Value::Int(4)]).unwrap().unwrap();
        let mut guess = Guess::new("a", Side::Value, registry);
        guess.narrow(Some(&bytes));
        assert!(guess.formats().starts_with("AVRO"), "{}", guess.formats());
        assert_eq!(guess.show(Some(&bytes)), r#"{"title": "Die Hard", "n": 4}"#);
    }
}
