//! Every property of the REST Proxy: the rows check values and render `docs/configuration-rest-proxy.md`.

use std::sync::LazyLock;

use milena_http::config::security;
use milena_stdx::config_def::ConfigType::{Boolean, Int, List, Long, String};
use milena_stdx::config_def::{ConfigDef, ConfigTable, def, unset};

/// Every property.
pub static REST_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| {
    ConfigTable::new(&[
        LISTENING,
        KAFKA,
        CONSUMERS,
        LIMITS,
        SECURITY,
        ACCEPTED,
        security::AUTHENTICATION,
        security::TLS,
    ])
});

const LISTENING: &[ConfigDef] = &[
    def("listeners", List, "http://127.0.0.1:8082")
        .high()
        .doc("Where the API listens, separated by commas; `https://` needs `ssl.keystore.location`. Empty: nowhere."),
    unset("host.name", String)
        .high()
        .doc("The host in `base_uri` of consumer instances. Without it: the one that the client has used."),
    def("advertised.listeners", List, "")
        .doc("URLs under which clients reach this proxy, where they differ from what clients send as `Host`: they begin every URL in answers."),
    def("id", String, "").doc("Goes into the names of consumer instances, so that those of several proxies differ."),
    def("api.v2.enable", Boolean, "true").doc("Whether API v2 is served."),
    def("api.v3.enable", Boolean, "true").doc("Whether API v3 is served."),
    def("api.endpoints.allowlist", List, "")
        .doc("Names of endpoints that are served, such as `api.v3.topics.*`; empty is all. The OpenAPI document has the names as `operationId`."),
    def("api.endpoints.blocklist", List, "").doc("Names of endpoints that are not served."),
    def("access.control.allow.origin", List, "").doc("Origins of web pages that may use the API; `*` is every one."),
    def("access.control.allow.methods", List, "GET,POST,PUT,PATCH,DELETE,OPTIONS,HEAD")
        .doc("Methods that pages of other origins may use."),
    def("access.control.allow.headers", List, "X-Requested-With,Content-Type,Accept,Origin,Authorization")
        .low()
        .doc("Headers that pages of other origins may send."),
    def("response.compression.enable", Boolean, "true").low().doc("Whether answers are compressed for clients that accept gzip."),
    def("confluent.resource.name.authority", String, "").low().doc("What `resource_name` of v3 begins with, behind `crn://`."),
    def("debug", Boolean, "false").low().doc("More lines in the log."),
];

const KAFKA: &[ConfigDef] = &[
    unset("bootstrap.servers", List)
        .high()
        .doc("The Kafka cluster. In `milena server`: the broker of the same process. `client.*`, and over it `producer.*`, `consumer.*` and `admin.*`, are properties of Kafka's clients: `client.security.protocol`, `producer.acks`, ..."),
    def("schema.registry.url", List, "http://localhost:8081")
        .high()
        .doc("The Schema Registry for Avro, JSON Schema and Protobuf. `schema.registry.basic.auth.user.info`, `schema.registry.ssl.truststore.location` and the others are passed on to its client."),
];

const CONSUMERS: &[ConfigDef] = &[
    def("consumer.request.timeout.ms", Int, "1000")
        .at_least(0)
        .doc("Milliseconds that a read waits for records at most."),
    def("consumer.request.max.bytes", Long, "67108864")
        .at_least(0)
        .doc("Bytes of keys and values that a read answers at most."),
    def("consumer.instance.timeout.ms", Int, "300000")
        .at_least(1)
        .doc("Milliseconds without a call after which a consumer instance is closed."),
    def("fetch.min.bytes", Int, "-1")
        .at_least(-1)
        .doc("A read returns when it has so many bytes; -1 waits for the whole timeout or `max_bytes`."),
    def("null.request.body.always.publishes.empty.record", Boolean, "false")
        .low()
        .doc("Whether a null with a schema is written as a null, instead of handed to the serializer."),
];

const LIMITS: &[ConfigDef] = &[
    def("milena.request.max.bytes", Int, "33554432")
        .at_least(1)
        .doc("Largest body of a request, and largest record of a stream; more is answered with 413."),
    def("rate.limit.enable", Boolean, "false").doc("Whether `rate.limit.permits.per.sec` counts."),
    def("rate.limit.permits.per.sec", Int, "50")
        .at_least(1)
        .doc("Requests a second that the proxy takes; more are answered with 429."),
    def("api.v3.produce.rate.limit.enabled", Boolean, "false")
        .doc("Whether the limits of v3 produce count, for each cluster together."),
    def("api.v3.produce.rate.limit.max.requests.per.sec", Int, "10000")
        .at_least(1)
        .doc("Records a second through v3; more are answered with 429."),
    def("api.v3.produce.rate.limit.max.bytes.per.sec", Long, "10000000")
        .at_least(1)
        .doc("Bytes a second through v3; more are answered with 429."),
    def("api.v3.produce.batch.maximum.entries", Int, "10").at_least(1).doc("Records in one `records:batch`."),
    def("streaming.connection.max.duration.ms", Long, "86400000")
        .at_least(1)
        .doc("Milliseconds after which a stream of v3 records is ended with an error 408."),
    def("streaming.connection.max.duration.grace.period.ms", Long, "500")
        .at_least(1)
        .low()
        .doc("Milliseconds that records on their way have to be answered then."),
];

const SECURITY: &[ConfigDef] = &[
    def("authentication.realm", String, "KafkaRest")
        .doc("The realm of the challenge, and the section of a JAAS file that `-Djava.security.auth.login.config` in `KAFKA_REST_OPTS` or `KAFKAREST_OPTS` names."),
];

const ACCEPTED: &[ConfigDef] = &[
    def("consumer.threads", Int, "50").low().doc("Accepted; consumers need no threads of their own."),
    def("producer.threads", Int, "5").low().doc("Accepted; there is one producer for all calls."),
    def("rate.limit.timeout.ms", Int, "0").low().doc("Accepted; a request beyond the limit never waits."),
    def("rate.limit.backend", String, "").low().doc("Accepted."),
    unset("consumer.iterator.timeout.ms", Int).low().doc("Accepted; of API v1."),
    unset("consumer.iterator.backoff.ms", Int).low().doc("Accepted; of API v1."),
    unset("simpleconsumer.pool.size.max", Int).low().doc("Accepted; of API v1."),
    unset("simpleconsumer.pool.timeout.ms", Int).low().doc("Accepted; of API v1."),
];
