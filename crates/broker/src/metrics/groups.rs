//! Consumer groups at one moment: their states, and how far their committed offsets are behind.

use std::collections::BTreeMap;
use std::fmt;

use super::encode::Page;
use crate::context::Broker;
use crate::group::shard_offsets::FetchRequest;

/// Groups whose lag is told; with more of them the rest is only counted.
const GROUPS_MAX: usize = 1000;
/// Partitions of all groups whose lag is told.
const PARTITIONS_MAX: usize = 20_000;

/// What a scrape tells about groups.
#[derive(Default)]
pub(super) struct GroupsSnapshot {
    /// Groups by type and state.
    counts: BTreeMap<(&'static str, &'static str), u64>,
    lags: Vec<Lag>,
}

struct Lag {
    group: String,
    topic: String,
    partition: String,
    offset: i64,
    lag: i64,
}

impl GroupsSnapshot {
    /// Asks the coordinator. A shard that is loading is left out.
    pub(super) async fn take(broker: &Broker) -> GroupsSnapshot {
        let mut snapshot = GroupsSnapshot::default();
        let Ok(groups) = broker.groups.list().await else { return snapshot };
        for group in &groups {
            *snapshot.counts.entry((group.group_type, group.state)).or_default() += 1;
        }
        for group in groups.into_iter().take(GROUPS_MAX) {
            let request = FetchRequest { group_id: group.group_id.clone(), ..FetchRequest::default() };
            let Ok(fetched) = broker.groups.fetch_offsets(request).await else { continue };
            for (topic, partitions) in fetched {
                for (partition, committed) in partitions {
                    let Ok(Some(committed)) = committed else { continue };
                    let Some(log) = broker.logs.get(&topic, partition) else { continue };
                    snapshot.lags.push(Lag {
                        group: group.group_id.clone(),
                        topic: topic.clone(),
                        partition: partition.to_string(),
                        offset: committed.offset,
                        lag: (log.high_watermark() - committed.offset).max(0),
                    });
                }
            }
            if snapshot.lags.len() >= PARTITIONS_MAX {
                break;
            }
        }
        snapshot
    }

    pub(super) fn encode(&self, page: &mut Page<'_>) -> fmt::Result {
        let all: u64 = self.counts.values().sum();
        page.gauge(
            "kafka_coordinator_group_groupmetadatamanager_numgroups",
            "Groups of every type and state",
            all as f64,
        )?;
        page.gauges(
            "kafka_server_group_coordinator_metrics_group_count",
            "Groups by type and state",
            self.counts
                .iter()
                .map(|((kind, state), count)| (vec![("protocol", *kind), ("state", *state)], *count as f64)),
        )?;
        let samples = |value: fn(&Lag) -> i64| {
            self.lags.iter().map(move |lag| {
                let labels =
                    vec![("consumergroup", &*lag.group), ("topic", &*lag.topic), ("partition", &*lag.partition)];
                (labels, value(lag) as f64)
            })
        };
        page.gauges(
            "kafka_consumergroup_lag",
            "Records between a committed offset and the end",
            samples(|lag| lag.lag),
        )?;
        page.gauges("kafka_consumergroup_current_offset", "Committed offset of a group", samples(|lag| lag.offset))
    }
}
