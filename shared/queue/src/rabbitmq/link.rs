//! One connection that comes back by itself, for as long as the process wants it.
//!
//! The AMQP library's own recovery stays off. With that recovery, the confirms of a dead connection fail only once a new
//! connection is up, and after its last attempt the library stays silent for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use kefu_runtime::health::Health;
use lapin::{Connection, Event};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::pulse::Pulse;
use super::settings::Address;
use super::topology::Topology;

const CONNECT: Duration = Duration::from_secs(5);
const CLOSE: Duration = Duration::from_secs(2);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The pause while only the operator can help.
const LASTING_PAUSE: Duration = Duration::from_secs(10);
/// An attempt that lasted this long had a connection: the pauses begin again with the shortest.
const GOOD: Duration = Duration::from_secs(5);
/// How often the keeper checks the state, beside the library's events.
const LOOK: Duration = Duration::from_millis(500);
/// How often a writer checks a blocked connection.
pub(super) const BLOCKED_LOOK: Duration = Duration::from_millis(50);

/// One life of the connection.
pub(super) struct Session {
    pub(super) connection: Connection,
    pulse: Pulse,
    ended: CancellationToken,
    fault: Mutex<Option<Fault>>,
}

impl Session {
    /// Ends this life. The keeper then makes a new connection, and declares the topology again. The first reason stands.
    pub(super) fn end(&self, fault: Fault) {
        self.fault.lock().get_or_insert(fault);
        self.ended.cancel();
    }

    /// Waits until this life is over.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether the connection can answer questions.
    pub(super) fn usable(&self) -> bool {
        !self.ended.is_cancelled() && self.connection.status().connected()
    }

    fn take_fault(&self) -> Fault {
        let fault = self.fault.lock().take();
        fault.unwrap_or_else(|| Fault::Passing("the connection was lost".into()))
    }
}

#[derive(Clone)]
enum State {
    Down(String),
    Up(Arc<Session>),
    Closed,
}

/// The connection that comes back. Dropping it closes it, without waiting.
pub(super) struct Link {
    state: watch::Receiver<State>,
    closing: CancellationToken,
}

impl Link {
    /// Starts to connect, in the background of the current runtime. `role` names the connection in logs and on the
    /// broker's own pages.
    pub(super) fn start(address: Address, topology: Arc<Topology>, role: String) -> Self {
        let (sender, state) = watch::channel(State::Down("not connected yet".into()));
        let closing = CancellationToken::new();
        let keeper = Keeper { address, topology, role, state: sender, closing: closing.clone() };
        tokio::spawn(keeper.keep());
        Self { state, closing }
    }

    /// The connection; waits for it. `None` once the link is closed.
    pub(super) async fn session(&self) -> Option<Arc<Session>> {
        let mut state = self.state.clone();
        loop {
            let session = match &*state.borrow_and_update() {
                State::Up(session) => Some(session.clone()),
                State::Down(_) => None,
                State::Closed => return None,
            };
            match session {
                Some(session) if session.usable() => return Some(session),
                // The connection is lost, and the keeper is about to notice.
                Some(session) => session.ended().await,
                None => {}
            }
            state.changed().await.ok()?;
        }
    }

    /// The connection, once the broker accepts messages on it. `None` once the link is closed.
    ///
    /// While a connection is blocked, the library writes nothing on it and queues everything without limit.
    pub(super) async fn writable_session(&self) -> Option<Arc<Session>> {
        loop {
            let session = self.session().await?;
            if !session.connection.status().blocked() {
                return Some(session);
            }
            tokio::select! {
                () = sleep(BLOCKED_LOOK) => {}
                () = session.ended() => {}
            }
        }
    }

    pub(super) fn health(&self) -> Health {
        match &*self.state.borrow() {
            State::Up(session) if session.connection.status().blocked() => {
                Health::Down("the broker takes no messages now: it is low on memory or disk".into())
            }
            State::Up(session) => match session.pulse.silent_for() {
                Some(silent) => Health::Down(format!("the broker has not answered for {} s", silent.as_secs())),
                None => Health::Up,
            },
            State::Down(reason) => Health::Down(reason.clone()),
            State::Closed => Health::Down("closed".into()),
        }
    }

