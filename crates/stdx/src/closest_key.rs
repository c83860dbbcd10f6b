//! Finding the key that was probably meant.

/// The key of `known` that `key` most resembles, or `None` when nothing is near enough to be a slip of the pen.
///
/// Near means an edit distance (insertions, deletions, substitutions, swaps of neighbours) of at most a third of the
/// key's length, and at most 4. Case and the separators `.`, `_` and `-` do not count.
pub fn closest_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = normalized(key);
    let limit = (wanted.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &normalized(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)))
        .map(|(_, candidate)| candidate)
}

fn normalized(key: &str) -> Vec<char> {
    key.chars().map(|c| if matches!(c, '_' | '-') { '.' } else { c.to_ascii_lowercase() }).collect()
}

/// Damerau-Levenshtein distance in its restricted form: a swapped pair is not edited again.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i);
        for j in 1..=b.len() {
            let substitution = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitution.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["log.retention.hours", "log.retention.bytes", "num.partitions", "listeners"];

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        let find = |key| closest_key(key, KNOWN.iter().copied());
        assert_eq!(find("log.retention.hour"), Some("log.retention.hours"));
        assert_eq!(find("num.partitoins"), Some("num.partitions"));
        assert_eq!(find("LOG_RETENTION_BYTES"), Some("log.retention.bytes"));
        assert_eq!(find("listener"), Some("listeners"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(closest_key("confluent.support.metrics.enable", KNOWN.iter().copied()), None);
        assert_eq!(closest_key("", KNOWN.iter().copied()), None);
    }
}
