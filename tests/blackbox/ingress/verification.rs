//! WeChat's check of the URL.

use kefu_harness::process::Role;
use kefu_harness::wechat::{Account, Mode};

use super::Ingress;

#[tokio::test]
async fn echostr_is_echoed_only_to_who_knows_the_token() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let request = account.verification("1234567890123456789");
        let answer = ingress.pushes.verify(&account.appid, &request).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "1234567890123456789"));

        let stranger = Account { token: "another".to_owned(), ..account.clone() };
        let bad = [
            stranger.verification("1"),
            request.clone().with_parameter("timestamp", "1"),
            request.clone().with_parameter("signature", ""),
            request.clone().with_parameter("signature", &request.parameter("signature").unwrap().to_uppercase()),
            request.clone().without_parameter("signature"),
            request.clone().without_parameter("timestamp"),
            request.clone().without_parameter("nonce"),
            request.clone().without_parameter("echostr"),
        ];
        let mut answers = Vec::new();
        for request in bad {
            let answer = ingress.pushes.verify(&account.appid, &request).await;
            assert_eq!(answer.status, 401, "{request:?}");
            assert!(!answer.body.contains('1'), "{answer:?}");
            answers.push(answer.body);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "the answers tell reasons apart: {answers:?}");
    }
    assert!(!ingress.program.output().contains(&accounts[0].token), "the Token is in the log");
}

#[tokio::test]
async fn an_account_that_is_not_configured_is_not_found() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let answer = ingress.pushes.verify("wx0000000000000000", &account.verification("1")).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::OPTIONS] {
        let url = format!("{}/push/{}", ingress.program.url(Role::Public), account.appid);
        let answer = client.request(method, url).body("x").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "GET, POST"));
    }
}
