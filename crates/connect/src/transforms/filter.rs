//! `Filter`: drops every record, so it is used with a predicate.

use super::plugin::Plugin;
use crate::config::def::ConfigDef;
use crate::data::DataError;
use crate::plugin::Transform;
use crate::record::Record;

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.Filter"],
        def: ConfigDef::default(),
        create: |_, _| Ok(Box::new(Filter)),
    }
}

struct Filter;

impl Transform for Filter {
    fn apply(&mut self, _record: Record) -> Result<Option<Record>, DataError> {
        Ok(None)
    }
}
