//! Comparing two schemas: what forbids a reader with the new one to read what was written with the old one.
//!
//! Pairs of nodes are compared once and remembered. A pair that is met again while it is being compared (recursive
//! schemas) counts as compatible for the time being; where that was assumed of a pair which then proved incompatible,
//! everything is compared again with that knowledge, until nothing new is learned. Only changes that the policy forbids
//! are kept, and of those at most [`FINDINGS_MAX`] for a pair.
//!
//! The work is bounded ([`STEPS_MAX`], [`DEPTH_MAX`]) and runs on a stack of its own, so that no pair of schemas can
//! exhaust the caller.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::change::{self, Change};
use super::model::{Criterion, Kind, Model, NodeId, Typed};
use super::pattern::Expression;
use super::stack::on_large_stack;
use crate::document::Node;
use crate::{CompatibilityPolicy, Incompatibility};

mod array;
mod combined;
mod matching;
mod object;
mod scalar;

/// Findings kept for one pair of nodes.
const FINDINGS_MAX: usize = 200;
/// Pairs compared before the comparison is given up.
const STEPS_MAX: usize = 500_000;
/// What the match of an expression costs, in pairs.
const MATCH_STEPS: usize = 20;
/// The deepest nesting of pairs.
const DEPTH_MAX: usize = 1_000;
/// Passes over a recursive schema before the findings so far are taken as final.
const PASSES_MAX: usize = 100;

/// A schema: the document, and what its references name.
pub type Source<'a> = (&'a Node, &'a [(String, Node)]);

/// What `policy` forbids of the changes that lead from `original` to `update`.
pub fn compare(original: Source<'_>, update: Source<'_>, policy: CompatibilityPolicy) -> Vec<Incompatibility> {
    if original == update {
        return Vec::new();
    }
    let run = || {
        let (old, new) = (Model::new(original.0, original.1), Model::new(update.0, update.1));
        passes(&old, &new, policy)
    };
    on_large_stack(run).unwrap_or_else(|| {
        vec![incompatibility(&Finding { change: change::COMPARISON_LIMIT_EXCEEDED, path: String::new() })]
    })
}

fn passes(old: &Model<'_>, new: &Model<'_>, policy: CompatibilityPolicy) -> Vec<Incompatibility> {
    let mut seed: HashMap<(NodeId, NodeId), Findings> = HashMap::new();
    let mut steps = 0;
    let mut findings: Findings = Rc::new(Vec::new());
    for _ in 0..PASSES_MAX {
        let mut comparison = Comparison {
            old,
            new,
            policy,
            seed,
            done: HashMap::new(),
            open: HashSet::new(),
            assumed: false,
            steps,
            exceeded: false,
            expressions: HashMap::new(),
        };
        findings = comparison.compare(Some(0), Some(0));
        if comparison.exceeded {
            let exceeded = Finding { change: change::COMPARISON_LIMIT_EXCEEDED, path: String::new() };
            return vec![incompatibility(&exceeded)];
        }
        steps = comparison.steps;
        let learned: HashMap<_, _> = comparison.done.into_iter().filter(|(_, found)| !found.is_empty()).collect();
        let settled = !comparison.assumed || learned.keys().all(|pair| comparison.seed.contains_key(pair));
        seed = learned;
        if settled {
            break;
        }
    }
    findings.iter().map(incompatibility).collect()
}

fn incompatibility(finding: &Finding) -> Incompatibility {
    let location = format!("#/{}", finding.path);
    Incompatibility {
        error_type: finding.change.name.to_owned(),
        description: finding.change.describe(&location),
        location,
        additional_info: None,
    }
}

/// A change that is forbidden, and where: keywords and names joined by `/`, from the pair that it was found in.
#[derive(Debug, Clone)]
struct Finding {
    change: Change,
    path: String,
}

type Findings = Rc<Vec<Finding>>;

/// The findings of one pair while it is compared.
struct Report {
    policy: CompatibilityPolicy,
    findings: Vec<Finding>,
}

impl Report {
    /// Notes `change` at `path`, relative to the pair, unless the policy allows it.
    fn add(&mut self, change: Change, path: impl Into<String>) {
        if !change.is_allowed(self.policy) && self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { change, path: path.into() });
        }
    }

    /// Takes over what was found in the pair at `path`.
    fn extend(&mut self, findings: &[Finding], path: &str) {
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(findings.iter().take(room).map(|finding| {
            let path = match (path.is_empty(), finding.path.is_empty()) {
                (true, _) => finding.path.clone(),
                (_, true) => path.to_owned(),
                _ => format!("{path}/{}", finding.path),
            };
            Finding { change: finding.change, path }
        }));
    }
}

struct Comparison<'m, 'a> {
    old: &'m Model<'a>,
    new: &'m Model<'a>,
    policy: CompatibilityPolicy,
    /// Pairs that an earlier pass found incompatible.
    seed: HashMap<(NodeId, NodeId), Findings>,
    done: HashMap<(NodeId, NodeId), Findings>,
    open: HashSet<(NodeId, NodeId)>,
    /// Whether an open pair was taken for compatible.
    assumed: bool,
    steps: usize,
    exceeded: bool,
    expressions: HashMap<String, Option<Expression>>,
}

