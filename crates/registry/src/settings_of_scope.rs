//! What can be set for a subject, a context or everywhere: configuration and mode.

use milena_schema::CompatibilityPolicy;
use milena_schema::contract::{Metadata, RuleSet};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// How a new schema must relate to the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityLevel {
    /// Anything goes.
    None,
    /// Reads data of the latest.
    Backward,
    /// Reads data of all.
    BackwardTransitive,
    /// Is read by the latest.
    Forward,
    /// Is read by all.
    ForwardTransitive,
    /// Both, with the latest.
    Full,
    /// Both, with all.
    FullTransitive,
}

impl CompatibilityLevel {
    /// Reads a level in upper or lower case.
    pub fn parse(text: &str) -> Option<CompatibilityLevel> {
        Some(match text.trim().to_ascii_uppercase().as_str() {
            "NONE" => CompatibilityLevel::None,
            "BACKWARD" => CompatibilityLevel::Backward,
            "BACKWARD_TRANSITIVE" => CompatibilityLevel::BackwardTransitive,
            "FORWARD" => CompatibilityLevel::Forward,
            "FORWARD_TRANSITIVE" => CompatibilityLevel::ForwardTransitive,
            "FULL" => CompatibilityLevel::Full,
            "FULL_TRANSITIVE" => CompatibilityLevel::FullTransitive,
            _ => return None,
        })
    }

    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            CompatibilityLevel::None => "NONE",
            CompatibilityLevel::Backward => "BACKWARD",
            CompatibilityLevel::BackwardTransitive => "BACKWARD_TRANSITIVE",
            CompatibilityLevel::Forward => "FORWARD",
            CompatibilityLevel::ForwardTransitive => "FORWARD_TRANSITIVE",
            CompatibilityLevel::Full => "FULL",
            CompatibilityLevel::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether the new schema must read what the old one wrote.
    pub fn checks_backward(self) -> bool {
        use CompatibilityLevel as L;
        matches!(self, L::Backward | L::BackwardTransitive | L::Full | L::FullTransitive)
    }

    /// Whether the old schema must read what the new one writes.
    pub fn checks_forward(self) -> bool {
        use CompatibilityLevel as L;
        matches!(self, L::Forward | L::ForwardTransitive | L::Full | L::FullTransitive)
    }

    /// Whether all earlier versions count, not only the latest.
    pub fn is_transitive(self) -> bool {
        use CompatibilityLevel as L;
        matches!(self, L::BackwardTransitive | L::ForwardTransitive | L::FullTransitive)
    }
}

/// What may be done with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Everything (the default).
    #[serde(alias = "readwrite")]
    Readwrite,
    /// No writes.
    #[serde(alias = "readonly")]
    Readonly,
    /// No writes anywhere, whatever subjects say; only set globally.
    ReadonlyOverride,
    /// Ids and versions come from the client.
    Import,
    /// Another registry writes here.
    Forward,
}

impl Mode {
    /// Reads a mode in upper or lower case.
    pub fn parse(text: &str) -> Option<Mode> {
        Some(match text.trim().to_ascii_uppercase().as_str() {
            "READWRITE" => Mode::Readwrite,
            "READONLY" => Mode::Readonly,
            "READONLY_OVERRIDE" => Mode::ReadonlyOverride,
            "IMPORT" => Mode::Import,
            "FORWARD" => Mode::Forward,
            _ => return None,
        })
    }

    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Readwrite => "READWRITE",
            Mode::Readonly => "READONLY",
            Mode::ReadonlyOverride => "READONLY_OVERRIDE",
            Mode::Import => "IMPORT",
            Mode::Forward => "FORWARD",
        }
    }
}

/// Configuration; members that are not set are inherited from the context and then from the global one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Requests for this subject are about that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Kept for clients that encrypt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_for_deks: Option<Json>,
    /// New schemas are brought into normal form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Reserved names of fields are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<bool>,
    /// New schemas are checked strictly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<bool>,
    /// Rule sets are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<bool>,
    /// How a new schema must relate to the earlier ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<CompatibilityLevel>,
    /// `STRICT`, `LENIENT`, `LOGICAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_policy: Option<String>,
    /// Only versions with the same value of this metadata property are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    /// Metadata of schemas that say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Metadata>,
    /// Metadata that wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Metadata>,
    /// Rules of schemas that say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<RuleSet>,
    /// Rules that win.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<RuleSet>,
}

