//! Whether a reader's schema can read what a writer's schema wrote: Avro's schema resolution, with findings named and
//! located as Java Avro's `SchemaCompatibility` does, which is what registry clients expect to see.
//!
//! A pair of types is compared once; while it is being compared it counts as compatible, which is what makes recursive
//! schemas end.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::types::{Enum, Field, Fixed, Kind, Naming, Record, Type, TypeId};
use crate::Incompatibility;

/// Deepest chain of pairs that is followed. Reached only by records that are recursive over cycles of different
/// length, whose pairs multiply.
const DEPTH_MAX: usize = 520;
/// Most pairs that are compared, for the same reason.
const PAIRS_MAX: usize = 250_000;
/// Most findings of a pair that are told. A type that is used in many places brings its findings to each of them, and
/// those to wherever they are used: they multiply, too.
const FINDINGS_MAX: usize = 1000;

/// A table of types and the one to begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub types: &'a [Type],
    pub root: TypeId,
}

impl<'a> Side<'a> {
    fn kind(&self, id: TypeId) -> &'a Kind {
        &self.types[id.index()].kind
    }
}

/// Findings that forbid `reader` to read what `writer` wrote.
pub(super) fn incompatibilities(reader: Side<'_>, writer: Side<'_>) -> Vec<Incompatibility> {
    let mut comparison = Comparison { reader, writer, pairs: HashMap::new(), depth: 0, gave_up: false };
    let findings = comparison.rooted(reader.root, writer.root);
    let mut findings = findings.to_vec();
    if comparison.gave_up {
        findings.push(finding(Rule::TooComplex, &["".to_owned()], String::new()));
    }
    findings
}

type Findings = Rc<[Incompatibility]>;

/// The findings of one pair, at most [`FINDINGS_MAX`].
#[derive(Default)]
struct Found(Vec<Incompatibility>);

impl Found {
    fn push(&mut self, finding: Incompatibility) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(finding);
        }
    }

    fn extend(&mut self, findings: &[Incompatibility]) {
        let room = FINDINGS_MAX.saturating_sub(self.0.len());
        self.0.extend(findings.iter().take(room).cloned());
    }
}

struct Comparison<'a> {
    reader: Side<'a>,
    writer: Side<'a>,
    /// `None` while the pair is being compared.
    pairs: HashMap<(TypeId, TypeId), Option<Findings>>,
    depth: usize,
    gave_up: bool,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy)]
enum Rule {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
    AmbiguousAlias,
    TooComplex,
}

