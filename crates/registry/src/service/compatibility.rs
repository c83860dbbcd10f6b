//! Whether a schema may follow the versions there are.

use milena_schema::contract::Metadata;

use super::entity::{CompatibilityAnswer, SchemaRequest, VersionSpec};
use super::lookup::Candidate;
use super::{Error, Result, Service, at_leisure};
use crate::settings_of_scope::{CompatibilityLevel, Config};
use crate::storage::{Version, Which};
use crate::subject::Subject;

impl Service {
    /// POST `/compatibility/subjects/{subject}/versions/{version}`: against one version.
    ///
    /// # Errors
    /// 40402 for a numbered version that does not exist, 42201 for what is no schema.
    pub fn compatibility_with(
        &self,
        subject: &Subject,
        version: VersionSpec,
        request: &SchemaRequest,
        normalize: bool,
        verbose: bool,
    ) -> Result<CompatibilityAnswer> {
        let against = {
            let store = self.log.store();
            match version {
                VersionSpec::Latest => store.latest(subject).cloned(),
                VersionSpec::Number(number) => {
                    let found = store.version(subject, number).filter(|version| !version.deleted);
                    Some(found.cloned().ok_or(Error::VersionNotFound(number))?)
                }
            }
        };
        self.judge(subject, request, normalize, verbose, |_, _| against.into_iter().collect())
    }

    /// POST `/compatibility/subjects/{subject}/versions`: against all that the level asks for.
    ///
    /// # Errors
    /// 42201 for what is no schema.
    pub fn compatibility_with_all(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
        verbose: bool,
    ) -> Result<CompatibilityAnswer> {
        self.judge(subject, request, normalize, verbose, |config, level| {
            self.relevant_versions(subject, config, level, request.metadata.as_ref())
        })
    }

    fn judge(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
        verbose: bool,
        versions: impl FnOnce(&Config, CompatibilityLevel) -> Vec<Version>,
    ) -> Result<CompatibilityAnswer> {
        let answer = |messages: Vec<String>| CompatibilityAnswer {
            is_compatible: messages.is_empty(),
            messages: verbose.then_some(messages),
        };
        let candidate = match self.candidate(subject, request, self.reading(subject, normalize)) {
            Ok(candidate) => candidate,
            Err(Error::InvalidSchema(message)) if verbose => return Ok(answer(vec![message])),
            Err(error) => return Err(error),
        };
        let config = self.config_in_scope(subject);
        let level = self.level(&config);
        let versions = versions(&config, level);
        Ok(answer(self.findings(subject, &config, level, &candidate, versions)?))
    }

    /// The check of a registration.
    ///
    /// # Errors
    /// 40901 with the findings.
    pub(super) fn check_compatibility(
        &self,
        subject: &Subject,
        config: &Config,
        candidate: &Candidate,
        metadata: Option<&Metadata>,
    ) -> Result<()> {
        let level = self.level(config);
        let versions = self.relevant_versions(subject, config, level, metadata);
        let details = self.findings(subject, config, level, candidate, versions)?;
        if details.is_empty() { Ok(()) } else { Err(Error::Incompatible { subject: subject.to_string(), details }) }
    }

    fn level(&self, config: &Config) -> CompatibilityLevel {
        config.compatibility_level.unwrap_or(self.options.compatibility_level)
    }

    /// The versions that the level compares with, newest first.
    fn relevant_versions(
        &self,
        subject: &Subject,
        config: &Config,
        level: CompatibilityLevel,
        metadata: Option<&Metadata>,
    ) -> Vec<Version> {
        let store = self.log.store();
        let group = config.compatibility_group.as_deref();
        let group_of = |metadata: Option<&Metadata>| {
            group.and_then(|name| metadata.and_then(|metadata| metadata.property(name)).map(str::to_owned))
        };
        let own_group = group_of(metadata);
        let mut versions = store.versions(subject, Which::Undeleted).rev();
        let mut relevant = versions
            .by_ref()
            .filter(|version| group.is_none() || group_of(version.content.metadata.as_deref()) == own_group)
            .cloned();
        if level.is_transitive() { relevant.collect() } else { relevant.next().into_iter().collect() }
    }

    /// What is wrong with the first version that does not fit, newest first; empty when all do.
    fn findings(
        &self,
        subject: &Subject,
        config: &Config,
        level: CompatibilityLevel,
        candidate: &Candidate,
        versions: Vec<Version>,
    ) -> Result<Vec<String>> {
        if level == CompatibilityLevel::None {
            return Ok(Vec::new());
        }
        let policy = config.policy();
        for version in versions {
            let old = self.parsed(subject.context(), &version.content)?;
            let found = at_leisure(|| {
                let mut found = Vec::new();
                if level.checks_backward() {
                    let findings = candidate.parsed.incompatibilities(&old, policy);
                    found.extend(findings.iter().map(|finding| finding.told_as("new", "old")));
                }
                if level.checks_forward() {
                    let findings = old.incompatibilities(&candidate.parsed, policy);
                    found.extend(findings.iter().map(|finding| finding.told_as("old", "new")));
                }
                found
            });
            if found.is_empty() {
                continue;
            }
            let mut messages: Vec<String> = found.iter().map(ToString::to_string).collect();
            messages.push(format!("{{oldSchemaVersion: {}}}", version.version));
            messages.push(format!("{{oldSchema: '{}'}}", version.content.schema));
            let validate_fields = config.validate_fields.unwrap_or(false);
            messages.push(format!("{{validateFields: '{validate_fields}', compatibility: '{}'}}", level.name()));
            return Ok(messages);
        }
        Ok(Vec::new())
    }
}
