//! Data contracts: metadata and rules that travel with a schema.
//!
//! A registry stores, merges and validates them; clients run the rules.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Deserializer, Serialize};

/// Longest name of a rule.
const RULE_NAME_CHARS_MAX: usize = 256;

/// What is known about a schema besides its text. Absent members stay absent in answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Tags by pattern of entity paths.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub tags: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Free properties.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Names of properties that are stored encrypted.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub sensitive: Option<BTreeSet<String>>,
}

/// The rules of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSet {
    /// Rules that turn records of one version into another.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub migration_rules: Option<Vec<Rule>>,
    /// Rules about the content of records.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub domain_rules: Option<Vec<Rule>>,
    /// Rules about the encoded bytes.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub encoding_rules: Option<Vec<Rule>>,
    /// Where the rules are to run: `ALL`, `CLIENT`, `GATEWAY`, `SERVER`, `NONE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_at: Option<String>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// Unique within its set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// `TRANSFORM`, which is meant where nothing is said, or `CONDITION`.
    #[serde(deserialize_with = "kind_or_transform", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `UPGRADE`, `DOWNGRADE`, `UPDOWN`, `WRITE`, `READ`, or `WRITEREAD`, which is meant where nothing is said.
    #[serde(deserialize_with = "mode_or_both", skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Which executor runs it: `CEL`, `JSONATA`, `ENCRYPT`, ...
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub rule_type: Option<String>,
    /// Tags of the entities it is for.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub tags: Option<BTreeSet<String>>,
    /// Parameters of the executor.
    #[serde(skip_serializing_if = "is_empty_or_none")]
    pub params: Option<BTreeMap<String, String>>,
    /// What the executor evaluates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// Action afterwards; two, separated by a comma, for a mode of two directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// Action when it fails; as [`Rule::on_success`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// What a rule is when it does not say: part of its identity, as in the original.
const DEFAULT_KIND: &str = "TRANSFORM";
/// The directions of a rule that does not say.
const DEFAULT_MODE: &str = "WRITEREAD";

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            name: None,
            doc: None,
            kind: Some(DEFAULT_KIND.to_owned()),
            mode: Some(DEFAULT_MODE.to_owned()),
            rule_type: None,
            tags: None,
            params: None,
            expr: None,
            on_success: None,
            on_failure: None,
            disabled: false,
        }
    }
}

fn kind_or_transform<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(input)?.or_else(|| Some(DEFAULT_KIND.to_owned())))
}

fn mode_or_both<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(input)?.or_else(|| Some(DEFAULT_MODE.to_owned())))
}

/// Why a rule set is refused (error code 42210).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRuleSet(pub String);

/// Whether a collection holds nothing worth sending.
trait Emptiness {
    fn is_empty(&self) -> bool;
}

impl<K, V> Emptiness for BTreeMap<K, V> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Emptiness for BTreeSet<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Emptiness for Vec<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

fn is_empty_or_none<T: Emptiness>(collection: &Option<T>) -> bool {
    collection.as_ref().is_none_or(T::is_empty)
}

impl Metadata {
    /// `base` with what `over` says: tags and sensitive names are united, properties of `over` win.
    pub fn merge(base: Option<&Metadata>, over: Option<&Metadata>) -> Option<Metadata> {
        let (Some(base), Some(over)) = (base, over) else {
            return over.or(base).cloned();
        };
        let tags = merged(&base.tags, &over.tags, |tags, more| {
            for (path, names) in more {
                tags.entry(path.clone()).or_default().extend(names.iter().cloned());
            }
        });
        let properties = merged(&base.properties, &over.properties, |properties, more| {
            properties.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        });
        let sensitive = merged(&base.sensitive, &over.sensitive, |names, more| names.extend(more.iter().cloned()));
        Some(Metadata { tags, properties, sensitive })
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.get(name).map(String::as_str)
    }
}

