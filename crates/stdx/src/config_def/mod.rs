//! What a configuration key means: type, default, bounds, whether it can change while the process runs, and a line of
//! documentation.
//!
//! Every system has a table of such rows. The same rows check values, answer questions about the configuration and render
//! the documentation ([`document`]), so that these never disagree.

pub mod document;
mod environment;
mod table;
mod validate;

pub use environment::key_of_words;
pub use table::ConfigTable;
pub use validate::{InvalidValue, parse_bool, split_list};

/// The type of a configuration value. The numbers are those of DescribeConfigs v3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`
    Boolean = 1,
    /// Any text.
    String = 2,
    /// A 32-bit integer.
    Int = 3,
    /// A 16-bit integer.
    Short = 4,
    /// A 64-bit integer.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
    /// The name of a class; kept so that configurations written for Kafka can be read.
    Class = 8,
    /// A secret: never shown.
    Password = 9,
}

impl ConfigType {
    /// The name in upper case, as Kafka's messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            ConfigType::Boolean => "BOOLEAN",
            ConfigType::String => "STRING",
            ConfigType::Int => "INT",
            ConfigType::Short => "SHORT",
            ConfigType::Long => "LONG",
            ConfigType::Double => "DOUBLE",
            ConfigType::List => "LIST",
            ConfigType::Class => "CLASS",
            ConfigType::Password => "PASSWORD",
        }
    }
}

/// What a value must satisfy beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validator {
    /// Nothing more.
    Any,
    /// A number not below this.
    AtLeast(i64),
    /// A number within these bounds, both included.
    Between(i64, i64),
    /// A floating-point number within these bounds, both included.
    BetweenDouble(f64, f64),
    /// -1, or a number within these bounds: a compression level.
    LevelOrDefault(i64, i64),
    /// One of these texts, exactly.
    OneOf(&'static [&'static str]),
    /// One of these texts, in upper or lower case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list whose elements are all among these.
    ListOf(&'static [&'static str]),
    /// A list with at least one element, without repetitions.
    NonEmptyList,
}

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateMode {
    /// Only at the next start.
    ReadOnly,
    /// At once; set for one broker.
    PerBroker,
    /// At once; set for one broker or as the default of all.
    ClusterWide,
}

/// How much a user should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Most users set or read it.
    High,
    /// Some do.
    Medium,
    /// Few do.
    Low,
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDef {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of the value.
    pub kind: ConfigType,
    /// The default as text; `None` for "not set".
    pub default: Option<&'static str>,
    /// What a value must satisfy beyond its type.
    pub validator: Validator,
    /// When a changed value takes effect.
    pub update: UpdateMode,
    /// How much a user should care.
    pub importance: Importance,
    /// For a topic's key: the broker's key that gives its default.
    pub synonym: Option<&'static str>,
    /// One line: meaning and unit.
    pub doc: &'static str,
}

impl ConfigDef {
    /// Whether values must never be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }
}

/// A key with a default.
pub const fn def(name: &'static str, kind: ConfigType, default: &'static str) -> ConfigDef {
    ConfigDef { default: Some(default), ..unset(name, kind) }
}

/// A key that is not set by default.
pub const fn unset(name: &'static str, kind: ConfigType) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default: None,
        validator: Validator::Any,
        update: UpdateMode::ReadOnly,
        importance: Importance::Medium,
        synonym: None,
        doc: "",
    }
}

/// The rest of a row, as far as it differs from the usual.
impl ConfigDef {
    /// A number not below `minimum`.
    #[must_use]
    pub const fn at_least(self, minimum: i64) -> ConfigDef {
        ConfigDef { validator: Validator::AtLeast(minimum), ..self }
    }

    /// What a value must satisfy beyond its type.
    #[must_use]
    pub const fn check(self, validator: Validator) -> ConfigDef {
        ConfigDef { validator, ..self }
    }

    /// A change takes effect at once.
    #[must_use]
    pub const fn dynamic(self) -> ConfigDef {
        ConfigDef { update: UpdateMode::ClusterWide, ..self }
    }

    /// A change takes effect at once, for one broker.
    #[must_use]
    pub const fn per_broker(self) -> ConfigDef {
        ConfigDef { update: UpdateMode::PerBroker, ..self }
    }

    /// Most users set or read it.
    #[must_use]
    pub const fn high(self) -> ConfigDef {
        ConfigDef { importance: Importance::High, ..self }
    }

    /// Few users set it.
    #[must_use]
    pub const fn low(self) -> ConfigDef {
        ConfigDef { importance: Importance::Low, ..self }
    }

    /// For a topic's key: the broker's key that gives its default.
    #[must_use]
    pub const fn synonym(self, broker_key: &'static str) -> ConfigDef {
        ConfigDef { synonym: Some(broker_key), ..self }
    }

    /// One line: meaning and unit.
    #[must_use]
    pub const fn doc(self, doc: &'static str) -> ConfigDef {
        ConfigDef { doc, ..self }
    }
}
