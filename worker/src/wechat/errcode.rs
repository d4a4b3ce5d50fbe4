//! The meaning of WeChat's errcodes, and the action for each, in one table.
//!
//! Sources: the error lists of the APIs themselves
//! (<https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/sendCustomMessage.html>,
//! <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html>), WeChat's
//! common list, and codes that developers met and that are on no page. The actions are kefu's own choice.

use std::time::Duration;

use kefu_messages::window::Refused;

use super::Api;

/// The action after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Do nothing, since the call succeeded.
    Ok,
    /// Try again with growing waits.
    Retry,
    /// Drop the access_token, get another one and try again. If WeChat refuses fresh tokens too, an operator must act:
    /// the account makes no more calls for a while, longer each time.
    RenewToken,
    /// Drop the media_id, upload the picture again and try again, once. After that, give the message up as refused.
    ReuploadMedia,
    /// The account made too many calls: it makes no more calls for a while, then tries again.
    Slow {
        /// The length of the pause.
        pause: Duration,
    },
    /// The user's window is closed, for this reason. Remember that, and give the message up.
    Closed(Refused),
    /// Give the message up as refused.
    Drop {
        /// Whether the refusal is a fault that somebody must mend.
        alert: bool,
    },
    /// Go on as if the call had succeeded.
    Ignore,
    /// An operator must act. The account makes no more calls for a while, and the message comes again later.
    Alert {
        /// The length of the pause.
        pause: Duration,
    },
    /// Try again this many times, then give the message up, loudly.
    Doubtful {
        /// The number of retries.
        retries: u32,
    },
}

/// A row of the table: the codes `first..=last`, their meaning (with the remedy, where somebody must act), and the
/// action by API.
#[derive(Debug)]
pub(crate) struct Row {
    first: i64,
    last: i64,
    pub(crate) meaning: &'static str,
    token: Action,
    send: Action,
    upload: Action,
}

impl Row {
    pub(crate) fn action(&self, api: Api) -> Action {
        match api {
            Api::Token => self.token,
            Api::Send => self.send,
            // An errcode about a media_id, or an account, means the same for both APIs.
            Api::Upload | Api::MediaGet => self.upload,
            // A callback check is no part of the work on a message.
            Api::CallbackCheck => self.token,
            // No reply depends on typing.
            Api::Typing if self.send == Action::Ok => Action::Ok,
            Api::Typing => Action::Ignore,
        }
    }
}

/// The row of a code; `None` for a code that is in no list.
pub(crate) fn row(errcode: i64) -> Option<&'static Row> {
    TABLE.iter().find(|row| (row.first..=row.last).contains(&errcode))
}

/// The action for a code that is in no list, or that an API should not give.
pub(crate) const UNKNOWN: Action = Action::Doubtful { retries: 3 };

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const OK: Action = Action::Ok;
const RETRY: Action = Action::Retry;
const TOKEN: Action = Action::RenewToken;
const MEDIA: Action = Action::ReuploadMedia;
const REFUSED: Action = Action::Drop { alert: false };
const FAULT: Action = Action::Drop { alert: true };
const ALERT: Action = Action::Alert { pause: minutes(5) };
const BLOCKED: Action = Action::Alert { pause: minutes(60) };

const fn per_api(first: i64, last: i64, token: Action, send: Action, upload: Action, meaning: &'static str) -> Row {
    Row { first, last, meaning, token, send, upload }
}

/// A code with the same action for all APIs.
const fn all(errcode: i64, action: Action, meaning: &'static str) -> Row {
    per_api(errcode, errcode, action, action, action, meaning)
}

/// A code of sends and uploads, which a token call should not give.
const fn sending(errcode: i64, action: Action, meaning: &'static str) -> Row {
    per_api(errcode, errcode, UNKNOWN, action, action, meaning)
}

/// A code about the access_token. Token calls have their own action, since they have no access_token.
const fn access_token(errcode: i64, token: Action, meaning: &'static str) -> Row {
    per_api(errcode, errcode, token, TOKEN, TOKEN, meaning)
}

/// A code of other APIs that does no harm to a send.
const fn harmless(first: i64, last: i64, meaning: &'static str) -> Row {
    per_api(first, last, UNKNOWN, Action::Ignore, UNKNOWN, meaning)
}

/// A code of other APIs.
const fn foreign(first: i64, last: i64, meaning: &'static str) -> Row {
    per_api(first, last, UNKNOWN, UNKNOWN, UNKNOWN, meaning)
}

