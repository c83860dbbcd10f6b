//! What codecs know of the schemas that records name by their ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::FormatError;
use super::registry::{RegisteredSchema, SchemaRegistry};

/// How long an id that the registry does not know, or that means nothing, is not asked for again.
const RETRY: Duration = Duration::from_secs(10);

/// Most ids without a schema that are remembered: records name any they like.
const UNKNOWN_MAX: usize = 1000;

/// What is made of schemas, by id.
pub(super) struct Readers<T> {
    known: Mutex<HashMap<i32, Known<T>>>,
}

enum Known<T> {
    Read(Arc<T>),
    /// Why there is nothing, and when that was.
    Unknown(FormatError, Instant),
}

impl<T> Default for Readers<T> {
    fn default() -> Self {
        Readers { known: Mutex::new(HashMap::new()) }
    }
}

impl<T> Readers<T> {
    /// What `read` makes of the schema with this id.
    ///
    /// # Errors
    /// No such schema, or one that `read` refuses; a registry that does not answer, which is asked again at once.
    pub(super) fn get(
        &self,
        id: i32,
        registry: &dyn SchemaRegistry,
        read: impl FnOnce(RegisteredSchema) -> Result<T, FormatError>,
    ) -> Result<Arc<T>, FormatError> {
        match self.known.lock().get(&id) {
            Some(Known::Read(known)) => return Ok(known.clone()),
            Some(Known::Unknown(error, at)) if at.elapsed() < RETRY => return Err(error.clone()),
            _ => {}
        }
        let found = match registry.by_id(id)? {
            Some(schema) => read(schema).map(Arc::new),
            None => Err(FormatError(format!("Schema {id} not found"))),
        };
        let mut known = self.known.lock();
        match &found {
            Ok(read) => known.insert(id, Known::Read(read.clone())),
            Err(error) => {
                make_room(&mut known);
                known.insert(id, Known::Unknown(error.clone(), Instant::now()))
            }
        };
        drop(known);
        found
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.known.lock().clear();
    }
}

/// Forgets the unknown ids that may be asked for again, and the oldest one where there are still too many.
fn make_room<T>(known: &mut HashMap<i32, Known<T>>) {
    known.retain(|_, known| !matches!(known, Known::Unknown(_, at) if at.elapsed() >= RETRY));
    let unknown = known.iter().filter_map(|(id, known)| match known {
        Known::Unknown(_, at) => Some((*at, *id)),
        Known::Read(_) => None,
    });
    if unknown.clone().count() >= UNKNOWN_MAX
        && let Some((_, oldest)) = unknown.min()
    {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use milena_schema::SchemaType;

    use super::*;

    /// A registry without schemas that counts questions.
    #[derive(Default)]
    struct Empty(AtomicUsize);

    impl SchemaRegistry for Empty {
        fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, FormatError> {
            Ok(None)
        }

        fn by_id(&self, id: i32) -> Result<Option<RegisteredSchema>, FormatError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if id < 0 { Err(FormatError("no answer".to_owned())) } else { Ok(None) }
        }

        fn register(&self, _: &str, _: SchemaType, _: &str) -> Result<RegisteredSchema, FormatError> {
            Err(FormatError("refused".to_owned()))
        }
    }

    #[test]
    fn unknown_ids_are_asked_for_once_and_silence_again() {
        let (registry, readers) = (Empty::default(), Readers::<RegisteredSchema>::default());
        for _ in 0..3 {
            assert_eq!(readers.get(7, &registry, Ok).unwrap_err().0, "Schema 7 not found");
        }
        assert_eq!(registry.0.load(Ordering::Relaxed), 1);
        for _ in 0..3 {
            assert_eq!(readers.get(-1, &registry, Ok).unwrap_err().0, "no answer");
        }
        assert_eq!(registry.0.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn unknown_ids_are_not_hoarded() {
        let (registry, readers) = (Empty::default(), Readers::<RegisteredSchema>::default());
        for id in 0..1500 {
            assert!(readers.get(id, &registry, Ok).is_err());
        }
        let known = readers.known.lock();
        assert_eq!(known.len(), UNKNOWN_MAX);
        assert!(known.contains_key(&1499) && !known.contains_key(&0));
    }
}
