//! Checks a rule's replies against the pushes that the rule matches.

use super::Context;
use super::condition::Condition;
use crate::problems::Problems;
use crate::reply::split;
use crate::reply::template::{self, Field};
use crate::reply::{Content, Reply, markup};
use crate::window::{Limits, Opening};

/// Notes the mistakes in the replies of a rule.
pub(super) fn check(replies: &[Reply], when: &Condition, context: &Context<'_>, place: &str, problems: &mut Problems) {
    for (index, reply) in replies.iter().enumerate() {
        let Content::Text(text) = &reply.content else { continue };
        let place = format!("{place} reply {}", index + 1);
        for placeholder in template::placeholders(text) {
            match placeholder {
                Err(name) => problems.add(&place, no_such_placeholder(name)),
                Ok(field) if !may_have(when, field) => {
                    let name = field.name();
                    problems.add(&place, format!("{{{name}}} is always empty: no push that the rule is for has it"));
                }
                Ok(_) => {}
            }
        }
        let is_own = |appid: &str| match when.accounts() {
            Some(accounts) => accounts.iter().any(|account| account == appid),
            None => (context.is_account)(appid),
        };
        for problem in markup::problems(text, is_own) {
            problems.add(&place, problem);
        }
    }
    count(replies, when, context.window, place, problems);
}

/// Replies and the parts of their long texts must not be more than the window allows.
fn count(replies: &[Reply], when: &Condition, window: &Limits, place: &str, problems: &mut Problems) {
    let (opening, after) = match when.is_of_entering() {
        true => (Opening::Enter, "after a user entered the session"),
        false => (Opening::Message, "after a user's message"),
    };
    let most = window.replies(opening);
    let sends = |reply: &Reply| match &reply.content {
        Content::Text(text) => split::count(&template::without_placeholders(text)),
        _ => 1,
    };
    let (count, sends) = (replies.len(), replies.iter().map(sends).sum::<usize>());
    if count > most as usize {
        problems.add(place, format!("the rule has {count} replies, WeChat takes {most} {after}"));
    } else if sends > most as usize {
        let parts = format!("with its long texts in parts of 2000 bytes the rule has {sends} replies");
        problems.add(place, format!("{parts}, WeChat takes {most} {after}"));
    }
}

fn no_such_placeholder(name: &str) -> String {
    let known = Field::ALL.map(|field| format!("{{{}}}", field.name())).join(", ");
    format!("text: there is no placeholder {{{name}}}; there are {known}. For {{{name}}} itself write {{{{{name}}}}}")
}

fn may_have(when: &Condition, field: Field) -> bool {
    match field {
        Field::Content => when.allows_type("text"),
        Field::SessionFrom => when.allows_entering(),
        Field::Title | Field::PagePath => when.allows_type("miniprogrampage"),
    }
}
