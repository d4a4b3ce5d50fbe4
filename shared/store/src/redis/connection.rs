//! One connection, shared by all calls, that repairs itself and keeps no caller waiting for longer than [`DEADLINE`].
//!
//! One round trip is under way at a time. The calls that come meanwhile go out together as the next one, which costs
//! client and server far less than a round trip for each. Calls for whose answer nobody waits do not begin a round trip at
//! once.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    RedisResult, ServerErrorKind, Value,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{self, Peer};
use super::script::Invocation;
use crate::StoreError;

/// How long a call may take in all. WeChat waits 5 s for ingress, and ingress makes several calls.
pub(super) const DEADLINE: Duration = Duration::from_millis(300);

/// How long a session may fail before it is replaced.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many calls one round trip takes along.
const AT_ONCE: usize = 256;

/// How long a deferred call waits for a call to go with, before it has a round trip of its own.
const DEFERRED_FOR: Duration = Duration::from_millis(5);

pub(super) struct Connection {
    client: Client,
    calls: mpsc::UnboundedSender<Call>,
}

/// A call on its way to the server.
struct Call {
    command: Cmd,
    /// The script that the command runs, if it runs one.
    script: Option<&'static str>,
    /// Whether the call waits for another to go with, since nobody waits for its answer.
    is_deferred: bool,
    answer: oneshot::Sender<Result<Value, StoreError>>,
}

/// The script that a caller runs, and the way back to the caller.
type Caller = (Option<&'static str>, oneshot::Sender<Result<Value, StoreError>>);

/// The task behind a connection. It ends when the connection is dropped.
struct Runner {
    client: Client,
    session: Session,
    calls: mpsc::UnboundedReceiver<Call>,
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

    /// Connects in the background. The connection's work runs on the current runtime.
    pub(super) fn open(url: &str) -> Result<Self, StoreError> {
        let info = Self::parse(url)?;
        // The requests are small and come one after another: with Nagle's algorithm each would wait for the previous
        // answer.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Self::start(Client::open(info).map_err(|error| error::of(&error))?)
    }

    /// Another connection to the same server.
    pub(super) fn another(&self) -> Result<Self, StoreError> {
        Self::start(self.client.clone())
    }

    fn start(client: Client) -> Result<Self, StoreError> {
        let session = Session::begin(&client).map_err(|error| error::of(&error))?;
        let (sender, calls) = mpsc::unbounded_channel();
        tokio::spawn(Runner { client: client.clone(), session, calls }.run());
        Ok(Self { client, calls: sender })
    }

    /// Runs a script, loading it first if the server does not know it.
    pub(super) async fn invoke<T: FromRedisValue>(&self, script: &Invocation) -> Result<T, StoreError> {
        self.run(script.command.clone(), Some(script.code), false).await
    }

    /// Runs one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.run(command.clone(), None, false).await
    }

    /// Runs one command for whose answer nobody waits: with the next call, or by itself after [`DEFERRED_FOR`]. A command
    /// that goes with another call costs hardly anything, and delays no call.
    pub(super) async fn query_deferred<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.run(command.clone(), None, true).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        command: Cmd,
        script: Option<&'static str>,
        is_deferred: bool,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ending = || StoreError::Unavailable("the program is ending".into());
        self.calls.send(Call { command, script, is_deferred, answer }).map_err(|_| ending())?;
        let value = timeout(DEADLINE, answered).await.map_err(|_| silent())?.map_err(|_| ending())??;
        T::from_redis_value(value).map_err(|error| error::of(&error.into()))
    }
}

fn silent() -> StoreError {
    StoreError::Unavailable(format!("no answer from Redis within {} ms", DEADLINE.as_millis()).into())
}

impl Runner {
    async fn run(mut self) {
        // The first caller need not wait for the connect.
        let mut ping = Pipeline::new();
        let ping = ping.cmd("PING").query_async::<Value>(&mut self.session.manager);
        let _connected = timeout(DEADLINE, ping).await;
        let mut calls = Vec::new();
        while self.receive(&mut calls).await {
            let (mut pipeline, mut callers) = (Pipeline::with_capacity(calls.len()), Vec::with_capacity(calls.len()));
            // Nobody waits any more for a call that is over its deadline.
            for Call { command, script, answer, .. } in calls.drain(..).filter(|call| !call.answer.is_closed()) {
                pipeline.add_command(command);
                callers.push((script, answer));
            }
            if callers.is_empty() {
                continue;
            }
            let results = timeout(DEADLINE, self.attempt(pipeline.ignore_errors(), &callers)).await;
            self.judge(match &results {
                Ok(Ok(results)) => results.iter().map(peer).max().unwrap_or(Peer::Silent),
                Ok(Err(failure)) => error::peer(failure),
                Err(_) => Peer::Silent,
            });
            let mut results = match results {
                Ok(Ok(results)) => Ok(results.into_iter()),
                Ok(Err(failure)) => Err(error::of(&failure)),
                Err(_) => Err(silent()),
            };
            for (_, answer) in callers {
                let result = match &mut results {
                    Ok(results) => match results.next() {
                        Some(result) => result.map_err(|failure| error::of(&failure)),
                        None => Err(silent()),
                    },
                    Err(failure) => Err(failure.clone()),
                };
                // The caller may have given up waiting.
                let _abandoned = answer.send(result);
            }
        }
    }

