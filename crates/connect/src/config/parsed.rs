//! Values of settings checked against their table, with the errors that Java's `ConfigDef` gives.

use std::borrow::Cow;

use indexmap::{IndexMap, IndexSet};

use super::def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Rule};
use crate::data::DataError;
use crate::plugin::Settings;

/// Settings of a plugin, each of its type. A name that the table does not have reads as not set.
#[derive(Debug, Clone, Default)]
pub struct Parsed(IndexMap<&'static str, Setting>);

/// A value of its type.
#[derive(Debug, Clone, PartialEq)]
enum Setting {
    Null,
    Boolean(bool),
    Text(String),
    Whole(i64),
    Double(f64),
    List(Vec<String>),
}

impl ConfigDef {
    /// Every setting of the table with its value, or default, and what is wrong about it.
    pub fn validate(&self, settings: &Settings) -> Vec<ConfigValue> {
        self.keys.iter().map(|key| validate(key, settings.get(key.name).map(String::as_str))).collect()
    }

    /// The settings by their types; those that the table does not have are left aside.
    ///
    /// # Errors
    /// The first setting that is missing or wrong, with the text of Java's `ConfigException`.
    pub fn parse(&self, settings: &Settings) -> Result<Parsed, DataError> {
        let mut parsed = IndexMap::with_capacity(self.keys.len());
        for key in &self.keys {
            let setting = read(key, settings.get(key.name).map(String::as_str)).map_err(DataError::new)?;
            if let Some(rule) = &key.rule {
                check(rule, key.name, &setting).map_err(DataError::new)?;
            }
            parsed.insert(key.name, setting);
        }
        Ok(Parsed(parsed))
    }
}

impl Parsed {
    /// A boolean; false when it is null.
    pub fn get_bool(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Setting::Boolean(true)))
    }

    /// A boolean; `None` when it is null.
    pub fn get_optional_bool(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Setting::Boolean(value)) => Some(*value),
            _ => None,
        }
    }

    /// Text, a class or a password; `None` when it is null.
    pub fn get_string(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Text, a class or a password; empty when it is null.
    pub fn get_text(&self, name: &str) -> &str {
        self.get_string(name).unwrap_or_default()
    }

    /// An integer of 32 bits; 0 when it is null.
    pub fn get_int(&self, name: &str) -> i32 {
        self.get_optional_long(name).and_then(|whole| i32::try_from(whole).ok()).unwrap_or_default()
    }

    /// An integer of 64 bits or fewer; 0 when it is null.
    pub fn get_long(&self, name: &str) -> i64 {
        self.get_optional_long(name).unwrap_or_default()
    }

    /// An integer of 64 bits or fewer; `None` when it is null.
    pub fn get_optional_long(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Setting::Whole(whole)) => Some(*whole),
            _ => None,
        }
    }

    /// An integer as a count; 0 when it is null or negative.
    pub fn get_usize(&self, name: &str) -> usize {
        usize::try_from(self.get_long(name)).unwrap_or_default()
    }

    /// Floating point; 0 when it is null.
    pub fn get_double(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(Setting::Double(double)) => *double,
            _ => 0.0,
        }
    }

    /// A list; empty when it is null.
    pub fn get_list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(Setting::List(elements)) => elements,
            _ => &[],
        }
    }
}

/// The message of Java's `ConfigException` for a value.
pub fn invalid_value(name: &str, value: &str, why: &str) -> String {
    format!("Invalid value {value} for configuration {name}: {why}")
}

fn validate(key: &ConfigKey, given: Option<&str>) -> ConfigValue {
    let mut errors = Vec::new();
    let setting = read(key, given).unwrap_or_else(|error| {
        errors.push(error);
        Setting::Null
    });
    if let Some(rule) = &key.rule
        && let Err(error) = check(rule, key.name, &setting)
    {
        // Like Java, also after the value could not be read: it counts as null then.
        errors.push(error);
    }
    let value = match setting {
        Setting::Null => None,
        setting => Some(setting.text().into_owned()),
    };
    ConfigValue { name: key.name.to_owned(), value, recommended_values: Vec::new(), errors, visible: true }
}

