use serde_json::json;
use tempfile::TempDir;

use super::*;
use kefu_runtime::testing::hang;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    for name in ["outside.png", "shop/inside.png"] {
        std::fs::write(folder.path().join(name), PNG).unwrap();
    }
    std::os::unix::fs::symlink("../outside.png", folder.path().join("shop/link.png")).unwrap();
    folder
}

async fn read_answer(status: u16, body: impl Into<Vec<u8>>) -> Result<Vec<Reply>, Failure> {
    let folder = folder();
    read_from(&folder, Disk::default(), status, body).await
}

async fn read_from(folder: &TempDir, disk: Disk, status: u16, body: impl Into<Vec<u8>>) -> Result<Vec<Reply>, Failure> {
    let pictures = PictureFolder { path: folder.path().join("shop"), max_bytes: 1_000 };
    replies(Answer { host: "shop.example".to_owned(), status, body: body.into() }, 5, &pictures, &disk).await
}

async fn refusal(body: serde_json::Value) -> String {
    match read_answer(200, body.to_string()).await {
        Err(Failure::Refused(error)) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn replies_have_the_shape_of_rules() {
    let body = json!({ "replies": [
        { "text": "您好", "kf_account": "anna@shop", "is_ai_msg": true },
        { "image": "inside.png" },
        { "image": "./inside.png" },
        { "miniprogrampage": { "title": "t", "pagepath": "pages/a", "thumb": "inside.png" } },
    ], "note": "not ours" });
    let replies = read_answer(200, body.to_string()).await.unwrap();
    let kinds: Vec<&str> = replies.iter().map(Reply::kind).collect();
    assert_eq!(kinds, ["text", "image", "image", "miniprogrampage"]);
    assert_eq!((replies[0].kf_account.as_deref(), replies[0].is_ai_msg), (Some("anna@shop"), true));
}

#[tokio::test]
async fn no_replies_are_an_answer() {
    for (status, body) in [(204, ""), (202, "queued"), (200, "{\"replies\": []}")] {
        assert_eq!(read_answer(status, body).await.unwrap(), [], "{status}");
    }
}

#[tokio::test]
async fn a_fault_in_a_text_costs_no_reply() {
    let said = async |body: &[u8]| {
        let replies = read_answer(200, body).await.unwrap();
        replies.into_iter().map(|reply| serde_json::to_value(reply).unwrap()).collect::<Vec<_>>()
    };
    for body in [
        &br#"{"replies":[{"text":"one\ud83d"},{"text":"two"}]}"#[..],
        b"\xef\xbb\xbf{\"replies\":[{\"text\":\"one\"},{\"text\":\"two\"}]}\r\n",
        b"{\"replies\":[{\"text\":\"one\x02\"},{\"text\":\"\\u0008two\\u007f\"}]}",
    ] {
        assert_eq!(said(body).await, [json!({ "text": "one" }), json!({ "text": "two" })]);
    }
    let link = r#"{"title":"a\u0002","description":"b\u0003","url":"https://x.example/\u0004","thumb_url":"https://x.example/\u0005"}"#;
    let clean =
        json!({ "title": "a", "description": "b", "url": "https://x.example/", "thumb_url": "https://x.example/" });
    assert_eq!(said(format!(r#"{{"replies":[{{"link":{link}}}]}}"#).as_bytes()).await, [json!({ "link": clean })]);
    let controls = "nothing is left of text without control characters";
    for (blank, said) in [(r"\ud83d", "text is empty"), (r"\u0002 \n", controls), (r"\u007f", controls)] {
        let body = format!(r#"{{"replies":[{{"text":"{blank}"}}]}}"#);
        let Err(Failure::Refused(error)) = read_answer(200, body).await else { panic!("{blank} is a text") };
        assert!(error.text().contains(&format!("replies[0]: {said}")), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_json_may_pass() {
    for body in ["", "<!DOCTYPE html><html></html>", "{\"replies\": [", "ok"] {
        let failure = read_answer(200, body).await.unwrap_err();
        assert_eq!(failure.label(), "failed", "{body}: {failure}");
    }
}

#[tokio::test]
async fn wrong_replies_are_refused_all_at_once_and_without_their_text() {
    for (replies, expected) in [
        (json!([{ "video": "HUSH" }]), "replies[0]: must have exactly one of text, image, link, miniprogrampage"),
        (json!([{ "text": "a", "image": "inside.png" }]), "replies[0]: must have exactly one of"),
        (
            json!([{ "text": "a" }, { "text": 7 }, "HUSH"]),
            "replies[1].text: must be a string; replies[2]: must be an object",
        ),
        (json!([{ "text": "HUSH", "is_ai_mgs": true }]), "replies[0].is_ai_mgs: there is no such field"),
        (json!([{ "text": "HUSH", "is_ai_msg": "HUSH" }]), "replies[0].is_ai_msg: must be a boolean"),
        (json!([{ "text": "" }]), "replies[0]: text is empty"),
        (json!([{ "link": { "title": "HUSH" } }]), "replies[0].link: missing field `description`"),
        (json!([{ "image": "missing.png" }]), "replies[0]: image "),
        (
            json!([{ "text": "a" }, { "text": "a" }, { "text": "a" }, { "text": "a" }, { "text": "a" }, { "text": "a" }]),
            "its answer has 6 replies, WeChat takes 5 here",
        ),
        (json!("HUSH"), "its answer has no list \"replies\""),
    ] {
        let error = refusal(json!({ "replies": replies })).await;
        assert!(error.contains(expected) && !error.contains("HUSH"), "{replies}: {error}");
    }
    assert!(refusal(json!({ "reply": [] })).await.contains("no list \"replies\""));
}

#[tokio::test]
async fn pictures_stay_within_the_folder() {
    for name in ["../outside.png", "/etc/hostname", "a/../../outside.png", "link.png", ""] {
        for reply in
            [json!({ "image": name }), json!({ "miniprogrampage": { "title": "t", "pagepath": "p", "thumb": name } })]
        {
            let error = refusal(json!({ "replies": [reply] })).await;
            assert!(error.contains("within the folder of kefu's configuration"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_disk_that_hangs_is_not_the_services_failure_and_texts_do_not_need_it() {
    let (folder, disk) = (folder(), Disk::default());
    let end = hang(&disk).await;
    let text = json!({ "replies": [{ "text": "hi" }, { "link": {
        "title": "t", "description": "d", "url": "https://shop.example/", "thumb_url": "https://shop.example/a.png"
    } }] });
    assert_eq!(read_from(&folder, disk.clone(), 200, text.to_string()).await.unwrap().len(), 2);
    let wrong = json!({ "replies": [{ "text": "" }] }).to_string();
    assert!(matches!(read_from(&folder, disk.clone(), 200, wrong).await, Err(Failure::Refused(_))));
    let picture = json!({ "replies": [{ "text": "hi" }, { "image": "inside.png" }] }).to_string();
    let failure = read_from(&folder, disk.clone(), 200, picture.as_str()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unchecked(_)), "{failure:?}");
    assert!(failure.to_string().contains("shop.example") && failure.to_string().contains("the disk does not answer"));
    drop(end);
}
