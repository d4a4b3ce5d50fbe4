//! The fuzz targets `push`, `decrypt` and `json` on a stable compiler: each with its corpus, and with much that is near it.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[path = "../../../fuzz/properties/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/wechat.rs"]
mod properties;

fn try_out(target: &str, property: fn(&[u8])) {
    let files = corpus::files(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), target);
    files.iter().for_each(|file| property(file));
    let tried = TestRunner::new(ProptestConfig::with_cases(2_000)).run(&corpus::near(files), |bytes| {
        property(&bytes);
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{failure}");
    }
}

#[test]
fn any_text_is_a_push_or_an_error() {
    try_out("push", properties::push);
}

#[test]
fn a_ciphertext_opens_to_what_is_in_it_or_not_at_all() {
    try_out("decrypt", properties::decrypt);
}

#[test]
fn json_is_mended_where_that_is_needed_and_once() {
    try_out("json", properties::json);
}
