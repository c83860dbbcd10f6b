//! What the service does, over a log in memory.

mod associations;
mod contracts;
mod deletion;
mod levels;
mod registration;
mod scopes;

use super::entity::{SchemaAnswer, SchemaRequest, VersionSpec};
use super::{Error, Page, RegisterOptions, Scope, Service, ServiceOptions, Show};
use crate::storage::Log;
use crate::subject::Subject;

/// A page that holds everything.
const ALL: Page = Page { offset: 0, limit: usize::MAX };
const LATEST: VersionSpec = VersionSpec::Latest;
const INT: &str = r#""int""#;
const STRING: &str = r#""string""#;

fn service() -> Service {
    Service::new(ServiceOptions::default(), Log::in_memory())
}

fn subject(name: &str) -> Subject {
    Subject::parse(name)
}

fn request(schema: &str) -> SchemaRequest {
    SchemaRequest { schema: Some(schema.to_owned()), ..SchemaRequest::default() }
}

fn request_json(json: serde_json::Value) -> SchemaRequest {
    serde_json::from_value(json).unwrap()
}

async fn register(service: &Service, name: &str, schema: &str) -> Result<SchemaAnswer, Error> {
    service.register(&subject(name), request(schema), RegisterOptions::default()).await
}

/// Id and version of a registration.
async fn registered(service: &Service, name: &str, schema: &str) -> (i32, i32) {
    let answer = register(service, name, schema).await.unwrap();
    (answer.id.unwrap(), answer.version.unwrap())
}

async fn set_level(service: &Service, name: &str, level: &str) {
    configure(service, &scope(name), serde_json::json!({"compatibility": level})).await.unwrap();
}

fn scope(name: &str) -> Scope {
    Scope::of(subject(name)).unwrap()
}

async fn configure(service: &Service, scope: &Scope, members: serde_json::Value) -> Result<(), Error> {
    service.set_config(scope, members.as_object().unwrap()).await.map(|_| ())
}

fn look_up(service: &Service, name: &str, request: &SchemaRequest) -> Result<SchemaAnswer, Error> {
    service.look_up(&subject(name), request, false, false, &Show::default())
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> i32 {
    result.unwrap_err().code()
}