impl Comparison<'_, '_> {
    /// What is forbidden in the change from `original` to `update`.
    fn compare(&mut self, original: Option<NodeId>, update: Option<NodeId>) -> Findings {
        let mut report = Report { policy: self.policy, findings: Vec::new() };
        let (original, update) = match (original, update) {
            (Some(original), Some(update)) => (self.old.followed(original), self.new.followed(update)),
            (None, Some(_)) => {
                report.add(change::SCHEMA_ADDED, "");
                return Rc::new(report.findings);
            }
            (_, None) => return Rc::new(report.findings),
        };
        let pair = (original, update);
        if let Some(found) = self.done.get(&pair) {
            return found.clone();
        }
        if self.open.contains(&pair) {
            if let Some(found) = self.seed.get(&pair) {
                return found.clone();
            }
            self.assumed = true;
            return Rc::new(Vec::new());
        }
        self.steps += 1;
        if self.exceeded || self.steps > STEPS_MAX || self.open.len() >= DEPTH_MAX {
            self.exceeded = true;
            return Rc::new(Vec::new());
        }
        self.open.insert(pair);
        self.kinds(original, update, &mut report);
        self.open.remove(&pair);
        let found: Findings = Rc::new(report.findings);
        self.done.insert(pair, found.clone());
        found
    }

    /// Compares and takes over what is found, as lying at `path`.
    fn compare_at(&mut self, original: Option<NodeId>, update: Option<NodeId>, path: &str, report: &mut Report) {
        let found = self.compare(original, update);
        report.extend(&found, path);
    }

    /// Whether `regex` matches somewhere in `text`. An expression that is none matches nothing.
    fn is_found(&mut self, regex: &str, text: &str) -> bool {
        self.steps += MATCH_STEPS;
        self.exceeded |= self.steps > STEPS_MAX;
        if self.exceeded {
            return false;
        }
        let expression = self.expressions.entry(regex.to_owned()).or_insert_with(|| Expression::new(regex));
        expression.as_ref().is_some_and(|expression| expression.is_found(text))
    }

    fn is_compatible(&mut self, original: NodeId, update: NodeId) -> bool {
        self.compare(Some(original), Some(update)).is_empty()
    }

    fn kinds(&mut self, original: NodeId, update: NodeId, report: &mut Report) {
        let (old, new) = (self.old, self.new);
        let (original_node, update_node) = (old.get(original), new.get(update));
        match (&original_node.kind, &update_node.kind) {
            (Kind::Combined(old_criterion, old_branches), Kind::Combined(new_criterion, new_branches)) => {
                let sides = combined::Sides {
                    original: (*old_criterion, old_branches),
                    update: (*new_criterion, new_branches),
                };
                self.combined(&sides, report);
            }
            (_, Kind::Combined(criterion, branches)) => {
                let chosen = match branches.as_slice() {
                    [single] => std::slice::from_ref(single),
                    _ if *criterion == Criterion::All => &[],
                    branches => branches,
                };
                if !chosen.iter().any(|branch| self.is_compatible(original, *branch)) {
                    self.different_kinds(original_node, update_node, report);
                }
            }
            (Kind::Combined(criterion, branches), _) => {
                let chosen = match branches.as_slice() {
                    [single] => std::slice::from_ref(single),
                    branches if *criterion == Criterion::All => branches,
                    _ => &[],
                };
                if !chosen.iter().any(|branch| self.is_compatible(*branch, update)) {
                    self.different_kinds(original_node, update_node, report);
                }
            }
            (Kind::Empty, Kind::Empty)
            | (Kind::False, Kind::False)
            | (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Conditional, Kind::Conditional)
            | (Kind::Reference(_), Kind::Reference(_)) => {}
            (Kind::Enum(old), Kind::Enum(new)) => scalar::enums(old, new, report),
            (Kind::Const(old), Kind::Const(new)) => scalar::constants(old, new, report),
            (Kind::String { .. }, Kind::String { .. }) => {
                scalar::strings(&original_node.kind, &update_node.kind, report);
            }
            (Kind::Number(old), Kind::Number(new)) => scalar::numbers(old, new, report),
            (Kind::Not(old), Kind::Not(new)) => self.opposites((original, *old), (update, *new), report),
            (Kind::Object(old), Kind::Object(new)) => self.objects(old, new, report),
            (Kind::Array(old), Kind::Array(new)) => self.arrays(old, new, report),
            _ => self.different_kinds(original_node, update_node, report),
        }
    }

    /// Everything may follow on nothing, and anything goes where nothing is demanded.
    fn different_kinds(&self, original: &Typed<'_>, update: &Typed<'_>, report: &mut Report) {
        let bytes = original.connect_type == Some("bytes") && update.connect_type == Some("bytes");
        if !matches!(original.kind, Kind::False) && !matches!(update.kind, Kind::Empty) && !bytes {
            report.add(change::TYPE_CHANGED, "");
        }
    }

    /// `not`: what the new schema excludes, the old one must have excluded as well.
    fn opposites(&mut self, original: (NodeId, NodeId), update: (NodeId, NodeId), report: &mut Report) {
        // The sides change places, so the models do too; a comparison of its own keeps pairs apart.
        let mut swapped = Comparison {
            old: self.new,
            new: self.old,
            policy: self.policy,
            seed: HashMap::new(),
            done: HashMap::new(),
            open: HashSet::new(),
            assumed: false,
            steps: self.steps,
            exceeded: self.exceeded,
            expressions: HashMap::new(),
        };
        // Depth counts on through the swap: a `not` inside of itself must come to an end.
        swapped.open.extend((0..self.open.len()).map(|level| (usize::MAX, level)));
        let compatible = swapped.is_compatible(update.1, original.1);
        self.steps = swapped.steps;
        self.exceeded |= swapped.exceeded;
        report.add(if compatible { change::NOT_TYPE_NARROWED } else { change::NOT_TYPE_EXTENDED }, "not");
    }
}
