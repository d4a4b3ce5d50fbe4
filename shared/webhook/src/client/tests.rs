use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use kefu_messages::testing::envelope;
use kefu_runtime::Class;
use kefu_runtime::testing::serve_one;
use tokio::net::TcpListener;

use super::*;
use crate::Media;

/// A service that answers each request (head and body in one text) by `answer`; and the requests that it received.
async fn service(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let answer = |request: &[u8]| {
                let request = std::str::from_utf8(request).unwrap();
                requests.lock().unwrap().push(request.to_owned());
                answer(request).into_bytes()
            };
            serve_one(&listener, answer).await;
        }
    });
    (address, seen)
}

const TURN: Duration = Duration::from_secs(5);

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn settings() -> Settings {
    Settings { secret: Some("a secret of the shop".into()), ..Settings::default() }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint { url: Url::parse(url).unwrap(), timeout: None, sync: false, media: false }
}

#[tokio::test]
async fn the_sources_of_a_refused_connection_reach_the_systems_error_and_show_no_secret() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = ask(&settings(), &format!("http://user:hunter2@{address}/hook?token=hunter2")).await.err().unwrap();
    assert_eq!(failure.class(), Class::Transient);
    let (mut next, mut system): (Option<&dyn Error>, _) = (Some(&failure), None);
    while let Some(error) = next {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("oANNA"), "{shown}");
        system = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        next = error.source();
    }
    assert_eq!(system, Some(std::io::ErrorKind::ConnectionRefused));
}

async fn ask(settings: &Settings, url: &str) -> Result<Answer, Failure> {
    let question = Question::new(&envelope("oANNA", 1), Media::None);
    Webhooks::new(settings).unwrap().ask(&endpoint(url), &question, TURN).await
}

fn refusal(result: Result<Answer, Failure>) -> String {
    match result {
        Err(Failure::Refused(error)) => error.to_string(),
        other => panic!("not refused: {:?}", other.map(|answer| answer.status)),
    }
}

#[tokio::test]
async fn the_envelope_is_posted_with_its_signature() {
    let (address, seen) = service(|_| answer(200, "", "{}")).await;
    assert_eq!(ask(&settings(), &format!("http://{address}/kefu?x=1")).await.unwrap().body, b"{}");
    let request = seen.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.as_bytes(), envelope("oANNA", 1).to_json_with_raw());
    assert!(head.starts_with("POST /kefu?x=1 HTTP/1.1"), "{head}");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
    let timestamp: u64 = header("kefu-timestamp").parse().unwrap();
    assert!(clock::now_ms() / 1_000 - timestamp <= 60);
    assert_eq!(header("kefu-signature"), sign(&"a secret of the shop".into(), timestamp, body.as_bytes()));
    assert_eq!(header("kefu-message"), envelope("oANNA", 1).key.digest());
    assert_eq!(header("content-type"), "application/json");
}

#[tokio::test]
async fn a_name_that_leads_to_metadata_is_refused_before_anything_is_sent() {
    let lookup: Lookup =
        Arc::new(|_| std::future::ready(Ok(vec![SocketAddr::from(([169, 254, 169, 254], 0))])).boxed());
    let webhooks = Webhooks::with_lookup(&settings(), lookup).unwrap();
    let question = Question::new(&envelope("oANNA", 1), Media::None);
    let endpoint = endpoint("http://metadata.example/latest?token=HUSH");
    let refused = refusal(webhooks.ask(&endpoint, &question, TURN).await);
    assert!(refused.contains("the webhook at metadata.example: its address is link-local"), "{refused}");
    assert!(!refused.contains("HUSH") && !refused.contains("latest"), "{refused}");
    let refused = refusal(ask(&settings(), "http://[::ffff:169.254.169.254]/").await);
    assert!(refused.contains("allow_link_local"), "{refused}");
}

