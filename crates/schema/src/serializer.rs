//! Values to the bytes of a record and back, with the schema found at a registry: what Kafka clients call serializer
//! and deserializer.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::client::{ClientError, Registered, RegistryClient, SchemaText};
use crate::codec::{CodecError, Payload};
use crate::subject_name::{SubjectNameError, SubjectNameStrategy};
use crate::wire::{self, SchemaId, WireError};
use crate::{ParseOptions, ParsedSchema, SchemaType};

/// Why a record cannot be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SerdeError {
    /// The registry refused or did not answer.
    #[error(transparent)]
    Registry(#[from] ClientError),
    /// The value or the bytes do not fit the schema.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The bytes do not name a schema.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The subject cannot be named.
    #[error(transparent)]
    SubjectName(#[from] SubjectNameError),
    /// The registry associates a topic with several subjects.
    #[error("several subjects are associated with topic {0}")]
    AmbiguousSubject(String),
    /// The registry gives no GUID, but records are to carry one.
    #[error("the schema registry gave no GUID for subject {0}")]
    NoGuid(String),
    /// The schema that the configuration asks for does not read what would be written.
    #[error("schema of subject {subject} is incompatible with the one to write with: {finding}")]
    IncompatibleLatest {
        /// The subject.
        subject: String,
        /// The first finding.
        finding: String,
    },
    /// A setting that makes no sense.
    #[error("{key}: invalid value {value}")]
    InvalidSetting {
        /// The name of the setting.
        key: String,
        /// Its value.
        value: String,
    },
}

/// How a serializer finds the schema to write with, by the names of Confluent's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerializerConfig {
    /// Register what is not registered (`auto.register.schemas`).
    pub auto_register: bool,
    /// Write with the newest version of the subject (`use.latest.version`; needs `auto_register` off).
    pub use_latest: bool,
    /// The newest version must read what the given schema writes (`latest.compatibility.strict`).
    pub latest_strict: bool,
    /// Write with this id (`use.schema.id`; needs `auto_register` off).
    pub use_schema_id: Option<i32>,
    /// Compare in normal form (`normalize.schemas`).
    pub normalize: bool,
    /// How subjects are named (`value.subject.name.strategy`, `key.subject.name.strategy`).
    pub strategy: SubjectNameStrategy,
    /// What [`SubjectNameStrategy::Associated`] does for a topic without an association
    /// (`subject.name.strategy.fallback.type`).
    pub fallback: SubjectNameStrategy,
    /// The cluster whose topics associations are about (`subject.name.strategy.kafka.cluster.id`); `-` is any.
    pub cluster: String,
    /// Name the schema in a record header by GUID (`value.schema.id.serializer` is a header serializer).
    pub id_in_header: bool,
    /// Refuse JSON that its schema does not allow (`json.fail.invalid.schema`).
    pub validate_json: bool,
}

impl Default for SerializerConfig {
    fn default() -> Self {
        SerializerConfig {
            auto_register: true,
            use_latest: false,
            latest_strict: true,
            use_schema_id: None,
            normalize: false,
            strategy: SubjectNameStrategy::Topic,
            fallback: SubjectNameStrategy::Topic,
            cluster: "-".to_owned(),
            id_in_header: false,
            validate_json: true,
        }
    }
}

