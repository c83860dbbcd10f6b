//! ACL bindings and filters as the numbers and texts of the ACL requests.

use milena_metadata::acl::{
    AclBinding, AclFilter, AclOperation, AclPermission, PatternFilter, PatternType, ResourceType,
};
use milena_protocol::ErrorCode;

/// The number that stands for every value of a field of a filter.
const ANY: i8 = 1;

/// Why an ACL request has no effect: the code and what to say with it.
pub(crate) type Refusal = (ErrorCode, String);

/// The answer where there is no authorizer.
pub(crate) fn security_disabled() -> Refusal {
    (ErrorCode::SecurityDisabled, "No Authorizer is configured on the broker".to_owned())
}

/// The fields of a filter as three requests spell them.
pub(crate) struct WireFilter {
    pub(crate) resource_type: i8,
    pub(crate) resource_name: Option<String>,
    pub(crate) pattern_type: i8,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl WireFilter {
    /// The filter that is meant.
    ///
    /// # Errors
    /// A number that nothing stands for.
    pub(crate) fn parse(self) -> Result<AclFilter, Refusal> {
        Ok(AclFilter {
            resource_type: one_or_any(self.resource_type, ResourceType::from_code)?,
            pattern: PatternFilter::from_code(self.pattern_type).ok_or_else(unknown_elements)?,
            resource_name: self.resource_name,
            principal: self.principal,
            host: self.host,
            operation: one_or_any(self.operation, AclOperation::from_code)?,
            permission: one_or_any(self.permission, AclPermission::from_code)?,
        })
    }
}

fn one_or_any<T>(code: i8, from_code: impl Fn(i8) -> Option<T>) -> Result<Option<T>, Refusal> {
    match code {
        ANY => Ok(None),
        code => from_code(code).map(Some).ok_or_else(unknown_elements),
    }
}

fn unknown_elements() -> Refusal {
    (ErrorCode::InvalidRequest, "The filter contains UNKNOWN elements".to_owned())
}

/// The binding of these fields, in the order of a creation.
///
/// # Errors
/// A number that no binding can have.
pub(crate) fn binding(
    (resource_type, pattern_type, resource_name): (i8, i8, String),
    (principal, host): (String, String),
    (operation, permission): (i8, i8),
) -> Result<AclBinding, Refusal> {
    let invalid = |what: &str, code: i8| (ErrorCode::InvalidRequest, format!("Invalid {what} {code}"));
    Ok(AclBinding {
        resource_type: ResourceType::from_code(resource_type).ok_or_else(|| invalid("resourceType", resource_type))?,
        pattern_type: PatternType::from_code(pattern_type).ok_or_else(|| invalid("patternType", pattern_type))?,
        resource_name,
        principal,
        host,
        operation: AclOperation::from_code(operation).ok_or_else(|| invalid("operation", operation))?,
        permission: AclPermission::from_code(permission).ok_or_else(|| invalid("permissionType", permission))?,
    })
}