impl RuleSet {
    /// `base` with what `over` says: a rule of `over` replaces the one of its name.
    pub fn merge(base: Option<&RuleSet>, over: Option<&RuleSet>) -> Option<RuleSet> {
        let (Some(base), Some(over)) = (base, over) else {
            return over.or(base).cloned();
        };
        let replace = |rules: &mut Vec<Rule>, more: &Vec<Rule>| {
            rules.retain(|rule| !more.iter().any(|other| other.name == rule.name));
            rules.extend(more.iter().cloned());
        };
        Some(RuleSet {
            migration_rules: merged(&base.migration_rules, &over.migration_rules, replace),
            domain_rules: merged(&base.domain_rules, &over.domain_rules, replace),
            encoding_rules: merged(&base.encoding_rules, &over.encoding_rules, replace),
            enable_at: over.enable_at.clone().or_else(|| base.enable_at.clone()),
        })
    }

    /// All rules: migration, domain, encoding.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        [&self.migration_rules, &self.domain_rules, &self.encoding_rules].into_iter().flatten().flatten()
    }

    /// Checks names, types, modes and actions.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn validate(&self) -> Result<(), InvalidRuleSet> {
        const MIGRATION: [&str; 3] = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
        const CONTENT: [&str; 3] = ["WRITE", "READ", "WRITEREAD"];
        let groups = [
            ("migration", &self.migration_rules, MIGRATION),
            ("domain", &self.domain_rules, CONTENT),
            ("encoding", &self.encoding_rules, CONTENT),
        ];
        for (group, rules, modes) in groups {
            let mut names = HashSet::new();
            for rule in rules.iter().flatten() {
                rule.validate(group, &modes)?;
                if !names.insert(rule.name.as_deref()) {
                    let name = rule.name.as_deref().unwrap_or_default();
                    return Err(InvalidRuleSet(format!("Found rule with duplicate name '{name}'")));
                }
            }
        }
        match self.enable_at.as_deref() {
            None | Some("ALL" | "CLIENT" | "GATEWAY" | "SERVER" | "NONE") => Ok(()),
            Some(other) => Err(InvalidRuleSet(format!("Invalid enableAt '{other}'"))),
        }
    }
}

impl Rule {
    fn validate(&self, group: &str, modes: &[&str]) -> Result<(), InvalidRuleSet> {
        let refuse = |message: String| Err(InvalidRuleSet(message));
        let name = self.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return refuse(format!("Empty rule name in {group} rules"));
        }
        if name.chars().count() > RULE_NAME_CHARS_MAX {
            return refuse(format!("Rule name '{name}' is longer than {RULE_NAME_CHARS_MAX} characters"));
        }
        let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            return refuse(format!("Illegal character in rule name '{name}'"));
        }
        if self.rule_type.as_deref().unwrap_or_default().is_empty() {
            return refuse(format!("Missing rule type for rule '{name}'"));
        }
        if let Some(kind) = self.kind.as_deref()
            && !matches!(kind, "TRANSFORM" | "CONDITION")
        {
            return refuse(format!("Invalid kind {kind} of rule '{name}'"));
        }
        let mode = self.mode.as_deref();
        if let Some(mode) = mode
            && !modes.contains(&mode)
        {
            return refuse(format!("Invalid mode {mode} of {group} rule '{name}'"));
        }
        // Without a mode a rule works in both directions.
        let two_ways = mode.is_none_or(|mode| mode == "WRITEREAD" || mode == "UPDOWN");
        for (what, action) in [("onSuccess", &self.on_success), ("onFailure", &self.on_failure)] {
            let count = action.as_deref().map_or(0, |action| action.split(',').count());
            if count > 2 || (count == 2 && !two_ways) {
                return refuse(format!("Invalid {what} of rule '{name}': a pair needs mode WRITEREAD or UPDOWN"));
            }
        }
        Ok(())
    }
}

