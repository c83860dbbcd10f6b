//! The client against a registry that answers from a script: caching, retries, several addresses, credentials.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::serializer::{Deserializer, SchemaWriter, SerializerConfig};

/// What a request looked like: its first line and its `Authorization`, and the body.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    authorization: Option<String>,
    body: String,
}

/// Answers one request at a time with what `respond` says about it; gives the address and what was asked.
fn registry(respond: impl Fn(&Seen, usize) -> (u16, Value) + Send + 'static) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut request = Seen { line: String::new(), authorization: None, body: String::new() };
            reader.read_line(&mut request.line).unwrap();
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                let Some((name, value)) = header.trim().split_once(':') else { break };
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap(),
                    "authorization" => request.authorization = Some(value.trim().to_owned()),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            request.body = String::from_utf8(body).unwrap();
            let (status, answer) = respond(&request, count);
            log.lock().unwrap().push(request);
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            reader.get_mut().write_all(format!("{head}{answer}").as_bytes()).unwrap();
        }
    });
    (url, seen)
}

fn client(urls: &str) -> RegistryClient {
    let mut config = ClientConfig::new(urls).unwrap();
    config.retry_wait = Duration::from_millis(1);
    RegistryClient::new(config).unwrap()
}

fn lines(seen: &Mutex<Vec<Seen>>) -> Vec<String> {
    seen.lock().unwrap().iter().map(|seen| seen.line.trim_end_matches(" HTTP/1.1\r\n").to_owned()).collect()
}

#[test]
fn what_never_changes_is_asked_for_once() {
    let (url, seen) = registry(|request, _| match request.line.starts_with("POST") {
        true => (200, json!({"id": 7})),
        false => (200, json!({"schema": "\"string\""})),
    });
    let client = client(&url.replace("http://", "http://user:secret@"));
    let schema = SchemaText { schema: "\"string\"".to_owned(), ..SchemaText::default() };
    for _ in 0..2 {
        assert_eq!(client.register("a/b c", &schema, false).unwrap().id, Some(7));
        assert_eq!(client.lookup("a/b c", &schema, true).unwrap().id, Some(7));
        assert_eq!(client.parsed(SchemaId::Id(7), None).unwrap().canonical(), "\"string\"");
    }
    assert!(client.cached(SchemaId::Id(7), None).is_some());
    assert!(client.cached(SchemaId::Id(8), None).is_none());
    assert_eq!(
        lines(&seen),
        [
            "POST /subjects/a%2Fb%20c/versions?normalize=false",
            "POST /subjects/a%2Fb%20c?normalize=true",
            "GET /schemas/ids/7"
        ]
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].authorization.as_deref(), Some("Basic dXNlcjpzZWNyZXQ="));
    assert_eq!(seen[0].body, r#"{"schema":"\"string\"","schemaType":"AVRO"}"#);
}

#[test]
fn errors_of_the_server_are_tried_again_and_refusals_are_not() {
    let (url, seen) = registry(|request, count| match (request.line.contains("/subjects "), count) {
        (true, 0 | 1) => (503, json!({"error_code": 50003, "message": "forwarding failed"})),
        (true, _) => (200, json!(["a"])),
        (false, _) => (404, json!({"error_code": 40401, "message": "Subject 'x' not found."})),
    });
    let client = client(&url);
    assert_eq!(client.subjects().unwrap(), ["a"]);
    assert_eq!(seen.lock().unwrap().len(), 3);
    let error = client.latest("x").unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (Some(40401), "Subject 'x' not found.; error code: 40401"));
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[test]
fn the_next_address_is_tried_when_one_does_not_answer() {
    let (url, seen) = registry(|_, _| (200, json!([])));
    // A port that nobody listens on: bound and given up.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client(&format!("http://{closed},{url}"));
    assert!(client.subjects().unwrap().is_empty());
    assert!(client.subjects().unwrap().is_empty());
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(client.0.transport.current(), 1);
}

