//! One connection, shared by all calls, that repairs itself and never keeps a caller waiting.

use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult,
    ScriptInvocation,
};
use tokio::time::{Instant, timeout};

use super::error::{self, Peer};
use crate::StoreError;

/// How long a call may take in all. WeChat waits 5 s for ingress, and ingress makes several calls.
pub(super) const DEADLINE: Duration = Duration::from_millis(300);

/// How long a session may fail before it is replaced.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    client: Client,
    session: Mutex<Session>,
}

/// A connection manager reconnects after I/O errors only. If the login was refused, or the server hangs or became a
/// replica, the manager would keep its connection for ever, although the password may have been corrected and the address
/// may lead to another server by now. Such a session is replaced as a whole.
struct Session {
    manager: ConnectionManager,
    begun: Instant,
    /// When the session last answered correctly, or began.
    heard: Instant,
}

enum Request<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Connection {
    /// Whether the URL can be used, as far as the URL alone can tell.
    pub(super) fn parse(url: &str) -> Result<ConnectionInfo, StoreError> {
        // The error's reason is dropped: it may repeat a part of the URL, which contains a password.
        let info = url.into_connection_info().map_err(|_| {
            StoreError::Url(
                "expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE NUMBER], or rediss:// for TLS; \
                 write special characters of the password as %XX",
            )
        })?;
        if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
            return Err(StoreError::Url("#insecure is not supported; name the certificate authority in SSL_CERT_FILE"));
        }
        Ok(info)
    }

    /// Does not connect yet.
    pub(super) fn open(url: &str) -> Result<Self, StoreError> {
        let info = Self::parse(url)?;
        // The requests are small and come one after another: with Nagle's algorithm each would wait for the previous
        // answer.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(|error| error::of(&error))?;
        let session = Session::begin(&client).map_err(|error| error::of(&error))?;
        Ok(Self { client, session: Mutex::new(session) })
    }

    /// Runs a script, loading it first if the server does not know it.
    pub(super) async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        self.run(Request::Script(script)).await
    }

    /// Runs one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.run(Request::Command(command)).await
    }

    async fn run<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, StoreError> {
        let result = timeout(DEADLINE, self.attempt(&request)).await;
        self.judge(match &result {
            Ok(Ok(_)) => Peer::Sound,
            Ok(Err(failure)) => error::peer(failure),
            Err(_) => Peer::Silent,
        });
        match result {
            Ok(result) => result.map_err(|failure| error::of(&failure)),
            Err(_) => {
                let text = format!("no answer from Redis within {} ms", DEADLINE.as_millis());
                Err(StoreError::Unavailable(text.into()))
            }
        }
    }

    /// A connection that was closed in the meantime (restart, failover, idle timeout) fails only at its next use: one more
    /// attempt hides that failure. By the rule of the seams every call may be made twice.
    async fn attempt<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        match self.send(request).await {
            Err(error) if was_closed(&error) => self.send(request).await,
            result => result,
        }
    }

    async fn send<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        let mut manager = self.session.lock().manager.clone();
        match request {
            Request::Script(script) => script.invoke_async(&mut manager).await,
            Request::Command(command) => command.query_async(&mut manager).await,
        }
    }

    /// Replaces the session if the server has not been of use for too long.
    fn judge(&self, peer: Peer) {
        let mut session = self.session.lock();
        let useless_since = match peer {
            Peer::Sound => {
                session.heard = Instant::now();
                return;
            }
            Peer::Silent => session.heard,
            // A replica still answers reads.
            Peer::Replica => session.begun,
        };
        if useless_since.elapsed() >= PATIENCE
            && let Ok(fresh) = Session::begin(&self.client)
        {
            *session = fresh;
        }
    }
}

impl Session {
    fn begin(client: &Client) -> RedisResult<Self> {
        // With the defaults a command waits up to 5 s for the reconnect.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(200))
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE))
            .set_pipeline_buffer_size(1_024);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        let now = Instant::now();
        Ok(Self { manager, begun: now, heard: now })
    }
}

fn was_closed(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}
