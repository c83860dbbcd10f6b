//! Configs of topics, of brokers, and of all brokers together.

use milena_client::Error as KafkaError;
use milena_client::admin::{ConfigChange, ConfigResource, ResourceType};
use milena_protocol::messages::describe_configs_response::{Config, Result as Described};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::scope::{Scope, not_found, number, segment};
use super::{brokers, topics};
use crate::error::{RestError, Result};
use crate::http::{Answer, Call};

/// Topics in one request for the configs of all.
const TOPICS_AT_ONCE: usize = 500;

/// Whose configs they are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    Topic(String),
    Broker(i32),
    /// What holds for every broker that has nothing of its own.
    AllBrokers,
}

impl Owner {
    /// The owner in the path, which is there.
    async fn topic(scope: &Scope, call: &Call) -> Result<Owner> {
        topics::find(scope, call.parameter(1), false).await?;
        Ok(Owner::Topic(call.parameter(1).to_owned()))
    }

    async fn broker(scope: &Scope, call: &Call) -> Result<Owner> {
        Ok(Owner::Broker(brokers::find(scope, number(call, 1)?).await?.node_id))
    }

    fn resource(&self) -> ConfigResource {
        let (resource_type, name) = match self {
            Owner::Topic(name) => (ResourceType::Topic, name.clone()),
            Owner::Broker(id) => (ResourceType::Broker, id.to_string()),
            Owner::AllBrokers => (ResourceType::Broker, String::new()),
        };
        ConfigResource { resource_type, name }
    }

    fn kind(&self) -> &'static str {
        match self {
            Owner::Topic(_) => "KafkaTopicConfig",
            Owner::Broker(_) => "KafkaBrokerConfig",
            Owner::AllBrokers => "KafkaClusterConfig",
        }
    }

    fn path(&self) -> String {
        match self {
            Owner::Topic(name) => format!("/topics/{}/configs", segment(name)),
            Owner::Broker(id) => format!("/brokers/{id}/configs"),
            Owner::AllBrokers => "/broker-configs".to_owned(),
        }
    }

    fn name(&self, config: &str) -> String {
        match self {
            Owner::Topic(name) => format!("/topic={name}/config={config}"),
            Owner::Broker(id) => format!("/broker={id}/config={config}"),
            Owner::AllBrokers => format!("/broker-config={config}"),
        }
    }

    fn member(&self) -> (&'static str, Value) {
        match self {
            Owner::Topic(name) => ("topic_name", name.as_str().into()),
            Owner::Broker(id) => ("broker_id", (*id).into()),
            Owner::AllBrokers => ("config_type", "BROKER".into()),
        }
    }

    fn list(&self, scope: &Scope, configs: &[Config]) -> Vec<Value> {
        configs.iter().map(|config| self.written(scope, config)).collect()
    }

    fn written(&self, scope: &Scope, config: &Config) -> Value {
        let synonyms = config.synonyms.iter().map(
            |synonym| json!({"name": synonym.name, "value": synonym.value, "source": source_name(synonym.source)}),
        );
        let mut members = Map::new();
        let (name, value) = self.member();
        members.insert(name.to_owned(), value);
        let rest = json!({
            "name": config.name,
            "value": config.value.as_ref().filter(|_| !config.is_sensitive),
            "is_default": matches!(config.config_source, DEFAULT_CONFIG),
            "is_read_only": config.read_only,
            "is_sensitive": config.is_sensitive,
            "source": source_name(config.config_source),
            "synonyms": synonyms.collect::<Vec<_>>(),
        });
        if let Value::Object(rest) = rest {
            members.extend(rest);
        }
        let path = format!("{}/{}", self.path(), segment(&config.name));
        scope.resource(self.kind(), &path, Some(&self.name(&config.name)), members.into())
    }
}

const DEFAULT_CONFIG: i8 = 5;

