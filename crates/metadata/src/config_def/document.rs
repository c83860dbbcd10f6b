//! `docs/configuration.md`, rendered from the tables.

use milena_stdx::config_def::document::section;

use super::{BROKER_CONFIGS, CLIENT_METRICS_CONFIGS, GROUP_CONFIGS, TOPIC_CONFIGS};

const HEAD: &str = "# Configuration

Rendered from the tables in `crates/metadata/src/config_def`; change those and run
`UPDATE_DOCS=1 cargo test -p milena-metadata documentation`.

Settings come from three places, later wins: a `server.properties` file, environment variables, the command line.

```
milena server server.properties --override num.partitions=3
KAFKA_NUM_PARTITIONS=3 milena server
```

A variable is `KAFKA_` and the key in capitals with `_` for `.`, `__` for `_` and `___` for `-`. Keys of the ZooKeeper era
are accepted and reported; an unknown key is reported together with the nearest known one; a wrong value ends the start
with one line that names key, value and origin.

Without any setting the broker listens on 127.0.0.1:9092 only and keeps everything in `./milena-data`.

*Changes* says when a new value takes effect: at a `restart`, or at once when it is set with `kafka-configs` for one
`broker` or for all (`cluster`). Rows in small importance at the end of each table are read and checked so that
configurations written for Kafka are understood; not each of them has something to steer here.

## Changing settings while the broker runs

```
kafka-configs --bootstrap-server localhost:9092 --alter --broker-defaults --add-config message.max.bytes=4000000
kafka-configs --bootstrap-server localhost:9092 --alter --broker 1 --add-config log.cleaner.backoff.ms=1000
kafka-configs --bootstrap-server localhost:9092 --describe --broker 1
```

What is set for one broker comes before what is set for all, and both before what the broker was started with. At once in
force are the defaults of topics (`log.*`, `message.max.bytes`, `compression.*`, `min.insync.replicas`), `log.cleaner.*`
but for the number of threads and the size of the I/O buffer, and `max.connections*`. Accepted and shown, without anything
to steer: `num.io.threads`, `num.network.threads`, `num.replica.fetchers`, `background.threads`, `log.cleaner.threads`,
`remote.log.*`. `num.recovery.threads.per.data.dir` counts at the next start.

## Values that are kept elsewhere

```
config.providers=env,secrets
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.secrets.class=org.apache.kafka.common.config.provider.FileConfigProvider
broker.rack=${env:RACK}
ssl.keystore.password=${secrets:/run/secrets/kafka.properties:keystore}
```

`FileConfigProvider`, `DirectoryConfigProvider` (one file a value) and `EnvVarConfigProvider` are known, with
`param.allowed.paths` and `param.allowlist.pattern`. References are resolved when the broker starts.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Broker", &BROKER_CONFIGS);
    section(&mut page, "Topics", &TOPIC_CONFIGS);
    section(&mut page, "Groups", &GROUP_CONFIGS);
    section(&mut page, "Subscriptions to client metrics", &CLIENT_METRICS_CONFIGS);
    page
}
