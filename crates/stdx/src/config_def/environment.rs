//! Names of environment variables as configuration keys, as the usual Docker images map them.

/// The key that the words of an environment variable spell: `_` stands for `.`, `__` for `_`, `___` for `-`.
pub fn key_of_words(words: &str) -> String {
    let mut key = String::with_capacity(words.len());
    let mut rest = words;
    while !rest.is_empty() {
        let word_end = rest.find('_').unwrap_or(rest.len());
        key.push_str(&rest[..word_end].to_ascii_lowercase());
        rest = &rest[word_end..];
        let underscores = rest.len() - rest.trim_start_matches('_').len();
        push_separators(&mut key, underscores);
        rest = &rest[underscores..];
    }
    key
}

fn push_separators(key: &mut String, underscores: usize) {
    let (dashes, rest) = (underscores / 3, underscores % 3);
    key.extend(std::iter::repeat_n('-', dashes));
    match rest {
        1 => key.push('.'),
        2 => key.push('_'),
        _ => {}
    }
}
