//! What a push is answered: decided before it is stored, kept for its copies as it is in clear, sealed for each anew.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use kefu_messages::envelope::Answered;
use kefu_messages::rules::{Endpoint, Rules};
use kefu_program::config::Account;
use kefu_runtime::clock;
use kefu_wechat::event_answer::{self, EventAnswer};
use kefu_wechat::passive_reply::{self, Seal};
use kefu_wechat::push::{Format, Push, PushError};
use rand::Rng;
use rand::distr::Alphanumeric;

use crate::metric;
use crate::unreadable::UnreadablePushes;

/// The answer to a push, as it is decided by its first copy.
pub struct Decided {
    /// Not encrypted; the empty text for `success`, as for
    /// [`Claims::complete`](kefu_store::Claims::complete).
    pub answer: String,
    /// For the envelope.
    pub answered: Option<Answered>,
    /// An event that wants a decision which nobody has made.
    pub undecided: Option<&'static str>,
    /// Who is to be asked for the answer, in place of all that.
    pub ask: Option<Endpoint>,
}

/// Whether ingress keeps a push of these bytes, which it cannot read because of `error`, as a dead letter.
///
/// # Errors
/// Why it refuses the push instead, in words.
pub fn keeps_unreadable(account: &Account, bytes: &[u8], error: &PushError) -> Result<(), String> {
    UnreadablePushes::default().admit(account, bytes, error).map_err(|refusal| refusal.to_string())
}

impl Decided {
    /// That it is acknowledged, and no more.
    pub(crate) fn success() -> Self {
        Self { answer: String::new(), answered: None, undecided: None, ask: None }
    }

    /// Decides; the time of a transfer is now.
    pub fn of(rules: &Rules, appid: &str, push: &Push) -> Self {
        let success = Self::success();
        if let Some(endpoint) = rules.synchronous(appid, push) {
            return Self { ask: Some(endpoint.clone()), answered: Some(Answered::Webhook), ..success };
        }
        match push.event().map(EventAnswer::to) {
            Some(EventAnswer::Success) => success,
            // It is no answer of a rule's: the worker asks the rules what else there is to do.
            Some(EventAnswer::Body(body)) => Self { answer: body.text(push.format).to_owned(), ..success },
            Some(EventAnswer::Decision { event }) => Self { undecided: Some(event), ..success },
            None if rules.transfers(appid, push) => {
                let answer = passive_reply::transfer(push, now_s());
                Self { answer, answered: Some(Answered::Transfer), ..success }
            }
            None => success,
        }
    }
}

/// The body of an HTTP answer.
pub(crate) struct Body {
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

impl Body {
    /// The Content-Type of everything but transfers and the like.
    pub(crate) const PLAIN: &'static str = "text/plain; charset=utf-8";

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { content_type: Self::PLAIN, text: text.into() }
    }

    /// `answer` to a push whose query had `nonce`; with a seal where the account's mode encrypts.
    pub(crate) fn of(answer: String, push: &Push, seal: Option<Seal<'_>>, nonce: &str) -> Self {
        if answer.is_empty() {
            return Self::plain("success");
        }
        // WeChat was seen to pass over a transfer that came as another type.
        let content_type = match passive_reply::format_of(&answer) {
            Format::Xml => "text/xml; charset=utf-8",
            Format::Json => "application/json",
        };
        let text = match seal.filter(|_| event_answer::is_encrypted(push)) {
            Some(seal) => seal.encrypt(&answer, now_s(), nonce, random()),
            None => answer,
        };
        Self { content_type, text }
    }
}

fn now_s() -> i64 {
    i64::try_from(clock::now_ms() / 1_000).unwrap_or(i64::MAX)
}

/// Letters and digits, as all of WeChat's examples have; whether it takes other bytes is not known.
fn random() -> [u8; 16] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}

/// The events that were acknowledged although WeChat wanted a decision: said once a name, counted each time.
#[derive(Default)]
pub(crate) struct Undecided(Mutex<BTreeSet<&'static str>>);

impl Undecided {
    pub(crate) fn note(&self, event: &'static str) {
        metric::undecided(event);
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(event) {
            tracing::warn!(
                event,
                "WeChat wants a decision in the answer to this event, and nobody makes one: it is only acknowledged"
            );
        }
    }
}
