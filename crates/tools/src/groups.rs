//! `kafka-groups`: lists groups of every kind.

use milena_client::admin::GroupListing;

use crate::options::{Args, Opt, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

/// Types of groups.
const TYPES: &[&str] = &["classic", "consumer", "share", "streams"];

const SYNTAX: Syntax = Syntax {
    purpose: "Lists groups.",
    options: &[
        Opt::flag("list", "List the groups."),
        Opt::one("group-type", "type", "Only groups of this type: classic, consumer, share, streams."),
        Opt::one("protocol", "protocol", "Only groups with this protocol."),
        Opt::flag("consumer", "Only consumer groups of both types."),
        Opt::flag("share", "Only share groups."),
        Opt::flag("streams", "Only streams groups."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    if !options.has("list") {
        return Err(options.usage("Command must include exactly one action: --list."));
    }
    options.forbid("consumer", &["group-type", "share", "streams"])?;
    options.forbid("share", &["group-type", "streams"])?;
    if options.value("group-type").is_some_and(|name| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        return Err(crate::failure::Failure::illegal_argument("--group-type must be a valid group type."));
    }
    session::runtime()?.block_on(async {
        let cluster = session::connect_admin(&options).await?;
        let groups = cluster.list_groups(&[], &[]).await?;
        let chosen: Vec<GroupListing> = groups
            .into_iter()
            .filter(|group| match options.value("group-type") {
                Some(wanted) => group.group_type.eq_ignore_ascii_case(wanted),
                None => true,
            })
            .filter(|group| options.value("protocol").is_none_or(|wanted| group.protocol_type == wanted))
            .filter(|group| !options.has("consumer") || is_consumer(group))
            .filter(|group| !options.has("share") || group.group_type.eq_ignore_ascii_case("share"))
            .filter(|group| !options.has("streams") || group.group_type.eq_ignore_ascii_case("streams"))
            .collect();
        print_groups(&chosen, terminal);
        Ok(0)
    })
}

fn is_consumer(group: &GroupListing) -> bool {
    let simple = group.protocol_type.is_empty() || group.protocol_type == "consumer";
    group.group_type.eq_ignore_ascii_case("consumer") || (group.group_type.eq_ignore_ascii_case("classic") && simple)
}

fn print_groups(groups: &[GroupListing], terminal: &mut Terminal) {
    let width = groups.iter().map(|group| group.group_id.len()).max().unwrap_or(0).max(20);
    terminal.line(&format!("{:<width$} {:<width$} {:<width$}", "GROUP", "TYPE", "PROTOCOL"));
    for group in groups {
        let group_type = capitalized(&group.group_type);
        terminal.line(&format!("{:<width$} {group_type:<width$} {:<width$} ", group.group_id, group.protocol_type));
    }
}

/// `classic` as Kafka's tools print it; no type at all as `Unknown`.
pub(crate) fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "Unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_recorded() {
        let (mut terminal, out, _) = Terminal::captured();
        let group = |id: &str| GroupListing {
            group_id: id.to_owned(),
            protocol_type: "consumer".to_owned(),
            state: "Empty".to_owned(),
            group_type: "classic".to_owned(),
        };
        print_groups(&[group("g1")], &mut terminal);
        terminal.flush();
        let expected = "GROUP                TYPE                 PROTOCOL            \ng1                   Classic              consumer             \n";
        assert_eq!(out.text(), expected);
    }
}