impl Comparison<'_> {
    /// Compares with the location starting anew, as for the branch of a union.
    fn rooted(&mut self, reader: TypeId, writer: TypeId) -> Findings {
        self.compare("", reader, writer, &mut Vec::new())
    }

    fn compare(&mut self, step: &str, reader: TypeId, writer: TypeId, location: &mut Vec<String>) -> Findings {
        match self.pairs.get(&(reader, writer)) {
            Some(Some(findings)) => return Rc::clone(findings),
            Some(None) => return Rc::new([]),
            None => {}
        }
        if self.depth >= DEPTH_MAX || self.pairs.len() >= PAIRS_MAX {
            self.gave_up = true;
            return Rc::new([]);
        }
        self.depth += 1;
        self.pairs.insert((reader, writer), None);
        location.push(step.to_owned());
        let mut found = Found::default();
        self.resolve(reader, writer, location, &mut found);
        location.pop();
        let found: Findings = found.0.into();
        self.pairs.insert((reader, writer), Some(Rc::clone(&found)));
        self.depth -= 1;
        found
    }

    fn resolve(&mut self, reader_id: TypeId, writer_id: TypeId, location: &mut Vec<String>, found: &mut Found) {
        let (reader, writer) = (self.reader.kind(reader_id), self.writer.kind(writer_id));
        match (reader, writer) {
            (Kind::Union(_), Kind::Union(branches)) => self.union_from_union(reader_id, branches, location, found),
            (_, Kind::Union(branches)) => {
                for (index, branch) in branches.iter().enumerate() {
                    found.extend(&self.compare(&index.to_string(), reader_id, *branch, location));
                }
            }
            (Kind::Union(branches), _) => {
                if !branches.iter().any(|branch| self.rooted(*branch, writer_id).is_empty()) {
                    found.push(missing_branch(writer, location));
                }
            }
            (Kind::Array(reader), Kind::Array(writer)) => {
                found.extend(&self.compare("items", *reader, *writer, location));
            }
            (Kind::Map(reader), Kind::Map(writer)) => {
                found.extend(&self.compare("values", *reader, *writer, location));
            }
            (Kind::Fixed(reader), Kind::Fixed(writer)) => fixed(reader, writer, location, found),
            (Kind::Enum(reader), Kind::Enum(writer)) => symbols(reader, writer, location, found),
            (Kind::Record(reader), Kind::Record(writer)) => {
                names(&reader.naming, &writer.naming, location, found);
                self.fields(reader, writer, writer_id, location, found);
            }
            (reader, writer) if readable(reader, writer) => {}
            (reader, writer) => {
                let (reader, writer) = (upper(reader), upper(writer));
                let info = format!("reader type: {reader} not compatible with writer type: {writer}");
                found.push(finding(Rule::TypeMismatch, location, info));
            }
        }
    }

    fn union_from_union(&mut self, reader: TypeId, branches: &[TypeId], location: &mut Vec<String>, found: &mut Found) {
        for (index, branch) in branches.iter().enumerate() {
            if !self.rooted(reader, *branch).is_empty() {
                location.push(index.to_string());
                found.push(missing_branch(self.writer.kind(*branch), location));
                location.pop();
            }
        }
    }

    fn fields(
        &mut self,
        reader: &Record,
        writer: &Record,
        writer_id: TypeId,
        location: &mut Vec<String>,
        found: &mut Found,
    ) {
        let by_name: HashMap<&str, &Field> = writer.fields.iter().map(|field| (field.name.as_str(), field)).collect();
        location.push("fields".to_owned());
        for (index, field) in reader.fields.iter().enumerate() {
            location.push(index.to_string());
            let mut sources =
                std::iter::once(&field.name).chain(&field.aliases).filter_map(|name| by_name.get(name.as_str()));
            match (sources.next(), sources.next()) {
                (Some(_), Some(_)) => found.push(finding(Rule::AmbiguousAlias, location, field.name.clone())),
                (Some(source), None) => {
                    found.extend(&self.compare("type", field.type_id, source.type_id, location));
                }
                (None, _) => self.missing_field(field, writer_id, location, found),
            }
            location.pop();
        }
        location.pop();
    }

    /// A field that the writer does not have needs a default. The default of an enum is none: it is for symbols.
    fn missing_field(&mut self, field: &Field, writer_id: TypeId, location: &mut Vec<String>, found: &mut Found) {
        if field.default.is_some() {
            return;
        }
        match self.reader.kind(field.type_id) {
            Kind::Enum(Enum { default: Some(_), .. }) => {
                found.extend(&self.compare("type", field.type_id, writer_id, location));
            }
            _ => found.push(finding(Rule::ReaderFieldMissingDefaultValue, location, field.name.clone())),
        }
    }
}

/// Equal primitives and the promotions between them.
fn readable(reader: &Kind, writer: &Kind) -> bool {
    use Kind::{Boolean, Bytes, Double, Float, Int, Long, Null, String};
    matches!(
        (reader, writer),
        (Null, Null)
            | (Boolean, Boolean)
            | (Int, Int)
            | (Long, Int | Long)
            | (Float, Int | Long | Float)
            | (Double, Int | Long | Float | Double)
            | (Bytes | String, Bytes | String)
    )
}

