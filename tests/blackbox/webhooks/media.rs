//! Pictures that users send: kept in a folder, handed to a webhook.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};
use kefu_simulator::{FaultKind, FaultRequest, Message};
use serde_json::Value;

use super::{SECRET, texts};

/// Images go to the webhook as files, if it is asked; texts get `text`.
async fn start(backend: Backend, media: &str, to_webhook: bool) -> (Shop, Service) {
    let service = Service::start(Does::text("a nice picture")).await;
    let mut options = ShopOptions::new(backend);
    let url = service.url("/kefu");
    options.rules = "[[rule]]\nwhen = { type = \"text\" }\nreply = [{ text = \"text\" }]\n".to_owned();
    if to_webhook {
        options.rules +=
            &format!("[[rule]]\nwhen = {{ type = \"image\" }}\nwebhook = {{ url = \"{url}\", media = true }}\n");
    }
    options.settings.push(("webhook", format!("secret = \"{SECRET}\"")));
    options.settings.push(("received_pictures", media.to_owned()));
    (Shop::start(options).await, service)
}

/// The files below the folder, once there are so many.
async fn kept(shop: &Shop, count: usize) -> Vec<PathBuf> {
    let account = shop.stack.config().with_file_name("pictures").join(shop.appid());
    let below = |folder: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    eventually(Duration::from_secs(30), &format!("{count} pictures are kept"), async || {
        let files: Vec<PathBuf> = below(&account).iter().flat_map(below).collect();
        if files.len() == count { Ok(files) } else { Err(format!("{files:?}")) }
    })
    .await
}

/// The picture that the simulator makes up.
fn picture() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../simulator/assets/picture.png")).unwrap()
}

fn no_such_picture() -> Message {
    Message::Image { pic_url: "http://127.0.0.1:1/gone".into(), media_id: "gone".into() }
}

#[tokio::test]
async fn every_picture_is_kept_also_one_that_no_rule_is_about() {
    for backend in Backend::ALL {
        let (shop, _service) = start(backend, "folder = \"pictures\"", false).await;
        shop.push("oUSER", Message::image()).await;
        shop.push("oUSER", Message::text("hi")).await;
        shop.replies_within("oUSER", 1).await;
        let files = kept(&shop, 1).await;
        assert_eq!(std::fs::read(&files[0]).unwrap(), picture());
        assert_eq!(files[0].extension().unwrap(), "png");
        let name = files[0].file_stem().unwrap().to_str().unwrap();
        assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files[0]), mode(files[0].parent().unwrap())), (0o600, 0o700));
        let day = files[0].parent().unwrap().file_name().unwrap().to_str().unwrap();
        assert!(day.len() == 10 && day.starts_with("20"), "{day}");
    }
}

#[tokio::test]
async fn a_webhook_gets_the_picture_as_a_signed_form() {
    let (shop, service) = start(Backend::Embedded, "folder = \"pictures\"", true).await;
    shop.push("oUSER", Message::image()).await;
    assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["a nice picture"]);
    let asked = service.asked();
    assert_eq!((asked.len(), asked[0].header("kefu-media")), (1, "attached"));
    assert!(asked[0].is_signed_with(SECRET));
    let parts = asked[0].parts();
    assert!(parts[0].head.contains("name=\"envelope\"") && parts[0].head.contains("Content-Type: application/json"));
    let envelope: Value = serde_json::from_slice(&parts[0].body).unwrap();
    assert_eq!(envelope["push"]["content"]["type"], "image");
    let filename = format!("filename=\"{}.png\"", asked[0].header("kefu-message"));
    assert!(parts[1].head.contains("name=\"media\"") && parts[1].head.contains(&filename), "{}", parts[1].head);
    assert!(parts[1].head.contains("Content-Type: image/png"), "{}", parts[1].head);
    assert!(parts[1].body == picture(), "the file is another one");
    assert_eq!(parts.len(), 2);
    kept(&shop, 1).await;
    assert_eq!(shop.calls("media/get").len(), 1, "it is fetched once for both");
}

