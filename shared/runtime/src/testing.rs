//! Helpers for the tests of several crates.

// Tests only, which end at their own first fault.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::disk::Disk;

/// Makes as many calls of the disk hang as the disk accepts, until the caller drops the returned end.
///
/// # Panics
/// When a call ends.
pub async fn hang(disk: &Disk) -> Sender<()> {
    let (end, hangs) = channel::<()>();
    let hangs = Arc::new(Mutex::new(hangs));
    // More than the disk accepts.
    for _ in 0..100 {
        let hangs = Arc::clone(&hangs);
        let work = move || Ok(hangs.lock().unwrap().recv().is_ok());
        assert!(disk.call_until(Instant::now(), work).await.is_err());
    }
    end
}

/// A log in memory. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All that was logged.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// How many lines have `part` in them.
    pub fn lines_with(&self, part: &str) -> usize {
        self.text().lines().filter(|line| line.contains(part)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes one connection and one HTTP request, answers with the bytes that `answer` gives for the request, closes the
/// connection, and returns the request.
///
/// # Panics
/// When the connection breaks before that.
pub async fn serve_one(listener: &TcpListener, answer: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !is_whole(&request) {
        assert!(socket.read_buf(&mut request).await.unwrap() > 0, "the request is cut off");
    }
    socket.write_all(&answer(&request)).await.unwrap();
    socket.shutdown().await.ok();
    request
}

fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let headers = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    request.len() >= head + 4 + length.unwrap_or_default()
}
