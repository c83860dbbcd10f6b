//! ACLs in the form that decisions are made by.
//!
//! A resource is ruled by the literal rules of its name, those of `*`, and the prefixed rules whose name it begins with.
//! Prefixes are looked up by each length that occurs, so the cost of a decision grows with the number of different
//! lengths and not with the number of rules.

use std::collections::HashMap;
use std::net::IpAddr;

use milena_metadata::acl::{AclBinding, AclOperation, AclPermission, PatternType, ResourceType, WILDCARD};

use crate::security::Principal;

/// The principal that means everybody.
const WILDCARD_PRINCIPAL: &str = "User:*";

/// What the rules say to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// A rule allows it and none denies it.
    Allowed,
    /// A rule denies it, or the resource has rules and none allows it.
    Denied,
    /// The resource has no rules at all.
    NoRules,
}

/// All rules, ready for decisions.
#[derive(Debug, Default)]
pub(super) struct AclRules {
    by_type: HashMap<ResourceType, RulesOfType>,
}

#[derive(Debug, Default)]
struct RulesOfType {
    literal: HashMap<String, Vec<Rule>>,
    every: Vec<Rule>,
    prefixed: HashMap<String, Vec<Rule>>,
    /// The different lengths of `prefixed`, ascending.
    prefix_lengths: Vec<usize>,
}

#[derive(Debug)]
struct Rule {
    principal: RulePrincipal,
    host: RuleHost,
    operation: AclOperation,
    permission: AclPermission,
}

#[derive(Debug)]
enum RulePrincipal {
    Everybody,
    One(Principal),
    /// Not in the form `kind:name`; such a rule was stored by somebody else and is for nobody.
    Nobody,
}

#[derive(Debug)]
enum RuleHost {
    Every,
    Range { network: IpAddr, prefix_bits: u8 },
    None,
}

impl AclRules {
    pub(super) fn new<'a>(bindings: impl IntoIterator<Item = &'a AclBinding>) -> AclRules {
        let mut rules = AclRules::default();
        for binding in bindings {
            let of_type = rules.by_type.entry(binding.resource_type).or_default();
            let list = match binding.pattern_type {
                PatternType::Literal if binding.resource_name == WILDCARD => &mut of_type.every,
                PatternType::Literal => of_type.literal.entry(binding.resource_name.clone()).or_default(),
                PatternType::Prefixed => of_type.prefixed.entry(binding.resource_name.clone()).or_default(),
            };
            list.push(Rule::new(binding));
        }
        for of_type in rules.by_type.values_mut() {
            let mut lengths: Vec<usize> = of_type.prefixed.keys().map(String::len).collect();
            lengths.sort_unstable();
            lengths.dedup();
            of_type.prefix_lengths = lengths;
        }
        rules
    }

    /// What the rules say about `operation` on one resource.
    pub(super) fn decide(
        &self,
        principal: &Principal,
        host: IpAddr,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
    ) -> Decision {
        let Some(of_type) = self.by_type.get(&resource_type) else { return Decision::NoRules };
        let mut decision = Decision::NoRules;
        for rule in of_type.rules_for(name) {
            match rule.says(principal, host, operation) {
                Some(AclPermission::Deny) => return Decision::Denied,
                Some(AclPermission::Allow) => decision = Decision::Allowed,
                None if decision == Decision::NoRules => decision = Decision::Denied,
                None => {}
            }
        }
        decision
    }

    /// Whether some resource of the type can exist to which `operation` is allowed.
    ///
    /// As Kafka does it, implied operations do not count here.
    pub(super) fn allows_some(
        &self,
        principal: &Principal,
        host: IpAddr,
        operation: AclOperation,
        resource_type: ResourceType,
    ) -> bool {
        let Some(of_type) = self.by_type.get(&resource_type) else { return false };
        let any = |rules: &[Rule], permission| {
            rules.iter().any(|rule| rule.permission == permission && rule.names(principal, host, operation))
        };
        if any(&of_type.every, AclPermission::Deny) {
            return false;
        }
        if any(&of_type.every, AclPermission::Allow) {
            return true;
        }
        // Below a denied prefix nothing can be allowed.
        let denied_above = |name: &str| of_type.prefixes_of(name).any(|rules| any(rules, AclPermission::Deny));
        let literal = of_type.literal.iter().any(|(name, rules)| {
            any(rules, AclPermission::Allow) && !any(rules, AclPermission::Deny) && !denied_above(name)
        });
        literal || of_type.prefixed.iter().any(|(name, rules)| any(rules, AclPermission::Allow) && !denied_above(name))
    }
}

