//! A way from a program to a server on which a test can hold bytes up, slow them down, and cut connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// How many bytes are passed on at once.
const PIECE: usize = 64 * 1024;

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the program to the server: questions, publishes.
    ToServer,
    /// From the server to the program: answers, confirms.
    ToProgram,
}

/// A proxy in front of a server of this machine. It ends, with the connections through it, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

/// Connections are numbered from 1. What is done to connections is done to those up to a number: later ones are free.
#[derive(Debug, Default)]
struct State {
    accepted: u64,
    cut: u64,
    held: [u64; 2],
    delay: Duration,
}

impl Proxy {
    /// Starts one in front of the server at this URL, which must be on 127.0.0.1.
    ///
    /// # Panics
    /// When the URL has no such address.
    pub async fn to(url: &str) -> Self {
        let (before, rest) = url.split_once("127.0.0.1:").expect("the server is on this machine");
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let (port, path) = rest.split_at(digits);
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().expect("the URL has a port")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port of loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = watch::Sender::new(State::default());
        let task = tokio::spawn(accept(listener, server, state.clone()));
        Self { url: format!("{before}{address}{path}"), state, task }
    }

    /// The server's URL, with the proxy's address in it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Holds up the bytes that go this way, on all connections there are, until [`Proxy::release`]. They are not lost.
    pub fn hold(&self, way: Way) {
        self.state.send_modify(|state| state.held[way as usize] = state.accepted);
    }

    /// Ends [`Proxy::hold`].
    pub fn release(&self) {
        self.state.send_modify(|state| state.held = [0; 2]);
    }

    /// Cuts all connections there are. Bytes that are held up on them are lost.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cut = state.accepted);
    }

    /// Lets all bytes to the server wait for so long.
    pub fn slow_down(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.state.borrow().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, state: watch::Sender<State>) {
    // They end with it.
    let mut connections = JoinSet::new();
    while let Ok((program, _)) = listener.accept().await {
        state.send_modify(|state| state.accepted += 1);
        let number = state.borrow().accepted;
        let (mut cut, state) = (state.subscribe(), state.subscribe());
        connections.spawn(async move {
            tokio::select! {
                _ = cut.wait_for(|state| state.cut >= number) => Ok(()),
                passed = pass(program, server, number, state) => passed,
            }
        });
    }
}

async fn pass(program: TcpStream, server: SocketAddr, number: u64, state: watch::Receiver<State>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    program.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_program, to_program), (from_server, to_server)) = (program.into_split(), server.into_split());
    // An error of one way ends both.
    tokio::try_join!(
        pump(from_program, to_server, Way::ToServer, number, state.clone()),
        pump(from_server, to_program, Way::ToProgram, number, state),
    )?;
    Ok(())
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    number: u64,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if way == Way::ToServer {
            let delay = state.borrow().delay;
            sleep(delay).await;
        }
        // The sender goes with the proxy only.
        state.wait_for(|state| state.held[way as usize] < number).await.ok();
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
