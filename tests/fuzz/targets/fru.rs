//! Inventories of parts.

#![no_main]

use glasshouse_bmc::ipmi::decode::fru;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fru::decode(bytes).ok();
    // the header's sum set right, so that what is behind it is reached
    let mut bytes = bytes.to_vec();
    if let Some([version, rest @ .., sum]) = bytes.first_chunk_mut::<8>() {
        *version = 1;
        *sum = rest
            .iter()
            .fold(u8::MAX, |sum, byte| sum.wrapping_sub(*byte));
    }
    fru::decode(&bytes).ok();
});