impl RulesOfType {
    fn rules_for<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Rule> {
        let literal = self.literal.get(name).map_or(&[][..], Vec::as_slice);
        self.every.iter().chain(literal).chain(self.prefixes_of(name).flatten())
    }

    fn prefixes_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [Rule]> {
        let lengths = self.prefix_lengths.iter().take_while(|length| **length <= name.len());
        // A length may fall inside a character of the name; then it is no prefix of that length.
        lengths.filter_map(|length| Some(self.prefixed.get(name.get(..*length)?)?.as_slice()))
    }
}

impl Rule {
    fn new(binding: &AclBinding) -> Rule {
        let principal = if binding.principal == WILDCARD_PRINCIPAL {
            RulePrincipal::Everybody
        } else {
            Principal::parse(&binding.principal).map_or(RulePrincipal::Nobody, RulePrincipal::One)
        };
        Rule {
            principal,
            host: RuleHost::parse(&binding.host),
            operation: binding.operation,
            permission: binding.permission,
        }
    }

    /// The permission when the rule is about this request.
    fn says(&self, principal: &Principal, host: IpAddr, operation: AclOperation) -> Option<AclPermission> {
        let about = self.operation == AclOperation::All
            || self.operation == operation
            || (self.permission == AclPermission::Allow && implies(self.operation, operation));
        (about && self.is_for(principal, host)).then_some(self.permission)
    }

    /// Whether the rule names the operation or all of them.
    fn names(&self, principal: &Principal, host: IpAddr, operation: AclOperation) -> bool {
        (self.operation == AclOperation::All || self.operation == operation) && self.is_for(principal, host)
    }

    fn is_for(&self, principal: &Principal, host: IpAddr) -> bool {
        let principal_fits = match &self.principal {
            RulePrincipal::Everybody => true,
            RulePrincipal::One(one) => one.is_same(principal),
            RulePrincipal::Nobody => false,
        };
        principal_fits && self.host.contains(host)
    }
}

/// Whether being allowed `granted` includes being allowed `asked`.
fn implies(granted: AclOperation, asked: AclOperation) -> bool {
    use AclOperation::{Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write};
    match asked {
        Describe => matches!(granted, Read | Write | Delete | Alter),
        DescribeConfigs => granted == AlterConfigs,
        _ => false,
    }
}

impl RuleHost {
    fn parse(text: &str) -> RuleHost {
        if text == WILDCARD {
            return RuleHost::Every;
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let Ok(network) = address.parse::<IpAddr>() else { return RuleHost::None };
        let network = network.to_canonical();
        let most = if network.is_ipv4() { 32 } else { 128 };
        match bits.map_or(Some(most), |bits| bits.parse().ok()) {
            Some(prefix_bits) if prefix_bits <= most => RuleHost::Range { network, prefix_bits },
            _ => RuleHost::None,
        }
    }

    fn contains(&self, host: IpAddr) -> bool {
        match (self, host) {
            (RuleHost::Every, _) => true,
            (RuleHost::Range { network: IpAddr::V4(network), prefix_bits }, IpAddr::V4(host)) => {
                let differing = (network.to_bits() ^ host.to_bits()).leading_zeros();
                differing >= u32::from(*prefix_bits)
            }
            (RuleHost::Range { network: IpAddr::V6(network), prefix_bits }, IpAddr::V6(host)) => {
                let differing = (network.to_bits() ^ host.to_bits()).leading_zeros();
                differing >= u32::from(*prefix_bits)
            }
            (RuleHost::Range { .. } | RuleHost::None, _) => false,
        }
    }
}
