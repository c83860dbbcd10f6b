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
    let refuse = |reason: &str| {
        Err(ControllerError::InvalidUpdateVersion(format!(
            "Invalid update version {level} for feature {name}. {reason}"
        )))
    };
    let Some(feature) = Feature::named(name) else {
        return refuse("Controller does not support this feature.");
    };
    if *level < 0 {
        return refuse("A feature version cannot be less than 0.");
    }
    if !(feature.min..=feature.max).contains(level) {
        return refuse(&format!(
            "Local controller {} only supports versions {}-{}",
            image.node_id, feature.min, feature.max
        ));
    }
    let current = image.feature_level(name);
    if *level < current && *direction == FeatureDirection::Upgrade {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.",
        );
    }
    if *level > current && *direction != FeatureDirection::Upgrade {
        return refuse("Can't downgrade to a newer version.");
    }
    if *level < current && name == METADATA_VERSION && *direction == FeatureDirection::UnsafeDowngrade {
        return refuse("Unsafe metadata downgrade is not supported in this version.");
    }
    Ok(())
}
