//! Faults on demand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::routes::ROUTES;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The answer is this `errcode`.
    Errcode,
    /// The answer comes `latency_ms` later; the call takes effect at once.
    Latency,
    /// The simulator cuts the connection without an answer.
    Drop,
    /// The answer has this `status` (500 by default) and this `body` (a plain text by default).
    Status,
    /// The answer is an HTML page, with this `status` (200 by default).
    Html,
    /// The answer is JSON that stops in the middle, in a complete HTTP response.
    CutJson,
    /// The simulator cuts the connection in the middle of the answer's body.
    CutBody,
    /// The answer's `errcode` is a string: the errcode of the fault, else the true errcode.
    ErrcodeAsText,
    /// The answer of a token endpoint has a token of 600 characters.
    LongToken,
    /// This fault happens at once and waits for no call: the account's current tokens have expired (42001).
    ExpireToken,
    /// This fault happens at once and waits for no call: the account's current tokens are not the latest any more
    /// (40001).
    InvalidateToken,
}

/// The name of the kind, as in JSON.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// An order for a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// The kind of the fault.
    pub kind: FaultKind,
    /// The path of the calls that the fault changes: the end of a path, for example `custom/send`, `stable_token` or
    /// `media/upload`; `*` for all calls.
    #[serde(default = "any")]
    pub path: String,
    /// The exact number of calls that the fault changes.
    #[serde(default = "once")]
    pub times: u32,
    /// The fault changes only calls of this appid. `expire_token` and `invalidate_token` require it.
    pub account: Option<String>,
    /// The fault changes only calls for this openid.
    pub user: Option<String>,
    /// Whether the call still takes effect: after a `drop` with effect, the user has received a message and the caller
    /// never got an answer. By default only `latency`, `cut_json`, `cut_body`, `errcode_as_text` without an errcode and
    /// `long_token` take effect.
    pub effect: Option<bool>,
    /// The errcode of `errcode` and `errcode_as_text`.
    pub errcode: Option<i64>,
    /// The errmsg of `errcode` and `errcode_as_text`; WeChat's text by default.
    pub errmsg: Option<String>,
    /// The delay of `latency`, in milliseconds.
    pub latency_ms: Option<u64>,
    /// The HTTP status of `status` and `html`.
    pub status: Option<u16>,
    /// The body of `status`.
    pub body: Option<String>,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> u32 {
    1
}

impl FaultRequest {
    /// A fault for the next call of these paths.
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

    /// A fault that answers the next `times` calls with an `errcode`.
    pub fn errcode(path: impl Into<String>, errcode: i64, times: u32) -> Self {
        Self { errcode: Some(errcode), times, ..Self::new(FaultKind::Errcode, path) }
    }

    /// Whether the call takes effect in spite of the fault.
    pub(crate) fn takes_effect(&self) -> bool {
        self.effect.unwrap_or(match self.kind {
            FaultKind::Latency | FaultKind::CutJson | FaultKind::CutBody | FaultKind::LongToken => true,
            FaultKind::ErrcodeAsText => self.errcode.is_none(),
            _ => false,
        })
    }

    /// Whether the fault happens at once instead of waiting for calls.
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self.kind, FaultKind::ExpireToken | FaultKind::InvalidateToken)
    }

    /// Refuses, in words, a fault that could never happen.
    pub(crate) fn check(&self) -> Result<(), String> {
        let missing = match self.kind {
            FaultKind::Errcode if self.errcode.is_none() => Some("errcode"),
            FaultKind::Latency if self.latency_ms.is_none() => Some("latency_ms"),
            _ if self.is_immediate() && self.account.is_none() => Some("account"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(format!("a fault of the kind {} needs the field {missing}", self.kind));
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("the status of a fault must be a number from 200 to 599".to_owned());
        }
        if !self.is_immediate() && !ROUTES.iter().any(|(path, _)| path_matches(path, &self.path)) {
            let path = &self.path;
            return Err(format!(
                "no path of the API ends with {path:?}: give for example custom/send, or * for all paths"
            ));
        }
        Ok(())
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
    /// The number of the fault.
    pub id: u64,
    /// The number of calls that the fault still waits for.
    pub remaining: u32,
    /// The order for the fault.
    #[serde(flatten)]
    pub request: FaultRequest,
}

/// The faults that wait for their calls, in the order of their arrival.
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

    /// Takes the fault for this call, if a fault waits for it. A call gets the oldest fault, and only one.
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

    /// Forgets all faults. Returns the number of calls that the faults still waited for.
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
