//! The crate `schema_registry_converter`: it registers, encodes and decodes with the registry beside the broker.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, get_schema_by_subject, post_schema,
};
use schema_registry_converter::schema_registry_common::{SchemaType, SubjectNameStrategy, SuppliedSchema};
use serde_json::{Value, json};
use system_tests::Server;

const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"price","type":"double"},{"name":"item","type":"string"}]}"#;
const DEADLINE: Duration = Duration::from_secs(30);

/// A server, and where the registry in it answers.
async fn start() -> anyhow::Result<(Server, SrSettings)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let server = Server::start(&[("milena.schema.registry.listeners", &url)])?;
    let begin = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        anyhow::ensure!(begin.elapsed() < DEADLINE, "the registry does not listen");
        tokio::task::yield_now().await;
    }
    Ok((server, SrSettings::new_builder(url).no_proxy().build()?))
}

fn avro(schema: &str) -> SuppliedSchema {
    SuppliedSchema::new(Some("shop.Order".to_owned()), SchemaType::Avro, schema.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_encoded_with_a_schema_that_is_registered_and_come_back() -> anyhow::Result<()> {
    let (_server, settings) = start().await?;
    let order = json!({"price": 1.5, "item": "tea"});
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema("orders".to_owned(), false, avro(ORDER));
    let bytes = AvroEncoder::new(settings.clone()).encode_struct(&order, &strategy).await?;
    // Encoding has registered the schema; the other strategy takes what is there.
    let latest = SubjectNameStrategy::TopicNameStrategy("orders".to_owned(), false);
    let registered = get_schema_by_subject(&settings, &latest).await?;
    assert_eq!(bytes[..5], [&[0][..], &registered.id.to_be_bytes()].concat());
    assert_eq!(AvroEncoder::new(settings.clone()).encode_struct(&order, &latest).await?, bytes);
    let read = AvroDecoder::new(settings).decode(Some(&bytes)).await?;
    assert_eq!(read.name.map(|name| name.to_string()).as_deref(), Some("shop.Order"));
    assert_eq!(Value::try_from(read.value)?, order);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_errors_of_the_client() -> anyhow::Result<()> {
    let (_server, settings) = start().await?;
    let first = post_schema(&settings, "customers".to_owned(), avro(ORDER)).await?;
    assert_eq!(post_schema(&settings, "customers".to_owned(), avro(ORDER)).await?.id, first.id);
    let stored: Value = serde_json::from_str(&get_schema_by_id(first.id, &settings).await?.schema)?;
    assert_eq!(stored["fields"][1], json!({"name": "item", "type": "string"}));
    let refused = post_schema(&settings, "customers".to_owned(), avro(r#""int""#)).await;
    assert!(refused.is_err(), "incompatible: {refused:?}");
    assert!(post_schema(&settings, "c".to_owned(), avro("{")).await.is_err(), "no schema");
    assert!(get_schema_by_id(first.id + 1, &settings).await.is_err(), "unknown id");
    Ok(())
}
