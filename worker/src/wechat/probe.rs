//! The questions of `kefu doctor` to WeChat: calls that change nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kefu_program::config::{self, Account, TokenApi};
use secrecy::SecretString;

use crate::wechat::WeChat;
use crate::wechat::client::HttpTransport;
use crate::wechat::failure::Failure;

/// Asks WeChat's API.
pub struct Probe {
    wechat: WeChat,
    transport: Arc<HttpTransport>,
}

/// Why an answer is not what it should be.
#[derive(Debug, Clone)]
pub struct Refused {
    /// In words, which say what to do where that is known. Without secrets.
    pub text: String,
    /// WeChat's errcode, if it was WeChat that refused.
    pub errcode: Option<i64>,
    /// The address that WeChat says the call came from, and that is to be allowed (errcode 40164).
    pub ip: Option<IpAddr>,
}

/// An access_token. It is for [`Probe::callback`] and shown to nobody.
pub struct Token(SecretString);

/// How WeChat's own look at the callback URL went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The addresses that the URL's host has, as WeChat sees it.
    pub addresses: Vec<String>,
    /// For each address that was called from somewhere: how many packets were lost, as `0%`.
    pub losses: Vec<String>,
}

/// The time of WeChat's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTime {
    /// As in the HTTP header `Date`: whole seconds.
    pub date: String,
    /// How long the question and its answer took.
    pub took: Duration,
}

impl Probe {
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(config: &config::WeChat) -> Result<Self, String> {
        let transport = Arc::new(HttpTransport::new(config)?);
        // Whatever is configured: a token of the other API would end the one that the account has.
        let config = config::WeChat { token_api: TokenApi::StableToken, ..config.clone() };
        let wechat = WeChat::new(transport.clone(), &config);
        Ok(Self { wechat, transport })
    }

    /// Fetches the account's access_token by `stable_token`, which gives the one that all have.
    ///
    /// # Errors
    /// When WeChat gives none.
    pub async fn token(&self, account: &Account) -> Result<Token, Refused> {
        let fetched = self.wechat.fetch_token(account).await;
        fetched.map(|token| Token(token.value)).map_err(|failure| Refused::of(&failure))
    }

    /// Has WeChat look up and call the host of the account's callback URL (`callback/check`).
    ///
    /// # Errors
    /// When WeChat does not; errcode 40201 says that the account has no callback URL.
    pub async fn callback(&self, token: &Token) -> Result<Callback, Refused> {
        self.wechat.check_callback(&token.0).await.map_err(|failure| Refused::of(&failure))
    }

    /// The time of WeChat's servers; `None` when they do not tell.
    ///
    /// # Errors
    /// When they cannot be reached.
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
