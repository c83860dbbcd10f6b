//! Client quotas: `users`, `clients`, `ips` and users with clients.

use milena_client::{Cluster, Error};
use milena_protocol::messages::{
    AlterClientQuotasRequest, DescribeClientQuotasRequest, alter_client_quotas_request, describe_client_quotas_request,
    describe_client_quotas_response,
};

use super::changes::Changes;
use super::entity::{QuotaEntity, Which};
use crate::failure::Failure;
use crate::java_format;
use crate::terminal::Terminal;

pub async fn describe(cluster: &Cluster, entities: &[QuotaEntity], terminal: &mut Terminal) -> Result<(), Failure> {
    let components = entities.iter().map(|entity| {
        let (match_type, name) = match &entity.which {
            Which::Named(name) => (0, Some(name.clone())),
            Which::Default => (1, None),
            Which::All => (2, None),
        };
        describe_client_quotas_request::Component {
            entity_type: entity.entity_type.to_owned(),
            match_type,
            r#match: name,
        }
    });
    let request = DescribeClientQuotasRequest { components: components.collect(), strict: true };
    let response = cluster.send_any(&request).await?;
    Error::check(response.error_code, response.error_message.as_ref())?;
    for entry in response.entries.unwrap_or_default() {
        terminal.line(&quota_line(&entry));
    }
    Ok(())
}

fn quota_line(entry: &describe_client_quotas_response::Entry) -> String {
    // The user comes before the client, whatever the order of the answer.
    let mut entities: Vec<_> = entry.entity.iter().collect();
    entities.sort_by_key(|entity| ["user", "client-id", "ip"].iter().position(|known| *known == entity.entity_type));
    let owners: Vec<String> = entities
        .into_iter()
        .map(|entity| {
            let label = if entity.entity_type == "user" { "user-principal" } else { entity.entity_type.as_str() };
            match &entity.entity_name {
                Some(name) => format!("{label} '{name}'"),
                None => format!("the default {label}"),
            }
        })
        .collect();
    let mut values: Vec<String> =
        entry.values.iter().map(|value| format!("{}={}", value.key, java_format::double(value.value))).collect();
    values.sort();
    format!("Quota configs for {} are {}", owners.join(", "), values.join(", "))
}

pub async fn alter(
    cluster: &Cluster,
    entities: &[QuotaEntity],
    changes: &Changes,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut ops = Vec::new();
    for (key, value) in &changes.set {
        let number = value.parse().map_err(|_| {
            Failure::illegal_argument(format!("Cannot parse quota configuration value for {key}: {value}"))
        })?;
        ops.push(alter_client_quotas_request::Op { key: key.clone(), value: number, remove: false });
    }
    ops.extend(changes.delete.iter().map(|key| alter_client_quotas_request::Op {
        key: key.clone(),
        value: 0.0,
        remove: true,
    }));
    let entity = entities.iter().map(|entity| alter_client_quotas_request::Entity {
        entity_type: entity.entity_type.to_owned(),
        entity_name: match &entity.which {
            Which::Named(name) => Some(name.clone()),
            _ => None,
        },
    });
    let request = AlterClientQuotasRequest {
        entries: vec![alter_client_quotas_request::Entry { entity: entity.collect(), ops }],
        validate_only: false,
    };
    let response = cluster
        .send_controller(&request, |response| response.entries.first().map_or(0, |entry| entry.error_code))
        .await?;
    for entry in &response.entries {
        Error::check(entry.error_code, entry.error_message.as_ref())?;
    }
    for entity in entities {
        terminal.line(&updated(entity));
    }
    Ok(())
}

fn updated(entity: &QuotaEntity) -> String {
    let singular = if entity.entity_type == "client-id" { "client" } else { entity.entity_type };
    match &entity.which {
        Which::Named(name) => format!("Completed updating config for {singular} {name}."),
        _ => format!("Completed updating default config for {singular}s in the cluster."),
    }
}

#[cfg(test)]
mod tests {
    use describe_client_quotas_response::{Entity, Entry, Value};

    use super::*;

    fn entry(entity: &[(&str, Option<&str>)], values: &[(&str, f64)]) -> Entry {
        Entry {
            entity: entity
                .iter()
                .map(|(kind, name)| Entity { entity_type: (*kind).to_owned(), entity_name: name.map(str::to_owned) })
                .collect(),
            values: values.iter().map(|(key, value)| Value { key: (*key).to_owned(), value: *value }).collect(),
        }
    }

    #[test]
    fn quotas_are_printed_as_recorded() {
        assert_eq!(
            quota_line(&entry(&[("client-id", Some("c1"))], &[("consumer_byte_rate", 1024.0)])),
            "Quota configs for client-id 'c1' are consumer_byte_rate=1024.0"
        );
        assert_eq!(
            quota_line(&entry(&[("client-id", None)], &[("request_percentage", 50.0)])),
            "Quota configs for the default client-id are request_percentage=50.0"
        );
        let both = entry(
            &[("client-id", Some("c1")), ("user", Some("alice"))],
            &[("producer_byte_rate", 2048.0), ("consumer_byte_rate", 1024.0)],
        );
        assert_eq!(
            quota_line(&both),
            "Quota configs for user-principal 'alice', client-id 'c1' are consumer_byte_rate=1024.0, producer_byte_rate=2048.0"
        );
    }

    #[test]
    fn changes_are_confirmed_as_recorded() {
        let entity = |which| QuotaEntity { entity_type: "client-id", which };
        assert_eq!(updated(&entity(Which::Named("c1".to_owned()))), "Completed updating config for client c1.");
        assert_eq!(updated(&entity(Which::Default)), "Completed updating default config for clients in the cluster.");
    }
}
