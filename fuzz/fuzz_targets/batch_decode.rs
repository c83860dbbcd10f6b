//! Record bytes from a client or a damaged file: batches, records and old message sets are read without a
//! panic and without unpacking more than the limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_protocol::record;

const MAX_DECOMPRESSED: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    for batch in record::batches(bytes).map_while(Result::ok) {
        assert!(batch.size_in_bytes() <= bytes.len());
        let _ = batch.verify_crc();
        let Ok(records) = batch.records(MAX_DECOMPRESSED) else {
            continue;
        };
        assert!(records.take_while(Result::is_ok).count() <= MAX_DECOMPRESSED);
    }
    let _ = record::legacy::up_convert(bytes, MAX_DECOMPRESSED);
});
