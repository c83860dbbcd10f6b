//! The releases of Kafka and the levels that features have in them.

use milena_metadata::feature::METADATA_VERSION;

use crate::failure::Failure;

/// The newest release whose features are supported.
pub(super) const NEWEST: &str = "4.3-IV0";

/// The number of the first release below.
const FIRST_LEVEL: i16 = 7;

/// Releases by their level of `metadata.version`, from [`FIRST_LEVEL`] on.
const RELEASES: &[&str] = &[
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
    "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0",
    "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0",
];

/// Features, and for each level from 1 on the release that it comes with.
const FEATURES: &[(&str, &[&str])] = &[
    ("kraft.version", &["3.9-IV0"]),
    ("transaction.version", &["4.0-IV2", "4.0-IV2"]),
    ("group.version", &["4.0-IV0"]),
    ("eligible.leader.replicas.version", &["4.1-IV0"]),
    ("share.version", &["4.2-IV0"]),
    ("streams.version", &["4.2-IV1"]),
];

/// A release.
#[derive(Clone, Copy)]
pub(super) struct Release(usize);

/// The release of this name: `4.3-IV0`, or `4.3` for the last of 4.3.
pub(super) fn find(name: &str) -> Result<Release, Failure> {
    let exact = RELEASES.iter().position(|known| *known == name);
    let last = || RELEASES.iter().rposition(|known| known.split('-').next() == Some(name));
    exact.or_else(last).map(Release).ok_or_else(|| {
        Failure::illegal_argument(format!(
            "Unknown metadata.version '{name}'. Supported metadata.version are: {}",
            RELEASES.join(", ")
        ))
    })
}

/// The name of a level of `metadata.version`.
pub(super) fn name_of(level: i16) -> Option<&'static str> {
    RELEASES.get(usize::try_from(level - FIRST_LEVEL).ok()?).copied()
}

/// Whether there is such a feature.
pub(super) fn is_feature(name: &str) -> bool {
    name == METADATA_VERSION || FEATURES.iter().any(|(known, _)| *known == name)
}

impl Release {
    /// The whole name.
    pub(super) fn name(self) -> &'static str {
        RELEASES[self.0]
    }

    /// The level of `metadata.version`.
    pub(super) fn metadata_version(self) -> i16 {
        FIRST_LEVEL + self.0 as i16
    }

    /// Every feature with its level.
    pub(super) fn levels(self) -> impl Iterator<Item = (&'static str, i16)> {
        let level = move |since: &[&str]| {
            let reached = |release: &&&str| RELEASES.iter().position(|known| known == *release) <= Some(self.0);
            since.iter().filter(reached).count() as i16
        };
        let others = FEATURES.iter().map(move |(name, since)| (*name, level(since)));
        std::iter::once((METADATA_VERSION, self.metadata_version())).chain(others)
    }
}
