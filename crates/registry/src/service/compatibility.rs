//! Whether a schema may follow the versions there are.

use milena_schema::Incompatibility;
use milena_schema::contract::Metadata;

use super::entity::{CompatibilityAnswer, SchemaRequest, VersionSpec};
use super::lookup::Candidate;
use super::register::contract;
use super::{Error, Result, Service, at_leisure};
use crate::settings_of_scope::{CompatibilityLevel, Config};
use crate::storage::{Version, Which};
use crate::subject::Subject;

/// A metadata property: names that no field may have, separated by commas.
const RESERVED_PROPERTY: &str = "confluent:reserved";

/// What a schema is compared with.
enum Against {
    /// One version, if there is one.
    One(Option<Version>),
    /// All that the level asks for.
    AllOfLevel,
}

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
        let version = {
            let store = self.log.store();
            match version {
                VersionSpec::Latest => store.latest(subject).cloned(),
                VersionSpec::Number(number) => {
                    let found = store.version(subject, number).filter(|version| !version.deleted);
                    Some(found.cloned().ok_or(Error::VersionNotFound(number))?)
                }
            }
        };
        self.judge(subject, request, normalize, verbose, Against::One(version))
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
        self.judge(subject, request, normalize, verbose, Against::AllOfLevel)
    }

    fn judge(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
        verbose: bool,
        against: Against,
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
        let latest = self.log.store().latest(subject).cloned();
        let (metadata, _) = contract(&config, request, latest.as_ref(), self.next_version(subject));
        Ok(answer(self.findings(subject, &config, &candidate, metadata.as_ref(), against)?))
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
        let details = self.findings(subject, config, candidate, metadata, Against::AllOfLevel)?;
        if details.is_empty() { Ok(()) } else { Err(Error::Incompatible { subject: subject.to_string(), details }) }
    }

    /// The versions that are compared, newest first: of those of the same group, as many as the level asks for.
    fn relevant_versions(
        &self,
        subject: &Subject,
        config: &Config,
        level: CompatibilityLevel,
        metadata: Option<&Metadata>,
        against: Against,
    ) -> Vec<Version> {
        let group = config.compatibility_group.as_deref().filter(|name| !name.is_empty());
        let group_of = |metadata: Option<&Metadata>| {
            group.and_then(|name| metadata.and_then(|metadata| metadata.property(name)).map(str::to_owned))
        };
        let own_group = group_of(metadata);
        let is_of_group =
            |version: &&Version| group.is_none() || group_of(version.content.metadata.as_deref()) == own_group;
        match against {
            Against::One(version) => version.as_ref().filter(is_of_group).cloned().into_iter().collect(),
            Against::AllOfLevel => {
                let store = self.log.store();
                let count = if level.is_transitive() { usize::MAX } else { 1 };
                let versions = store.versions(subject, Which::Undeleted).rev();
                versions.filter(is_of_group).take(count).cloned().collect()
            }
        }
    }

    /// What is wrong with names of fields, and with the first version that does not fit, newest first; empty when all do.
    fn findings(
        &self,
        subject: &Subject,
        config: &Config,
        candidate: &Candidate,
        metadata: Option<&Metadata>,
        against: Against,
    ) -> Result<Vec<String>> {
        let level = config.compatibility_level.unwrap_or(self.options.compatibility_level);
        let validate_fields = config.validate_fields.unwrap_or(false);
        let mut messages: Vec<String> = Vec::new();
        if validate_fields {
            messages.extend(self.reserved_names(subject, candidate, metadata).iter().map(ToString::to_string));
        }
        if level != CompatibilityLevel::None {
            for version in self.relevant_versions(subject, config, level, metadata, against) {
                let found = self.differences(subject, config, level, candidate, &version)?;
                if !found.is_empty() {
                    messages.extend(found.iter().map(ToString::to_string));
                    messages.push(format!("{{oldSchemaVersion: {}}}", version.version));
                    messages.push(format!("{{oldSchema: '{}'}}", version.content.schema));
                    break;
                }
            }
        }
        if !messages.is_empty() {
            messages.push(format!("{{validateFields: '{validate_fields}', compatibility: '{}'}}", level.name()));
        }
        Ok(messages)
    }

    /// What the level forbids between one version and the candidate.
    fn differences(
        &self,
        subject: &Subject,
        config: &Config,
        level: CompatibilityLevel,
        candidate: &Candidate,
        version: &Version,
    ) -> Result<Vec<Incompatibility>> {
        let old = self.parsed(subject.context(), &version.content)?;
        let policy = config.policy();
        Ok(at_leisure(|| {
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
        }))
    }

    /// Names that the metadata reserves: none may be used, and none of the latest version's may be given up.
    fn reserved_names(
        &self,
        subject: &Subject,
        candidate: &Candidate,
        metadata: Option<&Metadata>,
    ) -> Vec<Incompatibility> {
        let reserved = |metadata: Option<&Metadata>| -> Vec<String> {
            let names = metadata.and_then(|metadata| metadata.property(RESERVED_PROPERTY)).unwrap_or_default();
            names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let now = reserved(metadata);
        let latest = self.log.store().latest(subject).cloned();
        let before = reserved(latest.as_ref().and_then(|version| version.content.metadata.as_deref()));
        let given_up = before.iter().filter(|name| !now.contains(name)).map(|name| {
            let description =
                format!("The new schema's metadata does not reserve '{name}', which the old schema's does");
            reserved_name("RESERVED_PROPERTY_REMOVED", name, description)
        });
        let used = now.iter().filter(|name| candidate.parsed.has_top_level_field(name)).map(|name| {
            let description = format!("The new schema has the field '{name}', whose name its metadata reserves");
            reserved_name("RESERVED_PROPERTY_CONFLICTS_WITH_PROPERTY", name, description)
        });
        given_up.chain(used).collect()
    }
}

fn reserved_name(error_type: &str, name: &str, description: String) -> Incompatibility {
    Incompatibility { error_type: error_type.to_owned(), description, location: name.to_owned(), additional_info: None }
}
