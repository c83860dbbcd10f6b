//! What a client says about an instance when it creates it.

use std::time::Duration;

use milena_client::ClientConfig;
use milena_client::consumer::ConsumerConfig;
use uuid::Uuid;

use super::super::body::{self, Members};
use crate::config::RestConfig;
use crate::error::{RestError, Result};
use crate::formats::Format;

/// The largest `fetch.min.bytes`.
const FETCH_MIN_BYTES_MAX: i64 = 10_000_000;
/// A consumer that cannot reach Kafka gives a call up after this, whatever `default.api.timeout.ms` says: a client waits.
const API_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// An instance as it was asked for.
#[derive(Debug)]
pub struct Settings {
    /// The group.
    pub group: String,
    /// Its name in the group.
    pub name: String,
    /// What its records are shown in.
    pub format: Format,
    /// The longest wait for records.
    pub request_timeout: Duration,
    /// Bytes that end the wait early; `None` waits it out.
    pub fetch_min_bytes: Option<usize>,
    /// How Kafka is reached.
    pub client: ClientConfig,
    /// How its consumer behaves.
    pub consumer: ConsumerConfig,
}

impl Settings {
    /// Reads the body of a creation, which may be missing.
    ///
    /// # Errors
    /// 422 for members that are not known, 42204 and 40001 for values that make no sense.
    pub fn read(group: &str, body: &[u8], config: &RestConfig) -> Result<Settings> {
        let raw = body::optional(body)?;
        let mut members = raw.map(|raw| Members::of(raw, "")).transpose()?;
        let mut given = |name: &str| -> Result<Option<String>> {
            let raw = members.as_mut().and_then(|members| members.given(name));
            let scalar = |raw: crate::formats::raw::RawJson<'_>| match (raw.string(), raw.text().as_bytes().first()) {
                (Some(text), _) => Ok(text.into_owned()),
                (None, Some(b'{' | b'[')) => {
                    Err(RestError::bad_request(format!("{name} must be a string, not {}", raw.kind())))
                }
                (None, _) => Ok(raw.text().to_owned()),
            };
            raw.map(scalar).transpose()
        };
        let (name, id, format) = (given("name")?, given("id")?, given("format")?);
        let (reset, auto_commit) = (given("auto.offset.reset")?, given("auto.commit.enable")?);
        let (min_bytes, timeout) = (given("fetch.min.bytes")?, given("consumer.request.timeout.ms")?);
        if let Some(members) = members {
            members.finish()?;
        }
        let mut consumer = ConsumerConfig { group_id: Some(group.to_owned()), ..config.consumer.clone() };
        for (key, value) in [("auto.offset.reset", reset), ("enable.auto.commit", auto_commit)] {
            if let Some(value) = value {
                consumer.set(key, &value).map_err(|error| RestError::InvalidConsumerConfig(error.to_string()))?;
            }
        }
        let request_timeout = match number("consumer.request.timeout.ms", timeout, 0, i64::from(i32::MAX))? {
            Some(ms) => Duration::from_millis(ms.unsigned_abs()),
            None => config.consumer_request_timeout,
        };
        let min_bytes = number("fetch.min.bytes", min_bytes, -1, FETCH_MIN_BYTES_MAX)?;
        let min_bytes = min_bytes.unwrap_or_else(|| i64::from(config.fetch_min_bytes));
        let mut client = config.consumer_client.clone();
        client.api_timeout = client.api_timeout.min(API_TIMEOUT_MAX);
        Ok(Settings {
            group: group.to_owned(),
            name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| generated_name(id.as_deref(), &config.id)),
            format: format.map_or(Ok(Format::Binary), |format| parse_format(&format))?,
            request_timeout,
            fetch_min_bytes: usize::try_from(min_bytes).ok(),
            client,
            consumer,
        })
    }
}

