#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker::fuzzing::decision_point(bytes));
