//! Functions of JSON texts.

use std::borrow::Cow;
use std::rc::Rc;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use milena_schema::document::{Members, Node, Spelling, double_text, quoted, read_first};

use super::cache::{Cache, cached};
use super::{Call, Category, Registry, optional};
use crate::expression::EvalError;
use crate::formats::json::number_text;
use crate::types::SqlType;
use crate::value::{MapValue, Value, brief_text, date_text, decimal_text, time_text, timestamp_text};

pub(super) fn register(registry: &mut Registry) {
    reading(registry);
    listing(registry);
    writing(registry);
}

fn reading(registry: &mut Registry) {
    registry
        .scalar(
            Category::Json,
            "extractjsonfield",
            "The value at a path, such as `$.a[\"b\"][0]`, of a JSON text: texts without quotes, all else as JSON.",
        )
        .strict("(input STRING, path STRING) STRING", |c| {
            let path = path(c.str(1))?;
            Ok(match document(c.str(0))? {
                Some(document) => optional(at_path(&document, &path).map(plain_text)),
                None if path.is_empty() => Value::from(""),
                None => Value::Null,
            })
        });
    registry
        .scalar(Category::Json, "IS_JSON_STRING", "Whether the text is JSON.")
        .nullable("(input STRING) BOOLEAN", |c| {
            Ok(Value::Boolean(!c.is_null(0) && matches!(read_first(c.str(0)), Ok(Some(_)))))
        });
    registry
        .scalar(
            Category::Json,
            "JSON_ARRAY_CONTAINS",
            "Whether the text is a JSON array with an element that equals the value.",
        )
        .nullable("(jsonArray STRING, val T) BOOLEAN", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let document = read_first(c.str(0)).ok().flatten();
            let elements = document.as_ref().and_then(Node::as_array).unwrap_or_default();
            Ok(Value::Boolean(elements.iter().any(|element| equals(element, c.value(1)))))
        });
    registry
        .scalar(
            Category::Json,
            "JSON_ARRAY_LENGTH",
            "The number of elements of a JSON array; null if the text is none.",
        )
        .strict("(jsonArray STRING) INT", |c| {
            let document = document(c.str(0))?;
            let elements = document.as_ref().and_then(Node::as_array);
            Ok(elements.map_or(Value::Null, |elements| Value::Int(elements.len() as i32)))
        });
}

/// The JSON at the beginning of a text with numbers as Java's decimals spell them; none in an empty text.
fn document(text: &str) -> Result<Option<Node>, EvalError> {
    let mut document = parsed(text)?;
    let spelling = |number: &str| {
        let text = number_text(number);
        (*text != *number).then(|| text.into_owned())
    };
    document.iter_mut().for_each(|node| respell(node, &spelling));
    Ok(document)
}

fn parsed(text: &str) -> Result<Option<Node>, EvalError> {
    read_first(text).map_err(|error| EvalError::new(format!("Invalid JSON format:{text}: {error}")))
}

/// Gives all numbers of a document another spelling, as far as they have one: most stay as they are.
fn respell(node: &mut Node, spelling: &dyn Fn(&str) -> Option<String>) {
    match node {
        Node::Number(text) => {
            if let Some(other) = spelling(text) {
                *text = other.into();
            }
        }
        Node::Array(elements) => elements.iter_mut().for_each(|element| respell(element, spelling)),
        Node::Object(members) => members.values_mut().for_each(|member| respell(member, spelling)),
        Node::Null | Node::Bool(_) | Node::String(_) => {}
    }
}

/// A number without a power of ten, where it has one.
fn plain_number(text: &str) -> Option<String> {
    if !text.contains(['e', 'E']) && text != "-0" {
        return None;
    }
    BigDecimal::from_str(text).ok().map(|number| brief_text(&number))
}

