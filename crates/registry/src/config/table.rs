//! Every property of the registry: the rows check values and render `docs/configuration-schema-registry.md`.

use std::sync::LazyLock;

use milena_http::config::security;
use milena_stdx::config_def::ConfigType::{Boolean, Int, List, String};
use milena_stdx::config_def::Validator::{OneOf, OneOfIgnoringCase};
use milena_stdx::config_def::{ConfigDef, ConfigTable, def, unset};

const LEVELS: &[&str] =
    &["none", "backward", "forward", "full", "backward_transitive", "forward_transitive", "full_transitive"];

/// Every property.
pub static REGISTRY_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| {
    ConfigTable::new(&[
        LISTENING,
        STORAGE,
        BEHAVIOUR,
        SECURITY,
        LIMITS,
        INSTANCES,
        security::AUTHENTICATION,
        security::TLS,
    ])
});

const LISTENING: &[ConfigDef] = &[
    def("listeners", List, "http://127.0.0.1:8081")
        .high()
        .doc("Where the API listens, separated by commas; `https://` needs `ssl.keystore.location`. Empty: nowhere."),
    unset("host.name", String)
        .high()
        .doc("The name under which other instances reach this one. Without it: the host of the listener, or that of the machine."),
    def("access.control.allow.origin", List, "").doc("Origins of web pages that may use the API; `*` is every one."),
    def("access.control.allow.methods", List, "GET,POST,PUT,DELETE,OPTIONS,HEAD")
        .doc("Methods that pages of other origins may use."),
    def("access.control.allow.headers", List, "X-Requested-With,Content-Type,Accept,Origin,Authorization,X-Request-ID")
        .low()
        .doc("Headers that pages of other origins may send."),
    def("schema.registry.metadata.deployment.attributes", List, "")
        .low()
        .doc("What `/v1/metadata/deployment` tells."),
    def("debug", Boolean, "false").low().doc("More lines in the log."),
];

const STORAGE: &[ConfigDef] = &[
    unset("kafkastore.bootstrap.servers", List)
        .high()
        .doc("The Kafka cluster that keeps the schemas. In `milena server`: the broker of the same process."),
    def("kafkastore.topic", String, "_schemas").high().doc("The topic of the schemas."),
    def("kafkastore.topic.replication.factor", Int, "3")
        .at_least(1)
        .doc("Replicas of the topic when it is made; fewer when there are fewer brokers."),
    def("kafkastore.timeout.ms", Int, "10000")
        .at_least(1)
        .doc("Milliseconds that a write may take until it is acknowledged, and again until it is read back."),
    def("kafkastore.init.timeout.ms", Int, "60000")
        .at_least(1)
        .doc("Milliseconds that reading the topic may take at the start."),
    def("kafkastore.security.protocol", String, "PLAINTEXT")
        .check(OneOfIgnoringCase(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        .doc("How to speak to the cluster. `kafkastore.ssl.*` and `kafkastore.sasl.*` are passed on to the client."),
    def("kafkastore.update.handlers", List, "").low().doc("Accepted; there are no plug-ins."),
    unset("kafkastore.group.id", String).low().doc("Accepted; the reader of the topic needs no group."),
    def("kafkastore.write.max.retries", Int, "5")
        .low()
        .doc("Accepted; writes are retried until `kafkastore.timeout.ms`."),
];

const BEHAVIOUR: &[ConfigDef] = &[
    def("schema.compatibility.level", String, "backward")
        .check(OneOfIgnoringCase(LEVELS))
        .high()
        .doc("Compatibility where nothing is configured through the API."),
    unset("avro.compatibility.level", String).check(OneOfIgnoringCase(LEVELS)).low().doc("Older name of `schema.compatibility.level`."),
    def("mode.mutability", Boolean, "true").doc("Whether modes can be changed through the API."),
    def("schema.validate.new.schemas", Boolean, "true").doc("Whether names and default values of new schemas are checked."),
    def("schema.providers.json.fetch.remote.schemas", Boolean, "false")
        .low()
        .doc("Remote `$ref` are never fetched: a server that calls out on request can be abused. `true` is told as without effect."),
    def("schema.canonicalize.on.consume", List, "").low().doc("Accepted; stored texts are answered as they are."),
    def("milena.incompatible.schema.error.code", Int, "40901")
        .check(OneOf(&["40901", "409"]))
        .low()
        .doc("`error_code` of a refused incompatible schema: 40901 as since 8.2, or 409 as before. The status is 409 in both cases."),
];

const SECURITY: &[ConfigDef] = &[
    def("authentication.realm", String, "SchemaRegistry")
        .doc("The realm of the challenge, and the section of a JAAS file that `-Djava.security.auth.login.config` in `SCHEMA_REGISTRY_OPTS` names."),
    unset("ssl.endpoint.identification.algorithm", String).low().doc("Empty: names in certificates of other instances are not checked."),
];

const LIMITS: &[ConfigDef] = &[
    def("schema.search.default.limit", Int, "1000").at_least(1).low().doc("Length of `/schemas` without `limit`."),
    def("schema.search.max.limit", Int, "1000").at_least(1).low().doc("Longest `/schemas`."),
    def("subject.search.default.limit", Int, "20000").at_least(1).low().doc("Length of `/subjects` without `limit`."),
    def("subject.search.max.limit", Int, "20000").at_least(1).low().doc("Longest `/subjects`."),
    def("subject.version.search.default.limit", Int, "1000")
        .at_least(1)
        .low()
        .doc("Length of lists of versions without `limit`."),
    def("subject.version.search.max.limit", Int, "1000").at_least(1).low().doc("Longest list of versions."),
    def("context.search.default.limit", Int, "1000").at_least(1).low().doc("Length of `/contexts` without `limit`."),
    def("context.search.max.limit", Int, "1000").at_least(1).low().doc("Longest `/contexts`."),
];

const INSTANCES: &[ConfigDef] = &[
    def("schema.registry.group.id", String, "schema-registry")
        .doc("The Kafka group in which instances elect the one that writes."),
    def("leader.eligibility", Boolean, "true").doc("Whether this instance may lead."),
    unset("master.eligibility", Boolean).low().doc("Older name of `leader.eligibility`."),
    def("leader.election.sticky", Boolean, "true").low().doc("Whether a leader stays when another instance comes."),
    def("inter.instance.protocol", String, "http")
        .check(OneOf(&["http", "https"]))
        .doc("Which listener other instances use."),
    def("inter.instance.headers.whitelist", List, "").low().doc("Further headers that a forwarded request keeps."),
];
