//! Text from a client: it is refused, or it is statements that the engine runs or refuses, without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_sql::catalog::Settings;
use milena_sql::harness::engine::MemoryEngine;

const SOURCES: &str =
    "CREATE STREAM s (k STRING KEY, a INT, b DECIMAL(4, 2), c STRUCT<x INT, y ARRAY<STRING>>, m MAP<STRING, \
                       BIGINT>) WITH (kafka_topic='s', value_format='JSON');
    CREATE TABLE t (k STRING PRIMARY KEY, v TIMESTAMP) WITH (kafka_topic='t', value_format='JSON');";

fuzz_target!(|text: &str| {
    let mut engine = MemoryEngine::new(Settings::default());
    if engine.execute(SOURCES).is_ok() {
        let _ = engine.execute(text);
    }
});
