//! The `when` of a rule: all of its conditions must hold.

use kefu_wechat::push::{Content, Push};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::problems::Problems;
use crate::window::ENTER_SESSION;

/// `when` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConditionSection {
    account: Option<OneOrMore>,
    r#type: Option<OneOrMore>,
    event: Option<OneOrMore>,
    contains: Option<OneOrMore>,
    regex: Option<String>,
    session_from: Option<OneOrMore>,
}

/// `"a"` or `["a", "b"]`
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a string or a list of strings")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The conditions on a push. A condition that was not given always holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// One of these appids.
    pub(super) accounts: Option<Vec<String>>,
    /// One of these types, without regard to case.
    pub(super) types: Option<Vec<String>>,
    /// An event with one of these names, without regard to case.
    pub(super) events: Option<Vec<String>>,
    /// A text that contains one of these texts (in lower case), without regard to case.
    pub(super) contains: Option<Vec<String>>,
    /// A text in which this pattern is found.
    pub(super) regex: Option<Regex>,
    /// A `user_enter_tempsession` whose `SessionFrom` contains one of these texts (in lower case).
    pub(super) session_from: Option<Vec<String>>,
}

/// One of the conditions that a `when` can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Account,
    Type,
    Event,
    Contains,
    Regex,
    SessionFrom,
}

impl Part {
    /// In the order in which they are checked.
    pub(super) const ALL: [Self; 6] =
        [Self::Account, Self::Type, Self::Event, Self::Contains, Self::Regex, Self::SessionFrom];
}

/// The parts of a push that conditions check, made once for all rules.
pub(super) struct Subject<'a> {
    pub(super) appid: &'a str,
    pub(super) msg_type: &'a str,
    /// The content of a text.
    pub(super) text: Option<&'a str>,
    /// The name of an event.
    pub(super) event: Option<&'a str>,
    /// The `SessionFrom` of a `user_enter_tempsession`.
    pub(super) session_from: Option<&'a str>,
    lower: Lower,
}

/// The same in lower case.
struct Lower {
    msg_type: String,
    text: Option<String>,
    event: Option<String>,
    session_from: Option<String>,
}

/// More memory than any sensible pattern needs; a larger one is a configuration error.
const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// The types of users' messages
/// (<https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>).
const USER_MESSAGES: [&str; 3] = ["text", "image", "miniprogrampage"];
/// Whether this is the event of a user who enters the session.
pub(super) fn is_entering(event: &str) -> bool {
    event.eq_ignore_ascii_case(ENTER_SESSION)
}

impl ConditionSection {
    pub(super) fn resolve(&self, place: &str, problems: &mut Problems) -> Option<Condition> {
        let mut list = |name: &str, given: &Option<OneOrMore>| {
            let values = match given.as_ref()? {
                OneOrMore::One(value) => vec![value.clone()],
                OneOrMore::More(values) => values.clone(),
            };
            if values.is_empty() || values.iter().any(String::is_empty) {
                problems.add(place, format!("when.{name} has an empty value"));
            }
            Some(values)
        };
        let lower = |values: Vec<String>| values.iter().map(|value| value.to_lowercase()).collect();
        let accounts = list("account", &self.account);
        let types: Option<Vec<String>> = list("type", &self.r#type).map(lower);
        let events: Option<Vec<String>> = list("event", &self.event).map(lower);
        let contains: Option<Vec<String>> = list("contains", &self.contains).map(lower);
        let session_from: Option<Vec<String>> = list("session_from", &self.session_from).map(lower);
        let regex = match &self.regex {
            None => None,
            Some(pattern) => match RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build() {
                Ok(regex) => Some(regex),
                Err(error) => {
                    problems.add(place, format!("when.regex: {}", regex_problem(&error)));
                    return None;
                }
            },
        };

        let of_texts = contains.is_some() || regex.is_some();
        let of_events = events.is_some() || session_from.is_some();
        let allows = |wanted: &str| names(&types, wanted);
        if of_texts && of_events {
            problems.add(
                place,
                "the rule can never match: contains and regex look at texts, event and session_from at events",
            );
        } else if of_texts && !allows("text") {
            problems.add(place, "the rule can never match: contains and regex look at pushes of type text");
        } else if of_events && !allows("event") {
            problems.add(place, "the rule can never match: event and session_from look at pushes of type event");
        }
        if session_from.is_some() && !names(&events, ENTER_SESSION) {
            problems.add(place, format!("the rule can never match: session_from comes with the event {ENTER_SESSION}"));
        }
        Some(Condition { accounts, types, events, contains, regex, session_from })
    }
}

impl Condition {
    /// The accounts that the condition names and `is_known` does not know.
    pub(super) fn unknown_accounts(&self, is_known: impl Fn(&str) -> bool) -> Vec<&str> {
        self.accounts.iter().flatten().map(String::as_str).filter(|account| !is_known(account)).collect()
    }

    /// The accounts that the condition names; `None` for all.
    pub(super) fn accounts(&self) -> Option<&[String]> {
        self.accounts.as_deref()
    }

