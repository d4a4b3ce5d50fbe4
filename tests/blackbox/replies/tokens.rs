//! access_tokens: fetched once, shared, renewed when WeChat says so.

use futures_util::future::join_all;
use kefu_harness::process::{Launch, Program};
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Message};

async fn many_users_are_replied_to(shop: &Shop, round: &str) {
    let users: Vec<String> = (0..100).map(|n| format!("o{round}{n}")).collect();
    join_all(users.iter().map(|user| shop.push(user, Message::text("hi")))).await;
    join_all(users.iter().map(|user| shop.replies_within(user, 1))).await;
}

#[tokio::test]
async fn four_workers_fetch_one_token_and_renew_it_once_when_it_fails() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    for _ in 0..3 {
        shop.stack.programs.push(Program::start(Launch::worker(shop.stack.config())).await);
    }
    many_users_are_replied_to(&shop, "FIRST").await;
    assert_eq!(shop.calls("stable_token").len(), 1);

    for (round, kind, fetched) in [("STALE", FaultKind::InvalidateToken, 2), ("EXPIRED", FaultKind::ExpireToken, 3)] {
        let account = Some(shop.appid().to_owned());
        shop.simulator.fault(FaultRequest { account, ..FaultRequest::new(kind, "*") }).unwrap();
        many_users_are_replied_to(&shop, round).await;
        assert_eq!(shop.calls("stable_token").len(), fetched, "{round}");
    }
}

#[tokio::test]
async fn the_token_comes_from_the_endpoint_that_is_configured() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded).with("wechat", "token_api = \"token\"")).await;
    shop.push("oUSER", Message::text("hi")).await;
    shop.replies_within("oUSER", 1).await;
    assert_eq!((shop.calls("cgi-bin/token").len(), shop.calls("stable_token").len()), (1, 0));
}

#[tokio::test]
async fn a_token_of_600_characters_and_odd_answers_to_the_fetch_are_lived_with() {
    for kind in [FaultKind::LongToken, FaultKind::Html, FaultKind::CutJson, FaultKind::Drop, FaultKind::Status] {
        let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
        shop.simulator.fault(FaultRequest::new(kind, "stable_token")).unwrap();
        shop.push("oUSER", Message::text("hi")).await;
        shop.replies_within("oUSER", 1).await;
    }
}
