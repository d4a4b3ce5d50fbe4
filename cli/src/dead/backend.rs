//! The place of the dead letters: the broker, a database file, or a database file that `kefu serve` holds.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use kefu_embedded::queue::EmbeddedQueue;
use kefu_embedded::{Database, DatabaseError, FILE_NAME};
use kefu_program::config::{BackendUrls, Config};
use kefu_program::internal::dead_letters::{ACCESS_FILE, Access, PATH};
use kefu_queue::dead_letters::{Order, Report};
use kefu_queue::rabbitmq;
use kefu_runtime::http_client;

/// How long a running kefu may take to say that it is alive.
const PATIENCE: Duration = Duration::from_secs(5);

/// Carries out the order where the dead letters are.
pub(super) async fn carry_out(config: &Config, order: &Order) -> anyhow::Result<Report> {
    match &config.backend {
        BackendUrls::Servers { queue, .. } => {
            let settings = rabbitmq::Settings::new(queue.clone(), config.queue.partitions);
            let letters = rabbitmq::dead_letters(&settings).context("[queue]")?;
            Ok(order.carry_out(&*letters).await)
        }
        BackendUrls::Embedded(folder) => in_a_file(folder, order).await,
    }
}

async fn in_a_file(folder: &Path, order: &Order) -> anyhow::Result<Report> {
    let file = folder.join(FILE_NAME);
    // Opening the file would create it.
    if !file.try_exists().with_context(|| format!("{} cannot be looked at", file.display()))? {
        bail!("{} does not exist: no kefu has run with this configuration yet", file.display());
    }
    let path = folder.to_owned();
    match tokio::task::spawn_blocking(move || Database::open(&path)).await? {
        Ok(database) => {
            let letters = EmbeddedQueue::open(&database).await?.dead_letters();
            let report = order.carry_out(&*letters).await;
            drop(letters);
            database.close().await;
            Ok(report)
        }
        Err(DatabaseError::InUse { path }) => served(folder, order).await.with_context(|| {
            format!("another kefu process has {} open and did not carry out the order", path.display())
        }),
        Err(error) => Err(error.into()),
    }
}

/// Asks the process that holds the file.
async fn served(folder: &Path, order: &Order) -> anyhow::Result<Report> {
    let access = Access::read(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow!("this process is starting or ending, or is not kefu serve: try again"),
        _ => anyhow!("{} cannot be read: {error}", folder.join(ACCESS_FILE).display()),
    })?;
    let url = |path| format!("http://{}{path}", access.address);
    let client = http_client::builder(&url("/").parse()?).no_proxy().connect_timeout(PATIENCE).build()?;
    let unreachable = || format!("kefu serve does not answer on {}", access.address);
    // The order itself has no time limit.
    let livez = client.get(url("/livez")).timeout(PATIENCE).send().await;
    livez.map_err(reqwest::Error::without_url).with_context(unreachable)?;
    let answer = client.post(url(PATH)).bearer_auth(&access.key).json(order).send().await;
    let lost = "the connection to kefu serve broke before the report arrived: list the dead letters to see the result";
    let answer = answer.map_err(reqwest::Error::without_url).context(lost)?;
    let status = answer.status();
    if !status.is_success() {
        bail!(
            "kefu serve on {} answers {status}: the process is starting or ending, or has another version",
            access.address
        );
    }
    answer.json().await.map_err(reqwest::Error::without_url).context(lost)
}
