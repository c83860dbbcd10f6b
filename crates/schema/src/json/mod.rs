//! JSON schemas, drafts 4 to 2020-12: canonical text, normal form, evolution, validation of values.
//!
//! [`resource`] knows what a `$ref` means, [`model`] makes typed nodes of a document, [`compare`] compares two of them,
//! [`change`] names what may have changed. [`pattern`] wraps the validator.

use std::sync::OnceLock;

use crate::document::{self, Node, ReadError, Spelling};
use crate::{
    CompatibilityPolicy, Incompatibility, ParseOptions, ResolvedReference, SchemaError, SchemaTag, SchemaType, TagEdit,
};

mod change;
mod compare;
mod model;
mod pattern;
mod resource;
mod stack;
mod tags;

#[cfg(test)]
mod tests;

use model::Model;
use resource::{ResourceId, Resources};
use stack::on_large_stack;

/// A parsed schema with what its references name.
#[derive(Debug)]
pub struct JsonSchema {
    canonical: String,
    document: Node,
    references: Vec<(String, Node)>,
    validator: OnceLock<Result<jsonschema::Validator, String>>,
}

/// What the `$ref`s of a schema mean.
pub struct References<'a>(Resources<'a>);

/// A node of a schema, or of what the schema refers to.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The node.
    pub node: &'a Node,
    /// Where its references start from.
    resource: ResourceId,
}

/// Most references from one to the next.
const MAX_HOPS: usize = 32;

impl<'a> References<'a> {
    /// The root of the schema.
    pub fn root(&self, schema: &'a JsonSchema) -> Place<'a> {
        Place { node: &schema.document, resource: 0 }
    }

    /// A node within that of `place`, or, if it is a `$ref`, what that means; `None` for one that leads nowhere.
    pub fn within(&self, place: Place<'a>, node: &'a Node) -> Option<Place<'a>> {
        let mut place = Place { node, resource: self.0.resource_of(node, place.resource) };
        for _ in 0..MAX_HOPS {
            let Some(reference) = place.node.get("$ref").and_then(Node::as_str) else { return Some(place) };
            let (node, resource) = self.0.resolve(reference, place.resource)?;
            place = Place { node, resource };
        }
        None
    }
}

impl JsonSchema {
    /// Reads `text`. The name of a reference is the URI of a `$ref`, absolute or relative to the schema's own.
    ///
    /// # Errors
    /// A text that is neither a JSON object nor `true` or `false`. With [`ParseOptions::strict`] also what the
    /// meta-schema of the draft forbids, an expression that is none, and a `$ref` that leads nowhere: nothing is fetched
    /// from the network. With [`ParseOptions::validate_fields`] properties whose names begin with `$$`.
    pub fn parse(text: &str, references: &[ResolvedReference], options: &ParseOptions) -> Result<Self, SchemaError> {
        let document = read(text)?;
        if !matches!(document, Node::Object(_) | Node::Bool(_)) {
            return Err(invalid(format!("expected an object or a boolean, found: {}", document.kind())));
        }
        let references = references.iter().map(|reference| Ok((reference.name.clone(), read(&reference.schema)?)));
        let schema = JsonSchema {
            canonical: document.text(Spelling::AsRead),
            references: references.collect::<Result<_, SchemaError>>()?,
            document,
            validator: OnceLock::new(),
        };
        if options.strict {
            schema.check()?;
        }
        if options.validate_fields {
            check_property_names(&schema.document)?;
        }
        Ok(schema)
    }

    fn check(&self) -> Result<(), SchemaError> {
        let checked = on_large_stack(|| pattern::check_schema(&self.document));
        checked.unwrap_or_else(|| Err("the schema cannot be checked".to_owned())).map_err(invalid)?;
        if let Some(reference) = Model::new(&self.document, &self.references).unresolved().first() {
            return Err(invalid(format!(
                "$ref '{reference}' cannot be resolved: it is neither in the schema nor among its references, and \
                 nothing is fetched from the network"
            )));
        }
        check_expressions(&self.document)
    }

