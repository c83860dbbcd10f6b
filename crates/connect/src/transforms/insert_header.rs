//! `InsertHeader`: a fixed header, its type inferred from the text.

use super::plugin::Plugin;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, literal};
use crate::plugin::Transform;
use crate::record::{Header, Record};

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.InsertHeader"],
        def: ConfigDef::new(vec![
            ConfigKey::required("header", ConfigType::String, Importance::High, "Name of the header."),
            ConfigKey::required(
                "value.literal",
                ConfigType::String,
                Importance::High,
                "Value of the header; its type is inferred as by SimpleHeaderConverter.",
            ),
        ]),
        create: |parsed, _| {
            let value = literal::parse(parsed.get_text("value.literal"));
            Ok(Box::new(InsertHeader(Header { key: parsed.get_text("header").to_owned(), value })))
        },
    }
}

struct InsertHeader(Header);

impl Transform for InsertHeader {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        record.headers.push(self.0.clone());
        Ok(Some(record))
    }
}
