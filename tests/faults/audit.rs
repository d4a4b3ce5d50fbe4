//! Holds what users got against what they wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kefu_simulator::{Entry, Event};

/// Who wrote, and the number of the message among the user's own, from 1.
pub(crate) type Written = (String, u32);

/// One reply to a message: the message, and the number of the step, from 1.
pub(crate) type Step = (String, u32, u32);

/// How many replies the rules of a trial give to each message.
pub(crate) const STEPS: u32 = 2;

/// The text of a user's message; `#` on both sides, so that none is contained in another.
pub(crate) fn text(number: u32) -> String {
    format!("message #{number}#")
}

/// A rule for each of a user's messages, so that a reply says which one it is for.
pub(crate) fn rules(messages: u32) -> String {
    let replies = |number: u32| (1..=STEPS).map(move |step| format!("{{ text = \"{number}.{step}\" }}"));
    let rule = |number: u32| {
        let replies: Vec<String> = replies(number).collect();
        format!("[[rule]]\nwhen = {{ contains = \"#{number}#\" }}\nreply = [{}]\n", replies.join(", "))
    };
    (1..=messages).map(rule).collect()
}

/// What is wrong, and how much was right.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Pushes that were answered `success`.
    pub(crate) accepted: usize,
    /// Steps that reached their user, each counted once.
    pub(crate) delivered: usize,
    /// Steps of accepted pushes that nobody got, and that are no dead letters.
    pub(crate) missing: Vec<Step>,
    /// Steps that reached their user again.
    pub(crate) doubled: Vec<Step>,
    /// When they did: the number of the journal's entry.
    pub(crate) doubled_at: Vec<u64>,
    /// Steps that reached their user after a later one.
    pub(crate) disordered: Vec<Step>,
}

impl Audit {
    /// `accepted` are the pushes that were answered `success`, `dead` those whose messages are dead letters; `journal`
    /// holds the calls of `custom/send` that reached a user, in order.
    pub(crate) fn of(accepted: &BTreeSet<Written>, dead: &BTreeSet<Written>, journal: &[Arc<Entry>]) -> Self {
        let mut audit = Self { accepted: accepted.len(), ..Self::default() };
        let mut delivered: BTreeSet<Step> = BTreeSet::new();
        let mut latest: BTreeMap<String, Step> = BTreeMap::new();
        for (entry, step) in journal.iter().filter_map(|entry| Some((entry, step_of(entry)?))) {
            if !delivered.insert(step.clone()) {
                audit.doubled.push(step);
                audit.doubled_at.push(entry.seq);
                continue;
            }
            // A push that WeChat gave up may have been stored all the same, at any time.
            if !accepted.contains(&(step.0.clone(), step.1)) {
                continue;
            }
            match latest.get(&step.0) {
                Some(last) if *last > step => audit.disordered.push(step),
                _ => {
                    latest.insert(step.0.clone(), step);
                }
            }
        }
        audit.delivered = delivered.len();
        let steps =
            accepted.difference(dead).flat_map(|(user, number)| (1..=STEPS).map(|step| (user.clone(), *number, step)));
        audit.missing = steps.filter(|step| !delivered.contains(step)).collect();
        audit
    }

    /// How many steps each kill doubled. `kills` are the numbers of the journal's last entries before the kills.
    pub(crate) fn doubled_by(&self, kills: &[u64]) -> Vec<usize> {
        let next = kills.iter().skip(1).copied().chain([u64::MAX]);
        let by =
            |(&kill, next): (&u64, u64)| self.doubled_at.iter().filter(|at| (kill + 1..=next).contains(*at)).count();
        kills.iter().zip(next).map(by).collect()
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, delivered, missing, doubled, doubled_at: _, disordered } = self;
        write!(
            f,
            "{accepted} pushes accepted, {delivered} steps delivered; {} missing {:?}, {} doubled {:?}, {} out of order {:?}",
            missing.len(),
            first(missing),
            doubled.len(),
            first(doubled),
            disordered.len(),
            first(disordered),
        )
    }
}

/// Enough to start a search with.
fn first(steps: &[Step]) -> &[Step] {
    &steps[..steps.len().min(5)]
}

fn step_of(entry: &Entry) -> Option<Step> {
    let Event::ApiCall(call) = &entry.event else { return None };
    let (number, step) = call.request["text"]["content"].as_str()?.split_once('.')?;
    Some((entry.user.clone()?, number.parse().ok()?, step.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use kefu_simulator::ApiCall;
    use serde_json::json;

    use super::*;

    fn journal(contents: &[&str]) -> Vec<Arc<Entry>> {
        let entry = |content: &&str| {
            let call = ApiCall {
                method: "POST".to_owned(),
                path: "/cgi-bin/message/custom/send".to_owned(),
                request: json!({ "touser": "oA", "msgtype": "text", "text": { "content": content } }),
                token_serial: Some(1),
                status: Some(200),
                errcode: Some(0),
                errmsg: None,
                delivered: Some(true),
                fault: None,
            };
            let event = Event::ApiCall(call);
            Arc::new(Entry { seq: 1, time_ms: 0, account: None, user: Some("oA".to_owned()), event })
        };
        contents.iter().map(entry).collect()
    }

    fn written(numbers: &[u32]) -> BTreeSet<Written> {
        numbers.iter().map(|number| ("oA".to_owned(), *number)).collect()
    }

    #[test]
    fn an_audit_finds_nothing_where_all_is_well() {
        let audit = Audit::of(&written(&[1, 2]), &written(&[]), &journal(&["1.1", "1.2", "2.1", "2.2"]));
        assert!(audit.missing.is_empty() && audit.doubled.is_empty() && audit.disordered.is_empty(), "{audit}");
        assert_eq!((audit.accepted, audit.delivered), (2, 4));
    }

    #[test]
    fn an_audit_finds_what_is_missing_unless_it_is_a_dead_letter() {
        let audit = Audit::of(&written(&[1, 2, 3]), &written(&[3]), &journal(&["1.1", "1.2", "2.1"]));
        assert_eq!(audit.missing, [("oA".to_owned(), 2, 2)]);
    }

    #[test]
    fn an_audit_finds_what_came_twice_and_what_came_too_late() {
        let audit = Audit::of(&written(&[1, 2]), &written(&[]), &journal(&["1.1", "2.1", "1.2", "2.1", "2.2"]));
        assert_eq!(audit.doubled, [("oA".to_owned(), 2, 1)]);
        assert_eq!(audit.disordered, [("oA".to_owned(), 1, 2)]);
        assert!(audit.missing.is_empty());
    }

    #[test]
    fn an_audit_finds_which_kill_doubled_a_step() {
        let mut audit = Audit { doubled_at: vec![4, 5, 9], ..Audit::default() };
        assert_eq!(audit.doubled_by(&[3, 5, 7]), [2, 0, 1]);
        audit.doubled_at.clear();
        assert_eq!(audit.doubled_by(&[3]), [0]);
    }

    #[test]
    fn a_push_that_wechat_gave_up_may_be_answered_late_but_not_twice() {
        let audit = Audit::of(&written(&[2]), &written(&[]), &journal(&["2.1", "1.1", "2.2", "1.1"]));
        assert!(audit.missing.is_empty() && audit.disordered.is_empty(), "{audit}");
        assert_eq!(audit.doubled, [("oA".to_owned(), 1, 1)]);
    }
}
