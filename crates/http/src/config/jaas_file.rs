//! The one thing that is wanted of a JAAS file: where the users of a realm are.

use std::path::{Path, PathBuf};

/// The `file="..."` of the section `realm`.
pub(super) fn users_file(jaas: &Path, realm: &str) -> Option<PathBuf> {
    let text = std::fs::read_to_string(jaas).ok()?;
    file_of_section(&text, realm).map(PathBuf::from)
}

fn file_of_section<'a>(text: &'a str, realm: &str) -> Option<&'a str> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (section, next) = after.split_once('}')?;
        if before.split(|c: char| c.is_whitespace() || c == ';').rfind(|word| !word.is_empty()) == Some(realm) {
            let value = section.split_once("file=")?.1.trim_start();
            return value.strip_prefix('"')?.split_once('"').map(|(file, _)| file);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_of_the_realm_names_the_file() {
        let text = r#"
            Other { some.Module required file="/other"; };
            SchemaRegistry-Props {
              org.eclipse.jetty.jaas.spi.PropertyFileLoginModule required
              file="/etc/password.properties"
              debug="false";
            };"#;
        assert_eq!(file_of_section(text, "SchemaRegistry-Props"), Some("/etc/password.properties"));
        assert_eq!(file_of_section(text, "Missing"), None);
        assert_eq!(file_of_section("broken {", "broken"), None);
    }
}
