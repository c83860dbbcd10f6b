//! Every plugin of this program, found by the names that users of the original write.
//!
//! A class is named in full, by its simple name, or by that without the suffix that says what it is:
//! `org.apache.kafka.connect.file.FileStreamSourceConnector`, `FileStreamSourceConnector`, `FileStreamSource`.

use std::sync::Arc;

use super::{ConnectorKind, ConnectorPlugin, ConverterPlugin, HeaderConverterPlugin, PredicatePlugin, TransformPlugin};
use crate::config::def::ConfigDef;
use crate::worker::Catalog;
use crate::{connectors, converters, predicates, transforms};

/// No connector goes by a name; the text lists those that there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Failed to find any class that implements Connector and which name matches {class}, available connectors are: {available}"
)]
pub struct UnknownConnector {
    /// What was asked for.
    pub class: String,
    available: String,
}

/// A row of `GET /connector-plugins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// Full class name.
    pub class: &'static str,
    /// `sink`, `source`, `transformation`, `predicate`, `converter` or `header_converter`.
    pub kind: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// A transform with the one of its classes that was meant.
pub struct NamedTransform {
    /// The plugin.
    pub plugin: Arc<dyn TransformPlugin>,
    /// One of its [`classes`](TransformPlugin::classes).
    pub class: &'static str,
}

/// See the module's words.
pub struct Plugins {
    connectors: Vec<Arc<dyn ConnectorPlugin>>,
    converters: Vec<Arc<dyn ConverterPlugin>>,
    header_converters: Vec<Arc<dyn HeaderConverterPlugin>>,
    transforms: Vec<Arc<dyn TransformPlugin>>,
    predicates: Vec<Arc<dyn PredicatePlugin>>,
}

/// The version that plugins without one of their own have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Plugins {
    /// Everything that is built in.
    pub fn built_in() -> Plugins {
        Plugins {
            connectors: [connectors::file::plugins(), connectors::jdbc::plugins()].concat(),
            converters: converters::plugins(),
            header_converters: converters::header_plugins(),
            transforms: transforms::plugins(),
            predicates: predicates::plugins(),
        }
    }

    /// The same with one more connector.
    #[must_use]
    pub fn with_connector(mut self, plugin: Arc<dyn ConnectorPlugin>) -> Plugins {
        self.connectors.push(plugin);
        self
    }

    /// The same with one more converter.
    #[must_use]
    pub fn with_converter(mut self, plugin: Arc<dyn ConverterPlugin>) -> Plugins {
        self.converters.push(plugin);
        self
    }

    /// The same with one more converter of headers.
    #[must_use]
    pub fn with_header_converter(mut self, plugin: Arc<dyn HeaderConverterPlugin>) -> Plugins {
        self.header_converters.push(plugin);
        self
    }

    /// The same with one more predicate.
    #[must_use]
    pub fn with_predicate(mut self, plugin: Arc<dyn PredicatePlugin>) -> Plugins {
        self.predicates.push(plugin);
        self
    }

    /// The same with one more transform.
    #[must_use]
    pub fn with_transform(mut self, plugin: Arc<dyn TransformPlugin>) -> Plugins {
        self.transforms.push(plugin);
        self
    }

    /// The connector that `name` means.
    ///
    /// # Errors
    /// [`UnknownConnector`]
    pub fn connector(&self, name: &str) -> Result<&Arc<dyn ConnectorPlugin>, UnknownConnector> {
        let found = self.connectors.iter().find(|plugin| class_of(plugin.classes(), "Connector", name).is_some());
        found.ok_or_else(|| UnknownConnector { class: name.to_owned(), available: self.available() })
    }

    /// The converter that `name` means.
    pub fn converter(&self, name: &str) -> Option<&Arc<dyn ConverterPlugin>> {
        self.converters.iter().find(|plugin| class_of(plugin.classes(), "Converter", name).is_some())
    }

    /// The header converter that `name` means.
    pub fn header_converter(&self, name: &str) -> Option<&Arc<dyn HeaderConverterPlugin>> {
        self.header_converters.iter().find(|plugin| class_of(plugin.classes(), "HeaderConverter", name).is_some())
    }

    /// The transform that `name` means.
    pub fn transform(&self, name: &str) -> Option<NamedTransform> {
        self.transforms.iter().find_map(|plugin| {
            let class = class_of(plugin.classes(), "Transformation", name)?;
            Some(NamedTransform { plugin: plugin.clone(), class })
        })
    }

    /// The predicate that `name` means.
    pub fn predicate(&self, name: &str) -> Option<&Arc<dyn PredicatePlugin>> {
        self.predicates.iter().find(|plugin| class_of(plugin.classes(), "Predicate", name).is_some())
    }

    /// Full names of the classes of a kind, sorted.
    pub fn classes(&self, kind: &str) -> Vec<&'static str> {
        self.list().into_iter().filter(|plugin| plugin.kind == kind).map(|plugin| plugin.class).collect()
    }

    /// Every class of every plugin: sinks, sources, transformations, predicates, converters, header converters, each
    /// sorted by name.
    pub fn list(&self) -> Vec<PluginInfo> {
        let mut all = Vec::new();
        for (kind, name) in [(ConnectorKind::Sink, "sink"), (ConnectorKind::Source, "source")] {
            let of_kind = self.connectors.iter().filter(|plugin| plugin.kind() == kind);
            let shown = of_kind.flat_map(|plugin| plugin.classes().iter().map(|class| (*class, plugin.version())));
            push_sorted(&mut all, name, shown.collect());
        }
        let plain = |classes: Vec<&'static [&'static str]>| -> Vec<(&'static str, &'static str)> {
            classes.into_iter().flatten().map(|class| (*class, VERSION)).collect()
        };
        push_sorted(&mut all, "transformation", plain(self.transforms.iter().map(|plugin| plugin.classes()).collect()));
        push_sorted(&mut all, "predicate", plain(self.predicates.iter().map(|plugin| plugin.classes()).collect()));
        push_sorted(&mut all, "converter", plain(self.converters.iter().map(|plugin| plugin.classes()).collect()));
        let headers = plain(self.header_converters.iter().map(|plugin| plugin.classes()).collect());
        push_sorted(&mut all, "header_converter", headers);
        all
    }

    /// The settings of any plugin but a connector, for `GET /connector-plugins/{plugin}/config`.
    pub fn config_def(&self, name: &str) -> Option<&ConfigDef> {
        if let Some(plugin) = self.converter(name) {
            return Some(plugin.config_def());
        }
        if let Some(plugin) = self.header_converter(name) {
            return Some(plugin.config_def());
        }
        if let Some(plugin) =
            self.transforms.iter().find(|plugin| class_of(plugin.classes(), "Transformation", name).is_some())
        {
            return Some(plugin.config_def());
        }
        self.predicate(name).map(|plugin| plugin.config_def())
    }

    fn available(&self) -> String {
        let mut names: Vec<String> = self.connectors.iter().flat_map(|plugin| described(plugin.as_ref())).collect();
        names.sort();
        names.join(", ")
    }
}

