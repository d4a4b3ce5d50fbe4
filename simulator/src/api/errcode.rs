//! WeChat's error codes and their texts.

use serde_json::{Value, json};

/// An error as the API answers it: HTTP 200 with an `errcode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(pub(crate) i64);

/// Each code with WeChat's text, without the `rid`, and with a name if the simulator itself answers with the code.
macro_rules! errors {
    ($($code:literal $($name:ident)? $text:literal)*) => {
        impl ApiError {
            $($(pub(crate) const $name: Self = Self($code);)?)*

            fn text(self) -> &'static str {
                match self.0 {
                    $($code => $text,)*
                    _ => "error",
                }
            }
        }
    };
}

errors! {
    -1 "system error"
    0 "ok"
    40001 INVALID_CREDENTIAL
        "invalid credential, access_token is invalid or not latest, could get access_token by \
        getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
    40002 INVALID_GRANT_TYPE "invalid grant_type"
    40003 INVALID_OPENID "invalid openid"
    40004 INVALID_MEDIA_TYPE "invalid media type"
    40005 INVALID_FILE_TYPE "invalid file type"
    40006 "invalid media size"
    40007 INVALID_MEDIA_ID "invalid media_id"
    40008 INVALID_MESSAGE_TYPE "invalid message type"
    40013 INVALID_APPID "invalid appid"
    40014 MALFORMED_TOKEN "invalid access_token"
    40033 ESCAPED_TEXT "invalid charset. please check your request, if include \\uxxxx will create fail!"
    40066 INVALID_URL "invalid url"
    40097 INVALID_ARGUMENTS "invalid args"
    40125 INVALID_SECRET "invalid appsecret"
    40137 INVALID_IMAGE "invalid image format"
    40164 "invalid ip, not in whitelist"
    40201 NO_CALLBACK_URL "callback url is not set"
    40202 CHECK_ACTION "invalid action"
    40203 CHECK_OPERATOR "invalid check_operator"
    41001 TOKEN_MISSING "access_token missing"
    41002 APPID_MISSING "appid missing"
    41004 SECRET_MISSING "appsecret missing"
    41005 MEDIA_DATA_MISSING "media data missing"
    41006 MEDIA_ID_MISSING "media_id missing"
    42001 TOKEN_EXPIRED "access_token expired"
    43001 REQUIRES_GET "require GET method"
    43002 REQUIRES_POST "require POST method"
    44001 EMPTY_MEDIA "empty media data"
    44002 EMPTY_BODY "empty post data"
    44004 EMPTY_TEXT "empty content"
    45001 MEDIA_TOO_LARGE "media size out of limit"
    45002 TEXT_TOO_LONG "content size out of limit"
    45009 QUOTA_USED_UP "reach max api daily quota limit"
    45011 "api minute-quota reach limit, must slower, retry next minute"
    45015 OUT_OF_TIME "response out of time limit or subscription is canceled"
    45047 OUT_OF_COUNT "out of response count limit"
    45072 TYPING_COMMAND "invalid command"
    45080 TYPING_WITHOUT_MESSAGE "no interaction with the user in the last 30 seconds"
    45081 TYPING_ALREADY "already typing"
    47001 FORMAT "data format error"
    48001 "api unauthorized"
    50002 "user limited"
}

impl ApiError {
    /// The JSON of the error; without `message`, WeChat's own text. Every error has a new `rid`.
    pub(crate) fn json(self, message: Option<&str>, now_s: i64) -> Value {
        let message = message.unwrap_or_else(|| self.text());
        let [a, b]: [u32; 2] = rand::random();
        // The first part of a real rid is the time in seconds.
        json!({ "errcode": self.0, "errmsg": format!("{message} rid: {:08x}-{a:08x}-{b:08x}", now_s as u32) })
    }
}
