//! A kind of converter: its names, its settings and how one is made.

use bytes::Bytes;

use crate::config::Parsed;
use crate::config::def::ConfigDef;
use crate::data::{DataError, Typed};
use crate::plugin::{ConvertError, Converter, ConverterPlugin, HeaderConverter, HeaderConverterPlugin, Settings};
use crate::record::Header;

/// Makes a converter from its own settings, all settings, and whether it is for keys.
pub(super) type Create = fn(&Parsed, &Settings, bool) -> Result<Box<dyn Converter>, DataError>;

/// A converter of keys, values and headers.
pub(super) struct Plugin {
    pub(super) classes: &'static [&'static str],
    pub(super) def: ConfigDef,
    pub(super) create: Create,
}

impl ConverterPlugin for Plugin {
    fn classes(&self) -> &'static [&'static str] {
        self.classes
    }

    fn config_def(&self) -> &ConfigDef {
        &self.def
    }

    fn create(&self, settings: &Settings, is_key: bool) -> Result<Box<dyn Converter>, DataError> {
        (self.create)(&self.def.parse(settings)?, settings, is_key)
    }
}

impl HeaderConverterPlugin for Plugin {
    fn classes(&self) -> &'static [&'static str] {
        self.classes
    }

    fn config_def(&self) -> &ConfigDef {
        &self.def
    }

    fn create(&self, settings: &Settings) -> Result<Box<dyn HeaderConverter>, DataError> {
        Ok(Box::new(OfHeader(ConverterPlugin::create(self, settings, false)?)))
    }
}

/// A converter of values for headers.
struct OfHeader(Box<dyn Converter>);

impl HeaderConverter for OfHeader {
    fn from_connect(&self, topic: &str, header: &Header) -> Result<Option<Bytes>, ConvertError> {
        self.0.from_connect(topic, &mut Vec::new(), &header.value)
    }

    fn to_connect(&self, topic: &str, _key: &str, bytes: Option<&Bytes>) -> Result<Typed, ConvertError> {
        self.0.to_connect(topic, &[], bytes)
    }
}
