//! The access_tokens.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getstableaccesstoken.html>.

use std::collections::{HashMap, VecDeque};

use super::errcode::ApiError;
use crate::config::Limits;

/// The length of a token unless a fault says otherwise.
pub(crate) const USUAL_CHARS: usize = 136;
/// The length of a token with the fault `long_token`.
pub(crate) const LONG_CHARS: usize = 600;
const CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYabcdefghjkmnpqrstuvwxy23456789_-";
/// The limits on forced refreshes of a stable token: how many a day, and how far apart.
const FORCED_A_DAY: usize = 20;
const FORCED_APART_MS: i64 = 30_000;
const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// How many tokens the simulator remembers, whether they still work or not. The simulator treats older tokens as
/// invented.
const REMEMBERED: usize = 10_000;

/// The endpoint that a token comes from. A token of one family never invalidates a token of the other family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// The family of `/cgi-bin/token`.
    Plain,
    /// The family of `/cgi-bin/stable_token`.
    Stable,
}

/// All access_tokens that the simulator remembers.
#[derive(Default)]
pub(crate) struct Tokens {
    issued: HashMap<String, Issued>,
    order: VecDeque<String>,
    current: HashMap<(String, Family), String>,
    forced: HashMap<String, VecDeque<i64>>,
    serial: u64,
}

/// A token as the simulator remembers it.
pub(crate) struct Issued {
    pub(crate) appid: String,
    /// The number of the token, in the order of issue.
    pub(crate) serial: u64,
    expires_ms: i64,
    /// The moment from which another token is the latest.
    superseded_ms: i64,
}

/// A token as the answer gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) token: String,
    pub(crate) expires_in_s: i64,
}

impl Tokens {
    /// Answers `/cgi-bin/token`: a new token each time. The former token still works for the overlap.
    pub(crate) fn plain(&mut self, appid: &str, limits: &Limits, chars: usize, now_ms: i64) -> Granted {
        self.supersede(appid, Family::Plain, now_ms.saturating_add(ms(limits.token_overlap_s)));
        self.issue(appid, Family::Plain, limits, chars, now_ms)
    }

    /// Answers `/cgi-bin/stable_token`: the same token until its last minutes, unless the caller forces a refresh and
    /// may do so.
    pub(crate) fn stable(
        &mut self,
        appid: &str,
        force: bool,
        limits: &Limits,
        chars: usize,
        now_ms: i64,
    ) -> Result<Granted, ApiError> {
        if force && self.may_force(appid, now_ms)? {
            self.supersede(appid, Family::Stable, now_ms);
        } else if let Some(granted) = self.still_current(appid, limits, chars, now_ms) {
            return Ok(granted);
        }
        Ok(self.issue(appid, Family::Stable, limits, chars, now_ms))
    }

    fn still_current(&self, appid: &str, limits: &Limits, chars: usize, now_ms: i64) -> Option<Granted> {
        let token = self.current.get(&(appid.to_owned(), Family::Stable))?;
        let issued = self.issued.get(token)?;
        let left_ms = issued.expires_ms - now_ms;
        let usable = left_ms >= ms(limits.token_overlap_s) && left_ms > 0 && now_ms < issued.superseded_ms;
        (usable && (chars == USUAL_CHARS || token.len() == chars))
            .then(|| Granted { token: token.clone(), expires_in_s: left_ms / 1_000 })
    }

    /// Whether the caller may force a refresh. Within 30 seconds of the last forced refresh, WeChat treats a forced
    /// refresh as a normal call.
    fn may_force(&mut self, appid: &str, now_ms: i64) -> Result<bool, ApiError> {
        let forced = self.forced.entry(appid.to_owned()).or_default();
        while forced.front().is_some_and(|at| now_ms - at >= DAY_MS) {
            forced.pop_front();
        }
        if forced.back().is_some_and(|at| now_ms - at < FORCED_APART_MS) {
            return Ok(false);
        }
        if forced.len() >= FORCED_A_DAY {
            return Err(ApiError::QUOTA_USED_UP);
        }
        forced.push_back(now_ms);
        Ok(true)
    }

    fn supersede(&mut self, appid: &str, family: Family, at_ms: i64) {
        if let Some(token) = self.current.remove(&(appid.to_owned(), family))
            && let Some(issued) = self.issued.get_mut(&token)
        {
            issued.superseded_ms = issued.superseded_ms.min(at_ms);
        }
    }

    fn issue(&mut self, appid: &str, family: Family, limits: &Limits, chars: usize, now_ms: i64) -> Granted {
        self.serial += 1;
        let serial = self.serial;
        let token = random_text(chars);
        let expires_ms = now_ms.saturating_add(ms(limits.token_lifetime_s));
        let issued = Issued { appid: appid.to_owned(), serial, expires_ms, superseded_ms: i64::MAX };
        self.issued.insert(token.clone(), issued);
        self.order.push_back(token.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.current.insert((appid.to_owned(), family), token.clone());
        let expires_in_s = i64::try_from(limits.token_lifetime_s).unwrap_or(i64::MAX);
        Granted { token, expires_in_s }
    }

    /// The account of a token that works.
    pub(crate) fn check(&self, token: &str, now_ms: i64) -> Result<&str, ApiError> {
        let Some(issued) = self.find(token) else {
            let proper = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
            return Err(if proper { ApiError::INVALID_CREDENTIAL } else { ApiError::MALFORMED_TOKEN });
        };
        if now_ms >= issued.superseded_ms {
            return Err(ApiError::INVALID_CREDENTIAL);
        }
        if now_ms >= issued.expires_ms {
            return Err(ApiError::TOKEN_EXPIRED);
        }
        Ok(&issued.appid)
    }

    /// A token that the simulator issued, whether the token still works or not.
    pub(crate) fn find(&self, token: &str) -> Option<&Issued> {
        self.issued.get(token)
    }

    /// Lets the account's current tokens expire.
    pub(crate) fn expire(&mut self, appid: &str, now_ms: i64) {
        self.end(appid, |issued| issued.expires_ms = issued.expires_ms.min(now_ms));
    }

    /// Makes the account's current tokens count as superseded.
    pub(crate) fn invalidate(&mut self, appid: &str, now_ms: i64) {
        self.end(appid, |issued| issued.superseded_ms = issued.superseded_ms.min(now_ms));
    }

    /// Ends the current tokens, and with them the superseded tokens that still work: "now" means that no token works.
    fn end(&mut self, appid: &str, end: impl Fn(&mut Issued)) {
        self.issued.values_mut().filter(|issued| issued.appid == appid).for_each(end);
    }
}

fn ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

/// A random text of the characters that WeChat's tokens and media_ids have.
pub(crate) fn random_text(chars: usize) -> String {
    (0..chars).map(|_| char::from(CHARACTERS[rand::random_range(0..CHARACTERS.len())])).collect()
}

#[cfg(test)]
mod tests;