impl Catalog for Plugins {
    fn connector(&self, class: &str) -> Option<Arc<dyn ConnectorPlugin>> {
        Plugins::connector(self, class).ok().cloned()
    }

    fn converter(&self, class: &str) -> Option<Arc<dyn ConverterPlugin>> {
        Plugins::converter(self, class).cloned()
    }

    fn header_converter(&self, class: &str) -> Option<Arc<dyn HeaderConverterPlugin>> {
        Plugins::header_converter(self, class).cloned()
    }

    fn transform(&self, class: &str) -> Option<Arc<dyn TransformPlugin>> {
        Plugins::transform(self, class).map(|found| found.plugin)
    }

    fn predicate(&self, class: &str) -> Option<Arc<dyn PredicatePlugin>> {
        Plugins::predicate(self, class).cloned()
    }
}

/// How a connector is told to somebody who has misspelt one.
fn described(plugin: &dyn ConnectorPlugin) -> Vec<String> {
    let kind = if plugin.kind() == ConnectorKind::Source { "source" } else { "sink" };
    let version = plugin.version();
    let one = |class: &&str| {
        format!(
            "PluginDesc{{klass=class {class}, name='{class}', version='{version}', encodedVersion={version}, type={kind}, typeName='{kind}', location='built-in'}}"
        )
    };
    plugin.classes().iter().map(one).collect()
}

fn push_sorted(all: &mut Vec<PluginInfo>, kind: &'static str, mut classes: Vec<(&'static str, &'static str)>) {
    classes.sort_unstable();
    all.extend(classes.into_iter().map(|(class, version)| PluginInfo { class, kind, version }));
}

/// The class among `classes` that `name` means: in full, its simple name, or that without `suffix`.
fn class_of(classes: &'static [&'static str], suffix: &str, name: &str) -> Option<&'static str> {
    classes.iter().copied().find(|class| {
        let simple = class.rsplit('.').next().unwrap_or(class);
        let pruned = simple.strip_suffix(suffix).filter(|pruned| !pruned.is_empty());
        *class == name || simple == name || pruned == Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &[&str] = &["a.b.FileStreamSourceConnector", "a.b.HoistField$Value"];

    #[test]
    fn a_class_goes_by_three_names() {
        for name in ["a.b.FileStreamSourceConnector", "FileStreamSourceConnector", "FileStreamSource"] {
            assert_eq!(class_of(CLASSES, "Connector", name), Some(CLASSES[0]), "{name}");
        }
        assert_eq!(class_of(CLASSES, "Transformation", "HoistField$Value"), Some(CLASSES[1]));
        for name in ["FileStream", "b.FileStreamSourceConnector", "", "filestreamsource"] {
            assert_eq!(class_of(CLASSES, "Connector", name), None, "{name}");
        }
    }
}
