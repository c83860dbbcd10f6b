//! Where the broker listens and how connections are treated.

use super::super::ConfigType::{Int, List, Long, String};
use super::super::Validator::NonEmptyList;
use super::super::{ConfigDef, def, unset};

pub(super) const LISTENERS: &[ConfigDef] = &[
    def("listeners", List, "PLAINTEXT://127.0.0.1:9092").check(NonEmptyList).per_broker().high(),
    unset("advertised.listeners", List).per_broker().high(),
    def("listener.security.protocol.map", String, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT").per_broker().low(),
    def("socket.send.buffer.bytes", Int, "102400").low(),
    def("socket.receive.buffer.bytes", Int, "102400").low(),
    def("socket.request.max.bytes", Int, "104857600").at_least(1).low(),
    def("socket.listen.backlog.size", Int, "50").at_least(1).low(),
    def("max.connections.per.ip", Int, "2147483647").at_least(0).dynamic().low(),
    def("max.connections.per.ip.overrides", String, "").dynamic().low(),
    def("max.connections", Int, "2147483647").at_least(0).dynamic().low(),
    def("max.connection.creation.rate", Int, "2147483647").at_least(0).dynamic().low(),
    def("connections.max.idle.ms", Long, "600000").low(),
    def("connection.failed.authentication.delay.ms", Int, "100").at_least(0).low(),
    def("queued.max.requests", Int, "500").at_least(1).low(),
    def("queued.max.request.bytes", Long, "-1").low(),
    def("num.network.threads", Int, "3").at_least(1).dynamic().low(),
];
