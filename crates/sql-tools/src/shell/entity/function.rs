//! What `DESCRIBE FUNCTION` answers.

use serde_json::Value;

use super::string;
use crate::table::padded;

const NAME_WIDTH: usize = 11;

fn property(name: &str, value: &str) -> String {
    format!("{} : {value}", padded(name, NAME_WIDTH))
}

/// A function with its variations.
pub fn described(entity: &Value) -> String {
    let name = string(&entity["name"]);
    let mut lines = vec![property("Name", &name)];
    let known =
        [("Author", "author"), ("Version", "version"), ("Overview", "description"), ("Type", "type"), ("Jar", "path")];
    for (title, member) in known {
        let value = string(&entity[member]);
        if !value.is_empty() {
            lines.push(property(title, &value));
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
            lines.push(format!("\t{}", property("Description", &description)));
        }
        for argument in arguments {
            let description = string(&argument["description"]);
            if !description.is_empty() {
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
