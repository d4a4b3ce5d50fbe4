//! The HTTP answer that WeChat gets.

use kefu_runtime::clock;
use kefu_wechat::event_answer;
use kefu_wechat::passive_reply::{self, Seal};
use kefu_wechat::push::{Format, Push};
use rand::Rng;
use rand::distr::Alphanumeric;

/// What WeChat gets back with status 200.
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

impl Answer {
    /// The Content-Type of everything but transfers and the like.
    pub(crate) const PLAIN: &'static str = "text/plain; charset=utf-8";

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { content_type: Self::PLAIN, text: text.into() }
    }

    /// The answer of this text, where the empty text means `success`, to a push whose query had `nonce`. The answer is
    /// encrypted where the account's mode encrypts, which is where there is a seal.
    pub(crate) fn to(push: &Push, text: String, seal: Option<Seal<'_>>, nonce: &str) -> Self {
        if text.is_empty() {
            return Self::plain("success");
        }
        // WeChat was seen to pass over a transfer that came as another type.
        let content_type = match passive_reply::format_of(&text) {
            Format::Xml => "text/xml; charset=utf-8",
            Format::Json => "application/json",
        };
        let text = match seal.filter(|_| event_answer::is_encrypted(push)) {
            Some(seal) => seal.encrypt(&text, now_s(), nonce, random()),
            None => text,
        };
        Self { content_type, text }
    }
}

/// This machine's time as seconds since the Unix epoch.
pub(crate) fn now_s() -> i64 {
    i64::try_from(clock::now_ms() / 1_000).unwrap_or(i64::MAX)
}

/// Letters and digits, as all of WeChat's examples have; whether it takes other bytes is not known.
fn random() -> [u8; 16] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}
