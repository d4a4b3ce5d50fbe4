#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use kefu_messages::envelope::Envelope;
use kefu_queue::{DeadReason, Settlement};
use kefu_runtime::clock;
use kefu_runtime::testing::hang;
use kefu_wechat::push::Push;
use tokio::time::Instant;

use crate::testing::http::serve_once;
use crate::testing::queue::{Settled, delivery};
use crate::testing::wechat::{MEDIA, SEND};
use crate::testing::{Bench, PNG, seconds};
use crate::wechat::failure::Failure;

const DONE: Settled = Settled::As(Settlement::Done);

const KEPT: &str = "[received_pictures]\nfolder = \"pictures\"\n";

const ANSWERED: &str = "[[rule]]\nwhen = { type = \"image\" }\nreply = [{ text = \"nice\" }]\n";

fn envelope(user: &str, media_id: &str) -> Envelope {
    let raw = serde_json::json!({
        "ToUserName": "gh_1", "FromUserName": user, "CreateTime": 1_482_048_670, "MsgType": "image",
        "PicUrl": "http://pictures.example/1", "MediaId": media_id, "MsgId": media_id,
    });
    let raw = raw.to_string();
    Envelope::of_push("wx1", Push::parse(&raw).unwrap(), raw, clock::now_ms())
}

async fn handle(bench: &Bench, envelope: Envelope) -> Settled {
    let (delivery, watch) = delivery(Ok(envelope), 0);
    bench.run(delivery).await;
    watch.get()
}

/// The pictures in the folder.
fn kept(bench: &Bench) -> Vec<PathBuf> {
    let account = bench.folder.path().join("pictures/wx1");
    let below = |folder: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    below(&account).iter().flat_map(below).collect()
}

