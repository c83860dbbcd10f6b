//! Which known word is nearest to one that nobody knows. Clients expect that one is always named, however far it is:
//! `stdx::closest_key` names only what may be a slip.

/// The word that takes the fewest insertions, deletions and substitutions; of several the first.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> &'a str {
    known.iter().min_by_key(|candidate| distance(candidate, word)).copied().unwrap_or_default()
}

fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (position, c) in one.chars().enumerate() {
        let mut diagonal = position;
        row[0] = position + 1;
        for (column, d) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(c != *d);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("SELCT", &["CREATE", "SELECT", "SET"]), "SELECT");
        assert_eq!(nearest("RUN", &["DROP", "SET"]), "DROP");
    }
}