/// The value that was given, or the default.
fn read(key: &ConfigKey, given: Option<&str>) -> Result<Setting, String> {
    match given.or(key.default) {
        Some(text) => of_type(key, text),
        None if key.nullable => Ok(Setting::Null),
        None => Err(format!("Missing required configuration \"{}\" which has no default value.", key.name)),
    }
}

fn of_type(key: &ConfigKey, given: &str) -> Result<Setting, String> {
    let text = given.trim();
    let invalid = |why: &str| invalid_value(key.name, given, why);
    let whole = |name: &str, min: i64, max: i64| {
        let whole = text.parse::<i64>().ok().filter(|whole| (min..=max).contains(whole));
        whole.map(Setting::Whole).ok_or_else(|| invalid(&format!("Not a number of type {name}")))
    };
    match key.kind {
        ConfigType::Boolean if text.eq_ignore_ascii_case("true") => Ok(Setting::Boolean(true)),
        ConfigType::Boolean if text.eq_ignore_ascii_case("false") => Ok(Setting::Boolean(false)),
        ConfigType::Boolean => Err(invalid("Expected value to be either true or false")),
        ConfigType::String | ConfigType::Class | ConfigType::Password => Ok(Setting::Text(text.to_owned())),
        ConfigType::Int => whole("INT", i32::MIN.into(), i32::MAX.into()),
        ConfigType::Short => whole("SHORT", i16::MIN.into(), i16::MAX.into()),
        ConfigType::Long => whole("LONG", i64::MIN, i64::MAX),
        ConfigType::Double => text.parse().map(Setting::Double).map_err(|_| invalid("Not a number of type DOUBLE")),
        ConfigType::List if text.is_empty() => Ok(Setting::List(Vec::new())),
        ConfigType::List => {
            let elements = text.split(',').map(|element| element.trim().to_owned());
            // Such a list is a set: what is repeated counts once.
            let is_set = matches!(key.rule, Some(Rule::SomeElements | Rule::Elements));
            Ok(Setting::List(if is_set {
                elements.collect::<IndexSet<String>>().into_iter().collect()
            } else {
                elements.collect()
            }))
        }
    }
}

impl Setting {
    /// As it is shown, and as messages have it.
    fn text(&self) -> Cow<'_, str> {
        match self {
            Setting::Null => Cow::Borrowed("null"),
            Setting::Boolean(true) => Cow::Borrowed("true"),
            Setting::Boolean(false) => Cow::Borrowed("false"),
            Setting::Text(text) => Cow::Borrowed(text),
            Setting::Whole(whole) => Cow::Owned(whole.to_string()),
            Setting::Double(double) => Cow::Owned(milena_schema::document::double_text(*double)),
            Setting::List(elements) => Cow::Owned(elements.join(",")),
        }
    }
}

fn check(rule: &Rule, name: &str, setting: &Setting) -> Result<(), String> {
    let invalid = |value: &str, why: &str| Err(invalid_value(name, value, why));
    let text = setting.text();
    let number = match setting {
        Setting::Whole(whole) => Some(*whole as f64),
        Setting::Double(double) => Some(*double),
        _ => None,
    };
    match rule {
        Rule::OneOf(choices) if !choices.contains(&&*text) || *setting == Setting::Null => {
            invalid(&text, &format!("String must be one of: {}", choices.join(", ")))
        }
        Rule::OneOfIgnoringCase(choices) if !choices.iter().any(|choice| choice.eq_ignore_ascii_case(&text)) => {
            let choices: Vec<String> = choices.iter().map(|choice| choice.to_uppercase()).collect();
            invalid(&text, &format!("String must be one of (case insensitive): {}", choices.join(", ")))
        }
        Rule::AtLeast(_) | Rule::Between(..) if number.is_none() => invalid(&text, "Value must be non-null"),
        Rule::AtLeast(min) | Rule::Between(min, _) if number.is_some_and(|number| number < *min as f64) => {
            invalid(&text, &format!("Value must be at least {min}"))
        }
        Rule::Between(_, max) if number.is_some_and(|number| number > *max as f64) => {
            invalid(&text, &format!("Value must be no more than {max}"))
        }
        Rule::NonEmpty if *setting != Setting::Null && text.is_empty() => invalid(&text, "String must be non-empty"),
        Rule::EachOneOf(choices) => match list(setting).iter().find(|element| !choices.contains(&element.as_str())) {
            Some(element) => invalid(element, &format!("String must be one of: {}", choices.join(", "))),
            None => Ok(()),
        },
        Rule::SomeElements | Rule::Elements if *setting == Setting::Null => {
            Err(format!("Configuration '{name}' values must not be null."))
        }
        Rule::SomeElements if list(setting).is_empty() => {
            Err(format!("Configuration '{name}' must not be empty. Valid values include: any non-empty value"))
        }
        Rule::SomeElements | Rule::Elements => check_elements(name, list(setting)),
        Rule::Regex => match fancy_regex::Regex::new(&text) {
            Err(error) => invalid(&text, &format!("Invalid regex: {error}")),
            Ok(_) => Ok(()),
        },
        Rule::All(rules) => rules.iter().try_for_each(|rule| check(rule, name, setting)),
        Rule::Whole(custom) if *setting != Setting::Null => custom(name, &text),
        Rule::Custom(custom) if *setting != Setting::Null => custom(name, &text).or_else(|why| invalid(&text, &why)),
        _ => Ok(()),
    }
}

