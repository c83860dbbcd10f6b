//! `/v3/clusters`: the one cluster behind this proxy.

use serde_json::{Value, json};

use super::scope::Scope;
use crate::error::Result;
use crate::http::{Answer, Call};

/// GET `/v3/clusters`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::own(&call).await?;
    let cluster = cluster(&scope).await?;
    let url = format!("{}/v3/clusters", call.base_url());
    Answer::json(&json!({
        "kind": "KafkaClusterList",
        "metadata": {"self": url, "next": null},
        "data": [cluster],
    }))
}

/// GET `/v3/clusters/{cluster_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    Answer::json(&cluster(&scope).await?)
}

async fn cluster(scope: &Scope) -> Result<Value> {
    let metadata = scope.cluster().refresh_metadata(Some(&[]), false).await?;
    let controller = metadata.controller_id;
    let members = json!({
        "controller": (controller >= 0).then(|| scope.related(&format!("/brokers/{controller}"))),
        "acls": scope.related("/acls"),
        "brokers": scope.related("/brokers"),
        "broker_configs": scope.related("/broker-configs"),
        "consumer_groups": scope.related("/consumer-groups"),
        "topics": scope.related("/topics"),
        "partition_reassignments": scope.related("/topics/-/partitions/-/reassignment"),
    });
    Ok(scope.resource("KafkaCluster", "", Some(""), members))
}
