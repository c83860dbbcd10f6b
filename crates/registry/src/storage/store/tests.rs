//! What a sequence of records adds up to.

use super::*;

fn schema(subject: &str, version: i32, id: i32, text: &str) -> Record {
    Record::schema(SchemaValue {
        subject: subject.to_owned(),
        version,
        id,
        schema: text.to_owned(),
        ..SchemaValue::default()
    })
}

fn store(records: impl IntoIterator<Item = Record>) -> Store {
    let mut store = Store::default();
    for (at, record) in records.into_iter().enumerate() {
        store.apply(record, at as i64).unwrap();
    }
    store
}

fn versions(store: &Store, subject: &str, which: Which) -> Vec<i32> {
    store.versions(&Subject::parse(subject), which).map(|version| version.version).collect()
}

#[test]
fn one_content_has_one_id_for_all_subjects_of_a_context() {
    let store = store([schema("a", 1, 1, "x"), schema("b", 1, 1, "x"), schema(":.c:a", 1, 1, "y")]);
    let md5 = store.by_id(".", 1).unwrap().0.md5;
    assert_eq!(store.id_of(".", &md5), Some(1));
    assert_eq!(store.registrations(".", 1).count(), 2);
    assert_eq!(&*store.by_id(".c", 1).unwrap().0.schema, "y");
    assert_eq!(store.ids_of_guid(&md5), [(".", 1)]);
    assert_eq!(store.contexts(), [".", ".c"]);
}

#[test]
fn a_soft_deleted_version_is_hidden_and_a_hard_deleted_one_gone() {
    let delete = Record::new(Key::DeleteSubject { subject: "a".to_owned() }, Value::DeleteSubject(1));
    let mut store = store([schema("a", 1, 1, "x"), schema("a", 2, 2, "y"), delete]);
    assert_eq!(versions(&store, "a", Which::Undeleted), [2]);
    assert_eq!(versions(&store, "a", Which::WithDeleted), [1, 2]);
    assert_eq!(versions(&store, "a", Which::OnlyDeleted), [1]);
    assert!(store.by_id(".", 1).is_some());
    store.apply(Record::tombstone(Key::Schema { subject: "a".to_owned(), version: 1 }), 9).unwrap();
    assert_eq!(versions(&store, "a", Which::WithDeleted), [2]);
    assert!(store.by_id(".", 1).is_none());
    assert_eq!(store.id_max("."), 2);
}

#[test]
fn the_first_schema_keeps_a_contested_id() {
    let mut store = store([schema("a", 1, 1, "x")]);
    assert!(store.apply(schema("b", 1, 1, "y"), 1).is_err());
    assert_eq!(&*store.by_id(".", 1).unwrap().0.schema, "x");
    assert!(versions(&store, "b", Which::WithDeleted).is_empty());
    // The same key may be written again with another text.
    store.apply(schema("a", 1, 1, "z"), 2).unwrap();
    assert_eq!(&*store.by_id(".", 1).unwrap().0.schema, "z");
}

#[test]
fn references_are_found_from_the_other_side() {
    let referring = |deleted| {
        Record::schema(SchemaValue {
            subject: ":.c:b".to_owned(),
            version: 1,
            id: 2,
            schema: "y".to_owned(),
            references: vec![Reference { name: "x".to_owned(), subject: "a".to_owned(), version: 1 }],
            deleted,
            ..SchemaValue::default()
        })
    };
    let mut store = store([schema(":.c:a", 1, 1, "x"), referring(false)]);
    let target = Subject::parse(":.c:a");
    assert_eq!(store.referrers(&target, 1, Which::Undeleted).len(), 1);
    store.apply(referring(true), 3).unwrap();
    assert_eq!(store.referrers(&target, 1, Which::Undeleted).len(), 0);
    assert_eq!(store.referrers(&target, 1, Which::WithDeleted).len(), 1);
    store.apply(Record::tombstone(Key::Schema { subject: ":.c:b".to_owned(), version: 1 }), 4).unwrap();
    assert!(store.referrers(&target, 1, Which::WithDeleted).is_empty());
}

#[test]
fn an_id_that_was_deleted_for_good_is_remembered() {
    let limit = Record::new(Key::IdLimit { context: ".".to_owned() }, Value::IdLimit(41));
    assert_eq!(store([limit]).id_max("."), 41);
}

#[test]
fn a_subject_counts_as_deleted_when_nothing_of_it_is_left() {
    let delete = |subject: &str, last| {
        Record::new(Key::DeleteSubject { subject: subject.to_owned() }, Value::DeleteSubject(last))
    };
    let store =
        store([schema("a", 1, 1, "x"), schema("b", 1, 1, "x"), schema("b", 2, 2, "y"), delete("a", 1), delete("b", 1)]);
    let names = |which| store.subjects(which).map(|(_, name)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(Which::Undeleted), ["b"]);
    assert_eq!(names(Which::WithDeleted), ["a", "b"]);
    assert_eq!(names(Which::OnlyDeleted), ["a"]);
}
