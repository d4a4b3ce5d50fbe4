//! The fuzz target `answer`: rules that must hold for any bytes in the place of WeChat's answer.

use kefu_runtime::in_words;

use crate::wechat::answer::Answer;
use crate::wechat::client::{Extent, Raw};

#[cfg(test)]
#[path = "../../fuzz/properties/corpus.rs"]
mod corpus;

/// The first line of the bytes is the HTTP status. A ` cut` after the status means that the connection ended early, and
/// a ` large` means that the answer was too large. The other lines are the body.
///
/// # Panics
/// When one of the rules does not hold.
pub fn answer(bytes: &[u8]) {
    let line = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = (&bytes[..line], bytes.get(line + 1..).unwrap_or_default());
    let head = String::from_utf8_lossy(head);
    let (status, extent) = match head.split_once(' ') {
        Some((status, "cut")) => (status, Extent::Cut),
        Some((status, "large")) => (status, Extent::TooLarge),
        _ => (&*head, Extent::Whole),
    };
    let raw = Raw { status: status.parse().unwrap_or(200), body: body.to_vec(), extent };
    match Answer::read(&raw) {
        Ok(answer) => {
            assert!(extent != Extent::TooLarge, "an answer that nobody kept was read");
            assert!(
                (200..300).contains(&raw.status) || answer.errcode != 0,
                "it worked, with a status that says otherwise"
            );
            assert!(answer.rid().is_none_or(|rid| rid.len() <= 64 && rid.is_ascii()));
            answer.text("access_token");
            answer.number("expires_in");
            answer.texts("dns", "ip");
        }
        // kefu logs the reason, and the body may quote a user or a secret.
        Err(failure) => assert!(in_words(&failure).len() < 100, "a long reason: {failure}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::corpus;

    #[test]
    fn any_bytes_are_an_answer_or_a_failure() {
        let files = corpus::files(concat!(env!("CARGO_MANIFEST_DIR"), "/.."), "answer");
        files.iter().for_each(|file| super::answer(file));
        let tried = TestRunner::new(ProptestConfig::with_cases(2_000)).run(&corpus::near(files), |bytes| {
            super::answer(&bytes);
            Ok(())
        });
        if let Err(failure) = tried {
            panic!("{failure}");
        }
    }
}
