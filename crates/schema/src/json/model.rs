//! A JSON schema as a graph of typed nodes, which is what two schemas are compared by.
//!
//! One schema object may say several things at once (`enum` beside `type`, `allOf` beside `properties`): each is a node,
//! and several make a node of their own that wants all of them. A list of types is a node that wants any of them.
//! Nodes are made from a work list and not recursively; references are edges, so recursive schemas are finite.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::resource::{Draft, ResourceId, Resources};
use crate::document::Node;

/// The number of a node.
pub type NodeId = usize;

/// What a node demands.
#[derive(Debug)]
pub enum Kind<'a> {
    /// Nothing: `{}` or `true`.
    Empty,
    /// `false`
    False,
    /// What another node demands; `None` where the `$ref` leads nowhere.
    Reference(Option<NodeId>),
    /// One of these values.
    Enum(&'a [Node]),
    /// This value.
    Const(&'a Node),
    /// The opposite of a node.
    Not(NodeId),
    /// `if`, `then`, `else`, which are not compared.
    Conditional,
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `string`
    String {
        /// `maxLength`
        max_length: Option<f64>,
        /// `minLength`
        min_length: Option<f64>,
        /// `pattern`
        pattern: Option<&'a str>,
    },
    /// `number` or `integer`
    Number(Number<'a>),
    /// `object`
    Object(Box<Object<'a>>),
    /// `array`
    Array(Box<Array>),
    /// Several nodes.
    Combined(Criterion, Vec<NodeId>),
}

/// How many of several nodes must be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// `allOf`
    All,
    /// `anyOf`
    Any,
    /// `oneOf`
    One,
}

impl Criterion {
    /// The keyword.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::All => "allOf",
            Criterion::Any => "anyOf",
            Criterion::One => "oneOf",
        }
    }
}

/// The limits of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Number<'a> {
    /// Whether only integers are meant.
    pub integer: bool,
    /// `maximum`
    pub maximum: Option<f64>,
    /// `minimum`
    pub minimum: Option<f64>,
    /// `exclusiveMaximum` as a number (draft 6 on).
    pub exclusive_maximum: Option<f64>,
    /// `exclusiveMinimum` as a number (draft 6 on).
    pub exclusive_minimum: Option<f64>,
    /// `multipleOf` as it is spelled.
    pub multiple_of: Option<&'a str>,
}

/// What is said of members beyond the listed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Additional {
    /// Nothing, or `true`.
    Any,
    /// `false`
    Forbidden,
    /// They must meet this node.
    Schema(NodeId),
}

/// The members of an object.
#[derive(Debug)]
pub struct Object<'a> {
    /// `properties`
    pub properties: IndexMap<&'a str, NodeId>,
    /// `required`
    pub required: HashSet<&'a str>,
    /// `patternProperties`
    pub pattern_properties: Vec<(&'a str, NodeId)>,
    /// `additionalProperties`
    pub additional: Additional,
    /// `unevaluatedProperties` (2019-09 on).
    pub unevaluated: Option<NodeId>,
    /// `dependentRequired`, or lists in `dependencies`.
    pub dependent_required: IndexMap<&'a str, Vec<&'a str>>,
    /// `dependentSchemas`, or schemas in `dependencies`.
    pub dependent_schemas: IndexMap<&'a str, NodeId>,
    /// `maxProperties`
    pub max_properties: Option<f64>,
    /// `minProperties`
    pub min_properties: Option<f64>,
}

/// The elements of an array.
#[derive(Debug)]
pub struct Array {
    /// What every element must meet.
    pub all_items: Option<NodeId>,
    /// What the first elements must meet, each its own.
    pub tuple: Vec<NodeId>,
    /// What is said of elements behind the tuple.
    pub additional: Additional,
    /// `unevaluatedItems` (2019-09 on).
    pub unevaluated: Option<NodeId>,
    /// `maxItems`
    pub max_items: Option<f64>,
    /// `minItems`
    pub min_items: Option<f64>,
    /// `maxContains`
    pub max_contains: Option<f64>,
    /// `minContains`
    pub min_contains: Option<f64>,
    /// `uniqueItems`
    pub unique_items: bool,
}

