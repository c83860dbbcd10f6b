//! [`Types`](super::Types) to text: the canonical form, which is what Java Avro's `Schema.toString()` prints, and the
//! normal form, which is the canonical form with everything that may be ordered freely in a fixed order.

use std::collections::HashSet;

use super::default_value::{self, Steps};
use super::types::{Field, Kind, Name, Naming, Order, Record, Type, TypeId, has_valid_logical_type};
use crate::document::{Members, Node, Spelling, quoted};

/// Writes the type `root`; the types called `known` are written by name only.
pub(super) fn canonical(types: &[Type], root: TypeId, known: &HashSet<String>) -> String {
    written(types, root, known, false)
}

/// As [`canonical`], in normal form: properties and aliases sorted, empty documentation dropped, default values
/// spelled uniformly.
pub(super) fn normal(types: &[Type], root: TypeId, known: &HashSet<String>) -> String {
    written(types, root, known, true)
}

/// The definition of the type `id`, with every other named type by name only.
pub(super) fn definition(types: &[Type], id: TypeId) -> String {
    let mut writer =
        Writer { types, known: Known::AllBut(id), normal: false, steps: Steps::default(), output: String::new() };
    writer.schema(id, None);
    writer.output
}

fn written(types: &[Type], root: TypeId, known: &HashSet<String>, normal: bool) -> String {
    let mut writer =
        Writer { types, known: Known::Names(known.clone()), normal, steps: Steps::default(), output: String::new() };
    writer.schema(root, None);
    writer.output
}

/// Which named types are written by name.
enum Known {
    /// Those that are defined already, by full name.
    Names(HashSet<String>),
    /// All but one.
    AllBut(TypeId),
}

impl Known {
    /// Whether a type is known; from now on it is.
    fn remember(&mut self, id: TypeId, name: &Name) -> bool {
        match self {
            Known::Names(names) => !names.insert(name.full().to_owned()),
            Known::AllBut(unknown) => id != *unknown,
        }
    }
}

struct Writer<'a> {
    types: &'a [Type],
    known: Known,
    normal: bool,
    steps: Steps,
    output: String,
}

