//! What a client can use of what a broker serves: the reading side of ApiVersions.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use crate::ApiKey;
use crate::messages::ApiVersionsResponse;

/// The versions a broker serves, by API key. Keys this crate does not know are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiVersions {
    served: BTreeMap<i16, RangeInclusive<i16>>,
}

/// How the versions of an API on both sides fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usability {
    /// This is the highest version both sides know.
    Usable(i16),
    /// The broker serves only versions older than ours.
    BrokerTooOld,
    /// The broker serves only versions newer than ours.
    BrokerTooNew,
    /// The broker does not serve this API.
    Unsupported,
    /// This crate does not know the API.
    Unknown,
}

impl ApiVersions {
    /// The table in a broker's answer.
    pub fn new(response: &ApiVersionsResponse) -> ApiVersions {
        let entries = response.api_keys.iter();
        let served = entries.map(|api| (api.api_key, api.min_version..=api.max_version));
        ApiVersions { served: served.collect() }
    }

    /// The versions the broker serves.
    pub fn served(&self, key: ApiKey) -> Option<&RangeInclusive<i16>> {
        self.served.get(&key.code())
    }

    /// The highest version both the broker and this crate know.
    pub fn latest_usable(&self, key: ApiKey) -> Option<i16> {
        match self.usability(key.code()) {
            Usability::Usable(version) => Some(version),
            _ => None,
        }
    }

    /// How the API with number `key` can be used.
    pub fn usability(&self, key: i16) -> Usability {
        let Some(served) = self.served.get(&key) else {
            return Usability::Unsupported;
        };
        let Ok(known) = ApiKey::try_from(key) else {
            return Usability::Unknown;
        };
        let known = known.versions();
        if served.end() < known.start() {
            Usability::BrokerTooOld
        } else if known.end() < served.start() {
            Usability::BrokerTooNew
        } else {
            Usability::Usable(*served.end().min(known.end()))
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, key: i16) -> fmt::Result {
        match ApiKey::try_from(key) {
            Ok(known) => write!(f, "{known}({key}): ")?,
            Err(_) => write!(f, "UNKNOWN({key}): ")?,
        }
        match self.served.get(&key) {
            None => return f.write_str("UNSUPPORTED"),
            Some(served) if served.start() == served.end() => write!(f, "{}", served.start())?,
            Some(served) => write!(f, "{} to {}", served.start(), served.end())?,
        }
        match self.usability(key) {
            Usability::Usable(version) => write!(f, " [usable: {version}]"),
            Usability::BrokerTooOld => f.write_str(" [unusable: node too old]"),
            Usability::BrokerTooNew => f.write_str(" [unusable: node too new]"),
            Usability::Unsupported | Usability::Unknown => Ok(()),
        }
    }
}

/// The table as `kafka-broker-api-versions` prints it: one line an API, by key; APIs that clients use but
/// the broker does not serve are listed as `UNSUPPORTED`.
impl fmt::Display for ApiVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = ApiKey::ALL.iter().filter(|key| key.is_on_broker_listener());
        let mut keys: Vec<i16> = ours.map(|key| key.code()).chain(self.served.keys().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        f.write_str("(\n")?;
        for (index, key) in keys.iter().enumerate() {
            f.write_str("\t")?;
            self.line(f, *key)?;
            f.write_str(if index + 1 < keys.len() { ",\n" } else { "\n" })?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::api_versions_response::ApiKey as Entry;

    fn served(entries: &[(i16, i16, i16)]) -> ApiVersions {
        let entry = |&(api_key, min_version, max_version): &_| Entry { api_key, min_version, max_version };
        let api_keys = entries.iter().map(entry).collect();
        ApiVersions::new(&ApiVersionsResponse { api_keys, ..Default::default() })
    }

    #[test]
    fn the_highest_common_version_is_usable() {
        let versions = served(&[(0, 0, 13), (3, 0, 99), (27, 0, 0), (64, 1, 2), (999, 0, 1)]);
        assert_eq!(versions.latest_usable(ApiKey::Produce), Some(13));
        assert_eq!(versions.latest_usable(ApiKey::Metadata), Some(13));
        assert_eq!(versions.latest_usable(ApiKey::Fetch), None);
        assert_eq!(versions.usability(27), Usability::Usable(0));
        assert_eq!(versions.usability(64), Usability::BrokerTooNew);
        assert_eq!(versions.usability(76), Usability::Unsupported);
        assert_eq!(versions.usability(999), Usability::Unknown);
    }

    #[test]
    fn the_table_lists_what_is_served_and_what_is_missing() {
        let text = served(&[(0, 0, 13), (46, 0, 0), (64, 1, 2), (999, 0, 1)]).to_string();
        assert!(text.starts_with("(\n\tProduce(0): 0 to 13 [usable: 13],\n\tFetch(1): UNSUPPORTED,\n"), "{text}");
        assert!(text.contains("\tListPartitionReassignments(46): 0 [usable: 0],\n"), "{text}");
        assert!(text.contains("\tUnregisterBroker(64): 1 to 2 [unusable: node too new],\n"), "{text}");
        assert!(text.ends_with("\tUNKNOWN(999): 0 to 1\n)"), "{text}");
        assert!(!text.contains("Vote("), "{text}");
    }
}
