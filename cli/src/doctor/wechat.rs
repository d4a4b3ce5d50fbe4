//! The checks of WeChat's API: a token for each account, WeChat's own check of the callback URL, and WeChat's clock.

use std::time::Duration;

use futures_util::future::join_all;
use kefu_program::config::{Account, Config};
use kefu_worker::probe::{Callback, Probe, Refused, Token};
use tokio::time::timeout;

use super::{Finding, PATIENCE, clock};

const NETWORK: &str = "look at the network and at [wechat] api_base";
const CONSOLE: &str = "in WeChat's console, 开发管理 > 开发设置";

/// WeChat's API, once it has answered.
pub(super) struct Api {
    probe: Probe,
    clock: Finding,
    /// How far WeChat's clock is ahead of this machine's clock, in milliseconds, if WeChat reports the time.
    pub(super) lead_ms: Option<i64>,
}

/// Asks for the time, or says once why no answer came: every account's check would only say the same.
pub(super) async fn reach(config: &Config) -> Result<Api, Finding> {
    let api = &config.wechat.api_base;
    let probe = Probe::new(&config.wechat).map_err(|error| Finding::failed("wechat", error.to_string(), NETWORK))?;
    let asked = timeout(PATIENCE, probe.time()).await;
    let asked = asked.map_err(|_| Finding::failed("wechat", late_text(api), NETWORK))?;
    let refused = |refused: Refused| Finding::failed("wechat", format!("{api}: {}", refused.text), NETWORK);
    let time = asked.map_err(refused)?;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let told = time.and_then(|time| Some((clock::ms_of(&time.date)?, millis(time.took))));
    let clock = match told {
        // The header has whole seconds.
        Some((ms, took_ms)) => clock::compare("wechat clock", api, ms, took_ms + 1_000),
        None => Finding::warning("wechat clock", format!("{api} does not tell the time"), NETWORK),
    };
    Ok(Api { probe, clock, lead_ms: told.map(|(ms, _)| clock::lead_ms(ms)) })
}

pub(super) async fn look(config: &Config, api: Result<Api, Finding>) -> Vec<Finding> {
    let Api { probe, clock, .. } = match api {
        Ok(api) => api,
        Err(finding) => return vec![finding],
    };
    let accounts = join_all(config.accounts.iter().map(|account| of_account(&probe, account))).await;
    std::iter::once(clock).chain(accounts.into_iter().flatten()).collect()
}

async fn of_account(probe: &Probe, account: &Account) -> Vec<Finding> {
    let check = format!("wechat {}", account.appid);
    let token = match timeout(PATIENCE, probe.token(account)).await {
        Ok(Ok(token)) => token,
        Ok(Err(refused)) => return vec![no_token(&check, &refused)],
        Err(_) => return vec![Finding::failed(check, late_text("WeChat's API"), NETWORK)],
    };
    let fetched = Finding::ok(check.as_str(), "gives an access_token: appid, AppSecret and IP allow-list are right");
    vec![fetched, callback(&check, probe, &token).await]
}

fn no_token(check: &str, refused: &Refused) -> Finding {
    let mend = match (refused.errcode, refused.ip) {
        (Some(40164), Some(ip)) => format!("add {ip} to the IP allow-list (IP白名单) {CONSOLE}"),
        (Some(40164), None) => format!("add this server's public IP to the IP allow-list (IP白名单) {CONSOLE}"),
        (Some(40125 | 40001 | 41004), _) => {
            format!("copy the AppSecret anew {CONSOLE}; resetting it there makes a new one")
        }
        (Some(40013 | 41002), _) => format!("copy the AppID anew {CONSOLE}"),
        (Some(_), _) => "see WeChat's console, and WeChat's list of errcodes".to_owned(),
        (None, _) => NETWORK.to_owned(),
    };
    Finding::failed(check, refused.text.as_str(), mend)
}

async fn callback(account: &str, probe: &Probe, token: &Token) -> Finding {
    let check = format!("{account} callback");
    let mend = "have the URL's host reachable from the internet; --callback-url URL asks it from here";
    let found = match timeout(PATIENCE, probe.callback(token)).await {
        Ok(Ok(found)) => found,
        Ok(Err(refused)) => {
            let mend = match refused.errcode {
                Some(40201) => "set it in WeChat's console, 开发管理 > 消息推送配置: https://YOUR.HOST/push/APPID",
                _ => "this is only WeChat's own check; --callback-url URL asks the URL from here",
            };
            return Finding::warning(check, refused.text, mend);
        }
        Err(_) => return Finding::warning(check, "WeChat's check of it takes longer than 5 s", "try again"),
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