impl Writer<'_> {
    fn schema(&mut self, id: TypeId, namespace: Option<&str>) {
        let types = self.types;
        let schema = &types[id.index()];
        if let Some(naming) = schema.kind.naming()
            && self.known.remember(id, &naming.name)
        {
            return quoted(naming.name.relative_to(namespace), &mut self.output);
        }
        match &schema.kind {
            Kind::Union(branches) => self.list(branches, |writer, branch| writer.schema(*branch, namespace)),
            Kind::Array(items) => self.container(schema, "items", *items, namespace),
            Kind::Map(values) => self.container(schema, "values", *values, namespace),
            Kind::Record(record) => {
                let kind = if record.is_error && !self.normal { "error" } else { "record" };
                self.open(kind, &record.naming, namespace);
                self.key("fields");
                self.list(&record.fields, |writer, field| writer.field(record, field));
                self.close(schema, &record.naming);
            }
            Kind::Enum(symbols) => {
                self.open("enum", &symbols.naming, namespace);
                self.key("symbols");
                self.list(&symbols.symbols, |writer, symbol| quoted(symbol, &mut writer.output));
                if let Some(default) = &symbols.default {
                    self.text("default", default);
                }
                self.close(schema, &symbols.naming);
            }
            Kind::Fixed(fixed) => {
                self.open("fixed", &fixed.naming, namespace);
                self.key("size");
                self.output.push_str(&fixed.size.to_string());
                self.close(schema, &fixed.naming);
            }
            primitive if schema.properties.is_empty() => quoted(primitive.name(), &mut self.output),
            primitive => {
                self.output.push('{');
                self.text("type", primitive.name());
                self.properties(schema);
                self.output.push('}');
            }
        }
    }

    fn container(&mut self, schema: &Type, attribute: &str, element: TypeId, namespace: Option<&str>) {
        self.output.push('{');
        self.text("type", schema.kind.name());
        self.key(attribute);
        self.schema(element, namespace);
        self.properties(schema);
        self.output.push('}');
    }

    /// Begins a named type.
    fn open(&mut self, kind: &str, naming: &Naming, enclosing: Option<&str>) {
        self.output.push('{');
        self.text("type", kind);
        self.text("name", naming.name.simple());
        if naming.name.namespace() != enclosing {
            self.text("namespace", naming.name.namespace().unwrap_or(""));
        }
        if let Some(doc) = naming.doc.as_deref().filter(|doc| !(self.normal && doc.is_empty())) {
            self.text("doc", doc);
        }
    }

    /// Ends a named type.
    fn close(&mut self, schema: &Type, naming: &Naming) {
        self.properties(schema);
        if !naming.aliases.is_empty() {
            let mut aliases: Vec<&Name> = naming.aliases.iter().collect();
            if self.normal {
                aliases.sort_by_key(|alias| alias.full());
            }
            self.key("aliases");
            let namespace = naming.name.namespace();
            self.list(&aliases, |writer, alias| quoted(alias.relative_to(namespace), &mut writer.output));
        }
        self.output.push('}');
    }

    fn field(&mut self, record: &Record, field: &Field) {
        self.output.push('{');
        self.text("name", &field.name);
        self.key("type");
        self.schema(field.type_id, record.naming.name.namespace());
        if let Some(doc) = &field.doc {
            self.text("doc", doc);
        }
        let dropped =
            |default: &Node| self.normal && !default_value::is_of_first_branch(self.types, field.type_id, default);
        if let Some(default) = field.default.as_ref().filter(|default| !dropped(default)) {
            self.key("default");
            if self.normal {
                let default = default_value::normal(self.types, field.type_id, default, &mut self.steps);
                default.write(Spelling::Java, &mut self.output);
            } else {
                default.write(Spelling::Java, &mut self.output);
            }
        }
        if field.order != Order::Ascending {
            self.text("order", field.order.name());
        }
        if !field.aliases.is_empty() {
            let mut seen = HashSet::new();
            let mut aliases: Vec<&String> = field.aliases.iter().filter(|alias| seen.insert(*alias)).collect();
            if self.normal {
                aliases.sort();
            }
            self.key("aliases");
            self.list(&aliases, |writer, alias| quoted(alias, &mut writer.output));
        }
        self.members(&field.properties, &[]);
        self.output.push('}');
    }

    /// Properties of a type; in normal form those of a valid logical type come first.
    fn properties(&mut self, schema: &Type) {
        let mut first = Vec::new();
        if self.normal && has_valid_logical_type(schema) {
            let is_decimal = schema.properties.get("logicalType").and_then(Node::as_str) == Some("decimal");
            let has_scale = schema.properties.get("scale").and_then(Node::as_i64).is_some_and(|scale| scale != 0);
            first.push("logicalType");
            if is_decimal {
                first.push("precision");
            }
            if is_decimal && has_scale {
                first.push("scale");
            }
        }
        self.members(&schema.properties, &first);
    }

    fn members(&mut self, members: &Members, first: &[&str]) {
        for name in first {
            if let Some(value) = members.get(*name) {
                self.key(name);
                value.write(Spelling::Java, &mut self.output);
            }
        }
        let mut rest: Vec<(&String, &Node)> =
            members.iter().filter(|(name, _)| !first.contains(&name.as_str())).collect();
        if self.normal {
            rest.sort_by_key(|(name, _)| *name);
        }
        for (name, value) in rest {
            self.key(name);
            if self.normal {
                default_value::sorted(value).write(Spelling::Java, &mut self.output);
            } else {
                value.write(Spelling::Java, &mut self.output);
            }
        }
    }

    fn key(&mut self, name: &str) {
        if !self.output.ends_with('{') {
            self.output.push(',');
        }
        quoted(name, &mut self.output);
        self.output.push(':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        quoted(value, &mut self.output);
    }

    fn list<T>(&mut self, elements: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.output.push('[');
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.output.push(',');
            }
            each(self, element);
        }
        self.output.push(']');
    }
}
