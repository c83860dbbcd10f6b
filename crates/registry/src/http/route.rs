//! From method and path to what is wanted.
//!
//! Paths are split before they are decoded, so that `%2F` inside a subject's name does not split it.

use milena_http::percent_decode;

use crate::subject::{DEFAULT_CONTEXT, context_of_path};

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says it")]
pub enum Action {
    Root,
    Schemas,
    SchemaTypes,
    SchemaById,
    TextById,
    SubjectsOfId,
    VersionsOfId,
    SchemaByGuid,
    IdsOfGuid,
    Subjects,
    LookUp,
    DeleteSubject,
    SchemaWithMetadata,
    Versions,
    Register,
    Version,
    DeleteVersion,
    TextOfVersion,
    ReferencedBy,
    ModifyTags,
    CheckVersion,
    CheckAll,
    Config,
    SetConfig,
    DeleteConfig,
    Mode,
    SetMode,
    DeleteMode,
    Contexts,
    DeleteContext,
    ClusterId,
    ServerVersion,
    Deployment,
    Associate,
    AssociationsOfId,
    ReplaceAssociations,
    Dissociate,
    AssociationsOfResource,
    AssociationsByName,
    AssociationsOfSubject,
    BatchGet,
    BatchMutate,
}

impl Action {
    /// Whether only the leader may do it.
    pub fn changes(self) -> bool {
        use Action as A;
        matches!(
            self,
            A::DeleteSubject
                | A::Register
                | A::DeleteVersion
                | A::ModifyTags
                | A::SetConfig
                | A::DeleteConfig
                | A::SetMode
                | A::DeleteMode
                | A::DeleteContext
                | A::Associate
                | A::ReplaceAssociations
                | A::Dissociate
                | A::BatchMutate
        )
    }
}

/// A request's place in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is wanted.
    pub action: Action,
    /// From a `/contexts/{context}` in front; else the default one.
    pub context: String,
    /// The variable parts, decoded.
    pub parameters: Vec<String>,
}

/// Why there is no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// 404.
    UnknownPath,
    /// 405, with what would be allowed.
    Method(Vec<&'static str>),
}

type Methods = &'static [(&'static str, Action)];

/// Finds the route of a raw path (still percent-encoded, without the query).
///
/// # Errors
/// See [`NoRoute`].
pub fn route(method: &str, path: &str) -> Result<Route, NoRoute> {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.trim_start_matches('/').split('/') {
        segments.push(percent_decode(segment).ok_or(NoRoute::UnknownPath)?);
    }
    while segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    let mut context = DEFAULT_CONTEXT.to_owned();
    if segments.len() > 2 && segments[0] == "contexts" {
        context = context_of_path(&segments[1]);
        segments.drain(..2);
    }
    let (methods, parameters) = find(&segments).ok_or(NoRoute::UnknownPath)?;
    let wanted = if method == "HEAD" { "GET" } else { method };
    match methods.iter().find(|(known, _)| *known == wanted) {
        Some((_, action)) => Ok(Route { action: *action, context, parameters }),
        None => Err(NoRoute::Method(methods.iter().map(|(known, _)| *known).collect())),
    }
}

