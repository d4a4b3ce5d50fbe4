//! Which push gets which replies, and which rules are refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::sync::Arc;

use kefu_messages::reply::Content;
use kefu_messages::rules::{Action, Rule, Rules};
use kefu_program::config;
use kefu_wechat::push::Push;

mod answered;
mod explained;
mod matching;
mod refused;
mod replies;

const HEAD: &str = r#"
[queue]
url = "embedded:data"
[store]
url = "embedded:data"
[[account]]
appid = "wx1"
secret = "s"
token = "t"
mode = "plain"
[[account]]
appid = "wx2"
secret = "s"
token = "t"
mode = "plain"
"#;

fn load(rules: &str) -> Result<Arc<Rules>, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kefu.toml"), format!("{HEAD}{rules}")).unwrap();
    fs::write(folder.path().join("code.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    fs::write(folder.path().join("large.png"), b"\x89PNG").unwrap();
    fs::File::options().write(true).open(folder.path().join("large.png")).unwrap().set_len(3_000_000).unwrap();
    let loaded = config::load_with(&folder.path().join("kefu.toml"), []);
    loaded.map(|config| config.rules.current()).map_err(|errors| errors.problems().to_vec())
}

fn push(fields: &str) -> Push {
    Push::parse(&format!(r#"{{"FromUserName":"oUSER","CreateTime":1,{fields}}}"#)).unwrap()
}

fn text(content: &str) -> Push {
    push(&format!(r#""MsgType":"text","MsgId":1,"Content":{}"#, serde_json::to_string(content).unwrap()))
}

fn enter(session_from: &str) -> Push {
    push(&format!(r#""MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"{session_from}""#))
}

/// The texts that the rules reply with.
fn replies(rules: &str, push: &Push) -> Vec<String> {
    let rules = load(rules).expect("the rules are good");
    let Some(Action::Reply(replies)) = rules.decide("wx1", push).map(Rule::action) else { return Vec::new() };
    let texts = replies.iter().map(|reply| match &reply.content {
        Content::Text(text) => text.clone(),
        _ => reply.kind().to_owned(),
    });
    texts.collect()
}

fn rule(when: &str, reply: &str) -> String {
    format!("[[rule]]\nwhen = {when}\nreply = [{{ text = \"{reply}\" }}]\n")
}
