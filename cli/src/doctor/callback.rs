//! The check of the callback URL, done as WeChat does it when the URL is saved in the console.

use futures_util::future::join_all;
use kefu_program::config::{Account, Config};
use kefu_runtime::clock::now_ms;
use kefu_runtime::{http_client, in_words};
use kefu_wechat::signature;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::{Finding, PATIENCE, clock};
use crate::push;

/// `lead_ms` says how far WeChat's clock is ahead of this machine's clock, where the doctor knows it. The doctor signs
/// the check with WeChat's time, as WeChat would.
pub(super) async fn look(config: &Config, urls: &[Url], lead_ms: Option<i64>) -> Vec<Finding> {
    join_all(urls.iter().map(|url| ask(config, url, lead_ms))).await.into_iter().flatten().collect()
}

async fn ask(config: &Config, url: &Url, lead_ms: Option<i64>) -> Vec<Finding> {
    const CHECK: &str = "callback";
    let Some(account) = push::appid_of(url).and_then(|appid| config.accounts.get(appid)) else {
        let mend = "the URL is https://YOUR.HOST/push/APPID, with the appid of an [[account]]";
        return vec![Finding::failed(CHECK, format!("{url} does not end in the appid of an account"), mend)];
    };
    let mut findings = Vec::new();
    if !matches!(url.port_or_known_default(), Some(80 | 443)) {
        let text = format!("{url}: WeChat takes port 80 for http and 443 for https only");
        findings.push(Finding::warning(CHECK, text, "put a proxy with your certificate in front of [ingress] listen"));
    }
    let signed = match lead_ms {
        None => " (signed with this machine's clock, as WeChat does not tell the time)",
        Some(lead_ms) if clock::is_odd(lead_ms) => " (signed with WeChat's time)",
        Some(_) => "",
    };
    findings.push(match echo(account, url, lead_ms.unwrap_or(0)).await {
        Ok(()) => Finding::ok(CHECK, format!("{url} answers WeChat's check as it must{signed}")),
        Err((text, mend)) => Finding::failed(CHECK, format!("{url}: {text}{signed}"), mend),
    });
    findings
}

/// The mistake in the answer, and how to correct it.
async fn echo(account: &Account, url: &Url, lead_ms: i64) -> Result<(), (String, &'static str)> {
    let network = "check that ingress runs, and that the proxy in front passes /push/ on with the query";
    let client = http_client::builder(url).timeout(PATIENCE).build();
    let client = client.map_err(|error| (in_words(&error), network))?;
    let timestamp = (now_ms().saturating_add_signed(lead_ms) / 1_000).to_string();
    let (nonce, echostr) = (rand::random::<u32>().to_string(), rand::random::<u64>().to_string());
    let token = account.tokens.first().map(|token| token.expose_secret()).unwrap_or_default();
    let signature = signature::sign(token, &timestamp, &nonce);
    let query = [("signature", &signature), ("timestamp", &timestamp), ("nonce", &nonce), ("echostr", &echostr)];
    let asked = client.get(url.clone()).query(&query).send().await;
    let answer = asked.map_err(|error| (push::no_answer(url, error), network))?;
    let status = answer.status();
    let body = answer
        .text()
        .await
        .map_err(|_| ("the connection broke before the whole answer arrived".to_owned(), network))?;
    let mend = match status.as_u16() {
        200 if body == echostr => return Ok(()),
        200 => {
            let mend = "another program answers at this URL, or a proxy changes kefu's answer";
            return Err(("the answer is 200 with something else than the echostr alone".to_owned(), mend));
        }
        300..=399 => "WeChat follows no redirects: in its console, enter the URL that the redirect leads to",
        401 => {
            "the kefu at this URL has another token for this account, or its clock is more than 24 h off, or a proxy \
             drops the query"
        }
        404 => "no kefu with this account answers at this URL, or the path is not /push/APPID",
        _ => network,
    };
    Err((format!("the answer is {status}"), mend))
}
