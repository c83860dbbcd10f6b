//! Regular expressions of schemas, and the validator that knows them: the one place that uses crate `jsonschema`.
//!
//! Backtracking is limited, so that no expression can keep a thread busy: one that exceeds the limit does not match.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft as ValidatorDraft, PatternOptions, ValidationError, Validator};
use serde_json::{Value, json};

use super::model::KEYWORDS;
use super::resource::Draft;
use crate::document::Node;

/// Steps of backtracking for one match.
const BACKTRACK_MAX: usize = 20_000;
/// Bytes of one compiled expression.
const SIZE_MAX: usize = 1 << 20;

fn options() -> PatternOptions<jsonschema::FancyRegex> {
    PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX).size_limit(SIZE_MAX)
}

/// A regular expression.
pub struct Expression(Validator);

impl Expression {
    /// `None` when `regex` is not an expression.
    pub fn new(regex: &str) -> Option<Self> {
        let schema = json!({ "type": "string", "pattern": regex });
        let built = jsonschema::options().with_pattern_options(options()).offline().build(&schema);
        built.ok().map(Expression)
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_found(&self, text: &str) -> bool {
        self.0.is_valid(&Value::String(text.to_owned()))
    }
}

/// Whether `regex` is an expression. Classes that only Java knows are taken on trust.
pub fn is_expression(regex: &str) -> bool {
    regex.contains("\\p") || regex.contains("&&") || Expression::new(regex).is_some()
}

/// The validator of values for `document`, whose references are `references`.
///
/// # Errors
/// Why no validator can be made.
pub fn validator(document: &Node, references: &[(String, Node)]) -> Result<Validator, String> {
    const BASE: &str = "milena:/";
    let mut registry = jsonschema::Registry::new();
    for (name, referenced) in references {
        let uri = if name.contains(':') { name.clone() } else { format!("{BASE}{}", name.trim_start_matches("./")) };
        registry = registry.add(uri, with_draft(referenced)).map_err(|error| error.to_string())?;
    }
    let registry = registry.prepare().map_err(|error| error.to_string())?;
    jsonschema::options()
        .with_draft(draft(Draft::of(document)))
        .with_base_uri(format!("{BASE}schema"))
        .with_registry(&registry)
        .with_pattern_options(options())
        .should_validate_formats(false)
        .offline()
        .build(&with_draft(document))
        .map_err(|error| format!("{error} at {}", error.instance_path()))
}

/// The document as a value that states its draft, which is 7 where the text states none.
fn with_draft(document: &Node) -> Value {
    let mut value = document.to_value();
    if let Value::Object(members) = &mut value {
        let uri = match Draft::of(document) {
            Draft::Four => "http://json-schema.org/draft-04/schema#",
            Draft::Six => "http://json-schema.org/draft-06/schema#",
            Draft::Seven => "http://json-schema.org/draft-07/schema#",
            Draft::Of2019 => "https://json-schema.org/draft/2019-09/schema",
            Draft::Of2020 => "https://json-schema.org/draft/2020-12/schema",
        };
        members.insert("$schema".to_owned(), Value::String(uri.to_owned()));
    }
    value
}

fn draft(draft: Draft) -> ValidatorDraft {
    match draft {
        Draft::Four => ValidatorDraft::Draft4,
        Draft::Six => ValidatorDraft::Draft6,
        Draft::Seven => ValidatorDraft::Draft7,
        Draft::Of2019 => ValidatorDraft::Draft201909,
        Draft::Of2020 => ValidatorDraft::Draft202012,
    }
}

/// Checks `document` against the meta-schema of its draft, as far as registries do: a keyword that is read must be of
/// the right type. A keyword beside another `type` is not read (`"required": true` in a string, as draft 3 had it), and
/// bounds of values (`"minLength": -1`) and formats are left alone.
///
/// # Errors
/// The first violation, with its place.
pub fn check_schema(document: &Node) -> Result<(), String> {
    let value = with_draft(document);
    let meta_schema = match Draft::of(document) {
        Draft::Four => jsonschema::draft4::meta::validator(),
        Draft::Six => jsonschema::draft6::meta::validator(),
        Draft::Seven => jsonschema::draft7::meta::validator(),
        Draft::Of2019 => jsonschema::draft201909::meta::validator(),
        Draft::Of2020 => jsonschema::draft202012::meta::validator(),
    };
    match meta_schema.iter_errors(&value).find(|error| is_refused(error, document)) {
        Some(error) => Err(format!("{error} at #{}", error.instance_path())),
        None => Ok(()),
    }
}

/// Whether a violation of the meta-schema makes a schema unusable.
fn is_refused(error: &ValidationError<'_>, document: &Node) -> bool {
    match error.kind() {
        ValidationErrorKind::Type { .. } | ValidationErrorKind::Enum { .. } => {
            is_read(error.instance_path().to_string().as_str(), document)
        }
        ValidationErrorKind::AnyOf { context } => {
            context.iter().all(|branch| branch.iter().any(|error| is_refused(error, document)))
        }
        _ => false,
    }
}

/// Whether the keyword at `pointer`, or the one that holds it, says something about the type that stands beside it.
fn is_read(pointer: &str, document: &Node) -> bool {
    let mut schema = document;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let stated = schema.get("type").and_then(Node::as_str).map(|stated| match stated {
            "integer" => "number",
            stated => stated,
        });
        let family = KEYWORDS.iter().find(|(_, keywords)| keywords.contains(&segment.as_str()));
        if let (Some(stated), Some((family, _))) = (stated, family)
            && stated != *family
        {
            return false;
        }
        let next = match schema {
            Node::Object(members) => members.get(&segment),
            Node::Array(elements) => segment.parse::<usize>().ok().and_then(|index| elements.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        schema = next;
    }
    true
}
