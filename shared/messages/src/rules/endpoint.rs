//! A rule's webhook.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::problems::Problems;

/// The address of a rule's webhook, and how to call it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The URL of the call, http or https. The path and the query may contain a secret.
    pub url: Url,
    /// How long one call may take; `[webhook] timeout_ms` if left out.
    pub timeout: Option<Duration>,
    /// Whether ingress makes the call, and the answer is the HTTP answer to WeChat's push.
    pub sync: bool,
    /// Whether the call includes the picture of a push as a file.
    pub media: bool,
}

/// `webhook = { … }` as it is written.
#[derive(Deserialize)]
pub struct EndpointSection {
    url: String,
    timeout_ms: Option<u64>,
    #[serde(default)]
    sync: bool,
    #[serde(default)]
    media: bool,
}

/// The longest that a call may take, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 60_000;

/// How long after the head of WeChat's request a synchronous answer must be decided: WeChat wants it within 3 s
/// (<https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html>).
pub const DECIDE_WITHIN: Duration = Duration::from_secs(3);

impl EndpointSection {
    pub(super) fn resolve(&self, place: &str, problems: &mut Problems) -> Option<Endpoint> {
        let before = problems.count();
        let url = Url::parse(&self.url).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        if url.is_none() {
            problems.add(format!("{place} webhook.url"), "must be an http:// or https:// address");
        } else if url.as_ref().is_some_and(|url| url.fragment().is_some()) {
            problems.add(
                format!("{place} webhook.url"),
                "has a # in it: HTTP never sends the part from the # on, so remove it",
            );
        }
        let most = if self.sync { DECIDE_WITHIN.as_millis() as u64 } else { MAX_TIMEOUT_MS };
        if let Some(timeout_ms) = self.timeout_ms
            && !(100..=most).contains(&timeout_ms)
        {
            let why = if self.sync { "; WeChat waits no longer for a sync answer" } else { "" };
            problems.add(format!("{place} webhook.timeout_ms"), format!("must be from 100 to {most}{why}"));
        }
        if self.sync && self.media {
            problems.add(place, "webhook has both sync and media: sync is for events, which have no picture; keep one");
        }
        let timeout = self.timeout_ms.map(Duration::from_millis);
        let (sync, media) = (self.sync, self.media);
        url.filter(|_| problems.count() == before).map(|url| Endpoint { url, timeout, sync, media })
    }
}

impl Endpoint {
    /// The host and port: the part of the URL that logs may show.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Without the path and the query, which may contain a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host())
            .field("timeout", &self.timeout)
            .field("sync", &self.sync)
            .field("media", &self.media)
            .finish()
    }
}

impl fmt::Debug for EndpointSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("webhook")
    }
}
