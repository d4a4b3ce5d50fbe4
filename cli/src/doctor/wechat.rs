//! The checks of WeChat's API: a token for each account, WeChat's own check of the callback URL, and WeChat's clock.

use std::net::IpAddr;
use std::time::Instant;

use futures_util::future::join_all;
use kefu_program::config::{self, Account, Config, TokenApi};
use kefu_runtime::{http_client, in_words};
use kefu_worker::{Callback, Failure, WeChat};
use reqwest::Url;
use reqwest::header::DATE;
use secrecy::SecretString;
use tokio::time::timeout;

use super::{Finding, PATIENCE, clock};

const NETWORK: &str = "look at the network and at [wechat] api_base";
const CONSOLE: &str = "in WeChat's console, 开发管理 > 开发设置";

/// WeChat's API, once it has answered.
pub(super) struct Api {
    wechat: WeChat,
    clock: Finding,
    /// How far WeChat's clock is ahead of this machine's clock, in milliseconds, if WeChat reports the time.
    pub(super) lead_ms: Option<i64>,
}

/// Asks for the time, or says once why no answer came: every account's check would only say the same.
pub(super) async fn reach(config: &Config) -> Result<Api, Finding> {
    let api = &config.wechat.api_base;
    let failed = |text| Finding::failed("wechat", text, NETWORK);
    // The doctor uses `stable_token`, whatever the configuration says: a token of the other API would end the account's
    // present token.
    let stable = config::WeChat { token_api: TokenApi::StableToken, ..config.wechat.clone() };
    let wechat = WeChat::over_http(&stable).map_err(|error| failed(in_words(&error)))?;
    let base = api.parse().map_err(|_| failed(format!("{api} is no URL")))?;
    let begun = Instant::now();
    let asked = timeout(PATIENCE, server_time(&config.wechat, &base)).await.map_err(|_| failed(late_text(api)))?;
    let time_ms = asked.map_err(|error| failed(format!("{api}: WeChat cannot be reached: {}", in_words(&error))))?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let clock = match time_ms {
        // The header has whole seconds.
        Some(ms) => clock::compare("wechat clock", api, ms, took_ms + 1_000),
        None => Finding::warning("wechat clock", format!("{api} does not tell the time"), NETWORK),
    };
    Ok(Api { wechat, clock, lead_ms: time_ms.map(clock::lead_ms) })
}

/// The time of WeChat's servers in milliseconds, from the header `Date` of an answer, whatever else the answer says.
/// `None` when the servers do not tell the time.
async fn server_time(config: &config::WeChat, base: &Url) -> reqwest::Result<Option<u64>> {
    let client = http_client::builder(base).connect_timeout(config.timeout / 2).timeout(config.timeout).build()?;
    let response = client.get(base.clone()).send().await.map_err(reqwest::Error::without_url)?;
    Ok(response.headers().get(DATE).and_then(|date| clock::ms_of(date.to_str().ok()?)))
}

pub(super) async fn look(config: &Config, api: Result<Api, Finding>) -> Vec<Finding> {
    let Api { wechat, clock, .. } = match api {
        Ok(api) => api,
        Err(finding) => return vec![finding],
    };
    let accounts = join_all(config.accounts.iter().map(|account| of_account(&wechat, account))).await;
    std::iter::once(clock).chain(accounts.into_iter().flatten()).collect()
}

async fn of_account(wechat: &WeChat, account: &Account) -> Vec<Finding> {
    let check = format!("wechat {}", account.appid);
    let token = match timeout(PATIENCE, wechat.fetch_token(account)).await {
        Ok(Ok(token)) => token.value,
        Ok(Err(failure)) => return vec![no_token(&check, &failure)],
        Err(_) => return vec![Finding::failed(check, late_text("WeChat's API"), NETWORK)],
    };
    let fetched = Finding::ok(check.as_str(), "gives an access_token: appid, AppSecret and IP allow-list are right");
    vec![fetched, callback(&check, wechat, &token).await]
}

fn no_token(check: &str, failure: &Failure) -> Finding {
    let text = in_words(failure);
    let mend = match (failure.errcode(), address_in(&text)) {
        (Some(40164), Some(ip)) => format!("add {ip} to the IP allow-list (IP白名单) {CONSOLE}"),
        (Some(40164), None) => format!("add this server's public IP to the IP allow-list (IP白名单) {CONSOLE}"),
        (Some(40125 | 40001 | 41004), _) => {
            format!("copy the AppSecret anew {CONSOLE}; resetting it there makes a new one")
        }
        (Some(40013 | 41002), _) => format!("copy the AppID anew {CONSOLE}"),
        (Some(_), _) => "see WeChat's console, and WeChat's list of errcodes".to_owned(),
        (None, _) => NETWORK.to_owned(),
    };
    Finding::failed(check, text, mend)
}

/// The caller's address as WeChat sees it, in `invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist`.
fn address_in(text: &str) -> Option<IpAddr> {
    let words = text.split(|char: char| !(char.is_ascii_hexdigit() || ".:".contains(char)));
    words.filter_map(|word| word.trim_matches(':').parse::<IpAddr>().ok()).next()
}

async fn callback(account: &str, wechat: &WeChat, token: &SecretString) -> Finding {
    let check = format!("{account} callback");
    let mend =
        "make the host of the callback URL reachable from the internet; --callback-url URL asks the URL from here";
    let found = match timeout(PATIENCE, wechat.check_callback(token)).await {
        Ok(Ok(found)) => found,
        Ok(Err(failure)) => {
            let mend = match failure.errcode() {
                Some(40201) => {
                    "set the callback URL in WeChat's console, 开发管理 > 消息推送配置: https://YOUR.HOST/push/APPID"
                }
                _ => "this is only WeChat's own check; --callback-url URL asks the URL from here",
            };
            return Finding::warning(check, in_words(&failure), mend);
        }
        Err(_) => {
            return Finding::warning(check, "WeChat's check of the callback URL takes longer than 5 s", "try again");
        }
    };
    let Callback { addresses, losses } = found;
    if addresses.is_empty() {
        return Finding::failed(check, "WeChat finds no address for the host of the callback URL", mend);
    }
    let addresses = addresses.join(", ");
    // Many hosts answer no ping, and still accept pushes.
    match !losses.is_empty() && losses.iter().all(|loss| loss.starts_with("100")) {
        true => Finding::warning(check, format!("WeChat's pings to {addresses} are all lost"), mend),
        false => Finding::ok(check, format!("WeChat finds its host at {addresses}")),
    }
}

fn late_text(whose: &str) -> String {
    format!("{whose} does not answer within {} s", PATIENCE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_is_to_be_allowed_is_found_in_wechats_text() {
        let cases = [
            ("invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 64a7-02", Some("203.0.113.7")),
            ("invalid ip 2001:db8::7, not in whitelist", Some("2001:db8::7")),
            ("token answered errcode 40164: this server's IP is not in the IP allow-list", None),
        ];
        for (text, found) in cases {
            assert_eq!(address_in(text), found.map(|ip| ip.parse().unwrap()), "{text}");
        }
    }
}