impl Config {
    /// Every member, as requests and records spell it.
    const MEMBERS: [&'static str; 13] = [
        "alias",
        "aliasForDeks",
        "normalize",
        "validateFields",
        "validateNewSchemas",
        "validateRules",
        "compatibilityLevel",
        "compatibilityPolicy",
        "compatibilityGroup",
        "defaultMetadata",
        "overrideMetadata",
        "defaultRuleSet",
        "overrideRuleSet",
    ];

    /// This configuration with the members of a request: values are taken, `null` clears, what is absent stays.
    ///
    /// # Errors
    /// A member of a wrong type.
    pub fn updated(&self, request: &Map<String, Json>) -> Result<Config, serde_json::Error> {
        let Json::Object(mut members) = serde_json::to_value(self)? else { return Ok(self.clone()) };
        for member in Config::MEMBERS {
            let wanted = match member {
                "compatibilityLevel" => request.get("compatibility").or_else(|| request.get(member)),
                _ => request.get(member),
            };
            match wanted {
                Some(Json::Null) => {
                    members.remove(member);
                }
                Some(Json::String(text)) if member == "compatibilityLevel" => {
                    members.insert(member.to_owned(), Json::from(text.trim().to_ascii_uppercase()));
                }
                Some(value) => {
                    members.insert(member.to_owned(), value.clone());
                }
                None => {}
            }
        }
        serde_json::from_value(Json::Object(members))
    }

    /// Member by member: this configuration's, or else that of `outer`.
    pub fn inherit(self, outer: &Config) -> Config {
        Config {
            alias: self.alias,
            alias_for_deks: self.alias_for_deks,
            normalize: self.normalize.or(outer.normalize),
            validate_fields: self.validate_fields.or(outer.validate_fields),
            validate_new_schemas: self.validate_new_schemas.or(outer.validate_new_schemas),
            validate_rules: self.validate_rules.or(outer.validate_rules),
            compatibility_level: self.compatibility_level.or(outer.compatibility_level),
            compatibility_policy: self.compatibility_policy.or_else(|| outer.compatibility_policy.clone()),
            compatibility_group: self.compatibility_group.or_else(|| outer.compatibility_group.clone()),
            default_metadata: self.default_metadata.or_else(|| outer.default_metadata.clone()),
            override_metadata: self.override_metadata.or_else(|| outer.override_metadata.clone()),
            default_rule_set: self.default_rule_set.or_else(|| outer.default_rule_set.clone()),
            override_rule_set: self.override_rule_set.or_else(|| outer.override_rule_set.clone()),
        }
    }

    /// Whether a policy has this name, in upper or lower case.
    pub fn is_policy(name: &str) -> bool {
        ["STRICT", "LENIENT", "LOGICAL"].iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// The policy for comparing; an unknown one counts as strict.
    pub fn policy(&self) -> CompatibilityPolicy {
        match self.compatibility_policy.as_deref() {
            Some(policy) if policy.eq_ignore_ascii_case("LENIENT") => CompatibilityPolicy::Lenient,
            _ => CompatibilityPolicy::Strict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn requests_set_members_clear_them_with_null_and_leave_the_others() {
        let config = Config::default().updated(&object(r#"{"compatibility":"full","alias":"b","x":1}"#)).unwrap();
        assert_eq!(config.compatibility_level, Some(CompatibilityLevel::Full));
        let config = config.updated(&object(r#"{"alias":null,"normalize":true}"#)).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"normalize":true,"compatibilityLevel":"FULL"}"#);
        assert!(config.updated(&object(r#"{"normalize":"yes"}"#)).is_err());
    }

    #[test]
    fn members_are_inherited_one_by_one_but_not_the_alias() {
        let outer =
            Config::default().updated(&object(r#"{"compatibility":"NONE","normalize":true,"alias":"a"}"#)).unwrap();
        let inner = Config { normalize: Some(false), ..Config::default() };
        let both = inner.inherit(&outer);
        assert_eq!((both.normalize, both.compatibility_level), (Some(false), Some(CompatibilityLevel::None)));
        assert_eq!(both.alias, None);
    }

    #[test]
    fn levels_and_modes_are_read_in_any_case() {
        assert_eq!(CompatibilityLevel::parse("full_transitive"), Some(CompatibilityLevel::FullTransitive));
        assert_eq!(CompatibilityLevel::parse("bad"), None);
        assert_eq!(Mode::parse("readonly_override"), Some(Mode::ReadonlyOverride));
        assert_eq!(serde_json::to_string(&Mode::Readwrite).unwrap(), "\"READWRITE\"");
        assert_eq!(serde_json::to_string(&CompatibilityLevel::BackwardTransitive).unwrap(), "\"BACKWARD_TRANSITIVE\"");
    }
}
