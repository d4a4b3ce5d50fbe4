//! Which push gets which replies, and which rules are refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use kefu_messages::reply::Content;
use kefu_messages::rules::{Action, Rule, Rules};
use kefu_messages::testing::{enter_push as enter, push, text_push as text};
use kefu_program::testing::{Folder, MINIMAL, account};
use kefu_wechat::push::Push;
use serde_json::json;

mod answered;
mod explained;
mod matching;
mod refused;
mod replies;

fn load(rules: &str) -> Result<Arc<Rules>, Vec<String>> {
    let folder = Folder::new(format!("{MINIMAL}{}{rules}", account("wx2")))
        .with("code.png", b"\x89PNG\r\n\x1a\n")
        .with("notes.txt", "no picture")
        .with("large.png", [&b"\x89PNG"[..], &[0; 3_000_000]].concat());
    let loaded = folder.load(&[]);
    loaded.map(|config| config.rules.current()).map_err(|errors| errors.problems().to_vec())
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
