//! Deletion: first soft (hidden, still found by id), then for good.

use super::config::Scope;
use super::entity::VersionSpec;
use super::register::value;
use super::{Error, Result, Service};
use crate::storage::{Key, Record, Store, Value, Version, Which};
use crate::subject::Subject;

impl Service {
    /// DELETE `/subjects/{subject}`: all versions. Returns their numbers.
    ///
    /// # Errors
    /// 40401 unknown, 40404 soft-deleted already, 40405 not soft-deleted yet, 42205 read-only, 42206 referenced.
    pub async fn delete_subject(&self, subject: &Subject, permanent: bool) -> Result<Vec<i32>> {
        let _writes = self.begin().await?;
        self.check_writable(&Scope::of(subject.clone())?)?;
        let (numbers, records) = {
            let store = self.log.store();
            let all: Vec<&Version> = store.versions(subject, Which::WithDeleted).collect();
            let undeleted: Vec<&Version> = all.iter().copied().filter(|version| !version.deleted).collect();
            let name = subject.to_string();
            if all.is_empty() {
                return Err(Error::SubjectNotFound(name));
            }
            if permanent {
                if !undeleted.is_empty() {
                    return Err(Error::SubjectNotSoftDeleted(name));
                }
                check_unreferenced(&store, subject, &all, Which::WithDeleted)?;
                let numbers = all.iter().map(|version| version.version).collect::<Vec<_>>();
                (numbers, remove_for_good(&store, subject, &all))
            } else {
                let Some(last) = undeleted.last() else { return Err(Error::SubjectSoftDeleted(name)) };
                check_unreferenced(&store, subject, &undeleted, Which::Undeleted)?;
                let key = Key::DeleteSubject { subject: name };
                let record = Record::new(key, Value::DeleteSubject(last.version));
                let mut records = vec![record];
                records.extend(settings_of(&store, subject));
                (undeleted.iter().map(|version| version.version).collect(), records)
            }
        };
        self.write(records).await?;
        Ok(numbers)
    }

    /// DELETE `/subjects/{subject}/versions/{version}`. Returns the number.
    ///
    /// # Errors
    /// 40401 and 40402 unknown, 40406 soft-deleted already, 40407 not soft-deleted yet, 42205 read-only, 42206 referenced.
    pub async fn delete_version(&self, subject: &Subject, version: VersionSpec, permanent: bool) -> Result<i32> {
        let _writes = self.begin().await?;
        self.check_writable(&Scope::of(subject.clone())?)?;
        let (number, records) = {
            let store = self.log.store();
            let found = match version {
                VersionSpec::Latest => store.latest(subject),
                VersionSpec::Number(number) => store.version(subject, number),
            };
            let name = subject.to_string();
            let Some(found) = found else {
                let known = store.versions(subject, Which::WithDeleted).next().is_some();
                return Err(if known {
                    Error::VersionNotFound(version.number())
                } else {
                    Error::SubjectNotFound(name)
                });
            };
            let number = found.version;
            match (permanent, found.deleted) {
                (false, true) => return Err(Error::VersionSoftDeleted(name, number)),
                (true, false) => return Err(Error::VersionNotSoftDeleted(name, number)),
                (true, true) => {
                    if !store.referrers(subject, number, Which::WithDeleted).is_empty() {
                        return Err(Error::Referenced(name, number));
                    }
                    (number, remove_for_good(&store, subject, &[found]))
                }
                (false, false) => {
                    if !store.referrers(subject, number, Which::Undeleted).is_empty() {
                        return Err(Error::Referenced(name, number));
                    }
                    let mut deleted = value(subject, number, found.id, &found.content);
                    deleted.deleted = true;
                    let mut records = vec![Record::schema(deleted)];
                    if store.versions(subject, Which::Undeleted).count() == 1 {
                        records.extend(settings_of(&store, subject));
                    }
                    (number, records)
                }
            }
        };
        self.write(records).await?;
        Ok(number)
    }
}

/// A whole subject may go when only its own versions refer to it.
fn check_unreferenced(store: &Store, subject: &Subject, versions: &[&Version], which: Which) -> Result<()> {
    for version in versions {
        let referrers = store.referrers(subject, version.version, which);
        if referrers.iter().any(|(referrer, _)| referrer != subject) {
            return Err(Error::Referenced(subject.to_string(), version.version));
        }
    }
    Ok(())
}

/// Tombstones from the highest version down; the last one takes configuration and mode with it.
fn remove_for_good(store: &Store, subject: &Subject, versions: &[&Version]) -> Vec<Record> {
    let name = subject.to_string();
    let mut records = Vec::new();
    let id_max = store.id_max(subject.context());
    if versions.iter().any(|version| version.id == id_max) {
        // After compaction nothing else would tell that the id was used.
        let key = Key::IdLimit { context: subject.context().to_owned() };
        records.push(Record::new(key, Value::IdLimit(id_max)));
    }
    let tombstone =
        |version: &&Version| Record::tombstone(Key::Schema { subject: name.clone(), version: version.version });
    records.extend(versions.iter().rev().map(tombstone));
    if store.versions(subject, Which::WithDeleted).count() == versions.len() {
        records.push(Record::tombstone(Key::DeleteSubject { subject: name }));
        records.extend(settings_of(store, subject));
    }
    records
}

/// Tombstones for configuration and mode of a subject that has nothing left.
fn settings_of(store: &Store, subject: &Subject) -> Vec<Record> {
    let name = subject.to_string();
    let mut records = Vec::new();
    if store.mode(Some(&name)).is_some() {
        records.push(Record::tombstone(Key::Mode { subject: Some(name.clone()) }));
    }
    if store.config(Some(&name)).is_some() {
        records.push(Record::tombstone(Key::Config { subject: Some(name) }));
    }
    records
}
