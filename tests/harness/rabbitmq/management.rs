//! RabbitMQ's HTTP API, as far as the fixtures need it: some 50 ms a call, where `rabbitmqctl` takes a second.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Broker;

/// Deleting a virtual host with 64 quorum queues takes seconds on a busy machine.
const ANSWER: Duration = Duration::from_secs(60);

/// One call, which returns status and body. It blocks, so that `Drop` can use it.
pub(super) fn call(broker: &Broker, method: &str, path: &str) -> io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(("127.0.0.1", broker.management_port))?;
    connection.set_read_timeout(Some(ANSWER))?;
    // HTTP 1.0, so that the answer comes in one piece; guest:guest, which RabbitMQ lets in from loopback only.
    let credentials = "Z3Vlc3Q6Z3Vlc3Q=";
    write!(
        connection,
        "{method} {path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Basic {credentials}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    match (status, answer.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok((status, body.to_owned())),
        _ => Err(io::Error::other(format!("no HTTP answer: {answer:?}"))),
    }
}
