#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cirrus_verification::fuzz_bodies::run(
    "controller_request",
    bytes
));
