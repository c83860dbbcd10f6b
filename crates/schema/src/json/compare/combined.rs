//! `allOf`, `anyOf`, `oneOf`: the branches of both sides are paired off.

use std::collections::{HashMap, HashSet};

use super::super::change::*;
use super::super::model::{Criterion, Kind, Model, NodeId};
use super::matching::maximum_matching;
use super::{Comparison, Report};
use crate::document::{Node, Spelling};

/// Criterion and branches of the old and the new schema.
pub(super) struct Sides<'s> {
    pub(super) original: (Criterion, &'s [NodeId]),
    pub(super) update: (Criterion, &'s [NodeId]),
}

impl Comparison<'_, '_> {
    /// Compares two combinations: every branch of the smaller side needs a compatible one of its own.
    pub(super) fn combined(&mut self, sides: &Sides<'_>, report: &mut Report) {
        let ((old_criterion, old_all), (new_criterion, new_all)) = (sides.original, sides.update);
        if old_criterion != new_criterion {
            let (old_single, new_single) = (old_all.len() == 1, new_all.len() == 1);
            let extended = new_criterion == Criterion::Any
                || (old_single && (new_single || new_criterion == Criterion::One))
                || (new_single && old_criterion == Criterion::All);
            if !extended {
                report.add(COMBINED_TYPE_CHANGED, "");
                return;
            }
            report.add(COMBINED_TYPE_EXTENDED, "");
        }
        let (old, new) = (distinct(self.old, old_all), distinct(self.new, new_all));
        if old.len() < new.len() {
            let product = new_criterion == Criterion::All;
            report.add(if product { PRODUCT_TYPE_EXTENDED } else { SUM_TYPE_EXTENDED }, "");
        } else if old.len() > new.len() {
            let product = old_criterion == Criterion::All;
            report.add(if product { PRODUCT_TYPE_NARROWED } else { SUM_TYPE_NARROWED }, "");
        }
        let mut edges = Vec::with_capacity(old.len());
        for original in &old {
            let mut compatible = Vec::new();
            for (index, update) in new.iter().enumerate() {
                if self.exceeded {
                    return;
                }
                if self.is_compatible(*original, *update) {
                    compatible.push(index);
                }
            }
            edges.push(compatible);
        }
        if maximum_matching(&edges, new.len()) < old.len().min(new.len()) {
            report.add(COMBINED_TYPE_SUBSCHEMAS_CHANGED, "");
        }
    }
}

/// The branches without those that are written like an earlier one.
fn distinct(model: &Model<'_>, branches: &[NodeId]) -> Vec<NodeId> {
    let place = |branch: &NodeId| std::ptr::from_ref(model.get(*branch).raw);
    let mut at_place: HashMap<*const Node, usize> = HashMap::new();
    branches.iter().for_each(|branch| *at_place.entry(place(branch)).or_default() += 1);
    let mut seen = HashSet::new();
    let mut kept = branches.to_vec();
    kept.retain(|branch| {
        let node = model.get(*branch);
        // Parts of one schema object share its text and differ in kind.
        let is_part = at_place.get(&place(branch)).is_some_and(|parts| *parts > 1);
        seen.insert(if is_part { kind_name(&node.kind) } else { node.raw.text(Spelling::AsRead) })
    });
    kept
}

fn kind_name(kind: &Kind<'_>) -> String {
    match kind {
        Kind::Combined(criterion, _) => criterion.name().to_owned(),
        Kind::Number(number) => format!("number {}", number.integer),
        Kind::Reference(target) => format!("reference {target:?}"),
        Kind::Empty => "empty".to_owned(),
        Kind::False => "false".to_owned(),
        Kind::Enum(_) => "enum".to_owned(),
        Kind::Const(_) => "const".to_owned(),
        Kind::Not(_) => "not".to_owned(),
        Kind::Conditional => "if".to_owned(),
        Kind::Null => "null".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::String { .. } => "string".to_owned(),
        Kind::Object(_) => "object".to_owned(),
        Kind::Array(_) => "array".to_owned(),
    }
}
