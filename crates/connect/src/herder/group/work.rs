//! What a worker may own.

use std::collections::BTreeSet;

use crate::worker::TaskId;

/// Connectors and tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Connectors themselves.
    pub connectors: BTreeSet<String>,
    /// Tasks.
    pub tasks: BTreeSet<TaskId>,
}

impl Work {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.connectors.is_empty() && self.tasks.is_empty()
    }

    /// Takes in what `other` has.
    pub fn add(&mut self, other: &Work) {
        self.connectors.extend(other.connectors.iter().cloned());
        self.tasks.extend(other.tasks.iter().cloned());
    }

    /// Gives up what `other` has.
    pub fn remove(&mut self, other: &Work) {
        self.connectors.retain(|connector| !other.connectors.contains(connector));
        self.tasks.retain(|task| !other.tasks.contains(task));
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Work) -> Work {
        let mut rest = self.clone();
        rest.remove(other);
        rest
    }

    /// What is here and in `other`.
    #[must_use]
    pub fn common(&self, other: &Work) -> Work {
        Work {
            connectors: self.connectors.intersection(&other.connectors).cloned().collect(),
            tasks: self.tasks.intersection(&other.tasks).cloned().collect(),
        }
    }
}
