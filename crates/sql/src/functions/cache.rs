//! What a thread has read of texts that come again with every row, as almost all patterns and paths are literals.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::thread::LocalKey;

/// Most texts kept of a kind.
const CACHED_MAX: usize = 256;

/// What the texts of a kind mean.
pub(super) type Cache<T> = RefCell<HashMap<String, Rc<T>>>;

/// What `text` means, read once for each thread.
pub(super) fn cached<T, E>(
    cache: &'static LocalKey<Cache<T>>,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Rc<T>, E> {
    cached_within(cache, CACHED_MAX, text, read)
}

/// As [`cached`], with `most` texts kept: for meanings that take much memory.
pub(super) fn cached_within<T, E>(
    cache: &'static LocalKey<Cache<T>>,
    most: usize,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Rc<T>, E> {
    cache.with_borrow_mut(|cache| {
        if let Some(known) = cache.get(text) {
            return Ok(known.clone());
        }
        let meaning = Rc::new(read(text)?);
        if cache.len() >= most {
            cache.clear();
        }
        cache.insert(text.to_owned(), meaning.clone());
        Ok(meaning)
    })
}
