//! From a request to an authentic push: signature, timestamp, cipher, parser. The functions here are pure.

use kefu_messages::unreadable;
use kefu_program::config::{Account, Mode};
use kefu_wechat::passive_reply::Seal;
use kefu_wechat::push::{self, Push, PushError};
use kefu_wechat::signature;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::freshness;
use crate::refusal::Refusal;

/// The query parameters of a callback that carry a signature or are covered by a signature.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct SignedQuery {
    #[serde(default)]
    pub(crate) signature: String,
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    /// The signature of an encrypted push.
    pub(crate) msg_signature: Option<String>,
    /// The text that the check of the URL wants echoed.
    pub(crate) echostr: Option<String>,
}

impl SignedQuery {
    /// Reads a query. Ingress refuses a query with the same parameter twice, because it cannot tell which of the two
    /// was signed. Ingress ignores parameters that no signature uses.
    pub(crate) fn parse(query: &str) -> Result<Self, Refusal> {
        let refused = "the query lacks timestamp or nonce, or has a parameter twice";
        serde_urlencoded::from_str(query).map_err(|_| Refusal::Unauthenticated(refused))
    }
}

/// Checks the `signature` of a check of the URL, and its timestamp. The signature is plain in every mode: WeChat never
/// encrypts `echostr` for mini programs
/// (<https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>).
pub(crate) fn verify_url(account: &Account, query: &SignedQuery, now_ms: u64) -> Result<(), Refusal> {
    let signed = account
        .tokens
        .iter()
        .any(|token| signature::verify(token.expose_secret(), &query.timestamp, &query.nonce, &query.signature));
    if signed {
        Ok(freshness::check(&query.timestamp, now_ms)?)
    } else {
        Err(Refusal::Unauthenticated("signature is wrong"))
    }
}

/// Refuses, before ingress reads its body, a request that cannot become a push of the account. In plain mode
/// `signature` decides; in the other modes `msg_signature` must be present.
pub(crate) fn admit(account: &Account, query: &SignedQuery, now_ms: u64) -> Result<(), Refusal> {
    match (account.mode, &query.msg_signature) {
        (Mode::Plain, _) => verify_url(account, query, now_ms),
        (_, Some(_)) => Ok(()),
        (_, None) => Err(Refusal::Unauthenticated("msg_signature is missing")),
    }
}

/// The content of an admitted request.
pub(crate) struct Verified {
    /// The push and its decrypted text; else the decrypted bytes, and the reason why this version cannot read them.
    pub(crate) content: Result<(Push, String), (Vec<u8>, PushError)>,
    /// The Token and the key of the push. Set in safe and compat mode.
    pub(crate) pair: Option<Pair>,
}

/// The Token and the key that a push came with, by their places in the account's lists. After a change in the console
/// WeChat uses the former Token and key for a while, and ingress must seal its answers with the same Token and key.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    token: usize,
    key: usize,
}

impl Pair {
    /// The seal for an answer to that push.
    pub(crate) fn seal(self, account: &Account) -> Option<Seal<'_>> {
        let (token, key) = (account.tokens.get(self.token)?, account.keys.get(self.key)?);
        Some(Seal { appid: &account.appid, token: token.expose_secret(), key })
    }
}

/// Opens an admitted request.
///
/// The account's mode alone decides how. In safe and compat mode ingress believes only the content of `Encrypt`.
/// Ingress checks `msg_signature`, which covers `Encrypt`, before it decrypts anything, and then the timestamp.
/// `signature` does not cover the body.
pub(crate) fn open(account: &Account, query: &SignedQuery, body: Vec<u8>, now_ms: u64) -> Result<Verified, Refusal> {
    match account.mode {
        Mode::Plain => Ok(read(body, None)),
        Mode::Compat | Mode::Safe => {
            let (bytes, pair) = decrypt(account, query, &String::from_utf8_lossy(&body), now_ms)?;
            drop(body);
            Ok(read(bytes, Some(pair)))
        }
    }
}

/// The bytes of the `Encrypt` that has a right signature and a current timestamp. WeChat signs no other part of the
/// body, so ingress reads no other part.
fn decrypt(account: &Account, query: &SignedQuery, body: &str, now_ms: u64) -> Result<(Vec<u8>, Pair), Refusal> {
    let candidates = push::ciphertexts(body);
    if candidates.is_empty() {
        return Err(Refusal::Unauthenticated("the body is not encrypted"));
    }
    let given = query.msg_signature.as_deref().unwrap_or_default();
    let signer_of = |encrypt: &str| {
        account.tokens.iter().position(|token| {
            signature::verify_encrypted(token.expose_secret(), &query.timestamp, &query.nonce, encrypt, given)
        })
    };
    let signed = candidates.iter().find_map(|encrypt| Some((encrypt, signer_of(encrypt)?)));
    let Some((encrypt, token)) = signed else { return Err(Refusal::Unauthenticated("msg_signature is wrong")) };
    freshness::check(&query.timestamp, now_ms)?;
    let mut last = None;
    for (index, key) in account.keys.iter().enumerate() {
        match key.decrypt_bytes(encrypt, &account.appid) {
            Ok(bytes) => return Ok((bytes, Pair { token, key: index })),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.map_or(Refusal::Unauthenticated("there is no key"), Refusal::Cipher))
}

fn read(bytes: Vec<u8>, pair: Option<Pair>) -> Verified {
    Verified { content: unreadable::read(bytes), pair }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        let query = "signature=a&timestamp=1&nonce=2&timestamp=3";
        assert!(matches!(SignedQuery::parse(query), Err(Refusal::Unauthenticated(_))));
    }

    #[test]
    fn a_parameter_that_is_missing_is_refused_unless_another_mode_has_it() {
        for query in ["nonce=2", "timestamp=1", ""] {
            assert!(matches!(SignedQuery::parse(query), Err(Refusal::Unauthenticated(_))), "{query}");
        }
        let query = SignedQuery { timestamp: "1".into(), nonce: String::new(), ..SignedQuery::default() };
        assert_eq!(SignedQuery::parse("timestamp=1&nonce="), Ok(query));
    }

    #[test]
    fn values_are_percent_decoded_and_unknown_names_ignored() {
        let query = SignedQuery::parse("timestamp=1&nonce=a%2Bb&openid=x&openid=y&encrypt_type=aes").ok();
        let expected = SignedQuery { timestamp: "1".into(), nonce: "a+b".into(), ..SignedQuery::default() };
        assert_eq!(query, Some(expected));
    }
}
