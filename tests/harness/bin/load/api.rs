//! WeChat's API as the worker's peers and the worker see it: a token for everybody, errcode 0 for every reply.
//!
//! The simulated WeChat of the tests keeps a journal and knows windows; that costs more than the replies. This API counts
//! replies and looks at one thing only: whether each user's replies came once and in order. A reply says the number of its
//! message as `第 N 条`.
//!
//! | route | answer |
//! |---|---|
//! | `POST /bench/reset` `{latency_ms}` | all counts are 0; every later answer to a reply takes that long |
//! | `GET /bench/tally` | `{replies, doubled, out_of_order}` |
//! | `GET /bench/times` | 101 numbers: the seconds from the first reply to the first one, to 1 % of them, …, to the last |

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Connection, Received};

#[derive(Default)]
struct Tally {
    latency: Duration,
    replies: Vec<Instant>,
    /// The number of the last message that each user got a reply to.
    last: HashMap<String, u64>,
    doubled: u64,
    out_of_order: u64,
}

#[derive(Deserialize)]
struct Reply {
    touser: String,
    text: Text,
}

#[derive(Deserialize)]
struct Text {
    content: String,
}

/// Serves until the end of standard input.
pub(crate) fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a port of loopback")?;
    println!("http://{}", listener.local_addr().context("the address")?);
    let tally: &'static Mutex<Tally> = Box::leak(Box::default());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A worker that goes away ends its connections in the middle: nobody needs to know.
            thread::spawn(move || serve(stream, tally).ok());
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).context("standard input")?;
    Ok(())
}

fn serve(stream: TcpStream, tally: &Mutex<Tally>) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(request) = connection.receive()? {
        let answer = answer(&request, tally)?;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        connection.send(&[head.as_bytes(), answer.as_bytes()].concat())?;
    }
    Ok(())
}

fn answer(request: &Received, tally: &Mutex<Tally>) -> io::Result<String> {
    let path = request.first.split(' ').nth(1).unwrap_or_default();
    Ok(match path.split('?').next().unwrap_or_default() {
        "/cgi-bin/message/custom/send" => {
            let latency = locked(tally).record(serde_json::from_slice(&request.body)?);
            thread::sleep(latency);
            r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()
        }
        "/cgi-bin/stable_token" => r#"{"access_token":"one-for-all","expires_in":7200}"#.to_owned(),
        "/bench/reset" => {
            let body: Value = serde_json::from_slice(&request.body)?;
            let latency = Duration::from_millis(body["latency_ms"].as_u64().unwrap_or(0));
            *locked(tally) = Tally { latency, ..Tally::default() };
            "{}".to_owned()
        }
        "/bench/tally" => {
            let tally = locked(tally);
            json!({ "replies": tally.replies.len(), "doubled": tally.doubled, "out_of_order": tally.out_of_order })
                .to_string()
        }
        "/bench/times" => locked(tally).times().to_string(),
        _ => r#"{"errcode":40066,"errmsg":"invalid url"}"#.to_owned(),
    })
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    /// Counts a reply, and says how long its answer takes.
    fn record(&mut self, reply: Reply) -> Duration {
        self.replies.push(Instant::now());
        let number = reply.text.content.split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
        let last = self.last.entry(reply.touser).or_default();
        match number {
            _ if number == *last => self.doubled += 1,
            _ if number != *last + 1 => self.out_of_order += 1,
            _ => {}
        }
        *last = number.max(*last);
        self.latency
    }

    fn times(&self) -> Value {
        let (Some(first), Some(end)) = (self.replies.first(), self.replies.len().checked_sub(1)) else {
            return json!([]);
        };
        let at = |percent: usize| self.replies[end * percent / 100].duration_since(*first).as_secs_f64();
        (0..=100).map(at).collect()
    }
}
