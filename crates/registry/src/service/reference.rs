//! References: from names, subjects and versions to the texts of all schemas that one needs.

use std::collections::HashSet;

use milena_schema::{Reference, ResolvedReference};

use super::{Error, Result, Service};
use crate::storage::{Store, Which};
use crate::subject::Subject;

/// References that lead through more schemas than this are refused.
const DEPTH_MAX: usize = 256;

impl Service {
    /// Checks the references of a new schema and replaces `-1` by the latest version.
    ///
    /// # Errors
    /// 42201 for a version that does not exist or is deleted.
    pub(super) fn resolve_new(
        &self,
        context: &str,
        references: &[Reference],
    ) -> Result<(Vec<Reference>, Vec<ResolvedReference>)> {
        let store = self.log.store();
        let mut settled = Vec::with_capacity(references.len());
        for reference in references {
            settled.push(settle(&store, context, reference)?);
        }
        let mut walk = Walk { store: &store, resolved: Vec::new(), seen: HashSet::new(), names: HashSet::new() };
        walk.visit(context, &settled, 0)?;
        Ok((settled, walk.resolved))
    }

    /// The texts that a registered schema needs; deleted ones count.
    ///
    /// # Errors
    /// 42201 for a version that is gone.
    pub(super) fn resolve_stored(&self, context: &str, references: &[Reference]) -> Result<Vec<ResolvedReference>> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let store = self.log.store();
        let mut walk = Walk { store: &store, resolved: Vec::new(), seen: HashSet::new(), names: HashSet::new() };
        walk.visit(context, references, 0)?;
        Ok(walk.resolved)
    }
}

/// The reference with its version as a number.
fn settle(store: &Store, context: &str, reference: &Reference) -> Result<Reference> {
    let subject = Subject::parse_in(context, &reference.subject);
    let found = match reference.version {
        -1 => store.latest(&subject),
        version => store.version(&subject, version).filter(|found| !found.deleted),
    };
    let found = found.ok_or_else(|| not_found(reference))?;
    Ok(Reference { version: found.version, ..reference.clone() })
}

fn not_found(reference: &Reference) -> Error {
    Error::UnknownReference(format!(
        "Invalid schema, details: No schema reference found for subject \"{}\" and version {} (reference \"{}\")",
        reference.subject, reference.version, reference.name
    ))
}

/// Depth first, so that dependencies come before dependents.
struct Walk<'a> {
    store: &'a Store,
    resolved: Vec<ResolvedReference>,
    /// Versions that were visited or are being visited.
    seen: HashSet<(String, i32)>,
    names: HashSet<String>,
}

impl Walk<'_> {
    fn visit(&mut self, context: &str, references: &[Reference], depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Error::invalid(format!(
                "Invalid schema, details: references are nested deeper than {DEPTH_MAX}"
            )));
        }
        for reference in references {
            let subject = Subject::parse_in(context, &reference.subject);
            let version = self.store.versions(&subject, Which::WithDeleted).rev();
            let version = match reference.version {
                -1 => version.into_iter().find(|version| !version.deleted),
                number => self.store.version(&subject, number),
            };
            let version = version.ok_or_else(|| not_found(reference))?;
            let first_visit = self.seen.insert((subject.to_string(), version.version));
            if first_visit {
                // An unqualified name inside belongs to the context of the schema that refers.
                self.visit(subject.context(), &version.content.references, depth + 1)?;
            }
            // One schema may be known under several names.
            if self.names.insert(reference.name.clone()) {
                self.resolved.push(ResolvedReference {
                    name: reference.name.clone(),
                    schema: version.content.schema.to_string(),
                    direct: depth == 0,
                });
            } else if depth == 0
                && let Some(known) = self.resolved.iter_mut().find(|known| known.name == reference.name)
            {
                known.direct = true;
            }
        }
        Ok(())
    }
}
