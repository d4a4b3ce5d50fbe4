//! What WeChat takes no more, found out by counting and by its errcodes.

use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultRequest, Message};

use crate::dead::listed;

const SEND: &str = "custom/send";

const RULES: &str = r#"
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "welcome" }, { text = "to the shop" }]
[[rule]]
when = { event = "order_paid" }
reply = [{ text = "paid" }]
[[rule]]
when = { type = "text" }
reply = [{ text = "hello" }]
"#;

fn paid() -> Message {
    Message::Event { event: "order_paid".into(), fields: serde_json::Map::new().into_iter().collect() }
}

#[tokio::test]
async fn after_entering_two_are_sent_and_what_wechat_takes_no_more_is_a_dead_letter() {
    for backend in Backend::ALL {
        let shop = Shop::start(ShopOptions { rules: RULES.to_owned(), ..ShopOptions::new(backend) }).await;
        shop.push("oA", Message::enter("")).await;
        shop.replies_within("oA", 2).await;
        shop.push("oA", paid()).await;
        let letter = listed(shop.stack.config(), 1).await.remove(0);
        assert_eq!(letter["reason"], "window_closed", "{letter}");
        // Whether the user had written before is not known: WeChat is asked, once.
        assert_eq!(shop.calls(SEND).len(), 3);
        shop.push("oA", Message::text("hi")).await;
        assert_eq!(texts(&shop.replies_within("oA", 3).await), ["welcome", "to the shop", "hello"]);
    }
}

#[tokio::test]
async fn a_user_who_wechat_says_is_out_of_reach_is_sent_nothing_until_the_user_writes() {
    let shop = Shop::start(ShopOptions { rules: RULES.to_owned(), ..ShopOptions::new(Backend::Embedded) }).await;
    shop.simulator.fault(FaultRequest::errcode(SEND, 45_015, 1)).unwrap();
    shop.push("oA", Message::text("hi")).await;
    listed(shop.stack.config(), 1).await;
    shop.push("oA", paid()).await;
    let letters = listed(shop.stack.config(), 2).await;
    let said = |said: &str| letters.iter().any(|letter| letter["last_error"].as_str().unwrap().contains(said));
    assert!(said("WeChat said earlier (45015)"), "{letters:?}");
    assert_eq!(shop.calls(SEND).len(), 1, "the second was not tried");
    shop.push("oA", Message::text("hi")).await;
    assert_eq!(texts(&shop.replies_within("oA", 1).await), ["hello"]);
}
