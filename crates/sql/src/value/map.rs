//! Values of type `MAP`.

use indexmap::IndexMap;

use super::Value;

/// Entries of a `MAP`, kept in the order in which they came.
///
/// Readers that show an order to users (MAP_KEYS, CAST to STRING, ...) take [`MapValue::in_hash_order`], the order in
/// which Java's `HashMap` gives them.
#[derive(Clone, Debug, Default)]
pub struct MapValue {
    entries: IndexMap<Value, Value>,
    /// Buckets with which Java would have made it; 0 where they are made for its entries.
    buckets: u32,
}

impl MapValue {
    /// A map without entries.
    pub fn new() -> MapValue {
        MapValue::default()
    }

    /// A map without entries that is made for any number of them.
    pub fn roomy() -> MapValue {
        MapValue { buckets: ROOMY_BUCKETS, ..MapValue::default() }
    }

    /// The entries of both; where both have a key, those of `other`.
    pub fn union(&self, other: &MapValue) -> MapValue {
        // `putAll` makes room for the first map at once, and for the second where it is larger than that.
        let (first, second) = if self.is_empty() { (other.len(), 0) } else { (self.len(), other.len()) };
        let mut buckets = (first as u32 * 4 / 3 + 1).next_power_of_two();
        while second > buckets as usize * 3 / 4 {
            buckets *= 2;
        }
        let both = self.in_hash_order().into_iter().chain(other.in_hash_order());
        let entries = both.map(|(key, value)| (key.clone(), value.clone())).collect();
        MapValue { entries, buckets }
    }

    /// The entries as a map that puts each new one before those that it has.
    pub fn newest_first(entries: impl IntoIterator<Item = (Value, Value)>) -> MapValue {
        let mut map = MapValue { entries: entries.into_iter().collect(), buckets: ROOMY_BUCKETS };
        map.entries.reverse();
        map
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.entries.get(key)
    }

    /// Sets the value of a key and returns the one before.
    pub fn insert(&mut self, key: Value, value: Value) -> Option<Value> {
        self.entries.insert(key, value)
    }

    /// Removes a key; the others keep their order.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        self.entries.shift_remove(key)
    }

    /// Entries in the order in which they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Value, &Value)> {
        self.entries.iter()
    }

    /// Entries in the order in which Java's `HashMap` gives them.
    pub fn in_hash_order(&self) -> Vec<(&Value, &Value)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        sort_as_hashed(&mut entries, self.buckets.max(1), |(key, _)| java_hash(key));
        entries
    }
}

/// Buckets of a `HashMap` that is not made for a number of entries.
const ROOMY_BUCKETS: u32 = 16;

/// Puts things in the order in which a `HashMap` of Java, made with so many buckets, gives them.
pub fn sort_as_hashed<T>(things: &mut [T], buckets: u32, hash: impl Fn(&T) -> i32) {
    let mut buckets = buckets;
    while things.len() as f64 > (f64::from(buckets) * 0.75).floor() {
        buckets = buckets.saturating_mul(2);
    }
    things.sort_by_key(|thing| {
        let hash = hash(thing) as u32;
        (hash ^ (hash >> 16)) & (buckets - 1)
    });
}

impl PartialEq for MapValue {
    fn eq(&self, other: &MapValue) -> bool {
        self.entries == other.entries
    }
}

impl Eq for MapValue {}

impl FromIterator<(Value, Value)> for MapValue {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> MapValue {
        MapValue { entries: entries.into_iter().collect(), buckets: 0 }
    }
}

/// `hashCode` of the Java object that the value is.
fn java_hash(value: &Value) -> i32 {
    let fold = |long: i64| (long ^ ((long as u64) >> 32) as i64) as i32;
    match value {
        Value::Boolean(truth) => {
            if *truth {
                1231
            } else {
                1237
            }
        }
        Value::Int(number) | Value::Date(number) | Value::Time(number) => *number,
        Value::Bigint(number) | Value::Timestamp(number) => fold(*number),
        Value::Double(number) => fold(number.to_bits() as i64),
        Value::String(text) => milena_stdx::java_string_hash(text),
        Value::Array(elements) | Value::Struct(elements) => {
            elements.iter().fold(1_i32, |hash, element| hash.wrapping_mul(31).wrapping_add(java_hash(element)))
        }
        Value::Bytes(bytes) => {
            bytes.iter().fold(1_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(*byte as i8 as i32))
        }
        Value::Null | Value::Decimal(_) | Value::Map(_) => 0,
    }
}
