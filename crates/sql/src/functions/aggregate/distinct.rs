//! COUNT_DISTINCT.
//!
//! Few values are counted exactly, by their hashes; many by a HyperLogLog sketch (Flajolet et al., 2007) of 2^12
//! registers, whose error is about 1.6 %.

use std::hash::{Hash, Hasher};

use super::{Aggregator, first};
use crate::expression::EvalError;
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::Value;

/// Registers of the sketch, a power of two.
const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 12;
/// Bytes of a hash while there are few.
const HASH_BYTES: usize = 8;
/// Most hashes kept; all of them take less than the sketch, so the length tells what a state is.
const EXACT_LIMIT: usize = 256;

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "COUNT_DISTINCT",
        "About how many different values came; exact for few.",
        &[("(val1 T) BIGINT", |_, _| Ok(Box::new(CountDistinct)))],
    );
}

#[derive(Debug)]
struct CountDistinct;

impl Aggregator for CountDistinct {
    /// Bytes alone would do, but a state of several numbers is what users know: not every format can hold one.
    fn state_type(&self) -> SqlType {
        SqlType::structure([("SKETCH", SqlType::Bytes)])
    }

    fn result_type(&self) -> SqlType {
        SqlType::Bigint
    }

    fn initialize(&self) -> Value {
        state_of(Vec::new())
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        let value = first(arguments);
        if value.is_null() {
            return Ok(state);
        }
        let mut hasher = Fnv::default();
        value.hash(&mut hasher);
        let mut bytes = sketch(&state).to_vec();
        add(&mut bytes, mixed(hasher.finish()));
        Ok(state_of(bytes))
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let (a, b) = (sketch(&earlier), sketch(&later));
        let (mut merged, other) = if a.len() >= b.len() { (a.to_vec(), b) } else { (b.to_vec(), a) };
        if other.len() == REGISTERS {
            for (register, value) in merged.iter_mut().zip(other) {
                *register = (*register).max(*value);
            }
        } else {
            hashes(other).for_each(|hash| add(&mut merged, hash));
        }
        Ok(state_of(merged))
    }

    fn result(&self, state: &Value) -> Value {
        let bytes = sketch(state);
        let count = if bytes.len() == REGISTERS { estimate(bytes) } else { (bytes.len() / HASH_BYTES) as i64 };
        Value::Bigint(count)
    }
}

fn state_of(bytes: Vec<u8>) -> Value {
    Value::structure(vec![Value::bytes(bytes)])
}

fn sketch(state: &Value) -> &[u8] {
    state.as_struct().and_then(<[Value]>::first).and_then(Value::as_bytes).unwrap_or_default()
}

fn hashes(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<HASH_BYTES>().0.iter().map(|hash| u64::from_be_bytes(*hash))
}

fn add(bytes: &mut Vec<u8>, hash: u64) {
    if bytes.len() != REGISTERS {
        if hashes(bytes).any(|known| known == hash) {
            return;
        }
        if bytes.len() < EXACT_LIMIT * HASH_BYTES {
            bytes.extend_from_slice(&hash.to_be_bytes());
            return;
        }
        let mut sketch = vec![0; REGISTERS];
        hashes(bytes).for_each(|known| observe(&mut sketch, known));
        *bytes = sketch;
    }
    observe(bytes, hash);
}

fn observe(registers: &mut [u8], hash: u64) {
    let index = (hash >> (u64::BITS - REGISTER_BITS)) as usize;
    let rank = ((hash << REGISTER_BITS) | (1 << (REGISTER_BITS - 1))).leading_zeros() as u8 + 1;
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(rank);
    }
}

fn estimate(registers: &[u8]) -> i64 {
    let count = REGISTERS as f64;
    let harmonic: f64 = registers.iter().map(|rank| 2_f64.powi(-i32::from(*rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / harmonic;
    let empty = registers.iter().filter(|rank| **rank == 0).count();
    let corrected = if raw <= 2.5 * count && empty > 0 { count * (count / empty as f64).ln() } else { raw };
    corrected.round() as i64
}

/// FNV-1a: the same for the same value in every process, which a stored state needs.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Spreads a hash over all bits.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
