//! Tests of JSON schemas: texts, what is refused, evolution, values.

use super::*;

mod evolution;
mod texts;
mod values;

fn reference(name: &str, text: &str) -> ResolvedReference {
    ResolvedReference { name: name.to_owned(), schema: text.to_owned(), direct: true }
}

fn new(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[], &ParseOptions::NEW).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
