//! Avro beside Java Avro: canonical texts, compatibility findings and bytes recorded from it (`tests/golden`).

use milena_schema::document::{self, Node, Spelling};

use milena_schema::{CompatibilityPolicy, ParseOptions, ParsedSchema, ResolvedReference, SchemaType};

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| line.split('\t').collect())
}

fn avro(text: &str, references: &[ResolvedReference]) -> Result<ParsedSchema, String> {
    ParsedSchema::parse(SchemaType::Avro, text, references, &ParseOptions::NEW).map_err(|error| error.to_string())
}

#[test]
fn canonical_texts_and_refusals_are_those_of_java() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("golden/avro_canonical.tsv")) {
        let (expected, texts) = row.split_last().unwrap();
        let (schema, references) = texts.split_last().unwrap();
        let references: Vec<ResolvedReference> = references
            .iter()
            .map(|text| ResolvedReference { name: "reference".to_owned(), schema: (*text).to_owned(), direct: true })
            .collect();
        match (avro(schema, &references), expected.strip_prefix("ERROR ")) {
            (Err(_), Some(_)) => {}
            (Ok(parsed), None) if parsed.canonical() == *expected => {
                // What was printed is printed the same when it is read again.
                let again = avro(parsed.canonical(), &references).unwrap();
                assert_eq!(again.canonical(), parsed.canonical());
            }
            (ours, _) => wrong.push(format!(
                "{schema}\n  expected {expected}\n  found    {}",
                ours.map_or_else(|error| error, |parsed| parsed.canonical().to_owned())
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn compatibility_findings_are_those_of_java() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("golden/avro_compatibility.tsv")) {
        let [reader, writer, expected] = row[..] else { panic!("three columns: {row:?}") };
        let found =
            avro(reader, &[]).unwrap().incompatibilities(&avro(writer, &[]).unwrap(), CompatibilityPolicy::Strict);
        let told: Vec<String> = found
            .iter()
            .map(|finding| {
                let info = finding.additional_info.as_deref().unwrap_or_default();
                format!("{} {} {info}", finding.error_type, finding.location)
            })
            .collect();
        let told = told.join("; ");
        // Java stops with an exception where an alias makes two fields of the writer match.
        let is_same = if expected == "EXCEPTION" { told.contains("AMBIGUOUS_ALIAS") } else { told == expected };
        if !is_same {
            wrong.push(format!("reader {reader}\nwriter {writer}\n  expected {expected}\n  found    {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bytes_and_what_is_read_back_are_those_of_java() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("golden/avro_binary.tsv")) {
        let [schema, json, bytes, read_back] = row[..] else { panic!("four columns: {row:?}") };
        let parsed = avro(schema, &[]).unwrap();
        let written = parsed.encode(&serde_json::from_str(json).unwrap(), None);
        let same = match &written {
            Err(_) => bytes == "ERROR",
            Ok(payload) => {
                let hex: String = payload.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let value = parsed.decode(&payload.bytes, None).unwrap();
                let expected = document::read(read_back).map(|node| node.text(Spelling::Java)).unwrap_or_default();
                hex == bytes && Node::from_value(&value).text(Spelling::Java) == expected
            }
        };
        if !same {
            wrong.push(format!("{schema} {json}\n  expected {bytes} {read_back}\n  found    {written:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
