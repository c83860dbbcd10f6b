//! Which ACLs the options mean.

use std::fmt;

use milena_metadata::acl::{
    AclBinding, AclFilter, AclOperation, AclPermission, CLUSTER_NAME, PatternFilter, PatternType, ResourceType,
};

use crate::failure::Failure;
use crate::options::Parsed;

/// A resource, and what is added to it or removed from it; no entry means everything when removing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) resource_type: ResourceType,
    pub(super) name: String,
    pub(super) pattern: PatternFilter,
    pub(super) entries: Vec<Entry>,
}

/// Who may, or may not, do what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) principal: String,
    pub(super) host: String,
    pub(super) operation: AclOperation,
    pub(super) permission: AclPermission,
}

impl Entry {
    pub(super) fn of(binding: &AclBinding) -> Entry {
        Entry {
            principal: binding.principal.clone(),
            host: binding.host.clone(),
            operation: binding.operation,
            permission: binding.permission,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { principal, host, operation, permission } = self;
        let (operation, permission) = (operation.name(), permission.name());
        write!(f, "(principal={principal}, host={host}, operation={operation}, permissionType={permission})")
    }
}

/// Options that name resources.
const RESOURCES: &[(&str, ResourceType)] = &[
    ("topic", ResourceType::Topic),
    ("group", ResourceType::Group),
    ("transactional-id", ResourceType::TransactionalId),
    ("delegation-token", ResourceType::DelegationToken),
    ("user-principal", ResourceType::User),
];

/// What can be done with resources of a type, besides everything.
fn operations_of(resource_type: ResourceType) -> &'static [AclOperation] {
    use AclOperation::*;
    match resource_type {
        ResourceType::Topic => &[Create, Describe, Delete, Write, AlterConfigs, All, Alter, Read, DescribeConfigs],
        ResourceType::Group => &[Describe, Delete, AlterConfigs, All, Read, DescribeConfigs],
        ResourceType::Cluster => {
            &[Create, Describe, ClusterAction, IdempotentWrite, AlterConfigs, All, Alter, DescribeConfigs]
        }
        ResourceType::TransactionalId => &[Describe, Write, TwoPhaseCommit, All],
        ResourceType::DelegationToken => &[Describe, All],
        ResourceType::User => &[CreateTokens, DescribeTokens, All],
    }
}

/// The name of a pattern as Kafka's tool prints it.
pub(super) fn pattern_name(pattern: PatternFilter) -> &'static str {
    match pattern {
        PatternFilter::Any => "ANY",
        PatternFilter::Match => "MATCH",
        PatternFilter::Exactly(pattern_type) => pattern_type.name(),
    }
}

fn pattern(options: &Parsed) -> Result<PatternFilter, Failure> {
    let word = options.value("resource-pattern-type").unwrap_or("literal").to_uppercase();
    let pattern = match word.as_str() {
        "ANY" => Some(PatternFilter::Any),
        "MATCH" => Some(PatternFilter::Match),
        name => PatternType::from_name(name).map(PatternFilter::Exactly),
    };
    match pattern {
        Some(PatternFilter::Any | PatternFilter::Match) if options.has("add") => {
            Err(options.usage(format!("A '--resource-pattern-type' value of '{word}' is not valid when adding acls.")))
        }
        Some(pattern) => Ok(pattern),
        None => Err(options.usage(format!("Unknown '--resource-pattern-type' {word}"))),
    }
}

/// The resources named, each with no entries yet.
fn resources(options: &Parsed) -> Result<Vec<Change>, Failure> {
    let pattern = pattern(options)?;
    let change = |resource_type, name: &str, pattern| Change {
        resource_type,
        name: name.trim().to_owned(),
        pattern,
        entries: Vec::new(),
    };
    let mut resources: Vec<Change> = RESOURCES
        .iter()
        .flat_map(|(option, resource_type)| {
            options.values(option).into_iter().map(|name| change(*resource_type, name, pattern)).collect::<Vec<_>>()
        })
        .collect();
    if options.has("cluster") || (options.has("idempotent") && !options.has("producer")) {
        resources.push(cluster());
    }
    Ok(resources)
}

fn cluster() -> Change {
    Change {
        resource_type: ResourceType::Cluster,
        name: CLUSTER_NAME.to_owned(),
        pattern: PatternFilter::Exactly(PatternType::Literal),
        entries: Vec::new(),
    }
}

/// What `--list` asks for: every binding, unless resources are named.
pub(super) fn resource_filters(options: &Parsed) -> Result<Vec<AclFilter>, Failure> {
    let resources = resources(options)?;
    if resources.is_empty() {
        return Ok(vec![AclFilter::any()]);
    }
    let filters = resources.into_iter().map(|resource| AclFilter {
        resource_type: Some(resource.resource_type),
        resource_name: Some(resource.name),
        pattern: resource.pattern,
        ..AclFilter::any()
    });
    Ok(filters.collect())
}

