//! The questions of `kefu doctor` to WeChat. These calls change nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kefu_program::config::{self, Account, TokenApi};
use kefu_runtime::Cause;
use secrecy::SecretString;

use crate::wechat::WeChat;
use crate::wechat::client::HttpTransport;
use crate::wechat::failure::Failure;

/// Asks WeChat's API.
pub struct Probe {
    wechat: WeChat,
    transport: Arc<HttpTransport>,
}

/// Why WeChat's answer is not the expected one.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The reason in words, without secrets. The words name the remedy where kefu knows one.
    pub text: String,
    /// WeChat's errcode, if WeChat itself refused the call.
    pub errcode: Option<i64>,
    /// The caller's address as WeChat sees it, which the operator must allow (errcode 40164).
    pub ip: Option<IpAddr>,
}

/// An access_token, for [`Probe::callback`] alone. kefu shows it to nobody.
pub struct Token(SecretString);

/// The result of WeChat's own check of the callback URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The addresses of the URL's host, as WeChat sees them.
    pub addresses: Vec<String>,
    /// The share of lost packets, such as `0%`, for each address that WeChat called from one of its networks.
    pub losses: Vec<String>,
}

/// The time of WeChat's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTime {
    /// The time in whole seconds, as in the HTTP header `Date`.
    pub date: String,
    /// How long the question and its answer took.
    pub took: Duration,
}

impl Probe {
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(config: &config::WeChat) -> Result<Self, Cause> {
        let transport = Arc::new(HttpTransport::new(config)?);
        // The probe uses `stable_token`, whatever the configuration says: a token of the other API would end the
        // account's present token.
        let config = config::WeChat { token_api: TokenApi::StableToken, ..config.clone() };
        let wechat = WeChat::new(transport.clone(), &config);
        Ok(Self { wechat, transport })
    }

    /// Fetches the account's access_token by `stable_token`, which gives the token that all programs of the account
    /// share.
    ///
    /// # Errors
    /// When WeChat gives no token.
    pub async fn token(&self, account: &Account) -> Result<Token, Refused> {
        let fetched = self.wechat.fetch_token(account).await;
        fetched.map(|token| Token(token.value)).map_err(|failure| Refused::of(&failure))
    }

    /// Makes WeChat look up and call the host of the account's callback URL (`callback/check`).
    ///
    /// # Errors
    /// When WeChat does not make the check; errcode 40201 says that the account has no callback URL.
    pub async fn callback(&self, token: &Token) -> Result<Callback, Refused> {
        self.wechat.check_callback(&token.0).await.map_err(|failure| Refused::of(&failure))
    }

    /// The time of WeChat's servers; `None` when the servers do not tell it.
    ///
    /// # Errors
    /// When the servers cannot be reached.
    pub async fn time(&self) -> Result<Option<ServerTime>, Refused> {
        let begun = Instant::now();
        let date = self.transport.date().await.map_err(|failure| Refused::of(&failure))?;
        Ok(date.map(|date| ServerTime { date, took: begun.elapsed() }))
    }
}

impl Refused {
    fn of(failure: &Failure) -> Self {
        let errcode = match failure {
            Failure::Refused(refusal) => Some(refusal.errcode),
            _ => None,
        };
        let text = failure.to_string();
        let ip = (errcode == Some(40164)).then(|| address_in(&text)).flatten();
        Self { text, errcode, ip }
    }
}

/// The first address in `invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist`.
fn address_in(text: &str) -> Option<IpAddr> {
    let words = text.split(|char: char| !(char.is_ascii_hexdigit() || ".:".contains(char)));
    words.filter_map(|word| word.trim_matches(':').parse::<IpAddr>().ok()).next()
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
