//! WeChat's API answering oddly, and what is done about it.

use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Message};

const SEND: &str = "custom/send";

#[tokio::test]
async fn a_passing_fault_of_custom_send_delays_the_reply_and_does_not_double_it() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let faults = [
        ("500", FaultRequest { status: Some(500), ..FaultRequest::new(FaultKind::Status, SEND) }),
        ("HTML", FaultRequest::new(FaultKind::Html, SEND)),
        ("busy", FaultRequest::errcode(SEND, -1, 1)),
        (
            "an errcode as a string",
            FaultRequest { errcode: Some(-1), ..FaultRequest::new(FaultKind::ErrcodeAsText, SEND) },
        ),
        ("success as a string", FaultRequest::new(FaultKind::ErrcodeAsText, SEND)),
        ("cut before it took effect", FaultRequest::new(FaultKind::Drop, SEND)),
    ];
    for (index, (case, fault)) in faults.into_iter().enumerate() {
        let user = format!("oUSER{index}");
        let fault = FaultRequest { user: Some(user.clone()), ..fault };
        shop.simulator.fault(fault).unwrap();
        assert!(shop.push(&user, Message::text("one")).await.answered, "{case}");
        shop.push(&user, Message::text("two")).await;
        shop.replies_within(&user, 2).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_send_took_effect_is_sent_again_once_at_most() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    // By default nothing is lost: what is ambiguous comes twice. An errcode before the cut is not ambiguous.
    let cases =
        [("oDROP", FaultKind::Drop, 3), ("oCUTBODY", FaultKind::CutBody, 2), ("oCUTJSON", FaultKind::CutJson, 2)];
    for (user, kind, replies) in cases {
        let fault = FaultRequest { user: Some(user.into()), effect: Some(true), ..FaultRequest::new(kind, SEND) };
        shop.simulator.fault(fault).unwrap();
        shop.push(user, Message::text("one")).await;
        shop.push(user, Message::text("two")).await;
        shop.replies_within(user, replies).await;
    }
}

#[tokio::test]
async fn with_skip_an_answer_that_is_lost_is_not_sent_again() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded).with("worker", "ambiguous = \"skip\"")).await;
    let fault = FaultRequest { effect: Some(true), ..FaultRequest::new(FaultKind::Drop, SEND) };
    shop.simulator.fault(fault).unwrap();
    shop.push("oUSER", Message::text("one")).await;
    shop.push("oUSER", Message::text("two")).await;
    shop.replies_within("oUSER", 2).await;
}

#[tokio::test]
async fn what_wechat_refuses_for_good_is_a_dead_letter_and_does_not_hold_up_the_next() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    for (user, errcode) in [("oNOBODY", 40_003), ("oCLOSED", 45_015), ("oCOUNTED", 45_047), ("oMINOR", 70_000)] {
        let fault = FaultRequest {
            user: Some(user.into()),
            errcode: Some(errcode),
            ..FaultRequest::new(FaultKind::Errcode, SEND)
        };
        shop.simulator.fault(fault).unwrap();
        shop.push(user, Message::text("one")).await;
        shop.push(user, Message::text("two")).await;
        shop.replies_within(user, 1).await;
    }
    kefu_harness::eventually(std::time::Duration::from_secs(20), "four dead letters", async || {
        match shop.stack.vhost().ready("kefu.dead").await {
            Some(4) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn one_users_trouble_does_not_hold_up_another() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let fault = FaultRequest {
        user: Some("oSLOW".into()),
        times: 3,
        errcode: Some(-1),
        ..FaultRequest::new(FaultKind::Errcode, SEND)
    };
    shop.simulator.fault(fault).unwrap();
    shop.push("oSLOW", Message::text("one")).await;
    for n in 0..10 {
        let user = format!("oQUICK{n}");
        shop.push(&user, Message::text("hi")).await;
        shop.replies_within(&user, 1).await;
    }
    assert!(shop.replies("oSLOW").is_empty(), "the fault did not last as long as the others took");
    shop.replies_within("oSLOW", 1).await;
}
