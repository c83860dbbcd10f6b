//! Objects: properties and the content model, that is what is said of properties that are not listed.

use std::collections::HashSet;

use super::super::change::*;
use super::super::model::{Additional, Kind, Model, NodeId, Object};
use super::scalar::{limit, limits};
use super::{Comparison, Report};

/// Adding and removing a property means different things to these.
enum ContentModel {
    /// Anything may be there.
    Open,
    /// A schema covers the property.
    Covered(NodeId),
    /// Nothing may be there.
    Closed,
}

fn content_model(model: &Model<'_>, object: &Object<'_>, mut is_found: impl FnMut(&str) -> bool) -> ContentModel {
    let unevaluated = object.unevaluated.map(|id| (id, &model.get(id).kind));
    let is_open = object.additional == Additional::Any
        && object.pattern_properties.is_empty()
        && matches!(unevaluated, None | Some((_, Kind::Empty)));
    if is_open {
        return ContentModel::Open;
    }
    let by_pattern = object.pattern_properties.iter().find(|(regex, _)| is_found(regex));
    let by_pattern = by_pattern.map(|(_, schema)| *schema);
    match (by_pattern, object.additional, unevaluated) {
        (Some(schema), _, _) | (None, Additional::Schema(schema), _) => ContentModel::Covered(schema),
        (None, Additional::Any, Some((schema, kind))) if !matches!(kind, Kind::False | Kind::Empty) => {
            ContentModel::Covered(schema)
        }
        _ => ContentModel::Closed,
    }
}

impl Comparison<'_, '_> {
    /// Compares two objects.
    pub(super) fn objects(&mut self, original: &Object<'_>, update: &Object<'_>, report: &mut Report) {
        self.required(original, update, report);
        for (name, old) in &original.properties {
            let path = format!("properties/{name}");
            match update.properties.get(name) {
                Some(new) => self.compare_at(Some(*old), Some(*new), &path, report),
                None => self.property_removed(name, *old, update, &path, report),
            }
        }
        for (name, new) in &update.properties {
            if !original.properties.contains_key(name) {
                self.property_added(name, *new, original, update, report);
            }
        }
        self.dependencies(original, update, report);
        let (old, new) = (original.additional, update.additional);
        match (old, new) {
            (Additional::Forbidden, Additional::Forbidden) => {}
            (Additional::Forbidden, _) => report.add(ADDITIONAL_PROPERTIES_ADDED, "additionalProperties"),
            (_, Additional::Forbidden) => report.add(ADDITIONAL_PROPERTIES_REMOVED, "additionalProperties"),
            (Additional::Any, Additional::Any) => {}
            (Additional::Any, _) => report.add(ADDITIONAL_PROPERTIES_NARROWED, "additionalProperties"),
            (_, Additional::Any) => report.add(ADDITIONAL_PROPERTIES_EXTENDED, "additionalProperties"),
            (Additional::Schema(old), Additional::Schema(new)) => {
                self.compare_at(Some(old), Some(new), "additionalProperties", report);
            }
        }
        let changes = UnevaluatedChanges {
            keyword: "unevaluatedProperties",
            added: UNEVALUATED_PROPERTIES_ADDED,
            extended: UNEVALUATED_PROPERTIES_EXTENDED,
            removed: UNEVALUATED_PROPERTIES_REMOVED,
            narrowed: UNEVALUATED_PROPERTIES_NARROWED,
        };
        self.unevaluated(&changes, original.unevaluated, update.unevaluated, report);
        let max = limit!(
            "maxProperties",
            MAX_PROPERTIES_ADDED,
            MAX_PROPERTIES_REMOVED,
            MAX_PROPERTIES_INCREASED,
            MAX_PROPERTIES_DECREASED
        );
        limits(max, original.max_properties, update.max_properties, report);
        let min = limit!(
            "minProperties",
            MIN_PROPERTIES_ADDED,
            MIN_PROPERTIES_REMOVED,
            MIN_PROPERTIES_INCREASED,
            MIN_PROPERTIES_DECREASED
        );
        limits(min, original.min_properties, update.min_properties, report);
    }

    /// `required`, of properties that both list.
    fn required(&self, original: &Object<'_>, update: &Object<'_>, report: &mut Report) {
        for name in original.properties.keys() {
            let Some(property) = update.properties.get(name) else { continue };
            let path = format!("required/{name}");
            match (original.required.contains(name), update.required.contains(name)) {
                (true, false) => report.add(REQUIRED_ATTRIBUTE_REMOVED, path),
                (false, true) if self.new.get(*property).has_default => {
                    report.add(REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED, path);
                }
                (false, true) => report.add(REQUIRED_ATTRIBUTE_ADDED, path),
                _ => {}
            }
        }
    }

