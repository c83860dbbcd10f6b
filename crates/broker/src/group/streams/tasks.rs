//! Tasks: the units that a streams group hands out.

use std::collections::{BTreeMap, BTreeSet};

/// One task: a partition of a subtopology's input.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The subtopology.
    pub subtopology_id: String,
    /// The partition of its source topics.
    pub partition: i32,
}

impl TaskId {
    /// Task `partition` of `subtopology_id`.
    pub fn new(subtopology_id: &str, partition: i32) -> Self {
        TaskId { subtopology_id: subtopology_id.to_owned(), partition }
    }
}

/// Tasks of one role.
pub type TaskSet = BTreeSet<TaskId>;

/// Tasks by role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Tasks that process.
    pub active: TaskSet,
    /// Copies of a task's state.
    pub standby: TaskSet,
    /// Copies that are being built, to become active.
    pub warmup: TaskSet,
}

impl Tasks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty() && self.warmup.is_empty()
    }

    /// Tasks that are in both, in the same role.
    pub fn intersection(&self, other: &Tasks) -> Tasks {
        self.combine(other, |mine, theirs| mine & theirs)
    }

    /// Tasks that `other` does not have in the same role.
    pub fn difference(&self, other: &Tasks) -> Tasks {
        self.combine(other, |mine, theirs| mine - theirs)
    }

    /// Tasks that are in either.
    pub fn union(&self, other: &Tasks) -> Tasks {
        self.combine(other, |mine, theirs| mine | theirs)
    }

    /// Whether `other` has all of them, in the same roles.
    pub fn is_subset(&self, other: &Tasks) -> bool {
        self.difference(other).is_empty()
    }

    /// All of them, whatever their role.
    pub fn all(&self) -> impl Iterator<Item = &TaskId> {
        self.active.iter().chain(&self.standby).chain(&self.warmup)
    }

    fn combine(&self, other: &Tasks, operation: impl Fn(&TaskSet, &TaskSet) -> TaskSet) -> Tasks {
        Tasks {
            active: operation(&self.active, &other.active),
            standby: operation(&self.standby, &other.standby),
            warmup: operation(&self.warmup, &other.warmup),
        }
    }
}

/// Tasks from lists of partitions by subtopology, as messages have them.
pub fn task_set<'a>(lists: impl IntoIterator<Item = (&'a str, &'a [i32])>) -> TaskSet {
    let lists = lists.into_iter();
    lists
        .flat_map(|(subtopology, partitions)| {
            partitions.iter().map(move |partition| TaskId::new(subtopology, *partition))
        })
        .collect()
}

/// Partitions by subtopology, both in order.
pub fn by_subtopology(tasks: &TaskSet) -> BTreeMap<&str, Vec<i32>> {
    let mut grouped: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for task in tasks {
        grouped.entry(&task.subtopology_id).or_default().push(task.partition);
    }
    grouped
}

/// Tasks as a list of a message's own structs, made by `make` from a subtopology and its partitions.
pub fn task_lists<T>(tasks: &TaskSet, make: impl Fn(String, Vec<i32>) -> T) -> Vec<T> {
    by_subtopology(tasks)
        .into_iter()
        .map(|(subtopology, partitions)| make(subtopology.to_owned(), partitions))
        .collect()
}
