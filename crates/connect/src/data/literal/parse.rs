//! Text to a value, its schema inferred.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};

use super::{DATE_PATTERN, TIME_PATTERN, TIMESTAMP_PATTERN};
use crate::data::date_format::{DateFormat, MILLIS_PER_DAY};
use crate::data::number::{decimal_to_long, parse_decimal};
use crate::data::{Kind, Schema, SchemaRef, Typed, Value, logical, validate_value};

/// Nesting beyond this is text.
const DEPTH_MAX: usize = 100;

/// The value that a text means: null, a boolean, the smallest number type that holds it, a date, time or timestamp, an
/// array `[..]`, a map `{k:v}`, else the text itself. Never fails: what cannot be read is text.
pub fn parse(text: &str) -> Typed {
    if text.is_empty() {
        return string(text);
    }
    let mut parser = Parser { text, position: 0, next: None, previous: "" };
    parser.value(false, 0).unwrap_or_else(|NoLiteral| string(text))
}

/// The text is no literal of an array or map.
struct NoLiteral;

fn string(text: &str) -> Typed {
    Typed::new(Schema::new(Kind::String).into(), Value::String(text.to_owned()))
}

/// Splits into tokens: delimiters, and the text between them.
struct Parser<'a> {
    text: &'a str,
    position: usize,
    /// A token that was looked at, not taken.
    next: Option<&'a str>,
    previous: &'a str,
}

impl<'a> Parser<'a> {
    fn mark(&self) -> usize {
        self.position - self.next.map_or(0, str::len)
    }

    fn rewind(&mut self, position: usize) {
        self.position = position;
        self.next = None;
        self.previous = "";
    }

    fn has_next(&self) -> bool {
        self.next.is_some() || self.position < self.text.len()
    }

    fn take(&mut self) -> &'a str {
        self.previous = self.next.take().unwrap_or_else(|| self.token());
        self.previous
    }

    /// The text of the next `count` tokens.
    fn take_many(&mut self, count: usize) -> Option<&'a str> {
        let start = self.mark();
        for _ in 0..count {
            if !self.has_next() {
                self.rewind(start);
                return None;
            }
            self.take();
        }
        self.text.get(start..self.position)
    }

    fn token(&mut self) -> &'a str {
        let start = self.position;
        let mut escaped = false;
        for (index, byte) in self.text.bytes().enumerate().skip(start) {
            match byte {
                b'\\' => escaped = !escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !escaped => {
                    // A delimiter is a token of its own.
                    self.position = if index == start { index + 1 } else { index };
                    return &self.text[start..self.position];
                }
                _ => escaped = false,
            }
        }
        self.position = self.text.len();
        &self.text[start..]
    }

    /// Takes the next token if it is this one, blanks around it left aside.
    fn consume(&mut self, expected: &str) -> bool {
        if !self.has_next() {
            return false;
        }
        let mut token = self.next.take().unwrap_or_else(|| self.token());
        while trim(token).is_empty() && self.position < self.text.len() {
            token = self.token();
        }
        let found = trim(token) == expected;
        self.next = (!found).then_some(token);
        found
    }

    /// Takes a word that is a value by itself.
    fn consume_word(&mut self, word: &str, embedded: bool) -> bool {
        let start = self.mark();
        if self.consume(word) && (embedded || !self.has_next()) {
            return true;
        }
        self.rewind(start);
        false
    }

    fn value(&mut self, embedded: bool, depth: usize) -> Result<Typed, NoLiteral> {
        if !self.has_next() {
            return Ok(Typed::null());
        }
        if embedded && self.consume("\"") {
            return Ok(self.quoted());
        }
        if self.consume_word("null", embedded) {
            return Ok(Typed::null());
        }
        for (word, value) in [("true", true), ("false", false)] {
            if self.consume_word(word, embedded) {
                return Ok(Typed::new(Schema::new(Kind::Boolean).into(), Value::Boolean(value)));
            }
        }
        let start = self.mark();
        let nested = match () {
            () if depth >= DEPTH_MAX => Err(NoLiteral),
            () if self.consume("[") => self.array(depth + 1),
            () if self.consume("{") => self.map(depth + 1),
            () => Err(NoLiteral),
        };
        if let Ok(nested) = nested {
            return Ok(nested);
        }
        self.rewind(start);
        let token = self.take();
        match trim(token) {
            "" => Ok(string(token)),
            token => self.scalar(token, embedded),
        }
    }

    fn scalar(&mut self, token: &str, embedded: bool) -> Result<Typed, NoLiteral> {
        let is_digit = token.starts_with(|first: char| first.is_ascii_digit());
        if is_digit && let Some(temporal) = self.temporal_of_tokens(token) {
            return Ok(temporal);
        }
        if (is_digit || token.starts_with(['+', '-']))
            && let Some(number) = parse_decimal(token)
        {
            return Ok(number_of(number));
        }
        if embedded { Err(NoLiteral) } else { Ok(string(self.text)) }
    }

    /// A colon is a delimiter, so a time is five tokens.
    fn temporal_of_tokens(&mut self, token: &str) -> Option<Typed> {
        let start = self.mark();
        if let Some(rest) = self.take_many(4)
            && let Some(found) = temporal(&format!("{token}{rest}"))
        {
            return Some(found);
        }
        self.rewind(start);
        temporal(token)
    }

    fn quoted(&mut self) -> Typed {
        let mut content = String::new();
        while self.has_next() && !self.consume("\"") {
            content.push_str(self.take());
        }
        temporal(&content).unwrap_or_else(|| string(&content))
    }

    fn array(&mut self, depth: usize) -> Result<Typed, NoLiteral> {
        let mut elements = Vec::new();
        let mut common = Common::default();
        while self.has_next() {
            if self.consume("]") {
                return array_of(elements, common);
            }
            if self.consume(",") {
                return Err(NoLiteral);
            }
            let element = self.value(true, depth)?;
            common.merge(element.schema);
            elements.push(element.value);
            let position = self.mark();
            if self.consume("]") {
                self.rewind(position);
            } else if !self.consume(",") {
                return Err(NoLiteral);
            }
        }
        Err(NoLiteral)
    }

    fn map(&mut self, depth: usize) -> Result<Typed, NoLiteral> {
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let (mut keys, mut values) = (Common::default(), Common::default());
        while self.has_next() {
            if self.consume("}") {
                return map_of(entries, keys, values);
            }
            if self.consume(",") {
                return Err(NoLiteral);
            }
            let key = self.value(true, depth)?;
            if key.value.is_null() || !self.consume(":") {
                return Err(NoLiteral);
            }
            let value = self.value(true, depth)?;
            self.consume(",");
            keys.merge(key.schema);
            values.merge(value.schema);
            match entries.iter_mut().find(|(known, _)| *known == key.value) {
                Some((_, slot)) => *slot = value.value,
                None => entries.push((key.value, value.value)),
            }
        }
        Err(NoLiteral)
    }
}

