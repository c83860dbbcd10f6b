//! Choosing the levels of features (UpdateFeatures, KIP-584): Kafka's rules and Kafka's words.

use std::sync::Arc;

use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::feature::{Feature, METADATA_VERSION};
use crate::image::ClusterImage;
use crate::store::Transaction;

/// A level asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// The level; 0 turns the feature off.
    pub level: i16,
    /// Which direction is meant.
    pub direction: FeatureDirection,
}

/// Which changes of a level the caller accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureDirection {
    /// Up only.
    Upgrade,
    /// Down, when no metadata is lost.
    SafeDowngrade,
    /// Down in any case.
    UnsafeDowngrade,
}

impl FeatureDirection {
    /// The direction with this number in UpdateFeatures.
    pub const fn from_wire(number: i8) -> Option<FeatureDirection> {
        match number {
            1 => Some(FeatureDirection::Upgrade),
            2 => Some(FeatureDirection::SafeDowngrade),
            3 => Some(FeatureDirection::UnsafeDowngrade),
            _ => None,
        }
    }
}

impl Controller {
    /// Chooses levels, all or none; with `validate_only` nothing happens but the checks. The answers are in the order
    /// asked; when one is a refusal, nothing was changed.
    pub async fn update_features(
        self: &Arc<Self>,
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.update_features_now(&updates, validate_only)).await
    }

    pub(super) fn update_features_now(
        &self,
        updates: &[FeatureUpdate],
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let answers: Vec<_> = updates.iter().map(|update| check(&image, update)).collect();
        if validate_only || answers.iter().any(Result::is_err) {
            return answers;
        }
        let mut transaction = Transaction::new();
        for update in updates {
            transaction = transaction.put(records::feature_key(&update.name), records::encode(&update.level));
            image.chosen_features.insert(update.name.clone(), update.level);
        }
        let applied = self.apply_if_any(&mut changing, transaction, image, MetadataChange::FeaturesChanged);
        answers.into_iter().map(|answer| answer.and(applied.clone())).collect()
    }
}

fn check(image: &ClusterImage, update: &FeatureUpdate) -> Result<(), ControllerError> {
    let FeatureUpdate { name, level, direction } = update;
    let refuse = |reason: String| {
        let text = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(ControllerError::InvalidUpdateVersion(text))
    };
    let Some(feature) = Feature::named(name) else {
        return refuse(format!("Local controller {} does not support this feature.", image.node_id));
    };
    if !(feature.min..=feature.max).contains(level) {
        let (node, min, max) = (image.node_id, feature.min, feature.max);
        return refuse(format!("Local controller {node} only supports versions {min}-{max}"));
    }
    let current = image.feature_level(name);
    if *level >= current {
        return match *direction {
            FeatureDirection::Upgrade => Ok(()),
            _ if *level == current => Ok(()),
            _ => refuse("Can't downgrade to a newer version.".to_owned()),
        };
    }
    if *direction == FeatureDirection::Upgrade {
        let reason = "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                      unsafe downgrade.";
        return refuse(reason.to_owned());
    }
    if name == METADATA_VERSION {
        // Metadata is not kept in Kafka's records; a lower level would promise a format that is not there.
        let why = match direction {
            FeatureDirection::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
            _ => "Refusing to perform the requested downgrade because it might delete metadata information.",
        };
        return Err(ControllerError::InvalidUpdateVersion(format!(
            "Unsupported metadata.version downgrade from {current} to {level}. {why}"
        )));
    }
    Ok(())
}
