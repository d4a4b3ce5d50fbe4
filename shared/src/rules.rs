//! Rules: what to do with which push. The first rule that matches decides; none means ignore.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::Problems;
use crate::plan::Plan;
use crate::wechat::push::Push;

mod condition;
pub mod reply;

use condition::{Condition, ConditionSection};
use reply::Reply;

/// How many replies one rule may have: WeChat allows 5 after a user's message
/// (<https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>).
pub const MAX_REPLIES: usize = 5;

/// The same after `user_enter_tempsession`, for a minute; source as above.
const MAX_ENTER_REPLIES: usize = 2;

/// All rules, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    folder: PathBuf,
}

#[derive(Debug, Clone)]
struct Rule {
    when: Condition,
    replies: Vec<Reply>,
}

/// `[[rule]]` as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct RuleSection {
    when: Option<ConditionSection>,
    #[serde(default)]
    reply: Vec<Reply>,
    #[serde(default)]
    ignore: bool,
}

impl Rules {
    pub(crate) fn resolve(
        sections: Vec<(String, RuleSection)>,
        folder: &Path,
        max_image_bytes: u64,
        is_known: impl Fn(&str) -> bool,
        problems: &mut Problems,
    ) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        let mut places: Vec<String> = Vec::new();
        for (place, section) in sections {
            match (section.reply.len(), section.ignore) {
                (0, false) => {
                    problems.missing(&place, "reply", "it says nothing: give it reply = […] or ignore = true");
                }
                (0, true) => {}
                (_, true) => problems.add(&place, "it has both reply and ignore: keep one"),
                (count, _) if count > MAX_REPLIES => problems
                    .add(&place, format!("it has {count} replies, WeChat takes {MAX_REPLIES} after a user's message")),
                _ => {}
            }
            for (index, reply) in section.reply.iter().enumerate() {
                for problem in reply.problems(folder, max_image_bytes) {
                    problems.add(format!("{place} reply {}", index + 1), problem);
                }
            }
            let when = match section.when {
                Some(when) => when.resolve(&place, problems),
                None => {
                    problems.missing(&place, "when", "when is missing; when = {} matches every push");
                    None
                }
            };
            let Some(when) = when else { continue };
            for account in when.unknown_accounts(&is_known) {
                problems.add(&place, format!("when.account: there is no [[account]] {account}"));
            }
            if when.is_of_entering() && section.reply.len() > MAX_ENTER_REPLIES {
                let count = section.reply.len();
                let most = format!("WeChat takes {MAX_ENTER_REPLIES} within a minute after a user entered the session");
                problems.add(&place, format!("it has {count} replies, {most}"));
            }
            if let Some(before) = rules.iter().position(|before| before.when.covers(&when)) {
                let text =
                    format!("it can never match: {} comes before it and takes all that it would", places[before]);
                problems.add(&place, text);
            }
            rules.push(Rule { when, replies: section.reply });
            places.push(place);
        }
        Self { rules, folder: folder.to_owned() }
    }

    /// The plan for a push to the account `appid`: the replies of the first rule that matches, or none.
    pub fn plan(&self, appid: &str, push: &Push) -> Plan {
        let rule = self.rules.iter().find(|rule| rule.when.matches(appid, push));
        Plan { steps: rule.map(|rule| rule.replies.clone()).unwrap_or_default() }
    }

    /// Where a file that a reply names is: relative ones start at the configuration's folder.
    pub fn file(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}
