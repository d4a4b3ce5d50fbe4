//! Why a call of WeChat's API, or what is needed for it, did not work.

use std::fmt;

use kefu_store::StoreError;

use super::Api;
use super::errcode::{self, Action};

/// Why it did not work. Texts are for the operator, without secrets, users' texts or openids.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// Surely nothing was done, and it passes: no connection, or a gateway answered in place of the API.
    #[error("{0}")]
    Passing(String),
    /// The request was written and its outcome is open: no answer, or half of one.
    #[error("{0}")]
    Unanswered(String),
    /// WeChat answered with an errcode.
    #[error("{0}")]
    Refused(Refusal),
    /// The store was needed for it, and is down.
    #[error(transparent)]
    Store(StoreError),
    /// A picture cannot be used: the operator must mend the file, or its disk does not answer.
    #[error("{0}")]
    File(String),
}

/// An errcode that is not 0.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) api: Api,
    pub(crate) errcode: i64,
    pub(crate) action: Action,
    meaning: &'static str,
    rid: Option<String>,
    /// WeChat's text, shortened and escaped; of token calls only: it names the IP that is to be allowed, and no user.
    errmsg: Option<String>,
}

impl Refusal {
    /// What an answer of `api` says, unless it says ok.
    pub(super) fn of(api: Api, answer: &super::Answer) -> Option<Self> {
        let errcode = answer.errcode;
        let row = errcode::row(errcode);
        let action = row.map_or(errcode::UNKNOWN, |row| row.action(api));
        if action == Action::Ok {
            return None;
        }
        let errmsg =
            (api == Api::Token).then(|| answer.errmsg.chars().take(200).flat_map(char::escape_debug).collect());
        let meaning = row.map_or("the code is in no list", |row| row.meaning);
        Some(Self { api, errcode, action, meaning, rid: answer.rid().map(str::to_owned), errmsg })
    }
}

impl Failure {
    /// For calls that may be made twice without harm.
    pub(super) fn of_harmless_call(self) -> Self {
        match self {
            Self::Unanswered(why) => Self::Passing(why),
            other => other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered errcode {}: {}", self.api.as_str(), self.errcode, self.meaning)?;
        match (&self.errmsg, &self.rid) {
            (Some(errmsg), _) if !errmsg.is_empty() => write!(f, " (errmsg: {errmsg})"),
            (_, Some(rid)) => write!(f, " (rid {rid})"),
            _ => Ok(()),
        }
    }
}
