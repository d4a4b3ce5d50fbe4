//! The meaning of WeChat's errcodes for the attempt that met them. One match weighs the errcodes of all calls.

use std::time::Duration;

use kefu_messages::window::Refused;
use secrecy::SecretString;

use super::pauses::{PauseLength, PausedBy, Pauses};
use crate::attempt::Attempt;
use crate::outcome::Outcome;
use crate::wechat::errcode::Action;
use crate::wechat::failure::Refusal;
use crate::wechat::token::{AccessTokens, RefusedToken};

/// How many refusals of the access_token one reply or picture meets before the account is paused, whatever tokens the
/// worker fetched in between.
const MAX_REFUSED: u32 = 4;

/// The wait before the worker repeats a call whose access_token WeChat refused.
const TOKEN_REFUSED_FOR: Duration = Duration::from_millis(200);

/// The remedies that were tried for a reply or a picture so far. Some remedies work once or not at all.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// How many access_tokens WeChat refused.
    refused: u32,
    /// Whether a refused access_token was replaced.
    renewed: bool,
    doubted: u32,
}

/// The next action after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Make the call again; any wait before that is over.
    Again,
    /// Go on as if the call had succeeded.
    Harmless,
    /// WeChat does not know the media_id.
    MediaGone,
    /// The user's window is closed.
    Closed(Refused),
    /// Another try would not help.
    Refused {
        /// Whether the refusal is a fault that somebody must mend.
        alert: bool,
    },
    /// The errcode stayed unexplained after all its tries.
    Unexplained,
}

/// Applies remedies to one kind of calls.
#[derive(Clone, Copy)]
pub(crate) struct Remedy<'p> {
    pub(crate) tokens: &'p AccessTokens,
    /// The pauses of all that the account sends.
    pub(crate) sends: &'p Pauses,
    /// The pauses that refusals of these calls begin. Each API has its own quotas and rights: while one API refuses,
    /// other APIs may still work.
    pub(crate) calls: &'p Pauses,
}

impl Remedy<'_> {
    /// Does the action of the refusal's errcode, and waits where the action is a wait. `token` is the access_token of
    /// the call, if the call had one. An error ends the attempt: the account is paused, or a wait would be too long for
    /// the lane.
    pub(crate) async fn apply(
        self,
        attempt: &mut Attempt<'_>,
        refusal: &Refusal,
        token: Option<&SecretString>,
        tried: &mut Tried,
    ) -> Result<Verdict, Outcome> {
        let appid = attempt.account.appid.as_str();
        match refusal.action {
            Action::Ok | Action::Ignore => Ok(Verdict::Harmless),
            Action::Retry => attempt.back_off(refusal.to_string(), Duration::ZERO).await.map(|()| Verdict::Again),
            Action::Doubtful { retries } if tried.doubted < retries => {
                tried.doubted += 1;
                attempt.back_off(refusal.to_string(), Duration::ZERO).await.map(|()| Verdict::Again)
            }
            Action::Doubtful { .. } => Ok(Verdict::Unexplained),
            Action::RenewToken => self.renew_token(attempt, refusal, token, tried).await.map(|()| Verdict::Again),
            Action::ReuploadMedia => Ok(Verdict::MediaGone),
            Action::Slow { pause } => {
                // The next try waits for the end of this pause, as do the account's other lanes.
                self.calls.begin_because(appid, PausedBy::Rate, PauseLength::Fixed(pause), refusal.to_string());
                Ok(Verdict::Again)
            }
            Action::Alert { pause } => {
                let length = PauseLength::Fixed(pause);
                Err(self.calls.begin_because(appid, PausedBy::Operator, length, refusal.to_string()))
            }
            Action::Closed(refused) => Ok(Verdict::Closed(refused)),
            Action::Drop { alert } => Ok(Verdict::Refused { alert }),
        }
    }

    /// Drops the access_token that WeChat refused, and waits for another token. If another token has not helped, the
    /// account is paused and the message postponed.
    async fn renew_token(
        self,
        attempt: &mut Attempt<'_>,
        refusal: &Refusal,
        token: Option<&SecretString>,
        tried: &mut Tried,
    ) -> Result<(), Outcome> {
        let appid = &attempt.account.appid;
        let fate = match token {
            Some(token) => Some(attempt.call_to_its_end(self.tokens.refuse(appid, token)).await?),
            None => None,
        };
        tried.refused += 1;
        let wait = match fate {
            Some(RefusedToken::StillUsed { left }) if tried.refused < MAX_REFUSED => Some(left),
            Some(RefusedToken::Dropped | RefusedToken::Replaced) if !tried.renewed => {
                tried.renewed = true;
                Some(TOKEN_REFUSED_FOR)
            }
            _ => None,
        };
        if let Some(wait) = wait {
            return attempt.pause(wait).await;
        }
        let why = format!(
            "{refusal}; WeChat refuses a newly fetched access_token too: check that every program that fetches \
             access_tokens of the account uses stable_token, and that nobody reset the AppSecret"
        );
        Err(self.sends.begin_because(appid, PausedBy::Operator, PauseLength::Growing, why))
    }
}
