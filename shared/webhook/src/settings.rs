//! The settings of all rules with a webhook.

use std::time::Duration;

use secrecy::SecretString;

/// `[webhook]`: the settings of all rules with a webhook.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The secret that signs calls; at least 16 characters.
    pub secret: Option<SecretString>,
    /// How long one call may take. Default 5 seconds.
    pub timeout: Duration,
    /// How many calls of one webhook are under way at once. Default 64.
    pub concurrency: usize,
    /// Whether the client follows redirects with status 307 and 308 to the same scheme, host and port. Default false.
    pub allow_redirects: bool,
    /// Whether the client may call link-local addresses and those of cloud metadata. Default false.
    pub allow_link_local: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secret: None,
            timeout: Duration::from_secs(5),
            concurrency: 64,
            allow_redirects: false,
            allow_link_local: false,
        }
    }
}
