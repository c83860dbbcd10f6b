//! The bodies of requests and answers.

use std::sync::Arc;

use milena_schema::contract::{Metadata, RuleSet};
use milena_schema::{Reference, SchemaTag};
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::storage::{Content, Version};
use crate::subject::Subject;

/// What is registered, looked up or compared. Unknown members are ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaRequest {
    /// The text; on registration an absent one means that of the latest version.
    pub schema: Option<String>,
    /// `AVRO` (default), `JSON`, `PROTOBUF`.
    pub schema_type: Option<String>,
    /// What the text refers to.
    pub references: Option<Vec<Reference>>,
    /// What is known besides.
    #[serde(deserialize_with = "object")]
    pub metadata: Option<Metadata>,
    /// Rules for clients.
    #[serde(deserialize_with = "object")]
    pub rule_set: Option<RuleSet>,
    /// Expected next version; in IMPORT mode the version itself.
    pub version: Option<i32>,
    /// The id, in IMPORT mode.
    pub id: Option<i32>,
    /// Inline tags to add to the text.
    pub schema_tags_to_add: Option<Vec<SchemaTag>>,
    /// Inline tags to remove.
    pub schema_tags_to_remove: Option<Vec<SchemaTag>>,
    /// Whether inline tags of the latest version are carried over.
    pub propagate_schema_tags: Option<bool>,
}

/// An object or nothing; a list is not taken for the members of an object in their order.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(input: D) -> Result<Option<T>, D::Error> {
    let members = Option::<Map<String, Json>>::deserialize(input)?;
    members.map(|members| serde_json::from_value(Json::Object(members))).transpose().map_err(D::Error::custom)
}

/// Changes of inline tags, metadata and rules of a version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagsRequest {
    /// Inline tags to add.
    pub tags_to_add: Option<Vec<SchemaTag>>,
    /// Inline tags to remove.
    pub tags_to_remove: Option<Vec<SchemaTag>>,
    /// Expected version of the result.
    pub new_version: Option<i32>,
    /// Replaces the metadata.
    pub metadata: Option<Metadata>,
    /// Replaces the rules.
    pub rule_set: Option<RuleSet>,
    /// Rules added to those of the version.
    pub rules_to_merge: Option<RuleSet>,
    /// Names of rules to drop.
    pub rules_to_remove: Option<Vec<String>>,
}

/// A schema in an answer; members that are `None` or empty are left out.
#[derive(Debug, Clone)]
pub struct SchemaAnswer {
    /// Qualified name.
    pub subject: Option<String>,
    /// From 1.
    pub version: Option<i32>,
    /// Unique in the context.
    pub id: Option<i32>,
    /// Type, text, references, metadata, rules.
    pub content: Arc<Content>,
    /// The text in the format that was asked for, if it differs.
    pub formatted: Option<String>,
    /// References with qualified subjects, if they were asked for.
    pub qualified_references: Option<Vec<Reference>>,
    /// Inline tags, if they were asked for.
    pub schema_tags: Option<Vec<SchemaTag>>,
    /// The highest id of the context, if it was asked for.
    pub max_id: Option<i32>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// Soft-deleted.
    pub deleted: Option<bool>,
}

impl SchemaAnswer {
    /// Only the content.
    pub fn of_content(content: Arc<Content>) -> SchemaAnswer {
        SchemaAnswer {
            subject: None,
            version: None,
            id: None,
            content,
            formatted: None,
            qualified_references: None,
            schema_tags: None,
            max_id: None,
            timestamp: None,
            deleted: None,
        }
    }

    /// A version without its subject: the answer to a registration.
    pub fn of_version(version: &Version) -> SchemaAnswer {
        SchemaAnswer {
            version: Some(version.version),
            id: Some(version.id),
            timestamp: Some(version.timestamp),
            deleted: Some(version.deleted),
            ..SchemaAnswer::of_content(version.content.clone())
        }
    }

    /// A version of a subject.
    pub fn of_subject(subject: &Subject, version: &Version) -> SchemaAnswer {
        SchemaAnswer { subject: Some(subject.to_string()), ..SchemaAnswer::of_version(version) }
    }

    /// The text as answered.
    pub fn text(&self) -> &str {
        self.formatted.as_deref().unwrap_or(&self.content.schema)
    }
}

impl Serialize for SchemaAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        macro_rules! optional {
            ($name:literal, $value:expr) => {
                if let Some(value) = $value {
                    map.serialize_entry($name, value)?;
                }
            };
        }
        optional!("subject", &self.subject);
        optional!("version", &self.version);
        optional!("id", &self.id);
        map.serialize_entry("guid", &format_args!("{}", self.content.guid()))?;
        map.serialize_entry("schemaType", self.content.schema_type.name())?;
        let references = self.qualified_references.as_deref().unwrap_or(&self.content.references);
        if !references.is_empty() {
            map.serialize_entry("references", references)?;
        }
        optional!("metadata", self.content.metadata.as_deref());
        optional!("ruleSet", self.content.rule_set.as_deref());
        map.serialize_entry("schema", self.text())?;
        optional!("schemaTags", &self.schema_tags);
        optional!("maxId", &self.max_id);
        optional!("ts", &self.timestamp);
        optional!("deleted", &self.deleted);
        map.end()
    }
}

/// Which version a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSpec {
    /// `latest` or `-1`: the newest that is not deleted.
    Latest,
    /// From 1.
    Number(i32),
}

impl VersionSpec {
    /// Reads `latest` in any case, `-1`, or a number from 1.
    pub fn parse(text: &str) -> Option<VersionSpec> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("latest") || text == "-1" {
            return Some(VersionSpec::Latest);
        }
        text.parse().ok().filter(|number| *number >= 1).map(VersionSpec::Number)
    }

    /// The number for messages; `latest` is −1.
    pub fn number(self) -> i32 {
        match self {
            VersionSpec::Latest => -1,
            VersionSpec::Number(number) => number,
        }
    }
}

/// Whether a schema may follow the ones there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompatibilityAnswer {
    /// The verdict.
    pub is_compatible: bool,
    /// Why not; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_latest_or_numbers_from_one() {
        for latest in ["latest", " LATEST ", "-1"] {
            assert_eq!(VersionSpec::parse(latest), Some(VersionSpec::Latest));
        }
        assert_eq!(VersionSpec::parse("2147483647"), Some(VersionSpec::Number(i32::MAX)));
        for wrong in ["0", "-2", "2147483648", "earliest", "", "1.0"] {
            assert_eq!(VersionSpec::parse(wrong), None, "{wrong}");
        }
    }
}
