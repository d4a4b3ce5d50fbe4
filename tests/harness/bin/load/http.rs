//! HTTP/1.1 on a blocking connection, as much of it as two programs on one machine need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A connection that lives for many messages.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    line: String,
}

/// A request or an answer.
pub(crate) struct Received {
    /// The first line, for example `HTTP/1.1 200 OK`.
    pub(crate) first: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), line: String::new() })
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(message)
    }

    /// The next message; `None` when the other side has closed the connection after the message before.
    ///
    /// # Errors
    /// When the connection breaks, or the message gives no length.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Received>> {
        if self.next_line()? == 0 {
            return Ok(None);
        }
        let first = self.line.trim_end().to_owned();
        let mut length = if first.starts_with("GET ") { Some(0) } else { None };
        loop {
            if self.next_line()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let length: usize = length.ok_or_else(|| io::Error::other("a message without a length"))?;
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok(Some(Received { first, body }))
    }

    fn next_line(&mut self) -> io::Result<usize> {
        self.line.clear();
        self.reader.read_line(&mut self.line)
    }
}