/// The error of a message that is retried.
fn retried(settled: Settled) -> String {
    match settled {
        Settled::As(Settlement::Retry { error, .. }) => error,
        other => panic!("not tried again: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_wechat_refuses_for_now_is_fetched_later_and_replies_go_on() {
    for (errcode, pause) in [(45_009, 600), (40_164, 300), (48_001, 3_600)] {
        let bench = Bench::with(KEPT);
        bench.wechat.errcode(MEDIA, errcode);
        for user in ["oA", "oB"] {
            match handle(&bench, envelope(user, user)).await {
                Settled::As(Settlement::Postpone { after, error }) => {
                    assert_eq!(after, seconds(pause), "{errcode}");
                    assert!(error.contains(&format!("media_get answered errcode {errcode}")), "{error}");
                }
                other => panic!("{errcode}: {other:?}"),
            }
        }
        assert_eq!(bench.wechat.calls(MEDIA).len(), 1, "none are fetched during the pause");
        assert_eq!(bench.handle("oA", "hi").await, DONE);
        assert!(bench.handler.pictures.fetch.pauses.in_words().is_some());
        tokio::time::advance(seconds(pause)).await;
        assert_eq!(handle(&bench, envelope("oA", "oA")).await, DONE);
        assert_eq!(std::fs::read(&kept(&bench)[0]).unwrap(), PNG);
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_soon_is_waited_for_in_the_lane() {
    for (errcode, at_least, at_most) in [(45_011, 60, 76), (40_001, 0, 1), (-1, 0, 2), (99_999, 0, 2)] {
        let bench = Bench::with(KEPT);
        bench.wechat.errcode(MEDIA, errcode);
        let start = Instant::now();
        assert_eq!(handle(&bench, envelope("oA", "1")).await, DONE, "{errcode}");
        assert!((seconds(at_least)..=seconds(at_most)).contains(&start.elapsed()), "{errcode}: {:?}", start.elapsed());
        assert_eq!(kept(&bench).len(), 1, "{errcode}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_wechat_never_gives_ends_the_tries() {
    for (errcode, calls) in [(40_003, 1), (40_007, 1), (99_999, 4)] {
        let bench = Bench::with(KEPT);
        (0..10).for_each(|_| bench.wechat.errcode(MEDIA, errcode));
        assert_eq!(handle(&bench, envelope("oA", "1")).await, DONE, "{errcode}");
        assert_eq!((bench.wechat.calls(MEDIA).len(), kept(&bench).len()), (calls, 0), "{errcode}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_three_days_the_end_of_a_pause_is_not_waited_for() {
    let bench = Bench::with(KEPT);
    for (days, is_done) in [(2, false), (4, true)] {
        bench.wechat.errcode(MEDIA, 45_009);
        let mut old = envelope("oA", &format!("{days} days"));
        old.received_at_ms -= days * 24 * 3_600 * 1_000;
        let settled = handle(&bench, old).await;
        assert_eq!(settled == DONE, is_done, "{settled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_kept_though_its_replies_cannot_be_sent_yet() {
    let bench = Bench::with(&format!("{KEPT}{ANSWERED}"));
    (0..1_000).for_each(|_| bench.wechat.fail(SEND, Failure::Passing("no connection".into())));
    let error = retried(handle(&bench, envelope("oA", "1")).await);
    assert!(error.contains("no connection") && !error.contains("picture"), "{error}");
    assert_eq!(kept(&bench).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_says_that_its_picture_is_not_kept_and_why() {
    let bench = Bench::with(&format!("{KEPT}{ANSWERED}"));
    std::fs::write(bench.folder.path().join("pictures"), "in the way").unwrap();
    bench.wechat.errcode(SEND, 40_003);
    match handle(&bench, envelope("oA", "1")).await {
        Settled::As(Settlement::Dead { reason: DeadReason::Refused, error }) => {
            let not_kept = error.split_once("; its picture is not kept: ").unwrap().1;
            assert!(not_kept.contains("[received_pictures]") && not_kept.contains("Not a directory"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_used_is_tried_again_and_concerns_messages_with_pictures_only() {
    let bench = Bench::with(KEPT);
    let folder = bench.folder.path().join("pictures");
    std::fs::write(&folder, "in the way").unwrap();
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    let error = retried(handle(&bench, envelope("oA", "1")).await);
    assert!(error.contains("Not a directory"), "{error}");
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(handle(&bench, envelope("oA", "1")).await, DONE);
    assert_eq!(kept(&bench).len(), 1);
    assert_eq!(handle(&bench, envelope("oA", "1")).await, DONE);
    assert_eq!(bench.wechat.calls(MEDIA).len(), 1);
}

#[tokio::test]
async fn a_webhook_is_asked_about_a_picture_that_cannot_be_kept() {
    let answer = r#"{"replies":[{"text":"nice"}]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
    let (address, asked) = serve_once(answer.into_bytes()).await;
    let rule = format!(
        "[webhook]\nsecret = \"0123456789abcdef\"\n\
         [[rule]]\nwhen = {{ type = \"image\" }}\nwebhook = {{ url = \"http://{address}/\", media = true }}\n"
    );
    let bench = Bench::with(&format!("{KEPT}{rule}"));
    std::fs::write(bench.folder.path().join("pictures"), "in the way").unwrap();
    let error = retried(handle(&bench, envelope("oA", "1")).await);
    assert!(error.contains("Not a directory"), "{error}");
    assert_eq!(bench.wechat.texts_to("oA"), ["nice"]);
    let request = asked.await.unwrap();
    assert!(request.windows(PNG.len()).any(|part| part == PNG), "the picture is not in the request");
}

#[tokio::test]
async fn a_folder_whose_disk_hangs_costs_no_answer_and_holds_up_no_other_pictures() {
    let answer = r#"{"replies":[{"text":"nice"}]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
    let (address, asked) = serve_once(answer.into_bytes()).await;
    let rule = format!(
        "[webhook]\nsecret = \"0123456789abcdef\"\n\
         [[rule]]\nwhen = {{ type = \"image\" }}\nwebhook = {{ url = \"http://{address}/\", media = true }}\n"
    );
    let bench = Bench::with(&format!("{KEPT}{rule}"));
    let end = hang(&bench.handler.pictures.folder.as_ref().unwrap().disk).await;
    let error = retried(handle(&bench, envelope("oA", "1")).await);
    assert!(error.contains("the disk does not answer"), "{error}");
    assert_eq!(bench.wechat.texts_to("oA"), ["nice"]);
    let request = asked.await.unwrap();
    assert!(request.windows(PNG.len()).any(|part| part == PNG), "the picture is not in the request");
    assert_eq!(bench.handle("oB", "picture").await, DONE);
    drop(end);
}
