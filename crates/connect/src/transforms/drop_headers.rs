//! `DropHeaders`: without the headers of some names.

use super::plugin::Plugin;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::DataError;
use crate::plugin::Transform;
use crate::record::Record;

pub(super) fn plugin() -> Plugin {
    let headers = ConfigKey::required("headers", ConfigType::List, Importance::High, "Names of the headers to remove.");
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.DropHeaders"],
        def: ConfigDef::new(vec![headers.checked(Rule::SomeElements)]),
        create: |parsed, _| Ok(Box::new(DropHeaders(parsed.get_list("headers").to_vec()))),
    }
}

struct DropHeaders(Vec<String>);

impl Transform for DropHeaders {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        record.headers.retain(|header| !self.0.contains(&header.key));
        Ok(Some(record))
    }
}
