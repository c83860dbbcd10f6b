//! What a query leaves behind when it is gone for good: its group, its own topics, its state on this server.
//!
//! Every server of the service hears that the query is gone. The group can only be deleted once nobody is a member any more,
//! and the topics only after that: whoever comes last finds it so, and whoever comes too late finds nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use milena_client::{Cluster, Error};
use milena_protocol::ErrorCode;
use tokio::time::Instant;

use crate::kafka::topics;
use crate::state::Server;

/// How long other servers may take to leave the group: a killed one is a member until its session ends.
const LEAVING: Duration = Duration::from_secs(90);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(300);

/// Deletes everything of the query `id`, which does not run on this server any more.
pub async fn remove(server: &Arc<Server>, id: &str) {
    remove_trees(server, |owner| owner == id).await;
    let Ok(cluster) = server.cluster().await else { return };
    if let Err(error) = remove_from_kafka(&cluster, &server.config.query_prefix(), id).await {
        tracing::warn!(query = id, "what the query has left in Kafka cannot be deleted: {error}");
    }
}

/// Deletes what queries have left behind that were gone before this server came: state of all that are not among `active`,
/// and topics and groups of those in `ended`.
pub async fn sweep(server: Arc<Server>, active: BTreeSet<String>, ended: BTreeSet<String>) {
    remove_trees(&server, |owner| !active.contains(owner)).await;
    let Ok(cluster) = server.cluster().await else { return };
    let prefix = server.config.query_prefix();
    let found = async {
        let mut names: Vec<String> = cluster.list_topics().await?.into_iter().map(|topic| topic.name).collect();
        names.extend(cluster.list_groups(&[], &[]).await?.into_iter().map(|group| group.group_id));
        Ok::<_, Error>(names)
    };
    let names = match found.await {
        Ok(names) => names,
        Err(error) => return tracing::warn!("what ended queries have left in Kafka cannot be found: {error}"),
    };
    for id in ended.difference(&active) {
        let group = format!("{prefix}{id}");
        let is_own = |name: &String| *name == group || name.strip_prefix(&group).is_some_and(|at| at.starts_with('-'));
        if names.iter().any(is_own)
            && let Err(error) = remove_from_kafka(&cluster, &prefix, id).await
        {
            tracing::warn!(query = id, "what the query has left in Kafka cannot be deleted: {error}");
        }
    }
}

/// Deletes the trees of the queries that `is_gone` names.
async fn remove_trees(server: &Arc<Server>, is_gone: impl Fn(&str) -> bool) {
    let database = server.state.clone();
    let names = database.list_keyspace_names();
    let is_gone = |name: &&str| {
        let owner = name.rsplit_once('-').filter(|(_, part)| part.bytes().all(|digit| digit.is_ascii_digit()));
        owner.is_some_and(|(owner, _)| is_gone(owner))
    };
    let gone: Vec<String> = names.iter().map(|name| &**name).filter(is_gone).map(str::to_owned).collect();
    // The disk may take its time.
    let removing = tokio::task::spawn_blocking(move || {
        for name in gone {
            let removed = database.keyspace(&name, Default::default).and_then(|tree| database.delete_keyspace(tree));
            if let Err(error) = removed {
                tracing::warn!(name, "state of a query that is gone cannot be deleted: {error}");
            }
        }
    });
    if let Err(error) = removing.await {
        tracing::warn!("state of queries that are gone cannot be deleted: {error}");
    }
}

async fn remove_from_kafka(cluster: &Cluster, prefix: &str, id: &str) -> milena_client::Result<()> {
    let group = format!("{prefix}{id}");
    let deadline = Instant::now() + LEAVING;
    loop {
        match cluster.delete_group(&group).await {
            Ok(()) => break,
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => break,
            Err(error) if error.code() == Some(ErrorCode::NonEmptyGroup) && Instant::now() < deadline => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let own = format!("{group}-");
    for topic in cluster.list_topics().await?.into_iter().filter(|topic| topic.name.starts_with(&own)) {
        topics::delete(cluster, &topic.name).await?;
    }
    Ok(())
}
