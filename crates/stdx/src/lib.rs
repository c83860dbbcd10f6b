//! Properties files, clock, shutdown token, byte sizes: no domain words.

pub mod clock;

pub use clock::{Clock, MockClock, SystemClock};
