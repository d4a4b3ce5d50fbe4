//! What a trial came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use kefu_harness::rabbitmq::DeadLetter;
use kefu_harness::shop::RAW_ID;
use kefu_messages::message_key::MessageKey;
use kefu_simulator::{Outcome, Try};
use serde_json::Value;

use crate::audit::{Audit, Step, Written};
use crate::writer::Pushed;

/// WeChat's patience is 5 s, and ingress answers after 4.5 s at most; the rest is for the way, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_millis(4_900);

/// What a worker logs of a step that it may or may not have sent.
const AMBIGUOUS: &str = "a reply may or may not have been sent";

/// What a trial came to.
#[derive(Debug)]
pub(crate) struct Outcomes {
    pub(crate) audit: Audit,
    pub(crate) pushes: usize,
    /// Pushes that WeChat gave up.
    pub(crate) given_up: usize,
    /// The pushes with a try that got no answer in WeChat's time, the connection being there.
    pub(crate) unanswered: Vec<String>,
    /// How long the slowest answer took, and the slowest but one in a hundred.
    pub(crate) worst: Duration,
    pub(crate) p99: Duration,
    pub(crate) dead: Vec<DeadLetter>,
    /// Steps that a worker says it may or may not have sent.
    pub(crate) ambiguous: BTreeSet<Step>,
    /// How many steps each kill doubled.
    pub(crate) doubled_by_kills: Vec<usize>,
}

impl Outcomes {
    /// `logs` are those of all programs that took part, with a JSON object a line.
    pub(crate) fn of(audit: Audit, pushed: &[Pushed], dead: Vec<DeadLetter>, logs: &[String]) -> Self {
        let copies = pushed.iter().flat_map(|pushed| &pushed.report.copies);
        let tries: Vec<&Try> = copies.flat_map(|copy| &copy.tries).collect();
        let mut answers: Vec<f64> =
            tries.iter().filter(|attempt| attempt.status.is_some()).map(|attempt| attempt.duration_ms).collect();
        answers.sort_by(f64::total_cmp);
        let quantile = |percent: usize| {
            let rank = (answers.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_secs_f64(answers.get(rank).copied().unwrap_or_default() / 1_000.0)
        };
        Self {
            audit,
            pushes: pushed.len(),
            given_up: pushed.iter().filter(|pushed| !pushed.report.answered).count(),
            unanswered: pushed
                .iter()
                .filter(|pushed| was_unanswered(pushed))
                .map(|pushed| in_words(pushed, logs))
                .collect(),
            worst: quantile(100),
            p99: quantile(99),
            dead,
            ambiguous: ambiguous(pushed, logs),
            doubled_by_kills: Vec::new(),
        }
    }

    /// Nothing lost, nothing put aside, nothing out of order, and nothing doubled but steps that were ambiguous.
    ///
    /// # Panics
    /// When that is not so.
    pub(crate) fn must_be_sound(&self) -> &Self {
        let Audit { accepted, missing, doubled, disordered, .. } = &self.audit;
        assert!(*accepted > 0, "nothing was accepted");
        assert!(missing.is_empty(), "lost: {}", self.audit);
        assert!(disordered.is_empty(), "out of order: {}", self.audit);
        let unexplained: Vec<&Step> = doubled.iter().filter(|step| !self.ambiguous.contains(*step)).collect();
        assert!(unexplained.is_empty(), "doubled, and never in doubt: {unexplained:?}");
        let reasons: Vec<(&str, &str)> =
            self.dead.iter().map(|letter| (letter.reason.as_str(), letter.error.as_str())).collect();
        assert!(reasons.is_empty(), "dead letters: {reasons:?}");
        self
    }

    /// Every request that reached ingress had an answer within WeChat's time.
    ///
    /// # Panics
    /// When that is not so.
    pub(crate) fn must_be_in_time(&self) -> &Self {
        assert!(self.unanswered.is_empty(), "no answer within WeChat's time: {:#?}", self.unanswered);
        assert!(self.worst <= ANSWER_LIMIT, "an answer took {:?}", self.worst);
        self
    }

    /// No push was given up by WeChat.
    ///
    /// # Panics
    /// When one was.
    pub(crate) fn must_all_be_accepted(&self) -> &Self {
        assert_eq!(self.given_up, 0, "WeChat gave pushes up");
        self
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pushes, {} given up by WeChat; answers p99 {:.0?}, worst {:.0?}, {} unanswered; {}; {} ambiguous, {} dead \
             letters",
            self.pushes,
            self.given_up,
            self.p99,
            self.worst,
            self.unanswered.len(),
            self.audit,
            self.ambiguous.len(),
            self.dead.len(),
        )?;
        match &*self.doubled_by_kills {
            [] => Ok(()),
            by_kills => {
                let average = by_kills.iter().sum::<usize>() as f64 / by_kills.len() as f64;
                write!(f, "; steps doubled by each kill {by_kills:?}, {average:.1} on average")
            }
        }
    }
}

fn was_unanswered(pushed: &Pushed) -> bool {
    let mut tries = pushed.report.copies.iter().flat_map(|copy| &copy.tries);
    tries.any(|attempt| attempt.outcome == Outcome::Timeout)
}

/// What WeChat saw of a push, and what the programs say of it (at `debug`, by the environment).
fn in_words(pushed: &Pushed, logs: &[String]) -> String {
    let (user, number) = &pushed.written;
    let tries = pushed.report.copies.iter().flat_map(|copy| &copy.tries).map(|attempt| {
        let Try { outcome, status, duration_ms, detail, .. } = attempt;
        format!("{outcome:?} {status:?} after {duration_ms:.0} ms ({})", detail.as_deref().unwrap_or_default())
    });
    let key = key_of(pushed).unwrap_or_default();
    let tries = tries.collect::<Vec<_>>().join("; ");
    let logged: Vec<&str> = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(&key)).collect();
    format!("message {number} of {user}, key {key}: {tries}; {logged:#?}")
}

/// The steps that the logs name as ambiguous.
fn ambiguous(pushed: &[Pushed], logs: &[String]) -> BTreeSet<Step> {
    let by_key: BTreeMap<String, &Written> =
        pushed.iter().filter_map(|pushed| Some((key_of(pushed)?, &pushed.written))).collect();
    let lines = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(AMBIGUOUS));
    let steps = lines.map(|line| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let (key, index) = (event["span"]["key"].as_str(), event["step"].as_u64());
        let (key, index) = key.zip(index).unwrap_or_else(|| panic!("it does not name the step: {line}"));
        let (user, number) = by_key.get(key).unwrap_or_else(|| panic!("nobody pushed {key}"));
        (user.clone(), *number, u32::try_from(index).expect("a plan is short") + 1)
    });
    steps.collect()
}

/// The message key as logs show it.
fn key_of(pushed: &Pushed) -> Option<String> {
    let report = &pushed.report;
    let text = [&report.account, RAW_ID, &report.user, report.msg_id.as_deref()?].join("|");
    Some(MessageKey::from_text(text).to_string())
}

/// The message that a dead letter is of.
pub(crate) fn written_of(letter: &DeadLetter) -> Option<Written> {
    let push = &letter.envelope["push"];
    let (_, rest) = push["content"]["content"].as_str()?.split_once('#')?;
    Some((push["from_user"].as_str()?.to_owned(), rest.split('#').next()?.parse().ok()?))
}
