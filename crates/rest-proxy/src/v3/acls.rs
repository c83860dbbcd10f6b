//! `/v3/clusters/{c}/acls`: list, create, delete.

use milena_client::Error as KafkaError;
use milena_http::percent_encode;
use milena_protocol::messages::{
    CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, create_acls_request, delete_acls_request,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::scope::{Scope, bad_request};
use crate::error::{RestError, Result};
use crate::http::{Answer, Call};

/// Names by their numbers on the wire; 0 and 1 are UNKNOWN and ANY everywhere.
type Names = &'static [&'static str];

const RESOURCE_TYPES: Names =
    &["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const PATTERN_TYPES: Names = &["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const OPERATIONS: Names = &[
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
];
const PERMISSIONS: Names = &["UNKNOWN", "ANY", "DENY", "ALLOW"];
/// The code of ANY.
const ANY: i8 = 1;

/// The names of a bit set of operations, as Metadata answers it.
pub fn operation_names(bits: i32) -> Vec<&'static str> {
    let set = |code: usize| bits != i32::MIN && bits & (1 << code) != 0;
    OPERATIONS.iter().enumerate().filter(|(code, _)| set(*code)).map(|(_, name)| *name).collect()
}

/// An ACL, or a filter of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Acl {
    resource_type: i8,
    resource_name: Option<String>,
    pattern_type: i8,
    principal: Option<String>,
    host: Option<String>,
    operation: i8,
    permission: i8,
}

/// GET `…/acls`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let filter = filter(&call, &[])?;
    let request = DescribeAclsRequest {
        resource_type_filter: filter.resource_type,
        resource_name_filter: filter.resource_name,
        pattern_type_filter: filter.pattern_type,
        principal_filter: filter.principal,
        host_filter: filter.host,
        operation: filter.operation,
        permission_type: filter.permission,
    };
    let response = scope.cluster().send_any(&request).await?;
    KafkaError::check(response.error_code, response.error_message.as_ref())?;
    let mut data = Vec::new();
    for resource in response.resources {
        data.extend(resource.acls.into_iter().map(|acl| {
            let acl = Acl {
                resource_type: resource.resource_type,
                resource_name: Some(resource.resource_name.clone()),
                pattern_type: resource.pattern_type,
                principal: Some(acl.principal),
                host: Some(acl.host),
                operation: acl.operation,
                permission: acl.permission_type,
            };
            written(&scope, &acl)
        }));
    }
    Answer::json(&scope.list("KafkaAclList", &asked(&call), data))
}

/// The seven members of a body.
#[derive(Debug, Deserialize)]
pub struct NewAcl {
    resource_type: Option<String>,
    resource_name: Option<String>,
    pattern_type: Option<String>,
    principal: Option<String>,
    host: Option<String>,
    operation: Option<String>,
    permission: Option<String>,
}

/// POST `…/acls`
pub async fn create(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let acl = binding(call.json().await?)?;
    let location = scope.url(&format!("/acls?{}", query_of(&acl)));
    create_all(&scope, vec![acl]).await?;
    Ok(Answer::empty(201).with_location(&location))
}

#[derive(Deserialize)]
struct Batch {
    data: Option<Vec<NewAcl>>,
}

/// POST `…/acls:batch`
pub async fn create_batch(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let batch: Batch = call.json().await?;
    let data = batch.data.ok_or_else(|| RestError::Validation("data may not be null".to_owned()))?;
    let acls = data.into_iter().map(binding).collect::<Result<Vec<_>>>()?;
    create_all(&scope, acls).await?;
    Ok(Answer::empty(201))
}

