//! The language as a page for users: statements, types, properties, windows, words. The functions have a page of their own.

use std::fmt::Write as _;

use crate::ast::{quoted_words, reserved_words};
use crate::catalog::with::PROPERTIES;

/// A statement of the language.
struct Entry {
    /// How it is written: `[...]` may be left out, `|` is a choice.
    syntax: &'static str,
    /// What it does.
    says: &'static str,
    /// One that parses.
    example: &'static str,
}

/// A group of statements.
struct Group {
    title: &'static str,
    entries: &'static [Entry],
}

const HEAD: &str = "# Streaming SQL: the language

Keywords and names are found in any case; names become upper case unless they stand in back-ticks (`` `like This` ``). Texts stand in
single quotes, a quote in them is doubled. `--` begins a comment to the end of the line, `/* */` encloses one. Every statement ends with a
semicolon. `${name}` stands for the variable of that name.

The functions are in [sql-functions.md](sql-functions.md). This page is made from the tables of the engine; a test keeps it so, and
parses every example.
";

const STATEMENTS: &[Group] = &[
    Group {
        title: "Streams, tables, types",
        entries: &[
            Entry {
                syntax: "CREATE [OR REPLACE] [SOURCE] STREAM [IF NOT EXISTS] name [(column type [KEY | HEADERS | HEADER('name')], ...)] WITH (property = value, ...);",
                says: "Declares a stream over a topic. Columns that are left out are those of the schema in the registry. A SOURCE stream cannot be written.",
                example: "CREATE STREAM orders (id INT KEY, amount DECIMAL(8, 2), note STRING) WITH (kafka_topic = 'orders', value_format = 'JSON');",
            },
            Entry {
                syntax: "CREATE [OR REPLACE] [SOURCE] TABLE [IF NOT EXISTS] name [(column type [PRIMARY KEY | HEADERS | HEADER('name')], ...)] WITH (property = value, ...);",
                says: "Declares a table over a topic: of each key the latest row counts, and a record without a value deletes it.",
                example: "CREATE TABLE people (id INT PRIMARY KEY, name STRING) WITH (kafka_topic = 'people', value_format = 'JSON');",
            },
            Entry {
                syntax: "CREATE [OR REPLACE] STREAM | TABLE [IF NOT EXISTS] name [WITH (property = value, ...)] AS SELECT ...;",
                says: "Starts a query that runs until it is terminated and writes what it gives to a topic. OR REPLACE changes what the query selects and filters; its state stays.",
                example: "CREATE TABLE totals AS SELECT id, SUM(amount) AS total FROM orders GROUP BY id EMIT CHANGES;",
            },
            Entry {
                syntax: "ALTER STREAM | TABLE name ADD [COLUMN] column type [, ADD [COLUMN] column type ...];",
                says: "Adds columns to what CREATE has declared.",
                example: "ALTER STREAM orders ADD COLUMN customer STRING;",
            },
            Entry {
                syntax: "DROP STREAM | TABLE [IF EXISTS] name [DELETE TOPIC];",
                says: "Takes a stream or table away, with the query that fills it. Refused while other queries use it.",
                example: "DROP TABLE IF EXISTS totals DELETE TOPIC;",
            },
            Entry {
                syntax: "CREATE TYPE [IF NOT EXISTS] name AS type;",
                says: "Gives a type a name.",
                example: "CREATE TYPE address AS STRUCT<street STRING, city STRING>;",
            },
            Entry {
                syntax: "DROP TYPE [IF EXISTS] name;",
                says: "Takes the name away; columns keep their type.",
                example: "DROP TYPE address;",
            },
        ],
    },
    Group {
        title: "Rows",
        entries: &[
            Entry {
                syntax: "INSERT INTO name [(column, ...)] VALUES (expression, ...);",
                says: "Writes one record. ROWTIME may be among the columns; columns that are left out are null.",
                example: "INSERT INTO orders (rowtime, id, amount) VALUES (1700000000000, 1, 9.95);",
            },
            Entry {
                syntax: "INSERT INTO stream [WITH (QUERY_ID = 'id')] SELECT ...;",
                says: "Starts a query that writes to a stream which exists.",
                example: "INSERT INTO orders SELECT * FROM more_orders;",
            },
            Entry {
                syntax: "SELECT item, ... FROM source [join ...] [WINDOW window] [WHERE condition] [GROUP BY expression, ...] [PARTITION BY expression, ...] [HAVING condition] [EMIT CHANGES | EMIT FINAL] [LIMIT n];",
                says: "With EMIT, a push query that goes on until it is closed or has LIMIT rows; without, a pull query that answers from what is there.",
                example: "SELECT id, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 1 HOUR) WHERE amount > 1 GROUP BY id HAVING COUNT(*) > 2 EMIT CHANGES LIMIT 10;",
            },
            Entry {
                syntax: "[INNER | LEFT [OUTER] | RIGHT [OUTER] | FULL [OUTER]] JOIN source [alias] [WITHIN n unit | WITHIN (n unit, n unit)] [GRACE PERIOD n unit] ON expression = expression",
                says: "Streams join streams WITHIN a time; streams join tables on their primary key; tables join tables on the primary key, or on an expression of the left with the primary key of the right.",
                example: "SELECT o.id, p.name FROM orders o LEFT JOIN people p ON o.id = p.id EMIT CHANGES;",
            },
            Entry {
                syntax: "PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n];",
                says: "Shows the records of a topic.",
                example: "PRINT 'orders' FROM BEGINNING LIMIT 3;",
            },
        ],
    },
    Group {
        title: "Queries",
        entries: &[
            Entry { syntax: "TERMINATE id | ALL;", says: "Ends queries.", example: "TERMINATE CTAS_TOTALS_3;" },
            Entry { syntax: "PAUSE id | ALL;", says: "Lets queries wait.", example: "PAUSE ALL;" },
            Entry { syntax: "RESUME id | ALL;", says: "Lets queries go on.", example: "RESUME ALL;" },
            Entry {
                syntax: "EXPLAIN id | statement;",
                says: "Shows how a query works.",
                example: "EXPLAIN SELECT id FROM orders EMIT CHANGES;",
            },
        ],
    },
    Group {
        title: "What there is",
        entries: &[
            Entry {
                syntax: "SHOW | LIST STREAMS | TABLES | QUERIES [EXTENDED];",
                says: "Lists streams, tables or queries.",
                example: "SHOW STREAMS EXTENDED;",
            },
            Entry {
                syntax: "SHOW | LIST [ALL] TOPICS [EXTENDED];",
                says: "Lists topics.",
                example: "LIST ALL TOPICS;",
            },
            Entry {
                syntax: "SHOW | LIST PROPERTIES | FUNCTIONS | TYPES | VARIABLES;",
                says: "Lists what the names say.",
                example: "SHOW FUNCTIONS;",
            },
            Entry {
                syntax: "DESCRIBE name [EXTENDED];",
                says: "Shows the columns of a stream or table, and what reads and writes it.",
                example: "DESCRIBE orders EXTENDED;",
            },
            Entry {
                syntax: "DESCRIBE FUNCTION name;",
                says: "Shows what a function takes and does.",
                example: "DESCRIBE FUNCTION substring;",
            },
        ],
    },
    Group {
        title: "Connectors",
        entries: &[
            Entry {
                syntax: "CREATE SOURCE | SINK CONNECTOR [IF NOT EXISTS] name WITH ('property' = 'value', ...);",
                says: "Starts a connector of Kafka Connect.",
                example: "CREATE SINK CONNECTOR files WITH ('connector.class' = 'FileStreamSink', 'topics' = 'orders');",
            },
            Entry {
                syntax: "DROP CONNECTOR [IF EXISTS] name;",
                says: "Takes a connector away.",
                example: "DROP CONNECTOR files;",
            },
            Entry {
                syntax: "SHOW | LIST [SOURCE | SINK] CONNECTORS;",
                says: "Lists connectors.",
                example: "SHOW SINK CONNECTORS;",
            },
            Entry {
                syntax: "DESCRIBE CONNECTOR name;",
                says: "Shows a connector.",
                example: "DESCRIBE CONNECTOR files;",
            },
        ],
    },
    Group {
        title: "Session and tests",
        entries: &[
            Entry {
                syntax: "SET 'property' = 'value';",
                says: "Sets a property for the statements that follow.",
                example: "SET 'auto.offset.reset' = 'earliest';",
            },
            Entry { syntax: "UNSET 'property';", says: "Takes it back.", example: "UNSET 'auto.offset.reset';" },
            Entry { syntax: "DEFINE name = 'value';", says: "Sets a variable.", example: "DEFINE topic = 'orders';" },
            Entry { syntax: "UNDEFINE name;", says: "Takes it back.", example: "UNDEFINE topic;" },
            Entry {
                syntax: "ASSERT [NOT EXISTS] TOPIC name [WITH (PARTITIONS = n, REPLICAS = n)] [TIMEOUT n unit];",
                says: "Fails unless the topic is there, or is not, within a time.",
                example: "ASSERT TOPIC orders WITH (PARTITIONS = 1) TIMEOUT 10 SECONDS;",
            },
            Entry {
                syntax: "ASSERT [NOT EXISTS] SCHEMA [SUBJECT name] [ID n] [TIMEOUT n unit];",
                says: "Fails unless the schema is there, or is not, within a time.",
                example: "ASSERT NOT EXISTS SCHEMA SUBJECT 'orders-value' TIMEOUT 1 SECOND;",
            },
            Entry {
                syntax: "ASSERT VALUES name (column, ...) VALUES (expression, ...);",
                says: "In `run-ksql-test` only: takes the next record and compares it.",
                example: "ASSERT VALUES totals (id, total) VALUES (1, 9.95);",
            },
            Entry {
                syntax: "ASSERT NULL VALUES name (column, ...) KEY (expression, ...);",
                says: "In `run-ksql-test` only: takes the next record, which must be a tombstone.",
                example: "ASSERT NULL VALUES totals (id) KEY (1);",
            },
            Entry {
                syntax: "ASSERT STREAM | TABLE name (column type [KEY | PRIMARY KEY], ...) WITH (property = value, ...);",
                says: "In `run-ksql-test` only: compares what has been declared.",
                example: "ASSERT STREAM orders (id INT KEY, amount DECIMAL(8, 2), note STRING) WITH (kafka_topic = 'orders');",
            },
        ],
    },
];

