//! A kind of transform: its names, its settings and how one is made.

use crate::config::Parsed;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, Typed};
use crate::plugin::{Settings, Transform, TransformPlugin};
use crate::record::Record;

/// What a transform works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Key,
    Value,
    /// Only of some of Confluent's.
    Header,
}

/// Makes a transform of one side from its settings.
pub(super) type Create = fn(&Parsed, Side) -> Result<Box<dyn Transform>, DataError>;

/// A kind of transform.
pub(super) struct Plugin {
    pub(super) classes: &'static [&'static str],
    pub(super) def: ConfigDef,
    pub(super) create: Create,
}

impl TransformPlugin for Plugin {
    fn classes(&self) -> &'static [&'static str] {
        self.classes
    }

    fn config_def(&self) -> &ConfigDef {
        &self.def
    }

    fn create(&self, class: &str, settings: &Settings) -> Result<Box<dyn Transform>, DataError> {
        let side = match class.rsplit('$').next() {
            Some("Key") => Side::Key,
            Some("Header") => Side::Header,
            _ => Side::Value,
        };
        (self.create)(&self.def.parse(settings)?, side)
    }
}

/// The setting that most transforms have.
pub(super) fn replace_null_with_default() -> ConfigKey {
    ConfigKey::with_default(
        REPLACE_NULL,
        ConfigType::Boolean,
        "true",
        Importance::Medium,
        "Whether a field that is null and has a default becomes its default.",
    )
}

/// Name of [`replace_null_with_default`].
pub(super) const REPLACE_NULL: &str = "replace.null.with.default";

/// A change of the key or of the value.
pub(super) trait Change: Send {
    /// The changed key or value; `record` has the rest.
    fn change(&mut self, typed: Typed, record: &mut Record) -> Result<Typed, DataError>;
}

/// Applies a change to its side of each record.
pub(super) fn on_side(side: Side, change: impl Change + 'static) -> Result<Box<dyn Transform>, DataError> {
    Ok(Box::new(OnSide { side, change }))
}

struct OnSide<C> {
    side: Side,
    change: C,
}

impl<C: Change> Transform for OnSide<C> {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        let typed = std::mem::replace(side_of(&mut record, self.side), Typed::null());
        let typed = self.change.change(typed, &mut record)?;
        *side_of(&mut record, self.side) = typed;
        Ok(Some(record))
    }
}

fn side_of(record: &mut Record, side: Side) -> &mut Typed {
    match side {
        Side::Key => &mut record.key,
        _ => &mut record.value,
    }
}
