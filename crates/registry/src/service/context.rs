//! Contexts, and what a registry tells about itself.

use serde_json::{Value as Json, json};

use super::list::Page;
use super::{Error, Result, Service};
use crate::storage::{Key, Record, TENANT, Which};
use crate::subject::{DEFAULT_CONTEXT, GLOBAL_CONTEXT};

impl Service {
    /// GET `/contexts`, sorted.
    pub fn contexts(&self, prefix: &str, page: Page) -> Vec<String> {
        let store = self.log.store();
        let names = store.contexts().into_iter().filter(|name| *name != GLOBAL_CONTEXT && name.starts_with(prefix));
        page.of(names).map(str::to_owned).collect()
    }

    /// DELETE `/contexts/{context}`.
    ///
    /// # Errors
    /// 42211 while it holds subjects.
    pub async fn delete_context(&self, context: &str) -> Result<()> {
        let _writes = self.begin().await?;
        {
            let store = self.log.store();
            let mut subjects = store.subjects(Which::WithDeleted);
            if context == DEFAULT_CONTEXT || subjects.any(|(subject, _)| subject.context() == context) {
                return Err(Error::ContextNotEmpty(context.to_owned()));
            }
        }
        let key = Key::Context { tenant: TENANT.to_owned(), context: context.to_owned() };
        self.write(vec![Record::tombstone(key)]).await
    }

    /// GET `/v1/metadata/id`.
    pub fn cluster_scope(&self) -> Json {
        json!({"scope": {"path": [], "clusters": {
            "kafka-cluster": self.log.cluster_id().unwrap_or_default(),
            "schema-registry-cluster": self.options.group_id,
        }}})
    }
}
