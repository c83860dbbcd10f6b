//! Every property of a worker: the rows check values and render `docs/configuration-connect.md`.

use std::sync::LazyLock;

use milena_stdx::config_def::ConfigType::{Boolean, Class, Int, List, Long, Password, Short, String};
use milena_stdx::config_def::Validator::{NonEmptyList, OneOf, OneOfIgnoringCase};
use milena_stdx::config_def::{ConfigDef, ConfigTable, def, unset};

/// Every property.
pub static WORKER_CONFIGS: LazyLock<ConfigTable> =
    LazyLock::new(|| ConfigTable::new(&[COMMON, STANDALONE, DISTRIBUTED, REST, SECURITY, ACCEPTED]));

const COMMON: &[ConfigDef] = &[
    def("bootstrap.servers", List, "localhost:9092")
        .high()
        .check(NonEmptyList)
        .doc("The Kafka cluster. In `milena server`: the broker of the same process."),
    unset("key.converter", Class)
        .high()
        .doc("Format of keys for connectors that choose none; `key.converter.*` are its settings. In `milena server`: JsonConverter."),
    unset("value.converter", Class).high().doc("The same for values."),
    def("header.converter", Class, "org.apache.kafka.connect.storage.SimpleHeaderConverter")
        .low()
        .doc("The same for headers."),
    def("offset.flush.interval.ms", Long, "60000")
        .at_least(0)
        .low()
        .doc("Milliseconds between commits of the offsets of tasks."),
    def("offset.flush.timeout.ms", Long, "5000").at_least(0).low().doc("Milliseconds that such a commit may take."),
    def("task.shutdown.graceful.timeout.ms", Long, "5000")
        .at_least(0)
        .low()
        .doc("Milliseconds that the tasks of a worker have to stop, all together."),
    def("connector.client.config.override.policy", String, "All")
        .doc("Which `producer.override.*`, `consumer.override.*` and `admin.override.*` a connector may set: All, None, Principal or Allowlist (with `connector.client.config.override.allowlist`)."),
    def("connector.client.config.override.allowlist", List, "").doc("What the policy Allowlist lets through."),
    def("topic.creation.enable", Boolean, "true")
        .low()
        .doc("Whether source connectors may make topics by their `topic.creation.*`."),
    def("topic.tracking.enable", Boolean, "true").low().doc("Whether the topics that a connector uses are noted."),
    def("topic.tracking.allow.reset", Boolean, "true").low().doc("Whether those notes can be deleted over the API."),
    def("config.providers", List, "")
        .low()
        .doc("Names of config providers, each with `config.providers.<name>.class` and `config.providers.<name>.param.*`: FileConfigProvider, EnvVarConfigProvider, DirectoryConfigProvider."),
];

const STANDALONE: &[ConfigDef] =
    &[unset("offset.storage.file.filename", String).high().doc("Standalone mode: the file of the source offsets.")];

const DISTRIBUTED: &[ConfigDef] = &[
    unset("group.id", String).high().doc("Distributed mode: the name of the group that the workers form."),
    unset("config.storage.topic", String).high().doc("Distributed mode: the topic of the configurations."),
    unset("offset.storage.topic", String).high().doc("Distributed mode: the topic of the source offsets."),
    unset("status.storage.topic", String).high().doc("Distributed mode: the topic of the states."),
    def("config.storage.replication.factor", Short, "3")
        .low()
        .doc("Replicas of a new configuration topic; -1 is the broker's default. `config.storage.*` are topic settings for it."),
    def("offset.storage.replication.factor", Short, "3").low().doc("Replicas of a new offset topic."),
    def("status.storage.replication.factor", Short, "3").low().doc("Replicas of a new status topic."),
    def("offset.storage.partitions", Int, "25").low().doc("Partitions of a new offset topic; -1 is the broker's default."),
    def("status.storage.partitions", Int, "5").low().doc("Partitions of a new status topic."),
    def("session.timeout.ms", Int, "10000")
        .at_least(1)
        .high()
        .doc("Milliseconds without a heartbeat after which a worker is taken for dead."),
    def("heartbeat.interval.ms", Int, "3000").at_least(1).high().doc("Milliseconds between heartbeats."),
    def("rebalance.timeout.ms", Int, "60000").at_least(1).high().doc("Milliseconds that workers have to join a rebalance."),
    def("scheduled.rebalance.max.delay.ms", Int, "300000")
        .at_least(0)
        .low()
        .doc("Milliseconds that the work of a worker that is gone waits for it to come back."),
    def("connect.protocol", String, "sessioned")
        .low()
        .check(OneOfIgnoringCase(&["eager", "compatible", "sessioned"]))
        .doc("The newest group protocol that is spoken; `eager` is answered with `compatible`."),
    def("exactly.once.source.support", String, "disabled")
        .high()
        .check(OneOfIgnoringCase(&["disabled", "preparing", "enabled"]))
        .doc("Whether source connectors write each record exactly once."),
    def("worker.sync.timeout.ms", Int, "3000")
        .at_least(0)
        .doc("Milliseconds that reading to the end of the configuration topic may take."),
    def("worker.unsync.backoff.ms", Int, "300000").doc("Accepted; a worker that cannot read its topics tries again soon."),
    def("inter.worker.key.ttl.ms", Int, "3600000")
        .low()
        .doc("Milliseconds after which the key that signs calls between workers is changed; 0 or less: never."),
    def("inter.worker.key.generation.algorithm", String, "HmacSHA256")
        .low()
        .check(OneOf(&["HmacSHA256"]))
        .doc("The algorithm of that key."),
    def("inter.worker.signature.algorithm", String, "HmacSHA256")
        .low()
        .check(OneOf(&["HmacSHA256"]))
        .doc("The algorithm that signs calls."),
    def("inter.worker.verification.algorithms", List, "HmacSHA256").low().doc("The algorithms that are believed."),
    unset("inter.worker.key.size", Int).low().doc("Accepted; keys have 256 bits."),
];

