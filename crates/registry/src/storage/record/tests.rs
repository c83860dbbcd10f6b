//! The bytes of keys, and values as this and other registries write them.

use proptest::prelude::*;

use super::*;

fn key_text(key: &Key) -> String {
    String::from_utf8(key.encode()).unwrap()
}

#[test]
fn keys_have_exactly_the_documented_bytes() {
    let subject = || "s/\"ä".to_owned();
    let name = r#""s/\"ä""#;
    assert_eq!(
        key_text(&Key::Schema { subject: subject(), version: 1 }),
        format!(r#"{{"keytype":"SCHEMA","subject":{name},"version":1,"magic":1}}"#)
    );
    assert_eq!(
        key_text(&Key::Config { subject: Some(subject()) }),
        format!(r#"{{"keytype":"CONFIG","subject":{name},"magic":0}}"#)
    );
    assert_eq!(key_text(&Key::Config { subject: None }), r#"{"keytype":"CONFIG","magic":0}"#);
    assert_eq!(key_text(&Key::Mode { subject: None }), r#"{"keytype":"MODE","magic":0}"#);
    assert_eq!(
        key_text(&Key::DeleteSubject { subject: subject() }),
        format!(r#"{{"keytype":"DELETE_SUBJECT","subject":{name},"magic":0}}"#)
    );
    assert_eq!(key_text(&Key::Noop), r#"{"keytype":"NOOP","magic":0}"#);
    assert_eq!(
        key_text(&Key::Context { tenant: TENANT.to_owned(), context: ".ctx".to_owned() }),
        r#"{"keytype":"CONTEXT","tenant":"default","context":".ctx","magic":0}"#
    );
}

#[test]
fn members_that_another_registry_writes_as_null_are_absent() {
    let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
    let value = br#"{"subject":null,"version":1,"id":4,"md5":null,"schemaType":null,"references":null,"metadata":null,
        "ruleSet":null,"schema":"\"int\"","deleted":null,"schemaTags":null}"#;
    let record = Record::decode(Some(key), Some(value)).unwrap();
    let plain = SchemaValue {
        subject: "s".to_owned(),
        version: 1,
        id: 4,
        schema: "\"int\"".to_owned(),
        ..SchemaValue::default()
    };
    assert_eq!(record, Record::schema(plain));
}

#[test]
fn every_record_reads_back_what_was_written() {
    let schema = SchemaValue {
        subject: "s".to_owned(),
        version: 2,
        id: 7,
        md5: Some("AAAA".to_owned()),
        schema_type: SchemaType::Json,
        references: vec![Reference { name: "a".to_owned(), subject: "b".to_owned(), version: 1 }],
        schema: "{}".to_owned(),
        ..SchemaValue::default()
    };
    let config = Config { alias: Some("x".to_owned()), ..Config::default() };
    let subject = || Some("s".to_owned());
    let records = [
        Record::schema(schema),
        Record::tombstone(Key::Schema { subject: "s".to_owned(), version: 1 }),
        Record::new(Key::Config { subject: subject() }, Value::Config(Box::new(config))),
        Record::new(Key::Mode { subject: None }, Value::Mode(Mode::Import)),
        Record::new(Key::DeleteSubject { subject: "s".to_owned() }, Value::DeleteSubject(3)),
        Record::new(Key::ClearSubject { subject: "s".to_owned() }, Value::ClearSubject),
        Record::tombstone(Key::Noop),
        Record::new(Key::Context { tenant: TENANT.to_owned(), context: ".c".to_owned() }, Value::Context),
        Record::new(Key::IdLimit { context: ".".to_owned() }, Value::IdLimit(12)),
    ];
    for record in records {
        let value = record.encode_value().unwrap();
        assert_eq!(Record::decode(Some(&record.key.encode()), value.as_deref()).unwrap(), record);
    }
}

#[test]
fn records_of_older_registries_are_read() {
    let old = Record::decode(
        Some(br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":0}"#),
        Some(br#"{"version":1,"id":3,"schema":"\"int\"","references":null,"extra":true}"#),
    )
    .unwrap();
    let Some(Value::Schema(value)) = old.value else { panic!("{old:?}") };
    assert_eq!((value.subject.as_str(), value.id, value.schema_type), ("s", 3, SchemaType::Avro));
    assert!(!value.deleted && value.references.is_empty());
    let global = Record::decode(
        Some(br#"{"keytype":"CONFIG","subject":null,"magic":0}"#),
        Some(br#"{"compatibilityLevel":"FULL"}"#),
    );
    assert_eq!(global.unwrap().key, Key::Config { subject: None });
}

#[test]
fn what_nobody_can_read_is_an_error_and_not_a_panic() {
    type Read<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);
    let undecodable: [Read<'_>; 6] = [
        (None, None),
        (Some(b"not json"), None),
        (Some(b"[]"), None),
        (Some(br#"{"keytype":"FUTURE"}"#), None),
        (Some(br#"{"keytype":"SCHEMA","subject":"s"}"#), None),
        (Some(br#"{"keytype":"MODE","magic":0}"#), Some(b"not json")),
    ];
    for (key, value) in undecodable {
        assert!(Record::decode(key, value).is_err(), "{key:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_an_error(key in ".*", value in ".*") {
        let _ = Record::decode(Some(key.as_bytes()), Some(value.as_bytes()));
        for kind in ["SCHEMA", "CONFIG", "MODE", "DELETE_SUBJECT", "CONTEXT", "ASSOC", "ID_LIMIT"] {
            let key = format!(r#"{{"keytype":"{kind}","subject":"s","version":1,"context":".","magic":1}}"#);
            let _ = Record::decode(Some(key.as_bytes()), Some(value.as_bytes()));
        }
    }

    #[test]
    fn keys_read_back_whatever_the_subject_is_called(subject in ".+", version in 1..i32::MAX) {
        for key in [
            Key::Schema { subject: subject.clone(), version },
            Key::Config { subject: Some(subject.clone()) },
            Key::DeleteSubject { subject: subject.clone() },
            Key::Context { tenant: TENANT.to_owned(), context: subject.clone() },
        ] {
            prop_assert_eq!(Record::decode(Some(&key.encode()), None).unwrap().key, key);
        }
    }
}
