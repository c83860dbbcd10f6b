//! Test cases as files state them: statements, input records, expected output records, expected failures and what the
//! catalog and the topics are to look like afterwards.

use std::borrow::Cow;

use crate::formats::json_text::{Json, JsonError};

/// A record of a case.
#[derive(Debug, Clone)]
pub struct CaseRecord<'a> {
    /// Its topic.
    pub topic: String,
    /// The key; `null` when the case has none.
    pub key: Json<'a>,
    /// The value.
    pub value: Json<'a>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The window of a windowed key.
    pub window: Option<CaseWindow>,
    /// The headers, when the case states them.
    pub headers: Option<Vec<(String, Option<String>)>>,
}

/// The window of a windowed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseWindow {
    /// First millisecond.
    pub start: i64,
    /// The end: exclusive of a time window, the last event of a session.
    pub end: i64,
    /// Whether it is a session.
    pub session: bool,
}

/// A topic that exists before the first statement.
#[derive(Debug, Clone)]
pub struct CaseTopic<'a> {
    /// Its name.
    pub name: String,
    /// Partitions, when stated.
    pub partitions: Option<i64>,
    /// Replicas, when stated.
    pub replicas: Option<i64>,
    /// The schema of its keys.
    pub key: Option<CaseSchema<'a>>,
    /// The schema of its values.
    pub value: Option<CaseSchema<'a>>,
}

/// A schema that is registered before the first statement.
#[derive(Debug, Clone)]
pub struct CaseSchema<'a> {
    /// The format: `AVRO`, `PROTOBUF` or `JSON_SR`.
    pub format: String,
    /// A string (Protobuf) or the schema itself.
    pub schema: Json<'a>,
    /// Its id, when stated.
    pub id: Option<i64>,
    /// Name, format and text of what it refers to.
    pub references: Vec<(String, Json<'a>)>,
}

/// What the last statement is to fail with.
#[derive(Debug, Clone, Default)]
pub struct ExpectedFailure {
    /// A part of the message.
    pub message: Option<String>,
    /// A part of the message of the cause.
    pub cause: Option<String>,
}

/// One case, for one format and one value of a configuration.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The name, with the format or configuration it was expanded for.
    pub name: String,
    /// The statements.
    pub statements: Vec<String>,
    /// Properties of the session.
    pub properties: Vec<(String, String)>,
    /// Topics that exist before.
    pub topics: Vec<CaseTopic<'a>>,
    /// What goes in.
    pub inputs: Vec<CaseRecord<'a>>,
    /// What comes out.
    pub outputs: Vec<CaseRecord<'a>>,
    /// Whether the case states outputs at all.
    pub has_outputs: bool,
    /// The failure that is expected.
    pub failure: Option<ExpectedFailure>,
    /// What is to hold afterwards.
    pub post: Json<'a>,
}

/// Reads a file of cases: `{"tests": [...]}`. Disabled cases are left out.
///
/// # Errors
/// A text that is not JSON.
pub fn read_cases(text: &str) -> Result<Vec<Case<'_>>, JsonError> {
    let file = Json::read_commented(text)?;
    let mut cases = Vec::new();
    for test in file.get("tests").map(Json::elements).unwrap_or_default() {
        if test.get("enabled") == Some(&Json::Bool(false)) {
            continue;
        }
        let variants = |name| match test.get(name).map(Json::elements) {
            Some(values) if !values.is_empty() => values.iter().map(|value| Some(scalar_text(value))).collect(),
            _ => vec![None],
        };
        for format in variants("format") {
            for config in variants("config") {
                cases.push(case(test, format.as_deref(), config.as_deref()));
            }
        }
    }
    Ok(cases)
}

/// Reads the records of `member` of a text: `{"inputs": [...]}`.
///
/// # Errors
/// A text that is not JSON.
pub fn read_records<'a>(text: &'a str, member: &str) -> Result<Vec<CaseRecord<'a>>, JsonError> {
    let file = Json::read_commented(text)?;
    Ok(file.get(member).map(|records| records.elements().iter().map(|r| record(r, None)).collect()).unwrap_or_default())
}

