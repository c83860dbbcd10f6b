//! Metrics that clients push (KIP-714): which ones they are asked for, whether they may push now, and what they have pushed.
//!
//! Subscriptions are configurations of the resource type client-metrics; what arrives becomes part of `/metrics`.

mod otlp;
mod subscription;

use std::collections::HashMap;
use std::sync::Arc;

use milena_metadata::ClusterImage;
use milena_protocol::compression::{Compression, decompress};
use milena_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;

use crate::context::RequestContext;
use crate::metrics::ClientSample;
pub(crate) use subscription::Subscription;

/// Codecs that a push may use, the preferred one first.
pub(crate) const ACCEPTED_CODECS: [Compression; 4] =
    [Compression::Zstd, Compression::Lz4, Compression::Gzip, Compression::Snappy];
/// Clients whose last requests are remembered; the one heard of longest ago is forgotten for a new one.
const INSTANCES_MAX: usize = 16_384;
/// How much larger than `telemetry.max.bytes` a decompressed push may be.
const INFLATION_MAX: usize = 20;

/// What a client is told apart by.
pub(crate) struct ClientFacts {
    /// Chosen by the broker, sent by the client with every request but the first.
    pub(crate) instance_id: Uuid,
    pub(crate) client_id: String,
    software_name: String,
    software_version: String,
    source_address: String,
    source_port: u16,
}

impl ClientFacts {
    pub(crate) fn of(context: &RequestContext, instance_id: Uuid) -> ClientFacts {
        let software = context.client_software.load_full();
        let (software_name, software_version) =
            software.map_or_else(Default::default, |software| (software.name.clone(), software.version.clone()));
        ClientFacts {
            instance_id,
            client_id: context.client_id.clone().unwrap_or_default(),
            software_name,
            software_version,
            source_address: context.peer.ip().to_canonical().to_string(),
            source_port: context.peer.port(),
        }
    }

    /// Name and version of the client library.
    pub(crate) fn software(&self) -> String {
        format!("{} {}", self.software_name, self.software_version).trim().to_owned()
    }

    fn value_of(&self, selector: &str) -> Option<String> {
        let value = match selector {
            "client_instance_id" => self.instance_id.to_string(),
            "client_id" => self.client_id.clone(),
            "client_software_name" => self.software_name.clone(),
            "client_software_version" => self.software_version.clone(),
            "client_source_address" => self.source_address.clone(),
            "client_source_port" => self.source_port.to_string(),
            _ => return None,
        };
        Some(value)
    }
}

/// One PushTelemetry request.
pub(crate) struct Push<'a> {
    pub(crate) subscription_id: i32,
    pub(crate) terminating: bool,
    pub(crate) codec: i8,
    pub(crate) metrics: &'a [u8],
}

/// What is known of the clients that ask and push.
pub(crate) struct Telemetry {
    bytes_max: i32,
    instances: Mutex<HashMap<Uuid, Instance>>,
}

struct Instance {
    subscription: Arc<Subscription>,
    asked_ms: Option<i64>,
    pushed_ms: Option<i64>,
    terminating: bool,
    /// The client was told to ask again, so it may do so at once.
    may_ask: bool,
}

impl Instance {
    fn heard_of_ms(&self) -> i64 {
        self.asked_ms.max(self.pushed_ms).unwrap_or(i64::MIN)
    }

    fn interval_has_passed(&self, since: Option<i64>, now_ms: i64) -> bool {
        since.is_none_or(|since| now_ms - since >= i64::from(self.subscription.push_interval_ms))
    }

    fn may_push(&self, now_ms: i64) -> bool {
        // The first push after asking may come at once.
        self.asked_ms > self.pushed_ms || self.interval_has_passed(self.pushed_ms, now_ms)
    }
}

impl Telemetry {
    /// `bytes_max` is `telemetry.max.bytes`.
    pub(crate) fn new(bytes_max: i32) -> Telemetry {
        Telemetry { bytes_max, instances: Mutex::default() }
    }

    /// Bytes that one push may have.
    pub(crate) fn bytes_max(&self) -> i32 {
        self.bytes_max
    }

