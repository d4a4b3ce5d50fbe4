//! Rules, and why they do not match, in words for people.

use kefu_wechat::push::Push;

use super::condition::{Condition, Part, Subject};
use super::{Action, Rule};
use crate::reply::Reply;
use crate::window::ENTER_SESSION;

impl Rule {
    /// The rule's conditions in words: `type "text", contains "a" or "b"`.
    pub fn when(&self) -> String {
        self.when.in_words()
    }

    /// Why the rule does not match a push to the account `appid`: the first condition that does not hold, in words, which
    /// quote the push. `None` if the rule matches. The check is the same as in [`Rules::decide`](super::Rules::decide).
    pub fn mismatch(&self, appid: &str, push: &Push) -> Option<String> {
        let subject = Subject::of(appid, push);
        self.when.failing(&subject).map(|part| self.when.why_not(part, &subject))
    }
}

impl Action {
    /// The action in words: `reply image, text`. Of a webhook's URL, which may contain a secret, only the host.
    pub fn in_words(&self) -> String {
        match self {
            Self::Reply(replies) => {
                let kinds: Vec<&str> = replies.iter().map(Reply::kind).collect();
                format!("reply {}", kinds.join(", "))
            }
            Self::Transfer => "transfer".to_owned(),
            Self::Webhook(endpoint) => {
                let sync = if endpoint.sync { ", sync" } else { "" };
                let media = if endpoint.media { ", media" } else { "" };
                format!("webhook {}{sync}{media}", endpoint.host())
            }
            Self::Assistant(_) => "assistant".to_owned(),
            Self::Ignore => "ignore".to_owned(),
        }
    }
}

impl Condition {
    fn in_words(&self) -> String {
        let given: Vec<String> = Part::ALL.into_iter().filter_map(|part| self.part_in_words(part)).collect();
        if given.is_empty() { "every push".to_owned() } else { given.join(", ") }
    }

    fn part_in_words(&self, part: Part) -> Option<String> {
        let values = match part {
            Part::Account => self.accounts.as_ref().map(|values| any_of(values)),
            Part::Type => self.types.as_ref().map(|values| any_of(values)),
            Part::Event => self.events.as_ref().map(|values| any_of(values)),
            Part::Contains => self.contains.as_ref().map(|values| any_of(values)),
            Part::Regex => self.regex.as_ref().map(|regex| format!("{:?}", regex.as_str())),
            Part::SessionFrom => self.session_from.as_ref().map(|values| any_of(values)),
        };
        values.map(|values| format!("{} {values}", part.key()))
    }

    /// Why `part` does not hold.
    fn why_not(&self, part: Part, subject: &Subject) -> String {
        let &Subject { appid, msg_type, event, session_from, text, .. } = subject;
        let wanted = self.part_in_words(part).unwrap_or_default();
        match part {
            Part::Account => format!("{wanted}: it came to {appid:?}"),
            Part::Type => format!("{wanted}: it is {msg_type:?}"),
            Part::Event => match event {
                Some(event) => format!("{wanted}: it is {event:?}"),
                None => format!("{wanted}: it is no event but {msg_type:?}"),
            },
            Part::Contains | Part::Regex => match text {
                Some(_) => format!("{wanted}: not found in the text"),
                None => format!("{wanted}: it is no text but {:?}", event.unwrap_or(msg_type)),
            },
            Part::SessionFrom => match session_from {
                Some("") => format!("{wanted}: its SessionFrom is empty"),
                Some(session_from) => format!("{wanted}: not found in {session_from:?}"),
                None => format!("{wanted}: it is not {ENTER_SESSION} but {:?}", event.unwrap_or(msg_type)),
            },
        }
    }
}

impl Part {
    /// The part's key in the file.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Type => "type",
            Self::Event => "event",
            Self::Contains => "contains",
            Self::Regex => "regex",
            Self::SessionFrom => "session_from",
        }
    }
}

fn any_of(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    quoted.join(" or ")
}
