use kefu_messages::session::SessionKey;
use kefu_messages::window::{Opening, Refused, Window};
use kefu_store::Stores;

use super::{LONG, SHORT, key, session, somebody};
use crate::clock::Lasting;

const NOW: u64 = 1_700_000_000_000;

async fn get(stores: &Stores, user: &SessionKey) -> Window {
    stores.windows.get(user).await.unwrap()
}

async fn wrote(stores: &Stores, user: &SessionKey, msg_id: &str, at_ms: u64) -> Window {
    stores.windows.open(user, Opening::Message, &key(msg_id), at_ms, LONG).await.unwrap()
}

/// Replies counted since the latest message.
fn sent(window: &Window) -> Option<u32> {
    window.message.as_ref().map(|opened| opened.sent)
}

pub(super) async fn of_a_new_user_nothing_is_known(stores: &Stores) {
    assert_eq!(get(stores, &somebody()).await, Window::default());
    stores.windows.count(&somebody(), &Window::default(), &key("1"), 0, LONG).await.unwrap();
    assert_eq!(get(stores, &somebody()).await, Window::default(), "counting begins with an opening");
}

pub(super) async fn an_opening_is_known_to_everybody(stores: &Stores) {
    let known = wrote(stores, &somebody(), "1", NOW).await;
    assert_eq!(get(stores, &somebody()).await, known);
    assert_eq!(known.message.map(|opened| (opened.at_ms, opened.sent)), Some((NOW, 0)));
}

pub(super) async fn a_reply_is_counted_once(stores: &Stores) {
    let seen = wrote(stores, &somebody(), "1", NOW).await;
    for _ in 0..3 {
        stores.windows.count(&somebody(), &seen, &key("1"), 0, LONG).await.unwrap();
    }
    assert_eq!(sent(&get(stores, &somebody()).await), Some(1));
    stores.windows.count(&somebody(), &seen, &key("1"), 1, LONG).await.unwrap();
    assert_eq!(sent(&get(stores, &somebody()).await), Some(2));
    // Told again by the same push, it is no new opening.
    assert_eq!(sent(&wrote(stores, &somebody(), "1", NOW).await), Some(2));
    assert_eq!(sent(&wrote(stores, &somebody(), "2", NOW).await), Some(0));
}

pub(super) async fn a_late_call_does_not_charge_a_later_opening(stores: &Stores) {
    let seen = wrote(stores, &somebody(), "1", NOW).await;
    wrote(stores, &somebody(), "2", NOW + 1).await;
    stores.windows.count(&somebody(), &seen, &key("1"), 0, LONG).await.unwrap();
    stores.windows.refuse(&somebody(), &seen, Refused::OutOfCount, LONG).await.unwrap();
    let known = get(stores, &somebody()).await;
    assert_eq!(known.message.map(|opened| (opened.sent, opened.refused)), Some((0, None)));
}

pub(super) async fn a_refusal_stands_until_the_next_opening(stores: &Stores) {
    for (msg_id, refused) in [("1", Refused::OutOfCount), ("2", Refused::OutOfTime)] {
        let seen = wrote(stores, &somebody(), msg_id, NOW).await;
        assert_eq!(seen.message.as_ref().unwrap().refused, None);
        stores.windows.refuse(&somebody(), &seen, refused, LONG).await.unwrap();
        let known = get(stores, &somebody()).await;
        assert_eq!(known.message.map(|opened| opened.refused), Some(Some(refused)));
    }
    assert_eq!(wrote(stores, &somebody(), "3", NOW).await.message.unwrap().refused, None);
}

pub(super) async fn a_refusal_tells_nothing_of_a_user_of_whom_nothing_is_known(stores: &Stores) {
    stores.windows.refuse(&somebody(), &Window::default(), Refused::OutOfCount, LONG).await.unwrap();
    assert_eq!(get(stores, &somebody()).await, Window::default());
}

pub(super) async fn of_a_transferred_user_nothing_is_known_for_a_time(stores: &Stores) {
    let seen = wrote(stores, &somebody(), "1", NOW).await;
    stores.windows.transfer(&somebody(), NOW + 1_000, LONG).await.unwrap();
    stores.windows.transfer(&somebody(), NOW, LONG).await.unwrap();
    stores.windows.count(&somebody(), &seen, &key("1"), 0, LONG).await.unwrap();
    stores.windows.refuse(&somebody(), &seen, Refused::OutOfCount, LONG).await.unwrap();
    let unknown = Window { unknown_until_ms: Some(NOW + 1_000), ..Window::default() };
    for (msg_id, at_ms) in [("1", NOW), ("2", NOW + 999)] {
        assert_eq!(wrote(stores, &somebody(), msg_id, at_ms).await, unknown);
    }
    assert_eq!(sent(&wrote(stores, &somebody(), "3", NOW + 1_000).await), Some(0));
}

pub(super) async fn a_forgotten_user_is_as_new(stores: &Stores) {
    wrote(stores, &somebody(), "1", NOW).await;
    stores.windows.forget(&somebody()).await.unwrap();
    stores.windows.forget(&somebody()).await.unwrap();
    assert_eq!(get(stores, &somebody()).await, Window::default());
}

pub(super) async fn an_entry_ends_after_its_time(stores: &Stores) {
    let kept = Lasting::from_now(SHORT);
    stores.windows.open(&somebody(), Opening::Enter, &key("1"), NOW, SHORT).await.unwrap();
    kept.ended("the end of the entry", async || (get(stores, &somebody()).await == Window::default()).then_some(()))
        .await;
}

pub(super) async fn users_accounts_and_sub_merchants_do_not_touch_each_other(stores: &Stores) {
    wrote(stores, &somebody(), "1", NOW).await;
    for other in [session("wx2", "oUser", None), session("wx1", "oOther", None), session("wx1", "oUser", Some(1))] {
        assert_eq!(get(stores, &other).await, Window::default());
    }
}

/// What the store does must be what [`Window`] does, whatever comes.
pub(super) async fn every_implementation_does_as_the_model(stores: &Stores) {
    // Numbers that look random and are the same each time.
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut model, mut seen) = (Window::default(), Window::default());
    for round in 0..400 {
        let (by, at_ms) = (key(&random(4).to_string()), NOW + random(200_000));
        match random(9) {
            0 | 1 => {
                model.open(Opening::Message, &by, at_ms);
                seen = stores.windows.open(&somebody(), Opening::Message, &by, at_ms, LONG).await.unwrap();
            }
            2 => {
                model.open(Opening::Enter, &by, at_ms);
                stores.windows.open(&somebody(), Opening::Enter, &by, at_ms, LONG).await.unwrap();
            }
            3..=5 => {
                let step = random(3) as u32;
                model.count(&seen, &by, step);
                stores.windows.count(&somebody(), &seen, &by, step, LONG).await.unwrap();
            }
            6 => {
                let refused = if random(2) == 0 { Refused::OutOfCount } else { Refused::OutOfTime };
                model.refuse(&seen, refused);
                stores.windows.refuse(&somebody(), &seen, refused, LONG).await.unwrap();
            }
            7 if random(5) == 0 => {
                model.transfer(at_ms);
                stores.windows.transfer(&somebody(), at_ms, LONG).await.unwrap();
            }
            _ if random(5) == 0 => {
                model = Window::default();
                stores.windows.forget(&somebody()).await.unwrap();
            }
            _ => seen = model.clone(),
        }
        let known = get(stores, &somebody()).await;
        assert!(known == model, "round {round}: {known:?}, the model has {model:?}");
    }
}
