//! The authorizer's decisions against Kafka's rules, and against a naive reading of them.

use std::net::IpAddr;

use milena_metadata::acl::{AclBinding, AclOperation, AclPermission, PatternType, ResourceType};
use proptest::prelude::*;

use super::rules::{AclRules, Decision};
use crate::security::Principal;

fn binding(pattern_type: PatternType, name: &str, principal: &str, host: &str) -> AclBinding {
    AclBinding {
        resource_type: ResourceType::Topic,
        pattern_type,
        resource_name: name.to_owned(),
        principal: principal.to_owned(),
        host: host.to_owned(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    }
}

fn literal(name: &str, principal: &str) -> AclBinding {
    binding(PatternType::Literal, name, principal, "*")
}

fn prefixed(name: &str, principal: &str) -> AclBinding {
    binding(PatternType::Prefixed, name, principal, "*")
}

fn local() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn decide(bindings: &[AclBinding], user: &str, operation: AclOperation, name: &str) -> Decision {
    AclRules::new(bindings).decide(&Principal::user(user), local(), operation, ResourceType::Topic, name)
}

#[test]
fn a_resource_without_rules_is_told_from_one_with_rules_for_others() {
    let rules = [literal("orders", "User:alice")];
    assert_eq!(decide(&rules, "bob", AclOperation::Read, "payments"), Decision::NoRules);
    assert_eq!(decide(&rules, "bob", AclOperation::Read, "orders"), Decision::Denied);
    assert_eq!(decide(&rules, "alice", AclOperation::Read, "orders"), Decision::Allowed);
}

#[test]
fn literal_wildcard_and_prefixed_rules_apply() {
    let rules = [literal("*", "User:reader"), prefixed("team-", "User:team"), literal("team-x", "User:*")];
    assert_eq!(decide(&rules, "reader", AclOperation::Read, "anything"), Decision::Allowed);
    assert_eq!(decide(&rules, "team", AclOperation::Read, "team-a"), Decision::Allowed);
    assert_eq!(decide(&rules, "team", AclOperation::Read, "tea"), Decision::Denied);
    assert_eq!(decide(&rules, "nobody", AclOperation::Read, "team-x"), Decision::Allowed);
    assert_eq!(decide(&rules, "nobody", AclOperation::Read, "team-xy"), Decision::Denied);
}

#[test]
fn a_denial_wins_whatever_allows() {
    let mut deny = prefixed("te", "User:team");
    deny.permission = AclPermission::Deny;
    let rules = [literal("*", "User:team"), literal("team", "User:team"), deny];
    assert_eq!(decide(&rules, "team", AclOperation::Read, "team"), Decision::Denied);
    assert_eq!(decide(&rules, "team", AclOperation::Read, "other"), Decision::Allowed);
}

#[test]
fn operations_imply_describing_but_their_denial_does_not_forbid_it() {
    for operation in [AclOperation::Read, AclOperation::Write, AclOperation::Delete, AclOperation::Alter] {
        let rules = [AclBinding { operation, ..literal("t", "User:u") }];
        assert_eq!(decide(&rules, "u", AclOperation::Describe, "t"), Decision::Allowed, "{operation:?}");
        assert_eq!(decide(&rules, "u", AclOperation::DescribeConfigs, "t"), Decision::Denied, "{operation:?}");
    }
    let alter = AclBinding { operation: AclOperation::AlterConfigs, ..literal("t", "User:u") };
    assert_eq!(decide(&[alter], "u", AclOperation::DescribeConfigs, "t"), Decision::Allowed);
    let describe = AclBinding { operation: AclOperation::Describe, ..literal("t", "User:u") };
    let no_read = AclBinding { permission: AclPermission::Deny, ..literal("t", "User:u") };
    assert_eq!(decide(&[describe, no_read], "u", AclOperation::Describe, "t"), Decision::Allowed);
}

#[test]
fn all_covers_every_operation_for_allowing_and_denying() {
    for operation in AclOperation::ALL {
        let all = AclBinding { operation: AclOperation::All, ..literal("t", "User:u") };
        assert_eq!(decide(std::slice::from_ref(&all), "u", *operation, "t"), Decision::Allowed);
        let none = AclBinding { permission: AclPermission::Deny, ..all.clone() };
        assert_eq!(decide(&[all, none], "u", *operation, "t"), Decision::Denied);
    }
}

#[test]
fn hosts_are_addresses_ranges_or_everywhere() {
    let decide_from = |host: &str, peer: &str| {
        let rules = AclRules::new(&[binding(PatternType::Literal, "t", "User:u", host)]);
        let peer: IpAddr = peer.parse().expect("an address");
        let decision = rules.decide(&Principal::user("u"), peer, AclOperation::Read, ResourceType::Topic, "t");
        decision == Decision::Allowed
    };
    assert!(decide_from("10.1.2.3", "10.1.2.3"));
    assert!(!decide_from("10.1.2.3", "10.1.2.4"));
    assert!(decide_from("10.1.0.0/16", "10.1.255.4"));
    assert!(!decide_from("10.1.0.0/16", "10.2.0.0"));
    assert!(decide_from("0.0.0.0/0", "192.168.0.1"));
    assert!(!decide_from("0.0.0.0/0", "::1"));
    assert!(decide_from("2001:db8::/32", "2001:db8:1::7"));
    assert!(!decide_from("2001:db8::/32", "2001:db9::7"));
    assert!(!decide_from("10.0.0.0/33", "10.0.0.0"));
    assert!(!decide_from("example.org", "10.0.0.0"));
}

#[test]
fn a_prefix_that_ends_inside_a_character_is_no_prefix() {
    assert_eq!(
        decide(&[prefixed("a", "User:u"), prefixed("ab", "User:u")], "u", AclOperation::Read, "aé"),
        Decision::Allowed
    );
    assert_eq!(decide(&[prefixed("ab", "User:u")], "u", AclOperation::Read, "aé"), Decision::NoRules);
}

#[test]
fn some_resource_is_allowed_unless_a_denial_covers_it() {
    let some = |bindings: &[AclBinding]| {
        AclRules::new(bindings).allows_some(&Principal::user("u"), local(), AclOperation::Read, ResourceType::Topic)
    };
    let denied = |mut binding: AclBinding| {
        binding.permission = AclPermission::Deny;
        binding
    };
    assert!(!some(&[]));
    assert!(some(&[literal("t", "User:u")]));
    assert!(!some(&[literal("t", "User:other")]));
    assert!(some(&[prefixed("t", "User:u"), denied(prefixed("te", "User:u"))]));
    assert!(!some(&[prefixed("te", "User:u"), denied(prefixed("t", "User:u"))]));
    assert!(!some(&[literal("t", "User:u"), denied(literal("t", "User:u"))]));
    assert!(!some(&[literal("*", "User:u"), denied(literal("*", "User:u"))]));
    assert!(some(&[literal("*", "User:u"), denied(literal("t", "User:u"))]));
}

/// The rules as the specification states them, without any index.
fn naive(bindings: &[AclBinding], user: &str, operation: AclOperation, name: &str) -> Decision {
    let covers = |binding: &AclBinding| match binding.pattern_type {
        PatternType::Literal => binding.resource_name == "*" || binding.resource_name == name,
        PatternType::Prefixed => name.starts_with(&binding.resource_name),
    };
    let rules: Vec<&AclBinding> = bindings.iter().filter(|binding| covers(binding)).collect();
    let concerns = |binding: &AclBinding| {
        let principal = binding.principal == "User:*" || binding.principal == format!("User:{user}");
        let implied: &[AclOperation] = match (binding.permission, operation) {
            (AclPermission::Allow, AclOperation::Describe) => {
                &[AclOperation::Read, AclOperation::Write, AclOperation::Delete, AclOperation::Alter]
            }
            (AclPermission::Allow, AclOperation::DescribeConfigs) => &[AclOperation::AlterConfigs],
            _ => &[],
        };
        let named = binding.operation == operation || binding.operation == AclOperation::All;
        principal && (named || implied.contains(&binding.operation))
    };
    if rules.is_empty() {
        return Decision::NoRules;
    }
    let fitting = |permission| rules.iter().any(|rule| rule.permission == permission && concerns(rule));
    if fitting(AclPermission::Deny) || !fitting(AclPermission::Allow) { Decision::Denied } else { Decision::Allowed }
}

fn any_binding() -> impl Strategy<Value = AclBinding> {
    let name = prop_oneof![Just("*".to_owned()), "[ab]{0,3}"];
    let user = prop_oneof![Just("User:*"), Just("User:u"), Just("User:v")];
    let operation = proptest::sample::select(AclOperation::ALL);
    (any::<bool>(), name, user, operation, any::<bool>()).prop_map(|(is_prefixed, name, user, operation, allow)| {
        AclBinding {
            pattern_type: if is_prefixed { PatternType::Prefixed } else { PatternType::Literal },
            operation,
            permission: if allow { AclPermission::Allow } else { AclPermission::Deny },
            ..literal(&name, user)
        }
    })
}

proptest! {
    #[test]
    fn the_index_decides_like_a_naive_reading(
        bindings in proptest::collection::vec(any_binding(), 0..12),
        operation in proptest::sample::select(AclOperation::ALL),
        name in "[ab]{1,4}",
    ) {
        prop_assert_eq!(decide(&bindings, "u", operation, &name), naive(&bindings, "u", operation, &name));
    }
}
