//! Runs of offsets in the same delivery state, as the share coordinator keeps them.

/// Offsets `first_offset..=last_offset` that are all in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    /// The first offset.
    pub first_offset: i64,
    /// The last offset.
    pub last_offset: i64,
    /// 0 available, 2 acknowledged, 4 archived.
    pub delivery_state: i8,
    /// How often the records were handed out.
    pub delivery_count: i16,
}

/// Lays `newer` over `older` (sorted, without overlap): where both speak of an offset, the newer one counts. What lies
/// below `start_offset` is dropped, neighbours that say the same are joined.
pub(super) fn overlay(older: &[StateBatch], newer: &[StateBatch], start_offset: i64) -> Vec<StateBatch> {
    let mut current = older.to_vec();
    for batch in newer {
        current = overlay_one(&current, *batch);
    }
    let mut joined: Vec<StateBatch> = Vec::with_capacity(current.len());
    for mut batch in current {
        if batch.last_offset < start_offset {
            continue;
        }
        batch.first_offset = batch.first_offset.max(start_offset);
        match joined.last_mut() {
            Some(last) if continues(last, &batch) => last.last_offset = batch.last_offset,
            _ => joined.push(batch),
        }
    }
    joined
}

fn continues(last: &StateBatch, next: &StateBatch) -> bool {
    last.last_offset + 1 == next.first_offset
        && last.delivery_state == next.delivery_state
        && last.delivery_count == next.delivery_count
}

fn overlay_one(older: &[StateBatch], newer: StateBatch) -> Vec<StateBatch> {
    let mut result = Vec::with_capacity(older.len() + 2);
    let mut after = Vec::new();
    for batch in older {
        if batch.first_offset < newer.first_offset {
            result.push(StateBatch { last_offset: batch.last_offset.min(newer.first_offset - 1), ..*batch });
        }
        if batch.last_offset > newer.last_offset {
            after.push(StateBatch { first_offset: batch.first_offset.max(newer.last_offset + 1), ..*batch });
        }
    }
    result.push(newer);
    result.extend(after);
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(first_offset: i64, last_offset: i64, delivery_state: i8) -> StateBatch {
        StateBatch { first_offset, last_offset, delivery_state, delivery_count: 1 }
    }

    #[test]
    fn the_newer_state_of_an_offset_counts() {
        let older = [batch(0, 9, 0), batch(20, 29, 2)];
        assert_eq!(
            overlay(&older, &[batch(5, 24, 4)], 0),
            [batch(0, 4, 0), batch(5, 24, 4), batch(25, 29, 2)],
            "a new batch may cut two old ones"
        );
        assert_eq!(
            overlay(&older, &[batch(3, 5, 2)], 0),
            [batch(0, 2, 0), batch(3, 5, 2), batch(6, 9, 0), batch(20, 29, 2)],
            "a new batch may lie inside an old one"
        );
    }

    #[test]
    fn what_lies_below_the_start_is_dropped_and_neighbours_are_joined() {
        let older = [batch(0, 9, 2)];
        assert_eq!(overlay(&older, &[batch(10, 12, 2)], 4), [batch(4, 12, 2)]);
        assert_eq!(overlay(&older, &[], 10), []);
    }

    proptest! {
        #[test]
        fn every_offset_has_the_state_it_was_given_last(
            updates in prop::collection::vec((0i64..60, 0i64..12, 0usize..3), 1..30),
            start in 0i64..40,
        ) {
            let mut expected = [None; 80];
            let mut actual = Vec::new();
            for (first, length, state) in updates {
                let state = [0i8, 2, 4][state];
                for offset in first..=first + length {
                    expected[offset as usize] = Some(state);
                }
                actual = overlay(&actual, &[batch(first, first + length, state)], 0);
            }
            actual = overlay(&actual, &[], start);
            prop_assert!(actual.windows(2).all(|pair| pair[0].last_offset < pair[1].first_offset));
            for offset in 0..80i64 {
                let found = actual.iter().find(|batch| (batch.first_offset..=batch.last_offset).contains(&offset));
                let wanted = expected[offset as usize].filter(|_| offset >= start);
                prop_assert_eq!(found.map(|batch| batch.delivery_state), wanted);
            }
        }
    }
}
