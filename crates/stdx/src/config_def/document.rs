//! Tables of configuration keys as Markdown.

use std::fmt::Write as _;

use super::{ConfigDef, ConfigTable, Importance, UpdateMode, Validator};

/// Appends the rows of `table` under the heading `title`, the important ones first.
pub fn section(page: &mut String, title: &str, table: &ConfigTable) {
    let _ = write!(
        page,
        "\n## {title}\n\n| key | type | default | values | changes | meaning |\n|---|---|---|---|---|---|\n"
    );
    for importance in [Importance::High, Importance::Medium, Importance::Low] {
        for def in table.iter().filter(|def| def.importance == importance) {
            row(page, def);
        }
    }
}

fn row(page: &mut String, def: &ConfigDef) {
    let default = match def.default {
        None => String::new(),
        Some("") => "empty".to_owned(),
        Some(default) => format!("`{default}`"),
    };
    let doc = match def.synonym {
        Some(broker_key) => format!("{} Default for all topics: `{broker_key}`.", def.doc),
        None => def.doc.to_owned(),
    };
    let changes = match def.update {
        UpdateMode::ReadOnly => "restart",
        UpdateMode::PerBroker => "broker",
        UpdateMode::ClusterWide => "cluster",
    };
    let kind = def.kind.name().to_ascii_lowercase();
    let _ = writeln!(page, "| `{}` | {kind} | {default} | {} | {changes} | {doc} |", def.name, values(def.validator));
}

fn values(validator: Validator) -> String {
    match validator {
        Validator::Any => String::new(),
        Validator::AtLeast(minimum) => format!("at least {minimum}"),
        Validator::Between(minimum, maximum) => format!("{minimum} to {maximum}"),
        Validator::BetweenDouble(minimum, maximum) => format!("{minimum} to {maximum}"),
        Validator::LevelOrDefault(minimum, maximum) => format!("-1, or {minimum} to {maximum}"),
        Validator::OneOf(allowed) | Validator::OneOfIgnoringCase(allowed) => allowed.join(", "),
        Validator::ListOf(allowed) => format!("list of {}", allowed.join(", ")),
        Validator::NonEmptyList => "not empty, no repetition".to_owned(),
    }
}
