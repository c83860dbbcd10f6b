//! Writes what is not a message: API keys, error codes, the catalogue of messages.

use std::fmt::Write as _;

use super::super::model::{Api, ErrorCode, Schema};
use super::super::names;
use super::HEAD;

/// `generated/mod.rs`.
pub fn root() -> String {
    format!(
        "{HEAD}//! Generated code: API keys, error codes and messages.
        #![allow(clippy::field_reassign_with_default, reason = \"fields are read one by one\")]

        pub mod api_key;
        #[cfg(feature = \"json\")]
        pub mod catalog;
        pub mod error_code;
        pub mod messages;
        "
    )
}

/// `generated/api_key.rs`.
pub fn api_keys(apis: &[Api]) -> anyhow::Result<String> {
    let mut variants = String::new();
    let (mut all, mut from, mut name) = (String::new(), String::new(), String::new());
    let (mut versions, mut flexible, mut broker) = (String::new(), String::new(), String::new());
    for Api { key, name: api, on_broker, request, .. } in apis {
        let range = request.versions;
        let (first, last) = (range.first, range.last.unwrap_or(range.first));
        writeln!(variants, "/// Key {key}, {range}.\n{api} = {key},")?;
        writeln!(all, "ApiKey::{api},")?;
        writeln!(from, "{key} => ApiKey::{api},")?;
        writeln!(name, "ApiKey::{api} => \"{api}\",")?;
        writeln!(versions, "ApiKey::{api} => {first}..={last},")?;
        let first_flexible = request.flexible.map_or("None".to_owned(), |v| format!("Some({v})"));
        writeln!(flexible, "ApiKey::{api} => {first_flexible},")?;
        if *on_broker {
            write!(broker, "{}ApiKey::{api}", if broker.is_empty() { "" } else { " | " })?;
        }
    }
    Ok(format!(
        "{HEAD}//! The keys of the protocol's APIs.

        use std::fmt;
        use std::ops::RangeInclusive;

        /// An API of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {{ {variants} }}

        /// The number is no key of an API this crate knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error(\"unknown API key {{0}}\")]
        pub struct UnknownApiKey(pub i16);

        impl ApiKey {{
            /// All keys, ascending.
            pub const ALL: &'static [ApiKey] = &[ {all} ];

            /// The number in the request header.
            pub fn code(self) -> i16 {{ self as i16 }}

            /// Name in the protocol definition, without \"Request\".
            pub fn name(self) -> &'static str {{ match self {{ {name} }} }}

            /// Versions this crate can read and write; what a broker serves may be less.
            pub fn versions(self) -> RangeInclusive<i16> {{ match self {{ {versions} }} }}

            /// First version with compact lengths and tagged fields.
            pub fn first_flexible_version(self) -> Option<i16> {{ match self {{ {flexible} }} }}

            /// Whether `version`, known or not, has compact lengths and tagged fields.
            pub fn is_flexible(self, version: i16) -> bool {{
                self.first_flexible_version().is_some_and(|first| version >= first)
            }}

            /// Whether brokers answer this API to clients; the others run between controllers and brokers.
            pub fn is_on_broker_listener(self) -> bool {{ matches!(self, {broker}) }}
        }}

        impl TryFrom<i16> for ApiKey {{
            type Error = UnknownApiKey;

            fn try_from(key: i16) -> Result<ApiKey, UnknownApiKey> {{
                Ok(match key {{ {from} _ => return Err(UnknownApiKey(key)), }})
            }}
        }}

        impl From<ApiKey> for i16 {{ fn from(key: ApiKey) -> i16 {{ key.code() }} }}

        impl fmt::Display for ApiKey {{
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{ f.write_str(self.name()) }}
        }}
        "
    ))
}

/// `generated/error_code.rs`.
pub fn error_codes(errors: &[ErrorCode]) -> anyhow::Result<String> {
    let (mut variants, mut all, mut from) = (String::new(), String::new(), String::new());
    let (mut name, mut exception, mut message) = (String::new(), String::new(), String::new());
    let mut retriable = Vec::new();
    for error in errors {
        let variant = names::pascal_from_screaming(&error.name);
        let path = format!("ErrorCode::{variant}");
        let default = if error.code == 0 { "#[default]\n" } else { "" };
        writeln!(variants, "/// {}\n{default}{variant} = {},", error.message, error.code)?;
        writeln!(all, "{path},")?;
        writeln!(from, "{} => {path},", error.code)?;
        writeln!(name, "{path} => \"{}\",", error.name)?;
        let class = if error.exception == "-" { "" } else { error.exception.as_str() };
        writeln!(exception, "{path} => {class:?},")?;
        writeln!(message, "{path} => {:?},", error.message)?;
        if error.retriable {
            retriable.push(path);
        }
    }
    Ok(format!(
        "{HEAD}//! The error codes of the protocol.

        use std::fmt;

        /// An error code as it stands in responses. Clients retry the retriable ones by themselves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(i16)]
        pub enum ErrorCode {{ {variants} }}

        impl ErrorCode {{
            /// All codes, ascending.
            pub const ALL: &'static [ErrorCode] = &[ {all} ];

            /// The number on the wire.
            pub fn code(self) -> i16 {{ self as i16 }}

            /// The code with this number; unknown numbers are [`ErrorCode::UnknownServerError`], as clients see them.
            pub fn from_code(code: i16) -> ErrorCode {{
                match code {{ {from} _ => ErrorCode::UnknownServerError, }}
            }}

            /// Whether this is anything but [`ErrorCode::None`].
            pub fn is_error(self) -> bool {{ self != ErrorCode::None }}

            /// Whether the same request may succeed later.
            pub fn is_retriable(self) -> bool {{ matches!(self, {}) }}

            /// Name in the protocol definition, e.g. `NOT_LEADER_OR_FOLLOWER`.
            pub fn name(self) -> &'static str {{ match self {{ {name} }} }}

            /// Name of the exception Java clients raise, e.g. `NotLeaderOrFollowerException`; empty for none.
            pub fn exception_name(self) -> &'static str {{ match self {{ {exception} }} }}

            /// A description for people.
            pub fn message(self) -> &'static str {{ match self {{ {message} }} }}
        }}

        impl From<ErrorCode> for i16 {{ fn from(error: ErrorCode) -> i16 {{ error.code() }} }}

        impl fmt::Display for ErrorCode {{
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{ f.write_str(self.name()) }}
        }}
        ",
        retriable.join(" | ")
    ))
}

/// `generated/catalog.rs`.
pub fn catalog(schema: &Schema) -> anyhow::Result<String> {
    let (mut requests, mut responses, mut data) = (String::new(), String::new(), String::new());
    for api in &schema.apis {
        let key = format!("Some(ApiKey::{})", api.name);
        writeln!(requests, "MessageType::of::<messages::{}>({key}),", api.request.name)?;
        writeln!(responses, "MessageType::of::<messages::{}>({key}),", api.response.name)?;
    }
    for message in &schema.data {
        writeln!(data, "MessageType::of::<messages::{}>(None),", message.name)?;
    }
    Ok(format!(
        "{HEAD}//! All messages with their types erased.

        use crate::inspect::MessageType;
        use crate::{{ApiKey, messages}};

        /// Requests, by key.
        pub const REQUESTS: &[MessageType] = &[ {requests} ];

        /// Responses, by key.
        pub const RESPONSES: &[MessageType] = &[ {responses} ];

        /// Stored and embedded messages.
        pub const DATA: &[MessageType] = &[ {data} ];
        "
    ))
}
