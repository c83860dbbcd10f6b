//! The cache keeps its bound and never pulls a file from under a reader.

use super::*;

#[test]
fn never_keeps_more_files_open_than_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = FileCache::new(8);
    let files: Vec<LazyFile> = (0..40).map(|_| LazyFile::new(&cache)).collect();
    for round in 0..3 {
        for (i, file) in files.iter().enumerate() {
            file.get(|| File::create(dir.path().join(i.to_string()))).unwrap();
            assert!(cache.open_count() <= 8, "round {round}");
        }
    }
    assert!(cache.open.lock().len() <= 8);
}

#[test]
fn a_file_in_use_survives_eviction() {
    let dir = tempfile::tempdir().unwrap();
    let cache = FileCache::new(8);
    let first = LazyFile::new(&cache);
    let held = first.get(|| File::create_new(dir.path().join("held"))).unwrap();
    let others: Vec<LazyFile> = (0..20).map(|_| LazyFile::new(&cache)).collect();
    for (i, file) in others.iter().enumerate() {
        file.get(|| File::create(dir.path().join(i.to_string()))).unwrap();
    }
    assert!(held.metadata().is_ok());
}
