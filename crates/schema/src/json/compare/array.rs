//! Arrays: the schema of all elements, tuples, and what is said of elements behind a tuple.

use super::super::change::*;
use super::super::model::{Additional, Array, Kind, Model, NodeId};
use super::object::UnevaluatedChanges;
use super::scalar::{limit, limits};
use super::{Comparison, Report};

/// The schema that covers elements behind the tuple, or whether anything (`Ok(true)`) or nothing may be there.
fn behind_tuple(model: &Model<'_>, array: &Array) -> Result<bool, NodeId> {
    match (array.additional, array.unevaluated) {
        (Additional::Forbidden, _) => Ok(false),
        (Additional::Schema(schema), _) => Err(schema),
        (Additional::Any, None) => Ok(true),
        (Additional::Any, Some(schema)) => match model.get(schema).kind {
            Kind::Empty => Ok(true),
            Kind::False => Ok(false),
            _ => Err(schema),
        },
    }
}

impl Comparison<'_, '_> {
    /// Compares two arrays.
    pub(super) fn arrays(&mut self, original: &Array, update: &Array, report: &mut Report) {
        self.compare_at(original.all_items, update.all_items, "items", report);
        let common = original.tuple.len().min(update.tuple.len());
        for (index, (old, new)) in original.tuple.iter().zip(&update.tuple).enumerate() {
            self.compare_at(Some(*old), Some(*new), &format!("items/{index}"), report);
        }
        for (index, old) in original.tuple.iter().enumerate().skip(common) {
            self.item_removed(*old, update, &format!("items/{index}"), report);
        }
        for (index, new) in update.tuple.iter().enumerate().skip(common) {
            self.item_added(*new, original, &format!("items/{index}"), report);
        }
        match (original.additional, update.additional) {
            (Additional::Forbidden, Additional::Forbidden) | (Additional::Any, Additional::Any) => {}
            (Additional::Forbidden, _) => report.add(ADDITIONAL_ITEMS_ADDED, "additionalItems"),
            (_, Additional::Forbidden) => report.add(ADDITIONAL_ITEMS_REMOVED, "additionalItems"),
            (Additional::Any, _) => report.add(ADDITIONAL_ITEMS_NARROWED, "additionalItems"),
            (_, Additional::Any) => report.add(ADDITIONAL_ITEMS_EXTENDED, "additionalItems"),
            (Additional::Schema(old), Additional::Schema(new)) => {
                self.compare_at(Some(old), Some(new), "additionalItems", report);
            }
        }
        let changes = UnevaluatedChanges {
            keyword: "unevaluatedItems",
            added: UNEVALUATED_ITEMS_ADDED,
            extended: UNEVALUATED_ITEMS_EXTENDED,
            removed: UNEVALUATED_ITEMS_REMOVED,
            narrowed: UNEVALUATED_ITEMS_NARROWED,
        };
        self.unevaluated(&changes, original.unevaluated, update.unevaluated, report);
        counts(original, update, report);
    }

    fn item_removed(&mut self, old: NodeId, update: &Array, path: &str, report: &mut Report) {
        let change = match behind_tuple(self.new, update) {
            Ok(true) => ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL,
            Err(schema) => {
                let found = self.compare(Some(old), Some(schema));
                report.extend(&found, path);
                if found.is_empty() {
                    ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                } else {
                    ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                }
            }
            Ok(false) if matches!(self.old.get(old).kind, Kind::False) => {
                ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL
            }
            Ok(false) => ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL,
        };
        report.add(change, path);
    }

    fn item_added(&mut self, new: NodeId, original: &Array, path: &str, report: &mut Report) {
        let change = match behind_tuple(self.old, original) {
            Ok(true) if matches!(self.new.get(new).kind, Kind::Empty) => {
                ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL
            }
            Ok(true) => ITEM_ADDED_TO_OPEN_CONTENT_MODEL,
            Err(schema) => {
                let found = self.compare(Some(schema), Some(new));
                report.extend(&found, path);
                if found.is_empty() {
                    ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                } else {
                    ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                }
            }
            Ok(false) => ITEM_ADDED_TO_CLOSED_CONTENT_MODEL,
        };
        report.add(change, path);
    }
}

fn counts(original: &Array, update: &Array, report: &mut Report) {
    for (limit, old, new) in [
        (
            limit!("maxItems", MAX_ITEMS_ADDED, MAX_ITEMS_REMOVED, MAX_ITEMS_INCREASED, MAX_ITEMS_DECREASED),
            original.max_items,
            update.max_items,
        ),
        (
            limit!("minItems", MIN_ITEMS_ADDED, MIN_ITEMS_REMOVED, MIN_ITEMS_INCREASED, MIN_ITEMS_DECREASED),
            original.min_items,
            update.min_items,
        ),
        (
            limit!(
                "maxContains",
                MAX_CONTAINS_ADDED,
                MAX_CONTAINS_REMOVED,
                MAX_CONTAINS_INCREASED,
                MAX_CONTAINS_DECREASED
            ),
            original.max_contains,
            update.max_contains,
        ),
        (
            limit!(
                "minContains",
                MIN_CONTAINS_ADDED,
                MIN_CONTAINS_REMOVED,
                MIN_CONTAINS_INCREASED,
                MIN_CONTAINS_DECREASED
            ),
            original.min_contains,
            update.min_contains,
        ),
    ] {
        limits(limit, old, new, report);
    }
    match (original.unique_items, update.unique_items) {
        (true, false) => report.add(UNIQUE_ITEMS_REMOVED, "uniqueItems"),
        (false, true) => report.add(UNIQUE_ITEMS_ADDED, "uniqueItems"),
        _ => {}
    }
}