#[tokio::test]
async fn redirects_are_refused_unless_allowed_and_then_followed_with_the_same_body() {
    let (address, seen) = service(|request| match request.split_whitespace().nth(1) {
        Some("/there") => answer(204, "", ""),
        Some("/found") => answer(302, "location: /there\r\n", ""),
        Some("/nowhere") => answer(307, "", ""),
        Some("/file") => answer(307, "location: file:///etc/passwd\r\n", ""),
        Some("/tls") => answer(307, "location: https://127.0.0.1/there\r\n", ""),
        Some("/metadata") => answer(307, "location: http://169.254.169.254/latest\r\n", ""),
        Some("/loop") => answer(308, "location: /loop\r\n", ""),
        _ => answer(307, "location: /there\r\n", ""),
    })
    .await;
    let url = |path: &str| format!("http://{address}{path}");
    let refused = refusal(ask(&settings(), &url("/moved")).await);
    assert!(refused.contains("HTTP status 307") && refused.contains("allow_redirects"), "{refused}");
    assert_eq!(seen.lock().unwrap().len(), 1);

    let allowed = Settings { allow_redirects: true, ..settings() };
    assert_eq!(ask(&allowed, &url("/moved")).await.unwrap().status, 204);
    let (first, second) = match &seen.lock().unwrap()[1..] {
        [first, second] => (first.clone(), second.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(first.split_once("\r\n\r\n").unwrap().1, second.split_once("\r\n\r\n").unwrap().1);
    assert!(second.starts_with("POST /there"), "{second}");
    for (path, why) in [
        ("/found", "HTTP status 302"),
        ("/nowhere", "to no address"),
        ("/file", "another scheme, host or port"),
        ("/tls", "another scheme, host or port"),
        ("/metadata", "another scheme, host or port"),
        ("/loop", "more than 3 times"),
    ] {
        let refused = refusal(ask(&allowed, &url(path)).await);
        assert!(refused.contains(why), "{path}: {refused}");
    }
}

#[tokio::test]
async fn nothing_is_posted_to_another_origin_than_the_rules() {
    let (elsewhere, seen_elsewhere) = service(|_| answer(204, "", "")).await;
    let (address, seen) = service(move |_| answer(307, &format!("location: http://{elsewhere}/there\r\n"), "")).await;
    let allowed = Settings { allow_redirects: true, ..settings() };
    let refused = refusal(ask(&allowed, &format!("http://{address}/")).await);
    assert!(refused.contains("another scheme, host or port") && !refused.contains("/there"), "{refused}");
    assert_eq!((seen.lock().unwrap().len(), seen_elsewhere.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_status_passes_or_is_a_refusal() {
    for (status, expected) in [
        (400, "refused"),
        (401, "refused"),
        (404, "refused"),
        (408, "failed"),
        (410, "refused"),
        (425, "failed"),
        (429, "failed"),
        (500, "failed"),
        (503, "failed"),
    ] {
        let (address, _) = service(move |_| answer(status, "retry-after: 7\r\n", "x")).await;
        let failure = ask(&settings(), &format!("http://{address}/")).await.map(|answer| answer.status).unwrap_err();
        assert_eq!(failure.label(), expected, "{status}");
        if let Failure::Passing { retry_after, .. } = failure {
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{status}");
        }
    }
}

#[tokio::test]
async fn a_service_is_left_alone_for_a_day_at_most() {
    for (retry_after, expected) in [(" 86400 ", Some(86_400)), ("86401", Some(86_400)), ("soon", None)] {
        let (address, _) = service(move |_| answer(503, &format!("retry-after: {retry_after}\r\n"), "")).await;
        let failure = ask(&settings(), &format!("http://{address}/")).await.map(|answer| answer.status).unwrap_err();
        let Failure::Passing { retry_after: found, .. } = failure else { panic!("{failure}") };
        assert_eq!(found, expected.map(Duration::from_secs), "{retry_after:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_passes_and_one_without_end_is_refused() {
    let (address, _) = service(|_| "HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{\"replies\"".to_owned()).await;
    let failure = ask(&settings(), &format!("http://{address}/")).await.map(|answer| answer.status).unwrap_err();
    assert!(failure.label() == "failed" && failure.to_string().contains("cut off"), "{failure}");
    let (address, _) = service(|_| answer(200, "", &"x".repeat(300 * 1024))).await;
    let refused = refusal(ask(&settings(), &format!("http://{address}/")).await);
    assert!(refused.contains("more than 256 KiB"), "{refused}");
}