const REST: &[ConfigDef] = &[
    def("listeners", List, "http://:8083")
        .high()
        .doc("Where the API listens, separated by commas; `https://` needs `ssl.keystore.location`. In `milena server`: `http://127.0.0.1:8083`. Empty there: no Connect."),
    unset("admin.listeners", List)
        .low()
        .doc("Where `/admin` is served; unset: where everything is; empty: nowhere."),
    unset("rest.advertised.host.name", String).low().doc("The host under which other workers reach this one."),
    unset("rest.advertised.port", Int).low().doc("The port under which they do."),
    unset("rest.advertised.listener", String).low().doc("http or https: which listener they use."),
    def("rest.extension.classes", List, "")
        .low()
        .doc("`org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension` asks for name and password; its users are those of `milena.authentication.file`, or of the JAAS section `KafkaConnect` that `-Djava.security.auth.login.config` in `KAFKA_OPTS` names."),
    def("access.control.allow.origin", List, "").low().doc("Origins of web pages that may use the API; `*` is every one."),
    def("access.control.allow.methods", List, "").low().doc("Methods that pages of other origins may use."),
    def("access.control.allow.headers", List, "X-Requested-With,Content-Type,Accept,Origin,Authorization")
        .low()
        .doc("Headers that pages of other origins may send."),
    def("response.http.headers.config", String, "")
        .low()
        .doc("Headers of every answer: `set X-Frame-Options: DENY, add Cache-Control: no-cache`."),
    def("milena.request.max.bytes", Int, "33554432").at_least(1).doc("Largest body of a request; more is answered with 413."),
];

const SECURITY: &[ConfigDef] = &[
    unset("milena.authentication.file", String)
        .doc("The users of the basic-auth extension: lines `name=password`, passwords plain, `MD5:` or `OBF:`."),
    unset("ssl.keystore.location", String)
        .doc("Certificate and key: of `https://` listeners (there `listeners.https.ssl.keystore.location` wins) and of the worker's Kafka clients."),
    unset("ssl.keystore.password", Password).doc("Its password."),
    unset("ssl.keystore.type", String).low().doc("JKS (read as PKCS#12), PKCS12 or PEM."),
    unset("ssl.key.password", Password).low().doc("The password of the key in a PEM file."),
    unset("ssl.truststore.location", String).doc("Whose certificates are believed."),
    unset("ssl.truststore.password", Password).doc("Its password."),
    unset("ssl.truststore.type", String).low().doc("As `ssl.keystore.type`."),
    def("ssl.client.authentication", String, "NONE")
        .check(OneOfIgnoringCase(&["NONE", "REQUESTED", "REQUIRED"]))
        .doc("Whether clients of `https://` listeners show certificates."),
    def("ssl.client.auth", String, "none").low().doc("Older form of `ssl.client.authentication`: none, requested, required."),
];

const ACCEPTED: &[ConfigDef] = &[
    unset("plugin.path", List).low().doc("Accepted: plugins are part of the program, Java plugins cannot be loaded."),
    def("plugin.discovery", String, "hybrid_warn").low().doc("Accepted."),
    unset("internal.key.converter", Class).low().doc("Accepted; the topics of the workers always hold JSON."),
    unset("internal.value.converter", Class).low().doc("As `internal.key.converter`."),
    def("rest.port", Int, "8083").low().doc("Accepted; `listeners` says where the API listens."),
    unset("rest.host.name", String).low().doc("Accepted; as `rest.port`."),
    def("client.dns.lookup", String, "use_all_dns_ips").low().doc("Accepted; every address of a name is tried."),
    unset("log4j.loggers", String).low().doc("Accepted."),
    unset("log4j.root.loglevel", String).low().doc("Accepted."),
];
