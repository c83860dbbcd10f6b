//! What the generator promises about names, versions and freshness.

use super::model::Versions;
use super::{names, parse};

#[test]
fn names_follow_the_protocol() {
    assert_eq!(names::snake("GenerationIdOrMemberEpoch"), "generation_id_or_member_epoch");
    assert_eq!(names::snake("V3AndBelowTopics"), "v3_and_below_topics");
    assert_eq!(names::snake("KRaftVersionFeature"), "kraft_version_feature");
    assert_eq!(names::snake("timeoutMs"), "timeout_ms");
    assert_eq!(names::field_ident("Match"), "r#match");
    assert_eq!(names::singular("Entries"), "Entry");
    assert_eq!(names::singular("StateBatches"), "StateBatch");
    assert_eq!(names::singular("Status"), "Status");
    assert_eq!(names::singular("ForgottenTopicsData"), "ForgottenTopicsData");
}

#[test]
fn a_taken_struct_name_gets_its_parent_before_it() {
    let text = "M v0-2 flex 2+: Topics:[{Name:str}], Groups:[{Topics:[{P:[i32]}]}], M:{A:i8}\n";
    let message = parse::messages(text).expect("valid notation").remove(0);
    let names: Vec<_> = names::resolve(&message).into_iter().map(|item| item.name).collect();
    assert_eq!(names, ["M", "Topic", "Group", "GroupTopic", "MM"]);
}

#[test]
fn conditions_are_as_short_as_the_message_allows() {
    let whole = Versions { first: 1, last: Some(5) };
    let condition = |first, last| Versions { first, last }.condition(whole);
    assert_eq!(condition(0, None), None);
    assert_eq!(condition(1, Some(9)), None);
    assert_eq!(condition(2, None).as_deref(), Some("version >= 2"));
    assert_eq!(condition(0, Some(1)).as_deref(), Some("version == 1"));
    assert_eq!(condition(0, Some(3)).as_deref(), Some("version <= 3"));
    assert_eq!(condition(2, Some(3)).as_deref(), Some("(2..=3).contains(&version)"));
}

#[test]
fn broken_notation_is_an_error() {
    for text in ["M v0: A:i8", "M v0 flex none: A:i9", "M v0 flex none: A:[i8", "M v0 flex none: A"] {
        assert!(parse::messages(text).is_err(), "{text}");
    }
}

#[test]
fn generated_code_is_fresh() {
    let root = crate::workspace_root().expect("workspace");
    super::check(&root).expect("generated code matches the schema");
}
