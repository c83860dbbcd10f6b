//! Keys that Kafka does not have.

use super::super::ConfigType::{Boolean, String};
use super::super::Validator::OneOfIgnoringCase;
use super::super::{ConfigDef, def, unset};

pub(super) const MILENA: &[ConfigDef] = &[
    unset("milena.data.dir", String).high().doc(
        "Directory of everything that is kept, unless log.dirs or log.dir say otherwise; ./milena-data by default.",
    ),
    def("milena.acks.all.fsync", Boolean, "true").high().doc(
        "Whether an acks=all produce is answered only after the group fsync; false gives Kafka's page-cache promise.",
    ),
    def("milena.bind.host", String, "127.0.0.1")
        .high()
        .doc("Host to listen on when listeners is not set; 0.0.0.0 in containers."),
    def("milena.log.level", String, "info")
        .check(OneOfIgnoringCase(&["error", "warn", "info", "debug", "trace", "off"]))
        .doc("How much the server writes to standard error; the variable RUST_LOG says it more finely."),
];