async fn create_all(scope: &Scope, acls: Vec<Acl>) -> Result<()> {
    if acls.is_empty() {
        return Ok(());
    }
    let creations = acls.into_iter().map(|acl| create_acls_request::Creation {
        resource_type: acl.resource_type,
        resource_name: acl.resource_name.unwrap_or_default(),
        resource_pattern_type: acl.pattern_type,
        principal: acl.principal.unwrap_or_default(),
        host: acl.host.unwrap_or_default(),
        operation: acl.operation,
        permission_type: acl.permission,
    });
    let request = CreateAclsRequest { creations: creations.collect() };
    let code = |response: &milena_protocol::messages::CreateAclsResponse| {
        response.results.first().map_or(0, |result| result.error_code)
    };
    let response = scope.cluster().send_controller(&request, code).await?;
    for result in &response.results {
        KafkaError::check(result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

/// DELETE `…/acls`
pub async fn delete(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let filter = filter(&call, &["resource_type", "pattern_type", "operation", "permission"])?;
    let request = DeleteAclsRequest {
        filters: vec![delete_acls_request::Filter {
            resource_type_filter: filter.resource_type,
            resource_name_filter: filter.resource_name,
            pattern_type_filter: filter.pattern_type,
            principal_filter: filter.principal,
            host_filter: filter.host,
            operation: filter.operation,
            permission_type: filter.permission,
        }],
    };
    let code = |response: &milena_protocol::messages::DeleteAclsResponse| {
        response.filter_results.first().map_or(0, |result| result.error_code)
    };
    let response = scope.cluster().send_controller(&request, code).await?;
    let mut data = Vec::new();
    for result in response.filter_results {
        KafkaError::check(result.error_code, result.error_message.as_ref())?;
        for acl in result.matching_acls {
            KafkaError::check(acl.error_code, acl.error_message.as_ref())?;
            let acl = Acl {
                resource_type: acl.resource_type,
                resource_name: Some(acl.resource_name),
                pattern_type: acl.pattern_type,
                principal: Some(acl.principal),
                host: Some(acl.host),
                operation: acl.operation,
                permission: acl.permission_type,
            };
            data.push(written(&scope, &acl));
        }
    }
    Answer::json(&scope.list("KafkaAclList", &asked(&call), data))
}

/// The filter in the query; `required` must be there.
fn filter(call: &Call, required: &[&str]) -> Result<Acl> {
    if let Some(missing) = required.iter().find(|name| call.query.get(name).is_none_or(str::is_empty)) {
        return Err(bad_request(format!("{missing} is required")));
    }
    let text = |name: &str| call.query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let code = |name: &str, names| text(name).map_or(Ok(ANY), |text| code_of(name, &text, names));
    Ok(Acl {
        resource_type: code("resource_type", RESOURCE_TYPES)?,
        resource_name: text("resource_name"),
        pattern_type: code("pattern_type", PATTERN_TYPES)?,
        principal: text("principal"),
        host: text("host"),
        operation: code("operation", OPERATIONS)?,
        permission: code("permission", PERMISSIONS)?,
    })
}

/// A whole ACL, as a body gives it.
fn binding(new: NewAcl) -> Result<Acl> {
    let needed = |name: &str, value: Option<String>| {
        value.ok_or_else(|| RestError::Validation(format!("{name} may not be null")))
    };
    let code = |name: &str, value, names| {
        let code = code_of(name, &needed(name, value)?, names)?;
        let is_filter = code <= ANY || names == PATTERN_TYPES && code == 2;
        if is_filter { Err(bad_request(format!("{name} of an ACL cannot be a filter"))) } else { Ok(code) }
    };
    Ok(Acl {
        resource_type: code("resource_type", new.resource_type, RESOURCE_TYPES)?,
        resource_name: Some(needed("resource_name", new.resource_name)?),
        pattern_type: code("pattern_type", new.pattern_type, PATTERN_TYPES)?,
        principal: Some(needed("principal", new.principal)?),
        host: Some(needed("host", new.host)?),
        operation: code("operation", new.operation, OPERATIONS)?,
        permission: code("permission", new.permission, PERMISSIONS)?,
    })
}

fn code_of(what: &str, text: &str, names: Names) -> Result<i8> {
    let at = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let code = at.and_then(|at| i8::try_from(at).ok()).filter(|code| *code > 0);
    code.ok_or_else(|| bad_request(format!("{text} is no {what}; there are {}", names[1..].join(", "))))
}

fn name_of(code: i8, names: Names) -> &'static str {
    usize::try_from(code).ok().and_then(|code| names.get(code)).unwrap_or(&names[0])
}

fn written(scope: &Scope, acl: &Acl) -> Value {
    let members = json!({
        "resource_type": name_of(acl.resource_type, RESOURCE_TYPES),
        "resource_name": acl.resource_name,
        "pattern_type": name_of(acl.pattern_type, PATTERN_TYPES),
        "principal": acl.principal,
        "host": acl.host,
        "operation": name_of(acl.operation, OPERATIONS),
        "permission": name_of(acl.permission, PERMISSIONS),
    });
    scope.resource("KafkaAcl", &format!("/acls?{}", query_of(acl)), None, members)
}

fn query_of(acl: &Acl) -> String {
    let text = |value: &Option<String>| percent_encode(value.as_deref().unwrap_or_default());
    format!(
        "resource_type={}&resource_name={}&pattern_type={}&principal={}&host={}&operation={}&permission={}",
        name_of(acl.resource_type, RESOURCE_TYPES),
        text(&acl.resource_name),
        name_of(acl.pattern_type, PATTERN_TYPES),
        text(&acl.principal),
        text(&acl.host),
        name_of(acl.operation, OPERATIONS),
        name_of(acl.permission, PERMISSIONS),
    )
}

/// Path and query of a list, as it was asked for.
fn asked(call: &Call) -> String {
    call.head.uri.query().map_or_else(|| "/acls".to_owned(), |query| format!("/acls?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_to_create_is_whole_and_no_filter() {
        let new = |operation: &str, host: Option<&str>| NewAcl {
            resource_type: Some("topic".to_owned()),
            resource_name: Some("t".to_owned()),
            pattern_type: Some("PREFIXED".to_owned()),
            principal: Some("User:a".to_owned()),
            host: host.map(str::to_owned),
            operation: Some(operation.to_owned()),
            permission: Some("ALLOW".to_owned()),
        };
        let acl = binding(new("READ", Some("*"))).unwrap();
        assert_eq!((acl.resource_type, acl.pattern_type, acl.operation, acl.permission), (2, 4, 3, 3));
        assert_eq!(binding(new("ANY", Some("*"))).unwrap_err().status(), 400);
        assert_eq!(binding(new("FLY", Some("*"))).unwrap_err().status(), 400);
        assert_eq!(binding(new("READ", None)).unwrap_err().status(), 422);
    }

    #[test]
    fn operations_of_a_bit_set_have_names() {
        assert_eq!(operation_names(1 << 3 | 1 << 8), ["READ", "DESCRIBE"]);
        assert!(operation_names(i32::MIN).is_empty());
    }
}
