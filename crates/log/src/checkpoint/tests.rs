//! Checkpoints are Kafka's text files, and a damaged one counts as absent.

use super::*;

#[test]
fn offsets_are_written_in_kafkas_text_form_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(RECOVERY_POINT_FILE);
    let offsets = Offsets::from([(("orders".to_string(), 1), 42), (("a-b".to_string(), 0), 7)]);
    write_offsets(&path, &offsets).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n2\na-b 0 7\norders 1 42\n");
    assert_eq!(read_offsets(&path), offsets);
}

#[test]
fn a_damaged_checkpoint_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(LOG_START_FILE);
    for text in ["", "1\n0\n", "0\n2\nt 0 5\n", "0\n1\nt zero 5\n", "0\n1\nt 0 5 9\n"] {
        fs::write(&path, text).unwrap();
        assert!(read_offsets(&path).is_empty(), "{text:?}");
    }
}
