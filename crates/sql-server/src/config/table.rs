//! Every property of the SQL server: the rows check values and render `docs/configuration-sql-server.md`.

use std::sync::LazyLock;

use milena_http::config::security;
use milena_stdx::config_def::ConfigType::{Boolean, Int, List, Long, String};
use milena_stdx::config_def::Validator::OneOfIgnoringCase;
use milena_stdx::config_def::{ConfigDef, ConfigTable, def, unset};

/// Every property.
pub static SQL_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| {
    ConfigTable::new(&[LISTENING, SYSTEMS, LANGUAGE, SECURITY, security::AUTHENTICATION, security::TLS])
});

const LISTENING: &[ConfigDef] = &[
    def("listeners", List, "http://127.0.0.1:8088")
        .high()
        .doc("Where the API listens, separated by commas; `https://` needs `ssl.keystore.location`. Empty: nowhere."),
    def("ksql.heartbeat.enable", Boolean, "false")
        .low()
        .doc("Whether servers of a service tell each other that they live; `/clusterStatus`, `/heartbeat` and `/lag` are there then."),
    def("ksql.heartbeat.send.interval.ms", Long, "100").at_least(1).low().doc("Milliseconds between heartbeats."),
    def("ksql.heartbeat.window.ms", Long, "2000")
        .at_least(1)
        .low()
        .doc("A server that was silent for so many milliseconds is taken for dead."),
    def("ksql.heartbeat.discover.interval.ms", Long, "2000")
        .at_least(1)
        .low()
        .doc("Milliseconds between looks at the groups of the queries for other servers."),
    def("ksql.lag.reporting.enable", Boolean, "false")
        .low()
        .doc("Whether servers tell each other how far their stores are; needs `ksql.heartbeat.enable`."),
    def("ksql.lag.reporting.send.interval.ms", Long, "5000").at_least(1).low().doc("Milliseconds between such reports."),
    def("ksql.fetch.remote.hosts.max.timeout.seconds", Long, "10")
        .at_least(0)
        .low()
        .doc("Seconds within which other servers have to answer when a statement shows what all of them know."),
    unset("ksql.advertised.listener", String)
        .doc("The URL by which other servers reach this one; without it the first of `listeners`, with the name of the machine where that listens everywhere."),
    def("ksql.query.pull.forwarding.timeout.ms", Long, "20000")
        .at_least(1)
        .low()
        .doc("Milliseconds within which another server has to begin with its part of a pull query."),
    def("ksql.server.command.response.timeout.ms", Long, "5000")
        .at_least(0)
        .doc("Milliseconds that a statement waits for its execution; after that it is answered as QUEUED."),
    def("ksql.max.push.queries", Int, "100").at_least(0).doc("Push queries at a time; more are refused."),
    def("milena.request.max.bytes", Int, "33554432")
        .at_least(1)
        .doc("Largest body of a request; more is answered with 413."),
    def("access.control.allow.origin", List, "").doc("Origins of web pages that may use the API; `*` is every one."),
    def("access.control.allow.methods", List, "GET,POST,HEAD").doc("Methods that pages of other origins may use."),
    def("access.control.allow.headers", List, "X-Requested-With,Content-Type,Accept,Origin,Authorization")
        .low()
        .doc("Headers that pages of other origins may send."),
];