    /// Closes the connection, without waiting.
    pub(super) fn stop(&self) {
        self.closing.cancel();
    }

    /// Closes the connection and waits until it is closed.
    pub(super) async fn close(&self) {
        self.stop();
        let mut state = self.state.clone();
        // An error means that the keeper has ended, and with it the connection.
        let _closed = state.wait_for(|state| matches!(state, State::Closed)).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// The task behind a [`Link`].
struct Keeper {
    address: Address,
    topology: Arc<Topology>,
    role: String,
    state: watch::Sender<State>,
    closing: CancellationToken,
}

impl Keeper {
    async fn keep(self) {
        let (role, broker) = (&self.role, self.address.to_string());
        let mut pause = SHORTEST_PAUSE;
        let mut told = None;
        while !self.closing.is_cancelled() {
            let begun = Instant::now();
            let fault = tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                connection = self.connect() => match connection {
                    Ok(connection) => {
                        tracing::info!(role, broker, "connected to the message broker");
                        self.hold(connection).await
                    }
                    Err(fault) => fault,
                }
            };
            if self.closing.is_cancelled() {
                break;
            }
            let reason = fault.text();
            self.state.send_replace(State::Down(reason.into()));
            if begun.elapsed() >= GOOD {
                (pause, told) = (SHORTEST_PAUSE, None);
            }
            if told.as_deref() != Some(reason) {
                match &fault {
                    Fault::Passing(_) => tracing::warn!(role, broker, reason, "no connection to the message broker"),
                    Fault::Lasting(_) => tracing::error!(role, broker, reason, "the message broker cannot be used"),
                }
                told = Some(reason.to_owned());
            }
            let length = if matches!(fault, Fault::Lasting(_)) { LASTING_PAUSE } else { pause };
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = sleep(length.mul_f64(rand::random_range(0.5..1.0))) => {}
                () = self.closing.cancelled() => {}
            }
        }
        self.state.send_replace(State::Closed);
        tracing::debug!(role, broker, "connection to the message broker closed");
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let name = format!("kefu {}", self.role);
        let connection = timeout(CONNECT, self.address.connect(&name))
            .await
            .map_err(|_| Fault::Passing(format!("the broker did not answer within {} s", CONNECT.as_secs()).into()))?
            .map_err(|error| Fault::of(&error))?;
        match self.topology.declare(&connection).await {
            Ok(()) => Ok(connection),
            Err(fault) => {
                close(&connection).await;
                Err(fault)
            }
        }
    }

    /// Lends the connection out until it is lost or given up.
    async fn hold(&self, connection: Connection) -> Fault {
        let mut events = Box::pin(connection.events_listener());
        let session =
            Session { connection, pulse: Pulse::default(), ended: CancellationToken::new(), fault: Mutex::new(None) };
        let session = Arc::new(session);
        self.state.send_replace(State::Up(session.clone()));
        tokio::select! {
            () = session.ended() => {}
            () = self.lost(&session, &mut events) => {}
            () = session.pulse.keep(&session.connection) => {}
            () = self.closing.cancelled() => {}
        }
        session.ended.cancel();
        close(&session.connection).await;
        session.take_fault()
    }

    async fn lost(&self, session: &Session, events: &mut (impl Stream<Item = Event> + Unpin)) {
        let (role, status) = (&self.role, session.connection.status());
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while status.connected() {
            tokio::select! {
                _ = look.tick() => {}
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(role, reason, "the message broker takes no messages");
                    }
                    Some(Event::ConnectionUnblocked) => tracing::info!(role, "the message broker takes messages again"),
                    // Errors of single channels arrive here, too; the state shows whether the error was the connection's.
                    Some(Event::Error(error)) if !status.connected() => session.end(Fault::of(&error)),
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }
}

/// Closes the connection, within two seconds.
pub(super) async fn close(connection: &Connection) {
    if connection.status().connected() {
        // The errors and the slowness of the close change nothing any more: the connection is given up in any case.
        let _closed = timeout(CLOSE, connection.close(200, "OK".into())).await;
    }
}
