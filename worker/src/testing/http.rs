//! A server that takes one connection at a time and answers with given bytes.

use std::net::SocketAddr;

use kefu_runtime::testing::serve_one;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// An answer with status 200 and this body, after which the server closes.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Serves one request on a loopback port: reads the whole request, writes `answer` and closes. The handle gives the
/// request.
pub(crate) async fn serve_once(answer: Vec<u8>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { serve_one(&listener, |_| answer).await }))
}

/// Serves all requests in the same way, one after the other, and gives each to the receiver, until the receiver is
/// dropped.
pub(crate) async fn serve(answer: Vec<u8>) -> (SocketAddr, UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, received) = unbounded_channel();
    tokio::spawn(async move { while requests.send(serve_one(&listener, |_| answer.clone()).await).is_ok() {} });
    (address, received)
}