/// Refuses `--producer` and `--consumer` without the resources that they need.
pub(super) fn check_shortcuts(options: &Parsed) -> Result<(), Failure> {
    if options.has("producer") && !options.has("topic") {
        return Err(options.usage("With --producer you must specify a --topic"));
    }
    if options.has("idempotent") && !options.has("producer") {
        return Err(options.usage("The --idempotent option is only available if --producer is set"));
    }
    let consumes = options.has("topic") && options.has("group");
    let foreign = !options.has("producer") && (options.has("cluster") || options.has("transactional-id"));
    if options.has("consumer") && (!consumes || foreign) {
        return Err(options.usage(
            "With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option \
             should be specified.",
        ));
    }
    Ok(())
}

/// What is to be added or removed, by resource.
pub(super) fn changes(options: &Parsed) -> Result<Vec<Change>, Failure> {
    let named = resources(options)?;
    if named.is_empty() {
        return Err(options.usage(
            "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or \
             --delegation-token <Delegation Token ID>",
        ));
    }
    if options.has("add") && !options.has("allow-principal") && !options.has("deny-principal") {
        return Err(
            options.usage("You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.")
        );
    }
    let mut changes = Vec::new();
    if options.has("producer") {
        changes.extend(for_producer(options, &named)?);
    }
    if options.has("consumer") {
        changes.extend(for_consumer(options, &named)?);
    }
    if changes.is_empty() {
        let words = options.values("operation");
        for mut change in named {
            let operations = match words.is_empty() {
                true => vec![AclOperation::All],
                false => words.iter().map(|word| operation(options, &change, word)).collect::<Result<_, _>>()?,
            };
            change.entries = entries(options, &operations)?;
            changes.push(change);
        }
    }
    Ok(changes)
}

fn operation(options: &Parsed, change: &Change, word: &str) -> Result<AclOperation, Failure> {
    // `IdempotentWrite`, `idempotent_write` and `IDEMPOTENT_WRITE` are the same.
    let plain = |text: &str| text.replace(['_', '-'], "").to_uppercase();
    let known = operations_of(change.resource_type);
    known.iter().copied().find(|operation| plain(operation.name()) == plain(word)).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|operation| operation.name()).collect();
        let resource_type = change.resource_type.name();
        options.usage(format!("ResourceType {resource_type} only supports operations [{}]", names.join(", ")))
    })
}

fn with(change: &Change, entries: Vec<Entry>) -> Change {
    Change { entries, ..change.clone() }
}

fn for_producer(options: &Parsed, named: &[Change]) -> Result<Vec<Change>, Failure> {
    use AclOperation::{Create, Describe, IdempotentWrite, Write};
    let mut changes = Vec::new();
    for change in named {
        let operations: &[AclOperation] = match change.resource_type {
            ResourceType::Topic => &[Write, Describe, Create],
            ResourceType::TransactionalId => &[Write, Describe],
            _ => continue,
        };
        changes.push(with(change, entries(options, operations)?));
    }
    if options.has("idempotent") {
        changes.push(with(&cluster(), entries(options, &[IdempotentWrite])?));
    }
    Ok(changes)
}

fn for_consumer(options: &Parsed, named: &[Change]) -> Result<Vec<Change>, Failure> {
    use AclOperation::{Describe, Read};
    let mut changes = Vec::new();
    for change in named {
        let operations: &[AclOperation] = match change.resource_type {
            ResourceType::Topic => &[Read, Describe],
            ResourceType::Group => &[Read],
            _ => continue,
        };
        changes.push(with(change, entries(options, operations)?));
    }
    Ok(changes)
}

/// Every combination of principal, host and operation; none when no principal is named.
fn entries(options: &Parsed, operations: &[AclOperation]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let sides =
        [("allow-principal", "allow-host", AclPermission::Allow), ("deny-principal", "deny-host", AclPermission::Deny)];
    for (principals, hosts, permission) in sides {
        let principals = options.values(principals);
        let hosts = match options.values(hosts) {
            hosts if hosts.is_empty() => vec!["*"],
            hosts => hosts,
        };
        for principal in &principals {
            if principal.split_once(':').is_none_or(|(kind, _)| kind.is_empty()) {
                return Err(Failure::illegal_argument(format!(
                    "expected a string in format principalType:principalName but got {principal}"
                )));
            }
            for host in &hosts {
                entries.extend(operations.iter().map(|operation| Entry {
                    principal: principal.trim().to_owned(),
                    host: (*host).to_owned(),
                    operation: *operation,
                    permission,
                }));
            }
        }
    }
    Ok(entries)
}