impl SerializerConfig {
    /// From properties, which `get` looks up, for keys or for values.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn from_properties<'a>(get: impl Fn(&str) -> Option<&'a str>, is_key: bool) -> Result<Self, SerdeError> {
        let default = SerializerConfig::default();
        let yes =
            |key: &str, default: bool| get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"));
        let side = if is_key { "key" } else { "value" };
        let strategy = get(&format!("{side}.subject.name.strategy"));
        let id_serializer = get(&format!("{side}.schema.id.serializer")).unwrap_or("PrefixSchemaIdSerializer");
        let id_in_header = match id_serializer.rsplit('.').next() {
            Some("HeaderSchemaIdSerializer") => true,
            Some("PrefixSchemaIdSerializer") => false,
            _ => return Err(invalid(&format!("{side}.schema.id.serializer"), id_serializer)),
        };
        let use_schema_id = match get("use.schema.id").map(str::trim) {
            None | Some("-1") => None,
            Some(id) => Some(id.parse().map_err(|_| invalid("use.schema.id", id))?),
        };
        // `auto.register` is the short form of the console tools.
        let auto_register = yes("auto.register.schemas", yes("auto.register", default.auto_register));
        Ok(SerializerConfig {
            auto_register,
            use_latest: yes("use.latest.version", default.use_latest),
            latest_strict: yes("latest.compatibility.strict", default.latest_strict),
            use_schema_id,
            normalize: yes("normalize.schemas", default.normalize),
            strategy: strategy.map_or(Ok(default.strategy), str::parse)?,
            fallback: get("subject.name.strategy.fallback.type").map_or(Ok(default.fallback), str::parse)?,
            cluster: get("subject.name.strategy.kafka.cluster.id").map_or(default.cluster, str::to_owned),
            id_in_header,
            validate_json: yes("json.fail.invalid.schema", default.validate_json),
        })
    }
}

fn invalid(key: &str, value: &str) -> SerdeError {
    SerdeError::InvalidSetting { key: key.to_owned(), value: value.to_owned() }
}

/// Writes records of one schema: the schema is found once, by [`SchemaWriter::new`].
#[derive(Debug, Clone)]
pub struct SchemaWriter {
    schema: Arc<ParsedSchema>,
    id: SchemaId,
    is_key: bool,
    validate_json: bool,
}

/// A key or value as it goes into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serialized {
    /// The bytes.
    pub payload: Vec<u8>,
    /// Name and value of the record header that names the schema, when the bytes do not.
    pub header: Option<(&'static str, Vec<u8>)>,
}

impl SchemaWriter {
    /// Finds the schema to write with: registers `schema`, looks it up, or takes what the configuration names instead.
    ///
    /// # Errors
    /// A schema that is refused, is not there, or does not parse.
    pub fn new(
        client: &RegistryClient,
        config: &SerializerConfig,
        topic: &str,
        is_key: bool,
        schema: &SchemaText,
    ) -> Result<Self, SerdeError> {
        let parsed = Arc::new(client.parse(schema, &ParseOptions::STORED)?);
        let subject = subject(client, config, topic, is_key, &parsed)?;
        let (registered, parsed) = find(client, config, &subject, schema, parsed)?;
        let id = if config.id_in_header {
            SchemaId::Guid(guid(client, &subject, &registered)?)
        } else {
            let id = registered.id.or(config.use_schema_id);
            SchemaId::Id(id.ok_or_else(|| ClientError::Answer(format!("no id for subject {subject}")))?)
        };
        Ok(SchemaWriter { schema: parsed, id, is_key, validate_json: config.validate_json })
    }

    /// The schema that is written with.
    pub fn schema(&self) -> &ParsedSchema {
        &self.schema
    }

    /// How records name it.
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// Writes a value in the JSON form of its format.
    ///
    /// # Errors
    /// A value that is not one of the schema.
    pub fn write(&self, value: &Value) -> Result<Serialized, SerdeError> {
        let payload = if self.schema.schema_type() == SchemaType::Json && !self.validate_json {
            Payload { message_indexes: None, bytes: value.to_string().into_bytes() }
        } else {
            self.schema.encode(value, None)?
        };
        let mut indexes = Vec::new();
        if let Some(path) = &payload.message_indexes {
            wire::write_message_indexes(path, &mut indexes);
        }
        Ok(match self.id {
            SchemaId::Id(id) => {
                Serialized { payload: [&wire::prefix(id), &indexes[..], &payload.bytes].concat(), header: None }
            }
            SchemaId::Guid(guid) => {
                let name = if self.is_key { wire::KEY_HEADER } else { wire::VALUE_HEADER };
                let mut value = wire::header_value(guid);
                value.extend_from_slice(&indexes);
                Serialized { payload: payload.bytes, header: Some((name, value)) }
            }
        })
    }
}

