//! What `DESCRIBE FUNCTION` answers.

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::string;
use crate::table::padded;

const NAME_WIDTH: usize = 11;
/// What stands before a value: its name and ` : `.
const LABEL_WIDTH: usize = NAME_WIDTH + 3;
/// Columns that a tab is taken for.
const TAB_WIDTH: usize = 2;
/// Words are not broken for terminals that are narrower.
const WIDTH_MIN: usize = 80;

fn property(name: &str, value: &str) -> String {
    format!("{} : {value}", padded(name, NAME_WIDTH))
}

/// A text in lines that fit a terminal of `width` columns behind a label, which the lines after the first are indented by.
fn wrapped(text: &str, width: usize, label: usize) -> String {
    let room = width.max(WIDTH_MIN) - label;
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.trim().split_inclusive([' ', '\n']) {
        let (bare, breaks) = word.strip_suffix('\n').map_or((word, false), |bare| (bare, true));
        if used + bare.trim_end().width() > room {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        line.push_str(bare);
        used += bare.width();
        if breaks {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
    }
    lines.push(line);
    lines.join(&format!("\n{}", " ".repeat(label)))
}

/// A function with its variations, for a terminal of `width` columns.
pub fn described(entity: &Value, width: usize) -> String {
    let name = string(&entity["name"]).to_uppercase();
    let mut lines = vec![property("Name", &name)];
    let known =
        [("Author", "author"), ("Version", "version"), ("Overview", "description"), ("Type", "type"), ("Jar", "path")];
    for (title, member) in known {
        let value = string(&entity[member]);
        if !value.trim().is_empty() {
            lines.push(property(title, &wrapped(&value, width, LABEL_WIDTH)));
        }
    }
    lines.push(property("Variations", ""));
    for variation in entity["functions"].as_array().into_iter().flatten() {
        let arguments = variation["arguments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let signature: Vec<String> = arguments.iter().map(argument).collect();
        lines.push(String::new());
        lines.push(format!("\t{}", property("Variation", &format!("{name}({})", signature.join(", ")))));
        lines.push(format!("\t{}", property("Returns", &string(&variation["returnType"]))));
        let description = string(&variation["description"]);
        if !description.is_empty() {
            let description = wrapped(&description, width, LABEL_WIDTH + TAB_WIDTH);
            lines.push(format!("\t{}", property("Description", &description)));
        }
        for argument in arguments {
            let description = string(&argument["description"]);
            if !description.is_empty() {
                let description = wrapped(&description, width, LABEL_WIDTH + TAB_WIDTH);
                lines.push(format!("\t{}", property(&string(&argument["name"]), &description)));
            }
        }
    }
    lines.join("\n")
}

fn argument(argument: &Value) -> String {
    let name = string(&argument["name"]);
    let kind = string(&argument["type"]);
    let dots = if argument["isVariadic"] == true { "[]" } else { "" };
    if name.is_empty() { format!("{kind}{dots}") } else { format!("{name} {kind}{dots}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_fit_the_terminal() {
        let text = format!("{} end\nnext", "word ".repeat(16).trim_end());
        let lines: Vec<String> = wrapped(&text, 10, LABEL_WIDTH).lines().map(str::to_owned).collect();
        assert_eq!(lines[0].trim_end(), "word ".repeat(13).trim_end());
        assert_eq!(lines[1..], ["              word word word end", "              next"]);
        assert_eq!(wrapped(" short ", 200, LABEL_WIDTH), "short");
    }
}
