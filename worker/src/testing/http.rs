//! A server that takes one connection at a time and answers with given bytes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// Serves one request on a loopback port: reads the whole request, writes `answer` and closes. The handle gives the
/// request.
pub(crate) async fn serve_once(answer: Vec<u8>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { exchange(&listener, &answer).await }))
}

/// Serves all requests in the same way, one after the other, and gives each to the receiver, until the receiver is
/// dropped.
pub(crate) async fn serve(answer: Vec<u8>) -> (SocketAddr, UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, received) = unbounded_channel();
    tokio::spawn(async move { while requests.send(exchange(&listener, &answer).await).is_ok() {} });
    (address, received)
}

async fn exchange(listener: &TcpListener, answer: &[u8]) -> Vec<u8> {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !is_whole(&request) {
        let count = socket.read_buf(&mut request).await.unwrap();
        assert!(count > 0, "the request is cut off");
    }
    socket.write_all(answer).await.unwrap();
    socket.shutdown().await.unwrap();
    request
}

fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let headers = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    request.len() >= head + 4 + length.unwrap_or_default()
}