fn parse_format(name: &str) -> Result<Format> {
    match name.to_ascii_lowercase().as_str() {
        "binary" => Ok(Format::Binary),
        "json" => Ok(Format::Json),
        "avro" => Ok(Format::Avro),
        "jsonschema" => Ok(Format::JsonSchema),
        "protobuf" => Ok(Format::Protobuf),
        _ => Err(RestError::InvalidConsumerConfig("Invalid format type.".to_owned())),
    }
}

fn number(name: &str, text: Option<String>, min: i64, max: i64) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let number: i64 = text.trim().parse().map_err(|_| {
        RestError::InvalidConsumerConfig(format!("Invalid value {text} for configuration {name}: Not a number"))
    })?;
    if !(min..=max).contains(&number) {
        let message = format!("{name} must be between {min} and {max}, not {number}");
        return Err(RestError::ConsumerConfigConstraint(message));
    }
    Ok(Some(number))
}

fn generated_name(of_client: Option<&str>, of_proxy: &str) -> String {
    let id = of_client.filter(|id| !id.is_empty()).unwrap_or(of_proxy);
    let id = if id.is_empty() { String::new() } else { format!("{id}-") };
    format!("rest-consumer-{id}{}", Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigSources;

    fn read(body: &str) -> Result<Settings, (u16, i32, String)> {
        let sources = ConfigSources::new(crate::config::COMPONENT).command_line("bootstrap.servers", "localhost:9092");
        let (config, _) = RestConfig::load(&sources.command_line("id", "proxy")).unwrap();
        Settings::read("g", body.as_bytes(), &config).map_err(|error| (error.status(), error.code(), error.to_string()))
    }

    #[test]
    fn options_may_be_text_or_plain() {
        let text = r#"{"name":"n","format":"AVRO","auto.offset.reset":"earliest","auto.commit.enable":"false",
            "fetch.min.bytes":"5","consumer.request.timeout.ms":"2000"}"#;
        let plain = text.replace("\"false\"", "false").replace("\"5\"", "5").replace("\"2000\"", "2000");
        for body in [text, &plain] {
            let settings = read(body).unwrap();
            assert_eq!((settings.name.as_str(), settings.format), ("n", Format::Avro));
            assert_eq!(
                (settings.consumer.group_id.as_deref(), settings.consumer.enable_auto_commit),
                (Some("g"), false)
            );
            assert_eq!((settings.fetch_min_bytes, settings.request_timeout), (Some(5), Duration::from_secs(2)));
        }
    }

    #[test]
    fn without_options_the_proxy_decides() {
        for body in ["", "null", "{}", r#"{"name":null,"format":null}"#] {
            let settings = read(body).unwrap();
            assert!(settings.name.starts_with("rest-consumer-proxy-"), "{}", settings.name);
            assert_eq!((settings.format, settings.fetch_min_bytes), (Format::Binary, None));
            assert_eq!(settings.request_timeout, Duration::from_secs(1));
        }
        assert!(read(r#"{"id":"mine"}"#).unwrap().name.starts_with("rest-consumer-mine-"));
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let table = [
            (r#"{"format":"xml"}"#, 422, 42204),
            (r#"{"auto.offset.reset":"now"}"#, 422, 42204),
            (r#"{"auto.commit.enable":"perhaps"}"#, 422, 42204),
            (r#"{"fetch.min.bytes":"x"}"#, 422, 42204),
            (r#"{"fetch.min.bytes":-2}"#, 422, 40001),
            (r#"{"fetch.min.bytes":10000001}"#, 422, 40001),
            (r#"{"consumer.request.timeout.ms":-1}"#, 422, 40001),
            (r#"{"unknown":1}"#, 422, 422),
            (r#"{"name":{}}"#, 400, 400),
            ("[]", 400, 400),
            ("{", 400, 400),
        ];
        for (body, status, code) in table {
            let refusal = read(body).unwrap_err();
            assert_eq!((refusal.0, refusal.1), (status, code), "{body}: {}", refusal.2);
        }
    }
}
