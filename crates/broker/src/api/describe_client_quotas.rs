//! DescribeClientQuotas (key 48), versions 0-1 (KIP-546).
//!
//! - a component asks for one name of a type (0), for its default (1) or for every name and the default (2)
//! - strict: entities with other parts than those asked for are left out
//! - DESCRIBE_CONFIGS on the cluster

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::{EntityName, QuotaEntity};
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_client_quotas_request::Component;
use milena_protocol::messages::describe_client_quotas_response::{Entity, Entry, Value};
use milena_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use crate::context::{Broker, RequestContext};

type Refusal = (ErrorCode, String);

/// Lists the quotas that are set.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    match describe(broker, context, request) {
        Ok(entries) => DescribeClientQuotasResponse { entries: Some(entries), ..Default::default() },
        Err((code, message)) => {
            DescribeClientQuotasResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
        }
    }
}

fn describe(
    broker: &Broker,
    context: &RequestContext,
    request: DescribeClientQuotasRequest,
) -> Result<Vec<Entry>, Refusal> {
    if !broker.allows_cluster(context, AclOperation::DescribeConfigs) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return Err((code, code.message().to_owned()));
    }
    let filter = Filter::parse(request.components, request.strict)?;
    let image = broker.image();
    let meant = image.client_quotas.iter().filter(|(entity, _)| filter.matches(entity));
    let entries = meant.map(|(entity, values)| Entry {
        entity: entity
            .parts()
            .map(|(entity_type, name)| Entity { entity_type: entity_type.to_owned(), entity_name: name.to_wire() })
            .collect(),
        values: values.iter().map(|(key, value)| Value { key: key.clone(), value: *value }).collect(),
    });
    Ok(entries.collect())
}

/// What is asked for.
struct Filter {
    /// A type and whom of it; `None` is everybody.
    components: Vec<(String, Option<EntityName>)>,
    strict: bool,
}

impl Filter {
    fn parse(components: Vec<Component>, strict: bool) -> Result<Filter, Refusal> {
        let invalid = |message: String| Err((ErrorCode::InvalidRequest, message));
        let mut parsed: Vec<(String, Option<EntityName>)> = Vec::with_capacity(components.len());
        for Component { entity_type, match_type, r#match } in components {
            if entity_type.is_empty() {
                return invalid("Invalid empty entity type.".to_owned());
            }
            if parsed.iter().any(|(known, _)| *known == entity_type) {
                return invalid(format!("Entity type {entity_type} cannot appear more than once in the filter."));
            }
            if !matches!(entity_type.as_str(), "user" | "client-id" | "ip") {
                return Err((ErrorCode::UnsupportedVersion, format!("Unsupported entity type {entity_type}")));
            }
            let wanted = match (match_type, r#match) {
                (0, Some(name)) => Some(EntityName::Named(name)),
                (1, None) => Some(EntityName::Default),
                (2, None) => None,
                (0, None) => {
                    return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned());
                }
                (1, _) => {
                    let message = "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.";
                    return invalid(message.to_owned());
                }
                (2, _) => {
                    let message = "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.";
                    return invalid(message.to_owned());
                }
                (other, _) => return invalid(format!("Unknown match type {other}")),
            };
            parsed.push((entity_type, wanted));
        }
        if parsed.len() > 1 && parsed.iter().any(|(entity_type, _)| entity_type == "ip") {
            let message = "Invalid entity filter component combination. IP filter component should not be used with \
                           user or clientId filter component.";
            return invalid(message.to_owned());
        }
        Ok(Filter { components: parsed, strict })
    }

    fn matches(&self, entity: &QuotaEntity) -> bool {
        let asked_for = self.components.iter().all(|(entity_type, wanted)| match (entity.part(entity_type), wanted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(name), Some(wanted)) => name == wanted,
        });
        asked_for && (!self.strict || entity.parts().count() == self.components.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(entity_type: &str, match_type: i8, name: Option<&str>) -> Component {
        Component { entity_type: entity_type.to_owned(), match_type, r#match: name.map(str::to_owned) }
    }

    fn entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
        let parts = parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned)));
        QuotaEntity::from_parts(parts).expect("a valid entity")
    }

    fn matches(components: Vec<Component>, strict: bool, entity: &QuotaEntity) -> bool {
        Filter::parse(components, strict).expect("a valid filter").matches(entity)
    }

    #[test]
    fn a_strict_filter_leaves_out_entities_with_further_parts() {
        let both = entity(&[("user", Some("alice")), ("client-id", None)]);
        assert!(matches(vec![component("user", 0, Some("alice"))], false, &both));
        assert!(!matches(vec![component("user", 0, Some("alice"))], true, &both));
        assert!(matches(vec![component("user", 2, None), component("client-id", 1, None)], true, &both));
        assert!(!matches(vec![component("user", 1, None)], false, &both), "alice is not the default user");
        assert!(!matches(vec![component("ip", 2, None)], false, &both));
        assert!(matches(Vec::new(), false, &both));
        assert!(!matches(Vec::new(), true, &both));
    }

    #[test]
    fn filters_that_contradict_themselves_are_refused() {
        for components in [
            vec![component("user", 2, None), component("user", 2, None)],
            vec![component("user", 2, None), component("ip", 2, None)],
            vec![component("", 2, None)],
            vec![component("group", 2, None)],
            vec![component("user", 0, None)],
            vec![component("user", 1, Some("x"))],
            vec![component("user", 3, None)],
        ] {
            assert!(Filter::parse(components, false).is_err());
        }
    }
}