/// What arithmetic does, below the types.
const NUMBERS: &str = "
Whole numbers wrap around, and decimals are exact: where a quotient of decimals does not end within the digits of its type, it is null.
All branches of a `CASE` have the same type; a CAST makes it so.
An operator with a null operand has no value: the whole expression is null, and a condition does not hold. A `CAST`, an element of a
constructor and a call within a call are null alone when they have no value. Comparisons with null are false.
";

/// Types: how they are written, what they hold, how JSON shows them.
const TYPES: &[[&str; 3]] = &[
    ["BOOLEAN", "`TRUE` or `FALSE`", "`true`"],
    ["INT", "a whole number of 32 bits; also INTEGER", "number"],
    ["BIGINT", "a whole number of 64 bits", "number"],
    ["DOUBLE", "a binary number of 64 bits", "number"],
    ["DECIMAL(8, 2)", "a number of at most 8 digits, 2 of them behind the point", "number"],
    ["STRING", "a text; also VARCHAR", "string"],
    ["BYTES", "bytes", "string in base64"],
    ["DATE", "a day", "days since 1970"],
    ["TIME", "a time of day", "milliseconds"],
    ["TIMESTAMP", "a point in time", "milliseconds since 1970"],
    ["ARRAY<INT>", "elements of one type, counted from 1, from the end by negative numbers", "array"],
    ["MAP<STRING, INT>", "keys with values; no key of a record may hold one", "object"],
    ["STRUCT<a INT, b STRING>", "named fields: `s->a`", "object"],
];

