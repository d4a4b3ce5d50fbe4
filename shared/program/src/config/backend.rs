//! Which backend: the one place that looks at the scheme of a URL.

use std::path::{Path, PathBuf};

use kefu_queue::rabbitmq;
use kefu_store::redis;
use secrecy::{ExposeSecret, SecretString};

use super::store::Store;
use super::{Problems, Queue, secret};

/// Where queue and state live: both on servers, or both in one folder.
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
    pub(super) fn resolve(queue: &Queue, store: &Store, folder: &Path, problems: &mut Problems) -> Option<Self> {
        let mut url = |place, value: &Option<_>, file: &Option<_>, kinds| {
            if value.is_none() && file.is_none() {
                problems.missing(place, "url", format!("url (or url_file) is missing: {kinds}"));
            }
            secret::resolve(place, "url", value.as_ref(), file.as_ref(), folder, problems)
        };
        let queue = url("[queue]", &queue.url, &queue.url_file, "amqp://…, amqps://… or embedded:FOLDER");
        let store = url("[store]", &store.url, &store.url_file, "redis://…, rediss://… or embedded:FOLDER");
        let (queue, store) = (queue?, store?);
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
