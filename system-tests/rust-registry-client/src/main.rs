//! The crate `schema-registry-client` against a registry: registers, finds and compares schemas, and brings values through
//! its serializers and back.
//!
//! The first argument is the registry's address. A failed expectation ends it with a panic, success with `passed`.

use apache_avro::types::Value as Avro;
use schema_registry_client::rest::client_config::ClientConfig;
use schema_registry_client::rest::models::{CompatibilityLevel, Schema, ServerConfig};
use schema_registry_client::rest::schema_registry_client::{Client, SchemaRegistryClient};
use schema_registry_client::serdes::avro::{AvroDeserializer, AvroSerializer};
use schema_registry_client::serdes::config::{DeserializerConfig, SerializerConfig};
use schema_registry_client::serdes::json::{JsonDeserializer, JsonSerializer};
use schema_registry_client::serdes::serde::{
    SerdeFormat, SerdeHeaders, SerdeType, SerializationContext, header_schema_id_serializer,
};
use serde_json::json;

const TOPIC: &str = "rust-registry-client";
const ORDER: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"}]}"#;
const ORDER_WITH_ITEM: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},
    {"name":"item","type":"string","default":"none"}]}"#;
const ORDER_WITHOUT_DEFAULT: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},
    {"name":"item","type":"string"}]}"#;

fn schema(schema_type: &str, text: &str) -> Schema {
    Schema {
        schema_type: Some(schema_type.to_owned()),
        references: None,
        metadata: None,
        rule_set: None,
        schema: text.to_owned(),
    }
}

fn context(topic: &str, serde_format: SerdeFormat, headers: Option<SerdeHeaders>) -> SerializationContext {
    SerializationContext { topic: topic.to_owned(), serde_type: SerdeType::Value, serde_format, headers }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).expect("the address of a registry");
    let client = SchemaRegistryClient::new(ClientConfig::new(vec![url]));
    schemas(&client).await;
    avro(&client).await;
    json_schema(&client).await;
    println!("passed");
}

async fn schemas(client: &SchemaRegistryClient) {
    let subject = format!("{TOPIC}-schemas");
    let first = client.register_schema(&subject, &schema("AVRO", ORDER), false).await.expect("registered");
    let id = first.id.expect("an id");
    let found = client.get_by_schema(&subject, &schema("AVRO", ORDER), false, false).await.expect("found");
    assert_eq!((found.id, found.version), (Some(id), Some(1)));
    let by_id = client.get_by_subject_and_id(Some(&subject), id, None).await.expect("found by id");
    assert!(by_id.schema.contains("Order"));
    let guid = found.guid.expect("a GUID");
    assert_eq!(client.get_by_guid(&guid, None).await.expect("found by GUID").schema, by_id.schema);
    // Its own calls about compatibility take the answer for a plain boolean, which no registry sends.
    assert!(client.register_schema(&subject, &schema("AVRO", ORDER_WITHOUT_DEFAULT), false).await.is_err());
    let none = ServerConfig { compatibility: Some(CompatibilityLevel::None), ..ServerConfig::default() };
    client.update_config(&subject, &none).await.expect("config is set");
    client.register_schema(&subject, &schema("AVRO", ORDER_WITHOUT_DEFAULT), false).await.expect("registered");
    assert_eq!(client.get_all_versions(&subject).await.expect("versions"), [1, 2]);
    assert_eq!(client.get_latest_version(&subject, None).await.expect("latest").version, Some(2));
    assert!(client.get_all_subjects(false).await.expect("subjects").contains(&subject));
    assert_eq!(client.delete_subject(&subject, false).await.expect("deleted"), [1, 2]);
    assert_eq!(client.delete_subject(&subject, true).await.expect("deleted for good"), [1, 2]);
}

async fn avro(client: &SchemaRegistryClient) {
    let order = schema("AVRO", ORDER_WITH_ITEM);
    let value =
        Avro::Record(vec![("id".to_owned(), Avro::Int(7)), ("item".to_owned(), Avro::String("tea".to_owned()))]);
    let reader = AvroDeserializer::new(client, None, DeserializerConfig::default()).expect("a deserializer");
    // The id before the value, and the GUID in a header.
    for headers in [None, Some(SerdeHeaders::default())] {
        let mut config = SerializerConfig::default();
        if headers.is_some() {
            config.schema_id_serializer = header_schema_id_serializer;
        }
        let context = context(&format!("{TOPIC}-avro"), SerdeFormat::Avro, headers);
        let writer = AvroSerializer::new(client, Some(&order), None, config).expect("a serializer");
        let bytes = writer.serialize(&context, value.clone()).await.expect("serialized");
        assert_eq!(context.headers.as_ref().map_or(0, SerdeHeaders::count), usize::from(context.headers.is_some()));
        assert_eq!(reader.deserialize(&context, &bytes).await.expect("deserialized").value, value);
    }
}

async fn json_schema(client: &SchemaRegistryClient) {
    let text = r#"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}"#;
    let order = schema("JSON", text);
    let config = SerializerConfig { validate: true, ..SerializerConfig::default() };
    let writer = JsonSerializer::new(client, Some(&order), None, config).expect("a serializer");
    let reader = JsonDeserializer::new(client, None, DeserializerConfig::default()).expect("a deserializer");
    let context = context(&format!("{TOPIC}-json"), SerdeFormat::Json, None);
    let bytes = writer.serialize(&context, json!({"id": 7})).await.expect("serialized");
    assert_eq!(bytes[0], 0, "the magic byte");
    assert_eq!(reader.deserialize(&context, &bytes).await.expect("deserialized"), json!({"id": 7}));
    assert!(writer.serialize(&context, json!({"id": "seven"})).await.is_err());
}
