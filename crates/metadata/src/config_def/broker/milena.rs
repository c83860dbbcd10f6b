//! Keys that Kafka does not have.

use super::super::ConfigType::{Boolean, Long, String};
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
    def("milena.log.format", String, "text")
        .check(OneOfIgnoringCase(&["text", "json"]))
        .doc("Whether log lines are text for people or JSON objects for programs."),
    def("milena.log.slow.request.ms", Long, "1000")
        .at_least(-1)
        .doc("Milliseconds from which a request is logged as slow; -1 for never. Waits that the client asked for do not count."),
    def("milena.console.listener", String, "127.0.0.1:8080")
        .high()
        .doc("Host and port of the role console: /metrics and /health over HTTP. An empty value switches it off."),
];
