//! `POST /cgi-bin/callback/check`.
//!
//! The fields are as in <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/openApi-mgnt/callbackCheck.html>.
//! The simulator calls nothing: the answer has the host of the callback URL as the URL gives it, and says that every
//! packet arrived.

use serde_json::{Map, Value, json};

use super::errcode::ApiError;
use super::{Answer, Call, filled};
use crate::state::WeChat;

const OPERATORS: [&str; 4] = ["CHINANET", "UNICOM", "CAP", "DEFAULT"];

pub(super) fn check(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Answer, ApiError> {
    let object: &Map<String, Value> = call.object()?;
    let operator = filled(object, "check_operator").filter(|operator| OPERATORS.contains(operator));
    let operator = operator.ok_or(ApiError::CHECK_OPERATOR)?;
    let (dns, ping) = match filled(object, "action") {
        Some("all") => (true, true),
        Some("dns") => (true, false),
        Some("ping") => (false, true),
        _ => return Err(ApiError::CHECK_ACTION),
    };
    let url = wechat.accounts.get(appid).and_then(|account| account.callback_url.as_deref());
    let host = url.and_then(host_of).ok_or(ApiError::NO_CALLBACK_URL)?;
    let mut answer = Map::new();
    if dns {
        answer.insert("dns".to_owned(), json!([{ "ip": host, "real_operator": operator }]));
    }
    if ping {
        let reached = json!({ "ip": host, "from_operator": operator, "package_loss": "0%", "time": "0.1ms" });
        answer.insert("ping".to_owned(), json!([reached]));
    }
    Ok(Answer::Json(Value::Object(answer)))
}

fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_stands_before_port_and_path() {
        assert_eq!(host_of("http://127.0.0.1:8080/push/wx1"), Some("127.0.0.1"));
        assert_eq!(host_of("https://shop.example/push/wx1"), Some("shop.example"));
    }
}
