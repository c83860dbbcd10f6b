//! The embedded formats `avro`, `jsonschema` and `protobuf`: payloads that name a schema of the registry.
//!
//! The registry's client blocks, so the first use of a schema goes to a thread for that; afterwards [`SchemaCache`]
//! knows it. What is cached never changes its meaning, except what is the latest version of a subject.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_schema::client::{ClientError, Registered, RegistryClient, SchemaText};
use milena_schema::serializer::{Deserializer, SerdeError};
use milena_schema::wire::{self, SchemaId};
use milena_schema::{ParseOptions, ParsedSchema, SchemaType};
use parking_lot::Mutex;
use serde_json::Value;

use super::raw::RawJson;
use super::{Encoded, Format, GivenSchema, SchemaChoice, Undecodable};
use crate::error::{RestError, Result};
use crate::state::Proxy;

/// How long the latest version of a subject is taken for the latest.
const LATEST_LIFETIME: Duration = Duration::from_secs(1);
/// Topics with more choices than this together begin anew; what is in use is soon back.
const CHOICES_MAX: usize = 1000;

/// A schema to write with, as the registry knows it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The schema.
    pub schema: Arc<ParsedSchema>,
    /// The subject it was found or registered under.
    pub subject: String,
    /// Its id.
    pub id: i32,
    /// Its version in the subject, where it is known.
    pub version: Option<i32>,
}

/// Schemas that were written with, by topic, key or value, and how the client has named them.
#[derive(Default)]
pub struct SchemaCache(Mutex<HashMap<(String, bool), ByChoice>>);

type ByChoice = HashMap<SchemaChoice, (Arc<Prepared>, Instant)>;

impl SchemaCache {
    fn get(&self, topic: &str, is_key: bool, choice: &SchemaChoice) -> Option<Arc<Prepared>> {
        let known = self.0.lock();
        let (prepared, since) = known.get(&(topic.to_owned(), is_key))?.get(choice)?;
        let is_good = !matches!(choice.given, GivenSchema::Latest) || since.elapsed() < LATEST_LIFETIME;
        is_good.then(|| Arc::clone(prepared))
    }

    fn put(&self, topic: &str, is_key: bool, choice: &SchemaChoice, prepared: &Arc<Prepared>) {
        let mut known = self.0.lock();
        if known.values().map(HashMap::len).sum::<usize>() >= CHOICES_MAX {
            known.clear();
        }
        let of_topic = known.entry((topic.to_owned(), is_key)).or_default();
        of_topic.insert(choice.clone(), (Arc::clone(prepared), Instant::now()));
    }
}

/// See [`encode_with_schema`](super::encode_with_schema).
pub async fn encode(proxy: &Proxy, topic: &str, is_key: bool, choice: &SchemaChoice, data: &Value) -> Result<Encoded> {
    let prepared = prepare(proxy, topic, is_key, choice).await?;
    Ok(Encoded {
        bytes: prepared.write(data, None)?,
        format: Format::of(prepared.schema.schema_type()),
        subject: prepared.subject.clone(),
        schema_id: prepared.id,
        schema_version: prepared.version,
    })
}

/// The schema that `choice` names.
///
/// # Errors
/// 40801, 42205 and 42207: what the registry says.
pub async fn prepare(proxy: &Proxy, topic: &str, is_key: bool, choice: &SchemaChoice) -> Result<Arc<Prepared>> {
    if let Some(known) = proxy.schemas.get(topic, is_key, choice) {
        return Ok(known);
    }
    let Some(client) = proxy.registry.clone() else {
        return Err(RestError::Serialization("No schema registry: schema.registry.url is not set".to_owned()));
    };
    let (owned_topic, owned_choice) = (topic.to_owned(), choice.clone());
    let found = tokio::task::spawn_blocking(move || find(&client, &owned_topic, is_key, &owned_choice)).await;
    let stopped = |_| RestError::Serialization("The schema registry was not asked to the end".to_owned());
    let prepared = Arc::new(found.map_err(stopped)??);
    proxy.schemas.put(topic, is_key, choice, &prepared);
    Ok(prepared)
}

