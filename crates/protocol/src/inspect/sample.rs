//! Pseudo-random field values, the same for the same seed.

use bytes::Bytes;

use crate::{Records, Uuid};

/// A source of sample values (SplitMix64).
#[derive(Debug, Clone)]
pub struct Samples {
    state: u64,
}

/// A type that can be filled with sample values.
pub trait Sample {
    /// The next value.
    fn sample(s: &mut Samples) -> Self;
}

impl Samples {
    /// A source whose values follow from `seed` alone.
    pub fn new(seed: u64) -> Samples {
        Samples { state: seed }
    }

    /// The next value.
    pub fn draw<T: Sample>(&mut self) -> T {
        T::sample(self)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit.max(1) as u64) as usize
    }
}

impl Sample for bool {
    fn sample(s: &mut Samples) -> bool {
        s.bits() & 1 == 1
    }
}

macro_rules! sample_integers {
    ($($integer:ty),*) => {$(
        impl Sample for $integer {
            fn sample(s: &mut Samples) -> $integer {
                s.bits() as $integer
            }
        }
    )*};
}

sample_integers!(i8, i16, u16, i32, u32, i64);

impl Sample for f64 {
    fn sample(s: &mut Samples) -> f64 {
        f64::from(s.draw::<i32>()) / 4.0
    }
}

impl Sample for Uuid {
    fn sample(s: &mut Samples) -> Uuid {
        Uuid((u128::from(s.bits()) << 64 | u128::from(s.bits())).to_be_bytes())
    }
}

impl Sample for String {
    fn sample(s: &mut Samples) -> String {
        const LETTERS: [char; 8] = ['a', 'B', '9', '.', '-', 'é', '漢', '🦀'];
        (0..s.below(6)).map(|_| LETTERS[s.below(LETTERS.len())]).collect()
    }
}

impl Sample for Bytes {
    fn sample(s: &mut Samples) -> Bytes {
        (0..s.below(6)).map(|_| s.bits() as u8).collect()
    }
}

impl Sample for Records {
    fn sample(s: &mut Samples) -> Records {
        Records::Memory(s.draw())
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(s: &mut Samples) -> Option<T> {
        s.draw::<bool>().then(|| s.draw())
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(s: &mut Samples) -> Vec<T> {
        (0..s.below(3)).map(|_| s.draw()).collect()
    }
}
