//! Why a call of WeChat's API, or a preparation of the call, failed.

use std::fmt;
use std::sync::Arc;

use kefu_messages::reply::picture::PictureError;
use kefu_runtime::Cause;
use kefu_store::StoreError;

use super::Api;
use super::errcode::{self, Action};

/// Why a call failed. The variant is chosen where the failure is born, and decides how an attempt goes on. Texts are
/// for the operator, without secrets, users' texts or openids.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// WeChat surely did nothing, and the failure passes: the client got no connection, or a gateway answered in place
    /// of the API.
    #[error(transparent)]
    Passing(Cause),
    /// The client wrote the request, and the outcome is open: no answer came, or half of an answer.
    #[error(transparent)]
    Unanswered(Cause),
    /// WeChat answered with an errcode.
    #[error("{0}")]
    Refused(Refusal),
    /// The call needed the store, and the store is down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// kefu cannot use a picture: the operator must mend the file, or the disk does not answer.
    #[error(transparent)]
    File(Arc<PictureError>),
}

/// An errcode that is not 0.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub(crate) api: Api,
    pub(crate) errcode: i64,
    pub(crate) action: Action,
    meaning: &'static str,
    rid: Option<String>,
    /// WeChat's text, shortened and escaped. Only token calls have the text, since theirs names the IP that the
    /// operator must allow, and no user.
    errmsg: Option<String>,
}

impl Refusal {
    /// The refusal that an answer of `api` with this errcode is, unless the errcode means ok.
    pub(super) fn of(api: Api, errcode: i64, errmsg: &str, rid: Option<&str>) -> Option<Self> {
        let row = errcode::row(errcode);
        let action = row.map_or(errcode::UNKNOWN, |row| row.action(api));
        if action == Action::Ok {
            return None;
        }
        let errmsg = (api == Api::Token).then(|| errmsg.chars().take(200).flat_map(char::escape_debug).collect());
        let meaning = row.map_or("the code is in no list", |row| row.meaning);
        Some(Self { api, errcode, action, meaning, rid: rid.map(str::to_owned), errmsg })
    }
}

impl Failure {
    /// WeChat's errcode, if WeChat itself refused the call.
    pub fn errcode(&self) -> Option<i64> {
        match self {
            Self::Refused(refusal) => Some(refusal.errcode),
            _ => None,
        }
    }

    /// The same failure of a call that may be made twice without harm.
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
