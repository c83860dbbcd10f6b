//! Rust names for the protocol's names, and one name for every nested struct.

use std::collections::HashSet;

use super::model::{Field, Fields, Message, Struct, Type};

/// `TopicData` → `topic_data`, `V3AndBelowTopics` → `v3_and_below_topics`, `KRaftVersion` → `kraft_version`.
pub fn snake(name: &str) -> String {
    let name: Vec<char> = name.replace("KRaft", "Kraft").chars().collect();
    let mut out = String::new();
    for (i, c) in name.iter().enumerate() {
        if c.is_uppercase() && i > 0 {
            let after_lower = !name[i - 1].is_uppercase();
            let before_lower = name.get(i + 1).is_some_and(|next| next.is_lowercase());
            if after_lower || before_lower {
                out.push('_');
            }
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// A field's identifier; keywords become raw identifiers.
pub fn field_ident(name: &str) -> String {
    match snake(name).as_str() {
        keyword @ ("type" | "match") => format!("r#{keyword}"),
        other => other.to_owned(),
    }
}

/// `TopicData` → `topicData`.
pub fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

/// `UNKNOWN_TOPIC_ID` → `UnknownTopicId`.
pub fn pascal_from_screaming(name: &str) -> String {
    name.split('_')
        .map(|word| word.chars().take(1).chain(word.to_lowercase().chars().skip(1)).collect::<String>())
        .collect()
}

/// The type name for the elements of an array field: `Entries` → `Entry`, `StateBatches` → `StateBatch`,
/// `Topics` → `Topic`, `Status` stays.
pub fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for (plural, one) in [("sses", "ss"), ("ches", "ch")] {
        if let Some(stem) = name.strip_suffix(plural) {
            return format!("{stem}{one}");
        }
    }
    let keeps_s = ["ss", "us", "is"].iter().any(|end| name.ends_with(end));
    match name.strip_suffix('s') {
        Some(stem) if !keeps_s => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// Gives every in-place struct a name and lists all structs of the message, the message itself first.
///
/// A nested struct is called as its field (singular in an array); when the name is taken in this message,
/// the name of the struct around it is put before it.
pub fn resolve(message: &Message) -> Vec<Struct> {
    let mut taken: HashSet<String> = message.named.iter().map(|(name, _)| name.clone()).collect();
    taken.insert(message.name.clone());
    let mut resolver = Resolver { taken, structs: Vec::new() };
    let doc = format!("`{}`, {}.", message.name, message.versions);
    resolver.add(&message.name, doc, &message.fields);
    for (name, fields) in &message.named {
        resolver.add(name, format!("`{name}` in {}.", message.name), fields);
    }
    resolver.structs
}

struct Resolver {
    taken: HashSet<String>,
    structs: Vec<Struct>,
}

impl Resolver {
    fn add(&mut self, name: &str, doc: String, fields: &[Field]) {
        let index = self.structs.len();
        self.structs.push(Struct { name: name.to_owned(), doc, fields: Vec::new() });
        let fields = fields.iter().map(|field| self.field(name, field)).collect();
        self.structs[index].fields = fields;
    }

    fn field(&mut self, parent: &str, field: &Field) -> Field {
        let mut field = field.clone();
        field.ty = match field.ty {
            Type::Inline(Fields(inner)) => self.nested(parent, &field.name, false, &inner),
            Type::Array(element) => match *element {
                Type::Inline(Fields(inner)) => Type::Array(Box::new(self.nested(parent, &field.name, true, &inner))),
                other => Type::Array(Box::new(other)),
            },
            other => other,
        };
        field
    }

    fn nested(&mut self, parent: &str, field: &str, in_array: bool, inner: &[Field]) -> Type {
        let pascal: String =
            camel(field).chars().take(1).flat_map(char::to_uppercase).chain(field.chars().skip(1)).collect();
        let mut name = if in_array { singular(&pascal) } else { pascal };
        if self.taken.contains(&name) {
            name = format!("{parent}{name}");
        }
        assert!(self.taken.insert(name.clone()), "two structs called {name}");
        let doc = format!("`{field}` in [`{parent}`].");
        self.add(&name, doc, inner);
        Type::Named(name)
    }
}
