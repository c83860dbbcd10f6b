//! What every [`MetadataStore`] must do. Each implementation runs [`suite`] in its tests.

use std::sync::Arc;
use std::time::Duration;

use milena_stdx::MockClock;

use super::{Change, MetadataStore, Outcome, StoreError, Transaction};

type Store = Box<dyn MetadataStore>;

/// Runs every check, each against a fresh store that tells time by the clock it is given.
///
/// # Panics
/// When the store does not do what the trait promises.
pub fn suite(make: impl Fn(Arc<MockClock>) -> Store) {
    let fresh = || make(Arc::new(MockClock::default()));
    a_committed_value_is_read_back(&*fresh());
    a_listing_is_sorted_and_bounded_by_its_prefix(&*fresh());
    a_transaction_whose_expectation_fails_changes_nothing(&*fresh());
    each_key_remembers_its_own_revision(&*fresh());
    a_watch_sees_changes_of_its_prefix_in_order(&*fresh());
    deleting_an_absent_key_is_silent(&*fresh());
    let clock = Arc::new(MockClock::default());
    leased_keys_live_as_long_as_the_lease_is_renewed(&*make(clock.clone()), &clock);
    revoking_a_lease_removes_its_keys(&*fresh());
}

fn committed(store: &dyn MetadataStore, transaction: Transaction) -> u64 {
    match store.commit(transaction).expect("the store is writable") {
        Outcome::Committed(revision) => revision,
        Outcome::Conflict(key) => panic!("unexpected conflict about {key}"),
    }
}

fn value(store: &dyn MetadataStore, key: &str) -> Option<String> {
    let entry = store.get(key).expect("the store is readable")?;
    Some(String::from_utf8(entry.value).expect("values of the suite are text"))
}

fn a_committed_value_is_read_back(store: &dyn MetadataStore) {
    assert_eq!(value(store, "a"), None);
    committed(store, Transaction::new().put("a", "1").put("b", ""));
    assert_eq!(value(store, "a").as_deref(), Some("1"));
    assert_eq!(value(store, "b").as_deref(), Some(""));
    committed(store, Transaction::new().put("a", "2").delete("b"));
    assert_eq!(value(store, "a").as_deref(), Some("2"));
    assert_eq!(value(store, "b"), None);
}

fn a_listing_is_sorted_and_bounded_by_its_prefix(store: &dyn MetadataStore) {
    let revision = committed(store, Transaction::new().put("t/b", "2").put("t/a", "1").put("s", "0").put("u", "3"));
    let listing = store.list("t/").expect("the store is readable");
    assert_eq!(listing.revision, revision);
    assert_eq!(listing.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["t/a", "t/b"]);
    assert_eq!(store.list("").expect("the store is readable").entries.len(), 4);
}

fn a_transaction_whose_expectation_fails_changes_nothing(store: &dyn MetadataStore) {
    let first = committed(store, Transaction::new().expect_absent("a").put("a", "1"));
    let again = store.commit(Transaction::new().expect_absent("a").put("a", "2").put("b", "2"));
    assert_eq!(again.expect("the store is writable"), Outcome::Conflict("a".to_owned()));
    assert_eq!((value(store, "a").as_deref(), value(store, "b")), (Some("1"), None));
    let second = committed(store, Transaction::new().expect_unchanged("a", first).put("a", "3"));
    assert!(second > first);
    let stale = store.commit(Transaction::new().expect_unchanged("a", first).delete("a"));
    assert_eq!(stale.expect("the store is writable"), Outcome::Conflict("a".to_owned()));
    let absent = store.commit(Transaction::new().expect_unchanged("c", 1).put("c", "1"));
    assert_eq!(absent.expect("the store is writable"), Outcome::Conflict("c".to_owned()));
}

fn each_key_remembers_its_own_revision(store: &dyn MetadataStore) {
    let first = committed(store, Transaction::new().put("a", "1").put("b", "1"));
    let second = committed(store, Transaction::new().put("b", "2"));
    let revision = |key| store.get(key).expect("the store is readable").map(|entry| entry.revision);
    assert_eq!((revision("a"), revision("b")), (Some(first), Some(second)));
}

fn a_watch_sees_changes_of_its_prefix_in_order(store: &dyn MetadataStore) {
    committed(store, Transaction::new().put("t/0", "before"));
    let watch = store.watch("t/");
    let first = committed(store, Transaction::new().put("t/1", "a").put("s", "unseen"));
    let second = committed(store, Transaction::new().delete("t/1"));
    let change = |revision, value: Option<&str>| Change {
        revision,
        key: "t/1".to_owned(),
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    let wait = Duration::from_secs(10);
    assert_eq!(watch.recv_timeout(wait).expect("first change"), change(first, Some("a")));
    assert_eq!(watch.recv_timeout(wait).expect("second change"), change(second, None));
    assert!(watch.try_recv().is_err());
}

fn deleting_an_absent_key_is_silent(store: &dyn MetadataStore) {
    let watch = store.watch("");
    committed(store, Transaction::new().delete("nothing"));
    assert!(watch.try_recv().is_err());
}

fn leased_keys_live_as_long_as_the_lease_is_renewed(store: &dyn MetadataStore, clock: &MockClock) {
    let lease = store.grant_lease(Duration::from_secs(10)).expect("the store is writable");
    let watch = store.watch("leader");
    committed(store, Transaction::new().put_leased("leader", "me", lease).put("other", "stays"));
    for _ in 0..3 {
        clock.advance(Duration::from_secs(9));
        store.keep_alive(lease).expect("renewed in time");
    }
    assert_eq!(value(store, "leader").as_deref(), Some("me"));
    clock.advance(Duration::from_secs(11));
    assert_eq!(value(store, "leader"), None);
    assert_eq!(value(store, "other").as_deref(), Some("stays"));
    assert!(matches!(store.keep_alive(lease), Err(StoreError::LeaseEnded(_))));
    let late = store.commit(Transaction::new().put_leased("leader", "me", lease));
    assert!(matches!(late, Err(StoreError::LeaseEnded(_))));
    let values: Vec<_> = watch.try_iter().map(|change| change.value.is_some()).collect();
    assert_eq!(values, [true, false]);
}

fn revoking_a_lease_removes_its_keys(store: &dyn MetadataStore) {
    let lease = store.grant_lease(Duration::from_secs(10)).expect("the store is writable");
    committed(store, Transaction::new().put_leased("a", "1", lease).put_leased("b", "1", lease));
    committed(store, Transaction::new().put("b", "now for good"));
    store.revoke(lease).expect("the store is writable");
    store.revoke(lease).expect("revoking twice is fine");
    assert_eq!((value(store, "a"), value(store, "b").as_deref()), (None, Some("now for good")));
}