/// The subject for keys or values of a topic.
fn subject(
    client: &RegistryClient,
    config: &SerializerConfig,
    topic: &str,
    is_key: bool,
    parsed: &ParsedSchema,
) -> Result<String, SerdeError> {
    let mut strategy = config.strategy;
    if strategy == SubjectNameStrategy::Associated {
        let mut associated = client.associated_subjects(&config.cluster, topic, is_key)?;
        if associated.len() > 1 {
            return Err(SerdeError::AmbiguousSubject(topic.to_owned()));
        }
        if let Some(subject) = associated.pop() {
            return Ok(subject);
        }
        strategy = config.fallback;
    }
    Ok(strategy.subject(topic, is_key, parsed.record_name().as_deref())?)
}

/// What the registry says about the schema to write with, and that schema.
fn find(
    client: &RegistryClient,
    config: &SerializerConfig,
    subject: &str,
    schema: &SchemaText,
    parsed: Arc<ParsedSchema>,
) -> Result<(Arc<Registered>, Arc<ParsedSchema>), SerdeError> {
    if config.auto_register {
        return Ok((client.register(subject, schema, config.normalize)?, parsed));
    }
    if let Some(id) = config.use_schema_id {
        let registered = client.schema(SchemaId::Id(id), Some(subject))?;
        let parsed = client.parsed(SchemaId::Id(id), Some(subject))?;
        return Ok((Arc::new(Registered { id: Some(id), ..registered }), parsed));
    }
    if config.use_latest {
        let latest = client.latest(subject)?;
        let newest = client.parse(&latest.text, &ParseOptions::STORED)?;
        if config.latest_strict
            && let Some(finding) = newest.incompatibilities(&parsed, Default::default()).first()
        {
            let finding = finding.told_as("registered", "given").to_string();
            return Err(SerdeError::IncompatibleLatest { subject: subject.to_owned(), finding });
        }
        return Ok((Arc::new(latest), Arc::new(newest)));
    }
    Ok((client.lookup(subject, schema, config.normalize)?, parsed))
}

/// The GUID of a registered schema; registries may leave it out of some answers.
fn guid(client: &RegistryClient, subject: &str, registered: &Registered) -> Result<Uuid, SerdeError> {
    if let Some(guid) = registered.guid {
        return Ok(guid);
    }
    let by_id = registered.id.map(|id| client.schema(SchemaId::Id(id), Some(subject))).transpose()?;
    by_id.and_then(|registered| registered.guid).ok_or_else(|| SerdeError::NoGuid(subject.to_owned()))
}

/// Reads records, whatever schema they name.
#[derive(Debug, Clone)]
pub struct Deserializer {
    client: RegistryClient,
}

/// A value that was read.
#[derive(Debug, Clone)]
pub struct Deserialized {
    /// The value in the JSON form of its format.
    pub value: Value,
    /// The schema it names.
    pub id: SchemaId,
    /// That schema.
    pub schema: Arc<ParsedSchema>,
}

impl Deserializer {
    /// Asks `client` for schemas.
    pub fn new(client: RegistryClient) -> Self {
        Deserializer { client }
    }

    /// Reads the bytes of a key or value. `header` is the value of the record header [`wire::KEY_HEADER`] or
    /// [`wire::VALUE_HEADER`], which is looked at first.
    ///
    /// # Errors
    /// Bytes that name no schema or an unknown one, or were not written with it.
    pub fn read(&self, payload: &[u8], header: Option<&[u8]>) -> Result<Deserialized, SerdeError> {
        let framed = match header {
            Some(header) => wire::split_header(header)?,
            None => wire::split_prefix(payload)?,
        };
        let schema = self.client.parsed(framed.schema_id, None)?;
        let is_protobuf = schema.schema_type() == SchemaType::Protobuf;
        let (indexes, rest) = match is_protobuf {
            true => wire::read_message_indexes(framed.rest).map(|(indexes, rest)| (Some(indexes), rest))?,
            false => (None, framed.rest),
        };
        // With a header the payload has no prefix at all.
        let bytes = if header.is_some() { payload } else { rest };
        let value = schema.decode(bytes, indexes.as_deref())?;
        Ok(Deserialized { value, id: framed.schema_id, schema })
    }
}
