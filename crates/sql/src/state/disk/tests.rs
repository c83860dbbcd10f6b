//! State on disk with its changelog.

use super::*;
use crate::state::entries;

fn stores(directory: &std::path::Path, partition: u32) -> DiskStateStores {
    let database = Database::builder(directory).open().unwrap();
    DiskStateStores::new(database, "CTAS_A_1", partition).unwrap()
}

fn keys(store: &dyn StateStore) -> Vec<Vec<u8>> {
    entries(store, b"", b"\xff").unwrap().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn scans_see_the_tree_with_what_was_written_since() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = stores(directory.path(), 0);
    let mut store = stores.open("a").unwrap();
    let mut other = stores.open("b").unwrap();
    for key in [b"b", b"d", b"f"] {
        store.put(key, b"old").unwrap();
    }
    other.put(b"c", b"other").unwrap();
    stores.commit(5).unwrap();
    assert!(stores.pending().is_empty());
    store.put(b"a", b"new").unwrap();
    store.put(b"d", b"new").unwrap();
    store.delete(b"b").unwrap();
    store.put(b"g", b"new").unwrap();
    assert_eq!(keys(store.as_ref()), [b"a", b"d", b"f", b"g"]);
    assert_eq!(store.get(b"d").unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(store.get(b"b").unwrap(), None);
    assert_eq!(keys(other.as_ref()), [b"c"]);

    stores.discard();
    assert_eq!(keys(store.as_ref()), [b"b", b"d", b"f"]);
    assert_eq!(stores.position().unwrap(), Some(5));
}

#[test]
fn what_is_known_of_the_tree_is_bounded_and_follows_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = stores(directory.path(), 0);
    let mut store = stores.open("a").unwrap();
    let key = |number: u32| number.to_be_bytes();
    for round in 1..4_u8 {
        for number in 0..40_000 {
            store.put(&key(number), &[round]).unwrap();
        }
        store.delete(&key(7)).unwrap();
        assert!(stores.pending_bytes() > 40_000 * 5);
        stores.commit(i64::from(round)).unwrap();
        assert_eq!(stores.pending_bytes(), 0);
        for number in [0, 7, 20_000, 39_999, 50_000] {
            let expected = (number != 7 && number < 40_000).then(|| vec![round]);
            assert_eq!(store.get(&key(number)).unwrap(), expected, "{number}");
            assert_eq!(store.get(&key(number)).unwrap(), expected, "{number}");
        }
    }
    store.put(&key(0), b"aborted").unwrap();
    stores.discard();
    assert_eq!(store.get(&key(0)).unwrap(), Some(vec![3]));
    stores.restore([([&[0, 0][..], &key(0)].concat(), Some(b"restored".to_vec()))].into_iter(), 9).unwrap();
    assert_eq!(store.get(&key(0)).unwrap().as_deref(), Some(&b"restored"[..]));
    let overlay = stores.overlays[0].lock();
    let entries = overlay.recent.young.len() + overlay.recent.old.len();
    assert!(entries * (ENTRY_BYTES + 5) <= 2 * RECENT_BYTES);
}

#[test]
fn a_changelog_makes_the_same_state_elsewhere() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = stores(here.path(), 3);
    let mut store = stores.open("a").unwrap();
    store.put(b"k", b"v").unwrap();
    store.delete(b"gone").unwrap();
    let changelog = stores.pending();
    let mut restored = super::tests::stores(there.path(), 7);
    assert_eq!(restored.position().unwrap(), None);
    let copy = restored.open("a").unwrap();
    restored.restore(changelog.into_iter(), 3).unwrap();
    assert_eq!(entries(copy.as_ref(), b"", b"\xff").unwrap(), [(b"k".to_vec(), b"v".to_vec())]);
    assert_eq!(restored.position().unwrap(), Some(3));
}

