//! The HTTP answer that WeChat gets.

use kefu_runtime::clock;
use kefu_wechat::event_answer;
use kefu_wechat::passive_reply::{self, Seal};
use kefu_wechat::push::{Format, Push};
use rand::Rng;
use rand::distr::Alphanumeric;

/// The content that WeChat gets with status 200.
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

impl Answer {
    /// The Content-Type of every answer but transfers and other XML or JSON answers.
    pub(crate) const PLAIN: &'static str = "text/plain; charset=utf-8";

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { content_type: Self::PLAIN, text: text.into() }
    }

    /// The answer with this text to a push whose query had `nonce`. The empty text means `success`. Ingress encrypts
    /// the answer where the account's mode encrypts; only there a seal exists.
    pub(crate) fn to(push: &Push, text: String, seal: Option<Seal<'_>>, nonce: &str) -> Self {
        if text.is_empty() {
            return Self::plain("success");
        }
        // Users have seen WeChat ignore a transfer that came with another Content-Type.
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

/// Random letters and digits, as in all of WeChat's examples. Whether WeChat accepts other bytes is unknown.
fn random() -> [u8; 16] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}