/// The steps of `$.a["b"][0]`: names, or positions where they lead into an array. Paths are kept, as almost all are
/// literals.
fn path(text: &str) -> Result<Rc<Vec<String>>, EvalError> {
    thread_local! {
        static CACHE: Cache<Vec<String>> = Cache::default();
    }
    let invalid = || EvalError::new(format!("Invalid JSON path: '{text}'"));
    cached(&CACHE, text, |text| read_path(text).ok_or_else(invalid))
}

fn read_path(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let step;
        (step, rest) = match rest.strip_prefix('.') {
            Some(after) => plain_step(after, ":@_")?,
            None => {
                let inner = rest.strip_prefix('[')?;
                let (step, after) = match inner.strip_prefix('"') {
                    Some(quoted) => quoted_step(quoted)?,
                    None => plain_step(inner, "_")?,
                };
                (step, after.strip_prefix(']')?)
            }
        };
        steps.push(step);
    }
    Some(steps)
}

/// Letters, digits and the given characters at the head of a text, and what follows.
fn plain_step<'a>(text: &'a str, others: &str) -> Option<(String, &'a str)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && !others.contains(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// A name up to its quotation mark; a backslash stands before one that is part of it, and before another backslash.
fn quoted_step(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((name, &text[at + 1..])),
            '\\' => name.push(characters.next().map(|(_, c)| c).filter(|c| matches!(c, '"' | '\\'))?),
            c => name.push(c),
        }
    }
    None
}

fn at_path<'a>(document: &'a Node, path: &[String]) -> Option<&'a Node> {
    path.iter().try_fold(document, |node, step| match node {
        Node::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        node => node.get(step),
    })
}

/// A text is itself, the rest JSON.
fn plain_text(node: &Node) -> String {
    match node {
        Node::String(text) => text.clone(),
        other => other.text(Spelling::AsRead),
    }
}

fn equals(node: &Node, value: &Value) -> bool {
    match (node, value) {
        (Node::Null, Value::Null) => true,
        (Node::Bool(truth), Value::Boolean(wanted)) => truth == wanted,
        (Node::String(text), Value::String(wanted)) => **text == **wanted,
        (Node::Number(_), Value::Int(_) | Value::Bigint(_)) => {
            node.as_i64().is_some() && node.as_i64() == value.as_i64()
        }
        (Node::Number(text), Value::Double(wanted)) => !node.is_integer() && text.parse() == Ok(*wanted),
        _ => false,
    }
}

fn listing(registry: &mut Registry) {
    registry.scalar(Category::Json, "JSON_KEYS", "The names of a JSON object; null if the text is none.").strict(
        "(jsonObj STRING) ARRAY<STRING>",
        |c| {
            Ok(match object(c)? {
                Some(members) => Value::array(members.keys().map(|name| Value::from(name.as_str())).collect()),
                None => Value::Null,
            })
        },
    );
    registry
        .scalar(
            Category::Json,
            "JSON_RECORDS",
            "The names of a JSON object with their values as texts; null if the text is none.",
        )
        .strict("(jsonObj STRING) MAP<STRING, STRING>", |c| {
            Ok(match object(c)? {
                Some(members) => {
                    let entries =
                        members.iter().map(|(name, node)| (Value::from(name.as_str()), Value::from(plain_text(node))));
                    Value::map(entries.collect::<MapValue>())
                }
                None => Value::Null,
            })
        });
    registry.scalar(Category::Json, "JSON_ITEMS", "The elements of a JSON array as JSON texts.").strict(
        "(jsonItems STRING) ARRAY<STRING>",
        |c| {
            Ok(match document(c.str(0))?.as_ref().and_then(Node::as_array) {
                Some(items) => {
                    Value::array(items.iter().map(|item| Value::from(item.text(Spelling::AsRead))).collect())
                }
                None => return Err(EvalError::new(format!("Invalid JSON format:{}", c.str(0)))),
            })
        },
    );
}

fn object(c: &Call<'_>) -> Result<Option<Members>, EvalError> {
    Ok(match document(c.str(0))? {
        Some(Node::Object(members)) => Some(members),
        _ => None,
    })
}