#[test]
fn a_changelog_says_its_layout_once_and_others_are_refused() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stores = stores(here.path(), 0);
    let mut store = stores.open("a").unwrap();
    stores.belong_to("one").unwrap();
    assert!(stores.pending().is_empty());
    store.put(b"k", b"v").unwrap();
    assert_eq!(stores.pending()[0], (layout_key(), Some(LAYOUT.to_be_bytes().to_vec())));
    // What was aborted has to be said again.
    stores.discard();
    store.put(b"k", b"v").unwrap();
    assert_eq!(stores.pending().len(), 2);
    stores.commit(2).unwrap();
    store.put(b"k", b"w").unwrap();
    assert_eq!(stores.pending().len(), 1);
    stores.belong_to("one").unwrap();
    assert_eq!(stores.pending().len(), 1);

    let mut elsewhere = super::tests::stores(there.path(), 0);
    let record = || (vec![0, 0, 1], Some(vec![1]));
    let other = (layout_key(), Some((LAYOUT + 1).to_be_bytes().to_vec()));
    let refused = elsewhere.restore([other, record()].into_iter(), 2).unwrap_err();
    assert!(refused.message.contains(&format!("has layout {}", LAYOUT + 1)), "{refused}");
    elsewhere.restore([record()].into_iter(), 1).unwrap();
    let refused = elsewhere.restored().unwrap_err();
    assert!(refused.message.contains("has no layout number"), "{refused}");
    elsewhere.belong_to("one").unwrap();
    elsewhere.restore([(layout_key(), Some(LAYOUT.to_be_bytes().to_vec())), record()].into_iter(), 2).unwrap();
    elsewhere.restore([record()].into_iter(), 3).unwrap();
    elsewhere.restored().unwrap();
    assert_eq!(elsewhere.position().unwrap(), Some(3));
}

#[test]
fn a_changelog_says_its_layout_whatever_was_aborted_or_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = stores(directory.path(), 0);
    let mut store = stores.open("a").unwrap();
    stores.belong_to("one").unwrap();
    // All that there was is aborted; the layout still has to be said.
    stores.restore(std::iter::empty(), 7).unwrap();
    stores.restored().unwrap();
    assert_eq!(stores.position().unwrap(), None);
    stores.belong_to("one").unwrap();
    store.put(b"k", b"v").unwrap();
    assert_eq!(stores.pending()[0].0, layout_key());
    stores.discard();

    let mark = (layout_key(), Some(LAYOUT.to_be_bytes().to_vec()));
    stores.restore([(vec![0, 0, 1], Some(vec![1]))].into_iter(), 8).unwrap();
    stores.restore([mark].into_iter(), 9).unwrap();
    stores.restored().unwrap();
    assert_eq!((keys(store.as_ref()), stores.position().unwrap()), (vec![vec![1]], Some(9)));
}

#[test]
fn local_state_of_another_layout_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = stores(directory.path(), 1);
    let mut store = stores.open("a").unwrap();
    stores.belong_to("one").unwrap();
    store.put(b"k", b"v").unwrap();
    stores.changelog = format!("layout {} of one", LAYOUT + 1).into_bytes();
    stores.commit(9).unwrap();
    stores.belong_to("one").unwrap();
    assert_eq!((keys(store.as_ref()).len(), stores.position().unwrap()), (0, None));
}

#[test]
fn state_of_another_changelog_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = stores(directory.path(), 1);
    let mut store = stores.open("a").unwrap();
    stores.belong_to("one").unwrap();
    store.put(b"k", b"v").unwrap();
    stores.commit(9).unwrap();
    stores.belong_to("one").unwrap();
    assert_eq!((keys(store.as_ref()).len(), stores.position().unwrap()), (1, Some(9)));
    stores.belong_to("other").unwrap();
    assert_eq!((keys(store.as_ref()).len(), stores.position().unwrap()), (0, None));
}

#[test]
fn keys_that_no_tree_takes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = stores(directory.path(), 0).open("a").unwrap();
    assert!(store.put(&vec![0; KEY_BYTES_MAX], b"").unwrap_err().message.contains("too long"));
}
