//! Which quota applies to whom.
//!
//! For a user with a client id the most specific entity wins, in Kafka's order: (user, client), (user, default client), user,
//! (default user, client), (default user, default client), default user, client, default client. Each key is resolved by itself.

use std::collections::HashMap;
use std::net::IpAddr;

use milena_metadata::{ClientQuotas, EntityName as Configured};

/// The part of an entity that names a user, a client id or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum EntityName {
    /// The entity has no such part.
    Absent,
    /// Everybody who has no entity of his own.
    Default,
    /// This one.
    Named(String),
}

/// The kinds of rates of users and clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QuotaKey {
    /// `producer_byte_rate`
    Produce,
    /// `consumer_byte_rate`
    Fetch,
    /// `request_percentage`
    Request,
    /// `controller_mutation_rate`
    ControllerMutation,
}

impl QuotaKey {
    /// Every kind, in the order of [`QuotaKey::index`].
    pub(crate) const ALL: [QuotaKey; 4] =
        [QuotaKey::Produce, QuotaKey::Fetch, QuotaKey::Request, QuotaKey::ControllerMutation];

    pub(crate) fn index(self) -> usize {
        match self {
            QuotaKey::Produce => 0,
            QuotaKey::Fetch => 1,
            QuotaKey::Request => 2,
            QuotaKey::ControllerMutation => 3,
        }
    }

    /// What Kafka's metrics call the kind.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            QuotaKey::Produce => "Produce",
            QuotaKey::Fetch => "Fetch",
            QuotaKey::Request => "Request",
            QuotaKey::ControllerMutation => "ControllerMutation",
        }
    }

    fn from_name(name: &str) -> Option<QuotaKey> {
        Some(match name {
            "producer_byte_rate" => QuotaKey::Produce,
            "consumer_byte_rate" => QuotaKey::Fetch,
            "request_percentage" => QuotaKey::Request,
            "controller_mutation_rate" => QuotaKey::ControllerMutation,
            _ => return None,
        })
    }
}

/// A bound, and who shares it: everybody with the same two names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    /// The user that is measured, empty if users are not told apart.
    pub(crate) user: String,
    /// The client id that is measured, empty if client ids are not told apart.
    pub(crate) client_id: String,
    /// Bytes a second, percent of a thread, or partitions a second.
    pub(crate) limit: f64,
}

/// All configured quotas.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct QuotaTable {
    clients: HashMap<(EntityName, EntityName), [Option<f64>; 4]>,
    addresses: HashMap<IpAddr, f64>,
    default_address: Option<f64>,
}

impl EntityName {
    fn of(configured: Option<&Configured>) -> EntityName {
        match configured {
            None => EntityName::Absent,
            Some(Configured::Default) => EntityName::Default,
            Some(Configured::Named(name)) => EntityName::Named(name.clone()),
        }
    }
}

impl QuotaTable {
    /// The quotas of the cluster image.
    pub(crate) fn of(quotas: &ClientQuotas) -> QuotaTable {
        let mut table = QuotaTable::default();
        for (entity, values) in quotas {
            let part = |name: &Option<Configured>| EntityName::of(name.as_ref());
            for (key, value) in values {
                table.insert(part(&entity.user), part(&entity.client_id), part(&entity.ip), key, *value);
            }
        }
        table
    }

    /// Adds one value of one entity. Unknown keys and addresses that are none are left out.
    pub(crate) fn insert(&mut self, user: EntityName, client_id: EntityName, ip: EntityName, key: &str, value: f64) {
        if key == "connection_creation_rate" {
            match ip {
                EntityName::Default => self.default_address = Some(value),
                EntityName::Named(address) => {
                    address.parse().ok().and_then(|address: IpAddr| self.addresses.insert(address, value));
                }
                EntityName::Absent => {}
            }
        } else if let Some(key) = QuotaKey::from_name(key) {
            self.clients.entry((user, client_id)).or_default()[key.index()] = Some(value);
        }
    }