static TABLE: &[Row] = &[
    all(0, OK, "ok"),
    all(-1, RETRY, "WeChat is busy"),
    access_token(
        40001,
        ALERT,
        "the access_token is not the valid one; from a token call: the AppSecret is wrong, correct the account's secret",
    ),
    all(40002, ALERT, "the grant_type is wrong: a fault of kefu, report it"),
    sending(40003, REFUSED, "the openid is not one of this account's users"),
    sending(40004, REFUSED, "the media type is wrong"),
    sending(40005, REFUSED, "the file type is wrong: convert the picture"),
    sending(40006, REFUSED, "the file size is wrong: shrink the picture"),
    sending(40007, MEDIA, "the media_id is unknown or has expired"),
    sending(40008, REFUSED, "the message type is wrong"),
    sending(40009, REFUSED, "the picture is too large: shrink it"),
    per_api(
        40013,
        40013,
        ALERT,
        FAULT,
        ALERT,
        "the appid is wrong, or this type of account may not send such a reply: check the account's appid",
    ),
    access_token(40014, ALERT, "the access_token is malformed"),
    sending(40033, FAULT, "the request has escaped characters: a fault of kefu, report it"),
    sending(40035, REFUSED, "an argument is wrong"),
    sending(40097, REFUSED, "an argument is wrong"),
    sending(40118, MEDIA, "the media_id has a wrong size"),
    sending(40121, MEDIA, "the media_id is of a wrong type"),
    all(40125, ALERT, "the AppSecret is wrong: correct the account's secret"),
    sending(40137, REFUSED, "WeChat does not take the picture's format: convert the picture"),
    all(40164, ALERT, "this server's IP is not in the IP allow-list: add it in WeChat's console"),
    all(40200, ALERT, "this type of account may not call the API"),
    foreign(40201, 40201, "no callback URL is set: set it in WeChat's console, under message push"),
    foreign(40202, 40203, "the callback check has a wrong argument: a fault of kefu, report it"),
    all(40243, ALERT, "the AppSecret is frozen: unfreeze it in WeChat's console"),
    access_token(41001, ALERT, "the access_token is missing"),
    all(41002, ALERT, "the appid is missing: a fault of kefu, report it"),
    all(41004, ALERT, "the AppSecret is missing: a fault of kefu, report it"),
    sending(41005, FAULT, "the upload has no file in it: a fault of kefu, report it"),
    sending(41006, REFUSED, "the media_id is missing"),
    access_token(42001, UNKNOWN, "the access_token has expired"),
    foreign(42007, 42007, "a code of user authorisation"),
    all(43002, ALERT, "the API wants POST: a fault of kefu, report it"),
    all(43003, ALERT, "the API wants HTTPS: correct [wechat] api_base"),
    sending(43004, REFUSED, "the user must follow the account first"),
    sending(43019, REFUSED, "the user is on the account's blacklist"),
    sending(
        43104,
        FAULT,
        "the openid belongs to another appid, or the account lacks the right: check the account's appid",
    ),
    sending(44001, FAULT, "the upload is empty"),
    sending(44002, FAULT, "the request is empty: a fault of kefu, report it"),
    sending(44004, REFUSED, "the text is empty"),
    sending(45001, REFUSED, "the picture is too large: shrink it"),
    sending(45002, REFUSED, "the text is too long: shorten it"),
    sending(45003, REFUSED, "the title is too long: shorten it"),
    sending(45004, REFUSED, "the description is too long: shorten it"),
    sending(45005, REFUSED, "the url is too long: shorten it"),
    sending(45006, REFUSED, "the picture's url is too long: shorten it"),
    sending(45008, REFUSED, "there are too many articles"),
    // WeChat does not say when the day ends, and the console can reset the count, so the worker asks again now and
    // then.
    all(
        45009,
        Action::Alert { pause: minutes(10) },
        "the day's quota of the API is used up: reset it in WeChat's console or wait for the next day",
    ),
    all(45011, Action::Slow { pause: minutes(1) }, "too many calls in this minute"),
    sending(45015, Action::Closed(Refused::OutOfTime), "the user's reply window has closed"),
    all(45035, ALERT, "this server's IP is not registered: add it in WeChat's console"),
    sending(45047, Action::Closed(Refused::OutOfCount), "the user's reply window has no replies left"),
    harmless(45072, 45072, "the typing command is wrong"),
    harmless(45080, 45081, "a typing state does not fit now"),
    sending(46001, MEDIA, "the media does not exist"),
    sending(46004, REFUSED, "the user does not exist"),
    sending(47001, Action::Doubtful { retries: 1 }, "the request is not well-formed"),
    all(48001, BLOCKED, "the account lacks the right to this API: turn customer service on in WeChat's console"),
    sending(48002, REFUSED, "the user takes no messages of the account"),
    all(48004, BLOCKED, "WeChat has banned the account from this API: see WeChat's console"),
    all(48006, BLOCKED, "the month's resets of the quota are used up"),
    sending(48008, FAULT, "the account may not send this type of reply"),
    per_api(50001, 50002, ALERT, FAULT, FAULT, "the user or the account is limited or frozen: see WeChat's console"),
    all(50004, BLOCKED, "the account may not get access_tokens: see WeChat's console"),
    sending(50005, REFUSED, "the user must follow the account first"),
    all(50007, BLOCKED, "the account is frozen: see WeChat's console"),
    all(61003, ALERT, "the account is not authorised to the third-party platform"),
    all(61004, ALERT, "this server's IP is not registered: add it in WeChat's console"),
    all(61007, ALERT, "the account has not authorised this API to the third-party platform"),
    all(61024, ALERT, "the appid is that of a third-party platform: use the mini program's own"),
    per_api(65400, 65414, UNKNOWN, REFUSED, UNKNOWN, "a code of customer-service agents"),
    sending(70000, REFUSED, "WeChat holds the reply back for the protection of minors"),
    harmless(76001, 76004, "a code of the request look-up"),
    harmless(76021, 76022, "a code of the quota look-up"),
    all(89503, ALERT, "an administrator must confirm this server's IP: see the notice in WeChat"),
    all(
        89506,
        Action::Alert { pause: minutes(24 * 60) },
        "an administrator refused this server's IP twice: WeChat takes no calls for 24 hours",
    ),
    all(89507, BLOCKED, "an administrator refused this server's IP: WeChat takes no calls for 1 hour"),
];

#[cfg(test)]
mod tests;
