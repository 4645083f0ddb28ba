#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| credential::fuzzing::webauthn(bytes));
