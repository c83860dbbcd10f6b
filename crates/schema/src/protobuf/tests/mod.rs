//! Tests of Protobuf schemas: canonical and normal texts, what is refused, evolution, dynamic messages.

use super::*;

mod canonical;
mod evolution;
mod messages;
mod refused;

fn reference(name: &str, text: &str) -> ResolvedReference {
    ResolvedReference { name: name.to_owned(), schema: text.to_owned(), direct: true }
}

fn stored(text: &str) -> ProtobufSchema {
    ProtobufSchema::parse(text, &[], &ParseOptions::STORED).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
