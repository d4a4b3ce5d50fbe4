//! WeChat's error codes and their texts.

use serde_json::{Value, json};

/// An error as the API answers it: HTTP 200 with an `errcode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(pub(crate) i64);

impl ApiError {
    pub(crate) const INVALID_CREDENTIAL: Self = Self(40001);
    pub(crate) const INVALID_GRANT_TYPE: Self = Self(40002);
    pub(crate) const INVALID_OPENID: Self = Self(40003);
    pub(crate) const INVALID_MEDIA_TYPE: Self = Self(40004);
    pub(crate) const INVALID_FILE_TYPE: Self = Self(40005);
    pub(crate) const INVALID_MEDIA_ID: Self = Self(40007);
    pub(crate) const INVALID_MESSAGE_TYPE: Self = Self(40008);
    pub(crate) const INVALID_APPID: Self = Self(40013);
    pub(crate) const MALFORMED_TOKEN: Self = Self(40014);
    pub(crate) const ESCAPED_TEXT: Self = Self(40033);
    pub(crate) const INVALID_URL: Self = Self(40066);
    pub(crate) const INVALID_ARGUMENTS: Self = Self(40097);
    pub(crate) const INVALID_SECRET: Self = Self(40125);
    pub(crate) const INVALID_IMAGE: Self = Self(40137);
    pub(crate) const NO_CALLBACK_URL: Self = Self(40201);
    pub(crate) const CHECK_ACTION: Self = Self(40202);
    pub(crate) const CHECK_OPERATOR: Self = Self(40203);
    pub(crate) const TOKEN_MISSING: Self = Self(41001);
    pub(crate) const APPID_MISSING: Self = Self(41002);
    pub(crate) const SECRET_MISSING: Self = Self(41004);
    pub(crate) const MEDIA_DATA_MISSING: Self = Self(41005);
    pub(crate) const MEDIA_ID_MISSING: Self = Self(41006);
    pub(crate) const TOKEN_EXPIRED: Self = Self(42001);
    pub(crate) const REQUIRES_GET: Self = Self(43001);
    pub(crate) const REQUIRES_POST: Self = Self(43002);
    pub(crate) const EMPTY_MEDIA: Self = Self(44001);
    pub(crate) const EMPTY_BODY: Self = Self(44002);
    pub(crate) const EMPTY_TEXT: Self = Self(44004);
    pub(crate) const MEDIA_TOO_LARGE: Self = Self(45001);
    pub(crate) const TEXT_TOO_LONG: Self = Self(45002);
    pub(crate) const QUOTA_USED_UP: Self = Self(45009);
    pub(crate) const OUT_OF_TIME: Self = Self(45015);
    pub(crate) const OUT_OF_COUNT: Self = Self(45047);
    pub(crate) const TYPING_COMMAND: Self = Self(45072);
    pub(crate) const TYPING_WITHOUT_MESSAGE: Self = Self(45080);
    pub(crate) const TYPING_ALREADY: Self = Self(45081);
    pub(crate) const FORMAT: Self = Self(47001);

    /// What WeChat says to it, without the `rid`.
    pub(crate) fn text(self) -> &'static str {
        match self.0 {
            -1 => "system error",
            0 => "ok",
            40001 => {
                "invalid credential, access_token is invalid or not latest, could get access_token by \
                 getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
            }
            40002 => "invalid grant_type",
            40003 => "invalid openid",
            40004 => "invalid media type",
            40005 => "invalid file type",
            40006 => "invalid media size",
            40007 => "invalid media_id",
            40008 => "invalid message type",
            40013 => "invalid appid",
            40014 => "invalid access_token",
            40033 => "invalid charset. please check your request, if include \\uxxxx will create fail!",
            40066 => "invalid url",
            40097 => "invalid args",
            40125 => "invalid appsecret",
            40137 => "invalid image format",
            40164 => "invalid ip, not in whitelist",
            40201 => "callback url is not set",
            40202 => "invalid action",
            40203 => "invalid check_operator",
            41001 => "access_token missing",
            41002 => "appid missing",
            41004 => "appsecret missing",
            41005 => "media data missing",
            41006 => "media_id missing",
            42001 => "access_token expired",
            43001 => "require GET method",
            43002 => "require POST method",
            44001 => "empty media data",
            44002 => "empty post data",
            44004 => "empty content",
            45001 => "media size out of limit",
            45002 => "content size out of limit",
            45009 => "reach max api daily quota limit",
            45011 => "api minute-quota reach limit, must slower, retry next minute",
            45015 => "response out of time limit or subscription is canceled",
            45047 => "out of response count limit",
            45072 => "invalid command",
            45080 => "no interaction with the user in the last 30 seconds",
            45081 => "already typing",
            47001 => "data format error",
            48001 => "api unauthorized",
            50002 => "user limited",
            _ => "error",
        }
    }
}

/// The JSON of an error; without `message`, WeChat's own text. Every error has a new `rid`.
pub(crate) fn json_of(code: i64, message: Option<&str>, now_s: i64) -> Value {
    let message = message.unwrap_or_else(|| ApiError(code).text());
    let [a, b]: [u32; 2] = rand::random();
    // The first part of a real rid is the time in seconds.
    json!({ "errcode": code, "errmsg": format!("{message} rid: {:08x}-{a:08x}-{b:08x}", now_s as u32) })
}

/// The JSON of a success without further content.
pub(crate) fn json_ok() -> Value {
    json!({ "errcode": 0, "errmsg": "ok" })
}
