//! `kafka-acls`: shows, adds and removes access control lists.

mod entries;

use milena_client::{Cluster, Error};
use milena_metadata::acl::{AclBinding, AclFilter, AclOperation, AclPermission, PatternType, ResourceType};
use milena_protocol::messages::{
    CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, DescribeAclsResponse, create_acls_request,
    delete_acls_request,
};

use crate::Outcome;
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session;
use crate::terminal::Terminal;
use entries::{Change, Entry};

const SYNTAX: Syntax = Syntax {
    purpose: "Shows, adds and removes access control lists.",
    options: &[
        Opt::flag("add", "Add ACLs."),
        Opt::flag("remove", "Remove ACLs."),
        Opt::flag("list", "Show ACLs; without a resource all of them."),
        Opt::many("topic", "name", "A topic, or * for every topic."),
        Opt::many("group", "id", "A group."),
        Opt::flag("cluster", "The cluster."),
        Opt::many("transactional-id", "id", "A transactional id."),
        Opt::many("delegation-token", "id", "A delegation token."),
        Opt::many("user-principal", "principal", "A user, for its tokens."),
        Opt::one(
            "resource-pattern-type",
            "type",
            "literal (default) or prefixed; to show and remove also any and match.",
        ),
        Opt::many("allow-principal", "User:name", "Who may."),
        Opt::many("deny-principal", "User:name", "Who may not."),
        Opt::many("allow-host", "address", "From where the principals may; everywhere by default."),
        Opt::many("deny-host", "address", "From where the principals may not; everywhere by default."),
        Opt::many("operation", "operation", "Read, Write, Create, Describe, ...; All by default."),
        Opt::many("principal", "User:name", "Whose ACLs to show."),
        Opt::flag("producer", "What a producer needs: Write, Describe and Create on the topics."),
        Opt::flag("consumer", "What a consumer needs: Read and Describe on the topics, Read on the groups."),
        Opt::flag("idempotent", "With --producer: IdempotentWrite on the cluster."),
        Opt::flag("force", "Ask nothing."),
        Opt::one("bootstrap-controller", "host:port", "The controllers to connect to."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let changes = check(&options)?;
    match session::runtime()?.block_on(execute(&options, changes, terminal)) {
        Ok(()) => Ok(0),
        Err(failure @ Failure::Usage { .. }) => Err(failure),
        Err(failure) => {
            terminal.line(&format!("Error while executing ACL command: {}", failure.to_exception()));
            Ok(1)
        }
    }
}

/// Refuses contradictions; answers with what is to be added or removed.
fn check(options: &Parsed) -> Result<Vec<Change>, Failure> {
    if !options.has("bootstrap-server") && !options.has("bootstrap-controller") && !options.has("zookeeper") {
        return Err(options.usage("One of --bootstrap-server or --bootstrap-controller must be specified"));
    }
    let actions = ["list", "add", "remove"].iter().filter(|action| options.has(action)).count();
    if actions != 1 {
        return Err(options.usage("Command must include exactly one action: --list, --add, --remove. "));
    }
    let of_changes =
        ["producer", "consumer", "allow-host", "allow-principal", "deny-host", "deny-principal", "operation"];
    options.forbid("list", &of_changes)?;
    options.forbid("producer", &["operation", "deny-principal", "deny-host"])?;
    options.forbid("consumer", &["operation", "deny-principal", "deny-host"])?;
    if options.has("principal") && !options.has("list") {
        return Err(options.usage("The --principal option is only available if --list is set"));
    }
    entries::check_shortcuts(options)?;
    if options.has("list") { Ok(Vec::new()) } else { entries::changes(options) }
}

async fn execute(options: &Parsed, changes: Vec<Change>, terminal: &mut Terminal) -> Result<(), Failure> {
    let cluster = connect(options).await?;
    if options.has("list") {
        return list(&cluster, options, terminal).await;
    }
    for change in changes {
        match options.has("add") {
            true => add(&cluster, &change, terminal).await?,
            false => remove(&cluster, &change, options.has("force"), terminal).await?,
        }
    }
    Ok(())
}

async fn connect(options: &Parsed) -> Result<Cluster, Failure> {
    match options.value("bootstrap-controller") {
        Some(servers) if !options.has("bootstrap-server") => {
            let properties = session::ClientProperties::read(options, &["command-config"], &[])?;
            Ok(Cluster::connect(properties.client_config(Some(servers), "adminclient-1")?).await?)
        }
        _ => session::connect_admin(options).await,
    }
}

async fn add(cluster: &Cluster, change: &Change, terminal: &mut Terminal) -> Result<(), Failure> {
    let pattern_type = match change.pattern {
        milena_metadata::PatternFilter::Exactly(pattern_type) => pattern_type,
        _ => PatternType::Literal,
    };
    let pattern = resource_pattern(change.resource_type.name(), &change.name, pattern_type.name());
    let lines: Vec<String> = change.entries.iter().map(Entry::to_string).collect();
    terminal.line(&format!("Adding ACLs for resource `{pattern}`: \n \t{}\n", lines.join("\n\t")));
    let creations = change.entries.iter().map(|entry| create_acls_request::Creation {
        resource_type: change.resource_type.code(),
        resource_name: change.name.clone(),
        resource_pattern_type: pattern_type.code(),
        principal: entry.principal.clone(),
        host: entry.host.clone(),
        operation: entry.operation.code(),
        permission_type: entry.permission.code(),
    });
    let request = CreateAclsRequest { creations: creations.collect() };
    let response = cluster
        .send_controller(&request, |response| response.results.first().map_or(0, |result| result.error_code))
        .await?;
    for result in &response.results {
        Error::check(result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

async fn remove(cluster: &Cluster, change: &Change, force: bool, terminal: &mut Terminal) -> Result<(), Failure> {
    let pattern = resource_pattern(change.resource_type.name(), &change.name, entries::pattern_name(change.pattern));
    let question = if change.entries.is_empty() {
        format!("Are you sure you want to delete all ACLs for resource filter `{pattern}`? (y/n)")
    } else {
        let lines: Vec<String> = change.entries.iter().map(Entry::to_string).collect();
        let lines = lines.join("\n\t");
        format!("Are you sure you want to remove ACLs: \n \t{lines}\n from resource filter `{pattern}`? (y/n)")
    };
    if !force && !confirmed(&question, terminal) {
        return Ok(());
    }
    let any = delete_acls_request::Filter {
        resource_type_filter: change.resource_type.code(),
        resource_name_filter: Some(change.name.clone()),
        pattern_type_filter: change.pattern.code(),
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
    };
    let filters = change.entries.iter().map(|entry| delete_acls_request::Filter {
        principal_filter: Some(entry.principal.clone()),
        host_filter: Some(entry.host.clone()),
        operation: entry.operation.code(),
        permission_type: entry.permission.code(),
        ..any.clone()
    });
    let mut filters: Vec<_> = filters.collect();
    if filters.is_empty() {
        filters.push(any);
    }
    let request = DeleteAclsRequest { filters };
    let response = cluster
        .send_controller(&request, |response| response.filter_results.first().map_or(0, |result| result.error_code))
        .await?;
    for result in &response.filter_results {
        Error::check(result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

fn confirmed(question: &str, terminal: &mut Terminal) -> bool {
    terminal.line(question);
    terminal.flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}

async fn list(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut bindings: Vec<AclBinding> = Vec::new();
    for filter in entries::resource_filters(options)? {
        for binding in describe(cluster, &filter).await? {
            if !bindings.contains(&binding) {
                bindings.push(binding);
            }
        }
    }
    let principals = options.values("principal");
    if principals.is_empty() {
        terminal.print(&listing(&bindings));
        return Ok(());
    }
    for principal in principals {
        terminal.line(&format!("ACLs for principal `{principal}`"));
        let own: Vec<AclBinding> = bindings.iter().filter(|binding| binding.principal == principal).cloned().collect();
        terminal.print(&listing(&own));
    }
    Ok(())
}

async fn describe(cluster: &Cluster, filter: &AclFilter) -> Result<Vec<AclBinding>, Failure> {
    let request = DescribeAclsRequest {
        resource_type_filter: filter.resource_type.map_or(1, ResourceType::code),
        resource_name_filter: filter.resource_name.clone(),
        pattern_type_filter: filter.pattern.code(),
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
    };
    let response: DescribeAclsResponse = cluster.send_any(&request).await?;
    Error::check(response.error_code, response.error_message.as_ref())?;
    let mut bindings = Vec::new();
    for resource in response.resources {
        for acl in resource.acls {
            // Kinds that this release does not know cannot be named either.
            let known = (
                ResourceType::from_code(resource.resource_type),
                PatternType::from_code(resource.pattern_type),
                AclOperation::from_code(acl.operation),
                AclPermission::from_code(acl.permission_type),
            );
            let (Some(resource_type), Some(pattern_type), Some(operation), Some(permission)) = known else { continue };
            bindings.push(AclBinding {
                resource_type,
                pattern_type,
                resource_name: resource.resource_name.clone(),
                principal: acl.principal,
                host: acl.host,
                operation,
                permission,
            });
        }
    }
    Ok(bindings)
}

/// Bindings under their resources, a blank line behind each resource.
fn listing(bindings: &[AclBinding]) -> String {
    let mut text = String::new();
    let same = |a: &AclBinding, b: &AclBinding| {
        (a.resource_type, a.pattern_type, &a.resource_name) == (b.resource_type, b.pattern_type, &b.resource_name)
    };
    for group in bindings.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let pattern = resource_pattern(first.resource_type.name(), &first.resource_name, first.pattern_type.name());
        let lines: Vec<String> = group.iter().map(|binding| Entry::of(binding).to_string()).collect();
        text.push_str(&format!("Current ACLs for resource `{pattern}`:\n\t{}\n\n", lines.join("\n\t")));
    }
    text
}

fn resource_pattern(resource_type: &str, name: &str, pattern_type: &str) -> String {
    format!("ResourcePattern(resourceType={resource_type}, name={name}, patternType={pattern_type})")
}

#[cfg(test)]
mod tests;
