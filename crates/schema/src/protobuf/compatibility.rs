//! Schema evolution: which changes between an old and a new file break readers of old data.
//!
//! Fields are matched by number, messages by name. A message that a field refers to is compared wherever it is
//! declared; a field whose message became incompatible is a finding of its own. Pairs of messages are worked off a
//! list and verdicts spread backwards along it, so recursive and very long chains of messages cost no stack.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::ast::*;
use super::types::{TypeIndex, TypeInfo, qualified};
use crate::Incompatibility;

/// What forbids a reader with the file `update` to read what was written with `original`.
pub fn compare<'a>(
    original: (&'a ProtoFile, &'a TypeIndex<'a>),
    update: (&'a ProtoFile, &'a TypeIndex<'a>),
) -> Vec<Incompatibility> {
    let mut comparison = Comparison {
        original: original.1,
        update: update.1,
        pairs: Vec::new(),
        known: HashMap::new(),
        findings: Vec::new(),
    };
    let package = |file: &'a ProtoFile| file.package.as_deref().unwrap_or_default();
    let (old_package, new_package) = (package(original.0), package(update.0));
    if old_package != new_package {
        comparison.find(None, Rule::PackageChanged, String::new());
    }
    comparison.types((&original.0.types, old_package), (&update.0.types, new_package), "", None);
    let mut next = 0;
    while next < comparison.pairs.len() {
        comparison.message_pair(next);
        next += 1;
    }
    comparison.verdict()
}

/// The changes that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    PackageChanged,
    MessageRemoved,
    FieldKindChanged,
    FieldScalarKindChanged,
    FieldNamedTypeChanged,
    FieldNumericLabelChanged,
    RequiredFieldAdded,
    RequiredFieldRemoved,
    OneofFieldRemoved,
    MultipleFieldsMovedToOneof,
    FieldMovedToExistingOneof,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Rule::PackageChanged => "PACKAGE_CHANGED",
            Rule::MessageRemoved => "MESSAGE_REMOVED",
            Rule::FieldKindChanged => "FIELD_KIND_CHANGED",
            Rule::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            Rule::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            Rule::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            Rule::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            Rule::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            Rule::OneofFieldRemoved => "ONEOF_FIELD_REMOVED",
            Rule::MultipleFieldsMovedToOneof => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            Rule::FieldMovedToExistingOneof => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }

    fn describe(self, path: &str) -> String {
        match self {
            Rule::PackageChanged => format!("The packages of the old and the new schema differ at path '{path}'"),
            Rule::MessageRemoved => format!("The new schema lacks the message at path '{path}' of the old schema"),
            Rule::FieldKindChanged => {
                format!("The field at path '{path}' is of another kind (scalar, message, map) than in the old schema")
            }
            Rule::FieldScalarKindChanged => {
                format!("The scalar field at path '{path}' is encoded otherwise than in the old schema")
            }
            Rule::FieldNamedTypeChanged => {
                format!("The message type of the field at path '{path}' does not match its type in the old schema")
            }
            Rule::FieldNumericLabelChanged => {
                format!("The label of the numeric field at path '{path}' differs from the old schema")
            }
            Rule::RequiredFieldAdded => format!("The required field at path '{path}' is missing in the old schema"),
            Rule::RequiredFieldRemoved => {
                format!("The new schema lacks the required field at path '{path}' of the old schema")
            }
            Rule::OneofFieldRemoved => {
                format!("The new schema lacks the oneof field at path '{path}' of the old schema")
            }
            Rule::MultipleFieldsMovedToOneof => {
                format!("Several fields of the oneof at path '{path}' are outside of a oneof in the old schema")
            }
            Rule::FieldMovedToExistingOneof => {
                format!("A field of the oneof at path '{path}' is outside of that oneof in the old schema")
            }
        }
    }
}

/// An old and a new message, by full name.
struct Pair<'a> {
    original: &'a Message,
    update: &'a Message,
    original_scope: String,
    update_scope: String,
    /// Names from the outermost message inwards, joined by `/`.
    path: String,
    incompatible: bool,
    /// Pairs that are incompatible when this one is, with the field that refers to this one.
    users: Vec<(usize, Option<String>)>,
}

