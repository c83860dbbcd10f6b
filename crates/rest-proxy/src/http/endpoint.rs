//! The table of the API: what is dispatched is what the OpenAPI document tells and what allow-lists name.

use std::future::Future;
use std::pin::Pin;

use super::answer::Answer;
use super::call::Call;
use crate::error::Result;

/// What bodies of a request or an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/vnd.kafka.v2+json`; `application/json` is as good.
    V2,
    /// `application/vnd.kafka.<format>.v2+json`: the format of embedded records. See [`Call::content`], [`Call::accept`].
    V2Embedded,
    /// `application/json`.
    Json,
}

/// What a call comes to.
pub type Answering = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

/// One row: a method and a path.
pub struct Endpoint {
    /// The method; HEAD goes with GET.
    pub method: &'static str,
    /// The path; `{name}` stands for one segment.
    pub path: &'static str,
    /// The name in allow-lists and block-lists, such as `api.v3.topics.list`.
    pub name: &'static str,
    /// What its requests are.
    pub reads: Media,
    /// What its answers are.
    pub answers: Media,
    /// What it does: `|call| Box::pin(topics::list(call))`.
    pub handler: fn(Call) -> Answering,
    /// One line for the OpenAPI document.
    pub summary: &'static str,
}
