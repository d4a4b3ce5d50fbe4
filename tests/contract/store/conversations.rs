use std::time::Duration;

use kefu_store::{Exchange, Stores};

use super::{CROWD, LONG, SHORT, key, session, somebody};
use crate::clock::Lasting;

/// More than any of these tests remembers.
const MANY: usize = 1_000;

fn exchange(number: &str) -> Exchange {
    Exchange { asked: format!("question {number}"), answered: format!("answer {number}") }
}

/// The exchange `number` of a message of the same number.
async fn remember(stores: &Stores, number: &str, most: usize, keep_for: Duration) {
    let remembered = stores.conversations.remember(&somebody(), &key(number), &exchange(number), most, keep_for).await;
    remembered.unwrap();
}

/// The questions of the user's conversation.
async fn recalled(stores: &Stores) -> Vec<String> {
    let exchanges = stores.conversations.recall(&somebody()).await.unwrap();
    exchanges.into_iter().map(|exchange| exchange.asked).collect()
}

pub(super) async fn a_user_who_never_asked_has_no_conversation(stores: &Stores) {
    assert_eq!(recalled(stores).await, [""; 0]);
}

pub(super) async fn exchanges_come_back_in_order_and_as_they_were(stores: &Stores) {
    let odd = Exchange { asked: "a \"b\" \\ \0 \n 您好 👋 0 1f".into(), answered: String::new() };
    stores.conversations.remember(&somebody(), &key("0"), &odd, MANY, LONG).await.unwrap();
    for number in ["1", "2"] {
        remember(stores, number, MANY, LONG).await;
    }
    let found = stores.conversations.recall(&somebody()).await.unwrap();
    assert_eq!(found, [odd, exchange("1"), exchange("2")]);
    assert_eq!(recalled(stores).await.len(), 3, "reading does not consume");
}

pub(super) async fn an_exchange_is_remembered_once(stores: &Stores) {
    remember(stores, "1", MANY, LONG).await;
    remember(stores, "2", MANY, LONG).await;
    let again = Exchange { asked: "question 1".into(), answered: "something else".into() };
    stores.conversations.remember(&somebody(), &key("1"), &again, MANY, LONG).await.unwrap();
    let found = stores.conversations.recall(&somebody()).await.unwrap();
    assert_eq!(found, [exchange("1"), exchange("2")], "the first that was remembered stands, in its place");
}

pub(super) async fn no_more_than_the_last_are_kept(stores: &Stores) {
    for number in ["1", "2", "3", "4"] {
        remember(stores, number, 3, LONG).await;
    }
    assert_eq!(recalled(stores).await, ["question 2", "question 3", "question 4"]);
    remember(stores, "5", 1, LONG).await;
    assert_eq!(recalled(stores).await, ["question 5"], "a lower limit holds for those before as well");
}

pub(super) async fn each_exchange_ends_after_its_own_time(stores: &Stores) {
    let kept = Lasting::from_now(SHORT);
    remember(stores, "1", MANY, SHORT).await;
    remember(stores, "2", MANY, LONG).await;
    assert_eq!(recalled(stores).await.len(), 2);
    let is_gone = async || (recalled(stores).await == ["question 2"]).then_some(());
    kept.ended("the end of the first exchange", is_gone).await;
    remember(stores, "1", MANY, LONG).await;
    assert_eq!(recalled(stores).await, ["question 2", "question 1"], "what has ended is not in the way");
}

pub(super) async fn a_shorter_exchange_does_not_shorten_the_conversation(stores: &Stores) {
    remember(stores, "1", MANY, LONG).await;
    let kept = Lasting::from_now(SHORT);
    remember(stores, "2", MANY, SHORT).await;
    let is_gone = async || (recalled(stores).await == ["question 1"]).then_some(());
    kept.ended("the end of the second exchange", is_gone).await;
}

pub(super) async fn users_accounts_and_sub_merchants_do_not_touch_each_other(stores: &Stores) {
    remember(stores, "1", MANY, LONG).await;
    let others = [
        session("wx2", "oUser", None),
        session("wx1", "oOther", None),
        session("wx1", "oUser", Some(1)),
        session("wx1", "oUser", Some(2)),
    ];
    for other in others {
        assert!(stores.conversations.recall(&other).await.unwrap().is_empty());
        stores.conversations.remember(&other, &key("1"), &exchange("9"), 1, LONG).await.unwrap();
    }
    assert_eq!(recalled(stores).await, ["question 1"]);
}

pub(super) async fn of_many_at_once_none_is_lost(stores: &Stores) {
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let stores = stores.clone();
        // Each twice, as after a crash.
        crowd.spawn(async move { remember(&stores, &(number / 2).to_string(), MANY, LONG).await });
    }
    crowd.join_all().await;
    assert_eq!(recalled(stores).await.len(), CROWD / 2);
}