/// As Java's `String.trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

fn array_of(elements: Vec<Value>, common: Common) -> Result<Typed, NoLiteral> {
    let Some(schema) = common.schema else { return Ok(Typed::schemaless(Value::Array(elements))) };
    let schema = Schema::new(Kind::Array(schema));
    let value = align(&schema, Value::Array(elements))?;
    Ok(typed(schema, value))
}

fn map_of(entries: Vec<(Value, Value)>, keys: Common, values: Common) -> Result<Typed, NoLiteral> {
    let (Some(keys), Some(values)) = (keys.schema, values.schema) else {
        return Ok(Typed::schemaless(Value::Map(entries)));
    };
    let schema = Schema::new(Kind::Map(keys, values));
    let value = align(&schema, Value::Map(entries))?;
    Ok(typed(schema, value))
}

/// Without a schema when one of the inner values has another type than the rest.
fn typed(schema: Schema, value: Value) -> Typed {
    match validate_value(None, &schema, &value) {
        Ok(()) => Typed::new(schema.into(), value),
        Err(_) => Typed::schemaless(value),
    }
}

/// The schema that all elements have, numbers widened.
#[derive(Default)]
struct Common {
    schema: Option<SchemaRef>,
    incompatible: bool,
}

impl Common {
    fn merge(&mut self, latest: Option<SchemaRef>) {
        let Some(latest) = latest.filter(|_| !self.incompatible) else { return };
        self.schema = match self.schema.take() {
            None => Some(latest),
            Some(known) => wider(known, latest),
        };
        self.incompatible = self.schema.is_none();
    }
}

fn wider(one: SchemaRef, other: SchemaRef) -> Option<SchemaRef> {
    if std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind) {
        return Some(other);
    }
    let (first, second) = (rank(&one)?, rank(&other)?);
    Some(if first > second { one } else { other })
}

/// Place of a number type among those that hold it.
fn rank(schema: &Schema) -> Option<u8> {
    Some(match schema.kind {
        Kind::Int8 => 0,
        Kind::Int16 => 1,
        Kind::Int32 => 2,
        Kind::Int64 => 3,
        Kind::Float32 => 4,
        Kind::Float64 => 5,
        _ => return None,
    })
}

