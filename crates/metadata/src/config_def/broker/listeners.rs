//! Where the broker listens and how connections are treated.

use super::super::ConfigType::{Int, List, Long, String};
use super::super::Validator::NonEmptyList;
use super::super::{ConfigDef, def, unset};

pub(super) const LISTENERS: &[ConfigDef] = &[
    def("listeners", List, "PLAINTEXT://127.0.0.1:9092")
        .check(NonEmptyList)
        .per_broker()
        .high()
        .doc("Where to listen: NAME://host:port, separated by commas; an empty host means every interface."),
    unset("advertised.listeners", List)
        .high()
        .doc("What clients are told to connect to, by listener name; the listeners themselves when not set."),
    def(
        "listener.security.protocol.map",
        String,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
    )
    .per_broker()
    .doc("Which protocol is spoken on a listener of which name: NAME:PROTOCOL, separated by commas."),
    // Kafka's default is 102400, which switches the tuning of the system off and costs a wake-up every 200 KB.
    def("socket.send.buffer.bytes", Int, "-1")
        .low()
        .doc("Size of a socket's send buffer in bytes; -1 leaves it to the operating system."),
    def("socket.receive.buffer.bytes", Int, "-1")
        .low()
        .doc("Size of a socket's receive buffer in bytes; -1 leaves it to the operating system."),
    def("socket.request.max.bytes", Int, "104857600")
        .at_least(1)
        .doc("Largest request in bytes; a larger one closes its connection."),
    def("socket.listen.backlog.size", Int, "50").at_least(1).low().doc("Connections that may wait to be accepted."),
    def("max.connections.per.ip", Int, "2147483647").at_least(0).dynamic().doc("Most connections from one address."),
    def("max.connections.per.ip.overrides", String, "")
        .dynamic()
        .low()
        .doc("Other limits for single addresses: host:number, separated by commas."),
    def("max.connections", Int, "2147483647").at_least(0).dynamic().doc("Most connections of all clients together."),
    def("max.connection.creation.rate", Int, "2147483647")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Most new connections a second."),
    def("connections.max.idle.ms", Long, "600000")
        .doc("Milliseconds without traffic after which a connection is closed; -1 for never."),
    def("connection.failed.authentication.delay.ms", Int, "100")
        .at_least(0)
        .low()
        .doc("Milliseconds that the answer to a failed authentication is held back."),
    def("queued.max.requests", Int, "500")
        .at_least(1)
        .low()
        .doc("Requests that may wait for a thread; requests are served on their connection here."),
    def("queued.max.request.bytes", Long, "-1")
        .low()
        .doc("Memory for requests that are being received, in bytes; -1 for the built-in limit."),
    def("num.network.threads", Int, "3")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Threads for the network in Kafka; the number of cores decides here."),
];
