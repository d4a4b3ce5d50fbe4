use std::net::SocketAddr;

use kefu_runtime::in_words;

use super::*;
use crate::testing;
use crate::testing::http::serve_once;

fn completions(address: SocketAddr, more: &str) -> HttpCompletions {
    let section = format!("[assistant]\nbase_url = \"http://{address}/v1/\"\nmodel = \"m\"\n{more}");
    let (config, _folder) = testing::config(&section);
    HttpCompletions::new(config.assistant.as_ref().unwrap()).unwrap()
}

/// Makes one request to a server that answers with `answer`. Returns the result, and the request as text.
async fn exchange(answer: &[u8], more: &str) -> (Result<Raw, Failure>, String) {
    let (address, server) = serve_once(answer.to_vec()).await;
    let result = completions(address, more).complete(b"{\"model\":\"m\"}".to_vec()).await;
    (result, String::from_utf8_lossy(&server.await.unwrap()).into_owned())
}

#[tokio::test]
async fn a_request_is_a_post_of_json_with_the_key_as_bearer() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (result, request) = exchange(answer, "key = \"sk-KEY\"").await;
    let raw = result.unwrap();
    assert_eq!((raw.status, raw.body.as_slice(), raw.retry_after), (200, &b"{}"[..], None));
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    let lower = request.to_lowercase();
    assert!(lower.contains("authorization: bearer sk-key\r\n") && lower.contains("content-type: application/json\r\n"));
    assert!(request.ends_with("\r\n\r\n{\"model\":\"m\"}"), "{request}");
}

#[tokio::test]
async fn without_a_key_no_authorization_is_sent() {
    let (_, request) = exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "").await;
    assert!(!request.to_lowercase().contains("authorization"), "{request}");
}

#[tokio::test]
async fn the_wait_that_the_server_asks_for_is_read_when_it_is_in_seconds() {
    for (header, seconds) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("18446744073709551615", Some(86_400)),
    ] {
        let answer = format!("HTTP/1.1 429 Too Many\r\nretry-after: {header}\r\ncontent-length: 0\r\n\r\n");
        let raw = exchange(answer.as_bytes(), "").await.0.unwrap();
        assert_eq!((raw.status, raw.retry_after), (429, seconds.map(Duration::from_secs)), "{header}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(exchange(answer, "").await.0.unwrap().status, 307);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_or_without_end_is_none() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\":[";
    assert_eq!(exchange(cut, "").await.0.unwrap_err().kind, Kind::Failed);
    assert_eq!(exchange(b"", "").await.0.unwrap_err().kind, Kind::Failed);
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(MAX_ANSWER_BYTES + 100, b'x');
    let (address, _server) = serve_once(endless).await;
    assert_eq!(completions(address, "").complete(Vec::new()).await.unwrap_err().kind, Kind::Unusable);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_fails() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = completions(address, "").complete(Vec::new()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unreachable);
    let text = in_words(&failure);
    assert!(text.contains("refused") && !text.contains("/v1") && !format!("{failure:?}").contains("/v1"), "{text}");
}

#[test]
fn debug_shows_no_answer() {
    let raw = Raw { status: 200, retry_after: None, body: "您的订单已发货".into() };
    assert_eq!(format!("{raw:?}"), "Raw { status: 200, retry_after: None, body: 21 bytes }");
}
