//! The common parts of all HTTP clients: for WeChat's API, webhooks, the assistant and the command.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{ClientBuilder, Response, Url, redirect};

use crate::{Cause, in_words};

/// The longest wait that a client believes; no client waits as long.
const A_DAY: Duration = Duration::from_secs(86_400);

/// A client for `base` and the URLs below it: as [`builder_for_scheme`], but without proxies for this machine's own
/// addresses.
pub fn builder(base: &Url) -> ClientBuilder {
    let builder = builder_for_scheme(base.scheme());
    // A proxy would look for the address on the proxy's own machine.
    if is_loopback(base) { builder.no_proxy() } else { builder }
}

/// A client for URLs with this scheme, wherever they lead. The client names kefu in its requests and follows no redirects,
/// because a redirect would take secrets to another server. The proxies are those of the environment.
pub fn builder_for_scheme(scheme: &str) -> ClientBuilder {
    let builder =
        ClientBuilder::new().user_agent(concat!("kefu/", env!("CARGO_PKG_VERSION"))).redirect(redirect::Policy::none());
    // Without TLS the system's certificates are not needed, and need not be installed.
    if scheme == "http" { builder.tls_certs_only([]) } else { builder }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Why the body of an answer was not read.
#[derive(Debug)]
pub enum Unread {
    /// The body has more bytes than the caller allows.
    TooLarge,
    /// The connection ended in the middle of the body.
    Cut {
        /// The bytes that arrived.
        so_far: Vec<u8>,
        /// The error that ended the connection.
        error: Cause,
    },
}

/// The body of an answer, of `most` bytes at most.
///
/// # Errors
/// [`Unread`]
pub async fn read_within(mut response: Response, most: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Unread::TooLarge),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Unread::Cut { so_far: body, error: cause(error) }),
        }
    }
}

/// The cause of a failed call, in the client's words without the URL, which may contain secrets.
pub fn cause(error: reqwest::Error) -> Cause {
    let error = error.without_url();
    Cause::new(in_words(&error), &error)
}

/// How long the server asks the client to wait, if the server says so in seconds; a day at most.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(A_DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_own_addresses_are_known() {
        for (url, own) in [
            ("http://127.0.0.1:8000/x", true),
            ("https://localhost/", true),
            ("http://LOCALHOST:1", true),
            ("http://127.1", true),
            ("http://[::1]:9", true),
            ("http://127.0.0.1.example/", false),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), own, "{url}");
        }
    }
}
