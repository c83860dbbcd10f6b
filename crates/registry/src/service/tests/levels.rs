//! The seven levels over a history of versions, for each format (`levels.tsv`).

use serde_json::json;

use super::*;

const LEVELS: [&str; 7] =
    ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

/// A line of the table: the type, the versions from the first to the latest, the candidate, and the levels at which it
/// is compatible.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>)> {
    let lines = include_str!("levels.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [schema_type, versions, candidate, levels] = columns[..] else { panic!("four columns: {line}") };
        let levels = match levels {
            "all" => LEVELS.to_vec(),
            listed => std::iter::once("NONE").chain(listed.split(' ').filter(|level| !level.is_empty())).collect(),
        };
        (schema_type, versions.split(" || ").collect(), candidate, levels)
    })
}

#[tokio::test]
async fn a_schema_is_compatible_at_the_levels_of_the_table() {
    for (schema_type, versions, candidate, expected) in rows() {
        let service = service();
        let body = |text: &str| request_json(json!({"schema": text, "schemaType": schema_type}));
        set_level(&service, "s", "NONE").await;
        for text in &versions {
            service.register(&subject("s"), body(text), RegisterOptions::default()).await.unwrap();
        }
        let mut found = Vec::new();
        for level in LEVELS {
            set_level(&service, "s", level).await;
            if service.compatibility_with_all(&subject("s"), &body(candidate), false, false).unwrap().is_compatible {
                found.push(level);
            }
        }
        assert_eq!(found, expected, "{versions:?} -> {candidate}");
    }
}
