use std::net::SocketAddr;

use kefu_runtime::in_words;

use super::*;
use crate::testing::PNG;
use crate::testing::http::serve_once;
use crate::wechat::answer::Answer;

fn transport(address: SocketAddr, timeout: Duration) -> HttpTransport {
    let (config, _folder) = crate::testing::config("");
    let config = config::WeChat { api_base: format!("http://{address}"), timeout, ..config.wechat.clone() };
    HttpTransport::new(&config).unwrap()
}

fn call(body: Body) -> Call {
    Call { path: "/cgi-bin/x", query: vec![("access_token", SecretString::from("SECRET+/&TOKEN"))], body }
}

/// Makes one call to a server that answers with `answer`. Returns the result, and the request as text.
async fn exchange(answer: &[u8], body: Body) -> (Result<Raw, Failure>, String) {
    let (address, server) = serve_once(answer.to_vec()).await;
    let result = transport(address, Duration::from_secs(10)).call(call(body)).await;
    (result, String::from_utf8_lossy(&server.await.unwrap()).into_owned())
}

#[tokio::test]
async fn json_is_posted_with_the_query_encoded() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; encoding=utf-8\r\ncontent-length: 13\r\n\r\n{\"errcode\":0}";
    let (result, request) = exchange(answer, Body::Json("{\"a\":\"您\"}".into())).await;
    let raw = result.unwrap();
    assert_eq!((raw.status, raw.body.as_slice()), (200, &b"{\"errcode\":0}"[..]));
    assert!(request.starts_with("POST /cgi-bin/x?access_token=SECRET%2B%2F%26TOKEN HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("content-type: application/json\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":\"您\"}"), "{request}");
}

#[tokio::test]
async fn a_call_without_a_body_is_a_get() {
    let (result, request) = exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Body::None).await;
    assert_eq!(result.unwrap().status, 200);
    assert!(request.starts_with("GET /cgi-bin/x?"), "{request}");
}

#[tokio::test]
async fn a_picture_goes_out_with_file_name_type_and_length() {
    let picture = Picture { content: PNG.to_vec(), format: PictureFormat::Png };
    let (_, request) = exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Body::Picture(picture)).await;
    let lower = request.to_lowercase();
    assert!(lower.contains("content-type: multipart/form-data; boundary="), "{request}");
    assert!(lower.contains("content-length: ") && !lower.contains("transfer-encoding"), "{request}");
    assert!(lower.contains("content-disposition: form-data; name=\"media\"; filename=\"image.png\""), "{request}");
    assert!(lower.contains("content-type: image/png\r\n\r\n"), "{request}");
    assert!(request.contains("PNG\r\n\u{1a}\n and so on\r\n--"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(exchange(answer, Body::None).await.0.unwrap().status, 302);
}

#[tokio::test]
async fn a_body_that_is_cut_off_gives_what_came() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"errcode\":0,\"er";
    assert_eq!(exchange(answer, Body::None).await.0.unwrap().body, b"{\"errcode\":0,\"er");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(MAX_ANSWER_BYTES + 100, b'x');
    let (address, _server) = serve_once(answer).await;
    let raw = transport(address, Duration::from_secs(10)).call(call(Body::None)).await.unwrap();
    assert_eq!((raw.body.len(), raw.extent), (0, Extent::TooLarge));
    let answer = Answer::read(&raw);
    assert!(matches!(answer, Err(Failure::Unanswered(_))), "{answer:?}");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_leaves_the_outcome_open() {
    let failure = exchange(b"", Body::Json("{}".into())).await.0.unwrap_err();
    assert!(matches!(failure, Failure::Unanswered(_)), "{failure:?}");
    let text = format!("{} {failure:?}", in_words(&failure));
    assert!(!text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_the_outcome_open() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = transport(listener.local_addr().unwrap(), Duration::from_millis(200));
    let failure = transport.call(call(Body::Json("{}".into()))).await.unwrap_err();
    assert!(matches!(failure, Failure::Unanswered(_)), "{failure:?}");
    let text = format!("{} {failure:?}", in_words(&failure));
    assert!(!text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_written() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = transport(address, Duration::from_secs(10)).call(call(Body::None)).await.unwrap_err();
    assert!(matches!(failure, Failure::Passing(_)), "{failure:?}");
    let text = in_words(&failure);
    assert!(text.contains("refused") && !text.contains("SECRET") && !text.contains("cgi-bin"), "{text}");
}
