//! `SimpleHeaderConverter`: headers as text, their types inferred when they are read.

use bytes::Bytes;

use crate::config::def::ConfigDef;
use crate::data::{DataError, Typed, literal};
use crate::plugin::{ConvertError, HeaderConverter, HeaderConverterPlugin, Settings};
use crate::record::Header;

#[derive(Default)]
pub(super) struct Plugin(ConfigDef);

impl HeaderConverterPlugin for Plugin {
    fn classes(&self) -> &'static [&'static str] {
        &["org.apache.kafka.connect.storage.SimpleHeaderConverter"]
    }

    fn config_def(&self) -> &ConfigDef {
        &self.0
    }

    fn create(&self, _settings: &Settings) -> Result<Box<dyn HeaderConverter>, DataError> {
        Ok(Box::new(SimpleHeaderConverter))
    }
}

struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn from_connect(&self, _topic: &str, header: &Header) -> Result<Option<Bytes>, ConvertError> {
        let value = &header.value.value;
        Ok((!value.is_null()).then(|| Bytes::from(literal::to_text(value))))
    }

    fn to_connect(&self, _topic: &str, _key: &str, bytes: Option<&Bytes>) -> Result<Typed, ConvertError> {
        Ok(bytes.map_or_else(Typed::null, |bytes| literal::parse(&String::from_utf8_lossy(bytes))))
    }
}