    /// What the `$ref`s of the schema mean.
    pub fn references(&self) -> References<'_> {
        References(Resources::new(&self.document, &self.references))
    }

    /// The document.
    pub fn document(&self) -> &Node {
        &self.document
    }

    /// See [`ParsedSchema::canonical`](crate::ParsedSchema::canonical): compact, members in the order of the text.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// See [`ParsedSchema::normalized`](crate::ParsedSchema::normalized): members sorted.
    pub fn normalized(&self) -> String {
        let mut document = self.document.clone();
        sort_members(&mut document);
        document.text(Spelling::AsRead)
    }

    /// See [`ParsedSchema::formatted`](crate::ParsedSchema::formatted): there is no other form.
    pub fn formatted(&self, _format: &str, _references: &[ResolvedReference]) -> Option<String> {
        None
    }

    /// The title.
    pub fn record_name(&self) -> Option<String> {
        self.document.get("title").and_then(Node::as_str).map(str::to_owned)
    }

    /// See [`ParsedSchema::has_top_level_field`](crate::ParsedSchema::has_top_level_field).
    pub fn has_top_level_field(&self, name: &str) -> bool {
        self.document.get("properties").is_some_and(|properties| properties.get(name).is_some())
    }

    /// See [`ParsedSchema::tags`](crate::ParsedSchema::tags).
    pub fn tags(&self) -> Vec<SchemaTag> {
        tags::tags(&self.document)
    }

    /// See [`ParsedSchema::with_tags`](crate::ParsedSchema::with_tags).
    ///
    /// # Errors
    /// A tag for something that does not exist.
    pub fn with_tags(&self, edit: &TagEdit<'_>) -> Result<String, SchemaError> {
        tags::with_tags(&self.document, edit).map(|document| document.text(Spelling::AsRead))
    }

    /// See [`ParsedSchema::incompatibilities`](crate::ParsedSchema::incompatibilities).
    pub fn incompatibilities(&self, writer: &JsonSchema, policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        compare::compare((&writer.document, &writer.references), (&self.document, &self.references), policy)
    }

    /// Checks a record's value.
    ///
    /// # Errors
    /// What is wrong and where, as a JSON pointer into the value; or why the schema cannot check values.
    pub fn validate(&self, value: &serde_json::Value) -> Result<(), String> {
        let validator = self.validator.get_or_init(|| {
            let made = on_large_stack(|| pattern::validator(&self.document, &self.references));
            made.unwrap_or_else(|| Err("no validator can be made of the schema".to_owned()))
        });
        let validator = validator.as_ref().map_err(Clone::clone)?;
        validator.validate(value).map_err(|error| format!("{error} at #{}", error.instance_path()))
    }
}

fn invalid(message: String) -> SchemaError {
    SchemaError::invalid(SchemaType::Json, message)
}

fn read(text: &str) -> Result<Node, SchemaError> {
    let mut document = document::read(text).map_err(|error| match error {
        ReadError::TooDeep => SchemaError::TooDeep { limit: document::DEPTH_MAX },
        error => invalid(error.to_string()),
    })?;
    spell_numbers(&mut document);
    Ok(document)
}

/// Calls `visit` for every node, outermost first.
fn for_each_node(document: &mut Node, visit: &mut impl FnMut(&mut Node)) {
    visit(document);
    match document {
        Node::Array(elements) => elements.iter_mut().for_each(|element| for_each_node(element, visit)),
        Node::Object(members) => members.values_mut().for_each(|member| for_each_node(member, visit)),
        _ => {}
    }
}

fn sort_members(document: &mut Node) {
    for_each_node(document, &mut |node| {
        if let Node::Object(members) = node {
            members.sort_keys();
        }
    });
}

/// Gives numbers the spelling under which registries store them: that of an exact decimal.
fn spell_numbers(document: &mut Node) {
    for_each_node(document, &mut |node| {
        if let Node::Number(text) = node
            && (text.contains(['.', 'e', 'E']) || &**text == "-0")
        {
            *text = decimal_text(text).into();
        }
    });
}

/// `1.50` stays, `1e2` becomes `1E+2`, `0.0000001` becomes `1E-7`: the text of an exact decimal with as many digits
/// as were written.
fn decimal_text(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.parse::<i64>() else { return text.to_owned() };
    let all_digits = format!("{whole}{fraction}");
    let digits = match all_digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if digits == "0" { "" } else { sign };
    let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let adjusted = count.saturating_sub(1).saturating_sub(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    if scale > 0 && adjusted >= -6 {
        let width = usize::try_from(scale).unwrap_or_default() + 1;
        let padded = format!("{digits:0>width$}");
        let (whole, fraction) = padded.split_at(padded.len() - (width - 1));
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted:+}")
}

/// Expressions that are compiled to check a schema. What follows in a text that has more of them is taken on trust.
const EXPRESSIONS_CHECKED: usize = 10_000;

/// Every expression must be one.
fn check_expressions(document: &Node) -> Result<(), SchemaError> {
    let mut left = EXPRESSIONS_CHECKED;
    let mut is_wrong = |regex: &&str| {
        left = left.saturating_sub(1);
        left > 0 && !pattern::is_expression(regex)
    };
    let mut open = vec![document];
    while let Some(node) = open.pop() {
        match node {
            Node::Object(members) => {
                let pattern = members.get("pattern").and_then(Node::as_str);
                let properties = members.get("patternProperties").and_then(Node::as_object);
                let names = properties.into_iter().flat_map(|members| members.keys()).map(String::as_str);
                if let Some(wrong) = pattern.into_iter().chain(names).find(&mut is_wrong) {
                    return Err(invalid(format!("'{wrong}' is not a regular expression")));
                }
                let data = ["enum", "const", "default", "examples"];
                open.extend(members.iter().filter(|(name, _)| !data.contains(&name.as_str())).map(|(_, node)| node));
            }
            Node::Array(elements) => open.extend(elements),
            _ => {}
        }
    }
    Ok(())
}

/// Names that begin with `$$` are kept for the registry.
fn check_property_names(document: &Node) -> Result<(), SchemaError> {
    let properties = document.get("properties").and_then(Node::as_object);
    match properties.into_iter().flat_map(|members| members.keys()).find(|name| name.starts_with("$$")) {
        Some(name) => Err(invalid(format!("#/properties/{name}: names that begin with $$ are reserved"))),
        None => Ok(()),
    }
}
