//! A connector with a topic of its own for its offsets (`offsets.storage.topic`), over the one of the worker.
//!
//! Reads ask the connector's topic first and then the worker's, so that a connector may be given a topic at any time; writes
//! go to both, so that it may lose it again.

use std::sync::Arc;

use super::{OffsetError, OffsetStore, identity};
use crate::plugin::Waiting;
use crate::record::SourceMap;

/// See the module's words.
pub struct LayeredOffsetStore {
    own: Arc<dyn OffsetStore>,
    worker: Arc<dyn OffsetStore>,
}

impl LayeredOffsetStore {
    /// `own` over `worker`.
    pub fn new(own: Arc<dyn OffsetStore>, worker: Arc<dyn OffsetStore>) -> LayeredOffsetStore {
        LayeredOffsetStore { own, worker }
    }
}

impl OffsetStore for LayeredOffsetStore {
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partitions: &'a [SourceMap],
    ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>> {
        Box::pin(async move {
            let own = self.own.read(connector, partitions).await?;
            Ok(over(connector, own, self.worker.read(connector, partitions).await?))
        })
    }

    fn read_all<'a>(&'a self, connector: &'a str) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>> {
        Box::pin(async move {
            let own = self.own.read_all(connector).await?;
            Ok(over(connector, own, self.worker.read_all(connector).await?))
        })
    }

    fn write<'a>(
        &'a self,
        connector: &'a str,
        offsets: Vec<(Arc<SourceMap>, Option<SourceMap>)>,
    ) -> Waiting<'a, Result<(), OffsetError>> {
        Box::pin(async move {
            self.own.write(connector, offsets.clone()).await?;
            self.worker.write(connector, offsets).await
        })
    }

    fn topic(&self) -> Option<&str> {
        self.own.topic()
    }

    fn after_transaction<'a>(
        &'a self,
        connector: &'a str,
        offsets: Vec<(Arc<SourceMap>, Option<SourceMap>)>,
    ) -> Waiting<'a, Result<(), OffsetError>> {
        self.worker.write(connector, offsets)
    }
}

type Rows = Vec<(SourceMap, SourceMap)>;

fn over(connector: &str, mut own: Rows, below: Rows) -> Rows {
    let known: std::collections::HashSet<String> =
        own.iter().map(|(partition, _)| identity(connector, partition)).collect();
    own.extend(below.into_iter().filter(|(partition, _)| !known.contains(&identity(connector, partition))));
    own
}

#[cfg(test)]
mod tests {
    use super::super::{FileOffsetStore, decode_map};
    use super::*;

    fn map(json: &str) -> SourceMap {
        decode_map(json.as_bytes()).unwrap()
    }

    fn row(partition: &str, offset: &str) -> Vec<(Arc<SourceMap>, Option<SourceMap>)> {
        vec![(Arc::new(map(partition)), Some(map(offset)))]
    }

    #[tokio::test]
    async fn the_connectors_own_offsets_come_first_and_both_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| Arc::new(FileOffsetStore::open(directory.path().join(name)).unwrap());
        let (own, worker) = (open("own"), open("worker"));
        worker.write("c", row(r#"{"f":"a"}"#, r#"{"p":1}"#)).await.unwrap();
        worker.write("c", row(r#"{"f":"b"}"#, r#"{"p":2}"#)).await.unwrap();
        own.write("c", row(r#"{"f":"a"}"#, r#"{"p":7}"#)).await.unwrap();
        let store = LayeredOffsetStore::new(own.clone(), worker.clone());
        let asked = [map(r#"{"f":"a"}"#), map(r#"{"f":"b"}"#)];
        let read = store.read("c", &asked).await.unwrap();
        assert_eq!(read, [(asked[0].clone(), map(r#"{"p":7}"#)), (asked[1].clone(), map(r#"{"p":2}"#))]);
        store.write("c", row(r#"{"f":"b"}"#, r#"{"p":9}"#)).await.unwrap();
        for layer in [own, worker] {
            let read = layer.read("c", &asked[1..]).await.unwrap();
            assert_eq!(read[0].1, map(r#"{"p":9}"#));
        }
    }
}