fn fixed(reader: &Fixed, writer: &Fixed, location: &mut Vec<String>, found: &mut Found) {
    names(&reader.naming, &writer.naming, location, found);
    if reader.size != writer.size {
        location.push("size".to_owned());
        let info = format!("expected: {}, found: {}", writer.size, reader.size);
        found.push(finding(Rule::FixedSizeMismatch, location, info));
        location.pop();
    }
}

fn symbols(reader: &Enum, writer: &Enum, location: &mut Vec<String>, found: &mut Found) {
    names(&reader.naming, &writer.naming, location, found);
    let known: BTreeSet<&str> = reader.symbols.iter().map(String::as_str).collect();
    let written: BTreeSet<&str> = writer.symbols.iter().map(String::as_str).collect();
    let missing: Vec<&str> = written.difference(&known).copied().collect();
    if !missing.is_empty() && reader.default.is_none() {
        location.push("symbols".to_owned());
        found.push(finding(Rule::MissingEnumSymbols, location, format!("[{}]", missing.join(", "))));
        location.pop();
    }
}

/// Unqualified names are equal, or the reader has an alias that is the writer's full name.
fn names(reader: &Naming, writer: &Naming, location: &mut Vec<String>, found: &mut Found) {
    let is_same = reader.name.simple() == writer.name.simple()
        || reader.aliases.iter().any(|alias| alias.full() == writer.name.full());
    if !is_same {
        location.push("name".to_owned());
        found.push(finding(Rule::NameMismatch, location, format!("expected: {}", writer.name)));
        location.pop();
    }
}

fn missing_branch(writer: &Kind, location: &[String]) -> Incompatibility {
    let info = format!("reader union lacking writer type: {}", upper(writer));
    finding(Rule::MissingUnionBranch, location, info)
}

fn upper(kind: &Kind) -> String {
    kind.name().to_ascii_uppercase()
}

/// `location` begins with the root's empty step.
fn finding(rule: Rule, location: &[String], info: String) -> Incompatibility {
    let steps: Vec<String> = location.iter().skip(1).map(|step| step.replace('~', "~0").replace('/', "~1")).collect();
    let path = format!("/{}", steps.join("/"));
    let (error_type, description) = match rule {
        Rule::NameMismatch => ("NAME_MISMATCH", format!("The name of the schema has changed (path '{path}')")),
        Rule::FixedSizeMismatch => (
            "FIXED_SIZE_MISMATCH",
            format!(
                "The size of FIXED type at path '{path}' in the {{reader}} schema differs from the {{writer}} schema"
            ),
        ),
        Rule::MissingEnumSymbols => (
            "MISSING_ENUM_SYMBOLS",
            format!("The {{reader}} schema lacks enum symbols '{info}' of the {{writer}} schema at path '{path}'"),
        ),
        Rule::ReaderFieldMissingDefaultValue => (
            "READER_FIELD_MISSING_DEFAULT_VALUE",
            format!(
                "The field '{info}' at path '{path}' in the {{reader}} schema has no default value and is missing in \
                 the {{writer}} schema"
            ),
        ),
        Rule::TypeMismatch => (
            "TYPE_MISMATCH",
            format!("The type at path '{path}' in the {{reader}} schema does not match the {{writer}} schema"),
        ),
        Rule::MissingUnionBranch => (
            "MISSING_UNION_BRANCH",
            format!("The union at path '{path}' in the {{reader}} schema lacks a type of the {{writer}} schema"),
        ),
        Rule::AmbiguousAlias => (
            "AMBIGUOUS_ALIAS",
            format!(
                "The field '{info}' at path '{path}' in the {{reader}} schema matches several fields of the \
                 {{writer}} schema"
            ),
        ),
        Rule::TooComplex => {
            ("TOO_COMPLEX", "The schemas are recursive over too many pairs of types to be compared".to_owned())
        }
    };
    Incompatibility { error_type: error_type.to_owned(), description, location: path, additional_info: Some(info) }
}
