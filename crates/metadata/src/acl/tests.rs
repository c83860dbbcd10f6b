//! Which bindings a filter means and which concern a resource.

use super::*;

fn binding(pattern_type: PatternType, name: &str) -> AclBinding {
    AclBinding {
        resource_type: ResourceType::Topic,
        pattern_type,
        resource_name: name.to_owned(),
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    }
}

fn index() -> AclIndex {
    let mut index = AclIndex::default();
    for (pattern_type, name) in [
        (PatternType::Literal, "orders"),
        (PatternType::Literal, "*"),
        (PatternType::Prefixed, "ord"),
        (PatternType::Prefixed, "orders-"),
        (PatternType::Prefixed, "pay"),
        (PatternType::Literal, "ord"),
    ] {
        assert!(index.insert(binding(pattern_type, name)));
    }
    index
}

fn names<'a>(bindings: impl Iterator<Item = &'a AclBinding>) -> Vec<(PatternType, &'a str)> {
    let mut names: Vec<_> = bindings.map(|found| (found.pattern_type, found.resource_name.as_str())).collect();
    names.sort();
    names
}

#[test]
fn a_resource_is_concerned_by_its_name_the_wildcard_and_its_prefixes() {
    use PatternType::{Literal, Prefixed};
    let index = index();
    let found = |name| names(index.matching(ResourceType::Topic, name));
    assert_eq!(found("orders"), [(Literal, "*"), (Literal, "orders"), (Prefixed, "ord")]);
    assert_eq!(found("orders-eu"), [(Literal, "*"), (Prefixed, "ord"), (Prefixed, "orders-")]);
    assert_eq!(found("ord"), [(Literal, "*"), (Literal, "ord"), (Prefixed, "ord")]);
    assert_eq!(found("*"), [(Literal, "*")]);
    assert_eq!(found("öl"), [(Literal, "*")], "a prefix length inside a character matches nothing");
    assert_eq!(names(index.matching(ResourceType::Group, "orders")), []);
    assert_eq!(index.of_type(ResourceType::Topic).count(), 6);
}

#[test]
fn a_match_filter_means_the_bindings_that_concern_the_name() {
    let index = index();
    let filter = |pattern| AclFilter { pattern, resource_name: Some("orders-eu".to_owned()), ..AclFilter::any() };
    let meant = |filter: AclFilter| names(index.iter().filter(|binding| filter.matches(binding)));
    assert_eq!(meant(filter(PatternFilter::Match)), names(index.matching(ResourceType::Topic, "orders-eu")));
    assert_eq!(meant(filter(PatternFilter::Any)), []);
    let exactly = |pattern, name: &str| AclFilter { pattern, resource_name: Some(name.to_owned()), ..AclFilter::any() };
    assert_eq!(meant(exactly(PatternFilter::Any, "ord")).len(), 2);
    assert_eq!(meant(exactly(PatternFilter::Exactly(PatternType::Prefixed), "ord")).len(), 1);
    assert_eq!(meant(AclFilter::any()).len(), 6);
    assert_eq!(meant(AclFilter { principal: Some("User:bob".to_owned()), ..AclFilter::any() }), []);
    assert_eq!(meant(AclFilter { operation: Some(AclOperation::All), ..AclFilter::any() }), []);
}

#[test]
fn what_is_removed_is_found_no_more() {
    let mut index = index();
    assert!(!index.insert(binding(PatternType::Literal, "orders")), "a binding is there once");
    for name in ["ord", "orders-", "pay"] {
        assert!(index.remove(&binding(PatternType::Prefixed, name)));
    }
    assert!(!index.remove(&binding(PatternType::Prefixed, "pay")));
    assert_eq!(names(index.matching(ResourceType::Topic, "orders-eu")), [(PatternType::Literal, "*")]);
    assert_eq!(index.len(), 3);
    assert!(index.by_type[&ResourceType::Topic].prefix_lengths.is_empty());
}

#[test]
fn codes_and_names_lead_back_to_their_values() {
    for operation in AclOperation::ALL {
        assert_eq!(AclOperation::from_code(operation.code()), Some(*operation));
        assert_eq!(AclOperation::from_name(&operation.name().to_lowercase()), Some(*operation));
    }
    assert_eq!((ResourceType::from_code(1), ResourceType::from_code(0)), (None, None));
    for code in 1..=4 {
        assert_eq!(PatternFilter::from_code(code).map(PatternFilter::code), Some(code));
    }
}
