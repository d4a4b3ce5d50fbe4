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

use crate::terminal::{count, printable, write_behind};

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
            (Some(appid), _) => bail!("the configuration has no [[account]] {appid}, only {}", appids.join(", ")),
            (None, _) => bail!("to which account? give --account with one of {}", appids.join(", ")),
        };
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        let bytes = bytes_of(file).with_context(|| format!("{name} cannot be read"))?;
        let push = match unreadable::read(bytes) {
            Ok((push, _)) => Ok(push),
            Err((bytes, _)) if !push::ciphertexts(&String::from_utf8_lossy(&bytes)).is_empty() => {
                bail!("{name} is an encrypted push: give the decrypted push, as in `raw` of the envelope")
            }
            Err((bytes, error)) => {
                let account = config.accounts.get(appid).context("the configuration has no such account")?;
                if let Err(why) = kefu_ingress::keeps_unreadable(account, &bytes, &error) {
                    bail!("ingress refuses {name} (400): {why}");
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
        writeln!(out, "ingress acknowledges the push, and keeps it as a dead letter{within}, unreadable: {reason}")?;
        writeln!(out, "kefu asks no rule, and the worker sends nothing")
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
                Some(why) => write_behind(out, &format!("{INDENT}{number}  no   "), &why)?,
                None => {
                    write_behind(out, &format!("{INDENT}{number}  YES  "), &rule.when())?;
                    break;
                }
            }
        }
        let decision = Decision::of(&rules, appid, push);
        let answered = match &decision {
            Decision::Ask(endpoint) => {
                return writeln!(
                    out,
                    "ingress asks the webhook at {} and passes its answer to WeChat",
                    endpoint.host()
                );
            }
            Decision::Transfer(_) => {
                return writeln!(
                    out,
                    "ingress's answer hands the message over to the human agents, and the worker sends nothing"
                );
            }
            Decision::EventAnswer(text) => format!("ingress answers {}", printable(text)),
            Decision::Success | Decision::Undecided(_) => "ingress acknowledges the push".to_owned(),
        };
        self.write_what_is_sent(out, push, &rules, &answered)?;
        match decision {
            Decision::Undecided(event) => writeln!(
                out,
                "WeChat wants a decision in the answer to {event}, and no rule makes a decision: add a rule whose webhook has \
                 sync = true"
            ),
            _ => Ok(()),
        }
    }

    /// Writes what the worker does after the answer.
    fn write_what_is_sent(&self, out: &mut impl Write, push: &Push, rules: &Rules, answered: &str) -> io::Result<()> {
        let Self { config, appid, .. } = self;
        match rules.decide_unanswered(appid, push).map(Rule::action) {
            None => writeln!(out, "no rule matches: {answered}, and the worker sends nothing"),
            Some(Action::Ignore | Action::Transfer) => writeln!(out, "{answered}, and the worker sends nothing"),
            Some(Action::Webhook(endpoint)) => {
                writeln!(out, "{answered}, then the worker asks the webhook at {} for replies", endpoint.host())
            }
            Some(Action::Assistant(_)) => writeln!(out, "{answered}, then the worker sends the assistant's answer"),
            Some(Action::Reply(replies)) => {
                // The worker plans its replies in the same way.
                let filled = template::fill_all(replies, push);
                let Planned { plan: Plan { steps, .. }, cut_for } = Plan::of(filled, push, &config.window, None);
                let sent = count(steps.len(), "reply", "replies");
                let colon = if steps.is_empty() { "" } else { ":" };
                writeln!(out, "{answered}, then the worker sends {sent}{colon}")?;
                steps.iter().enumerate().try_for_each(|(index, reply)| show(out, index + 1, reply))?;
                if cut_for.is_some() {
                    writeln!(
                        out,
                        "the worker cuts a text, which has more parts of 2000 bytes than WeChat accepts replies"
                    )?;
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
    write_behind(out, &format!("{INDENT}{number}. {}{marks}: ", reply.kind()), &said)
}
