//! Operators connected: what goes in at a source comes out at the sink before the next record.

use super::{Change, Context, Operator, OperatorError};

/// Where the changes of an operator go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The operator that takes them.
    pub node: usize,
    /// As which of its inputs.
    pub input: usize,
}

/// The operators of a query. Each has one consumer; the last one's changes are the result.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

struct Node {
    operator: Box<dyn Operator>,
    consumer: Option<Edge>,
    /// What it gives for one change, emptied before the next; its memory is used again.
    changes: Vec<Change>,
}

impl Graph {
    /// Adds an operator and returns its number.
    pub fn add(&mut self, operator: Box<dyn Operator>) -> usize {
        self.nodes.push(Node { operator, consumer: None, changes: Vec::new() });
        self.nodes.len() - 1
    }

    /// Lets `consumer` take what `node` gives.
    pub fn connect(&mut self, node: usize, consumer: Edge) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.consumer = Some(consumer);
        }
    }

    /// Lets all operators take up what they have left in their stores, once those are restored.
    ///
    /// # Errors
    /// The first operator that fails.
    pub fn resume(&mut self) -> Result<(), OperatorError> {
        self.nodes.iter_mut().try_for_each(|node| node.operator.resume())
    }

    /// Lets all operators leave in their stores what they know beside them, before those are committed.
    ///
    /// # Errors
    /// The first operator that fails.
    pub fn leave(&mut self) -> Result<(), OperatorError> {
        self.nodes.iter_mut().try_for_each(|node| node.operator.leave())
    }

    /// Puts a change in at `edge` and appends what comes out at the end to `output`. Without an edge the change passes.
    ///
    /// # Errors
    /// The first operator that fails.
    pub fn process(
        &mut self,
        edge: Option<Edge>,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let Some((edge, node)) = edge.and_then(|edge| Some((edge, self.nodes.get_mut(edge.node)?))) else {
            output.push(change);
            return Ok(());
        };
        let Some(consumer) = node.consumer else {
            return node.operator.process(edge.input, change, context, output);
        };
        let mut changes = std::mem::take(&mut node.changes);
        let mut processed = node.operator.process(edge.input, change, context, &mut changes);
        for change in changes.drain(..) {
            if processed.is_ok() {
                processed = self.process(Some(consumer), change, context, output);
            }
        }
        if let Some(node) = self.nodes.get_mut(edge.node) {
            node.changes = changes;
        }
        processed
    }
}