/// The value as one of the common schema.
fn align(schema: &Schema, value: Value) -> Result<Value, NoLiteral> {
    let double = match &value {
        Value::Null => return Err(NoLiteral),
        Value::Array(_) | Value::Map(_) => return align_nested(schema, value),
        Value::Int8(value) => f64::from(*value),
        Value::Int16(value) => f64::from(*value),
        Value::Int32(value) => f64::from(*value),
        Value::Int64(value) => *value as f64,
        Value::Float32(value) => f64::from(*value),
        _ => return Ok(value),
    };
    let whole = match &value {
        Value::Int8(value) => i64::from(*value),
        Value::Int16(value) => i64::from(*value),
        Value::Int32(value) => i64::from(*value),
        Value::Int64(value) => *value,
        _ => double as i64,
    };
    Ok(match (&schema.kind, schema.name.is_some()) {
        (Kind::Int16, false) => Value::Int16(whole as i16),
        (Kind::Int32, false) => Value::Int32(whole as i32),
        (Kind::Int64, false) => Value::Int64(whole),
        (Kind::Float32, false) => Value::Float32(double as f32),
        (Kind::Float64, false) => Value::Float64(double),
        (Kind::Int32, true) if schema.is_named(logical::DATE) => Value::Date(whole as i32),
        (Kind::Int32, true) => Value::Time(whole as i32),
        (Kind::Int64, true) => Value::Timestamp(whole),
        _ => value,
    })
}

fn align_nested(schema: &Schema, value: Value) -> Result<Value, NoLiteral> {
    match (&schema.kind, value) {
        (Kind::Array(schema), Value::Array(elements)) => {
            let elements: Result<Vec<Value>, NoLiteral> =
                elements.into_iter().map(|element| align(schema, element)).collect();
            elements.map(Value::Array)
        }
        (Kind::Map(keys, values), Value::Map(entries)) => {
            let entry = |(key, value)| Ok((align(keys, key)?, align(values, value)?));
            let entries: Result<Vec<(Value, Value)>, NoLiteral> = entries.into_iter().map(entry).collect();
            entries.map(Value::Map)
        }
        (_, value) => Ok(value),
    }
}

/// The smallest integer type, else a float when it has a fraction, else a decimal.
fn number_of(decimal: BigDecimal) -> Typed {
    let typed = |kind, value| Typed::new(Schema::new(kind).into(), value);
    if decimal.with_scale_round(0, RoundingMode::Floor) == decimal
        && let Some(whole) = decimal.to_i64()
    {
        return match whole {
            _ if i8::try_from(whole).is_ok() => typed(Kind::Int8, Value::Int8(whole as i8)),
            _ if i16::try_from(whole).is_ok() => typed(Kind::Int16, Value::Int16(whole as i16)),
            _ if i32::try_from(whole).is_ok() => typed(Kind::Int32, Value::Int32(whole as i32)),
            _ => typed(Kind::Int64, Value::Int64(decimal_to_long(&decimal))),
        };
    }
    let (_, scale) = decimal.as_bigint_and_exponent();
    let text = decimal.to_string();
    if scale != 0
        && let Some(float) = text.parse::<f32>().ok().filter(|float| float.is_finite())
    {
        return typed(Kind::Float32, Value::Float32(float));
    }
    if scale != 0
        && let Some(double) = text.parse::<f64>().ok().filter(|double| double.is_finite())
    {
        return typed(Kind::Float64, Value::Float64(double));
    }
    let scale = i32::try_from(scale).unwrap_or_default();
    Typed::new(logical::decimal(scale).into(), Value::Decimal(decimal))
}

/// A date, time or timestamp, which the length tells apart.
fn temporal(token: &str) -> Option<Typed> {
    // Colons may be escaped.
    let token = token.replace("\\:", ":");
    let pattern = match token.encode_utf16().count() {
        10 => DATE_PATTERN,
        13 => TIME_PATTERN,
        24 => TIMESTAMP_PATTERN,
        _ => return None,
    };
    let millis = DateFormat::new(pattern).ok()?.parse(&token).ok()?;
    Some(match pattern {
        DATE_PATTERN => {
            let days = i32::try_from(millis.div_euclid(MILLIS_PER_DAY)).ok()?;
            Typed::new(logical::date().into(), Value::Date(days))
        }
        TIME_PATTERN => Typed::new(logical::time().into(), Value::Time(i32::try_from(millis).ok()?)),
        _ => Typed::new(logical::timestamp().into(), Value::Timestamp(millis)),
    })
}
