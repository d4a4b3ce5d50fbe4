//! Slashes too many in the callback URL, which consoles and proxies add. WeChat follows no redirect.

use kefu_harness::process::Role;
use kefu_harness::wechat::{Client, Format, Message, Mode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Ingress, USER, assert_refused, assert_success, read_to_end};

/// What stands before and behind `push`, and before and behind the appid.
const PLACES: [[&str; 3]; 6] =
    [["/", "/", "/"], ["//", "/", ""], ["/", "//", ""], ["//", "//", "//"], ["/", "/", "///"], ["///", "///", ""]];

/// A client that puts the slashes before `push`, and the rest of the path.
fn placed(ingress: &Ingress, appid: &str, [before, between, behind]: [&str; 3]) -> (Client, String) {
    // The client's own URL is BASE/push/APPID.
    let base = format!("{}{}", ingress.program.url(Role::Public), before.strip_prefix('/').unwrap());
    (Client::new(base), format!("{}{appid}{behind}", between.strip_prefix('/').unwrap()))
}

#[tokio::test]
async fn slashes_too_many_in_the_callback_url_change_nothing() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let push = account.push(Format::Xml, &Message::text(USER, "hi"));
        for place in PLACES {
            let (client, path) = placed(&ingress, &account.appid, place);
            let url = client.url(&path);
            // An echostr with slashes: the query is as it was signed.
            let check = account.verification("12345//67890/");
            let answer = client.verify(&path, &check).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "12345//67890/"), "{url}");
            assert_eq!(client.verify(&path, &check.with_parameter("timestamp", "1")).await.status, 401, "{url}");
            assert_success(&client.send(&path, &push).await, &url);

            let (client, path) = placed(&ingress, "wx0000000000000000", place);
            assert_refused(&client.send(&path, &push).await, 404, &url);
            assert_eq!(client.verify(&path, &account.verification("1")).await.status, 404, "{url}");
        }
    }
    // The pushes of one account are copies of one.
    ingress.stores(accounts.len() as u64).await;
}

#[tokio::test]
async fn other_methods_are_told_which_there_are_at_paths_with_slashes_too_many() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for place in PLACES {
        let (client, path) = placed(&ingress, &account.appid, place);
        let answer = http.put(client.url(&path)).body("x").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "GET, POST"));
    }
}

#[tokio::test]
async fn slashes_do_not_make_a_path_of_what_is_none() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let push = account.push(Format::Xml, &Message::text(USER, "hi"));
    let client = Client::new(ingress.program.url(Role::Public));
    // An encoded slash is part of a name; a part too many is one.
    for path in ["", "/", "%2F", &format!("%2F{}", account.appid), &format!("{}%2F", account.appid)] {
        assert_refused(&client.send(path, &push).await, 404, path);
    }
    assert_refused(&client.send(&format!("x/{}", account.appid), &push).await, 404, "a part between");
    assert_refused(&client.send(&format!("{}/x", account.appid), &push).await, 404, "a part behind");
}

#[tokio::test]
async fn a_request_that_says_the_whole_url_is_the_same() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let check = account.verification("123");
    let query: Vec<String> = check.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (appid, query) = (&account.appid, query.join("&"));
    let mut connection = TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap();
    let request =
        format!("GET http://kefu//push//{appid}/?{query} HTTP/1.1\r\nhost: kefu\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n123"), "{answer}");
}

#[tokio::test]
async fn slashes_too_many_change_nothing_on_the_internal_port() {
    let (ingress, _) = Ingress::in_mode(Mode::Plain).await;
    for path in ["/livez/", "//livez", "/readyz/", "//readyz//", "/metrics/", "//metrics"] {
        assert_eq!(ingress.program.ask(path).await.0, 200, "{path}");
    }
    assert_eq!(ingress.program.ask("/").await.0, 404);
}
