//! Tables of settings of connectors, converters, transforms and predicates (Java's `ConfigDef`), from which validation and
//! the answers of `/connector-plugins` follow.

/// Type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// Floating point.
    Double,
    /// Texts with commas between them.
    List,
    /// Name of a plugin.
    Class,
    /// Text that is shown as `[hidden]` wherever it is not configuration itself.
    Password,
}

/// How much a setting matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Must be thought of.
    High,
    /// Should be.
    Medium,
    /// Need not be.
    Low,
}

/// Width of a field in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Not said.
    None,
    /// Some letters.
    Short,
    /// A word.
    Medium,
    /// A line.
    Long,
}

/// What a value may be; the errors are those that Java's validators give.
#[derive(Clone)]
pub enum Rule {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// Not less.
    AtLeast(i64),
    /// From, to; both may be.
    Between(i64, i64),
    /// Some text.
    NonEmpty,
    /// Each element of a list is one of these.
    EachOneOf(&'static [&'static str]),
    /// A set with elements, none empty; what is repeated counts once.
    SomeElements,
    /// A set whose elements, if any, are not empty; what is repeated counts once.
    Elements,
    /// A regular expression.
    Regex,
    /// Both.
    All(&'static [Rule]),
    /// Whatever this says; `Err` has the whole message.
    Whole(fn(name: &str, value: &str) -> Result<(), String>),
    /// Whatever this says; `Err` has the end of the message `Invalid value .. for configuration ..: `.
    Custom(fn(name: &str, value: &str) -> Result<(), String>),
}

/// A setting.
#[derive(Clone)]
pub struct ConfigKey {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: ConfigType,
    /// The default as text; `None`: there is none and the setting is required, unless [`nullable`](Self::nullable).
    pub default: Option<&'static str>,
    /// Whether the default is null.
    pub nullable: bool,
    /// What a value may be.
    pub rule: Option<Rule>,
    /// How much it matters.
    pub importance: Importance,
    /// What it does.
    pub documentation: &'static str,
    /// Heading under which it is shown.
    pub group: Option<&'static str>,
    /// Place under the heading, from 1; -1 without a heading.
    pub order: i32,
    /// Width of the field.
    pub width: Width,
    /// Name for people.
    pub display_name: &'static str,
    /// Settings that change with this one.
    pub dependents: &'static [&'static str],
}

impl ConfigKey {
    /// A required setting.
    pub const fn required(
        name: &'static str,
        kind: ConfigType,
        importance: Importance,
        documentation: &'static str,
    ) -> ConfigKey {
        ConfigKey {
            name,
            kind,
            default: None,
            nullable: false,
            rule: None,
            importance,
            documentation,
            group: None,
            order: -1,
            width: Width::None,
            display_name: name,
            dependents: &[],
        }
    }

    /// A setting with a default.
    pub const fn with_default(
        name: &'static str,
        kind: ConfigType,
        default: &'static str,
        importance: Importance,
        documentation: &'static str,
    ) -> ConfigKey {
        let mut key = ConfigKey::required(name, kind, importance, documentation);
        key.default = Some(default);
        key
    }

    /// A setting whose default is null.
    pub const fn nullable(
        name: &'static str,
        kind: ConfigType,
        importance: Importance,
        documentation: &'static str,
    ) -> ConfigKey {
        let mut key = ConfigKey::required(name, kind, importance, documentation);
        key.nullable = true;
        key
    }

    /// The same with a rule.
    pub const fn checked(mut self, rule: Rule) -> ConfigKey {
        self.rule = Some(rule);
        self
    }

    /// The same under a heading.
    pub const fn shown(
        mut self,
        group: &'static str,
        order: i32,
        width: Width,
        display_name: &'static str,
    ) -> ConfigKey {
        self.group = Some(group);
        self.order = order;
        self.width = width;
        self.display_name = display_name;
        self
    }

    /// The same with settings that depend on it.
    pub const fn dependents(mut self, dependents: &'static [&'static str]) -> ConfigKey {
        self.dependents = dependents;
        self
    }
}

/// The settings of a plugin. [`ConfigDef::validate`] and [`ConfigDef::parse`] check values against it.
#[derive(Clone, Default)]
pub struct ConfigDef {
    /// In the order in which they are shown.
    pub keys: Vec<ConfigKey>,
}

impl ConfigDef {
    /// A table.
    pub fn new(keys: Vec<ConfigKey>) -> ConfigDef {
        ConfigDef { keys }
    }

    /// A setting by its name.
    pub fn key(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// The value of a setting with what is wrong about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// Name of the setting.
    pub name: String,
    /// The value, or its default.
    pub value: Option<String>,
    /// Values to choose from.
    pub recommended_values: Vec<String>,
    /// What is wrong, in sentences.
    pub errors: Vec<String>,
    /// Whether it matters with the other settings as they are.
    pub visible: bool,
}
