//! WeChat's pushing side: distinct text pushes, safe mode, XML, each signed and encrypted before the clock starts.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kefu_harness::wechat::{Account, Format, Message, Mode};
use serde::Deserialize;
use serde_json::json;

use super::http::Connection;

/// WeChat waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// The callback's host and port.
    address: String,
    token: String,
    encoding_aes_key: String,
    /// Accounts `wx` and 16 hex digits, from 0. A user writes to one of them.
    accounts: u64,
    /// Users write in turn.
    users: u64,
    pushes: u64,
    /// How many pushes of the same users came before, in earlier loads.
    offset: u64,
    connections: usize,
    /// Open loop: a push is due at its time, whether or not answers come. Without a rate each connection sends its next push
    /// after an answer.
    per_second: Option<f64>,
    /// The MsgId of the push before which none came. The other numbers follow.
    first: u64,
}

/// One push, as bytes on the wire.
type Request = Vec<u8>;

/// Which push of a user may be sent: the next one waits until the former one is answered, so that their order is certain.
#[derive(Default)]
struct Turn {
    next: Mutex<u64>,
    changed: Condvar,
}

/// What one connection has seen.
#[derive(Default)]
struct Seen {
    /// From when the push was sent, or due, to its answer `success`.
    answered_ms: Vec<f64>,
    /// Other answers, and faults of the connection.
    refused: BTreeMap<String, u64>,
}

pub(crate) fn run(order: &Order) -> anyhow::Result<()> {
    let requests: Vec<Request> =
        (order.offset..order.offset + order.pushes).map(|number| order.request(number)).collect();
    println!("ready");
    let told = io::stdin().lock().read_line(&mut String::new()).context("standard input")?;
    ensure!(told > 0, "nobody said when to start");
    let turns: Vec<Turn> = (0..order.users).map(|_| Turn::default()).collect();
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let seen: Vec<Seen> = thread::scope(|scope| {
        let connections = (0..order.connections).map(|_| scope.spawn(|| order.work(&requests, &turns, &next, started)));
        let connections: Vec<_> = connections.collect();
        connections.into_iter().filter_map(|connection| connection.join().ok()).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut answered_ms = Vec::new();
    for connection in seen {
        answered_ms.extend(connection.answered_ms);
        connection.refused.into_iter().for_each(|(what, count)| *refused.entry(what).or_default() += count);
    }
    answered_ms.sort_by(f64::total_cmp);
    let success = answered_ms.len();
    let at = |share: f64| answered_ms.get((share * success as f64) as usize).or(answered_ms.last());
    let report = json!({
        "pushes": order.pushes, "success": success, "refused": refused, "seconds": seconds,
        "per_second": success as f64 / seconds, "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": answered_ms.last(),
    });
    writeln!(io::stdout(), "{report}").context("nobody reads the report")
}

impl Order {
    fn request(&self, number: u64) -> Request {
        let (user, turn, id) = (number % self.users, number / self.users, self.first + number);
        let account = Account {
            appid: format!("wx{:016x}", user % self.accounts),
            secret: String::new(),
            token: self.token.clone(),
            encoding_aes_key: self.encoding_aes_key.clone(),
            mode: Mode::Safe,
        };
        let text = format!("第 {} 条：请问订单 {id} 的物流到哪里了？", turn + 1);
        let message = Message::of_type(&format!("oUser{user:08}"), "text").text_field("Content", &text);
        let push = account.push(Format::Xml, &message.number_field("MsgId", id));
        // Nothing in the query needs an escape.
        let query: Vec<String> = push.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let head = format!(
            "POST /push/{}?{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\nContent-Type: text/xml\r\n\
             Content-Length: {}\r\n\r\n",
            account.appid,
            query.join("&"),
            self.address,
            push.body.len(),
        );
        [head.as_bytes(), &push.body].concat()
    }

    fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Connection::new(stream)
    }

    fn work(&self, requests: &[Request], turns: &[Turn], next: &AtomicUsize, started: Instant) -> Seen {
        let (mut seen, mut connection) = (Seen::default(), None);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = requests.get(number) else { return seen };
            let begun = match self.per_second {
                Some(rate) => {
                    let due = started + Duration::from_secs_f64(number as f64 / rate);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    due
                }
                None => Instant::now(),
            };
            let turn = &turns[number % turns.len()];
            turn.wait_for((number / turns.len()) as u64);
            let answer = self.exchange(&mut connection, request);
            turn.pass_on();
            match answer {
                Ok(None) => seen.answered_ms.push(begun.elapsed().as_secs_f64() * 1_000.0),
                Ok(Some(other)) => *seen.refused.entry(other).or_default() += 1,
                Err(error) => {
                    connection = None;
                    *seen.refused.entry(error.to_string()).or_default() += 1;
                }
            }
        }
    }

    /// Sends one push; `None` when the answer is `success`.
    fn exchange(&self, connection: &mut Option<Connection>, request: &[u8]) -> io::Result<Option<String>> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.connect()?),
        };
        connection.send(request)?;
        let answer = connection.receive()?.ok_or(io::ErrorKind::ConnectionReset)?;
        let is_success = answer.first.starts_with("HTTP/1.1 200") && answer.body == b"success";
        Ok((!is_success).then(|| format!("{} {:.40}", answer.first, String::from_utf8_lossy(&answer.body))))
    }
}

impl Turn {
    fn wait_for(&self, mine: u64) {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(next, |next| *next != mine));
    }

    fn pass_on(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }
}