fn case<'a>(test: &Json<'a>, format: Option<&str>, config: Option<&str>) -> Case<'a> {
    let list = |name: &str| test.get(name).map(Json::elements).unwrap_or_default();
    let mut name = test.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    for variant in [format, config].into_iter().flatten() {
        name.push_str(" - ");
        name.push_str(variant);
    }
    let properties = test.get("properties").map(Json::members).unwrap_or_default();
    let failure = test.get("expectedException").map(|expected| {
        let text = |name| expected.get(name).and_then(Json::as_str).map(str::to_owned);
        ExpectedFailure { message: text("message"), cause: text("causeMessage") }
    });
    Case {
        name,
        statements: list("statements").iter().map(|text| substituted(&scalar_text(text), format)).collect(),
        properties: properties
            .iter()
            .map(|(name, value)| {
                let value = scalar_text(value);
                (name.to_string(), config.map_or(value.clone(), |config| value.replace("{CONFIG}", config)))
            })
            .collect(),
        topics: list("topics").iter().map(|entry| topic(entry, format)).collect(),
        inputs: list("inputs").iter().map(|entry| record(entry, format)).collect(),
        outputs: list("outputs").iter().map(|entry| record(entry, format)).collect(),
        has_outputs: test.get("outputs").is_some(),
        failure,
        post: test.get("post").cloned().unwrap_or(Json::Null),
    }
}

fn substituted(text: &str, format: Option<&str>) -> String {
    format.map_or_else(|| text.to_owned(), |format| text.replace("{FORMAT}", format))
}

/// The text of a scalar: of a string without its quotes.
pub(super) fn scalar_text(value: &Json<'_>) -> String {
    value.as_str().map_or_else(|| value.text(), str::to_owned)
}

fn record<'a>(entry: &Json<'a>, format: Option<&str>) -> CaseRecord<'a> {
    let window = entry.get("window").filter(|window| !window.is_null()).map(|window| CaseWindow {
        start: window.get("start").and_then(Json::as_i64).unwrap_or_default(),
        end: window.get("end").and_then(Json::as_i64).unwrap_or_default(),
        session: window.get("type").and_then(Json::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("session")),
    });
    let headers = entry.get("headers").map(|headers| {
        let header = |header: &Json<'_>| {
            let text = |name| header.get(name).and_then(Json::as_str).map(str::to_owned);
            (text("KEY").unwrap_or_default(), text("VALUE"))
        };
        headers.elements().iter().map(header).collect()
    });
    CaseRecord {
        topic: substituted(&entry.get("topic").map(scalar_text).unwrap_or_default(), format),
        key: entry.get("key").cloned().unwrap_or(Json::Null),
        value: entry.get("value").cloned().unwrap_or(Json::Null),
        timestamp: entry.get("timestamp").and_then(Json::as_i64),
        window,
        headers,
    }
}

fn topic<'a>(entry: &Json<'a>, format: Option<&str>) -> CaseTopic<'a> {
    if let Json::String(name) = entry {
        let name = substituted(name, format);
        return CaseTopic { name, partitions: None, replicas: None, key: None, value: None };
    }
    let schema = |side: &str| -> Option<CaseSchema<'a>> {
        let schema = entry.get(&format!("{side}Schema")).filter(|schema| !schema.is_null())?.clone();
        let stated = entry.get(&format!("{side}Format")).map(scalar_text);
        let references = entry.get(&format!("{side}SchemaReferences")).map(Json::elements).unwrap_or_default();
        Some(CaseSchema {
            format: substituted(stated.as_deref().unwrap_or("AVRO"), format),
            schema,
            id: entry.get(&format!("{side}SchemaId")).and_then(Json::as_i64),
            references: references
                .iter()
                .map(|reference| {
                    let name = reference.get("name").map(scalar_text).unwrap_or_default();
                    (name, reference.get("schema").cloned().unwrap_or(Json::String(Cow::Borrowed(""))))
                })
                .collect(),
        })
    };
    CaseTopic {
        name: substituted(&entry.get("name").map(scalar_text).unwrap_or_default(), format),
        partitions: entry.get("partitions").or_else(|| entry.get("numPartitions")).and_then(Json::as_i64),
        replicas: entry.get("replicas").and_then(Json::as_i64),
        key: schema("key"),
        value: schema("value"),
    }
}
