use std::time::Duration;

use kefu_messages::session::UserKey;
use kefu_messages::testing::pushed;
use kefu_store::{MOST_ABSENT, Place, Stores};
use serde_json::json;

use super::{LONG, SHORT, key};
use crate::clock::Lasting;

fn user(appid: &str, openid: &str) -> UserKey {
    UserKey::of(&pushed(appid, openid, json!({ "MsgType": "text", "MsgId": 1 })))
}

fn somebody() -> UserKey {
    user("wx1", "oUser")
}

/// The message leaves its lane, `begun` after work on it began.
async fn leave(stores: &Stores, message: &str, begun: Duration) {
    stores.order.leave(&somebody(), &key(message), begun, LONG).await.unwrap();
}

async fn place(stores: &Stores, message: &str) -> Place {
    stores.order.place(&somebody(), &key(message)).await.unwrap()
}

/// Whether an earlier message is absent.
async fn waits(stores: &Stores, message: &str) -> bool {
    place(stores, message).await.earlier_begun_ago.is_some()
}

pub(super) async fn of_a_user_none_of_whose_messages_left_nobody_waits(stores: &Stores) {
    assert_eq!(place(stores, "1").await, Place::default());
    stores.order.end(&somebody(), &key("1")).await.unwrap();
    assert_eq!(place(stores, "1").await, Place::default());
}

pub(super) async fn messages_stay_in_the_order_in_which_they_left(stores: &Stores) {
    for message in ["3", "1", "2", "3", "1"] {
        leave(stores, message, Duration::ZERO).await;
    }
    assert!(!waits(stores, "3").await, "it does not wait for itself when it comes back");
    assert!(waits(stores, "1").await && waits(stores, "2").await && waits(stores, "4").await);
    assert!(place(stores, "2").await.has_left && !place(stores, "4").await.has_left);
    stores.order.end(&somebody(), &key("3")).await.unwrap();
    assert!(!waits(stores, "1").await && waits(stores, "2").await);
    stores.order.end(&somebody(), &key("1")).await.unwrap();
    assert!(!waits(stores, "2").await && waits(stores, "4").await);
    stores.order.end(&somebody(), &key("2")).await.unwrap();
    assert_eq!(place(stores, "4").await, Place::default());
}

pub(super) async fn a_message_is_as_old_as_the_work_on_it_when_it_first_left(stores: &Stores) {
    let begun = Duration::from_secs(20);
    leave(stores, "1", begun).await;
    leave(stores, "1", Duration::ZERO).await;
    let ago = place(stores, "2").await.earlier_begun_ago.unwrap();
    assert!((begun..begun + Duration::from_secs(10)).contains(&ago), "{ago:?}");
}

pub(super) async fn the_message_right_before_counts_and_no_older_one(stores: &Stores) {
    leave(stores, "1", Duration::from_secs(30)).await;
    leave(stores, "2", Duration::ZERO).await;
    let ago = place(stores, "3").await.earlier_begun_ago.unwrap();
    assert!(ago < Duration::from_secs(10), "{ago:?}");
    let ago = place(stores, "2").await.earlier_begun_ago.unwrap();
    assert!(ago >= Duration::from_secs(30), "{ago:?}");
}

pub(super) async fn a_message_that_never_ends_is_forgotten_after_its_time(stores: &Stores) {
    let kept = Lasting::from_now(SHORT);
    stores.order.leave(&somebody(), &key("1"), Duration::ZERO, SHORT).await.unwrap();
    assert!(waits(stores, "2").await);
    kept.ended("the end of the note", async || (!waits(stores, "2").await).then_some(())).await;
    leave(stores, "2", Duration::ZERO).await;
    assert!(!waits(stores, "2").await);
}

pub(super) async fn users_and_accounts_do_not_touch_each_other(stores: &Stores) {
    leave(stores, "1", Duration::ZERO).await;
    for other in [user("wx2", "oUser"), user("wx1", "oOther")] {
        assert_eq!(stores.order.place(&other, &key("2")).await.unwrap(), Place::default());
        stores.order.leave(&other, &key("2"), Duration::ZERO, LONG).await.unwrap();
        stores.order.end(&other, &key("1")).await.unwrap();
    }
    assert!(waits(stores, "2").await && !place(stores, "2").await.has_left);
}

pub(super) async fn of_very_many_the_last_are_not_noted_and_wait_all_the_same(stores: &Stores) {
    for message in 0..=MOST_ABSENT {
        leave(stores, &message.to_string(), Duration::ZERO).await;
    }
    let (last_noted, beyond) = ((MOST_ABSENT - 1).to_string(), MOST_ABSENT.to_string());
    assert!(place(stores, &last_noted).await.has_left && !place(stores, &beyond).await.has_left);
    assert!(waits(stores, &beyond).await && !waits(stores, "0").await);
}