fn find(segments: &[String]) -> Option<(Methods, Vec<String>)> {
    use Action as A;
    let borrowed: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (methods, parameters): (Methods, &[&str]) = match borrowed.as_slice() {
        [] => (&[("GET", A::Root), ("POST", A::Root)], &[]),
        ["schemas"] => (&[("GET", A::Schemas)], &[]),
        ["schemas", "types"] => (&[("GET", A::SchemaTypes)], &[]),
        ["schemas", "ids", id] => (&[("GET", A::SchemaById)], &[*id]),
        ["schemas", "ids", id, "schema"] => (&[("GET", A::TextById)], &[*id]),
        ["schemas", "ids", id, "subjects"] => (&[("GET", A::SubjectsOfId)], &[*id]),
        ["schemas", "ids", id, "versions"] => (&[("GET", A::VersionsOfId)], &[*id]),
        ["schemas", "guids", guid] => (&[("GET", A::SchemaByGuid)], &[*guid]),
        ["schemas", "guids", guid, "ids"] => (&[("GET", A::IdsOfGuid)], &[*guid]),
        ["subjects"] => (&[("GET", A::Subjects)], &[]),
        ["subjects", subject] => (&[("POST", A::LookUp), ("DELETE", A::DeleteSubject)], &[*subject]),
        ["subjects", subject, "metadata"] => (&[("GET", A::SchemaWithMetadata)], &[*subject]),
        ["subjects", subject, "versions"] => (&[("GET", A::Versions), ("POST", A::Register)], &[*subject]),
        ["subjects", subject, "versions", version] => {
            (&[("GET", A::Version), ("DELETE", A::DeleteVersion)], &[*subject, *version])
        }
        ["subjects", subject, "versions", version, "schema"] => (&[("GET", A::TextOfVersion)], &[*subject, *version]),
        ["subjects", subject, "versions", version, "referencedby"] => {
            (&[("GET", A::ReferencedBy)], &[*subject, *version])
        }
        ["subjects", subject, "versions", version, "tags"] => (&[("POST", A::ModifyTags)], &[*subject, *version]),
        ["compatibility", "subjects", subject, "versions"] => (&[("POST", A::CheckAll)], &[*subject]),
        ["compatibility", "subjects", subject, "versions", version] => {
            (&[("POST", A::CheckVersion)], &[*subject, *version])
        }
        ["config"] => (CONFIG, &[]),
        ["config", subject] => (CONFIG, &[*subject]),
        ["mode"] => (MODE, &[]),
        ["mode", subject] => (MODE, &[*subject]),
        ["contexts"] => (&[("GET", A::Contexts)], &[]),
        ["contexts", context] => (&[("DELETE", A::DeleteContext)], &[*context]),
        ["v1", "metadata", "id"] => (&[("GET", A::ClusterId)], &[]),
        ["v1", "metadata", "version"] => (&[("GET", A::ServerVersion)], &[]),
        ["v1", "metadata", "deployment"] => (&[("GET", A::Deployment)], &[]),
        ["associations"] => {
            (&[("GET", A::AssociationsByName), ("POST", A::Associate), ("PUT", A::ReplaceAssociations)], &[])
        }
        ["associations", "resources", id] => {
            (&[("GET", A::AssociationsOfId), ("PUT", A::ReplaceAssociations), ("DELETE", A::Dissociate)], &[*id])
        }
        ["associations", "resources", namespace, name] => (&[("GET", A::AssociationsOfResource)], &[*namespace, *name]),
        ["associations", "subjects", subject] => (&[("GET", A::AssociationsOfSubject)], &[*subject]),
        ["associations:batchGet"] => (&[("POST", A::BatchGet)], &[]),
        ["associations:batchMutate"] => (&[("POST", A::BatchMutate)], &[]),
        _ => return None,
    };
    Some((methods, parameters.iter().map(|parameter| (*parameter).to_owned()).collect()))
}

const CONFIG: Methods = &[("GET", Action::Config), ("PUT", Action::SetConfig), ("DELETE", Action::DeleteConfig)];
const MODE: Methods = &[("GET", Action::Mode), ("PUT", Action::SetMode), ("DELETE", Action::DeleteMode)];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> (Action, String, Vec<String>) {
        let route = route(method, path).unwrap();
        (route.action, route.context, route.parameters)
    }

    #[test]
    fn an_encoded_slash_does_not_split_a_subject() {
        let (action, _, parameters) = found("GET", "/subjects/a%2Fb%3Ac%20d/versions/latest");
        assert_eq!((action, parameters), (Action::Version, vec!["a/b:c d".to_owned(), "latest".to_owned()]));
        assert_eq!(route("GET", "/subjects/a/b/versions/1"), Err(NoRoute::UnknownPath));
        assert_eq!(route("GET", "/subjects/%ff/versions"), Err(NoRoute::UnknownPath));
    }

    #[test]
    fn a_context_in_front_qualifies_the_rest() {
        assert_eq!(found("POST", "/contexts/.ctx/subjects/s/versions").1, ".ctx");
        assert_eq!(found("GET", "/contexts/:.ctx:/subjects").1, ".ctx");
        assert_eq!(found("DELETE", "/contexts/.ctx"), (Action::DeleteContext, ".".to_owned(), vec![".ctx".to_owned()]));
        assert_eq!(found("GET", "/contexts").0, Action::Contexts);
    }

    #[test]
    fn trailing_slashes_are_tolerated_and_wrong_methods_told_apart_from_wrong_paths() {
        assert_eq!(found("GET", "/subjects/").0, Action::Subjects);
        assert_eq!(found("GET", "/").0, Action::Root);
        assert_eq!(found("HEAD", "/subjects").0, Action::Subjects);
        assert_eq!(route("PUT", "/subjects"), Err(NoRoute::Method(vec!["GET"])));
        assert_eq!(route("GET", "/nothing"), Err(NoRoute::UnknownPath));
    }
}
