//! No text and no bytes make the engine panic or overflow its stack: statements that are put together at random, statements
//! with tokens lost, doubled and moved, nesting without end, and records of random or damaged bytes in every format.
//!
//! The random numbers are the same in each run, so that a failure can be seen again.

use std::sync::Arc;

use milena_sql::catalog::Settings;
use milena_sql::formats::registry::{MemoryRegistry, SchemaRegistry};
use milena_sql::formats::{self, CodecContext, Field, Format, FormatSpec, NullableRepresentation, Side};
use milena_sql::harness::engine::MemoryEngine;
use milena_sql::parser;
use milena_sql::types::{DecimalType, SqlType};
use milena_sql::value::Value;

/// Statements that are valid one after the other, for damage.
const STATEMENTS: &[&str] = &[
    "CREATE TYPE address AS STRUCT<street STRING, tags ARRAY<STRING>, more MAP<STRING, DECIMAL(5, 2)>>;",
    "CREATE STREAM s (k STRING KEY, a INT, b BIGINT, c DOUBLE, d DECIMAL(4, 2), e address, f ARRAY<INT>, g BYTES, \
     h TIMESTAMP, i DATE, j BOOLEAN) WITH (kafka_topic='s', value_format='JSON', partitions=2);",
    "CREATE OR REPLACE TABLE t (k STRING PRIMARY KEY, v INT, w STRING) WITH (kafka_topic='t', format='AVRO');",
    "CREATE STREAM u WITH (kafka_topic='u', value_format='PROTOBUF') AS SELECT k, a + b * 2 - -c AS x, f[1], e->street, \
     CASE WHEN a BETWEEN 1 AND 2 OR NOT j THEN 'x' ELSE NULL END y FROM s WHERE k LIKE 'a%' ESCAPE '!' EMIT CHANGES;",
    "CREATE TABLE w AS SELECT k, COUNT(*) AS n, COLLECT_LIST(a) AS l, WINDOWSTART AS ws FROM s WINDOW HOPPING (SIZE 10 \
     SECONDS, ADVANCE BY 5 SECONDS, RETENTION 2 DAYS, GRACE PERIOD 1 HOUR) GROUP BY k HAVING COUNT(*) > 1 EMIT FINAL;",
    "CREATE STREAM v AS SELECT s.k, s.a, t.* FROM s LEFT OUTER JOIN t ON s.k = t.k PARTITION BY s.a;",
    "CREATE STREAM x AS SELECT l.k, l.a AS la, EXPLODE(r.f) FROM s l JOIN u r WITHIN (1 HOUR, 2 DAYS) GRACE PERIOD 1 \
     MINUTE ON l.k = r.k;",
    "INSERT INTO s (k, a, d, f, e) VALUES ('x', -1, 1.25, ARRAY[1, 2], STRUCT(street := 'y', tags := ARRAY['z'], more := \
     MAP('p' := 1.5)));",
    "INSERT INTO u SELECT k, TRANSFORM(f, q => q * 2), REDUCE(f, 0, (p, q) => p + q) FROM s;",
    "SELECT * FROM t WHERE k IN ('a', 'b') AND ROWTIME > '2020-01-01T00:00:00+01:00' LIMIT 5;",
    "ALTER STREAM s ADD COLUMN z STRING, ADD COLUMN y MAP<STRING, INT>;",
    "ASSERT NULL VALUES t (k) KEY ('a');",
    "ASSERT NOT EXISTS SCHEMA SUBJECT 'x-value' ID 3 TIMEOUT 10 SECONDS;",
    "CREATE SOURCE CONNECTOR IF NOT EXISTS c WITH ('connector.class'='x', \"tasks.max\"='1');",
    "PRINT 'topic' FROM BEGINNING INTERVAL 2 LIMIT 3;",
    "DESCRIBE STREAMS EXTENDED; SHOW ALL TOPICS; EXPLAIN SELECT 1 FROM s; DROP TABLE IF EXISTS t DELETE TOPIC;",
    "DEFINE a = 'b'; SET 'x'='y'; UNSET 'x'; TERMINATE ALL; DROP TYPE IF EXISTS address;",
];

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// The words, signs and blanks of a text; joined again they are the text.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for c in text.chars() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        match pieces.last_mut() {
            Some(last) if word(c) && last.ends_with(word) => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

fn damaged(random: &mut Random, vocabulary: &[String]) -> String {
    let mut text = pieces(STATEMENTS[random.below(STATEMENTS.len())]);
    for _ in 0..=random.below(4) {
        let at = random.below(text.len());
        match random.below(5) {
            0 => drop(text.remove(at)),
            1 => text.insert(at, text[at].clone()),
            2 => {
                let other = random.below(text.len());
                text.swap(at, other);
            }
            3 => text[at] = vocabulary[random.below(vocabulary.len())].clone(),
            _ => text.truncate(at + 1),
        }
        if text.is_empty() {
            break;
        }
    }
    text.concat()
}

