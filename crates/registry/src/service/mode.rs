//! Modes: who may write.

use super::config::Scope;
use super::{Error, Result, Service};
use crate::settings_of_scope::Mode;
use crate::storage::{Key, Record, Value, Which};
use crate::subject::{DEFAULT_CONTEXT, GLOBAL_CONTEXT, Subject, context_key};

impl Service {
    /// GET `/mode` and `/mode/{scope}`.
    ///
    /// # Errors
    /// 40409 for a scope without its own, unless `default_to_global`.
    pub fn mode(&self, scope: &Scope, default_to_global: bool) -> Result<Mode> {
        let own = self.log.store().mode(scope.key().as_deref());
        match (scope.subject(), own) {
            _ if self.is_overridden() => Ok(Mode::ReadonlyOverride),
            (_, Some(own)) => Ok(own),
            (Some(subject), None) if !default_to_global => Err(Error::NoSubjectMode(subject.to_string())),
            _ => Ok(self.inherited_mode(scope)),
        }
    }

    /// PUT: sets the mode, or with `None` unsets it.
    ///
    /// # Errors
    /// 42205 when modes are fixed, or for IMPORT over schemas that exist; 42204 for a mode that the scope cannot have.
    pub async fn set_mode(&self, scope: &Scope, mode: Option<Mode>, force: bool) -> Result<()> {
        let _writes = self.begin().await?;
        self.check_mutable()?;
        let key = Key::Mode { subject: scope.key() };
        let Some(mode) = mode else { return self.write(vec![Record::tombstone(key)]).await };
        if matches!(mode, Mode::ReadonlyOverride | Mode::Forward) && !scope.is_global() {
            return Err(Error::InvalidMode);
        }
        let mut records = Vec::new();
        let enters_import = mode == Mode::Import && self.inherited_mode(scope) != Mode::Import;
        if enters_import && !force {
            records = self.clear_for_import(scope)?;
        }
        records.push(Record::new(key, Value::Mode(mode)));
        self.write(records).await
    }

    /// DELETE: back to what is inherited; with `recursive` for all subjects of a context too. Returns what was in force.
    ///
    /// # Errors
    /// 40401 for a scope without its own, 42205 when modes are fixed.
    pub async fn delete_mode(&self, scope: &Scope, recursive: bool) -> Result<Mode> {
        let _writes = self.begin().await?;
        self.check_mutable()?;
        let own = self.log.store().mode(scope.key().as_deref());
        let old = match (scope.subject(), own) {
            (_, Some(own)) => own,
            (None, None) => self.inherited_mode(scope),
            (Some(subject), None) => return Err(Error::SubjectNotFound(subject.to_string())),
        };
        let mut records = vec![Record::tombstone(Key::Mode { subject: scope.key() })];
        if recursive {
            let store = self.log.store();
            let names = store.subjects(Which::WithDeleted).filter(|(subject, _)| covers(scope, subject));
            let names = names.map(|(_, name)| name.to_string()).filter(|name| store.mode(Some(name)).is_some());
            records.extend(names.map(|name| Record::tombstone(Key::Mode { subject: Some(name) })));
        }
        self.write(records).await?;
        Ok(old)
    }

    /// The mode that holds for a subject.
    pub(super) fn mode_in_scope(&self, subject: &Subject) -> Mode {
        Scope::of(subject.clone()).map_or(Mode::Readwrite, |scope| self.inherited_mode(&scope))
    }

    /// # Errors
    /// 42205 where nothing may be written.
    pub(super) fn check_writable(&self, scope: &Scope) -> Result<()> {
        if !matches!(self.inherited_mode(scope), Mode::Readonly | Mode::ReadonlyOverride) {
            return Ok(());
        }
        let (name, context) = match scope.subject() {
            Some(subject) => (subject.name().to_owned(), subject.context().to_owned()),
            None => ("null".to_owned(), DEFAULT_CONTEXT.to_owned()),
        };
        Err(Error::NotPermitted(format!("Subject {name} in context {context} is in read-only mode")))
    }

    fn inherited_mode(&self, scope: &Scope) -> Mode {
        if self.is_overridden() {
            return Mode::ReadonlyOverride;
        }
        let store = self.log.store();
        scope.chain().iter().find_map(|key| store.mode(key.as_deref())).unwrap_or(Mode::Readwrite)
    }

    /// Whether the override is set, which wins over everything below it.
    fn is_overridden(&self) -> bool {
        let store = self.log.store();
        let global = [None, Some(context_key(GLOBAL_CONTEXT))];
        global.iter().any(|key| store.mode(key.as_deref()) == Some(Mode::ReadonlyOverride))
    }

    fn check_mutable(&self) -> Result<()> {
        if self.options.mode_mutability {
            return Ok(());
        }
        Err(Error::NotPermitted("Mode changes are not allowed".to_owned()))
    }

    /// IMPORT starts from nothing: what is soft-deleted is forgotten, what is not stands in the way.
    fn clear_for_import(&self, scope: &Scope) -> Result<Vec<Record>> {
        let store = self.log.store();
        let mut records = Vec::new();
        for (subject, name) in store.subjects(Which::WithDeleted).filter(|(subject, _)| covers(scope, subject)) {
            if store.latest(&subject).is_some() {
                return Err(Error::NotPermitted("Cannot import since found existing subjects".to_owned()));
            }
            for version in store.versions(&subject, Which::OnlyDeleted) {
                let outside = store.referrers(&subject, version.version, Which::Undeleted);
                if !outside.is_empty() {
                    return Err(Error::Referenced(name.to_string(), version.version));
                }
                let key = Key::Schema { subject: name.to_string(), version: version.version };
                records.push(Record::tombstone(key));
            }
            records.push(Record::new(Key::ClearSubject { subject: name.to_string() }, Value::ClearSubject));
        }
        Ok(records)
    }
}

/// Whether a setting of `scope` is about `subject`.
fn covers(scope: &Scope, subject: &Subject) -> bool {
    match scope.subject() {
        None => subject.context() == DEFAULT_CONTEXT,
        Some(scope) if scope.is_context() => scope.context() == subject.context(),
        Some(scope) => scope == subject,
    }
}
