//! `[queue]`, `[store]`, and the backend that they choose: the only place that looks at the scheme of a URL.

use std::path::{Path, PathBuf};

use kefu_messages::problems::Problems;
use kefu_queue::rabbitmq;
use kefu_store::redis;
use secrecy::{ExposeSecret, SecretString};

use super::table::Table;

pub(super) const MOST_PREFETCH: u16 = 2_000;

/// `[queue]`
#[derive(Debug, Clone)]
pub struct Queue {
    /// The number of partitions: 1 to 1,024, default 8. The number must not change while messages are queued.
    pub partitions: u16,
    /// How many unsettled messages of one partition a worker holds: 1 to 2,000. By default the number follows the worker's
    /// concurrency, see [`Config::prefetch`](super::Config::prefetch).
    pub prefetch: Option<u16>,
}

impl Queue {
    /// The section, and its URL.
    pub(super) fn read(table: &mut Table<'_>) -> (Self, Option<SecretString>) {
        let url = url(table, "url (or url_file) is missing: amqp://…, amqps://… or embedded:FOLDER");
        let partitions = table.number("partitions", 1..=1_024).unwrap_or(8);
        (Self { partitions, prefetch: table.number("prefetch", 1..=MOST_PREFETCH.into()) }, url)
    }
}

/// The URL of `[store]`.
pub(super) fn store(table: &mut Table<'_>) -> Option<SecretString> {
    url(table, "url (or url_file) is missing: redis://…, rediss://… or embedded:FOLDER")
}

fn url(table: &mut Table<'_>, missing: &'static str) -> Option<SecretString> {
    let url = table.secret("url");
    table.needs("url", &url, missing);
    url
}

/// The place of queue and state: both on servers, or both in one folder.
#[derive(Debug, Clone)]
pub enum BackendUrls {
    /// RabbitMQ and Redis.
    Servers {
        /// `amqp://` or `amqps://`
        queue: SecretString,
        /// `redis://` or `rediss://`
        store: SecretString,
    },
    /// `embedded:FOLDER`
    Embedded(PathBuf),
}

impl BackendUrls {
    pub(super) fn of(queue: SecretString, store: SecretString, folder: &Path, problems: &mut Problems) -> Option<Self> {
        let (queue_scheme, queue_rest) = split(&queue);
        let (store_scheme, store_rest) = split(&store);

        let queue_is_server = ["amqp", "amqps"].contains(&queue_scheme);
        let store_is_server = ["redis", "rediss"].contains(&store_scheme);
        if !queue_is_server && queue_scheme != "embedded" {
            problems.add("[queue] url", "must start with amqp://, amqps:// or embedded:");
        } else if !store_is_server && store_scheme != "embedded" {
            problems.add("[store] url", "must start with redis://, rediss:// or embedded:");
        } else if queue_is_server != store_is_server {
            problems.add("[store] url", "queue and store must be both embedded or both on servers");
        } else if queue_is_server {
            let settings = rabbitmq::Settings::new(queue.clone(), 1);
            let queue_is_fine = problems.take("[queue] url", settings.verify());
            let store_is_fine = problems.take("[store] url", redis::verify_url(store.expose_secret()));
            return queue_is_fine.and(store_is_fine).map(|()| Self::Servers { queue, store });
        } else if queue_rest.is_empty() || queue_rest != store_rest {
            problems.add("[store] url", "must be the same embedded:FOLDER as the queue's");
        } else {
            return Some(Self::Embedded(folder.join(queue_rest)));
        }
        None
    }
}

fn split(url: &SecretString) -> (&str, &str) {
    url.expose_secret().split_once(':').unwrap_or_default()
}