    /// True when no user and no client has a quota.
    pub(crate) fn has_no_clients(&self) -> bool {
        self.clients.is_empty()
    }

    /// Connections a second that `address` may make.
    pub(crate) fn connection_rate(&self, address: IpAddr) -> Option<f64> {
        self.addresses.get(&address.to_canonical()).copied().or(self.default_address)
    }

    /// The quota for `key` that applies to `user` with `client_id`.
    pub(crate) fn resolve(&self, key: QuotaKey, user: &str, client_id: &str) -> Option<Bound> {
        use EntityName::{Absent, Default, Named};
        let (this_user, this_client) = (Named(user.to_owned()), Named(client_id.to_owned()));
        let candidates = [
            ((this_user.clone(), this_client.clone()), user, client_id),
            ((this_user.clone(), Default), user, client_id),
            ((this_user, Absent), user, ""),
            ((Default, this_client.clone()), user, client_id),
            ((Default, Default), user, client_id),
            ((Default, Absent), user, ""),
            ((Absent, this_client), "", client_id),
            ((Absent, Default), "", client_id),
        ];
        candidates.into_iter().find_map(|(entity, user, client_id)| {
            let limit = self.clients.get(&entity)?[key.index()]?;
            Some(Bound { user: user.to_owned(), client_id: client_id.to_owned(), limit })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::EntityName::{Absent, Default, Named};
    use super::*;

    fn named(name: &str) -> EntityName {
        Named(name.to_owned())
    }

    fn table(entities: &[(EntityName, EntityName, f64)]) -> QuotaTable {
        let mut table = QuotaTable::default();
        for (user, client, value) in entities {
            table.insert(user.clone(), client.clone(), Absent, "producer_byte_rate", *value);
        }
        table
    }

    #[test]
    fn the_most_specific_entity_wins() {
        let all = [
            (named("u"), named("c"), 1.0),
            (named("u"), Default, 2.0),
            (named("u"), Absent, 3.0),
            (Default, named("c"), 4.0),
            (Default, Default, 5.0),
            (Default, Absent, 6.0),
            (Absent, named("c"), 7.0),
            (Absent, Default, 8.0),
        ];
        for left_out in 0..all.len() {
            let bound = table(&all[left_out..]).resolve(QuotaKey::Produce, "u", "c").unwrap();
            assert_eq!(bound.limit, (left_out + 1) as f64);
        }
    }

    #[test]
    fn who_shares_a_quota_depends_on_the_entity_that_won() {
        let by_user = table(&[(Default, Absent, 1.0)]).resolve(QuotaKey::Produce, "u", "c").unwrap();
        assert_eq!((by_user.user.as_str(), by_user.client_id.as_str()), ("u", ""));
        let by_client = table(&[(Absent, Default, 1.0)]).resolve(QuotaKey::Produce, "u", "c").unwrap();
        assert_eq!((by_client.user.as_str(), by_client.client_id.as_str()), ("", "c"));
    }

    #[test]
    fn keys_are_resolved_apart() {
        let mut table = table(&[(named("u"), Absent, 1.0)]);
        table.insert(Absent, Default, Absent, "consumer_byte_rate", 9.0);
        assert_eq!(table.resolve(QuotaKey::Fetch, "u", "c").unwrap().limit, 9.0);
        assert_eq!(table.resolve(QuotaKey::Request, "u", "c"), None);
    }

    #[test]
    fn addresses_have_a_rate_of_connections() {
        let mut table = QuotaTable::default();
        table.insert(Absent, Absent, named("10.0.0.1"), "connection_creation_rate", 5.0);
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        assert_eq!((table.connection_rate(ip), table.connection_rate(other)), (Some(5.0), None));
        table.insert(Absent, Absent, Default, "connection_creation_rate", 7.0);
        assert_eq!(table.connection_rate(other), Some(7.0));
    }
}
