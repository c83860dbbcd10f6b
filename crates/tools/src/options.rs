//! Command-line options the way Kafka's tools read them.
//!
//! `--name value` or `--name=value`; an option with an optional value takes the next word unless it
//! looks like an option; list options take all words up to the next option. Unlike most parsers a
//! required value may begin with a dash (`--time -1`).

use crate::failure::Failure;
use crate::terminal::Terminal;

/// The words after the tool's name.
#[derive(Debug, Clone)]
pub struct Args {
    /// Name of the tool, for messages.
    pub tool: String,
    /// Arguments.
    pub words: Vec<String>,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// None: present or not.
    Flag,
    /// One.
    One,
    /// One or none.
    Optional,
    /// All words up to the next option.
    List,
}

/// One option of a tool.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Name without dashes.
    pub name: &'static str,
    /// Another spelling, with its dashes, such as `-t`.
    pub alias: &'static str,
    /// Whether it has a value.
    pub value: Value,
    /// What the value is, for the help.
    pub metavar: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Whether it may be given more than once.
    pub repeatable: bool,
    /// Name of the option that replaces this one.
    pub replaced_by: &'static str,
}

const PLAIN: Opt =
    Opt { name: "", alias: "", value: Value::Flag, metavar: "", help: "", repeatable: false, replaced_by: "" };

impl Opt {
    /// An option without value.
    pub const fn flag(name: &'static str, help: &'static str) -> Opt {
        Opt { name, help, ..PLAIN }
    }

    /// An option with one value.
    pub const fn one(name: &'static str, metavar: &'static str, help: &'static str) -> Opt {
        Opt { name, metavar, help, value: Value::One, ..PLAIN }
    }

    /// An option with a value that may be left out.
    pub const fn optional(name: &'static str, metavar: &'static str, help: &'static str) -> Opt {
        Opt { name, metavar, help, value: Value::Optional, ..PLAIN }
    }

    /// An option with one value that may be given several times.
    pub const fn many(name: &'static str, metavar: &'static str, help: &'static str) -> Opt {
        Opt { name, metavar, help, value: Value::One, repeatable: true, ..PLAIN }
    }

    /// An option that takes several words.
    pub const fn list(name: &'static str, metavar: &'static str, help: &'static str) -> Opt {
        Opt { name, metavar, help, value: Value::List, repeatable: true, ..PLAIN }
    }

    /// The same with another spelling.
    pub const fn or(self, alias: &'static str) -> Opt {
        Opt { alias, ..self }
    }

    /// An old name: using it prints a notice that names the new one.
    pub const fn replaced_by(self, replaced_by: &'static str) -> Opt {
        Opt { replaced_by, ..self }
    }
}

/// Options that every tool has.
pub const COMMON: &[Opt] = &[
    Opt::one("bootstrap-server", "host:port[,host:port]", "The brokers to connect to."),
    Opt::one("command-config", "file", "Properties file with client settings."),
    Opt::flag("help", "Print this help and exit.").or("-h"),
    Opt::flag("version", "Print the version and exit."),
    Opt::one("zookeeper", "host:port", "No longer used: Kafka has no ZooKeeper since 4.0."),
];

/// What a tool accepts.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    /// One sentence about the tool.
    pub purpose: &'static str,
    /// Its own options, besides [`COMMON`].
    pub options: &'static [Opt],
}

/// Options as they were given.
#[derive(Debug, Clone)]
pub struct Parsed {
    syntax: Syntax,
    tool: String,
    given: Vec<(&'static str, Option<String>)>,
    /// Words that belong to no option.
    pub words: Vec<String>,
}

/// What reading the command line led to.
pub enum Reading {
    /// Options to work with.
    Options(Box<Parsed>),
    /// Help or version was printed; the tool ends with success.
    Done,
}

impl Syntax {
    /// Reads `args`; prints help, version and notices about old options.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an unknown option, a missing value, or a value given twice.
    pub fn read(self, args: Args, terminal: &mut Terminal) -> Result<Reading, Failure> {
        let mut parsed = Parsed { syntax: self, tool: args.tool, given: Vec::new(), words: Vec::new() };
        let mut words = args.words.into_iter().peekable();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            let Some(option) = self.find(&name) else {
                if name.starts_with('-') && name.len() > 1 {
                    return Err(parsed.usage(format!("{} is not a recognized option", name.trim_start_matches('-'))));
                }
                parsed.words.push(name);
                continue;
            };
            let mut take_list = |parsed: &mut Parsed| {
                while let Some(word) = words.next_if(|word| !word.starts_with("--")) {
                    parsed.given.push((option.name, Some(word)));
                }
            };
            match (option.value, inline) {
                (Value::Flag, None) => parsed.give(option, None)?,
                (Value::Flag, Some(_)) => {
                    return Err(parsed.usage(format!("Option {} does not take an argument", option.name)));
                }
                (Value::List, inline) => {
                    let before = parsed.given.len();
                    parsed.given.extend(inline.map(|value| (option.name, Some(value))));
                    take_list(&mut parsed);
                    if parsed.given.len() == before {
                        return Err(parsed.usage(format!("Option {} requires an argument", option.name)));
                    }
                }
                (_, Some(value)) => parsed.give(option, Some(value))?,
                (Value::Optional, None) => {
                    let value = words.next_if(|word| !word.starts_with('-'));
                    parsed.give(option, value)?;
                }
                (Value::One, None) => match words.next() {
                    Some(value) => parsed.give(option, Some(value))?,
                    None => return Err(parsed.usage(format!("Option {} requires an argument", option.name))),
                },
            }
        }
        parsed.greet(terminal)
    }