#[test]
fn damaged_statements_are_refused_or_run() {
    let mut random = Random(0x5EED);
    let mut vocabulary: Vec<String> = STATEMENTS.iter().flat_map(|text| pieces(text)).collect();
    vocabulary.extend(
        ["'", "`", "\"", "--", "/*", "é", "\u{10FFFF}", "9223372036854775808", "1e999", "0x", "@", "${", "=>"]
            .map(str::to_owned),
    );
    for _ in 0..1500 {
        let mut engine = MemoryEngine::new(Settings::default());
        for statement in &STATEMENTS[..3] {
            let _ = engine.execute(statement);
        }
        let _ = engine.execute(&damaged(&mut random, &vocabulary));
    }
}

#[test]
fn words_at_random_are_refused() {
    let mut random = Random(0xF00D);
    let vocabulary: Vec<String> = STATEMENTS.iter().flat_map(|text| pieces(text)).collect();
    for _ in 0..3000 {
        let length = 1 + random.below(40);
        let text: String = (0..length).map(|_| vocabulary[random.below(vocabulary.len())].clone() + " ").collect();
        for parsed in parser::parse(&text).unwrap_or_default() {
            let _ = parsed.prepare(&|_| None);
        }
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let _ = parser::parse(&String::from_utf8_lossy(&bytes));
    }
}