#[tokio::test]
async fn without_its_picture_the_webhook_is_told_why() {
    let (shop, service) = start(Backend::Embedded, "max_bytes = 1_024", true).await;
    let refused = FaultRequest::errcode("media/get", 40_003, 1);
    assert!(picture().len() > 1_024, "it is to be too large");
    for (user, message, why) in [("oEXPIRED", no_such_picture(), "expired"), ("oREFUSED", Message::image(), "refused")]
    {
        if why == "refused" {
            shop.simulator.fault(refused.clone()).unwrap();
        }
        shop.push(user, message).await;
        assert_eq!(texts(&shop.replies_within(user, 1).await), ["a nice picture"], "{why}");
        let asked = service.asked().pop().unwrap();
        assert_eq!((asked.header("kefu-media"), asked.header("content-type")), (why, "application/json"));
        assert!(asked.is_signed_with(SECRET));
        assert_eq!(asked.envelope()["push"]["content"]["type"], "image");
    }
    shop.push("oLARGE", Message::image()).await;
    shop.replies_within("oLARGE", 1).await;
    assert_eq!(service.asked().pop().unwrap().header("kefu-media"), "too_large");
    shop.stack.programs[0].counts(r#"kefu_worker_media_fetches_total{outcome="expired"}"#, 1).await;
}

#[tokio::test]
async fn a_fetch_that_fails_for_now_is_tried_again() {
    let (shop, service) = start(Backend::Embedded, "folder = \"pictures\"", true).await;
    let kinds = [
        FaultRequest::new(FaultKind::Status, "media/get"),
        FaultRequest::new(FaultKind::Html, "media/get"),
        FaultRequest::new(FaultKind::CutBody, "media/get"),
        FaultRequest::new(FaultKind::Drop, "media/get"),
        FaultRequest::errcode("media/get", -1, 1),
        FaultRequest::errcode("media/get", 42_001, 1),
    ];
    for (index, fault) in kinds.into_iter().enumerate() {
        let (user, shown) = (format!("oUSER{index}"), format!("{fault:?}"));
        shop.simulator.fault(fault).unwrap();
        shop.push(&user, Message::image()).await;
        shop.replies_within(&user, 1).await;
        let asked = service.asked();
        assert_eq!((asked.len(), asked[index].header("kefu-media")), (index + 1, "attached"), "{shown}");
        assert!(asked[index].parts()[1].body == picture(), "{shown}");
    }
    kept(&shop, 6).await;
}

#[tokio::test]
async fn an_account_that_may_fetch_no_pictures_goes_on_replying_and_is_named() {
    for errcode in [45_009, 40_164] {
        let (shop, service) = start(Backend::Embedded, "", true).await;
        let (worker, appid) = (&shop.stack.programs[0], shop.appid());
        let refused = FaultRequest::errcode("media/get", errcode, 1);
        shop.simulator.fault(refused).unwrap();
        shop.push("oPICTURE", Message::image()).await;
        worker.counts(&format!("kefu_worker_media_fetches_paused{{account=\"{appid}\"}}"), 1).await;
        let told = format!("\"worker_accounts\":\"degraded: {appid} fetches no pictures of users: ");
        worker.says("/readyz", 200, &[&told, &format!("errcode {errcode}")]).await;
        shop.push("oTEXT", Message::text("hi")).await;
        assert_eq!(texts(&shop.replies_within("oTEXT", 1).await), ["text"]);
        shop.push("oANOTHER", Message::image()).await;
        worker.counts(r#"kefu_worker_messages_total{outcome="postponed"}"#, 2).await;
        assert_eq!(shop.calls("media/get").len(), 1, "{errcode}: no picture is fetched while they pause");
        assert_eq!(service.asked().len(), 0, "{errcode}: it is asked when the picture is there");
    }
}

#[tokio::test]
async fn a_picture_is_kept_whatever_becomes_of_its_replies() {
    let mut options = ShopOptions::new(Backend::Embedded);
    options.rules = "[[rule]]\nwhen = { type = \"image\", account = \"ACCOUNT\" }\ntransfer = true\n\
                     [[rule]]\nwhen = { type = \"image\" }\nreply = [{ text = \"nice\" }]\n"
        .replace("ACCOUNT", &options.accounts[0].appid);
    options.accounts.push(kefu_harness::wechat::Account::random(kefu_harness::wechat::Mode::Plain));
    options.settings.push(("received_pictures", "folder = \"pictures\"".to_owned()));
    let mut shop = Shop::start(options).await;
    shop.push("oTRANSFERRED", Message::image()).await;
    kept(&shop, 1).await;
    shop.stack.programs[0].counts(r#"kefu_worker_messages_total{outcome="answered"}"#, 1).await;

    shop.accounts.swap(0, 1);
    let refused = FaultRequest::errcode("custom/send", 40_003, 1);
    shop.simulator.fault(refused).unwrap();
    shop.push("oREFUSED", Message::image()).await;
    kept(&shop, 1).await;
    shop.stack.programs[0].counts(r#"kefu_worker_dead_letters_total{reason="refused"}"#, 1).await;
    assert_eq!(shop.calls("custom/send").len(), 1);
}