    /// Whether the condition may hold for a push of this type, in lower case.
    pub(super) fn allows_type(&self, wanted: &str) -> bool {
        let (of_texts, of_events) =
            (self.contains.is_some() || self.regex.is_some(), self.events.is_some() || self.session_from.is_some());
        names(&self.types, wanted) && (!of_texts || wanted == "text") && (!of_events || wanted == "event")
    }

    /// Whether the condition may hold for a user who enters the session.
    pub(super) fn allows_entering(&self) -> bool {
        names(&self.events, ENTER_SESSION) && self.allows_type("event")
    }

    /// Whether the condition holds only for users who enter the session.
    pub(super) fn is_of_entering(&self) -> bool {
        self.session_from.is_some()
            || self.events.as_ref().is_some_and(|events| events.iter().all(|e| e == ENTER_SESSION))
    }

    /// Whether only users' messages can match.
    pub(super) fn is_of_user_messages(&self) -> bool {
        let of_these = |types: &Vec<String>| types.iter().all(|given| USER_MESSAGES.contains(&given.as_str()));
        self.contains.is_some() || self.regex.is_some() || self.types.as_ref().is_some_and(of_these)
    }

    /// Whether the condition holds for events only.
    pub(super) fn is_of_events(&self) -> bool {
        let only_events = |types: &Vec<String>| types.iter().all(|one| one == "event");
        self.session_from.is_some() || self.events.is_some() || self.types.as_ref().is_some_and(only_events)
    }

    /// Whether the condition holds for texts only.
    pub(super) fn is_of_texts(&self) -> bool {
        let of_type = |types: &Vec<String>| types.iter().all(|given| given == "text");
        self.contains.is_some() || self.regex.is_some() || self.types.as_ref().is_some_and(of_type)
    }

    /// Whether this condition holds for every push for which `other` holds. Also `false` if that cannot be decided.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let (of_texts, text) = (other.contains.is_some() || other.regex.is_some(), ["text".to_owned()]);
        let (of_events, event) = (other.events.is_some() || other.session_from.is_some(), ["event".to_owned()]);
        let types = match &other.types {
            Some(types) => Some(types.as_slice()),
            None if of_texts => Some(text.as_slice()),
            None if of_events => Some(event.as_slice()),
            None => None,
        };
        let enter = [ENTER_SESSION.to_owned()];
        let entering = other.session_from.as_ref().map(|_| enter.as_slice());
        has_all(&self.accounts, other.accounts.as_deref())
            && has_all(&self.types, types)
            && has_all(&self.events, other.events.as_deref().or(entering))
            && self.contains.is_none()
            && self.regex.is_none()
            && self.session_from.is_none()
    }

    pub(super) fn matches(&self, subject: &Subject) -> bool {
        self.failing(subject).is_none()
    }

    /// The first part that does not hold.
    pub(super) fn failing(&self, subject: &Subject) -> Option<Part> {
        Part::ALL.into_iter().find(|part| !self.holds(*part, subject))
    }

    fn holds(&self, part: Part, subject: &Subject) -> bool {
        let Subject { appid, text, lower, .. } = subject;
        match part {
            Part::Account => holds(&self.accounts, |accounts| accounts.iter().any(|account| account == appid)),
            Part::Type => holds(&self.types, |types| types.contains(&lower.msg_type)),
            Part::Event => {
                holds(&self.events, |events| lower.event.as_ref().is_some_and(|event| events.contains(event)))
            }
            Part::Contains => holds(&self.contains, |parts| has_one_of(&lower.text, parts)),
            Part::Regex => holds(&self.regex, |regex| text.is_some_and(|text| regex.is_match(text))),
            Part::SessionFrom => holds(&self.session_from, |parts| has_one_of(&lower.session_from, parts)),
        }
    }
}

impl<'a> Subject<'a> {
    pub(super) fn of(appid: &'a str, push: &'a Push) -> Self {
        let (text, event, session_from) = match &push.content {
            Content::Text { content } => (Some(content.as_str()), None, None),
            Content::Event { event, session_from } => (None, Some(event.as_str()), Some(session_from.as_str())),
            _ => (None, None, None),
        };
        let session_from = session_from.filter(|_| event.is_some_and(is_entering));
        let lower = Lower {
            msg_type: push.msg_type.to_lowercase(),
            text: text.map(str::to_lowercase),
            event: event.map(str::to_lowercase),
            session_from: session_from.map(str::to_lowercase),
        };
        Self { appid, msg_type: &push.msg_type, text, event, session_from, lower }
    }
}

/// Whether a list contains this word, or was not given.
fn names(given: &Option<Vec<String>>, wanted: &str) -> bool {
    given.as_ref().is_none_or(|given| given.iter().any(|one| one == wanted))
}

/// Whether a given list contains everything that another list allows.
fn has_all(given: &Option<Vec<String>>, of: Option<&[String]>) -> bool {
    given.as_ref().is_none_or(|given| of.is_some_and(|of| of.iter().all(|value| given.contains(value))))
}

fn holds<T>(condition: &Option<T>, holds: impl FnOnce(&T) -> bool) -> bool {
    condition.as_ref().is_none_or(holds)
}

fn has_one_of(text: &Option<String>, parts: &[String]) -> bool {
    text.as_ref().is_some_and(|text| parts.iter().any(|part| text.contains(part)))
}

/// The last line of the parser's message; the lines before it draw the pattern.
fn regex_problem(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
