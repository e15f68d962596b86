#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| majordomus_fuzz::decode(data));
