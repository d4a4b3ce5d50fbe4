//! Rightly signed requests that are not of now.

use std::time::{SystemTime, UNIX_EPOCH};

use kefu_harness::wechat::vectors::vectors;
use kefu_harness::wechat::{Account, Format, Message, Mode, PushRequest, field};

use super::{Ingress, USER, assert_refused, assert_success};

const HOUR: i64 = 3_600;

fn in_hours(hours: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.checked_add_signed(hours * HOUR).unwrap().to_string()
}

/// Timestamps that are not of now, whatever the clocks.
fn stale() -> Vec<String> {
    let mut stale: Vec<String> = [-7 * 24, -25, 25, 7 * 24].map(in_hours).into();
    stale.extend(["", "0", "soon", "1e9", "99999999999999999999"].map(str::to_owned));
    stale.push(format!("+{}", in_hours(0)));
    stale.push(format!("{}.5", in_hours(0)));
    stale
}

#[tokio::test]
async fn a_push_or_a_check_of_the_url_from_another_day_is_refused_before_it_is_stored() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let push = account.push(Format::Xml, &Message::text(USER, "of another day"));
        for timestamp in stale() {
            let case = format!("{timestamp:?} in {:?} mode", account.mode);
            let late = account.signed_at(push.clone(), &timestamp);
            assert_refused(&ingress.pushes.send(&account.appid, &late).await, 401, &case);
            let check = account.signed_at(account.verification("7531"), &timestamp);
            let answer = ingress.pushes.verify(&account.appid, &check).await;
            assert_refused(&answer, 401, &case);
            assert!(!answer.body.contains("7531"), "{case}: {answer:?}");
        }
        for hours in [-23, 23] {
            let message = Message::text(USER, "of these days");
            let push = account.signed_at(account.push(Format::Json, &message), &in_hours(hours));
            assert_success(&ingress.pushes.send(&account.appid, &push).await, &format!("{hours} h"));
            let check = account.signed_at(account.verification("7531"), &in_hours(hours));
            assert_eq!(ingress.pushes.verify(&account.appid, &check).await.body, "7531");
        }
    }
    ingress.stores(6).await;
    let refused = (accounts.len() * stale().len()) as f64;
    for kind in ["push", "verify"] {
        let metric = format!(r#"kefu_ingress_answers_total{{kind="{kind}",outcome="stale"}}"#);
        assert_eq!(ingress.program.metric(&metric).await, refused, "{kind}");
    }
    let log = ingress.program.output();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("check the clock")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("is 168 h behind this machine's clock"), "{warnings:?}");
    assert!(warnings[0].contains("push or check of the URL"), "{warnings:?}");
    let others: Vec<&str> = log.lines().filter(|line| line.contains("is not a number of seconds")).collect();
    assert!(others.len() == 1 && others[0].contains("which other program has the Token"), "{others:?}");
    assert!(!others[0].contains("clock"), "{others:?}");
}

#[tokio::test]
async fn a_strangers_timestamp_says_nothing_of_the_clock() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let stranger = Account { token: "of-somebody-else".to_owned(), ..account.clone() };
        for timestamp in stale() {
            let push = stranger.signed_at(stranger.push(Format::Json, &Message::text(USER, "hi")), &timestamp);
            assert_refused(&ingress.pushes.send(&account.appid, &push).await, 401, &timestamp);
            let check = stranger.signed_at(stranger.verification("1"), &timestamp);
            assert_refused(&ingress.pushes.verify(&account.appid, &check).await, 401, &timestamp);
        }
    }
    let expected = (accounts.len() * stale().len()) as f64;
    for kind in ["push", "verify"] {
        let metric = format!(r#"kefu_ingress_answers_total{{kind="{kind}",outcome="unauthenticated"}}"#);
        assert_eq!(ingress.program.metric(&metric).await, expected, "{kind}");
    }
    assert!(!ingress.program.output().contains("check the clock"));
}

#[tokio::test]
async fn wechats_own_example_is_of_another_day_and_taken_when_it_is_signed_today() {
    let example = vectors().vectors.into_iter().find(|vector| vector.id == "official-doc-json-push").unwrap();
    let account = Account {
        appid: example.appid.unwrap(),
        token: example.token,
        encoding_aes_key: example.encoding_aes_key.unwrap(),
        ..Account::random(Mode::Safe)
    };
    let ingress = Ingress::start(&[&account]).await;
    let today = account.push_ciphertext(Format::Json, &example.encrypt);
    let then: PushRequest =
        account.signed_at(today.clone().with_parameter("nonce", &example.nonce), &example.timestamp);
    assert_eq!(then.parameter("msg_signature"), example.msg_signature.as_deref(), "as it is documented");
    assert_eq!(field(&String::from_utf8(then.body.clone()).unwrap(), "Encrypt"), Some(example.encrypt));
    assert_refused(&ingress.pushes.send(&account.appid, &then).await, 401, "signed in 2024");
    ingress.program.counts(r#"kefu_ingress_answers_total{kind="push",outcome="stale"}"#, 1).await;
    assert_success(&ingress.pushes.send(&account.appid, &today).await, "signed today");
    ingress.stores(1).await;
}