const SYSTEMS: &[ConfigDef] = &[
    unset("bootstrap.servers", List)
        .high()
        .doc("The Kafka cluster. In `milena server`: the broker of the same process. `ksql.streams.*` and keys without a prefix, such as `security.protocol`, are properties of Kafka's clients."),
    def("ksql.service.id", String, "default_")
        .high()
        .doc("Servers with the same id share their streams, tables and queries: it is part of the name of the command topic."),
    unset("ksql.schema.registry.url", List)
        .high()
        .doc("The Schema Registry for AVRO, PROTOBUF and JSON_SR. In `milena server`: the registry of the same process. `ksql.schema.registry.*` are properties of its client."),
    def("ksql.connect.url", List, "http://localhost:8083")
        .doc("The Connect workers of connector statements. In `milena server`: the worker of the same process."),
    def("ksql.connect.basic.auth.credentials.source", String, "NONE")
        .low()
        .check(OneOfIgnoringCase(&["NONE", "FILE"]))
        .doc("FILE: workers ask for a name and a password."),
    unset("ksql.connect.basic.auth.credentials.file", String)
        .low()
        .doc("A property file with `username` and `password` for them."),
    def(
        "ksql.hidden.topics",
        List,
        "_confluent.*,__confluent.*,_schemas,__consumer_offsets,__transaction_state,connect-configs,connect-offsets,connect-status,connect-statuses",
    )
    .doc("Regular expressions of topics that only `SHOW ALL TOPICS` shows."),
    def(
        "ksql.readonly.topics",
        List,
        "_confluent.*,__confluent.*,_schemas,__consumer_offsets,__transaction_state,connect-configs,connect-offsets,connect-status,connect-statuses",
    )
    .doc("Regular expressions of topics that statements do not write; the processing log is one of them always."),
    def("ksql.streams.state.dir", String, "/tmp/kafka-streams")
        .high()
        .doc("Where queries keep their state, in a directory named after the service. In `milena server`: `ksql-state` in its data directory. Every server needs its own; what is lost there is restored from Kafka."),
    def("ksql.enable.metastore.backup", Boolean, "false")
        .doc("Whether the command topic is backed up, so that `ksql-restore-command-topic` can make it again."),
    def("ksql.metastore.backup.location", String, "")
        .doc("The directory of the backups, files `backup_<topic>_<milliseconds>`."),
    def("ksql.internal.topic.replicas", Int, "1")
        .at_least(-1)
        .doc("Replicas of the command topic and of topics that queries make for themselves; -1: as many as the brokers make by default."),
    unset("ksql.streams.replication.factor", Int)
        .at_least(-1)
        .low()
        .doc("Replicas of topics that queries make for themselves, where they are to differ from the command topic's."),
];

