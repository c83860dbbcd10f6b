//! Statements as others may see them: without what may be secret.

use super::ParsedStatement;
use crate::ast::{InsertValues, Statement};
use crate::lexer::TokenKind;

/// What stands for a property of a connector.
const STRING: &str = "'[string]'";
/// What stands for a value that is inserted.
const VALUE: &str = "'[value]'";
/// The property of connectors that is no secret.
const SHOWN: &str = "connector.class";

impl ParsedStatement {
    /// The text of the statement without values that are inserted and without the configuration of connectors; everything
    /// else as it was written.
    pub fn masked(&self, statement: &Statement) -> String {
        let masked = match statement {
            Statement::InsertValues(insert) => Some(masked_values(insert)),
            Statement::CreateConnector(_) => self.masked_connector(),
            _ => None,
        };
        masked.unwrap_or_else(|| self.text.clone())
    }

    fn raw(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &self.source[token.start..token.end])
    }

    fn masked_connector(&self) -> Option<String> {
        let kind = |at: usize| self.tokens.get(at).map(|token| &token.kind);
        let is = |at: usize, symbol: &str| matches!(kind(at), Some(TokenKind::Symbol(found)) if *found == symbol);
        let exists = self.raw(3).eq_ignore_ascii_case("IF") && self.raw(4).eq_ignore_ascii_case("NOT");
        let (if_not_exists, name) = if exists { (" IF NOT EXISTS", 6) } else { ("", 3) };
        // Behind the name and `WITH (`.
        let mut at = name + 3;
        let mut properties = Vec::new();
        while is(at + 1, "=") {
            let shown = match kind(at)? {
                TokenKind::Word(word) | TokenKind::DigitWord(word) | TokenKind::Quoted(word) => word.to_lowercase(),
                TokenKind::String(text) => text.clone(),
                _ => return None,
            };
            let key = self.raw(at);
            at += 2;
            let mut value = String::new();
            while at < self.tokens.len() && !is(at, ",") && !is(at, ")") {
                value.push_str(self.raw(at));
                at += 1;
            }
            properties.push(format!("{key}={}", if shown == SHOWN { &value } else { STRING }));
            at += 1;
        }
        let direction = self.raw(1).to_uppercase();
        let (name, properties) = (self.raw(name), properties.join(", "));
        Some(format!("CREATE {direction} CONNECTOR{if_not_exists} {name} WITH ({properties});"))
    }
}

fn masked_values(insert: &InsertValues) -> String {
    let columns: Vec<_> = insert.columns.iter().map(|name| format!("`{name}`")).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let values = vec![VALUE; insert.values.len()].join(", ");
    format!("INSERT INTO `{}`{columns} VALUES ({values});", insert.target)
}

#[cfg(test)]
mod tests {
    use crate::parser::parse;

    fn masked(text: &str) -> String {
        let parsed = &parse(text).unwrap()[0];
        parsed.masked(&parsed.prepare(&|_| None).unwrap())
    }

    #[test]
    fn secrets_are_left_out_and_names_stay_as_written() {
        assert_eq!(
            masked(
                "create source  connector if not exists `jdbc-c` WITH(\"connector.class\"='x.Y', 'password' = 'p',\n \
                 tasks=-1, 'Connector.Class'='z');"
            ),
            "CREATE SOURCE CONNECTOR IF NOT EXISTS `jdbc-c` WITH (\"connector.class\"='x.Y', 'password'='[string]', \
             tasks='[string]', 'Connector.Class'='[string]');"
        );
        assert_eq!(
            masked("CREATE SINK CONNECTOR s WITH ('connector.class'='A');"),
            "CREATE SINK CONNECTOR s WITH ('connector.class'='A');"
        );
        assert_eq!(
            masked("INSERT INTO s (a, `b`) VALUES (1, 'x');"),
            "INSERT INTO `S` (`A`, `b`) VALUES ('[value]', '[value]');"
        );
        assert_eq!(masked("SHOW  STREAMS;"), "SHOW  STREAMS;");
    }
}
