//! Reading and writing the protocol's primitive types.
//!
//! Big-endian integers; strings, byte strings and arrays with a length before them: `i16`/`i32` with -1 for
//! null in the old versions, unsigned varint of length + 1 with 0 for null in flexible versions (KIP-482).

mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::Reader;
pub use writer::Writer;
