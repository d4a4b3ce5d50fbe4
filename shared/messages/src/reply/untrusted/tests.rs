use serde_json::{Value, json};

use super::*;

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(rename = "replies")]
    _replies: Vec<Reply>,
}

fn wrong(reply: &Value) -> String {
    let body = json!({ "replies": [{ "text": "hi" }, reply] });
    let Misshapen { place, problem } = read::<Body, _>(&body).unwrap_err();
    format!("{place}: {problem}")
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_without_the_value() {
    for (reply, expected) in [
        (json!("HUSH"), "replies[1]: must be an object"),
        (json!({ "text": 7 }), "replies[1].text: must be a string"),
        (json!({ "text": "HUSH", "image": "HUSH" }), "replies[1]: must have exactly one of text, image"),
        (json!({ "text": "HUSH", "is_ai_msg": "HUSH" }), "replies[1].is_ai_msg: must be a boolean"),
        (json!({ "text": "HUSH", "is_ai_mgs": true }), "replies[1].is_ai_mgs: there is no such field"),
        (json!({ "link": { "title": "HUSH" } }), "replies[1].link: missing field `description`"),
        (json!({ "text": "HUSH", "x\ny": 1 }), "replies[1].x\\ny: there is no such field"),
    ] {
        let error = wrong(&reply);
        assert!(error.starts_with(expected) && !error.contains("HUSH"), "{reply}: {error}");
    }
    assert!(wrong(&json!({ "text": "hi", "x".repeat(100_000): 1 })).len() < 1_000);
}

fn problems_of(replies: Value, look: bool) -> Vec<String> {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("shop");
    std::fs::create_dir(&folder).unwrap();
    for name in ["outside.png", "shop/inside.png"] {
        std::fs::write(outer.path().join(name), b"\x89PNG\r\n\x1a\n and so on").unwrap();
    }
    std::os::unix::fs::symlink("../outside.png", folder.join("out.png")).unwrap();
    std::os::unix::fs::symlink("inside.png", folder.join("in.png")).unwrap();
    let replies: Vec<Reply> = serde_json::from_value(replies).unwrap();
    problems(&replies, look.then_some(&PictureFolder { path: folder, max_bytes: 1_000 }))
}

#[test]
fn what_can_be_sent_has_no_problems() {
    let card = json!({ "title": "t", "pagepath": "pages/a", "thumb": "inside.png" });
    let replies =
        json!([{ "text": "hi" }, { "image": "./inside.png" }, { "image": "in.png" }, { "miniprogrampage": card }]);
    assert_eq!(problems_of(replies, true), [""; 0]);
}

#[test]
fn a_picture_elsewhere_is_refused_though_it_is_there() {
    for name in ["../outside.png", "/etc/hostname", "a/../../outside.png", "out.png", ""] {
        let card = json!({ "title": "t", "pagepath": "pages/a", "thumb": name });
        let found = problems_of(json!([{ "image": name }, { "miniprogrampage": card }]), true);
        assert_eq!(found.len(), 2, "{name}: {found:?}");
        assert!(found[0].starts_with("replies[0]: image must be a path within the folder"), "{found:?}");
        assert!(found[1].starts_with("replies[1]: miniprogrampage.thumb must be a path within"), "{found:?}");
    }
}

#[test]
fn all_that_is_wrong_is_said_and_without_a_folder_pictures_are_believed() {
    let replies = json!([{ "image": "absent.png" }, { "image": "../outside.png" }, { "text": " " }]);
    let found = problems_of(replies.clone(), false);
    assert!(found.len() == 2 && found[1] == "replies[2]: text is empty", "{found:?}");
    let found = problems_of(replies, true);
    assert!(found.len() == 3 && found[0].contains("cannot be read"), "{found:?}");
}
