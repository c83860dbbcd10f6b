//! Configuration of subscriptions to client metrics (KIP-714).

use std::sync::LazyLock;

use super::ConfigTable;
use super::ConfigType::{Int, List};
use super::{ConfigDef, def};

/// Every key that a subscription may set.
pub static CLIENT_METRICS_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| ConfigTable::new(&[CLIENT_METRICS]));

const CLIENT_METRICS: &[ConfigDef] = &[
    def("interval.ms", Int, "300000")
        .dynamic()
        .doc("Milliseconds between two pushes of a client, from 100 to 3600000."),
    def("match", List, "").dynamic().doc(
        "Which clients push: selector=regular expression, separated by commas; all must match. Empty: every client.",
    ),
    def("metrics", List, "")
        .dynamic()
        .doc("Prefixes of the names of the metrics wanted, separated by commas; * is every metric."),
];
