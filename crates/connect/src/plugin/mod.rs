//! What plugins are: connectors with their tasks, converters, transforms, predicates.
//!
//! A plugin is known by the class name that Java users have in their files, by its simple name, and by that without its
//! suffix; [`crate::plugin`] says what it must be able to do, the worker does the rest.

mod connector;
mod convert;
mod error;
mod registry;

pub use connector::{
    Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, ExactlyOnceSupport, SameTasks, Sink, SinkTask,
    SinkTaskContext, Source, SourceTask, SourceTaskContext, TransactionBoundary, TransactionContext,
};
pub use convert::{
    ConvertError, Converter, ConverterPlugin, HeaderConverter, HeaderConverterPlugin, Predicate, PredicatePlugin,
    Transform, TransformPlugin,
};
pub use error::TaskError;
pub use registry::{NamedTransform, PluginInfo, Plugins, UnknownConnector};

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

/// Settings as the user wrote them, placeholders of config providers resolved.
pub type Settings = BTreeMap<String, String>;

/// What a method of a plugin that waits returns.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