#[test]
fn references_are_resolved_before_their_dependents() {
    let (url, _) = registry(|request, _| match request.line.split(' ').nth(1).unwrap() {
        "/subjects/inner/versions/1" => (200, json!({"schema": r#"{"type":"fixed","name":"In","size":2}"#})),
        "/subjects/outer/versions/2" => (
            200,
            json!({"schema": r#"{"type":"record","name":"Out","fields":[{"name":"i","type":"In"}]}"#,
                "references": [{"name": "In", "subject": "inner", "version": 1}]}),
        ),
        _ => (404, json!({"error_code": 40402, "message": "Version 3 not found."})),
    });
    let client = client(&url);
    let reference = |version| Reference { name: "Out".to_owned(), subject: "outer".to_owned(), version };
    let text = r#"{"type":"record","name":"R","fields":[{"name":"o","type":"Out"}]}"#;
    let schema =
        |version| SchemaText { schema: text.to_owned(), references: vec![reference(version)], ..SchemaText::default() };
    let parsed = client.parse(&schema(2), &ParseOptions::NEW).unwrap();
    assert_eq!(parsed.canonical(), text);
    let resolved = client.resolve(&schema(2).references).unwrap();
    let names: Vec<(&str, bool)> = resolved.iter().map(|each| (each.name.as_str(), each.direct)).collect();
    assert_eq!(names, [("In", false), ("Out", true)]);
    assert_eq!(client.parse(&schema(3), &ParseOptions::NEW).unwrap_err().code(), Some(40402));
}

#[test]
fn records_carry_the_id_before_them_or_the_guid_in_a_header() {
    let guid = "89791762-2336-4186-9674-299b90a802e2";
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let (url, _) = registry(move |request, _| {
        count.fetch_add(1, Ordering::SeqCst);
        match request.line.starts_with("POST") {
            true => (200, json!({"id": 258, "guid": guid})),
            false => (200, json!({"schema": "\"string\"", "guid": guid})),
        }
    });
    let client = client(&url);
    let schema = SchemaText { schema: "\"string\"".to_owned(), ..SchemaText::default() };
    let config = SerializerConfig::default();
    let writer = SchemaWriter::new(&client, &config, "t", false, &schema).unwrap();
    let written = writer.write(&json!("hi")).unwrap();
    assert_eq!((&written.payload[..], &written.header), (&[0, 0, 0, 1, 2, 4, b'h', b'i'][..], &None));
    let deserializer = Deserializer::new(client.clone());
    let read = deserializer.read(&written.payload, None).unwrap();
    assert_eq!((read.value, read.id), (json!("hi"), SchemaId::Id(258)));

    let config = SerializerConfig { id_in_header: true, ..config };
    let written = SchemaWriter::new(&client, &config, "t", true, &schema).unwrap().write(&json!("hi")).unwrap();
    assert_eq!(written.payload, [4, b'h', b'i']);
    let (name, value) = written.header.unwrap();
    assert_eq!(name, "__key_schema_id");
    let read = deserializer.read(&written.payload, Some(&value)).unwrap();
    assert_eq!((read.value, read.id), (json!("hi"), SchemaId::Guid(guid.parse().unwrap())));
    // Two subjects were registered, one schema read by id and one by GUID.
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    assert_eq!(deserializer.read(b"plain", None).unwrap_err().to_string(), "Unknown magic byte 112!");
}

#[test]
fn serializer_settings_have_confluents_names() {
    let get = |key: &str| match key {
        "auto.register.schemas" => Some("false"),
        "use.schema.id" => Some("12"),
        "value.subject.name.strategy" => Some("io.confluent.kafka.serializers.subject.RecordNameStrategy"),
        "key.schema.id.serializer" => Some("io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer"),
        _ => None,
    };
    let value = SerializerConfig::from_properties(get, false).unwrap();
    assert_eq!((value.auto_register, value.use_schema_id, value.id_in_header), (false, Some(12), false));
    assert_eq!(value.strategy, crate::subject_name::SubjectNameStrategy::Record);
    assert!(SerializerConfig::from_properties(get, true).unwrap().id_in_header);
    let wrong = |key: &str| (key == "use.schema.id").then_some("x");
    assert!(SerializerConfig::from_properties(wrong, false).is_err());
}

#[test]
fn associations_name_the_subject_of_a_topic_and_a_strategy_falls_back() {
    let (url, seen) = registry(|request, _| match request.line.split(' ').nth(1).unwrap_or_default() {
        path if path.starts_with("/associations/resources/-/linked?") => (200, json!([{"subject": "shared"}])),
        path if path.starts_with("/associations/resources/-/twice?") => {
            (200, json!([{"subject": "a"}, {"subject": "b"}]))
        }
        path if path.starts_with("/associations/resources/-/old?") => (404, json!({"error_code": 404})),
        path if path.starts_with("/associations/resources/") => (200, json!([])),
        _ => (200, json!({"id": 1})),
    });
    let client = client(&url);
    let text = r#"{"type":"record","name":"Order","namespace":"shop","fields":[]}"#;
    let schema = SchemaText { schema: text.to_owned(), ..SchemaText::default() };
    let get = |key: &str| match key {
        "value.subject.name.strategy" => Some("io.confluent.kafka.serializers.subject.AssociatedNameStrategy"),
        "subject.name.strategy.fallback.type" => Some("TOPIC_RECORD"),
        _ => None,
    };
    let config = SerializerConfig::from_properties(get, false).unwrap();
    for topic in ["linked", "free", "old"] {
        SchemaWriter::new(&client, &config, topic, false, &schema).unwrap();
    }
    let failed = SchemaWriter::new(&client, &config, "twice", false, &schema).unwrap_err();
    assert_eq!(failed.to_string(), "several subjects are associated with topic twice");
    let lines = lines(&seen);
    assert_eq!(lines[0], "GET /associations/resources/-/linked?resourceType=topic&associationType=value");
    let registered: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("POST ")).collect();
    let under = |subject: &str| format!("/subjects/{subject}/versions?normalize=false");
    assert_eq!(registered, [under("shared"), under("free-shop.Order"), under("old-shop.Order")]);
}

#[test]
fn a_token_of_a_provider_is_used_until_it_is_about_to_expire_or_refused() {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let (provider, asked) = registry(move |request, _| {
        assert!(request.body.contains("grant_type=client_credentials") && request.body.contains("scope=schemas"));
        let number = count.fetch_add(1, Ordering::Relaxed);
        (200, json!({"access_token": format!("t{number}"), "expires_in": 3600}))
    });
    // The first token is refused at its second use, as if it had been revoked.
    let (url, seen) = registry(|request, number| match (request.authorization.as_deref(), number) {
        (Some("Bearer t0"), 1..) => (401, json!({"error_code": 401, "message": "Unauthorized"})),
        _ => (200, json!([])),
    });
    let properties = [
        ("schema.registry.url", url.as_str()),
        ("bearer.auth.credentials.source", "OAUTHBEARER"),
        ("bearer.auth.issuer.endpoint.url", provider.as_str()),
        ("bearer.auth.client.id", "user"),
        ("bearer.auth.client.secret", "secret"),
        ("bearer.auth.scope", "schemas"),
    ];
    let get = |key: &str| properties.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let client = RegistryClient::new(ClientConfig::from_properties(get).unwrap()).unwrap();
    for _ in 0..4 {
        client.subjects().unwrap();
    }
    let used: Vec<_> = seen.lock().unwrap().iter().map(|seen| seen.authorization.clone().unwrap()).collect();
    assert_eq!(used, ["Bearer t0", "Bearer t0", "Bearer t1", "Bearer t1", "Bearer t1"]);
    assert_eq!(issued.load(Ordering::Relaxed), 2);
    assert_eq!(asked.lock().unwrap()[0].authorization.as_deref(), Some("Basic dXNlcjpzZWNyZXQ="));
}

#[test]
fn a_provider_that_gives_no_token_is_told_of_without_the_secret() {
    let (provider, _) =
        registry(|_, _| (403, json!({"error": "invalid_client", "error_description": "unknown client"})));
    let (url, seen) = registry(|_, _| (200, json!([])));
    let mut config = ClientConfig::new(&url).unwrap();
    config.token_issuer = Some(TokenIssuer {
        url: provider,
        client: Authorization::basic("user", "secret"),
        scope: None,
        expiry_buffer: Duration::ZERO,
    });
    let error = RegistryClient::new(config).unwrap().subjects().unwrap_err();
    assert!(matches!(&error, ClientError::Refused { status: 403, .. }), "{error}");
    assert!(error.to_string().contains("unknown client") && !error.to_string().contains("secret"));
    assert!(seen.lock().unwrap().is_empty(), "the registry is not asked without a token");
}
