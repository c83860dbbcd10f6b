//! What a record goes through between a topic and a task: converters, transforms, predicates.

use std::sync::Arc;

use super::Catalog;
use super::settings::{boolean, list, with_prefix};
use crate::data::DataError;
use crate::plugin::{Converter, HeaderConverter, Predicate, Settings, TaskError, Transform};
use crate::record::Record;

/// What stands in for `header.converter`.
const HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// A plugin with the class name that is shown when it fails.
pub(super) struct Named<T: ?Sized> {
    pub class: String,
    pub plugin: Box<T>,
}

/// Converters of one task.
pub(super) struct Converters {
    pub key: Named<dyn Converter>,
    pub value: Named<dyn Converter>,
    pub header: Named<dyn HeaderConverter>,
}

impl Converters {
    /// Those of the connector; one that it does not name is the worker's, with the worker's settings.
    ///
    /// # Errors
    /// A class that is not there, a setting that it refuses.
    pub fn new(catalog: &dyn Catalog, connector: &Settings, worker: &Settings) -> Result<Converters, TaskError> {
        Ok(Converters {
            key: converter(catalog, connector, worker, "key.converter")?,
            value: converter(catalog, connector, worker, "value.converter")?,
            header: header_converter(catalog, connector, worker)?,
        })
    }
}

fn converter(
    catalog: &dyn Catalog,
    connector: &Settings,
    worker: &Settings,
    key: &'static str,
) -> Result<Named<dyn Converter>, TaskError> {
    let (class, settings) = unit(connector, worker, key).ok_or_else(|| {
        TaskError::fatal(format!("Missing required configuration \"{key}\" which has no default value."))
    })?;
    let plugin = catalog.converter(class).ok_or_else(|| missing(key, class))?;
    let made = plugin.create(&settings, key == "key.converter").map_err(|error| refused(key, &error))?;
    Ok(Named { class: shown(plugin.classes(), class), plugin: made })
}

fn header_converter(
    catalog: &dyn Catalog,
    connector: &Settings,
    worker: &Settings,
) -> Result<Named<dyn HeaderConverter>, TaskError> {
    let key = "header.converter";
    let (class, settings) = unit(connector, worker, key).unwrap_or((HEADER_CONVERTER, Settings::new()));
    let plugin = catalog.header_converter(class).ok_or_else(|| missing(key, class))?;
    let made = plugin.create(&settings).map_err(|error| refused(key, &error))?;
    Ok(Named { class: shown(plugin.classes(), class), plugin: made })
}

/// A class with its settings, the connector's before the worker's, never of both.
fn unit<'a>(connector: &'a Settings, worker: &'a Settings, key: &str) -> Option<(&'a str, Settings)> {
    let owner =
        [connector, worker].into_iter().find(|settings| settings.get(key).is_some_and(|class| !class.is_empty()))?;
    let class = owner.get(key)?;
    Some((class, under(owner, &format!("{key}."))))
}

/// Settings with a prefix, without it.
fn under(settings: &Settings, prefix: &str) -> Settings {
    with_prefix(settings, prefix).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A transform with the predicate that decides about it.
pub(super) struct Step {
    pub transform: Named<dyn Transform>,
    predicate: Option<(Arc<dyn Predicate>, bool)>,
}

impl Step {
    /// The record after this step; `None` when it was dropped.
    ///
    /// # Errors
    /// What the transform says.
    pub fn apply(&mut self, record: Record) -> Result<Option<Record>, DataError> {
        match &self.predicate {
            Some((predicate, negate)) if predicate.test(&record) == *negate => Ok(Some(record)),
            _ => self.transform.plugin.apply(record),
        }
    }
}

/// The steps of `transforms`, in order.
///
/// # Errors
/// A class that is not there, a setting that it refuses.
pub(super) fn steps(catalog: &dyn Catalog, settings: &Settings) -> Result<Vec<Step>, TaskError> {
    list(settings, "transforms").map(|alias| step(catalog, settings, alias)).collect()
}

fn step(catalog: &dyn Catalog, settings: &Settings, alias: &str) -> Result<Step, TaskError> {
    let prefix = format!("transforms.{alias}.");
    let mut own = under(settings, &prefix);
    let key = format!("{prefix}type");
    let class =
        own.remove("type").ok_or_else(|| TaskError::fatal(format!("Not a Transformation: {key} is not set")))?;
    let name = own.remove("predicate").filter(|name| !name.is_empty());
    let negate = boolean(&own, "negate", false)?;
    own.remove("negate");
    let plugin = catalog.transform(&class).ok_or_else(|| missing(&key, &class))?;
    let made = plugin.create(&class, &own).map_err(|error| refused(&key, &error))?;
    let predicate = match name {
        Some(name) => Some((predicate(catalog, settings, &name)?, negate)),
        None => None,
    };
    Ok(Step { transform: Named { class, plugin: made }, predicate })
}

fn predicate(catalog: &dyn Catalog, settings: &Settings, name: &str) -> Result<Arc<dyn Predicate>, TaskError> {
    let prefix = format!("predicates.{name}.");
    let mut own = under(settings, &prefix);
    let key = format!("{prefix}type");
    let class = own.remove("type").ok_or_else(|| TaskError::fatal(format!("Not a Predicate: {key} is not set")))?;
    let plugin = catalog.predicate(&class).ok_or_else(|| missing(&key, &class))?;
    Ok(plugin.create(&own).map_err(|error| refused(&key, &error))?.into())
}

fn shown(classes: &[&str], written: &str) -> String {
    classes.first().map_or_else(|| written.to_owned(), |class| (*class).to_owned())
}

fn missing(key: &str, class: &str) -> TaskError {
    TaskError::fatal(format!("Invalid value {class} for configuration {key}: Class {class} could not be found."))
}

fn refused(key: &str, error: &DataError) -> TaskError {
    TaskError::fatal(format!("{key}: {error}"))
}