/// Windows: how they are written and what they are.
const WINDOWS: &[[&str; 2]] = &[
    ["TUMBLING (SIZE 1 HOUR)", "windows side by side"],
    ["HOPPING (SIZE 1 HOUR, ADVANCE BY 10 MINUTES)", "windows of one size that begin some time apart"],
    ["SESSION (5 MINUTES)", "from the first event to the last one before so long a pause"],
    ["TUMBLING (SIZE 1 HOUR, RETENTION 7 DAYS, GRACE PERIOD 1 DAY)", "kept that long, open to events so late"],
];

/// The language as Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    // Writing into a String cannot fail.
    for group in STATEMENTS {
        let _ = write!(page, "\n## {}\n", group.title);
        for entry in group.entries {
            let _ =
                write!(page, "\n```text\n{}\n```\n\n{}\n\n```sql\n{}\n```\n", entry.syntax, entry.says, entry.example);
        }
    }
    page.push_str("\n## Types\n\n| type | holds | in JSON |\n|---|---|---|\n");
    for [name, holds, json] in TYPES {
        let _ = writeln!(page, "| `{name}` | {holds} | {json} |");
    }
    page.push_str(NUMBERS);
    page.push_str("\n## Windows\n\n| window | is |\n|---|---|\n");
    for [window, is] in WINDOWS {
        let _ = writeln!(page, "| `{window}` | {is} |");
    }
    page.push_str("\nUnits of time: ");
    let units: Vec<String> = UNITS.iter().map(|unit| format!("`{unit}`")).collect();
    let _ = writeln!(page, "{}, each with its plural.", units.join(", "));
    page.push_str("\n## Properties in WITH\n\n| property | meaning |\n|---|---|\n");
    for (name, meaning) in PROPERTIES {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page.push_str("\n## Reserved words\n\nAs names they need back-ticks: ");
    let ticked = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(page, "{}.", ticked(reserved_words()));
    let _ = writeln!(page, "\nThese need none, but statements are shown with them: {}.", ticked(quoted_words()));
    page
}

/// Units of windows.
const UNITS: &[&str] = &["MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::TimeUnit;
    use crate::parser::{parse, parse_type};

    #[test]
    fn the_page_is_as_the_tables_make_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql-reference.md");
        let page = reference();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page, "run this test with UPDATE_DOCS=1");
    }

    #[test]
    fn every_example_is_of_the_language() {
        for entry in STATEMENTS.iter().flat_map(|group| group.entries) {
            let parsed = parse(entry.example).unwrap_or_else(|error| panic!("{}: {error}", entry.example));
            let types = |_: &str| None;
            parsed[0].prepare(&types).unwrap_or_else(|error| panic!("{}: {error}", entry.example));
        }
        for [name, _, _] in TYPES {
            parse_type(name, &|_| None).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for [window, _] in WINDOWS {
            let query = format!("SELECT a, COUNT(*) FROM s WINDOW {window} GROUP BY a EMIT CHANGES;");
            parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
        for unit in UNITS {
            for word in [(*unit).to_owned(), format!("{unit}S")] {
                assert!(TimeUnit::parse(&word).is_some(), "{word}");
            }
        }
    }
}
