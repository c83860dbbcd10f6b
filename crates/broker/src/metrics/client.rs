//! What clients have pushed about themselves (KIP-714), kept until they are silent for a while.
//!
//! Bounded on every side: instances, samples of one instance, length of names. A client decides what it sends, but not how much
//! memory that takes.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use milena_protocol::Uuid;
use parking_lot::Mutex;

use super::encode::Page;

/// Instances that are remembered; the one heard of longest ago makes room for a new one.
const INSTANCES_MAX: usize = 1000;
/// Samples that are kept of one instance.
const SAMPLES_MAX: usize = 500;
/// An instance that has been silent for so long is forgotten.
const SILENCE_MAX: Duration = Duration::from_secs(15 * 60);
/// The same for an instance that has ended.
const ENDED_MAX: Duration = Duration::from_secs(2 * 60);

/// One number that a client has pushed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientSample {
    /// For example `org.apache.kafka.producer.record.queue.time.avg`.
    pub(crate) name: String,
    /// Attributes of the data point.
    pub(crate) attributes: Vec<(String, String)>,
    /// The newest value; sums of deltas are added up.
    pub(crate) value: f64,
    /// A sum whose value says how much was added since the last push.
    pub(crate) delta: bool,
}

impl Instance {
    fn is_current(&self, now: Instant) -> bool {
        let silence_max = if self.ending { ENDED_MAX } else { SILENCE_MAX };
        now.saturating_duration_since(self.heard_of) < silence_max
    }
}

/// The newest samples of every client instance.
#[derive(Default)]
pub(crate) struct ClientMetrics {
    instances: Mutex<HashMap<Uuid, Instance>>,
}

struct Instance {
    client_id: String,
    software: String,
    heard_of: Instant,
    ending: bool,
    samples: Vec<ClientSample>,
}

impl ClientMetrics {
    /// Keeps what an instance has pushed. Sums of deltas go on from what was kept; everything else is replaced.
    pub(crate) fn pushed(&self, id: Uuid, client_id: &str, software: &str, mut samples: Vec<ClientSample>) {
        samples.truncate(SAMPLES_MAX);
        let now = Instant::now();
        let mut instances = self.instances.lock();
        instances.retain(|_, instance| instance.is_current(now));
        if let Some(known) = instances.get(&id) {
            for sample in samples.iter_mut().filter(|sample| sample.delta) {
                let same =
                    known.samples.iter().find(|old| old.name == sample.name && old.attributes == sample.attributes);
                sample.value += same.map_or(0.0, |old| old.value);
            }
        } else if instances.len() >= INSTANCES_MAX {
            let oldest = instances.iter().min_by_key(|(_, instance)| instance.heard_of).map(|(id, _)| *id);
            oldest.and_then(|oldest| instances.remove(&oldest));
        }
        let instance = Instance {
            client_id: client_id.to_owned(),
            software: software.to_owned(),
            heard_of: now,
            ending: false,
            samples,
        };
        instances.insert(id, instance);
    }

    /// The instance has said goodbye: its last numbers stay for a few more scrapes.
    pub(crate) fn ending(&self, id: &Uuid) {
        if let Some(instance) = self.instances.lock().get_mut(id) {
            instance.ending = true;
        }
    }

    /// One family a metric name, with the instance and its client id as labels.
    pub(super) fn encode(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut instances = self.instances.lock();
        let now = Instant::now();
        instances.retain(|_, instance| instance.is_current(now));
        let instances = &*instances;
        page.gauge(
            "milena_client_instances",
            "Client instances that have pushed metrics (KIP-714)",
            instances.len() as f64,
        )?;
        let ids: HashMap<&Uuid, String> = instances.keys().map(|id| (id, id.to_string())).collect();
        let mut families: Vec<(String, &str, Vec<Row<'_>>)> = Vec::new();
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for (id, instance) in instances.iter() {
            for sample in &instance.samples {
                let family = *by_name.entry(&sample.name).or_insert_with(|| {
                    families.push((metric_name(&sample.name), &sample.name, Vec::new()));
                    families.len() - 1
                });
                families[family].2.push((labels(&ids[id], instance, sample), sample.value));
            }
        }
        families.sort_by(|a, b| a.0.cmp(&b.0));
        families.dedup_by(|a, b| a.0 == b.0);
        for (name, pushed_as, rows) in families {
            page.dynamic_gauges(&name, &format!("Pushed by clients as {}", printable(pushed_as)), rows)?;
        }
        Ok(())
    }
}

type Row<'a> = (Vec<(&'a str, &'a str)>, f64);

fn labels<'a>(id: &'a str, instance: &'a Instance, sample: &'a ClientSample) -> Vec<(&'a str, &'a str)> {
    let mut labels =
        vec![("client_instance_id", id), ("client_id", &*instance.client_id), ("client_software", &*instance.software)];
    let taken = ["client_instance_id", "client_id", "client_software"];
    for (name, value) in &sample.attributes {
        if is_label_name(name) && !taken.contains(&name.as_str()) {
            labels.push((name, value));
        }
    }
    labels
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `org.apache.kafka.producer.x` becomes `kafka_client_producer_x`.
fn metric_name(pushed_as: &str) -> String {
    let short = pushed_as.strip_prefix("org.apache.kafka.").unwrap_or(pushed_as);
    let clean = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let short: String = short.chars().take(200).map(clean).collect();
    format!("kafka_client_{}", short.strip_prefix("client_").unwrap_or(&short))
}

/// Text of a client on one line of a comment.
fn printable(text: &str) -> String {
    text.chars().take(200).filter(|c| !c.is_control() && *c != '\\').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, value: f64, delta: bool) -> ClientSample {
        ClientSample { name: name.to_owned(), attributes: Vec::new(), value, delta }
    }

    #[test]
    fn deltas_add_up_and_gauges_are_replaced() {
        let metrics = ClientMetrics::default();
        let id = Uuid([1; 16]);
        for value in [3.0, 4.0] {
            let samples = vec![sample("records.total", value, true), sample("latency.avg", value, false)];
            metrics.pushed(id, "app", "java", samples);
        }
        let instances = metrics.instances.lock();
        let values: Vec<f64> = instances[&id].samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [7.0, 4.0]);
    }

    #[test]
    fn neither_instances_nor_samples_grow_without_end() {
        let metrics = ClientMetrics::default();
        for index in 0..(INSTANCES_MAX + 50) as u128 {
            let samples = vec![sample("x", 1.0, false); SAMPLES_MAX + 10];
            metrics.pushed(Uuid(index.to_be_bytes()), "app", "java", samples);
        }
        let instances = metrics.instances.lock();
        assert_eq!(instances.len(), INSTANCES_MAX);
        assert!(instances.values().all(|instance| instance.samples.len() == SAMPLES_MAX));
    }

    #[test]
    fn names_of_clients_become_names_of_metrics() {
        assert_eq!(
            metric_name("org.apache.kafka.producer.node.request.latency.avg"),
            "kafka_client_producer_node_request_latency_avg"
        );
        assert_eq!(metric_name("org.apache.kafka.client.x-Y"), "kafka_client_x_y");
    }
}
