//! Client quotas: which limits are set for which users, clients and addresses (KIP-124, KIP-546, KIP-612).

use std::collections::BTreeMap;
use std::net::ToSocketAddrs as _;

/// Bytes per second that may be produced.
pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
/// Bytes per second that may be fetched.
pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
/// Percent of one processor that requests may take.
pub const REQUEST_PERCENTAGE: &str = "request_percentage";
/// Changes of partitions per second.
pub const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
/// New connections per second from an address.
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// The quotas of every entity that has some.
pub type ClientQuotas = BTreeMap<QuotaEntity, BTreeMap<String, f64>>;

/// Who of a kind is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityName {
    /// Everybody who has no entry of its own.
    Default,
    /// This one.
    Named(String),
}

impl EntityName {
    /// The name as it is on the wire, where the default is null.
    pub fn from_wire(name: Option<String>) -> EntityName {
        name.map_or(EntityName::Default, EntityName::Named)
    }

    /// The name on the wire.
    pub fn to_wire(&self) -> Option<String> {
        match self {
            EntityName::Default => None,
            EntityName::Named(name) => Some(name.clone()),
        }
    }
}

/// Whom a quota limits: a user, a client id, both together, or an address. At least one part is there, and an address
/// stands alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity {
    /// The name of the authenticated user, without `User:`.
    pub user: Option<EntityName>,
    /// `client.id`.
    pub client_id: Option<EntityName>,
    /// The client's address.
    pub ip: Option<EntityName>,
}

impl QuotaEntity {
    /// The part of one type: `user`, `client-id` or `ip`.
    pub fn part(&self, entity_type: &str) -> Option<&EntityName> {
        match entity_type {
            "user" => self.user.as_ref(),
            "client-id" => self.client_id.as_ref(),
            "ip" => self.ip.as_ref(),
            _ => None,
        }
    }

    /// The parts that are there, with their types.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &EntityName)> {
        let parts = [("user", &self.user), ("client-id", &self.client_id), ("ip", &self.ip)];
        parts.into_iter().filter_map(|(entity_type, name)| name.as_ref().map(|name| (entity_type, name)))
    }

    /// The entity of these parts.
    ///
    /// # Errors
    /// The rule that the parts break, in Kafka's words.
    pub fn from_parts(parts: impl IntoIterator<Item = (String, Option<String>)>) -> Result<QuotaEntity, String> {
        let mut entity = QuotaEntity::default();
        for (entity_type, name) in parts {
            let part = match entity_type.as_str() {
                "user" => &mut entity.user,
                "client-id" => &mut entity.client_id,
                "ip" => &mut entity.ip,
                _ => return Err(format!("Unhandled client quota entity type: {entity_type}")),
            };
            if part.is_some() {
                return Err(format!("Invalid client quota entity, duplicate entity entry {entity_type}"));
            }
            if name.as_ref().is_some_and(String::is_empty) {
                return Err(format!("Empty {entity_type} not supported"));
            }
            *part = Some(EntityName::from_wire(name));
        }
        if entity == QuotaEntity::default() {
            return Err("Invalid empty client quota entity".to_owned());
        }
        Ok(entity)
    }

    /// Checks that `value` may be set under `key` for this entity, or taken away (`None`).
    ///
    /// # Errors
    /// The rule that is broken, in Kafka's words. An address that is a host name is resolved, which blocks.
    pub fn check(&self, key: &str, value: Option<f64>) -> Result<(), String> {
        let known: &[(&str, QuotaType)] = match (&self.user, &self.client_id, &self.ip) {
            (None, None, Some(ip)) => {
                check_ip(ip)?;
                IP_QUOTAS
            }
            (_, _, None) => USER_AND_CLIENT_QUOTAS,
            _ => {
                return Err("Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
                    .to_owned());
            }
        };
        let Some(value) = value else { return Ok(()) };
        match known.iter().find(|(name, _)| *name == key) {
            Some((_, quota_type)) => quota_type.check(key, value),
            None => Err(format!("Invalid configuration key {key}")),
        }
    }
}

/// The type of a quota's value.
#[derive(Clone, Copy)]
enum QuotaType {
    Int,
    Long,
    Double,
}

const USER_AND_CLIENT_QUOTAS: &[(&str, QuotaType)] = &[
    (PRODUCER_BYTE_RATE, QuotaType::Long),
    (CONSUMER_BYTE_RATE, QuotaType::Long),
    (REQUEST_PERCENTAGE, QuotaType::Double),
    (CONTROLLER_MUTATION_RATE, QuotaType::Double),
];
const IP_QUOTAS: &[(&str, QuotaType)] = &[(CONNECTION_CREATION_RATE, QuotaType::Int)];

impl QuotaType {
    fn check(self, key: &str, value: f64) -> Result<(), String> {
        if value.is_nan() || value <= 0.0 {
            return Err(format!("Quota {key} must be greater than 0"));
        }
        let (most, article_and_name) = match self {
            QuotaType::Double => return Ok(()),
            QuotaType::Int => (f64::from(i32::MAX), "an INT"),
            QuotaType::Long => (i64::MAX as f64, "a LONG"),
        };
        if value > most {
            return Err(format!("Proposed value for {key} is too large for {article_and_name}."));
        }
        if value % 1.0 > 1e-6 {
            return Err(format!("{key} cannot be a fractional value."));
        }
        Ok(())
    }
}

fn check_ip(ip: &EntityName) -> Result<(), String> {
    match ip {
        EntityName::Named(name) if (name.as_str(), 0).to_socket_addrs().is_err() => {
            Err(format!("{name} is not a valid IP or resolvable host."))
        }
        _ => Ok(()),
    }
}