fn source_name(source: i8) -> &'static str {
    match source {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        DEFAULT_CONFIG => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

/// GET `…/topics/{topic_name}/configs`
pub async fn list_of_topic(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::topic(&scope, &call).await?;
    list(&scope, &owner).await
}

/// GET `…/brokers/{broker_id}/configs`
pub async fn list_of_broker(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::broker(&scope, &call).await?;
    list(&scope, &owner).await
}

/// GET `…/broker-configs`
pub async fn list_of_cluster(call: Call) -> Result<Answer> {
    list(&Scope::of(&call).await?, &Owner::AllBrokers).await
}

async fn list(scope: &Scope, owner: &Owner) -> Result<Answer> {
    let configs = scope.cluster().describe_configs(&owner.resource()).await?;
    Answer::json(&scope.list(&format!("{}List", owner.kind()), &owner.path(), owner.list(scope, &configs)))
}

/// GET `…/topics/-/configs`
pub async fn list_of_all_topics(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let names: Vec<String> = scope.cluster().list_topics().await?.into_iter().map(|topic| topic.name).collect();
    let owners: Vec<Owner> = names.into_iter().map(Owner::Topic).collect();
    let mut data = Vec::new();
    for some in owners.chunks(TOPICS_AT_ONCE) {
        let resources: Vec<ConfigResource> = some.iter().map(Owner::resource).collect();
        for described in scope.cluster().describe_configs_of(&resources).await? {
            data.extend(of_topic(&scope, described)?);
        }
    }
    Answer::json(&scope.list("KafkaTopicConfigList", "/topics/-/configs", data))
}

/// A topic that was deleted in the meantime has no configs.
fn of_topic(scope: &Scope, described: Described) -> Result<Vec<Value>> {
    match KafkaError::check(described.error_code, described.error_message.as_ref()).map_err(RestError::from) {
        Ok(()) => Ok(Owner::Topic(described.resource_name).list(scope, &described.configs)),
        Err(error) if error.status() == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// GET `…/brokers/-/configs`
pub async fn list_of_all_brokers(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let metadata = scope.cluster().refresh_metadata(Some(&[]), false).await?;
    let mut data = Vec::new();
    for broker in metadata.brokers {
        let owner = Owner::Broker(broker.node_id);
        data.extend(owner.list(&scope, &scope.cluster().describe_configs(&owner.resource()).await?));
    }
    Answer::json(&scope.list("KafkaBrokerConfigList", "/brokers/-/configs", data))
}

/// GET `…/topics/{topic_name}/configs/{name}`
pub async fn get_of_topic(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::topic(&scope, &call).await?;
    get(&scope, &owner, call.parameter(2)).await
}

/// GET `…/brokers/{broker_id}/configs/{name}`
pub async fn get_of_broker(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::broker(&scope, &call).await?;
    get(&scope, &owner, call.parameter(2)).await
}

/// GET `…/broker-configs/{name}`
pub async fn get_of_cluster(call: Call) -> Result<Answer> {
    get(&Scope::of(&call).await?, &Owner::AllBrokers, call.parameter(1)).await
}

async fn get(scope: &Scope, owner: &Owner, name: &str) -> Result<Answer> {
    let configs = scope.cluster().describe_configs(&owner.resource()).await?;
    let found = configs.iter().find(|config| config.name == name).ok_or_else(|| unknown(name))?;
    Answer::json(&owner.written(scope, found))
}

fn unknown(name: &str) -> RestError {
    not_found(format!("Config {name} cannot be found."))
}

#[derive(Deserialize)]
struct NewValue {
    value: Option<String>,
}

/// PUT `…/topics/{topic_name}/configs/{name}`
pub async fn set_of_topic(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::topic(&scope, &call).await?;
    set(&scope, &owner, 2, &mut call).await
}

/// PUT `…/brokers/{broker_id}/configs/{name}`
pub async fn set_of_broker(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::broker(&scope, &call).await?;
    set(&scope, &owner, 2, &mut call).await
}

/// PUT `…/broker-configs/{name}`
pub async fn set_of_cluster(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    set(&scope, &Owner::AllBrokers, 1, &mut call).await
}

async fn set(scope: &Scope, owner: &Owner, at: usize, call: &mut Call) -> Result<Answer> {
    let new: NewValue = call.json().await?;
    let name = call.parameter(at).to_owned();
    let change = match new.value {
        Some(value) => ConfigChange::Set(name, value),
        None => return Err(RestError::Validation("value may not be null".to_owned())),
    };
    change_all(scope, vec![(owner.clone(), vec![change])], false).await
}

/// DELETE `…/topics/{topic_name}/configs/{name}`
pub async fn reset_of_topic(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::topic(&scope, &call).await?;
    reset(&scope, &owner, call.parameter(2)).await
}

/// DELETE `…/brokers/{broker_id}/configs/{name}`
pub async fn reset_of_broker(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::broker(&scope, &call).await?;
    reset(&scope, &owner, call.parameter(2)).await
}

/// DELETE `…/broker-configs/{name}`
pub async fn reset_of_cluster(call: Call) -> Result<Answer> {
    reset(&Scope::of(&call).await?, &Owner::AllBrokers, call.parameter(1)).await
}

async fn reset(scope: &Scope, owner: &Owner, name: &str) -> Result<Answer> {
    change_all(scope, vec![(owner.clone(), vec![ConfigChange::Delete(name.to_owned())])], false).await
}

#[derive(Deserialize)]
struct Alteration {
    data: Option<Vec<NewConfig>>,
    validate_only: Option<bool>,
}

#[derive(Deserialize)]
struct NewConfig {
    name: Option<String>,
    value: Option<String>,
    operation: Option<String>,
}

impl NewConfig {
    fn change(self) -> Result<ConfigChange> {
        let missing = |what: &str| RestError::Validation(format!("{what} may not be null"));
        let name = self.name.ok_or_else(|| missing("name"))?;
        match self.operation.as_deref().unwrap_or("SET").to_ascii_uppercase().as_str() {
            "SET" => Ok(ConfigChange::Set(name, self.value.ok_or_else(|| missing("value"))?)),
            "DELETE" => Ok(ConfigChange::Delete(name)),
            other => {
                Err(RestError::bad_request(format!("Bad Request: {other} is no operation; there are SET, DELETE")))
            }
        }
    }
}

fn changes(data: Option<Vec<NewConfig>>) -> Result<Vec<ConfigChange>> {
    let data = data.ok_or_else(|| RestError::Validation("data may not be null".to_owned()))?;
    data.into_iter().map(NewConfig::change).collect()
}

/// POST `…/topics/{topic_name}/configs:alter`
pub async fn alter_of_topic(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::topic(&scope, &call).await?;
    alter(&scope, owner, &mut call).await
}

/// POST `…/brokers/{broker_id}/configs:alter`
pub async fn alter_of_broker(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let owner = Owner::broker(&scope, &call).await?;
    alter(&scope, owner, &mut call).await
}

/// POST `…/broker-configs:alter`
pub async fn alter_of_cluster(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    alter(&scope, Owner::AllBrokers, &mut call).await
}

async fn alter(scope: &Scope, owner: Owner, call: &mut Call) -> Result<Answer> {
    let alteration: Alteration = call.json().await?;
    let changes = changes(alteration.data)?;
    change_all(scope, vec![(owner, changes)], alteration.validate_only.unwrap_or(false)).await
}

#[derive(Deserialize)]
struct AlterationOfTopics {
    data: Option<Vec<TopicAlteration>>,
    validate_only: Option<bool>,
}

#[derive(Deserialize)]
struct TopicAlteration {
    topic_name: String,
    configs: Option<Vec<NewConfig>>,
}

/// POST `…/topics/-/configs:alter`
pub async fn alter_of_topics(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let alteration: AlterationOfTopics = call.json().await?;
    let data = alteration.data.ok_or_else(|| RestError::Validation("data may not be null".to_owned()))?;
    let mut all = Vec::with_capacity(data.len());
    for TopicAlteration { topic_name, configs } in data {
        all.push((Owner::Topic(topic_name), changes(configs)?));
    }
    change_all(&scope, all, alteration.validate_only.unwrap_or(false)).await
}

/// Makes the changes, after a look whether every key is known: of one owner all or none.
async fn change_all(scope: &Scope, all: Vec<(Owner, Vec<ConfigChange>)>, validate_only: bool) -> Result<Answer> {
    for (owner, changes) in &all {
        check_names(scope, owner, changes).await?;
    }
    let wanted: Vec<_> = all.into_iter().map(|(owner, changes)| (owner.resource(), changes)).collect();
    scope.cluster().alter_configs_of(&wanted, validate_only).await?;
    Ok(Answer::nothing())
}

async fn check_names(scope: &Scope, owner: &Owner, changes: &[ConfigChange]) -> Result<()> {
    // What is not set for all brokers is not listed there: the broker judges.
    if *owner == Owner::AllBrokers {
        return Ok(());
    }
    let known = scope.cluster().describe_configs(&owner.resource()).await?;
    for change in changes {
        let (ConfigChange::Set(name, _) | ConfigChange::Delete(name)) = change;
        if !known.iter().any(|config| config.name == *name) {
            return Err(unknown(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: Value) -> Result<ConfigChange> {
        serde_json::from_value::<NewConfig>(json).map_err(|error| RestError::bad_request(error.to_string()))?.change()
    }

    #[test]
    fn a_change_sets_unless_it_says_delete() {
        let set = ConfigChange::Set("a".to_owned(), "1".to_owned());
        assert_eq!(change(json!({"name": "a", "value": "1"})), Ok(set.clone()));
        assert_eq!(change(json!({"name": "a", "value": "1", "operation": "set"})), Ok(set));
        assert_eq!(change(json!({"name": "a", "operation": "DELETE"})), Ok(ConfigChange::Delete("a".to_owned())));
        assert_eq!(change(json!({"name": "a"})).unwrap_err().status(), 422);
        assert_eq!(change(json!({"name": "a", "value": "1", "operation": "APPEND"})).unwrap_err().status(), 400);
    }
}
