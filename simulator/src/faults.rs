//! Faults on demand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::ROUTES;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The answer is this `errcode`.
    Errcode,
    /// The answer comes `latency_ms` later; the call takes effect at once.
    Latency,
    /// The connection is cut without an answer.
    Drop,
    /// The answer has this `status` (500 by default) and this `body` (a plain text by default).
    Status,
    /// The answer is an HTML page, with this `status` (200 by default).
    Html,
    /// The answer is JSON that stops in the middle, in an HTTP response that is whole.
    CutJson,
    /// The connection is cut in the middle of the answer's body.
    CutBody,
    /// The answer's `errcode` is a string: the one given, else the true one.
    ErrcodeAsText,
    /// Token endpoints: the token has 600 characters.
    LongToken,
    /// At once, not for calls: the account's current tokens have expired (42001).
    ExpireToken,
    /// At once, not for calls: the account's current tokens are not the latest any more (40001).
    InvalidateToken,
}

/// Its name in JSON.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A fault that is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// The kind of the fault.
    pub kind: FaultKind,
    /// The calls that it is for: the end of a path, for example `custom/send`, `stable_token` or `media/upload`; `*` for all.
    #[serde(default = "any")]
    pub path: String,
    /// How many calls, exactly.
    #[serde(default = "once")]
    pub times: u32,
    /// Only calls of this appid; required for `expire_token` and `invalidate_token`.
    pub account: Option<String>,
    /// Only calls for this openid.
    pub user: Option<String>,
    /// Whether the call takes effect all the same: a `drop` with effect is a message that the user has received and an
    /// answer that never came. By default only `latency`, `cut_json`, `cut_body`, `errcode_as_text` without an errcode
    /// and `long_token` do.
    pub effect: Option<bool>,
    /// For `errcode` and `errcode_as_text`.
    pub errcode: Option<i64>,
    /// For `errcode` and `errcode_as_text`; WeChat's text by default.
    pub errmsg: Option<String>,
    /// For `latency`.
    pub latency_ms: Option<u64>,
    /// For `status` and `html`.
    pub status: Option<u16>,
    /// For `status`.
    pub body: Option<String>,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> u32 {
    1
}

impl FaultRequest {
    /// A fault of the next call of these paths.
    pub fn new(kind: FaultKind, path: impl Into<String>) -> Self {
        Self {
            kind,
            path: path.into(),
            times: 1,
            account: None,
            user: None,
            effect: None,
            errcode: None,
            errmsg: None,
            latency_ms: None,
            status: None,
            body: None,
        }
    }

    /// An `errcode` as the answer to the next `times` calls.
    pub fn errcode(path: impl Into<String>, errcode: i64, times: u32) -> Self {
        Self { errcode: Some(errcode), times, ..Self::new(FaultKind::Errcode, path) }
    }

    /// Whether the call does its work all the same.
    pub(crate) fn takes_effect(&self) -> bool {
        self.effect.unwrap_or(match self.kind {
            FaultKind::Latency | FaultKind::CutJson | FaultKind::CutBody | FaultKind::LongToken => true,
            FaultKind::ErrcodeAsText => self.errcode.is_none(),
            _ => false,
        })
    }

    /// Whether it happens at once instead of waiting for calls.
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self.kind, FaultKind::ExpireToken | FaultKind::InvalidateToken)
    }

    /// Refuses a fault that could never happen, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let needs = |given: bool, what: &str| match given {
            true => Ok(()),
            false => Err(format!("a fault of the kind {} needs {what}", self.kind)),
        };
        match self.kind {
            FaultKind::Errcode => needs(self.errcode.is_some(), "an errcode")?,
            FaultKind::Latency => needs(self.latency_ms.is_some(), "latency_ms")?,
            FaultKind::ExpireToken | FaultKind::InvalidateToken => needs(self.account.is_some(), "an account")?,
            _ => {}
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("the status of a fault is a number from 200 to 599".to_owned());
        }
        match self.is_immediate() || ROUTES.iter().any(|(path, _)| path_matches(path, &self.path)) {
            true => Ok(()),
            false => {
                Err(format!("no path of the API ends with {:?}: for example custom/send, or * for all", self.path))
            }
        }
    }
}