    /// The old data holds the property: the new content model must admit it.
    fn property_removed(&mut self, name: &str, old: NodeId, update: &Object<'_>, path: &str, report: &mut Report) {
        let new = self.new;
        match content_model(new, update, |regex| self.is_found(regex, name)) {
            ContentModel::Open => report.add(PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL, path),
            ContentModel::Covered(schema) => {
                let found = self.compare(Some(old), Some(schema));
                report.extend(&found, path);
                let covered = PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL;
                let not_covered = PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL;
                report.add(if found.is_empty() { covered } else { not_covered }, path);
            }
            ContentModel::Closed if matches!(self.old.get(old).kind, Kind::False) => {
                report.add(PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL, path);
            }
            ContentModel::Closed => report.add(PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL, path),
        }
    }

    /// The old data may hold the property all the same, if the old content model admitted it.
    fn property_added(
        &mut self,
        name: &str,
        new: NodeId,
        original: &Object<'_>,
        update: &Object<'_>,
        report: &mut Report,
    ) {
        let path = &format!("properties/{name}");
        let required = update.required.contains(name);
        let has_default = self.new.get(new).has_default;
        let old = self.old;
        let content_model = content_model(old, original, |regex| self.is_found(regex, name));
        if let ContentModel::Open = content_model {
            let change = match self.new.get(new).kind {
                Kind::Empty => PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL,
                _ if !required => OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL,
                _ if has_default => REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL,
                _ => REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL,
            };
            report.add(change, path);
            return;
        }
        if let ContentModel::Covered(schema) = content_model {
            let found = self.compare(Some(schema), Some(new));
            report.extend(&found, path);
            let covered = PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL;
            let not_covered = PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL;
            report.add(if found.is_empty() { covered } else { not_covered }, path);
        }
        let change = match (required, has_default) {
            (false, _) => OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL,
            (true, true) => REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL,
            (true, false) => REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL,
        };
        report.add(change, path);
    }

    fn dependencies(&mut self, original: &Object<'_>, update: &Object<'_>, report: &mut Report) {
        let path = |name: &str| format!("dependencies/{name}");
        for (name, old) in &original.dependent_required {
            let Some(new) = update.dependent_required.get(name) else {
                report.add(DEPENDENCY_ARRAY_REMOVED, path(name));
                continue;
            };
            let (old, new) = (old.iter().collect::<HashSet<_>>(), new.iter().collect::<HashSet<_>>());
            match (old.is_subset(&new), new.is_subset(&old)) {
                (true, true) => {}
                (true, false) => report.add(DEPENDENCY_ARRAY_EXTENDED, path(name)),
                (false, true) => report.add(DEPENDENCY_ARRAY_NARROWED, path(name)),
                (false, false) => report.add(DEPENDENCY_ARRAY_CHANGED, path(name)),
            }
        }
        for name in update.dependent_required.keys() {
            if !original.dependent_required.contains_key(name) {
                report.add(DEPENDENCY_ARRAY_ADDED, path(name));
            }
        }
        for (name, old) in &original.dependent_schemas {
            match update.dependent_schemas.get(name) {
                Some(new) => self.compare_at(Some(*old), Some(*new), &path(name), report),
                None => report.add(DEPENDENCY_SCHEMA_REMOVED, path(name)),
            }
        }
        for name in update.dependent_schemas.keys() {
            if !original.dependent_schemas.contains_key(name) {
                report.add(DEPENDENCY_SCHEMA_ADDED, path(name));
            }
        }
    }

    /// `unevaluatedProperties` and `unevaluatedItems`.
    pub(super) fn unevaluated(
        &mut self,
        changes: &UnevaluatedChanges,
        original: Option<NodeId>,
        update: Option<NodeId>,
        report: &mut Report,
    ) {
        let old = original.map(|id| &self.old.get(id).kind);
        let new = update.map(|id| &self.new.get(id).kind);
        let change = match (old, new) {
            (None, None) => return,
            (None, Some(Kind::False)) => changes.removed,
            (None, Some(_)) => changes.narrowed,
            (Some(Kind::False), None) => changes.added,
            (Some(_), None) => changes.extended,
            (Some(Kind::False), Some(Kind::False)) => return,
            (Some(Kind::False), Some(_)) => changes.added,
            (Some(_), Some(Kind::False)) => changes.removed,
            (Some(Kind::Empty), Some(Kind::Empty)) => return,
            (Some(Kind::Empty), Some(_)) => changes.narrowed,
            (Some(_), Some(Kind::Empty)) => changes.extended,
            (Some(_), Some(_)) => return self.compare_at(original, update, changes.keyword, report),
        };
        report.add(change, changes.keyword);
    }
}

/// The names of what may happen to what is said of unevaluated properties or items.
pub(super) struct UnevaluatedChanges {
    pub(super) keyword: &'static str,
    pub(super) added: Change,
    pub(super) extended: Change,
    pub(super) removed: Change,
    pub(super) narrowed: Change,
}
