//! Properties files, clock, shutdown token, byte sizes: no domain words.
//!
//! What every other crate may lean on. Nothing here knows what a topic is.

mod byte_size;
mod clock;
mod closest_key;
pub mod config_def;
mod java_hash;
pub mod loggers;
pub mod properties;
mod timer_histogram;

pub use byte_size::ByteSize;
pub use clock::{Clock, MockClock, SystemClock};
pub use closest_key::closest_key;
pub use java_hash::java_string_hash;
pub use properties::{Properties, PropertiesError};
pub use timer_histogram::TimerHistogram;

/// Tells every part of a process that it is time to stop: cloned freely, cancelled once.
pub use tokio_util::sync::CancellationToken as ShutdownToken;
