//! Functions of JSON texts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use milena_schema::document::{Members, Node, Spelling, double_text, quoted, read};

use super::{Call, Category, Registry, optional};
use crate::expression::EvalError;
use crate::types::SqlType;
use crate::value::{MapValue, Value, date_text, decimal_text, time_text, timestamp_text};

pub(super) fn register(registry: &mut Registry) {
    reading(registry);
    listing(registry);
    writing(registry);
}

fn reading(registry: &mut Registry) {
    registry
        .scalar(
            Category::Json,
            "EXTRACTJSONFIELD",
            "The value at a path, such as `$.a.b[0]`, of a JSON text: texts without quotes, all else as JSON.",
        )
        .strict("(json STRING, path STRING) STRING", |c| {
            let path = path(c.str(1))?;
            let document = read(c.str(0)).map_err(|error| EvalError::new(format!("Invalid JSON format: {error}")))?;
            Ok(optional(at_path(&document, &path).and_then(plain_text)))
        });
    registry
        .scalar(Category::Json, "IS_JSON_STRING", "Whether the text is JSON.")
        .nullable("(text STRING) BOOLEAN", |c| Ok(Value::Boolean(!c.is_null(0) && parsed(c.str(0)).is_some())));
    registry
        .scalar(
            Category::Json,
            "JSON_ARRAY_CONTAINS",
            "Whether the text is a JSON array with an element that equals the value.",
        )
        .nullable("(json STRING, value T) BOOLEAN", |c| {
            let document = if c.is_null(0) { None } else { parsed(c.str(0)) };
            let elements = document.as_ref().and_then(Node::as_array).unwrap_or_default();
            Ok(Value::Boolean(elements.iter().any(|element| equals(element, c.value(1)))))
        });
    registry
        .scalar(
            Category::Json,
            "JSON_ARRAY_LENGTH",
            "The number of elements of a JSON array; null if the text is none.",
        )
        .strict("(json STRING) INT", |c| {
            let document = read(c.str(0)).map_err(|error| EvalError::new(format!("Invalid JSON format: {error}")))?;
            Ok(document.as_array().map_or(Value::Null, |elements| Value::Int(elements.len() as i32)))
        });
}

/// An empty text is no JSON.
fn parsed(text: &str) -> Option<Node> {
    read(text).ok()
}

/// One step of a path.
enum Step {
    Field(String),
    Index(usize),
}

/// The steps of `$.a['b'][0]`; paths are kept, as almost all are literals.
fn path(text: &str) -> Result<Rc<Vec<Step>>, EvalError> {
    thread_local! {
        static CACHE: RefCell<HashMap<String, Rc<Vec<Step>>>> = RefCell::new(HashMap::new());
    }
    CACHE.with_borrow_mut(|cache| {
        if let Some(steps) = cache.get(text) {
            return Ok(steps.clone());
        }
        let steps = Rc::new(read_path(text).ok_or_else(|| EvalError::new(format!("Invalid JSON path: {text}")))?);
        if cache.len() >= 256 {
            cache.clear();
        }
        cache.insert(text.to_owned(), steps.clone());
        Ok(steps)
    })
}

fn read_path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Field(after[..end].trim_matches(['"', '\'']).to_owned()));
            rest = &after[end..];
        } else {
            let (inner, after) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(match inner.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Field(inner.trim_matches(['"', '\'']).to_owned()),
            });
            rest = after;
        }
    }
    Some(steps)
}

fn at_path<'a>(document: &'a Node, path: &[Step]) -> Option<&'a Node> {
    path.iter().try_fold(document, |node, step| match step {
        Step::Field(name) => node.get(name),
        Step::Index(index) => node.as_array()?.get(*index),
    })
}

/// Null is nothing, a text itself, the rest JSON.
fn plain_text(node: &Node) -> Option<String> {
    match node {
        Node::Null => None,
        Node::String(text) => Some(text.clone()),
        other => Some(other.text(Spelling::AsRead)),
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
        (Node::Number(text), Value::Decimal(wanted)) => {
            text.parse().is_ok_and(|number: bigdecimal::BigDecimal| number == **wanted)
        }
        _ => false,
    }
}

fn listing(registry: &mut Registry) {
    registry.scalar(Category::Json, "JSON_KEYS", "The names of a JSON object; null if the text is none.").strict(
        "(json STRING) ARRAY<STRING>",
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
        .strict("(json STRING) MAP<STRING, STRING>", |c| {
            Ok(match object(c)? {
                Some(members) => {
                    let entries = members.iter().map(|(name, node)| {
                        let text = match node {
                            Node::String(text) => text.clone(),
                            other => other.text(Spelling::AsRead),
                        };
                        (Value::from(name.as_str()), Value::from(text))
                    });
                    Value::map(entries.collect::<MapValue>())
                }
                None => Value::Null,
            })
        });
    registry.scalar(Category::Json, "JSON_ITEMS", "The elements of a JSON array as JSON texts.").strict(
        "(json STRING) ARRAY<STRING>",
        |c| {
            let document = read(c.str(0)).map_err(|error| EvalError::new(format!("Invalid JSON format: {error}")))?;
            Ok(match document.as_array() {
                Some(items) => {
                    Value::array(items.iter().map(|item| Value::from(item.text(Spelling::AsRead))).collect())
                }
                None => return Err(EvalError::new("JSON_ITEMS needs a JSON array")),
            })
        },
    );
}

fn object(c: &Call<'_>) -> Result<Option<Members>, EvalError> {
    match read(c.str(0)) {
        Ok(Node::Object(members)) => Ok(Some(members)),
        Ok(_) => Ok(None),
        Err(error) => Err(EvalError::new(format!("Invalid JSON format: {error}"))),
    }
}

fn writing(registry: &mut Registry) {
    registry
        .scalar(
            Category::Json,
            "JSON_CONCAT",
            "JSON texts as one: the members of objects together, later ones first; else an array of all elements.",
        )
        .strict("(jsons STRING...) STRING", |c| {
            let documents: Option<Vec<Node>> = (0..c.len()).map(|index| parsed(c.str(index))).collect();
            Ok(documents
                .and_then(|all| all.into_iter().reduce(concat))
                .map_or(Value::Null, |document| Value::from(document.text(Spelling::AsRead))))
        });
    registry.scalar(Category::Json, "TO_JSON_STRING", "Any value as JSON.").nullable("(value ANY) STRING", |c| {
        let mut output = String::new();
        write(c.value(0), c.argument_type(0), &mut output);
        Ok(Value::from(output))
    });
}

fn concat(left: Node, right: Node) -> Node {
    match (left, right) {
        (Node::Object(mut left), Node::Object(right)) => {
            left.extend(right);
            Node::Object(left)
        }
        (left, right) => {
            let mut elements = elements(left);
            elements.extend(self::elements(right));
            Node::Array(elements)
        }
    }
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
            for (index, (key, entry)) in entries.in_hash_order().into_iter().enumerate() {
                comma(index, output);
                quoted(&key.text(key_type), output);
                output.push(':');
                write(entry, entry_type, output);
            }
            output.push('}');
        }
        (Value::Struct(fields), SqlType::Struct(structure)) => {
            output.push('{');
            for (index, (field, declared)) in fields.iter().zip(&structure.fields).enumerate() {
                comma(index, output);
                quoted(&declared.name, output);
                output.push(':');
                write(field, &declared.field_type, output);
            }
            output.push('}');
        }
        (value, value_type) => output.push_str(&value.text(value_type)),
    }
}

fn comma(index: usize, output: &mut String) {
    if index > 0 {
        output.push(',');
    }
}
