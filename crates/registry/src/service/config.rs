//! Configuration of subjects, contexts and of everything.

use serde_json::{Map, Value as Json};

use super::{Error, Result, Service};
use crate::settings_of_scope::{CompatibilityLevel, Config};
use crate::storage::{Key, Record, Value};
use crate::subject::{GLOBAL_CONTEXT, Subject, context_key};

/// What `/config/{scope}` means: a subject or a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Option<Subject>);

impl Scope {
    /// Everything in the default context.
    pub const GLOBAL: Scope = Scope(None);

    /// The scope that a path names.
    ///
    /// # Errors
    /// 42208 for an impossible name.
    pub fn of(subject: Subject) -> Result<Scope> {
        if subject.is_context() && subject.context_key().is_none() {
            return Ok(Scope::GLOBAL);
        }
        if subject.is_valid_scope() {
            Ok(Scope(Some(subject)))
        } else {
            Err(Error::InvalidSubject(subject.to_string()))
        }
    }

    /// The subject or context; `None` is everything.
    pub fn subject(&self) -> Option<&Subject> {
        self.0.as_ref()
    }

    /// The name in records.
    pub(super) fn key(&self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }

    /// Whether it stands above subjects: everything in the default context, or in all of them.
    pub(super) fn is_global(&self) -> bool {
        self.0.as_ref().is_none_or(|subject| subject.is_context() && subject.context() == GLOBAL_CONTEXT)
    }

    /// This scope and those it inherits from, nearest first: the subject, its context, the global context. What is set
    /// globally is that of the default context, and other contexts do not inherit it.
    pub(super) fn chain(&self) -> Vec<Option<String>> {
        let mut chain = Vec::with_capacity(3);
        match &self.0 {
            Some(subject) => {
                chain.push(Some(subject.to_string()));
                if !subject.is_context() {
                    chain.push(subject.context_key());
                }
            }
            None => chain.push(None),
        }
        if !self.is_global() || self.0.is_none() {
            chain.push(Some(context_key(GLOBAL_CONTEXT)));
        }
        chain
    }
}

impl Service {
    /// GET `/config` and `/config/{scope}`.
    ///
    /// # Errors
    /// 40408 for a scope without its own, unless `default_to_global`.
    pub fn config(&self, scope: &Scope, default_to_global: bool) -> Result<Config> {
        let own = self.log.store().config(scope.key().as_deref()).cloned();
        match (scope.subject(), own) {
            (None, own) => Ok(self.with_default_level(if default_to_global {
                self.inherited(scope)
            } else {
                own.unwrap_or_default()
            })),
            (Some(_), _) if default_to_global => Ok(self.with_default_level(self.inherited(scope))),
            (Some(_), Some(own)) => Ok(own),
            (Some(subject), None) => Err(Error::NoSubjectConfig(subject.to_string())),
        }
    }

    /// PUT: the members of the request change, the others stay. Returns the result.
    ///
    /// # Errors
    /// 42203 bad level or policy, 42205 read-only, 42210 bad rules, 400 for members of a wrong type.
    pub async fn set_config(&self, scope: &Scope, request: &Map<String, Json>) -> Result<Config> {
        let _writes = self.begin().await?;
        self.check_writable(scope)?;
        let level = request.get("compatibility").or_else(|| request.get("compatibilityLevel"));
        let is_level = |level: &Json| level.as_str().is_some_and(|text| CompatibilityLevel::parse(text).is_some());
        if level.is_some_and(|level| !level.is_null() && !is_level(level)) {
            return Err(Error::InvalidLevel);
        }
        let own = self.log.store().config(scope.key().as_deref()).cloned().unwrap_or_default();
        let config = own.updated(request).map_err(|error| Error::Plain(400, error.to_string()))?;
        if config.compatibility_policy.as_deref().is_some_and(|policy| !Config::is_policy(policy)) {
            return Err(Error::InvalidPolicy);
        }
        for rules in [&config.default_rule_set, &config.override_rule_set].into_iter().flatten() {
            rules.validate().map_err(|error| Error::InvalidRuleSet(error.to_string()))?;
        }
        if config != own || self.log.store().config(scope.key().as_deref()).is_none() {
            let key = Key::Config { subject: scope.key() };
            self.write(vec![Record::new(key, Value::Config(Box::new(config.clone())))]).await?;
        }
        Ok(config)
    }

    /// DELETE: back to what is inherited. Returns what was in force.
    ///
    /// # Errors
    /// 40401 for a scope without its own.
    pub async fn delete_config(&self, scope: &Scope) -> Result<Config> {
        let _writes = self.begin().await?;
        self.check_writable(scope)?;
        let own = self.log.store().config(scope.key().as_deref()).cloned();
        let old = match (scope.subject(), own) {
            (Some(_), Some(own)) => own,
            (None, own) => self.with_default_level(own.unwrap_or_default()),
            (Some(subject), None) => return Err(Error::SubjectNotFound(subject.to_string())),
        };
        self.write(vec![Record::tombstone(Key::Config { subject: scope.key() })]).await?;
        Ok(old)
    }

    /// The configuration that holds for a subject, member by member.
    pub(super) fn config_in_scope(&self, subject: &Subject) -> Config {
        self.inherited(&Scope(Some(subject.clone())))
    }

    /// The subject that a request means: that of the alias, if there is one.
    pub fn unaliased(&self, subject: Subject) -> Subject {
        let store = self.log.store();
        let alias = store.config(Some(&subject.to_string())).and_then(|config| config.alias.as_deref());
        match alias.filter(|alias| !alias.is_empty()) {
            Some(alias) => Subject::parse_in(subject.context(), alias),
            None => subject,
        }
    }

    fn inherited(&self, scope: &Scope) -> Config {
        let store = self.log.store();
        let configs = scope.chain().into_iter().filter_map(|key| store.config(key.as_deref()));
        configs.fold(Config::default(), |inner, outer| {
            let alias = inner.alias.clone();
            Config { alias, ..inner.inherit(outer) }
        })
    }

    fn with_default_level(&self, config: Config) -> Config {
        let level = config.compatibility_level.unwrap_or(self.options.compatibility_level);
        Config { compatibility_level: Some(level), ..config }
    }
}