fn merged<T: Clone>(base: &Option<T>, over: &Option<T>, add: impl FnOnce(&mut T, &T)) -> Option<T> {
    match (base, over) {
        (Some(base), Some(over)) => {
            let mut merged = base.clone();
            add(&mut merged, over);
            Some(merged)
        }
        (base, over) => over.as_ref().or(base.as_ref()).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn metadata_of_the_request_wins_over_defaults_and_sets_are_united() {
        let base: Metadata =
            serde_json::from_str(r#"{"tags":{"a":["x"]},"properties":{"p":"1","q":"1"},"sensitive":["p"]}"#).unwrap();
        let over: Metadata = serde_json::from_str(r#"{"tags":{"a":["y"]},"properties":{"q":"2"}}"#).unwrap();
        let merged = Metadata::merge(Some(&base), Some(&over)).unwrap();
        let text = serde_json::to_string(&merged).unwrap();
        assert_eq!(text, r#"{"tags":{"a":["x","y"]},"properties":{"p":"1","q":"2"},"sensitive":["p"]}"#);
        assert_eq!(Metadata::merge(None, Some(&over)), Some(over));
        assert_eq!(Metadata::merge(None, None), None);
    }

    #[test]
    fn a_rule_replaces_the_one_of_its_name() {
        let named = |name: &str, expr: &str| rule(&format!(r#"{{"name":"{name}","type":"CEL","expr":"{expr}"}}"#));
        let base = RuleSet { domain_rules: Some(vec![named("a", "1"), named("b", "1")]), ..RuleSet::default() };
        let over = RuleSet { domain_rules: Some(vec![named("a", "2")]), ..RuleSet::default() };
        let merged = RuleSet::merge(Some(&base), Some(&over)).unwrap();
        assert_eq!(merged.domain_rules, Some(vec![named("b", "1"), named("a", "2")]));
    }

    #[test]
    fn a_rule_that_says_neither_kind_nor_mode_transforms_both_ways() {
        let plain = rule(r#"{"name":"a","type":"CEL","kind":null}"#);
        assert_eq!((plain.kind.as_deref(), plain.mode.as_deref()), (Some("TRANSFORM"), Some("WRITEREAD")));
        let told = serde_json::to_string(&plain).unwrap();
        assert_eq!(told, r#"{"name":"a","kind":"TRANSFORM","mode":"WRITEREAD","type":"CEL","disabled":false}"#);
        let migration = RuleSet { migration_rules: Some(vec![plain]), ..RuleSet::default() };
        assert!(migration.validate().is_err(), "a migration goes up or down");
    }

    #[test]
    fn rules_are_validated() {
        let check =
            |json: &str| RuleSet { domain_rules: Some(vec![rule(json)]), ..RuleSet::default() }.validate().is_ok();
        assert!(check(r#"{"name":"_a-1","type":"CEL","mode":"WRITE"}"#));
        assert!(check(r#"{"name":"a","type":"CEL","mode":"WRITEREAD","onFailure":"DLQ,NONE"}"#));
        assert!(!check(r#"{"name":"a","type":"CEL","mode":"WRITE","onFailure":"DLQ,NONE"}"#));
        assert!(!check(r#"{"name":"a","type":"CEL","mode":"UPGRADE"}"#));
        assert!(!check(r#"{"name":"1a","type":"CEL"}"#));
        assert!(!check(r#"{"name":"a b","type":"CEL"}"#));
        assert!(!check(r#"{"name":"a","type":"CEL","kind":"GUESS"}"#));
        assert!(!check(r#"{"name":"a"}"#));
        assert!(!check(r#"{"type":"CEL"}"#));
        assert!(!check(&format!(r#"{{"name":"{}","type":"CEL"}}"#, "a".repeat(257))));
        let twice = vec![rule(r#"{"name":"a","type":"CEL"}"#); 2];
        assert!(RuleSet { domain_rules: Some(twice), ..RuleSet::default() }.validate().is_err());
    }
}