/// A node and what is noted beside its demands.
#[derive(Debug)]
pub struct Typed<'a> {
    /// What it demands.
    pub kind: Kind<'a>,
    /// Where it is written; for a part of a schema object that says several things, the whole object.
    pub raw: &'a Node,
    /// Whether the schema states a `default`.
    pub has_default: bool,
    /// `connect.type`
    pub connect_type: Option<&'a str>,
}

/// The nodes that can be reached from a schema.
pub struct Model<'a> {
    resources: Resources<'a>,
    nodes: Vec<Typed<'a>>,
    known: HashMap<*const Node, NodeId>,
    open: Vec<(NodeId, &'a Node, ResourceId)>,
    unresolved: Vec<String>,
}

impl<'a> Model<'a> {
    /// The model of `document`; its root is node 0.
    pub fn new(document: &'a Node, references: &'a [(String, Node)]) -> Self {
        let mut model = Model {
            resources: Resources::new(document, references),
            nodes: Vec::new(),
            known: HashMap::new(),
            open: Vec::new(),
            unresolved: Vec::new(),
        };
        model.node(document, 0);
        while let Some((id, raw, resource)) = model.open.pop() {
            model.nodes[id].kind = model.kind(raw, resource);
        }
        model
    }

    /// A node.
    pub fn get(&self, id: NodeId) -> &Typed<'a> {
        &self.nodes[id]
    }

    /// The node behind references. A circle of nothing but references demands nothing.
    pub fn followed(&self, id: NodeId) -> NodeId {
        let mut at = id;
        for _ in 0..=self.nodes.len() {
            match self.nodes[at].kind {
                Kind::Reference(Some(target)) => at = target,
                _ => return at,
            }
        }
        at
    }

    /// The `$ref`s that lead nowhere.
    pub fn unresolved(&self) -> &[String] {
        &self.unresolved
    }

    /// The number of the node of `raw`, which is put on the work list the first time.
    fn node(&mut self, raw: &'a Node, outer: ResourceId) -> NodeId {
        if let Some(id) = self.known.get(&std::ptr::from_ref(raw)) {
            return *id;
        }
        let id = self.push(Kind::Empty, raw);
        self.known.insert(std::ptr::from_ref(raw), id);
        let resource = self.resources.resource_of(raw, outer);
        self.open.push((id, raw, resource));
        id
    }

    fn push(&mut self, kind: Kind<'a>, raw: &'a Node) -> NodeId {
        self.nodes.push(Typed {
            kind,
            raw,
            has_default: raw.get("default").is_some(),
            connect_type: raw.get("connect.type").and_then(Node::as_str),
        });
        self.nodes.len() - 1
    }

    fn kind(&mut self, raw: &'a Node, resource: ResourceId) -> Kind<'a> {
        if *raw == Node::Bool(false) {
            return Kind::False;
        }
        let Some(members) = raw.as_object() else { return Kind::Empty };
        let draft = self.resources.draft(resource);
        let mut kinds = Vec::new();
        for keyword in ["$ref", "$recursiveRef", "$dynamicRef"] {
            let Some(reference) = members.get(keyword).and_then(Node::as_str) else { continue };
            if keyword != "$ref" && !draft.reads_beside_ref() {
                continue;
            }
            let target = self.resources.resolve(reference, resource);
            if target.is_none() {
                self.unresolved.push(reference.to_owned());
            }
            let target = target.map(|(node, resource)| self.node(node, resource));
            if !draft.reads_beside_ref() {
                return Kind::Reference(target);
            }
            kinds.push(Kind::Reference(target));
        }
        self.facets(raw, resource, draft, &mut kinds);
        match kinds.len() {
            0 => Kind::Empty,
            1 => kinds.swap_remove(0),
            _ => Kind::Combined(Criterion::All, kinds.into_iter().map(|kind| self.push(kind, raw)).collect()),
        }
    }

    /// Everything that the object `raw` demands beside a reference.
    fn facets(&mut self, raw: &'a Node, resource: ResourceId, draft: Draft, kinds: &mut Vec<Kind<'a>>) {
        if let Some(values) = raw.get("enum").and_then(Node::as_array) {
            kinds.push(Kind::Enum(values));
        }
        for criterion in [Criterion::All, Criterion::Any, Criterion::One] {
            if let Some(branches) = raw.get(criterion.name()).and_then(Node::as_array) {
                let branches = branches.iter().map(|branch| self.node(branch, resource)).collect();
                kinds.push(Kind::Combined(criterion, branches));
            }
        }
        if let Some(opposite) = raw.get("not") {
            kinds.push(Kind::Not(self.node(opposite, resource)));
        }
        if let Some(value) = raw.get("const").filter(|_| draft != Draft::Four) {
            kinds.push(Kind::Const(value));
        }
        if raw.get("if").is_some() && draft >= Draft::Seven {
            kinds.push(Kind::Conditional);
        }
        match raw.get("type") {
            Some(Node::String(name)) => kinds.extend(self.typed(name, raw, resource, draft)),
            Some(Node::Array(names)) => {
                let mut branches = Vec::new();
                for name in names.iter().filter_map(Node::as_str) {
                    if let Some(kind) = self.typed(name, raw, resource, draft) {
                        branches.push(self.push(kind, raw));
                    }
                }
                kinds.push(Kind::Combined(Criterion::Any, branches));
            }
            _ => {
                let stated = |keywords: &[&str]| keywords.iter().any(|keyword| raw.get(keyword).is_some());
                for (name, keywords) in KEYWORDS {
                    if stated(keywords) {
                        kinds.extend(self.typed(name, raw, resource, draft));
                    }
                }
            }
        }
    }

    fn typed(&mut self, name: &str, raw: &'a Node, resource: ResourceId, draft: Draft) -> Option<Kind<'a>> {
        let limit = |keyword: &str| raw.get(keyword).and_then(Node::as_f64);
        Some(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "string" => Kind::String {
                max_length: limit("maxLength"),
                min_length: limit("minLength"),
                pattern: raw.get("pattern").and_then(Node::as_str),
            },
            "number" | "integer" => Kind::Number(Number {
                integer: name == "integer",
                maximum: limit("maximum"),
                minimum: limit("minimum"),
                exclusive_maximum: limit("exclusiveMaximum"),
                exclusive_minimum: limit("exclusiveMinimum"),
                multiple_of: match raw.get("multipleOf") {
                    Some(Node::Number(text)) => Some(text),
                    _ => None,
                },
            }),
            "object" => Kind::Object(Box::new(self.object(raw, resource, draft))),
            "array" => Kind::Array(Box::new(self.array(raw, resource, draft))),
            _ => return None,
        })
    }

    fn object(&mut self, raw: &'a Node, resource: ResourceId, draft: Draft) -> Object<'a> {
        let limit = |keyword: &str| raw.get(keyword).and_then(Node::as_f64);
        let mut object = Object {
            properties: self.schemas(raw.get("properties"), resource).into_iter().collect(),
            required: names(raw.get("required")).into_iter().collect(),
            pattern_properties: self.schemas(raw.get("patternProperties"), resource),
            additional: self.additional(raw.get("additionalProperties"), resource),
            unevaluated: None,
            dependent_required: IndexMap::new(),
            dependent_schemas: self.schemas(raw.get("dependentSchemas"), resource).into_iter().collect(),
            max_properties: limit("maxProperties"),
            min_properties: limit("minProperties"),
        };
        if draft >= Draft::Of2019 {
            object.unevaluated = raw.get("unevaluatedProperties").map(|schema| self.node(schema, resource));
        }
        for keyword in ["dependencies", "dependentRequired"] {
            let entries = raw.get(keyword).and_then(Node::as_object).into_iter().flatten();
            for (name, value) in entries {
                if value.as_array().is_some() {
                    object.dependent_required.insert(name, names(Some(value)));
                } else {
                    object.dependent_schemas.insert(name, self.node(value, resource));
                }
            }
        }
        object
    }

    fn array(&mut self, raw: &'a Node, resource: ResourceId, draft: Draft) -> Array {
        let limit = |keyword: &str| raw.get(keyword).and_then(Node::as_f64);
        let prefix = raw.get("prefixItems").and_then(Node::as_array).filter(|_| draft == Draft::Of2020);
        let items = raw.get("items");
        let (tuple, all_items, additional) = match (prefix, items) {
            (Some(prefix), items) => (Some(prefix), None, self.additional(items, resource)),
            (None, Some(Node::Array(tuple))) => {
                (Some(tuple.as_slice()), None, self.additional(raw.get("additionalItems"), resource))
            }
            (None, Some(Node::Bool(false))) if draft == Draft::Of2020 => (None, None, Additional::Forbidden),
            (None, Some(Node::Bool(true))) if draft == Draft::Of2020 => (None, None, Additional::Any),
            (None, items) => {
                let all = items.map(|schema| self.node(schema, resource));
                (None, all, self.additional(raw.get("additionalItems"), resource))
            }
        };
        let contains = draft >= Draft::Of2019 && raw.get("contains").is_some();
        let tuple = tuple.unwrap_or_default().iter().map(|schema| self.node(schema, resource)).collect();
        let unevaluated = raw.get("unevaluatedItems").filter(|_| draft >= Draft::Of2019);
        Array {
            all_items,
            tuple,
            additional,
            unevaluated: unevaluated.map(|schema| self.node(schema, resource)),
            max_items: limit("maxItems"),
            min_items: limit("minItems"),
            max_contains: limit("maxContains").filter(|_| draft >= Draft::Of2019),
            min_contains: limit("minContains").filter(|_| draft >= Draft::Of2019).or(contains.then_some(1.0)),
            unique_items: raw.get("uniqueItems") == Some(&Node::Bool(true)),
        }
    }

    fn schemas(&mut self, members: Option<&'a Node>, resource: ResourceId) -> Vec<(&'a str, NodeId)> {
        let members = members.and_then(Node::as_object).into_iter().flatten();
        members.map(|(name, schema)| (name.as_str(), self.node(schema, resource))).collect()
    }

    fn additional(&mut self, schema: Option<&'a Node>, resource: ResourceId) -> Additional {
        match schema {
            None | Some(Node::Bool(true)) => Additional::Any,
            Some(Node::Bool(false)) => Additional::Forbidden,
            Some(schema) => Additional::Schema(self.node(schema, resource)),
        }
    }
}

/// Keywords that tell the type where `type` is not stated.
pub const KEYWORDS: &[(&str, &[&str])] = &[
    (
        "object",
        &[
            "properties",
            "required",
            "additionalProperties",
            "minProperties",
            "maxProperties",
            "dependencies",
            "dependentRequired",
            "dependentSchemas",
            "patternProperties",
            "propertyNames",
            "unevaluatedProperties",
        ],
    ),
    (
        "array",
        &[
            "items",
            "prefixItems",
            "additionalItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "contains",
            "unevaluatedItems",
        ],
    ),
    ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ("string", &["minLength", "maxLength", "pattern"]),
];

fn names(list: Option<&Node>) -> Vec<&str> {
    list.and_then(Node::as_array).into_iter().flatten().filter_map(Node::as_str).collect()
}
