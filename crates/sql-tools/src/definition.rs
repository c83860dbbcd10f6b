//! Variables on command lines: `NAME=VALUE`.

/// Name and value.
///
/// # Errors
/// Words for the user about what is no definition.
pub fn definition(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a definition is NAME=VALUE")?;
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(format!("'{name}' is no name: letters, digits and underscores, a digit not first"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_equals_sign_separates() {
        assert_eq!(definition("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(definition("1a=b").is_err() && definition("a").is_err());
    }
}
