use kefu_messages::rules::Action;
use kefu_program::config;

use super::*;
use crate::testing::seconds;

/// The webhooks of two rules.
fn endpoints() -> [Endpoint; 2] {
    let (config, _folder) = crate::testing::config(
        "[webhook]\nsecret = \"a secret of the shop\"\n\
         [[rule]]\nwhen = { type = \"voice\" }\nwebhook = { url = \"http://127.0.0.1:1/a\" }\n\
         [[rule]]\nwhen = { type = \"video\" }\nwebhook = { url = \"http://127.0.0.1:1/b\" }",
    );
    let config: &config::Config = &config;
    let rules = config.rules.current();
    let mut endpoints = rules.iter().filter_map(|rule| match rule.action() {
        Action::Webhook(endpoint) => Some(endpoint.clone()),
        _ => None,
    });
    [endpoints.next().unwrap(), endpoints.next().unwrap()]
}

fn key(id: usize) -> MessageKey {
    MessageKey::of_send("wx1", &id.to_string())
}

fn fail(breakers: &Breakers, endpoint: &Endpoint, message: usize) -> bool {
    breakers.permit(endpoint).ok().unwrap().failed(&key(message), "no answer", Duration::ZERO)
}

fn opened(endpoint: &Endpoint) -> Breakers {
    let breakers = Breakers::new(100);
    for message in 1..=5 {
        assert_eq!(fail(&breakers, endpoint, message), message == 5, "{message}");
    }
    breakers
}

#[tokio::test(start_paused = true)]
async fn it_opens_when_several_messages_fail_in_a_row_and_for_no_other_endpoint() {
    let [failing, other] = endpoints();
    let breakers = opened(&failing);
    assert_eq!(breakers.permit(&failing).err(), Some(FIRST_PAUSE));
    assert!(breakers.permit(&other).is_ok());
    assert_eq!(breakers.in_words().unwrap(), "no answers since 0 s: no answer");
}

#[tokio::test(start_paused = true)]
async fn one_message_alone_does_not_open_it_and_an_answer_in_between_counts() {
    let [endpoint, _] = endpoints();
    let breakers = Breakers::new(100);
    for _ in 0..50 {
        assert!(!fail(&breakers, &endpoint, 1));
    }
    for message in 2..=4 {
        assert!(!fail(&breakers, &endpoint, message));
    }
    breakers.permit(&endpoint).ok().unwrap().answered();
    assert!(!fail(&breakers, &endpoint, 5));
    assert_eq!(breakers.in_words(), None);
}

#[tokio::test(start_paused = true)]
async fn with_a_small_prefetch_it_opens_sooner() {
    let [endpoint, _] = endpoints();
    for (prefetch, messages) in [(1, 1), (3, 3), (4, 4), (5, 5), (16, 5), (2_000, 5)] {
        let breakers = Breakers::new(prefetch);
        let opened = (1..=messages).map(|message| fail(&breakers, &endpoint, message)).collect::<Vec<_>>();
        assert_eq!(opened.iter().position(|open| *open), Some(messages - 1), "{prefetch}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_probes_at_a_time_and_ever_less_often_until_one_is_answered() {
    let [endpoint, _] = endpoints();
    let breakers = opened(&endpoint);
    for (wait, next) in [(5, 10), (10, 20), (20, 30), (30, 30)] {
        assert_eq!(breakers.permit(&endpoint).err(), Some(seconds(wait)));
        tokio::time::advance(seconds(wait)).await;
        let probe = breakers.permit(&endpoint).ok().unwrap();
        assert_eq!(breakers.permit(&endpoint).err(), Some(seconds(wait)), "another probes");
        assert!(probe.failed(&key(9), "no answer", Duration::ZERO));
        assert_eq!(breakers.permit(&endpoint).err(), Some(seconds(next)));
    }
    tokio::time::advance(seconds(30)).await;
    breakers.permit(&endpoint).ok().unwrap().answered();
    assert!(breakers.permit(&endpoint).is_ok() && breakers.in_words().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_wants_no_call_for_a_while_is_not_probed_meanwhile() {
    let [endpoint, _] = endpoints();
    let breakers = opened(&endpoint);
    tokio::time::advance(FIRST_PAUSE).await;
    assert!(breakers.permit(&endpoint).ok().unwrap().failed(&key(9), "busy", seconds(600)));
    assert_eq!(breakers.permit(&endpoint).err(), Some(seconds(600)));
    tokio::time::advance(seconds(600)).await;
    assert!(breakers.permit(&endpoint).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_broken_off_leaves_it_to_the_next() {
    let [endpoint, _] = endpoints();
    let breakers = opened(&endpoint);
    tokio::time::advance(FIRST_PAUSE).await;
    drop(breakers.permit(&endpoint));
    assert!(breakers.permit(&endpoint).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_it_opened_neither_probes_nor_lengthens_the_pause() {
    let [endpoint, _] = endpoints();
    let breakers = Breakers::new(1);
    let [first, second, third] = [1, 2, 3].map(|_| breakers.permit(&endpoint).ok().unwrap());
    assert!(first.failed(&key(1), "no answer", Duration::ZERO));
    assert!(second.failed(&key(2), "no answer", Duration::ZERO));
    assert_eq!(breakers.permit(&endpoint).err(), Some(FIRST_PAUSE));
    third.answered();
    assert!(breakers.permit(&endpoint).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_no_rule_has_any_more_is_forgotten_in_the_end() {
    let [endpoint, _] = endpoints();
    let breakers = opened(&endpoint);
    tokio::time::advance(seconds(3_700)).await;
    assert!(breakers.in_words().is_some());
    tokio::time::advance(REMEMBERED).await;
    assert_eq!(breakers.in_words(), None);
}
