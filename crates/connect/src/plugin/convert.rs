//! Converters, transforms and predicates.

use bytes::Bytes;

use super::Settings;
use crate::config::def::ConfigDef;
use crate::data::{DataError, Typed};
use crate::record::{Header, Record};

/// Bytes of a topic to values and back. Called on a worker's blocking-friendly thread: it may ask a registry.
#[expect(clippy::wrong_self_convention, reason = "named as in Kafka Connect's API")]
pub trait Converter: Send + Sync {
    /// A value as bytes; `None`: null. `headers` may be added to (a schema's id).
    ///
    /// # Errors
    /// A value that this format cannot hold.
    fn from_connect(
        &self,
        topic: &str,
        headers: &mut Vec<(String, Option<Bytes>)>,
        value: &Typed,
    ) -> Result<Option<Bytes>, ConvertError>;

    /// Bytes as a value.
    ///
    /// # Errors
    /// Bytes that are not of this format.
    fn to_connect(
        &self,
        topic: &str,
        headers: &[(String, Option<Bytes>)],
        bytes: Option<&Bytes>,
    ) -> Result<Typed, ConvertError>;
}

/// Values of headers.
#[expect(clippy::wrong_self_convention, reason = "named as in Kafka Connect's API")]
pub trait HeaderConverter: Send + Sync {
    /// A header as bytes.
    ///
    /// # Errors
    /// A value that this format cannot hold.
    fn from_connect(&self, topic: &str, header: &Header) -> Result<Option<Bytes>, ConvertError>;

    /// Bytes as a header's value.
    ///
    /// # Errors
    /// Bytes that are not of this format.
    fn to_connect(&self, topic: &str, key: &str, bytes: Option<&Bytes>) -> Result<Typed, ConvertError>;
}

/// Why a value was not converted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConvertError {
    /// It never will be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A registry did not answer: another try may help.
    #[error("{0}")]
    Retriable(String),
}

/// Makes converters from settings.
pub trait ConverterPlugin: Send + Sync {
    /// Class names, the one that is shown first.
    fn classes(&self) -> &'static [&'static str];
    /// Settings that it knows, without the prefix `key.converter.` or `value.converter.`.
    fn config_def(&self) -> &ConfigDef;
    /// A converter.
    ///
    /// # Errors
    /// A setting that is wrong.
    fn create(&self, settings: &Settings, is_key: bool) -> Result<Box<dyn Converter>, DataError>;
}

/// Makes header converters from settings.
pub trait HeaderConverterPlugin: Send + Sync {
    /// Class names, the one that is shown first.
    fn classes(&self) -> &'static [&'static str];
    /// Settings that it knows, without the prefix.
    fn config_def(&self) -> &ConfigDef;
    /// A converter.
    ///
    /// # Errors
    /// A setting that is wrong.
    fn create(&self, settings: &Settings) -> Result<Box<dyn HeaderConverter>, DataError>;
}

/// Changes records, one at a time.
pub trait Transform: Send {
    /// The record that goes on; `None` drops it.
    ///
    /// # Errors
    /// A record that it cannot work on.
    fn apply(&mut self, record: Record) -> Result<Option<Record>, DataError>;
}

/// Makes transforms from settings.
pub trait TransformPlugin: Send + Sync {
    /// Class names, with `$Key` and `$Value` where there are both; the one that is shown first.
    fn classes(&self) -> &'static [&'static str];
    /// Settings that it knows, without the prefix `transforms.<alias>.`.
    fn config_def(&self) -> &ConfigDef;
    /// A transform; `class` is the one of [`classes`](Self::classes) that the user has written.
    ///
    /// # Errors
    /// A setting that is wrong.
    fn create(&self, class: &str, settings: &Settings) -> Result<Box<dyn Transform>, DataError>;
}

/// Decides whether a transform applies.
pub trait Predicate: Send + Sync {
    /// Whether it does.
    fn test(&self, record: &Record) -> bool;
}

/// Makes predicates from settings.
pub trait PredicatePlugin: Send + Sync {
    /// Class names, the one that is shown first.
    fn classes(&self) -> &'static [&'static str];
    /// Settings that it knows, without the prefix `predicates.<alias>.`.
    fn config_def(&self) -> &ConfigDef;
    /// A predicate.
    ///
    /// # Errors
    /// A setting that is wrong.
    fn create(&self, settings: &Settings) -> Result<Box<dyn Predicate>, DataError>;
}
