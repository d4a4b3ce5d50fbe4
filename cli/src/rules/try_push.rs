//! Tells what kefu would do with a push under the rules.

use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use kefu_ingress::Decision;
use kefu_messages::plan::{Plan, Planned};
use kefu_messages::reply::{Content, Reply, template};
use kefu_messages::rules::{Action, Rule, Rules};
use kefu_messages::unreadable;
use kefu_program::config::{Config, Mode};
use kefu_wechat::push::{self, Push, PushError};

use crate::terminal::{count, printable, width, wrap};

/// A limit that is larger than any push.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
const INDENT: &str = "  ";

/// A push, and the account that gets the push.
pub(super) struct Trial<'a> {
    config: &'a Config,
    appid: String,
    /// The push, or the reason why this version cannot read the push and still keeps it.
    push: Result<Push, PushError>,
}

impl<'a> Trial<'a> {
    /// Reads the push from `file`. The caller may omit `account` when the configuration has only one account.
    pub(super) fn read(config: &'a Config, file: &Path, account: Option<&str>) -> anyhow::Result<Self> {
        let appids: Vec<&str> = config.accounts.iter().map(|account| account.appid.as_str()).collect();
        let appid = match (account, appids.as_slice()) {
            (Some(appid), _) if appids.contains(&appid) => appid,
            (None, [appid]) => appid,
            (Some(appid), _) => bail!("there is no [[account]] {appid}; there are {}", appids.join(", ")),
            (None, _) => bail!("to which account? give --account, one of {}", appids.join(", ")),
        };
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        let bytes = bytes_of(file).with_context(|| format!("{name} cannot be read"))?;
        let push = match unreadable::read(bytes) {
            Ok((push, _)) => Ok(push),
            Err((bytes, _)) if !push::ciphertexts(&String::from_utf8_lossy(&bytes)).is_empty() => {
                bail!("{name} is an encrypted push: give what is in it, as `raw` in the envelope has it")
            }
            Err((bytes, error)) => {
                let account = config.accounts.get(appid).context("there is no such account")?;
                if let Err(why) = kefu_ingress::keeps_unreadable(account, &bytes, &error) {
                    bail!("{name} is refused by ingress (400): {why}");
                }
                Err(error)
            }
        };
        Ok(Self { config, appid: appid.to_owned(), push })
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.push {
            Ok(push) => self.write_push(out, push),
            Err(error) => self.write_unreadable(out, error),
        }
    }

    fn write_unreadable(&self, out: &mut impl Write, error: &PushError) -> io::Result<()> {
        let Self { config, appid, .. } = self;
        writeln!(out, "not readable, to {appid}")?;
        let within = match config.accounts.get(appid).map(|account| account.mode) {
            Some(Mode::Plain) => {
                format!(" (in plain mode {} a minute of an account)", kefu_ingress::PLAIN_KEPT_PER_MINUTE)
            }
            _ => String::new(),
        };
        let reason = printable(&error.to_string());
        writeln!(out, "it is acknowledged, and ingress keeps it as a dead letter{within}, unreadable: {reason}")?;
        writeln!(out, "no rule is asked, and nothing is sent")
    }

    fn write_push(&self, out: &mut impl Write, push: &Push) -> io::Result<()> {
        let Self { config, appid, .. } = self;
        let kind = match &push.content {
            push::Content::Event { event, .. } => format!("event {}", printable(event)),
            _ => printable(&push.msg_type),
        };
        writeln!(out, "{kind}, to {appid}")?;
        let rules = config.rules.current();
        for (index, rule) in rules.iter().enumerate() {
            let number = format!("rule {}", index + 1);
            match rule.mismatch(appid, push) {
                Some(why) => item(out, &format!("{number}  no   "), &why)?,
                None => {
                    item(out, &format!("{number}  YES  "), &rule.when())?;
                    break;
                }
            }
        }
        let decision = Decision::of(&rules, appid, push);
        let answered = match &decision {
            Decision::Ask(endpoint) => {
                return writeln!(out, "ingress asks the webhook at {} and answers what it says", endpoint.host());
            }
            Decision::Transfer(_) => {
                return writeln!(out, "it goes to the human agents, by ingress's answer; nothing is sent");
            }
            Decision::EventAnswer(text) => format!("ingress answers {}", printable(text)),
            Decision::Success | Decision::Undecided(_) => "it is acknowledged".to_owned(),
        };
        self.write_what_is_sent(out, push, &rules, &answered)?;
        match decision {
            Decision::Undecided(event) => writeln!(
                out,
                "WeChat wants a decision in the answer to {event}, and nobody makes one: a webhook with sync = true would"
            ),
            _ => Ok(()),
        }
    }

    /// Writes what the worker does after the answer.
    fn write_what_is_sent(&self, out: &mut impl Write, push: &Push, rules: &Rules, answered: &str) -> io::Result<()> {
        let Self { config, appid, .. } = self;
        match rules.decide_unanswered(appid, push).map(Rule::action) {
            None => writeln!(out, "no rule matches: {answered}, and nothing is sent"),
            Some(Action::Ignore | Action::Transfer) => writeln!(out, "{answered}, and nothing is sent"),
            Some(Action::Webhook(endpoint)) => {
                writeln!(out, "{answered}, then the webhook at {} is asked what to send", endpoint.host())
            }
            Some(Action::Assistant(_)) => writeln!(out, "{answered}, then the assistant's answer is sent"),
            Some(Action::Reply(replies)) => {
                // The worker plans its replies in the same way.
                let filled = template::fill_all(replies, push);
                let Planned { plan: Plan { steps, .. }, cut_for } = Plan::of(filled, push, &config.window, None);
                let sent = count(steps.len(), "reply is sent", "replies are sent");
                let colon = if steps.is_empty() { "" } else { ":" };
                writeln!(out, "{answered}, then {sent}{colon}")?;
                steps.iter().enumerate().try_for_each(|(index, reply)| show(out, index + 1, reply))?;
                if cut_for.is_some() {
                    writeln!(out, "a text is cut: it has more parts of 2000 bytes than WeChat takes replies")?;
                }
                Ok(())
            }
        }
    }
}

fn bytes_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file == Path::new("-") {
        true => io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes)?,
        false => std::fs::File::open(file)?.take(MAX_BYTES).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

fn show(out: &mut impl Write, number: usize, reply: &Reply) -> io::Result<()> {
    let said = match &reply.content {
        Content::Text(text) => text.clone(),
        Content::Image(path) => path.display().to_string(),
        Content::Link(link) => format!("{} | {} | {}", link.title, link.description, link.url),
        Content::Miniprogrampage(card) => format!("{} | {}", card.title, card.pagepath),
    };
    let mut marks = Vec::new();
    marks.extend(reply.kf_account.as_ref().map(|account| format!("from {account}")));
    marks.extend(reply.is_ai_msg.then(|| "marked as made by an AI".to_owned()));
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    item(out, &format!("{number}. {}{marks}: ", reply.kind()), &said)
}

/// Writes a line, and continues the text below its start where the terminal is not wide enough.
fn item(out: &mut impl Write, head: &str, text: &str) -> io::Result<()> {
    let before = INDENT.len() + head.len();
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(before).max(24));
    let mut head = head.to_owned();
    for part in wrap(&printable(text), room) {
        writeln!(out, "{}", format!("{INDENT}{head}{part}").trim_end())?;
        head = " ".repeat(head.len());
    }
    Ok(())
}
