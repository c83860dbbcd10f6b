//! One request with everything that an action needs of it.

use axum::body::Bytes;
use milena_http::Query;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::route::Route;
use crate::service::entity::VersionSpec;
use crate::service::{AssociationFilter, Error, Page, Result, Scope, Service, Show};
use crate::storage::Which;
use crate::subject::{DEFAULT_CONTEXT, Subject, SubjectPrefix, context_key};

/// How long listings may be.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// Without `limit`.
    pub default: usize,
    /// With one.
    pub max: usize,
}

impl Default for PageLimits {
    fn default() -> PageLimits {
        PageLimits { default: 1000, max: 1000 }
    }
}

/// See the module's words.
pub struct Call<'a> {
    /// Who does it.
    pub service: &'a Service,
    /// What is wanted.
    pub route: Route,
    /// With what parameters.
    pub query: Query,
    /// And what body.
    pub body: Bytes,
}

/// The path.
impl Call<'_> {
    /// The parameter at `at`.
    pub fn parameter(&self, at: usize) -> &str {
        self.route.parameters.get(at).map_or("", String::as_str)
    }

    /// The subject of the path; an alias is followed.
    pub fn subject(&self) -> Subject {
        self.service.unaliased(self.named_subject())
    }

    /// The subject of the path as it is named there.
    pub fn named_subject(&self) -> Subject {
        Subject::parse_in(&self.route.context, self.parameter(0))
    }

    /// The version of the path.
    ///
    /// # Errors
    /// 42202.
    pub fn version(&self) -> Result<VersionSpec> {
        let text = self.parameter(1);
        VersionSpec::parse(text).ok_or_else(|| Error::InvalidVersion(text.to_owned()))
    }

    /// The id of the path; what is no number is no path either.
    ///
    /// # Errors
    /// 404.
    pub fn id(&self) -> Result<i32> {
        self.parameter(0).parse().map_err(|_| Error::Http(404))
    }

    /// The scope of a configuration or mode.
    ///
    /// # Errors
    /// 42208.
    pub fn scope(&self) -> Result<Scope> {
        match (self.route.parameters.is_empty(), self.route.context.as_str()) {
            (true, DEFAULT_CONTEXT) => Ok(Scope::GLOBAL),
            (true, context) => Scope::of(Subject::parse(&context_key(context))),
            (false, _) => Scope::of(self.named_subject()),
        }
    }
}

/// The query.
impl Call<'_> {
    /// The subject of the query; an alias is followed. A context in the path means that context.
    pub fn queried_subject(&self) -> Option<Subject> {
        match self.query.get("subject").filter(|text| !text.is_empty()) {
            Some(text) => Some(self.service.unaliased(Subject::parse_in(&self.route.context, text))),
            None if self.route.context != DEFAULT_CONTEXT => Some(Subject::parse(&context_key(&self.route.context))),
            None => None,
        }
    }

    /// `subjectPrefix`, within the context of the path.
    pub fn prefix(&self, default: &str) -> SubjectPrefix {
        let given = self.query.get("subjectPrefix");
        if self.route.context == DEFAULT_CONTEXT {
            return SubjectPrefix::parse(given.unwrap_or(default));
        }
        let given = given.unwrap_or_default();
        SubjectPrefix::parse(&Subject::parse_in(&self.route.context, given).to_string())
    }

    /// The page of a listing.
    ///
    /// # Errors
    /// 404 for what is no number.
    pub fn page(&self, limits: PageLimits) -> Result<Page> {
        let offset = usize::try_from(number(&self.query, "offset", 0)?).unwrap_or(0);
        let limit = usize::try_from(number(&self.query, "limit", -1)?).unwrap_or(0);
        let limit = if limit == 0 || limit > limits.max { limits.default } else { limit };
        Ok(Page { offset, limit })
    }

    /// `deleted` and `deletedOnly`.
    pub fn which(&self) -> Which {
        Which::from_flags(self.query.flag("deleted"), self.query.flag("deletedOnly"))
    }

    /// How schemas are to be shown.
    pub fn show(&self) -> Show {
        Show {
            format: self.query.get("format").map(str::to_owned),
            qualified_references: self
                .query
                .get("referenceFormat")
                .is_some_and(|format| format.eq_ignore_ascii_case("qualified")),
            find_tags: self.query.all("findTags"),
        }
    }

    /// Which associations are meant.
    pub fn association_filter(&self) -> AssociationFilter {
        let given = |name: &str| self.query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        AssociationFilter {
            resource_type: given("resourceType"),
            association_types: self.query.all("associationType"),
            lifecycle: given("lifecycle"),
        }
    }
}

/// The body.
impl Call<'_> {
    /// The body as JSON.
    ///
    /// # Errors
    /// 400 for what is no object of that form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let starts_object = self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if !starts_object {
            return Err(Error::Plain(400, "The body of the request must be a JSON object".to_owned()));
        }
        serde_json::from_slice(&self.body).map_err(|error| Error::Plain(400, format!("Malformed JSON: {error}")))
    }

    /// The members of the body.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub fn members(&self) -> Result<Map<String, Json>> {
        self.json()
    }
}

fn number(query: &Query, name: &str, default: i64) -> Result<i64> {
    match query.get(name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Error::Http(404)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_query_have_defaults_and_what_is_none_is_no_page() {
        let query = Query::parse("s=x&n=3");
        assert!(number(&query, "s", 0).is_err());
        assert_eq!((number(&query, "n", 0), number(&query, "missing", 7)), (Ok(3), Ok(7)));
    }
}
