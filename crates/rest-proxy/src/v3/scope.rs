//! The cluster of a call, and how its resources are written: `kind`, `metadata`, links.

use milena_client::Cluster;
use milena_http::percent_encode;
use serde_json::{Map, Value, json};

use crate::error::{RestError, Result};
use crate::http::Call;
use crate::state::Kafka;

/// The cluster that a path names.
pub struct Scope {
    /// Its connection and producer.
    pub kafka: Kafka,
    /// Its id.
    pub cluster_id: String,
    /// What URLs of its resources begin with.
    url: String,
    /// What names of its resources begin with.
    crn: String,
}

impl Scope {
    /// The cluster in the first parameter of the path.
    ///
    /// # Errors
    /// 404 for another than the one behind this proxy.
    pub async fn of(call: &Call) -> Result<Scope> {
        let scope = Scope::own(call).await?;
        if scope.cluster_id == call.parameter(0) {
            return Ok(scope);
        }
        Err(not_found(format!("Cluster {} cannot be found.", call.parameter(0))))
    }

    /// The cluster behind this proxy.
    ///
    /// # Errors
    /// A Kafka that cannot be reached or tells no id.
    pub async fn own(call: &Call) -> Result<Scope> {
        let kafka = call.proxy.kafka().await?;
        let cluster_id = kafka.cluster.cluster_id().ok_or_else(|| not_found("The cluster has no id.".to_owned()))?;
        Ok(Scope {
            kafka,
            url: format!("{}/v3/clusters/{}", call.base_url(), percent_encode(&cluster_id)),
            crn: format!("crn://{}/kafka={cluster_id}", call.proxy.config.authority),
            cluster_id,
        })
    }

    /// The client.
    pub fn cluster(&self) -> &Cluster {
        &self.kafka.cluster
    }

    /// The URL of what is at `path` below the cluster, which is empty or begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A link to what is at `path`.
    pub fn related(&self, path: &str) -> Value {
        json!({"related": self.url(path)})
    }

    /// A resource: `members` behind kind, metadata and cluster id. `name` is its resource name below the cluster's.
    pub fn resource(&self, kind: &str, path: &str, name: Option<&str>, members: Value) -> Value {
        let mut all = Map::new();
        all.insert("cluster_id".to_owned(), self.cluster_id.clone().into());
        if let Value::Object(members) = members {
            all.extend(members);
        }
        self.described(kind, path, name, all)
    }

    /// A part of a resource, which does not tell the cluster's id again.
    pub fn part(&self, kind: &str, path: &str, name: &str, members: Value) -> Value {
        match members {
            Value::Object(members) => self.described(kind, path, Some(name), members),
            _ => Value::Null,
        }
    }

    fn described(&self, kind: &str, path: &str, name: Option<&str>, members: Map<String, Value>) -> Value {
        let mut metadata = Map::new();
        metadata.insert("self".to_owned(), self.url(path).into());
        if let Some(name) = name {
            metadata.insert("resource_name".to_owned(), format!("{}{name}", self.crn).into());
        }
        let mut resource = Map::new();
        resource.insert("kind".to_owned(), kind.into());
        resource.insert("metadata".to_owned(), metadata.into());
        resource.extend(members);
        resource.into()
    }

    /// A list of resources; all of it, there are no pages.
    pub fn list(&self, kind: &str, path: &str, data: Vec<Value>) -> Value {
        json!({"kind": kind, "metadata": {"self": self.url(path), "next": null}, "data": data})
    }
}

/// 404 in the words of v3.
pub fn not_found(detail: String) -> RestError {
    RestError::Plain { status: 404, message: format!("Not Found: {detail}") }
}

/// 400 in the words of v3.
pub fn bad_request(detail: impl std::fmt::Display) -> RestError {
    RestError::bad_request(format!("Bad Request: {detail}"))
}

/// A number in the path; what is none is no path either.
///
/// # Errors
/// 404.
pub fn number(call: &Call, at: usize) -> Result<i32> {
    call.parameter(at).parse().map_err(|_| RestError::Http(404))
}

/// A segment of a path.
pub fn segment(name: &str) -> String {
    percent_encode(name)
}
