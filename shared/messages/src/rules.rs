//! Rules: what to do with which push. The first rule that matches decides; without a match the push is ignored.

use std::path::Path;

use kefu_wechat::push::{Content, Push};

use crate::problems::Problems;
use crate::reply::Reply;
pub use crate::reply::WrittenReply;
use crate::window::Limits;

mod assistant;
mod condition;
mod endpoint;
mod explain;
mod live;
mod replies;

pub use assistant::{AssistantSection, Briefing, cleaned_fallback, fallback_problem, given};
pub use condition::ConditionSection;
pub use endpoint::{DECIDE_WITHIN, Endpoint, EndpointSection};
pub use live::LiveRules;

use condition::{Condition, Part, Subject};

/// All rules, in the order of the file.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One rule: what to do with which push.
#[derive(Debug)]
pub struct Rule {
    place: String,
    when: Condition,
    action: Action,
}

/// What a rule does with a push that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these replies, in this order.
    Reply(Vec<Reply>),
    /// Hand the user's message over to the human agents: ingress does so in its answer to the push.
    Transfer,
    /// Ask this webhook for the replies or, if the webhook is `sync`, for the answer.
    Webhook(Endpoint),
    /// Ask an assistant, and send its answer.
    Assistant(Briefing),
    /// Send nothing.
    Ignore,
}

/// `[[rule]]` as it is written: `when`, and one of the other keys.
#[derive(Debug, Default)]
pub struct RuleSection {
    /// Which pushes the rule is for.
    pub when: Option<ConditionSection>,
    /// [`Action::Reply`]
    pub reply: Vec<WrittenReply>,
    /// [`Action::Transfer`]
    pub transfer: bool,
    /// [`Action::Webhook`]
    pub webhook: Option<EndpointSection>,
    /// [`Action::Assistant`]
    pub assistant: Option<AssistantSection>,
    /// [`Action::Ignore`]
    pub ignore: bool,
}

/// What the rules are checked against.
pub struct Context<'a> {
    /// The folder where relative paths start.
    pub folder: &'a Path,
    /// The largest picture that kefu uploads.
    pub max_image_bytes: u64,
    /// WeChat's limits.
    pub window: &'a Limits,
    /// The prompt and the fallback of `[assistant]`, if the section exists.
    pub assistant: Option<&'a Briefing>,
    /// Whether an appid is an account of the configuration.
    pub is_account: &'a dyn Fn(&str) -> bool,
}

impl Rule {
    /// The rule's place in the file, in words: `[[rule]] 2`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The rule's action.
    pub fn action(&self) -> &Action {
        &self.action
    }
}

/// The keys that `when` can have, for the documentation's test.
#[doc(hidden)]
pub fn keys_of_when() -> [&'static str; 6] {
    Part::ALL.map(Part::key)
}

impl Rules {
    /// The rules of the sections, each with its place in words. All mistakes are noted.
    pub fn resolve(sections: &[(String, RuleSection)], context: &Context<'_>, problems: &mut Problems) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        for (place, section) in sections {
            let action = section.action(place, context, problems);
            if section.when.is_none() {
                problems.missing(place, "when", "when is missing; when = {} matches every push");
            }
            let when = section.when.as_ref().and_then(|when| when.resolve(place, problems));
            let (Some(when), Some(action)) = (when, action) else { continue };
            for account in when.unknown_accounts(context.is_account) {
                problems.add(place, format!("when.account: there is no [[account]] {account}"));
            }
            action.fits(&when, context, place, problems);
            if let Some(before) = rules.iter().find(|before| before.when.covers(&when)) {
                let before = &before.place;
                problems.add(
                    place,
                    format!(
                        "the rule can never match: {before} comes before it and takes every push that it would take"
                    ),
                );
            }
            rules.push(Rule { place: place.clone(), when, action });
        }
        Self { rules }
    }

    /// All rules, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// The rule for a push to the account `appid`: the first that matches.
    pub fn decide(&self, appid: &str, push: &Push) -> Option<&Rule> {
        self.first(appid, push, |_| true)
    }

    /// The rule for a push that ingress did not answer by itself: the first rule that matches and is not ingress's task.
    /// Such pushes exist while rules change.
    pub fn decide_unanswered(&self, appid: &str, push: &Push) -> Option<&Rule> {
        self.first(appid, push, |rule| !rule.action.is_for_ingress())
    }

    /// The rule by which ingress would have answered a push, if ingress had had these rules.
    pub fn skipped(&self, appid: &str, push: &Push) -> Option<&Rule> {
        self.decide(appid, push).filter(|rule| rule.action.is_for_ingress())
    }

    /// Whether a push to the account `appid` is transferred. Costs nothing where no rule transfers.
    pub fn transfers(&self, appid: &str, push: &Push) -> bool {
        // Events were ruled out when the rules were loaded. A second check is cheap.
        let of_a_user = !matches!(push.content, Content::Event { .. } | Content::Other);
        let given = of_a_user && self.rules.iter().any(|rule| rule.action == Action::Transfer);
        given && self.decide(appid, push).is_some_and(|rule| rule.action == Action::Transfer)
    }

    /// The webhook that ingress asks for the answer to a push to the account `appid`. Costs nothing if no rule has such a
    /// webhook.
    pub fn synchronous(&self, appid: &str, push: &Push) -> Option<&Endpoint> {
        let is_sync = |rule: &Rule| matches!(&rule.action, Action::Webhook(endpoint) if endpoint.sync);
        let given = push.event().is_some() && self.rules.iter().any(is_sync);
        match &given.then(|| self.decide(appid, push))??.action {
            Action::Webhook(endpoint) if endpoint.sync => Some(endpoint),
            _ => None,
        }
    }

    /// The first of the `wanted` rules that matches.
    fn first(&self, appid: &str, push: &Push, wanted: impl Fn(&Rule) -> bool) -> Option<&Rule> {
        let subject = Subject::of(appid, push);
        self.rules.iter().find(|rule| wanted(rule) && rule.when.matches(&subject))
    }
}