fn check_elements(name: &str, elements: &[String]) -> Result<(), String> {
    if elements.iter().any(String::is_empty) {
        return Err(format!("Configuration '{name}' values must not be empty."));
    }
    Ok(())
}

fn list(setting: &Setting) -> &[String] {
    match setting {
        Setting::List(elements) => elements,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::def::Importance;

    const I: Importance = Importance::High;

    fn def() -> ConfigDef {
        ConfigDef::new(vec![
            ConfigKey::required("name", ConfigType::String, I, "").checked(Rule::NonEmpty),
            ConfigKey::with_default("count", ConfigType::Int, "5", I, "").checked(Rule::AtLeast(1)),
            ConfigKey::with_default("mode", ConfigType::String, "a", I, "").checked(Rule::OneOf(&["a", "b"])),
            ConfigKey::with_default("flag", ConfigType::Boolean, "true", I, ""),
            ConfigKey::with_default("list", ConfigType::List, "", I, "").checked(Rule::Elements),
            ConfigKey::nullable("more", ConfigType::Long, I, ""),
        ])
    }

    fn errors(settings: &[(&str, &str)]) -> Vec<String> {
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let values = def().validate(&settings);
        let errors: Vec<String> = values.into_iter().flat_map(|value| value.errors).collect();
        assert_eq!(def().parse(&settings).err().map(|error| error.0), errors.first().cloned());
        errors
    }

    #[test]
    fn errors_are_those_of_java() {
        assert_eq!(errors(&[]), ["Missing required configuration \"name\" which has no default value.",]);
        assert_eq!(
            errors(&[("name", "x"), ("count", "ten"), ("mode", "c"), ("flag", "yes"), ("more", "1.5")]),
            [
                "Invalid value ten for configuration count: Not a number of type INT",
                "Invalid value null for configuration count: Value must be non-null",
                "Invalid value c for configuration mode: String must be one of: a, b",
                "Invalid value yes for configuration flag: Expected value to be either true or false",
                "Invalid value 1.5 for configuration more: Not a number of type LONG",
            ]
        );
        assert_eq!(
            errors(&[("name", " "), ("count", "0"), ("list", "a,,b")]),
            [
                "Invalid value  for configuration name: String must be non-empty",
                "Invalid value 0 for configuration count: Value must be at least 1",
                "Configuration 'list' values must not be empty.",
            ]
        );
    }

    #[test]
    fn values_have_their_types() {
        let settings = [("name", " x "), ("list", "a , b,a"), ("flag", "FALSE"), ("other", "kept aside")];
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let parsed = def().parse(&settings).unwrap();
        assert_eq!(parsed.get_text("name"), "x");
        assert_eq!(parsed.get_int("count"), 5);
        assert!(!parsed.get_bool("flag"));
        assert_eq!(parsed.get_list("list"), ["a", "b"]);
        assert_eq!(parsed.get_optional_long("more"), None);
        let values = def().validate(&settings);
        let shown: Vec<Option<&str>> = values.iter().map(|value| value.value.as_deref()).collect();
        assert_eq!(shown, [Some("x"), Some("5"), Some("a"), Some("false"), Some("a,b"), None]);
    }
}