    /// What `client` is to push, and its instance id.
    ///
    /// # Errors
    /// THROTTLING_QUOTA_EXCEEDED when it asks too often.
    pub(crate) fn subscribe(
        &self,
        image: &ClusterImage,
        client: &ClientFacts,
        now_ms: i64,
    ) -> Result<(Uuid, Arc<Subscription>), ErrorCode> {
        let id = if client.instance_id == Uuid::ZERO { Uuid::random() } else { client.instance_id };
        let mut instances = self.instances.lock();
        if let Some(instance) = instances.get(&id)
            && !instance.may_ask
            && !instance.interval_has_passed(instance.asked_ms.max(instance.pushed_ms), now_ms)
        {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        let subscription = Arc::new(Subscription::of(image, &id, |selector| match selector {
            "client_instance_id" => Some(id.to_string()),
            selector => client.value_of(selector),
        }));
        make_room(&mut instances, &id);
        let pushed_ms = instances.get(&id).and_then(|instance| instance.pushed_ms);
        let instance = Instance {
            subscription: subscription.clone(),
            asked_ms: Some(now_ms),
            pushed_ms,
            terminating: false,
            may_ask: false,
        };
        instances.insert(id, instance);
        Ok((id, subscription))
    }

    /// The samples of a push.
    ///
    /// # Errors
    /// The code to answer with; nothing of the push is kept then.
    pub(crate) fn push(
        &self,
        image: &ClusterImage,
        client: &ClientFacts,
        push: &Push<'_>,
        now_ms: i64,
    ) -> Result<Vec<ClientSample>, ErrorCode> {
        if client.instance_id == Uuid::ZERO {
            return Err(ErrorCode::InvalidRequest);
        }
        self.admit(image, client, push, now_ms)?;
        let codec = u8::try_from(push.codec).ok().and_then(|id| Compression::from_id(id).ok());
        let accepted = codec.filter(|codec| *codec == Compression::None || ACCEPTED_CODECS.contains(codec));
        let Some(codec) = accepted else {
            self.may_ask_again(&client.instance_id);
            return Err(ErrorCode::UnsupportedCompressionType);
        };
        let bytes_max = usize::try_from(self.bytes_max).unwrap_or(0);
        if push.metrics.len() > bytes_max {
            return Err(ErrorCode::TelemetryTooLarge);
        }
        let plain = decompress(codec, push.metrics, bytes_max.saturating_mul(INFLATION_MAX));
        let plain = plain.map_err(|_| ErrorCode::InvalidRecord)?;
        otlp::samples(&plain).map_err(|_| ErrorCode::InvalidRecord)
    }

    /// Whether the client may push now, by the subscription it pushes for.
    fn admit(&self, image: &ClusterImage, client: &ClientFacts, push: &Push<'_>, now_ms: i64) -> Result<(), ErrorCode> {
        let mut instances = self.instances.lock();
        make_room(&mut instances, &client.instance_id);
        let current = Subscription::of(image, &client.instance_id, |selector| client.value_of(selector));
        let current = Arc::new(current);
        let instance = instances.entry(client.instance_id).or_insert_with(|| Instance {
            subscription: current.clone(),
            asked_ms: None,
            pushed_ms: None,
            terminating: false,
            may_ask: true,
        });
        if instance.terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        if !push.terminating && !instance.may_push(now_ms) {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        instance.pushed_ms = Some(now_ms);
        instance.terminating = push.terminating;
        if push.subscription_id != current.id {
            instance.may_ask = true;
            instance.terminating = false;
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        Ok(())
    }

    fn may_ask_again(&self, id: &Uuid) {
        if let Some(instance) = self.instances.lock().get_mut(id) {
            instance.may_ask = true;
        }
    }
}

fn make_room(instances: &mut HashMap<Uuid, Instance>, newcomer: &Uuid) {
    if instances.len() < INSTANCES_MAX || instances.contains_key(newcomer) {
        return;
    }
    let oldest = instances.iter().min_by_key(|(_, instance)| instance.heard_of_ms()).map(|(id, _)| *id);
    oldest.and_then(|oldest| instances.remove(&oldest));
}

#[cfg(test)]
mod tests;
