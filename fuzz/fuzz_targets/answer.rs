#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kefu_worker::fuzzing::answer(bytes));
