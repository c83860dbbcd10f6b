//! What each action asks of the service, and how it answers.

use serde_json::{Value as Json, json};

use super::answer::Answer;
use super::call::{Call, PageLimits};
use super::route::Action;
use crate::service::entity::{SchemaRequest, TagsRequest};
use crate::service::{
    AssociationRequest, BatchGet, BatchMutate, Error, RegisterOptions, ResourceAnswer, Result, SchemaFilter, Whose,
};
use crate::settings_of_scope::{Config, Mode};
use crate::subject::context_of_path;

/// How long listings may be, by what they list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// `schema.search.*.limit`
    pub schemas: PageLimits,
    /// `subject.search.*.limit`
    pub subjects: PageLimits,
    /// `subject.version.search.*.limit`
    pub versions: PageLimits,
    /// `context.search.*.limit`
    pub contexts: PageLimits,
}

/// What the deployment says about itself.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// `schema.registry.metadata.deployment.attributes`
    pub attributes: Vec<String>,
}

/// The version of the original whose behaviour this is.
const SPOKEN_VERSION: &str = "8.2.0";

impl Call<'_> {
    /// Does what is wanted.
    ///
    /// # Errors
    /// Whatever the service refuses.
    pub async fn perform(&self, limits: &Limits, deployment: &Deployment) -> Result<Answer> {
        use Action as A;
        match self.route.action {
            A::Root => Ok(Answer::text("{}")),
            A::Schemas | A::SchemaTypes | A::SchemaById | A::TextById | A::SubjectsOfId | A::VersionsOfId => {
                self.schemas(limits)
            }
            A::SchemaByGuid => Answer::json(&self.service.schema_by_guid(self.parameter(0), &self.show())?),
            A::IdsOfGuid => Answer::json(&self.service.ids_of_guid(self.parameter(0))?),
            A::Subjects
            | A::LookUp
            | A::SchemaWithMetadata
            | A::Versions
            | A::Version
            | A::TextOfVersion
            | A::ReferencedBy => self.subjects(limits),
            A::CheckVersion | A::CheckAll => self.compatibility(),
            A::Register | A::DeleteSubject | A::DeleteVersion | A::ModifyTags => self.change_subject().await,
            A::Config | A::SetConfig | A::DeleteConfig => self.config().await,
            A::Mode | A::SetMode | A::DeleteMode => self.mode().await,
            A::Contexts => {
                let prefix = self.query.get("contextPrefix").unwrap_or_default();
                Answer::json(&self.service.contexts(prefix, self.page(limits.contexts)?))
            }
            A::DeleteContext => {
                self.service.delete_context(&context_of_path(self.parameter(0))).await?;
                Ok(Answer::nothing())
            }
            A::ClusterId => Answer::json(&self.service.cluster_scope()),
            A::ServerVersion => Answer::json(
                &json!({"version": SPOKEN_VERSION, "commitId": concat!("milena-", env!("CARGO_PKG_VERSION"))}),
            ),
            A::Deployment => Answer::json(&json!({"attributes": deployment.attributes})),
            A::Associate | A::ReplaceAssociations | A::Dissociate | A::BatchMutate => self.change_associations().await,
            A::AssociationsOfId
            | A::AssociationsOfResource
            | A::AssociationsByName
            | A::AssociationsOfSubject
            | A::BatchGet => self.associations(limits),
        }
    }

    fn schemas(&self, limits: &Limits) -> Result<Answer> {
        match self.route.action {
            Action::SchemaTypes => Ok(Answer::text(r#"["JSON","PROTOBUF","AVRO"]"#)),
            Action::SchemaById | Action::TextById => {
                let fetch_max_id = self.query.flag("fetchMaxId");
                let found = self.service.schema_by_id(
                    self.id()?,
                    self.queried_subject().as_ref(),
                    fetch_max_id,
                    &self.show(),
                )?;
                if self.route.action == Action::TextById {
                    Ok(Answer::text(found.text()))
                } else {
                    Answer::json(&found)
                }
            }
            Action::SubjectsOfId | Action::VersionsOfId => {
                let found = self.service.registrations(self.id()?, self.queried_subject().as_ref(), self.which())?;
                let page = self.page(limits.subjects)?;
                if self.route.action == Action::VersionsOfId {
                    let shown = |(subject, version)| json!({"subject": subject, "version": version});
                    return Answer::json(&page.of(found.into_iter()).map(shown).collect::<Vec<Json>>());
                }
                let mut names: Vec<String> = found.into_iter().map(|(subject, _)| subject).collect();
                names.dedup();
                Answer::json(&page.of(names.into_iter()).collect::<Vec<String>>())
            }
            _ => {
                let filter = SchemaFilter {
                    prefix: self.prefix(""),
                    aliases: self.query.flag("aliases"),
                    which: self.which(),
                    latest_only: self.query.flag("latestOnly"),
                    rule_type: self.query.get("ruleType").map(str::to_owned),
                    association: self.association_filter(),
                };
                Answer::json(&self.service.schemas(&filter, self.page(limits.schemas)?))
            }
        }
    }

    fn subjects(&self, limits: &Limits) -> Result<Answer> {
        let deleted = self.query.flag("deleted");
        match self.route.action {
            Action::Subjects => {
                let prefix = self.prefix(crate::subject::ALL_CONTEXTS);
                Answer::json(&self.service.subjects(&prefix, self.which(), self.page(limits.subjects)?))
            }
            Action::LookUp => {
                let normalize = self.query.flag("normalize");
                Answer::json(&self.service.look_up(&self.subject(), &self.json()?, normalize, deleted, &self.show())?)
            }
            Action::SchemaWithMetadata => {
                let wanted: Vec<_> = self.query.all("key").into_iter().zip(self.query.all("value")).collect();
                Answer::json(&self.service.schema_with_metadata(&self.subject(), &wanted, deleted, &self.show())?)
            }
            Action::Versions => {
                let negative = self.query.flag("deletedAsNegative");
                let page = self.page(limits.versions)?;
                Answer::json(&self.service.versions(&self.subject(), self.which(), negative, page)?)
            }
            Action::ReferencedBy => {
                let page = self.page(limits.versions)?;
                Answer::json(&self.service.referenced_by(&self.subject(), self.version()?, self.which(), page)?)
            }
            _ => {
                let found = self.service.schema(&self.subject(), self.version()?, deleted, &self.show())?;
                if self.route.action == Action::TextOfVersion {
                    Ok(Answer::text(found.text()))
                } else {
                    Answer::json(&found)
                }
            }
        }
    }

    fn compatibility(&self) -> Result<Answer> {
        let (normalize, verbose) = (self.query.flag("normalize"), self.query.flag("verbose"));
        let subject = self.subject();
        let request: SchemaRequest = self.json()?;
        Answer::json(&match self.route.action {
            Action::CheckAll => self.service.compatibility_with_all(&subject, &request, normalize, verbose)?,
            _ => self.service.compatibility_with(&subject, self.version()?, &request, normalize, verbose)?,
        })
    }

    /// The answer to a registration that changes nothing, which every instance can give.
    ///
    /// # Errors
    /// 400 and 42208.
    pub fn known_registration(&self) -> Result<Option<Answer>> {
        if self.route.action != Action::Register {
            return Ok(None);
        }
        let known = self.service.known(&self.subject(), &self.json()?, self.register_options())?;
        known.map(|known| Answer::json(&known)).transpose()
    }

    fn register_options(&self) -> RegisterOptions {
        RegisterOptions { normalize: self.query.flag("normalize"), force: self.query.flag("force") }
    }

    async fn change_subject(&self) -> Result<Answer> {
        let subject = self.subject();
        let permanent = self.query.flag("permanent");
        match self.route.action {
            Action::DeleteSubject => Answer::json(&self.service.delete_subject(&subject, permanent).await?),
            Action::DeleteVersion => {
                Answer::json(&self.service.delete_version(&subject, self.version()?, permanent).await?)
            }
            Action::ModifyTags => {
                let request: TagsRequest = self.json()?;
                Answer::json(&self.service.modify_tags(&subject, self.version()?, request).await?)
            }
            _ => {
                let mut answer = self.service.register(&subject, self.json()?, self.register_options()).await?;
                if let Some(format) = self.query.get("format") {
                    let shown = self.service.schema_by_id(
                        answer.id.unwrap_or_default(),
                        Some(&subject),
                        false,
                        &crate::service::Show { format: Some(format.to_owned()), ..Default::default() },
                    )?;
                    answer.formatted = shown.formatted;
                }
                Answer::json(&answer)
            }
        }
    }

    async fn config(&self) -> Result<Answer> {
        let scope = self.scope()?;
        match self.route.action {
            Action::SetConfig => {
                let config = self.service.set_config(&scope, &self.members()?).await?;
                Answer::json(&as_request(&config)?)
            }
            Action::DeleteConfig => Answer::json(&self.service.delete_config(&scope).await?),
            _ => Answer::json(&self.service.config(&scope, self.query.flag("defaultToGlobal"))?),
        }
    }

    async fn mode(&self) -> Result<Answer> {
        let scope = self.scope()?;
        let answer = |mode: Mode| Answer::json(&json!({"mode": mode.name()}));
        match self.route.action {
            Action::SetMode => {
                let mode = match self.members()?.get("mode") {
                    Some(Json::Null) => None,
                    Some(Json::String(name)) => Some(Mode::parse(name).ok_or(Error::InvalidMode)?),
                    _ => return Err(Error::InvalidMode),
                };
                self.service.set_mode(&scope, mode, self.query.flag("force")).await?;
                mode.map_or_else(|| Ok(Answer::text("{}")), answer)
            }
            Action::DeleteMode => answer(self.service.delete_mode(&scope, self.query.flag("recursive")).await?),
            _ => answer(self.service.mode(&scope, self.query.flag("defaultToGlobal"))?),
        }
    }

    fn associations(&self, limits: &Limits) -> Result<Answer> {
        let (filter, page) = (self.association_filter(), self.page(limits.subjects)?);
        let whose = match self.route.action {
            Action::BatchGet => {
                let request: BatchGet = self.json()?;
                let with_schemas = self.query.flag("includeSchemas");
                let of_one = |question| outcome(self.service.associations_of(question, with_schemas));
                return batch_answer(request.requests.iter().map(of_one).collect());
            }
            Action::AssociationsOfResource => {
                Whose::Resource(self.parameter(0).to_owned(), self.parameter(1).to_owned())
            }
            // How some clients ask; the path of the resource says the same.
            Action::AssociationsByName => {
                let Some(name) = self.query.get("resourceName").filter(|name| !name.is_empty()) else {
                    return Err(Error::InvalidAssociation("resourceName is missing".to_owned()));
                };
                let namespace = self.query.get("resourceNamespace").filter(|namespace| !namespace.is_empty());
                Whose::Resource(namespace.unwrap_or("-").to_owned(), name.to_owned())
            }
            Action::AssociationsOfSubject => Whose::Subject(self.subject()),
            _ => Whose::ResourceId(self.parameter(0).to_owned()),
        };
        Answer::json(&self.service.associations(&whose, &filter, page))
    }

    async fn change_associations(&self) -> Result<Answer> {
        let dry_run = self.query.flag("dryRun");
        let queried = self.query.get("context").filter(|context| !context.is_empty()).map(context_of_path);
        let context = queried.unwrap_or_else(|| self.route.context.clone());
        match self.route.action {
            Action::Dissociate => {
                let cascade = self.query.flag("cascadeLifecycle");
                self.service.dissociate(self.parameter(0), &self.association_filter(), cascade, dry_run).await?;
                Ok(Answer::nothing())
            }
            Action::BatchMutate => {
                let request: BatchMutate = self.json()?;
                let mut results = Vec::with_capacity(request.requests.len());
                for one in request.requests {
                    results.push(outcome(self.service.mutate_associations(&context, one, dry_run).await));
                }
                batch_answer(results)
            }
            action => {
                let mut request: AssociationRequest = self.json()?;
                if let Some(id) = self.route.parameters.first() {
                    if request.resource_id.as_ref().is_some_and(|given| given != id) {
                        let message = "The resource id of the path differs from that of the body".to_owned();
                        return Err(Error::InvalidAssociation(message));
                    }
                    request.resource_id = Some(id.clone());
                }
                let create = action == Action::Associate;
                Answer::json(&self.service.associate(&context, request, create, dry_run).await?)
            }
        }
    }
}

/// One result of a batch.
fn outcome(result: Result<ResourceAnswer>) -> Json {
    match result {
        Ok(answer) => json!({"result": answer}),
        Err(error) => json!({"error": {"error_code": error.code(), "message": error.to_string()}}),
    }
}

/// 207 with the results.
fn batch_answer(results: Vec<Json>) -> Result<Answer> {
    if results.is_empty() {
        return Err(Error::InvalidAssociation("'requests' cannot be null or empty".to_owned()));
    }
    Ok(Answer { status: 207, ..Answer::json(&json!({"results": results}))? })
}

/// A configuration with its level under the name that requests use.
fn as_request(config: &Config) -> Result<Json> {
    let mut members = serde_json::to_value(config).map_err(|error| Error::Plain(500, error.to_string()))?;
    if let Some(members) = members.as_object_mut()
        && let Some(level) = members.remove("compatibilityLevel")
    {
        members.insert("compatibility".to_owned(), level);
    }
    Ok(members)
}