/// Nesting that only a parser without a limit follows to the end.
#[test]
fn nesting_without_end_is_refused() {
    let deep = 20_000;
    let expressions = [
        format!("{}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("{}1{}", "ARRAY[".repeat(deep), "]".repeat(deep)),
        format!("{}1{}", "ABS(".repeat(deep), ")".repeat(deep)),
        format!("{}1", "- ".repeat(deep)),
        format!("{}TRUE", "NOT ".repeat(deep)),
        format!("1{}", " + 1".repeat(deep)),
        format!("TRUE{}", " AND TRUE".repeat(deep)),
        format!("a{}", "[1]".repeat(deep)),
        format!("a{}", "->b".repeat(deep)),
        format!("a{}", " IS NULL".repeat(deep)),
        format!("{}1{}", "CASE WHEN TRUE THEN ".repeat(deep), " END".repeat(deep)),
        format!("{}1", "x => ".repeat(deep)),
        format!("{}1{}", "STRUCT(a := ".repeat(deep), ")".repeat(deep)),
        format!("{}1{}", "CAST(".repeat(deep), " AS INT)".repeat(deep)),
        format!("a IN {}1{}", "(a IN ".repeat(deep), ")".repeat(deep)),
        format!("a BETWEEN {}1", "1 AND a BETWEEN ".repeat(deep)),
    ];
    for expression in &expressions {
        let text = format!("CREATE STREAM o AS SELECT k, {expression} AS x FROM s WHERE {expression} = 1;");
        let mut engine = MemoryEngine::new(Settings::default());
        engine.execute(STATEMENTS[0]).unwrap();
        engine.execute(STATEMENTS[1]).unwrap();
        assert!(engine.execute(&text).is_err(), "{}", &text[..60]);
    }
    for types in [
        format!("{}INT{}", "ARRAY<".repeat(deep), ">".repeat(deep)),
        format!("{}INT{}", "STRUCT<a ".repeat(deep), ">".repeat(deep)),
        format!("INT{}", " ARRAY".repeat(deep)),
    ] {
        assert!(parser::parse_type(&types, &|_| None).is_err());
    }
    let joins = " JOIN t ON s.k = t.k".repeat(deep);
    assert!(MemoryEngine::new(Settings::default()).execute(&format!("SELECT * FROM s{joins} EMIT CHANGES;")).is_err());
}

/// As deep as is allowed, so that what comes after the parser has to cope with it too.
#[test]
fn nesting_that_is_allowed_runs() {
    for depth in [10, 40, 70] {
        let mut engine = MemoryEngine::new(Settings::default());
        engine.execute(STATEMENTS[0]).unwrap();
        engine.execute(STATEMENTS[1]).unwrap();
        for (open, close) in [("(", ")"), ("ABS(", ")"), ("- (", ")"), ("CASE WHEN TRUE THEN ", " END")] {
            let expression = format!("{}a{}", open.repeat(depth), close.repeat(depth));
            let _ = engine.execute(&format!("CREATE OR REPLACE STREAM o AS SELECT k, {expression} AS x FROM s;"));
        }
        let sum = format!("a{}", " + a".repeat(depth * 5));
        let _ = engine.execute(&format!("CREATE OR REPLACE STREAM o AS SELECT k, {sum} AS x FROM s WHERE {sum} > 1;"));
    }
}

fn columns() -> Vec<(&'static str, SqlType, Value)> {
    vec![
        ("A", SqlType::Integer, Value::Int(-7)),
        ("B", SqlType::Bigint, Value::Bigint(1 << 40)),
        ("C", SqlType::Double, Value::Double(1.5)),
        (
            "D",
            SqlType::Decimal(DecimalType { precision: 6, scale: 2 }),
            Value::decimal("12.34".parse().unwrap_or_default()),
        ),
        ("E", SqlType::String, Value::from("text \"quoted\", and ä")),
        ("F", SqlType::Bytes, Value::bytes(b"\x00\xff")),
        ("G", SqlType::Timestamp, Value::Timestamp(1_600_000_000_000)),
        ("H", SqlType::Date, Value::Date(18_000)),
        ("I", SqlType::Time, Value::Time(1000)),
        ("J", SqlType::Boolean, Value::Boolean(true)),
    ]
}

fn nested() -> Vec<(&'static str, SqlType, Value)> {
    let structure = SqlType::structure([("X", SqlType::Integer), ("Y", SqlType::array(SqlType::String))]);
    let value = Value::structure(vec![Value::Int(1), Value::array(vec![Value::from("p"), Value::from("q")])]);
    let map = Value::map([(Value::from("k"), Value::Bigint(5))].into_iter().collect());
    vec![("K", structure, value), ("L", SqlType::map(SqlType::String, SqlType::Bigint), map)]
}

#[test]
fn damaged_records_are_refused_or_read() {
    let mut random = Random(0xBEEF);
    let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
    let wrapper =
        FormatSpec { nullable: Some(NullableRepresentation::Wrapper), ..FormatSpec::plain(Format::ProtobufNoSr) };
    let specs = [
        (FormatSpec::plain(Format::Kafka), 1, false),
        (FormatSpec::plain(Format::Delimited), 10, false),
        (FormatSpec::plain(Format::Json), 10, true),
        (FormatSpec::plain(Format::JsonSr), 10, true),
        (FormatSpec::plain(Format::Avro), 10, true),
        (FormatSpec::plain(Format::Protobuf), 10, true),
        (FormatSpec::plain(Format::ProtobufNoSr), 10, true),
        (wrapper, 10, true),
    ];
    for (spec, count, with_nested) in specs {
        let mut all: Vec<_> = columns().into_iter().take(count).collect();
        if with_nested {
            all.extend(nested());
        }
        let field = |(name, field_type, _): &(&str, SqlType, Value)| Field {
            name: (*name).into(),
            field_type: field_type.clone(),
        };
        let fields: Vec<Field> = all.iter().map(field).collect();
        let row: Vec<Value> = all.into_iter().map(|(_, _, value)| value).collect();
        let context =
            CodecContext { topic: format!("t-{}", spec.format), side: Side::Value, registry: registry.clone() };
        formats::register(&spec, &fields, &context).unwrap();
        let codec = formats::open(&spec, fields, &context).unwrap();
        let bytes = codec.encode(&row).unwrap().unwrap();
        assert_eq!(codec.decode(&bytes).unwrap().unwrap(), row, "{}", spec.format);
        for _ in 0..1500 {
            let mut changed = bytes.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(changed.len());
                match random.below(4) {
                    0 => changed.truncate(at),
                    1 => changed.insert(at, random.next() as u8),
                    2 => changed.extend(std::iter::repeat_n(random.next() as u8, random.below(9))),
                    _ if changed.is_empty() => {}
                    _ => changed[at] = random.next() as u8,
                }
            }
            let _ = codec.decode(&changed);
            let noise: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
            let _ = codec.decode(&noise);
            // Behind the right id of a schema.
            let head: Vec<u8> = bytes.iter().take(6).copied().chain(noise).collect();
            let _ = codec.decode(&head);
        }
    }
}

#[test]
fn json_without_end_is_refused() {
    let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
    let context = CodecContext { topic: "t".to_owned(), side: Side::Value, registry };
    for field_type in [SqlType::String, SqlType::array(SqlType::String), SqlType::Integer] {
        let fields = vec![Field { name: "A".into(), field_type }];
        let codec = formats::open(&FormatSpec::plain(Format::Json), fields, &context).unwrap();
        for open in ["[", "{\"A\":"] {
            let deep = format!("{{\"A\":{}", open.repeat(100_000));
            assert!(codec.decode(deep.as_bytes()).is_err());
            let _ = codec.decode(format!("{deep}1").as_bytes());
        }
    }
}