/// Asks the registry.
fn find(client: &RegistryClient, topic: &str, is_key: bool, choice: &SchemaChoice) -> Result<Prepared> {
    let by_name = |record_name: Option<&str>| match &choice.subject {
        Some(subject) => Ok(subject.clone()),
        None => choice
            .strategy
            .unwrap_or_default()
            .subject(topic, is_key, record_name)
            .map_err(|error| RestError::MessageSerialization(error.to_string())),
    };
    let (subject, registered, schema) = match &choice.given {
        GivenSchema::Text(text) => {
            let subject = match by_name(None) {
                Ok(subject) => subject,
                Err(_) => by_name(parsed(client, text)?.record_name().as_deref())?,
            };
            let registered = look_up_or_register(client, &subject, text)?;
            (subject, registered, None)
        }
        GivenSchema::Id(id) => {
            let missing = |error| unfetched(format!("Error when fetching schema by id. schemaId = {id}"), &error);
            let schema = client.parsed(SchemaId::Id(*id), None).map_err(missing)?;
            let subject = by_name(schema.record_name().as_deref())?;
            let text = client.schema(SchemaId::Id(*id), None).map_err(missing)?.text;
            let registered = client.lookup(&subject, &text, false).map_err(|error| {
                let what = "Error when fetching schema version";
                unfetched(format!("{what}. subject = {subject}, schema = {}", text.schema), &error)
            })?;
            (subject, Registered { id: Some(*id), ..(*registered).clone() }, Some(schema))
        }
        GivenSchema::Version(version) => {
            let subject = by_name(None)?;
            let what = format!("Error when fetching schema version. subject = {subject}, version = {version}");
            let registered = client.version(&subject, *version).map_err(|error| unfetched(what, &error))?;
            (subject, registered, None)
        }
        GivenSchema::Latest => {
            let subject = by_name(None)?;
            let what = format!("Error when fetching latest schema version. subject = {subject}");
            let registered = client.latest(&subject).map_err(|error| unfetched(what, &error))?;
            (subject, registered, None)
        }
    };
    let id = registered
        .id
        .ok_or_else(|| RestError::Serialization(format!("The schema registry answered no id for subject {subject}")))?;
    let schema = match schema {
        Some(schema) => schema,
        None => client
            .parsed(SchemaId::Id(id), Some(&subject))
            .map_err(|error| unfetched(format!("Error when fetching schema by id. schemaId = {id}"), &error))?,
    };
    Ok(Prepared { schema, subject, id, version: registered.version })
}

fn look_up_or_register(client: &RegistryClient, subject: &str, text: &SchemaText) -> Result<Registered> {
    let described = format!("format = {}, subject = {subject}, schema = {}", text.schema_type, text.schema);
    let refused = |what: &str, error: &ClientError| match error.code() {
        Some(42201) => RestError::InvalidSchema(format!("Error when parsing raw schema. {described}\n{error}")),
        _ => RestError::Serialization(format!("{what}. {described}\n{error}")),
    };
    match client.lookup(subject, text, false) {
        Ok(found) => return Ok((*found).clone()),
        Err(ClientError::Refused { status: 404, .. }) => {}
        Err(error) => return Err(refused("Error when looking up schema", &error)),
    }
    let registered = client.register(subject, text, false);
    let registered = registered.map_err(|error| refused("Error when registering schema", &error))?;
    if registered.version.is_some() {
        return Ok((*registered).clone());
    }
    // The answer to a registration may be the id alone.
    Ok(client.lookup(subject, text, false).map_or_else(|_| (*registered).clone(), |found| (*found).clone()))
}

fn parsed(client: &RegistryClient, text: &SchemaText) -> Result<ParsedSchema> {
    client.parse(text, &ParseOptions::STORED).map_err(|error| {
        let described = format!("format = {}, schema = {}", text.schema_type, text.schema);
        RestError::InvalidSchema(format!("Error when parsing raw schema. {described}\n{error}"))
    })
}

/// What was asked for is not in the registry, or the registry does not answer.
fn unfetched(what: String, error: &ClientError) -> RestError {
    match error {
        ClientError::Refused { status: 400..500, .. } => RestError::MessageSerialization(format!("{what}\n{error}")),
        _ => RestError::Serialization(format!("{what}\n{error}")),
    }
}

impl Prepared {
    /// Prefix and payload of `data`; `text` is how it was written, where that is known: JSON keeps it.
    ///
    /// # Errors
    /// 42203 with the place in the data.
    pub fn write(&self, data: &Value, text: Option<RawJson<'_>>) -> Result<Vec<u8>> {
        let payload = self.schema.encode_untagged(data).map_err(|error| RestError::Conversion(error.to_string()))?;
        let mut bytes = wire::prefix(self.id).to_vec();
        if let Some(indexes) = &payload.message_indexes {
            wire::write_message_indexes(indexes, &mut bytes);
        }
        match text.filter(|_| self.schema.schema_type() == SchemaType::Json) {
            Some(text) => bytes.extend_from_slice(&text.compact()),
            None => bytes.extend_from_slice(&payload.bytes),
        }
        Ok(bytes)
    }
}

/// Appends a payload as JSON. `header` is the value of the record header that names the schema, if there is one. Blocks
/// when the schema is not known yet.
///
/// # Errors
/// See [`Undecodable`].
pub fn read(
    client: Option<&RegistryClient>,
    payload: &[u8],
    header: Option<&[u8]>,
    output: &mut Vec<u8>,
) -> Result<(), Undecodable> {
    let Some(client) = client else {
        return Err(Undecodable::Registry("schema.registry.url is not set".to_owned()));
    };
    let framed = header.map_or_else(|| wire::split_prefix(payload), wire::split_header);
    let framed = framed.map_err(|error| Undecodable::Bytes(error.to_string()))?;
    let schema = client.parsed(framed.schema_id, None).map_err(|error| unread(&SerdeError::Registry(error)))?;
    if schema.schema_type() == SchemaType::Json {
        return super::json::write(if header.is_some() { payload } else { framed.rest }, output);
    }
    let read = Deserializer::new(client.clone()).read(payload, header).map_err(|error| unread(&error))?;
    serde_json::to_writer(output, &read.value).map_err(|error| Undecodable::Bytes(error.to_string()))
}

fn unread(error: &SerdeError) -> Undecodable {
    match error {
        SerdeError::Registry(client) if !matches!(client, ClientError::Refused { status: 404, .. }) => {
            Undecodable::Registry(error.to_string())
        }
        _ => Undecodable::Bytes(error.to_string()),
    }
}
