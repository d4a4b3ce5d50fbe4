//! `kefu rules`.

use std::process::{Output, Stdio};
use std::time::Duration;

use kefu_harness::folder::Folder;
use kefu_harness::shop::PICTURE;
use kefu_harness::target;
use kefu_program::testing::{MINIMAL, account};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::{kefu, text};

const RULES: &str = r#"
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "welcome" }]
[[rule]]
when = { type = "text", contains = ["二维码", "qr code"] }
reply = [{ image = "code.png" }, { text = "长按识别二维码", kf_account = "kf2001@shop" }]
[[rule]]
when = { type = "text", regex = "^spam" }
ignore = true
"#;

fn folder(config: &str) -> (Folder, String) {
    let folder = Folder::new("rules");
    folder.write("code.png", PICTURE);
    let file = folder.write("kefu.toml", config);
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

/// `kefu rules try`, with the push on its standard input.
async fn try_push(config: &str, push: &str, more: &[&str]) -> Output {
    let mut command = Command::new(target::program("kefu"));
    command.args(["rules", "try", "--config", config, "--push", "-"]).args(more).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read it has ended already.
    child.stdin.take().unwrap().write_all(push.as_bytes()).await.ok();
    timeout(Duration::from_secs(60), child.wait_with_output()).await.expect("it ends").unwrap()
}

#[tokio::test]
async fn check_lists_the_rules() {
    let (_folder, config) = folder(&format!("{MINIMAL}{RULES}"));
    let output = kefu(&["rules", "check", "--config", &config]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = format!(
        "{config} is good: 1 account, 3 rules\n\
         RULE  WHEN                                         ACTION\n\
         \x20  1  event \"user_enter_tempsession\"               reply text\n\
         \x20  2  type \"text\", contains \"二维码\" or \"qr code\"  reply image, text\n\
         \x20  3  type \"text\", regex \"^spam\"                   ignore\n"
    );
    assert_eq!(text(&output.stdout), expected);

    let (_folder, config) = folder(MINIMAL);
    let output = kefu(&["rules", "check", "--config", &config]).await;
    assert!(
        text(&output.stdout).contains("0 rules\ningress acknowledges every push, and the worker sends nothing"),
        "{output:?}"
    );
}

#[tokio::test]
async fn check_lists_ten_mistakes_and_ends_with_status_2() {
    let (_folder, config) = folder(&format!("{MINIMAL}{}", crate::reload::TEN));
    let output = kefu(&["rules", "check", "--config", &config]).await;
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("kefu.toml has 10 problems:") && stderr.contains("\n  10. [[rule]] "), "{stderr}");
}

#[tokio::test]
async fn try_says_which_rule_matches_and_why_those_before_do_not() {
    let (folder, config) = folder(&format!("{MINIMAL}{RULES}"));
    let push = "<xml><FromUserName>oU</FromUserName><MsgType>text</MsgType><Content>QR code?</Content></xml>";
    let file = folder.write("push.xml", push);
    let output = kefu(&["rules", "try", "--config", &config, "--push", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = "text, to wx1\n\
        \x20 rule 1  no   event \"user_enter_tempsession\": it is no event but \"text\"\n\
        \x20 rule 2  YES  type \"text\", contains \"二维码\" or \"qr code\"\n\
        ingress acknowledges the push, then the worker sends 2 replies:\n\
        \x20 1. image: code.png\n\
        \x20 2. text (from kf2001@shop): 长按识别二维码\n";
    assert_eq!(text(&output.stdout), expected);
}

#[tokio::test]
async fn try_takes_json_from_standard_input_and_knows_ignored_and_unmatched() {
    let (_folder, config) = folder(&format!("{MINIMAL}{RULES}"));
    let push = |fields: &str| format!("{{\"FromUserName\":\"oU\",\"CreateTime\":1,{fields}}}");
    let ignored = try_push(&config, &push(r#""MsgType":"text","Content":"spam!""#), &[]).await;
    let shown = text(&ignored.stdout);
    assert!(
        shown.ends_with(
            "rule 3  YES  type \"text\", regex \"^spam\"\ningress acknowledges the push, and the worker sends nothing\n"
        ),
        "{shown}"
    );
    let unmatched = try_push(&config, &push(r#""MsgType":"image""#), &["--account", "wx1"]).await;
    let shown = text(&unmatched.stdout);
    assert!(shown.contains("rule 3  no   type \"text\": it is \"image\"\n"), "{shown}");
    assert!(
        shown.ends_with("no rule matches: ingress acknowledges the push, and the worker sends nothing\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn try_reads_a_push_as_ingress_does() {
    let rules = "[[rule]]\nwhen = { type = \"text\" }\nreply = [{ text = \"said: {content}\" }]\n";
    let (_folder, config) = folder(&format!("{MINIMAL}{rules}"));
    let push = |content: &str| {
        format!(
            "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oU]]></FromUserName>\
             <CreateTime>1699600000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content>{content}</Content>\
             <MsgId>24000000000000001</MsgId></xml>"
        )
    };
    // A reply shows what could be a link or a tag of a user's in other characters.
    for (written, read) in [
        ("<![CDATA[<status><![CDATA[1]]></status>]]>", "＜status><![CDATA[1]]>＜/status>"),
        ("<![CDATA[arr[b[0]]>1]]>", "arr[b[0]]>1"),
        ("<![CDATA[a]]></Content><MsgType><![CDATA[b]]>", "a]]>＜/Content>＜MsgType><![CDATA[b"),
        ("AT&T; b", "AT&T; b"),
    ] {
        let output = try_push(&config, &format!("{}\r\n\0\0", push(written)), &[]).await;
        let shown = text(&output.stdout);
        assert!(shown.ends_with(&format!("1. text: said: {read}\n")), "{shown}{}", text(&output.stderr));
    }
    let encrypted = push("<![CDATA[<b>]]>]]>").replace("<MsgId>", "</b><Encrypt>AAAA</Encrypt><MsgId>");
    let refused = try_push(&config, &encrypted, &[]).await;
    assert!(text(&refused.stderr).contains("is an encrypted push: give the decrypted push"), "{refused:?}");
}

#[tokio::test]
async fn try_says_what_ingress_answers_to_events_that_want_an_answer_of_their_own() {
    let sync = "[webhook]\nsecret = \"a secret of 16 characters\"\n[[rule]]\nwhen = { event = \"check_biz\" }\n\
                webhook = { url = \"http://127.0.0.1:1/x\", sync = true }\n";
    let paid = "[[rule]]\nwhen = { event = \"xpay_goods_deliver_notify\" }\nreply = [{ text = \"paid\" }]\n";
    let event = |name: &str| format!(r#"{{"FromUserName":"oU","MsgType":"event","Event":"{name}"}}"#);
    let xml = "<xml><FromUserName>oU</FromUserName><MsgType>event</MsgType><Event>xpay_refund_notify</Event></xml>";
    let wanted = "WeChat wants a decision in the answer to check_biz, and no rule makes a decision: add a rule whose webhook has sync = true\n";
    for (rules, push, said) in [
        (
            RULES,
            event("iot_voip_notify"),
            "no rule matches: ingress answers {\"errcode\":0,\"errmsg\":\"ok\"}, and the worker sends nothing\n",
        ),
        (
            paid,
            event("xpay_coin_pay_notify"),
            "no rule matches: ingress answers {\"ErrCode\":0,\"ErrMsg\":\"success\"}, and the worker",
        ),
        (
            paid,
            event("xpay_goods_deliver_notify"),
            "ingress answers {\"ErrCode\":0,\"ErrMsg\":\"success\"}, then the worker sends 1 reply:\n",
        ),
        (
            RULES,
            xml.to_owned(),
            "ingress answers <xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>, and",
        ),
        (
            RULES,
            event("check_biz"),
            &*format!("no rule matches: ingress acknowledges the push, and the worker sends nothing\n{wanted}"),
        ),
        (sync, event("check_biz"), "ingress asks the webhook at 127.0.0.1:1 and passes its answer to WeChat\n"),
        (
            sync,
            event("kf_create_session"),
            "no rule matches: ingress acknowledges the push, and the worker sends nothing\n",
        ),
    ] {
        let (_folder, config) = folder(&format!("{MINIMAL}{rules}"));
        let output = try_push(&config, &push, &[]).await;
        let shown = text(&output.stdout);
        assert!(shown.contains(said), "{said:?} is not in:\n{shown}{}", text(&output.stderr));
        assert_eq!(shown.contains("WeChat wants"), said.contains("WeChat wants"), "{shown}");
    }
}

#[tokio::test]
async fn try_refuses_what_it_cannot_try_with_what_to_do() {
    let (_folder, config) = folder(&format!("{MINIMAL}{RULES}"));
    let (_second, two) = folder(&format!("{MINIMAL}{}{RULES}", account("wx2")));
    let push = r#"{"FromUserName":"oU","MsgType":"image"}"#;
    for (config, push, more, said) in [
        (&config, "", &[][..], "ingress refuses standard input (400): not a push: the body is empty"),
        (&config, "hello", &[], "ingress refuses standard input (400): not a push: the body is neither XML nor JSON"),
        (&config, r#"{"ToUserName":"gh_1","Encrypt":"AAAA"}"#, &[], "is an encrypted push: give the decrypted push"),
        (&config, push, &["--account", "wx9"], "the configuration has no [[account]] wx9, only wx1"),
        (&two, push, &[], "to which account? give --account with one of wx1, wx2"),
    ] {
        let output = try_push(config, push, more).await;
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}: {stderr}");
        assert!(stderr.contains(said), "{said:?} is not in:\n{stderr}");
    }
    let output = kefu(&["rules", "try", "--config", &config, "--push", "/nowhere/push.json"]).await;
    assert!(text(&output.stderr).contains("/nowhere/push.json cannot be read"), "{output:?}");
}

#[tokio::test]
async fn try_says_of_what_cannot_be_read_what_ingress_does() {
    let safe = MINIMAL.replace("\"plain\"", &format!("\"safe\"\nencoding_aes_key = \"{}\"", "A".repeat(43)));
    let large = format!("<xml>{}", "a".repeat(64 * 1024));
    let bound = "in plain mode 60 a minute of an account";
    for (case, push, reason, is_kept_in_plain) in [
        ("cut XML", "<xml><FromUserName>oU</FromUserName><Content><![CDATA[hi", "not well-formed XML", true),
        ("no user", "<xml><MsgType>text</MsgType><Content>hi</Content></xml>", "the push has no FromUserName", true),
        ("a DOCTYPE", "<!DOCTYPE x><xml/>", "the body has a DOCTYPE", true),
        ("a large one", &large, "not well-formed XML", false),
        ("nothing", "", "the body is empty", false),
        ("an array", "[]", "begins as a JSON array", true),
        ("a form", "a=b", "the body is neither XML nor JSON", false),
    ] {
        for (config, is_kept, shows_bound) in [(MINIMAL, is_kept_in_plain, true), (&*safe, true, false)] {
            let (_folder, config) = folder(&format!("{config}{RULES}"));
            let output = try_push(&config, push, &[]).await;
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            if is_kept {
                assert_eq!(output.status.code(), Some(0), "{case}: {stderr}");
                assert!(
                    stdout.starts_with("not readable, to wx1\ningress acknowledges the push, and keeps it"),
                    "{stdout}"
                );
                assert!(stdout.contains(", unreadable: ") && stdout.contains(reason), "{case}: {stdout}");
                assert!(stdout.ends_with("kefu asks no rule, and the worker sends nothing\n"), "{stdout}");
                assert_eq!(stdout.contains(bound), shows_bound, "{stdout}");
            } else {
                assert_eq!((output.status.code(), &*stdout), (Some(2), ""), "{case}");
                assert!(
                    stderr.contains("ingress refuses standard input (400): not a push: ") && stderr.contains(reason),
                    "{stderr}"
                );
            }
        }
    }
}

#[tokio::test]
async fn check_tells_what_is_left_of_nothing_from_what_is_empty_and_has_its_notes_beside() {
    let rules = "[[rule]]\nwhen = {}\nreply = [{ text = \"\\u0001\\u0002\" }, { text = \" \" }, { text = \"a\\u0003\" }, \
                 { image = \"../pic\\u0001.png\" }]\n";
    let (_folder, config) = folder(&format!("{MINIMAL}{rules}"));
    let output = kefu(&["rules", "check", "--config", &config]).await;
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    for said in [
        "reply 1: nothing is left of text without control characters\n",
        "reply 2: text is empty\n",
        "reply 4: image names a file with control characters in its name, which is refused: U+0001 (character 7)\n",
        "\nnote: [[rule]] 1 reply 3: text has control characters that WeChat refuses, and is sent without them: U+0003",
    ] {
        assert!(stderr.contains(said), "{said:?} is not in:\n{stderr}");
    }
    assert!(!stderr.contains("cannot be read") && !stderr.contains('\u{1}'), "{stderr}");
}

#[tokio::test]
async fn check_names_control_characters_and_where_they_are() {
    let rules = "[assistant]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\nfallback = \"one\\u0003moment\"\n\
                 [[rule]]\nwhen = {}\nreply = [{ text = \"fine\\r\\n\" }, { text = \"a\\u0002b\\u007f\", kf_account = \"a@b\\u0001\" }]\n";
    let (_folder, config) = folder(&format!("{MINIMAL}{rules}"));
    let output = kefu(&["rules", "check", "--config", &config]).await;
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout} {}", text(&output.stderr));
    let notes: Vec<&str> = stdout.lines().filter(|line| line.starts_with("note: ")).collect();
    let says = "has control characters that WeChat refuses, and is sent without them:";
    let expected = [
        format!("note: [assistant] fallback: the text {says} U+0003 (character 4)"),
        format!("note: [[rule]] 1 reply 2: text {says} U+0002 (character 2), U+007F (character 4)"),
        format!("note: [[rule]] 1 reply 2: kf_account {says} U+0001 (character 4)"),
    ];
    assert_eq!(notes, expected);
    let push = r#"{"FromUserName":"oU","MsgType":"text","Content":"hi"}"#;
    let output = try_push(&config, push, &[]).await;
    assert!(text(&output.stdout).contains("2. text (from a@b): ab"), "{}", text(&output.stdout));
}