const LANGUAGE: &[ConfigDef] = &[
    def("ksql.persistence.default.format.key", String, "KAFKA").doc("Format of keys where a statement names none."),
    unset("ksql.persistence.default.format.value", String).doc("Format of values where a statement names none."),
    unset("ksql.persistence.wrap.single.values", Boolean).doc(
        "Whether a single value column is wrapped where a statement does not say so; without it the format decides.",
    ),
    unset("ksql.queries.file", String)
        .doc("Headless mode: a file with the statements, executed at each start; clients cannot change anything."),
    def("ksql.output.topic.name.prefix", String, "").doc("What precedes the topics of `CREATE ... AS SELECT`."),
    unset("ksql.sink.partitions", Int)
        .at_least(1)
        .low()
        .doc("Partitions of the topics of `CREATE ... AS SELECT` that do not say so; without it as many as the source has."),
    unset("ksql.sink.replicas", Int).at_least(-1).low().doc("Their replicas."),
    def("ksql.variable.substitution.enable", Boolean, "true").doc("Whether `${name}` stands for a variable."),
    def("ksql.properties.overrides.denylist", List, "").doc("Properties that sessions may not set."),
    def("ksql.query.retry.backoff.initial.ms", Long, "15000")
        .at_least(0)
        .doc("Milliseconds before a query that has failed starts again; twice as many after each failure in a row."),
    def("ksql.query.retry.backoff.max.ms", Long, "900000").at_least(0).doc("At most so many milliseconds."),
    def("ksql.source.table.materialization.enabled", Boolean, "true")
        .doc("Whether `CREATE SOURCE TABLE` keeps the rows of its topic, so that they can be looked up."),
    def("ksql.cast.strings.preserve.nulls", Boolean, "true")
        .low()
        .doc("Whether a CAST of null to STRING is null; else it is the text `null`."),
    def("ksql.nested.error.set.null", Boolean, "true")
        .low()
        .doc("Whether a part of an expression that fails is null alone; else the whole expression is."),
    def("ksql.functions.substring.legacy.args", Boolean, "false")
        .low()
        .doc("Whether positions of SUBSTRING count from 0 and its third argument is an end; else they count from 1 and it is a length."),
    def("ksql.suppress.enabled", Boolean, "true").low().doc("Whether queries may have EMIT FINAL."),
    def("ksql.timestamp.throw.on.invalid", Boolean, "false")
        .low()
        .doc("Whether a record whose TIMESTAMP column gives no time fails the query; else it is skipped and told in the processing log."),
    def("ksql.fail.on.deserialization.error", Boolean, "false")
        .doc("Whether a record that cannot be read ends the query; else it is skipped and told in the processing log."),
    def("ksql.fail.on.production.error", Boolean, "true")
        .doc("Whether a result that is too large for Kafka ends the query; else it is left out and told in the processing log."),
    def("ksql.logging.processing.topic.auto.create", Boolean, "false")
        .doc("Whether the processing log is written into a topic of its own, which is made then."),
    unset("ksql.logging.processing.topic.name", String)
        .doc("The topic of the processing log; without it `<ksql.service.id>ksql_processing_log`."),
    def("ksql.logging.processing.topic.partitions", Int, "1").at_least(1).low().doc("Its partitions."),
    def("ksql.logging.processing.topic.replication.factor", Int, "1")
        .at_least(-1)
        .low()
        .doc("Its replicas; -1: as many as the brokers make by default."),
    def("ksql.logging.processing.stream.auto.create", Boolean, "false")
        .doc("Whether there is a stream over the processing log."),
    def("ksql.logging.processing.stream.name", String, "KSQL_PROCESSING_LOG").low().doc("The name of that stream."),
    def("ksql.logging.processing.rows.include", Boolean, "false")
        .doc("Whether the processing log holds the records that could not be read, and the rows for which expressions failed."),
    unset("ksql.streams.auto.offset.reset", String)
        .check(OneOfIgnoringCase(&["earliest", "latest"]))
        .doc("Where queries begin that have not read before; without it streams at what comes next and tables at their first record. Sessions choose with SET 'auto.offset.reset'='earliest'."),
    def("ksql.query.push.v2.enabled", Boolean, "false")
        .doc("Whether push queries that project and filter what one persistent query writes read nothing but its new rows."),
    def("ksql.headers.columns.enabled", Boolean, "true")
        .low()
        .doc("Whether streams and tables may have columns of headers."),
    def("ksql.query.persistent.active.limit", Int, "2147483647")
        .at_least(0)
        .doc("Persistent queries at a time; statements that would make more are refused."),
    def("ksql.assert.topic.default.timeout.ms", Int, "1000")
        .at_least(0)
        .low()
        .doc("Milliseconds that ASSERT TOPIC waits where it does not say how long."),
    def("ksql.assert.schema.default.timeout.ms", Int, "1000")
        .at_least(0)
        .low()
        .doc("Milliseconds that ASSERT SCHEMA waits where it does not say how long."),
    def("ksql.pull.queries.enable", Boolean, "true").low().doc("Whether pull queries are answered."),
    def("ksql.query.pull.table.scan.enabled", Boolean, "true")
        .doc("Whether pull queries may read all rows of a table; else they have to name the keys."),
    def("ksql.query.pull.max.qps", Int, "2147483647")
        .at_least(1)
        .doc("Pull queries in a second; more are refused with 429. Those that other servers pass on are counted there."),
    def("ksql.query.pull.max.concurrent.requests", Int, "2147483647")
        .at_least(0)
        .doc("Pull queries at a time; more are refused."),
    def("ksql.functions.collect_list.limit", Int, "2147483647")
        .at_least(0)
        .low()
        .doc("Most elements of a COLLECT_LIST; what comes after them is left out."),
    def("ksql.functions.collect_set.limit", Int, "2147483647")
        .at_least(0)
        .low()
        .doc("Most elements of a COLLECT_SET."),
    def("ksql.insert.into.values.enabled", Boolean, "true").doc("Whether rows may be inserted by statements and by `/inserts-stream`."),
];

const SECURITY: &[ConfigDef] = &[
    def("authentication.realm", String, "KsqlServer")
        .doc("The realm of the challenge, and the section of a JAAS file that `-Djava.security.auth.login.config` in `KSQL_OPTS` names."),
];