/// Whether a path ends with whole segments of the pattern.
pub(crate) fn path_matches(path: &str, pattern: &str) -> bool {
    let pattern = pattern.trim_start_matches('/');
    pattern == "*" || path.strip_suffix(pattern).is_some_and(|rest| rest.ends_with('/'))
}

/// A fault that waits for its calls.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveFault {
    /// Its number.
    pub id: u64,
    /// The number of calls that it is still good for.
    pub remaining: u32,
    /// The fault as it was ordered.
    #[serde(flatten)]
    pub request: FaultRequest,
}

/// The faults that wait for their calls, in the order they were given.
#[derive(Default)]
pub(crate) struct Faults {
    active: Vec<ActiveFault>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, request: FaultRequest) -> u64 {
        self.last_id += 1;
        if request.times > 0 && !request.is_immediate() {
            self.active.push(ActiveFault { id: self.last_id, remaining: request.times, request });
        }
        self.last_id
    }

    /// The fault of this call, if one waits for it: the oldest, and one only.
    pub(crate) fn take(&mut self, path: &str, account: Option<&str>, user: Option<&str>) -> Option<FaultRequest> {
        let wanted = |limit: &Option<String>, given: Option<&str>| limit.is_none() || limit.as_deref() == given;
        let index = self.active.iter().position(|ActiveFault { request, .. }| {
            path_matches(path, &request.path) && wanted(&request.account, account) && wanted(&request.user, user)
        })?;
        let fault = &mut self.active[index];
        fault.remaining -= 1;
        match fault.remaining {
            0 => Some(self.active.remove(index).request),
            _ => Some(fault.request.clone()),
        }
    }

    pub(crate) fn active(&self) -> &[ActiveFault] {
        &self.active
    }

    /// Forgets all faults; gives the number of calls that they were still good for.
    pub(crate) fn clear(&mut self) -> u64 {
        self.active.drain(..).map(|fault| u64::from(fault.remaining)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_exactly_as_many_calls_as_ordered_and_only_those_meant() {
        let mut faults = Faults::default();
        faults.add(FaultRequest { user: Some("oA".to_owned()), ..FaultRequest::errcode("custom/send", -1, 2) });
        let path = "/cgi-bin/message/custom/send";
        assert!(faults.take(path, None, Some("oB")).is_none());
        assert!(faults.take("/cgi-bin/media/get", None, Some("oA")).is_none());
        assert!(faults.take(path, None, Some("oA")).is_some());
        assert!(faults.take(path, None, Some("oA")).is_some());
        assert!(faults.take(path, None, Some("oA")).is_none());
    }

    #[test]
    fn faults_come_one_at_a_time_in_the_order_they_were_given() {
        let mut faults = Faults::default();
        faults.add(FaultRequest::errcode("*", 1, 1));
        faults.add(FaultRequest::errcode("token", 2, 1));
        let taken: Vec<_> = (0..3).map(|_| faults.take("/cgi-bin/token", None, None)).collect();
        assert_eq!(taken.iter().flatten().filter_map(|fault| fault.errcode).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_pattern_means_whole_segments_at_the_end() {
        assert!(path_matches("/cgi-bin/token", "token"));
        assert!(path_matches("/cgi-bin/token", "/cgi-bin/token"));
        assert!(!path_matches("/cgi-bin/stable_token", "token"));
    }

    #[test]
    fn a_fault_that_could_never_happen_is_refused() {
        assert!(FaultRequest::new(FaultKind::Drop, "custom/sent").check().is_err());
        assert!(FaultRequest::new(FaultKind::Errcode, "custom/send").check().is_err());
        assert!(FaultRequest::new(FaultKind::ExpireToken, "*").check().is_err());
        assert!(FaultRequest::errcode("custom/send", -1, 1).check().is_ok());
    }
}
