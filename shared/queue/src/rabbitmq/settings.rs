//! How to reach the broker.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};

use crate::RETRY_DELAYS;

/// The largest frame. A larger body travels in several frames. The library has two buffers of 32 frames for each connection,
/// and writes all of their bytes at once: with RabbitMQ's 128 KiB each connection took 8 MB.
pub(super) const FRAME_BYTES: u32 = 32 * 1024;

/// Seconds. The broker and kefu each notice a dead peer after two of them.
const HEARTBEAT: u16 = 10;
/// A connection has 2,047 channels unless the broker has another setting, and each partition needs one channel.
const MOST_CHANNELS: u16 = 1_024;
/// AMQP's limit for a short string, in bytes.
const LONGEST_NAME: usize = 255;

/// The settings of [`publisher`](super::publisher()) and [`consumer`](super::consumer()).
#[derive(Debug, Clone)]
pub struct Settings {
    /// `amqp://USER:PASSWORD@HOST:PORT/VHOST` or `amqps://…`; a vhost's `/` is written `%2f`. The URL contains a password.
    pub url: SecretString,
    /// The number of partitions: the same number in all processes, and never changed while messages are queued.
    pub partitions: u16,
    /// The delays for [`Settlement::Retry`](crate::Settlement::Retry); each delay has a queue.
    pub retry_delays: Vec<Duration>,
    /// How often a message may go back to its queue unsettled before the broker itself makes it a dead letter. A queue
    /// keeps the value with which it was declared.
    pub delivery_limit: u16,
}

/// The broker also counts messages that are not to blame: all that go back with a dropped delivery or a lost connection.
/// These are 100 of each partition by default, and all messages of a user that wait behind another message. So this limit
/// is far above the count that restarts, broken connections and hand-overs of partitions can reach. The limit is only there
/// to end a loop of crashes: the worker settles every message that it can blame.
const DELIVERY_LIMIT: u16 = 100;

/// Why [`Settings`] cannot be used; the text never shows the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an AMQP URL.
    #[error("the AMQP URL cannot be read: write amqp://USER:PASSWORD@HOST:PORT/VHOST or amqps://..., with %2f for a /")]
    Url,
    /// An IPv6 address, which the AMQP library would quietly replace by localhost.
    #[error("the AMQP URL has an IPv6 address: give the broker a host name")]
    Ipv6,
    /// More than AMQP can carry.
    #[error("the vhost in the AMQP URL is longer than {LONGEST_NAME} bytes")]
    Vhost,
    /// None or too many.
    #[error("partitions is {0}; it must be from 1 to {MOST_CHANNELS}")]
    Partitions(u16),
    /// A retry would have nowhere to go.
    #[error("no retry delays are set; set at least one")]
    NoRetryDelays,
}

impl Settings {
    /// The settings for a broker, with retries after 5 s, 30 s, 2 min, 10 min and 1 h, and a delivery
    /// limit of 100.
    pub fn new(url: SecretString, partitions: u16) -> Self {
        let retry_delays = RETRY_DELAYS.to_vec();
        Self { url, partitions, retry_delays, delivery_limit: DELIVERY_LIMIT }
    }

    /// Whether the settings can be used, as far as the settings alone can tell.
    pub fn verify(&self) -> Result<(), SettingsError> {
        self.check().map(drop)
    }

    pub(super) fn check(&self) -> Result<Address, SettingsError> {
        if !(1..=MOST_CHANNELS).contains(&self.partitions) {
            return Err(SettingsError::Partitions(self.partitions));
        }
        if self.retry_delays.is_empty() {
            return Err(SettingsError::NoRetryDelays);
        }
        Address::parse(&self.url)
    }
}

/// The broker's address and the login. `Display` leaves the user and the password out.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) uri: AMQPUri,
}

impl Address {
    fn parse(url: &SecretString) -> Result<Self, SettingsError> {
        let url = url.expose_secret();
        let host = url.split("://").nth(1).map(|rest| rest.rsplit('@').next().unwrap_or(rest));
        if host.is_some_and(|host| host.starts_with('[')) {
            return Err(SettingsError::Ipv6);
        }
        // The library's own error may quote the URL.
        let mut uri: AMQPUri = url.parse().map_err(|_| SettingsError::Url)?;
        if uri.vhost.len() > LONGEST_NAME {
            return Err(SettingsError::Vhost);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        Ok(Self { uri })
    }

    /// A connection to the broker, whose own pages show the name. The connection does not come back by itself.
    pub(super) async fn connect(&self, name: &str) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Connection::connect_uri(self.uri.clone(), properties).await
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.uri;
        write!(f, "{scheme}://{}:{} vhost {vhost:?}", authority.host, authority.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(url: &str) -> SettingsError {
        Settings::new(url.into(), 64).check().err().unwrap()
    }

    #[test]
    fn neither_errors_nor_texts_show_the_password() {
        let settings = Settings::new("amqp://kefu:hunter2@mq.example:5673/%2fshop".into(), 64);
        let address = settings.check().unwrap();
        assert_eq!(address.to_string(), "amqp://mq.example:5673 vhost \"/shop\"");
        assert!(!format!("{settings:?}").contains("hunter2"));
        for url in ["http://kefu:hunter2@mq", "hunter2", "amqp:hunter2", "amqp://kefu:hunter2@mq?heartbeat=x"] {
            assert_eq!(error_of(url), SettingsError::Url, "{url}");
        }
    }

    #[test]
    fn what_the_library_would_trip_over_is_refused_in_words() {
        assert_eq!(error_of("amqp://kefu:x@[::1]:5672"), SettingsError::Ipv6);
        assert_eq!(error_of(&format!("amqp://mq/{}", "v".repeat(256))), SettingsError::Vhost);
        let none = Settings::new("amqp://mq".into(), 0).check().err().unwrap();
        assert_eq!(none.to_string(), "partitions is 0; it must be from 1 to 1024");
    }
}