    /// Waits for the calls of the next round trip. False when the connection was dropped and nothing is left to do.
    async fn receive(&mut self, calls: &mut Vec<Call>) -> bool {
        if self.calls.recv_many(calls, AT_ONCE).await == 0 {
            return false;
        }
        let ends = Instant::now() + DEFERRED_FOR;
        while calls.iter().all(|call| call.is_deferred) && calls.len() < AT_ONCE {
            match timeout_at(ends, self.calls.recv_many(calls, AT_ONCE - calls.len())).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        true
    }

    /// A connection that was closed in the meantime (restart, failover, idle timeout) fails only at its next use: one more
    /// attempt hides that failure. By the rule of the seams every call may be made twice.
    async fn attempt(&mut self, pipeline: &Pipeline, callers: &[Caller]) -> RedisResult<Vec<RedisResult<Value>>> {
        match self.send(pipeline, callers).await {
            Err(error) if was_closed(&error) => self.send(pipeline, callers).await,
            results => results,
        }
    }

    async fn send(&mut self, pipeline: &Pipeline, callers: &[Caller]) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut results: Vec<RedisResult<Value>> = pipeline.query_async(&mut self.session.manager).await?;
        if !results.iter().any(is_unknown_script) {
            return Ok(results);
        }
        let (mut again, mut unknown) = (Pipeline::new(), Vec::new());
        for ((result, (script, _)), command) in results.iter_mut().zip(callers).zip(pipeline.cmd_iter()) {
            if let (Some(code), true) = (script, is_unknown_script(result)) {
                again.cmd("SCRIPT").arg("LOAD").arg(code).ignore();
                again.add_command(command.clone());
                unknown.push(result);
            }
        }
        let loaded: Vec<RedisResult<Value>> = again.ignore_errors().query_async(&mut self.session.manager).await?;
        for (result, loaded) in unknown.into_iter().zip(loaded) {
            *result = loaded;
        }
        Ok(results)
    }

    /// Replaces the session if the server has not been of use for too long.
    fn judge(&mut self, peer: Peer) {
        let useless_since = match peer {
            Peer::Sound => {
                self.session.heard = Instant::now();
                return;
            }
            Peer::Silent => self.session.heard,
            // A replica still answers reads.
            Peer::Replica => self.session.begun,
        };
        if useless_since.elapsed() >= PATIENCE
            && let Ok(fresh) = Session::begin(&self.client)
        {
            self.session = fresh;
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
            .set_response_timeout(Some(DEADLINE));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        let now = Instant::now();
        Ok(Self { manager, begun: now, heard: now })
    }
}

/// The state of the server, as one result of a round trip shows it.
fn peer(result: &RedisResult<Value>) -> Peer {
    result.as_ref().map_or_else(error::peer, |_| Peer::Sound)
}

fn is_unknown_script(result: &RedisResult<Value>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

fn was_closed(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A runner that is not running, and the way to it.
    fn idle() -> (Runner, mpsc::UnboundedSender<Call>) {
        let client = Client::open("redis://127.0.0.1:1").unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        (Runner { session: Session::begin(&client).unwrap(), client, calls }, sender)
    }

    fn call(is_deferred: bool) -> Call {
        Call { command: Cmd::new(), script: None, is_deferred, answer: oneshot::channel().0 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deferred_call_waits_for_a_moment_only() {
        let (mut runner, calls) = idle();
        let begun = Instant::now();
        calls.send(call(true)).ok().unwrap();
        let mut received = Vec::new();
        assert!(runner.receive(&mut received).await);
        assert_eq!((received.len(), begun.elapsed().as_millis()), (1, DEFERRED_FOR.as_millis()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deferred_call_goes_with_the_next_call_that_somebody_waits_for() {
        let (mut runner, calls) = idle();
        let begun = Instant::now();
        calls.send(call(true)).ok().unwrap();
        let later = tokio::spawn(async move {
            for is_deferred in [true, false, true] {
                tokio::time::sleep(Duration::from_millis(1)).await;
                calls.send(call(is_deferred)).ok().unwrap();
            }
            calls
        });
        let mut received = Vec::new();
        assert!(runner.receive(&mut received).await);
        assert_eq!((received.len(), begun.elapsed().as_millis()), (3, 2));
        drop(later.await);
        received.clear();
        assert!(runner.receive(&mut received).await, "the last call is lost");
        assert_eq!(received.len(), 1);
        assert!(!runner.receive(&mut received).await);
    }

    #[tokio::test(start_paused = true)]
    async fn deferred_calls_that_fill_a_round_trip_go_at_once() {
        let (mut runner, calls) = idle();
        let begun = Instant::now();
        (0..=AT_ONCE).for_each(|_| calls.send(call(true)).ok().unwrap());
        let mut received = Vec::new();
        assert!(runner.receive(&mut received).await);
        assert_eq!((received.len(), begun.elapsed().as_millis()), (AT_ONCE, 0));
    }
}
