//! Features: capabilities of the cluster that clients switch their behaviour on (KIP-584).
//!
//! Only what exists may be named here. A level that was never chosen by UpdateFeatures is the feature's default, so a
//! newer release raises it by itself; a chosen level is kept.

use std::collections::BTreeMap;

use crate::image::ClusterImage;

/// The feature that stands for the version of the metadata's records.
pub const METADATA_VERSION: &str = "metadata.version";

/// The feature of share groups (KIP-932).
pub const SHARE_VERSION: &str = "share.version";

/// The feature of streams groups (KIP-1071).
pub const STREAMS_VERSION: &str = "streams.version";

/// The feature of transactions: from 1 on their states are stored in a newer format, 2 is transactions v2 (KIP-890).
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// A feature that this release supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name.
    pub name: &'static str,
    /// The lowest level supported; 0 means that the feature can be off.
    pub min: i16,
    /// The highest level supported.
    pub max: i16,
    /// The level in force unless another was chosen.
    pub default: i16,
}

/// Every feature, sorted by name.
pub const FEATURES: &[Feature] = &[
    // With one replica of everything there is nobody else to elect (KIP-966).
    Feature { name: "eligible.leader.replicas.version", min: 0, max: 1, default: 1 },
    Feature { name: "group.version", min: 0, max: 1, default: 1 },
    // Level 30 is 4.3-IV0, the newest of Kafka 4.3.
    Feature { name: METADATA_VERSION, min: 7, max: 30, default: 30 },
    Feature { name: SHARE_VERSION, min: 0, max: 1, default: 1 },
    Feature { name: STREAMS_VERSION, min: 0, max: 1, default: 1 },
    // KIP-890: a producer's epoch grows with every transaction.
    Feature { name: TRANSACTION_VERSION, min: 0, max: 2, default: 2 },
];

impl Feature {
    /// The feature called `name`.
    pub fn named(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }
}

impl ClusterImage {
    /// The level of a feature in force; 0 means that it is off, or unknown.
    pub fn feature_level(&self, name: &str) -> i16 {
        let Some(feature) = Feature::named(name) else { return 0 };
        self.chosen_features.get(name).copied().unwrap_or(feature.default).clamp(feature.min, feature.max)
    }

    /// Every feature that is not off, with its level.
    pub fn finalized_features(&self) -> BTreeMap<&'static str, i16> {
        let levels = FEATURES.iter().map(|feature| (feature.name, self.feature_level(feature.name)));
        levels.filter(|(_, level)| *level > 0).collect()
    }
}