    /// Reads `args` or ends early with success.
    ///
    /// # Errors
    /// As [`Syntax::read`].
    pub fn parse(self, args: Args, terminal: &mut Terminal) -> Result<Option<Box<Parsed>>, Failure> {
        match self.read(args, terminal)? {
            Reading::Options(parsed) => Ok(Some(parsed)),
            Reading::Done => Ok(None),
        }
    }

    fn find(&self, word: &str) -> Option<&'static Opt> {
        let named = |option: &&Opt| {
            word.strip_prefix("--") == Some(option.name) || (!option.alias.is_empty() && word == option.alias)
        };
        self.options.iter().find(named).or_else(|| COMMON.iter().find(named))
    }
}

impl Parsed {
    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The option's value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == name)?.1.as_deref()
    }

    /// All values of a repeatable option.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.given.iter().filter(|(given, _)| *given == name).filter_map(|(_, value)| value.as_deref()).collect()
    }

    /// The option's value as a number.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is none.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.usage(format!("Cannot parse argument '{text}' of option {name}"))),
            },
        }
    }

    /// The value of an option that must be given.
    ///
    /// # Errors
    /// [`Failure::Usage`] in the words of Kafka's tools.
    pub fn required(&self, name: &str) -> Result<&str, Failure> {
        self.value(name).ok_or_else(|| self.usage(format!("Missing required argument \"[{name}]\"")))
    }

    /// Refuses options that make no sense together with `option`.
    ///
    /// # Errors
    /// [`Failure::Usage`] naming the first of `others` that was given.
    pub fn forbid(&self, option: &str, others: &[&str]) -> Result<(), Failure> {
        match others.iter().find(|other| self.has(option) && self.has(other)) {
            Some(other) => Err(self.usage(format!("Option \"[{option}]\" can't be used with option \"[{other}]\""))),
            None => Ok(()),
        }
    }

    /// A usage failure with this tool's help.
    pub fn usage(&self, message: impl Into<String>) -> Failure {
        Failure::Usage { message: message.into(), help: self.help() }
    }

    /// Name of the tool.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    fn give(&mut self, option: &'static Opt, value: Option<String>) -> Result<(), Failure> {
        let differs = |(given, old): &&(&str, Option<String>)| *given == option.name && *old != value;
        if !option.repeatable && self.given.iter().any(|given| differs(&given)) {
            return Err(
                self.usage(format!("Found multiple arguments for option {}, but you asked for only one", option.name))
            );
        }
        self.given.push((option.name, value));
        Ok(())
    }

    fn greet(self, terminal: &mut Terminal) -> Result<Reading, Failure> {
        if self.has("help") {
            terminal.print(&self.help());
            return Ok(Reading::Done);
        }
        if self.has("version") {
            terminal.line(&format!("{} (Milena)", env!("CARGO_PKG_VERSION")));
            return Ok(Reading::Done);
        }
        if self.has("zookeeper") && !self.has("bootstrap-server") {
            terminal.error_line("Option --zookeeper is no longer used, --bootstrap-server takes its place: connecting to localhost:9092.");
        }
        for option in self.syntax.options.iter().filter(|option| !option.replaced_by.is_empty()) {
            if self.has(option.name) {
                self.notice(option, terminal);
            }
        }
        Ok(Reading::Options(Box::new(self)))
    }

    /// Tells of the new name of an option where the original tool does and in its words; names that the
    /// original no longer knows are told of on standard error.
    fn notice(&self, option: &Opt, terminal: &mut Terminal) {
        let (old, new) = (option.name, option.replaced_by);
        if old == "broker-list" {
            terminal.error_line(&format!("Option --{old} is an old name. Use --{new} instead."));
            return;
        }
        let line = match (self.tool.as_str(), old) {
            ("kafka-console-producer", "max-partition-memory-bytes") => {
                format!("Warning: --{old} is deprecated and will be removed in Apache Kafka 5.0. Use --{new} instead.")
            }
            ("kafka-console-producer", _) => {
                format!("Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead.")
            }
            ("kafka-consumer-perf-test", _) => format!("Warning: --{old} is deprecated. Use --{new} instead."),
            (
                "kafka-cluster"
                | "kafka-leader-election"
                | "kafka-producer-perf-test"
                | "kafka-verifiable-consumer"
                | "kafka-verifiable-producer",
                _,
            ) => format!(
                "Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead."
            ),
            _ => format!("Option --{old} is deprecated and will be removed in a future version. Use --{new} instead."),
        };
        terminal.line(&line);
    }

    fn help(&self) -> String {
        const LEFT: usize = 40;
        const RIGHT: usize = 60;
        let mut text = format!(
            "{}\n{:<LEFT$} {}\n{:<LEFT$} {}\n",
            self.syntax.purpose, "Option", "Description", "------", "-----------"
        );
        let mut options: Vec<&Opt> = self.syntax.options.iter().chain(COMMON).collect();
        options.sort_by_key(|option| option.name);
        for option in options {
            let left = match option.value {
                Value::Flag => format!("--{}", option.name),
                Value::Optional => format!("--{} [{}]", option.name, option.metavar),
                Value::One => format!("--{} <{}>", option.name, option.metavar),
                Value::List => format!("--{} <{} ...>", option.name, option.metavar),
            };
            let note = match option.replaced_by {
                "" => option.help.to_owned(),
                new => format!("(DEPRECATED) Use --{new}."),
            };
            for (index, right) in wrap(&note, RIGHT).into_iter().enumerate() {
                let left = if index == 0 { left.as_str() } else { "" };
                if left.len() > LEFT {
                    text.push_str(&format!("{left}\n{:<LEFT$} {right}\n", ""));
                } else {
                    text.push_str(&format!("{left:<LEFT$} {right}\n"));
                }
            }
        }
        text
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTAX: Syntax = Syntax {
        purpose: "A tool for tests.",
        options: &[
            Opt::one("topic", "name", "A topic."),
            Opt::many("config", "name=value", "A config."),
            Opt::flag("list", "List."),
            Opt::optional("state", "names", "States."),
            Opt::list("props", "name=value", "Properties."),
            Opt::one("messages", "count", "").replaced_by("num-records"),
        ],
    };

    fn read(words: &[&str]) -> (Result<Reading, Failure>, String, String) {
        let (mut terminal, out, err) = Terminal::captured();
        let args = Args { tool: "test".to_owned(), words: words.iter().map(|word| (*word).to_owned()).collect() };
        let reading = SYNTAX.read(args, &mut terminal);
        (reading, out.text(), err.text())
    }

    fn parsed(words: &[&str]) -> Box<Parsed> {
        match read(words).0 {
            Ok(Reading::Options(parsed)) => parsed,
            _ => panic!("{words:?}"),
        }
    }

    fn refused(words: &[&str]) -> String {
        match read(words).0 {
            Err(failure) => failure.message(),
            Ok(_) => panic!("{words:?}"),
        }
    }

    #[test]
    fn values_follow_or_are_joined_by_an_equals_sign() {
        let options = parsed(&["--topic", "-1", "--config=a=b", "--config", "c=d", "--list", "word"]);
        assert_eq!(options.value("topic"), Some("-1"));
        assert_eq!(options.values("config"), ["a=b", "c=d"]);
        assert!(options.has("list"));
        assert_eq!(options.words, ["word"]);
    }

    #[test]
    fn optional_values_stop_at_the_next_option_and_lists_too() {
        let options = parsed(&["--state", "--list", "--props", "a=1", "b=2", "--topic", "t"]);
        assert!(options.has("state"));
        assert_eq!(options.value("state"), None);
        assert_eq!(options.values("props"), ["a=1", "b=2"]);
        assert_eq!(parsed(&["--state", "Empty"]).value("state"), Some("Empty"));
    }

    #[test]
    fn mistakes_are_told_in_kafkas_words() {
        assert_eq!(refused(&["--nope"]), "nope is not a recognized option");
        assert_eq!(refused(&["--topic"]), "Option topic requires an argument");
        assert_eq!(
            refused(&["--topic", "a", "--topic", "b"]),
            "Found multiple arguments for option topic, but you asked for only one"
        );
        let options = parsed(&["--list", "--topic", "t"]);
        assert_eq!(
            options.required("bootstrap-server").unwrap_err().message(),
            "Missing required argument \"[bootstrap-server]\""
        );
        assert_eq!(
            options.forbid("list", &["state", "topic"]).unwrap_err().message(),
            "Option \"[list]\" can't be used with option \"[topic]\""
        );
    }

    #[test]
    fn help_version_and_old_options() {
        let (reading, out, _) = read(&["--help"]);
        assert!(matches!(reading, Ok(Reading::Done)));
        assert!(out.starts_with("A tool for tests.\nOption "), "{out}");
        let (_, out, err) = read(&["--messages", "5", "--zookeeper", "localhost:2181"]);
        assert!(err.contains("localhost:9092"), "{err}");
        assert!(out.contains("--num-records"), "{out}");
    }
}