fn writing(registry: &mut Registry) {
    registry
        .scalar(
            Category::Json,
            "JSON_CONCAT",
            "JSON texts as one: the members of objects together, later ones first; else an array of all elements.",
        )
        .strict("(jsonStrings STRING...) STRING", |c| {
            let documents = (0..c.len()).map(|index| parsed(c.str(index)));
            let documents: Option<Vec<Node>> = documents.collect::<Result<_, _>>()?;
            Ok(optional(documents.and_then(concat).map(|mut document| {
                respell(&mut document, &plain_number);
                document.text(Spelling::AsRead)
            })))
        });
    registry
        .scalar(
            Category::Json,
            "TO_JSON_STRING",
            "Any value as JSON; members of objects are in the order of their names.",
        )
        .nullable("(input T) STRING", |c| {
            let mut output = String::new();
            write(c.value(0), c.argument_type(0), &mut output);
            Ok(Value::from(output))
        });
}

/// Objects become one object, in which later members replace earlier ones; with anything else all become one array.
fn concat(mut documents: Vec<Node>) -> Option<Node> {
    if documents.len() < 2 {
        return documents.pop();
    }
    if !documents.iter().all(|node| matches!(node, Node::Object(_))) {
        return Some(Node::Array(documents.into_iter().flat_map(elements).collect()));
    }
    let mut joined = Members::default();
    for node in documents {
        if let Node::Object(members) = node {
            joined.extend(members);
        }
    }
    Some(Node::Object(joined))
}

fn elements(node: Node) -> Vec<Node> {
    match node {
        Node::Array(elements) => elements,
        other => vec![other],
    }
}

/// Appends a value as JSON, with times as texts.
fn write(value: &Value, value_type: &SqlType, output: &mut String) {
    use base64::Engine as _;
    match (value, value_type) {
        (Value::Null, _) => output.push_str("null"),
        (Value::Double(number), _) if !number.is_finite() => quoted(&double_text(*number), output),
        (Value::String(text), _) => quoted(text, output),
        (Value::Decimal(number), _) => output.push_str(&decimal_text(number)),
        (Value::Date(days), _) => quoted(&date_text(*days), output),
        (Value::Time(ms), _) => quoted(&time_text(*ms), output),
        (Value::Timestamp(ms), _) => quoted(&timestamp_text(*ms), output),
        (Value::Bytes(bytes), _) => quoted(&base64::engine::general_purpose::STANDARD.encode(bytes), output),
        (Value::Array(items), SqlType::Array(item_type)) => {
            output.push('[');
            for (index, item) in items.iter().enumerate() {
                comma(index, output);
                write(item, item_type, output);
            }
            output.push(']');
        }
        (Value::Map(entries), SqlType::Map(key_type, entry_type)) => {
            output.push('{');
            let members = entries.iter().map(|(key, entry)| (key.text(key_type).into(), entry, &**entry_type));
            write_members(members.collect(), output);
            output.push('}');
        }
        (Value::Struct(fields), SqlType::Struct(structure)) => {
            output.push('{');
            let members = fields.iter().zip(&structure.fields);
            let members = members.map(|(field, declared)| ((&*declared.name).into(), field, &declared.field_type));
            write_members(members.collect(), output);
            output.push('}');
        }
        (value, value_type) => output.push_str(&value.text(value_type)),
    }
}

/// Appends members in the order of their names.
fn write_members(mut members: Vec<(Cow<'_, str>, &Value, &SqlType)>, output: &mut String) {
    members.sort_by(|(a, ..), (b, ..)| a.encode_utf16().cmp(b.encode_utf16()));
    for (index, (name, value, value_type)) in members.into_iter().enumerate() {
        comma(index, output);
        quoted(&name, output);
        output.push(':');
        write(value, value_type, output);
    }
}

fn comma(index: usize, output: &mut String) {
    if index > 0 {
        output.push(',');
    }
}
