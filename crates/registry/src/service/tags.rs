//! Inline tags of a version, changed on the server: the result is a new version.

use milena_schema::contract::RuleSet;

use super::entity::{SchemaAnswer, SchemaRequest, TagsRequest, VersionSpec};
use super::{RegisterOptions, Result, Service};
use crate::subject::Subject;

impl Service {
    /// POST `/subjects/{subject}/versions/{version}/tags`.
    ///
    /// # Errors
    /// 40401, 40402, and those of a registration.
    pub async fn modify_tags(
        &self,
        subject: &Subject,
        version: VersionSpec,
        request: TagsRequest,
    ) -> Result<SchemaAnswer> {
        let old = self.version(subject, version, false)?;
        let mut rule_set = request.rule_set.or_else(|| old.content.rule_set.as_deref().cloned());
        if let Some(merge) = &request.rules_to_merge {
            rule_set = RuleSet::merge(rule_set.as_ref(), Some(merge));
        }
        if let (Some(rules), Some(remove)) = (rule_set.as_mut(), &request.rules_to_remove) {
            let lists = [&mut rules.migration_rules, &mut rules.domain_rules, &mut rules.encoding_rules];
            for list in lists.into_iter().flatten() {
                list.retain(|rule| rule.name.as_ref().is_none_or(|name| !remove.contains(name)));
            }
        }
        let schema = SchemaRequest {
            schema: Some(old.content.schema.to_string()),
            schema_type: Some(old.content.schema_type.name().to_owned()),
            references: Some(old.content.references.to_vec()),
            metadata: request.metadata.or_else(|| old.content.metadata.as_deref().cloned()),
            rule_set,
            version: request.new_version,
            schema_tags_to_add: request.tags_to_add,
            schema_tags_to_remove: request.tags_to_remove,
            ..SchemaRequest::default()
        };
        self.register(subject, schema, RegisterOptions::default()).await
    }
}
