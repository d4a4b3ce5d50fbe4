//! Pictures: uploaded once, again when WeChat has forgotten them.

use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use kefu_harness::process::{Launch, Program};
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Message};

async fn pictures_arrive(shop: &Shop, round: &str, count: usize) {
    let users: Vec<String> = (0..count).map(|n| format!("o{round}{n}")).collect();
    join_all(users.iter().map(|user| shop.push(user, Message::text("code")))).await;
    for user in &users {
        let replies = shop.replies_within(user, 2).await;
        assert_eq!((replies[0]["msgtype"].as_str(), replies[1]["msgtype"].as_str()), (Some("image"), Some("text")));
    }
}

#[tokio::test]
async fn a_picture_is_uploaded_once_and_again_when_its_media_id_is_refused() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    pictures_arrive(&shop, "FIRST", 20).await;
    assert_eq!(shop.calls("media/upload").len(), 1);

    let fault = FaultRequest::errcode("custom/send", 40_007, 1);
    shop.simulator.fault(fault).unwrap();
    pictures_arrive(&shop, "EXPIRED", 1).await;
    assert_eq!(shop.calls("media/upload").len(), 2);
    pictures_arrive(&shop, "AFTER", 5).await;
    assert_eq!(shop.calls("media/upload").len(), 2);
}

#[tokio::test]
async fn a_second_worker_uses_what_the_first_uploaded() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    pictures_arrive(&shop, "FIRST", 5).await;
    shop.stack.programs[1].kill();
    shop.stack.programs.push(Program::start(Launch::worker(shop.stack.config())).await);
    pictures_arrive(&shop, "SECOND", 5).await;
    assert_eq!(shop.calls("media/upload").len(), 1);
}

#[tokio::test]
async fn an_upload_that_fails_for_now_is_tried_again() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    for (index, kind) in [FaultKind::Status, FaultKind::Drop].into_iter().enumerate() {
        shop.simulator.fault(FaultRequest::new(kind, "media/upload")).unwrap();
        pictures_arrive(&shop, &format!("ROUND{index}"), 1).await;
    }
}

#[tokio::test]
async fn a_pipe_in_a_pictures_place_holds_up_neither_other_users_nor_the_end_of_the_program() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let picture = shop.stack.config().with_file_name("code.png");
    std::fs::remove_file(&picture).unwrap();
    assert!(Command::new("mkfifo").arg(&picture).status().unwrap().success());
    shop.push("oPIPE", Message::text("code")).await;
    shop.push("oOTHER", Message::text("hi")).await;
    shop.replies_within("oOTHER", 1).await;
    shop.stack.programs[0].counts(r#"kefu_worker_retries_total{place="queue"}"#, 1).await;
    let program = shop.stack.programs.remove(0);
    program.terminate();
    let (status, output) = program.end_within(Duration::from_secs(20)).await;
    assert!(status.success(), "{output}");
    assert!(output.contains("is not a regular file"), "{output}");
    assert_eq!(shop.calls("media/upload").len(), 0);
}