impl RuleSection {
    /// The action of the section, if the section has exactly one.
    fn action(&self, place: &str, context: &Context<'_>, problems: &mut Problems) -> Option<Action> {
        let webhook = self.webhook.as_ref().map(|section| section.resolve(place, problems));
        let webhook_is_wrong = webhook == Some(None);
        let briefing = self.assistant.as_ref().and_then(|section| section.resolve(place, context.assistant, problems));
        let replies: Vec<Reply> = self.reply.iter().map(|written| written.reply.clone()).collect();
        for (index, written) in self.reply.iter().enumerate() {
            let place = format!("{place} reply {}", index + 1);
            written
                .reply
                .problems(context.folder, context.max_image_bytes)
                .iter()
                .for_each(|problem| problems.add(&place, problem));
            written.notices.iter().for_each(|notice| problems.notice(&place, notice));
        }
        let given = [
            (!replies.is_empty()).then_some(("reply", Action::Reply(replies))),
            self.transfer.then_some(("transfer", Action::Transfer)),
            webhook.flatten().map(|endpoint| ("webhook", Action::Webhook(endpoint))),
            briefing.map(|briefing| ("assistant", Action::Assistant(briefing))),
            self.ignore.then_some(("ignore", Action::Ignore)),
        ];
        let mut given = given.into_iter().flatten();
        let Some((name, action)) = given.next() else {
            if !webhook_is_wrong {
                let text = "the rule has no action: add reply = […], transfer = true, webhook = { … }, assistant = true or \
                            ignore = true";
                problems.missing_one_of(place, &["reply", "transfer", "webhook", "assistant", "ignore"], text);
            }
            return None;
        };
        for (other, _) in given {
            problems.add(place, format!("the rule has both {name} and {other}: keep one"));
        }
        Some(action)
    }
}

impl Action {
    /// Whether ingress does the action, in its answer to the push, and nothing is left for a worker.
    fn is_for_ingress(&self) -> bool {
        matches!(self, Self::Transfer) || matches!(self, Self::Webhook(endpoint) if endpoint.sync)
    }

    /// Notes an action that is not allowed for the pushes that the rule matches.
    fn fits(&self, when: &Condition, context: &Context<'_>, place: &str, problems: &mut Problems) {
        match self {
            Self::Reply(replies) => replies::check(replies, when, context, place, problems),
            Self::Transfer if !when.is_of_user_messages() => {
                let problem = "only users' messages can be transferred, but the rule can match an event or another push: \
                               add type (of \"text\", \"image\" and \"miniprogrampage\"), contains or regex to its when";
                problems.add(place, problem);
            }
            Self::Webhook(endpoint) => {
                if endpoint.sync && !when.is_of_events() {
                    let text = "webhook has sync = true, but the rule can match a user's message, to which WeChat takes no \
                                such answer: add event = … to its when, or remove sync";
                    problems.add(place, text);
                }
                if endpoint.media && !when.allows_type("image") {
                    problems.add(place, "webhook has media = true, but the rule matches no picture: remove media");
                }
            }
            Self::Assistant(_) if !when.is_of_texts() => {
                problems.add(place, "an assistant answers texts only: add type = \"text\" to the rule's when");
            }
            Self::Transfer | Self::Assistant(_) | Self::Ignore => {}
        }
    }
}