struct Finding {
    pair: Option<usize>,
    rule: Rule,
    path: String,
}

struct Comparison<'a> {
    original: &'a TypeIndex<'a>,
    update: &'a TypeIndex<'a>,
    pairs: Vec<Pair<'a>>,
    known: HashMap<(String, String), usize>,
    findings: Vec<Finding>,
}

impl<'a> Comparison<'a> {
    fn find(&mut self, pair: Option<usize>, rule: Rule, path: String) {
        self.findings.push(Finding { pair, rule, path });
    }

    /// Messages of one scope, matched by name. Enums may change at will: they are numbers on the wire.
    fn types(
        &mut self,
        (original, original_scope): (&'a [TypeDecl], &str),
        (update, update_scope): (&'a [TypeDecl], &str),
        path: &str,
        parent: Option<usize>,
    ) {
        let updates: HashMap<&str, &Message> =
            messages(update).map(|message| (message.name.as_str(), message)).collect();
        let mut seen = HashSet::new();
        for message in messages(original).filter(|message| seen.insert(message.name.as_str())) {
            let path = joined(path, &message.name);
            match updates.get(message.name.as_str()) {
                Some(updated) => {
                    let names = (qualified(original_scope, &message.name), qualified(update_scope, &message.name));
                    let pair = self.pair((message, names.0), (updated, names.1), path);
                    self.pairs[pair].users.extend(parent.map(|parent| (parent, None)));
                }
                None if message.is_map_entry() => {}
                None => self.find(parent, Rule::MessageRemoved, path),
            }
        }
    }

    /// The number of a pair, which is put on the list the first time.
    fn pair(
        &mut self,
        (original, original_scope): (&'a Message, String),
        (update, update_scope): (&'a Message, String),
        path: String,
    ) -> usize {
        let next = self.pairs.len();
        let number = *self.known.entry((original_scope.clone(), update_scope.clone())).or_insert(next);
        if number == next {
            let (incompatible, users) = (false, Vec::new());
            self.pairs.push(Pair { original, update, original_scope, update_scope, path, incompatible, users });
        }
        number
    }

    fn message_pair(&mut self, number: usize) {
        let Pair { original, update, ref original_scope, ref update_scope, ref path, .. } = self.pairs[number];
        let (original_scope, update_scope, path) = (original_scope.clone(), update_scope.clone(), path.clone());
        let (old, new) = (Members::of(original), Members::of(update));
        let deleted = old.wholly_deleted(&new);
        self.oneofs(number, &old, update, &path);
        for field_number in old.fields.keys().chain(new.fields.keys()).copied().collect::<BTreeSet<_>>() {
            let (old_oneof, new_oneof) = (old.oneof_of.get(&field_number), new.oneof_of.get(&field_number));
            let place = |oneof: Option<&&str>| {
                let path = oneof.map_or_else(|| path.clone(), |oneof| joined(&path, oneof));
                joined(&path, &field_number.to_string())
            };
            match (old.fields.get(&field_number), new.fields.get(&field_number)) {
                (Some(old_field), None) => match old_oneof {
                    Some(oneof) if !deleted.contains(*oneof) => {
                        self.find(Some(number), Rule::OneofFieldRemoved, place(old_oneof));
                    }
                    None if old_field.label == Some(Label::Required) => {
                        self.find(Some(number), Rule::RequiredFieldRemoved, place(None));
                    }
                    _ => {}
                },
                (None, Some(new_field)) => {
                    if new_oneof.is_none() && new_field.label == Some(Label::Required) {
                        self.find(Some(number), Rule::RequiredFieldAdded, place(None));
                    }
                }
                (Some(old_field), Some(new_field)) => {
                    let sides = FieldPair {
                        pair: number,
                        path: place(new_oneof),
                        labels: (old_field.label, new_field.label),
                        scopes: (&original_scope, &update_scope),
                        in_map: false,
                    };
                    self.field_types(&sides, &old_field.field_type, &new_field.field_type);
                }
                (None, None) => {}
            }
        }
        self.types((&original.types, &original_scope), (&update.types, &update_scope), &path, Some(number));
    }

    /// Fields that could be set together and no longer can: only one of them survives reading.
    fn oneofs(&mut self, number: usize, old: &Members<'_>, update: &Message, path: &str) {
        for oneof in &update.oneofs {
            let mut origins = HashSet::new();
            let mut moved_in = 0;
            for field in &oneof.fields {
                if let Some(origin) = old.oneof_of.get(&field.number) {
                    origins.insert(Ok(*origin));
                } else if old.fields.contains_key(&field.number) {
                    origins.insert(Err(field.number));
                    moved_in += 1;
                }
            }
            if origins.len() > 1 {
                let rule =
                    if moved_in > 1 { Rule::MultipleFieldsMovedToOneof } else { Rule::FieldMovedToExistingOneof };
                self.find(Some(number), rule, joined(path, &oneof.name));
            }
        }
    }

    fn field_types(&mut self, sides: &FieldPair<'_>, original: &FieldType, update: &FieldType) {
        let old = Meaning::of(original, self.original, sides.scopes.0);
        let new = Meaning::of(update, self.update, sides.scopes.1);
        match (old, new) {
            (Meaning::Scalar(old), Meaning::Scalar(new)) => self.scalars(sides, old, new),
            (Meaning::Message(old), Meaning::Message(new)) => self.messages(sides, old, new),
            // A map cannot hold maps; a descriptor that says so all the same is not followed in circles.
            (Meaning::Map(_), Meaning::Map(_)) if sides.in_map => {}
            (Meaning::Map(old), Meaning::Map(new)) => {
                for ((old, old_scope), (new, new_scope)) in [(old.key, new.key), (old.value, new.value)] {
                    let entry = FieldPair {
                        pair: sides.pair,
                        path: sides.path.clone(),
                        labels: (None, None),
                        scopes: (&old_scope, &new_scope),
                        in_map: true,
                    };
                    self.field_types(&entry, &FieldType::Plain(old), &FieldType::Plain(new));
                }
            }
            _ => self.find(Some(sides.pair), Rule::FieldKindChanged, sides.path.clone()),
        }
    }

    fn scalars(&mut self, sides: &FieldPair<'_>, old: WireGroup, new: WireGroup) {
        if old != new {
            self.find(Some(sides.pair), Rule::FieldScalarKindChanged, sides.path.clone());
        } else if old != WireGroup::StringOrBytes && matches!(sides.labels, (Some(old), Some(new)) if old != new) {
            self.find(Some(sides.pair), Rule::FieldNumericLabelChanged, sides.path.clone());
        }
    }

    fn messages(&mut self, sides: &FieldPair<'_>, old: Named<'a>, new: Named<'a>) {
        if old.local_name() != new.local_name() {
            self.find(Some(sides.pair), Rule::FieldNamedTypeChanged, sides.path.clone());
            return;
        }
        let messages = (old.info.and_then(TypeInfo::as_message), new.info.and_then(TypeInfo::as_message));
        if let (Some(old_message), Some(new_message)) = messages {
            let path = old.local_name().replace('.', "/");
            let pair = self.pair((old_message, old.name), (new_message, new.name), path);
            self.pairs[pair].users.push((sides.pair, Some(sides.path.clone())));
        }
    }

    /// Spreads incompatibility to the users of incompatible pairs and lists all findings.
    fn verdict(mut self) -> Vec<Incompatibility> {
        let mut incompatible: Vec<usize> = self.findings.iter().filter_map(|finding| finding.pair).collect();
        let mut reported = HashSet::new();
        while let Some(number) = incompatible.pop() {
            if std::mem::replace(&mut self.pairs[number].incompatible, true) {
                continue;
            }
            for (user, field) in std::mem::take(&mut self.pairs[number].users) {
                incompatible.push(user);
                if let Some(path) = field.filter(|path| reported.insert(path.clone())) {
                    self.find(Some(user), Rule::FieldNamedTypeChanged, path);
                }
            }
        }
        let mut listed = HashSet::new();
        let findings = self.findings.into_iter().map(|finding| (finding.rule.name(), finding.rule, finding.path));
        findings
            .filter(|(name, _, path)| listed.insert((*name, path.clone())))
            .map(|(name, rule, path)| {
                let location = format!("#/{path}");
                Incompatibility {
                    error_type: name.to_owned(),
                    description: rule.describe(&location),
                    location,
                    additional_info: None,
                }
            })
            .collect()
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// Where two types of one field are compared.
struct FieldPair<'s> {
    pair: usize,
    path: String,
    labels: (Option<Label>, Option<Label>),
    scopes: (&'s str, &'s str),
    /// Whether they are the keys or values of a map.
    in_map: bool,
}

/// The fields of a message by number.
struct Members<'a> {
    fields: BTreeMap<i32, &'a Field>,
    oneof_of: HashMap<i32, &'a str>,
    oneofs: HashMap<&'a str, &'a OneOf>,
}

impl<'a> Members<'a> {
    fn of(message: &'a Message) -> Self {
        let mut members = Members {
            fields: message.fields.iter().map(|field| (field.number, field)).collect(),
            oneof_of: HashMap::new(),
            oneofs: message.oneofs.iter().map(|oneof| (oneof.name.as_str(), oneof)).collect(),
        };
        for oneof in &message.oneofs {
            for field in &oneof.fields {
                members.fields.insert(field.number, field);
                members.oneof_of.insert(field.number, &oneof.name);
            }
        }
        members
    }

    /// The oneofs that are gone from `new` with every field they had, which readers do not notice.
    fn wholly_deleted(&self, new: &Members<'_>) -> HashSet<&'a str> {
        let gone = self.oneofs.iter().filter(|(name, _)| !new.oneofs.contains_key(**name));
        let whole = gone.filter(|(_, oneof)| oneof.fields.iter().all(|field| !new.fields.contains_key(&field.number)));
        whole.map(|(name, _)| *name).collect()
    }
}

/// Scalars that share an encoding may replace each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WireGroup {
    GeneralNumber,
    SignedNumber,
    Fixed32,
    Fixed64,
    Float,
    Double,
    StringOrBytes,
}

impl WireGroup {
    fn of(scalar: &str) -> Option<Self> {
        Some(match scalar {
            "int32" | "int64" | "uint32" | "uint64" | "bool" => WireGroup::GeneralNumber,
            "sint32" | "sint64" => WireGroup::SignedNumber,
            "fixed32" | "sfixed32" => WireGroup::Fixed32,
            "fixed64" | "sfixed64" => WireGroup::Fixed64,
            "float" => WireGroup::Float,
            "double" => WireGroup::Double,
            "string" | "bytes" => WireGroup::StringOrBytes,
            _ => return None,
        })
    }
}

/// A message type by name.
struct Named<'a> {
    /// The full name, or the name as written when nobody knows it.
    name: String,
    info: Option<TypeInfo<'a>>,
}

impl Named<'_> {
    /// The name without the package.
    fn local_name(&self) -> &str {
        let package = self.info.map(|info| info.package).unwrap_or_default();
        self.name.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&self.name)
    }
}

/// Key and value of a map, each a name and the scope it is meant in.
struct MapTypes {
    key: (String, String),
    value: (String, String),
}

/// What a type amounts to on the wire.
enum Meaning<'a> {
    Scalar(WireGroup),
    Message(Named<'a>),
    Map(MapTypes),
}

impl<'a> Meaning<'a> {
    fn of(field_type: &FieldType, index: &TypeIndex<'a>, scope: &str) -> Self {
        let name = match field_type {
            FieldType::Plain(name) => name,
            FieldType::Map { key, value } => {
                let meant = |name: &String| (name.clone(), scope.to_owned());
                return Meaning::Map(MapTypes { key: meant(key), value: meant(value) });
            }
        };
        if let Some(group) = WireGroup::of(name) {
            return Meaning::Scalar(group);
        }
        let Some((full_name, info)) = index.lookup(name, scope) else {
            return Meaning::Message(Named { name: name.clone(), info: None });
        };
        if info.is_enum() {
            return Meaning::Scalar(WireGroup::GeneralNumber);
        }
        match info.as_message().and_then(Message::map_entry_types) {
            Some((key, value)) => Meaning::Map(MapTypes {
                key: (key.to_owned(), full_name.clone()),
                value: (value.to_owned(), full_name),
            }),
            None => Meaning::Message(Named { name: full_name, info: Some(info) }),
        }
    }
}
