//! Maximum matching in a bipartite graph.

use std::collections::VecDeque;

/// How many nodes of the left side can have a node of the right side to themselves. `edges` lists for each node of
/// the left side its neighbours among the `right` nodes.
///
/// Augmenting paths are searched breadth first, so no recursion is needed.
pub fn maximum_matching(edges: &[Vec<usize>], right: usize) -> usize {
    let mut left_of: Vec<Option<usize>> = vec![None; right];
    let mut matched = 0;
    for start in 0..edges.len() {
        if let Some(free) = edges[start].iter().find(|node| left_of[**node].is_none()) {
            left_of[*free] = Some(start);
            matched += 1;
        } else if augment(edges, start, &mut left_of) {
            matched += 1;
        }
    }
    matched
}

/// Searches a path from `start` to a free node that alternates between new and present partners, and swaps them.
fn augment(edges: &[Vec<usize>], start: usize, left_of: &mut [Option<usize>]) -> bool {
    // For each node of the right side that was reached: the node of the left side from which.
    let mut reached_from: Vec<Option<usize>> = vec![None; left_of.len()];
    let mut right_of: Vec<Option<usize>> = vec![None; edges.len()];
    for (right, left) in left_of.iter().enumerate() {
        if let Some(left) = left {
            right_of[*left] = Some(right);
        }
    }
    let mut open = VecDeque::from([start]);
    while let Some(left) = open.pop_front() {
        for right in edges[left].iter().copied() {
            if reached_from[right].is_some() {
                continue;
            }
            reached_from[right] = Some(left);
            match left_of[right] {
                Some(partner) => open.push_back(partner),
                None => {
                    let mut free = right;
                    while let Some(left) = reached_from[free] {
                        let freed = right_of[left];
                        left_of[free] = Some(left);
                        match freed {
                            Some(next) if left != start => free = next,
                            _ => return true,
                        }
                    }
                    return true;
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_swapped_until_all_are_served() {
        for (edges, right, expected) in [
            (vec![], 0, 0),
            (vec![vec![0], vec![0]], 1, 1),
            (vec![vec![0, 1], vec![0]], 2, 2),
            (vec![vec![0, 1], vec![0, 1], vec![0, 1]], 2, 2),
            (vec![vec![0, 1], vec![0, 2], vec![0], vec![2, 3]], 4, 4),
            (vec![vec![], vec![1]], 2, 1),
        ] {
            assert_eq!(maximum_matching(&edges, right), expected, "{edges:?}");
        }
    }
}
