//! The broker's version, which the AMQP library does not report.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncReadExt, AsyncWriteExt};
use lapin::tcp::{AMQPUriTcpExt, TLSConfig};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::settings::Address;

/// From this version on a partition goes to its consumer of highest priority.
const SHARING: u32 = 4;
const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// The broker's first frame is well below this size.
const LONGEST_START: usize = 16 * 1_024;
const PATIENCE: Duration = Duration::from_secs(5);

/// Once the broker answers, warns if its version does not distribute the partitions.
pub(super) async fn warn_if_old(address: Address, link: Arc<Link>, closing: CancellationToken) {
    let asked = async {
        link.session().await?;
        timeout(PATIENCE, broker_version(&address)).await.ok()?.ok()?
    };
    let version = tokio::select! {
        version = asked => version,
        () = closing.cancelled() => None,
    };
    if let Some(version) = version
        && is_too_old(&version)
    {
        tracing::warn!(
            version,
            "this RabbitMQ is older than 4.0: the workers do not share the load, one worker gets all messages"
        );
    }
}

/// Whether this version does not distribute the partitions.
pub(super) fn is_too_old(version: &str) -> bool {
    major(version).is_some_and(|major| major < SHARING)
}

/// Begins a connection just far enough to receive the version, which the broker sends before the login.
pub(super) async fn broker_version(address: &Address) -> io::Result<Option<String>> {
    let runtime = lapin::runtime::default_runtime().map_err(io::Error::other)?;
    let mut stream = address.uri.connect_with_config_async(TLSConfig::default(), &runtime).await?;
    stream.write_all(HEADER).await?;
    stream.flush().await?;
    let (mut start, mut part) = (Vec::new(), [0; 1_024]);
    while start.len() < LONGEST_START {
        let read = stream.read(&mut part).await?;
        start.extend_from_slice(&part[..read]);
        if let Some(version) = version_in(&start) {
            return Ok(Some(version));
        }
        if read == 0 {
            break;
        }
    }
    Ok(None)
}

/// The entry `version` of the table of server properties: a short string, `S`, a length of four bytes, the text.
fn version_in(start: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let value = start.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let length = u32::from_be_bytes(start.get(value..value + 4)?.try_into().ok()?);
    let text = start.get(value + 4..value + 4 + usize::try_from(length).ok()?)?;
    String::from_utf8(text.to_vec()).ok()
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_once_it_is_there_whole() {
        let start = b"\x01\0\0\0\0\x01\xf5\0\x0a\0\x0a\0\x09\0\0\x01\xcf\x07versionS\0\0\0\x053.9.1\x08platformS";
        assert_eq!(version_in(start).as_deref(), Some("3.9.1"));
        assert_eq!(version_in(&start[..30]), None);
        assert_eq!(version_in(b""), None);
    }

    #[test]
    fn sharing_begins_with_4() {
        assert_eq!(major("3.13.7"), Some(3));
        assert_eq!(major("4.0.5"), Some(4));
        assert_eq!(major("0+unknown"), None);
    }
}
