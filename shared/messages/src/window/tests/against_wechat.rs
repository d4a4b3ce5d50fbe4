//! The record beside what WeChat would do, whatever happens in whatever order.

use proptest::prelude::*;

use super::*;

/// WeChat, as the documentation words it: the larger count and the later end win.
#[derive(Default)]
struct WeChat {
    left: u32,
    until_ms: u64,
}

impl WeChat {
    fn open(&mut self, opening: Opening, now_ms: u64) {
        let (replies, lasting) = match opening {
            Opening::Message => (5, 48 * HOUR),
            Opening::Enter => (2, 60 * SECOND),
        };
        if now_ms >= self.until_ms {
            self.left = 0;
        }
        self.left = self.left.max(replies);
        self.until_ms = self.until_ms.max(now_ms + lasting);
    }

    fn takes(&self, now_ms: u64) -> Result<(), Refused> {
        match () {
            () if now_ms >= self.until_ms => Err(Refused::OutOfTime),
            () if self.left == 0 => Err(Refused::OutOfCount),
            () => Ok(()),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// The user does something; the clock of the ingress that learns of it is ahead of one that is this far behind.
    Opens(Opening, u64),
    /// A human agent takes the user over.
    Transfer,
    /// The user writes, to the agent if there is one.
    Unseen,
    /// The worker takes the oldest push that waits and tries to reply this often.
    Handles(u32),
    Passes(u64),
    /// The store forgets everything.
    Flush,
    /// The next reply is sent and not counted.
    Uncounted,
}

fn step() -> impl Strategy<Value = Step> {
    let opening = prop_oneof![3 => Just(Opening::Message), 2 => Just(Opening::Enter)];
    prop_oneof![
        4 => (opening, 0..30 * SECOND).prop_map(|(opening, ahead)| Step::Opens(opening, ahead)),
        5 => (0..7_u32).prop_map(Step::Handles),
        3 => prop_oneof![0..90 * SECOND, 0..50 * HOUR].prop_map(Step::Passes),
        1 => Just(Step::Flush),
        1 => Just(Step::Uncounted),
        1 => Just(Step::Transfer),
        2 => Just(Step::Unseen),
    ]
}

proptest! {
    #[test]
    fn it_is_never_stricter_than_wechat(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut wechat, mut window, mut now_ms, mut uncounted) = (WeChat::default(), Window::default(), HOUR, false);
        let (mut waiting, mut with_agent_until_ms) = (std::collections::VecDeque::new(), 0);
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Opens(opening, ahead_ms) => {
                    wechat.open(opening, now_ms);
                    waiting.push_back((id, Some(opening), now_ms - TOLERANCE + ahead_ms));
                }
                Step::Handles(tries) => {
                    let Some((id, opening, at_ms)) = waiting.pop_front() else { continue };
                    let Some(opening) = opening else {
                        window.transfer(at_ms);
                        continue;
                    };
                    window.open(opening, &key(id), at_ms);
                    for step in 0..tries {
                        let seen = window.clone();
                        let is_open = is_open(&window, now_ms);
                        // While others wait, it is tried all the same.
                        if waiting.is_empty() && wechat.takes(now_ms).is_ok() {
                            prop_assert!(is_open, "{window:?} at {now_ms}");
                        }
                        if !is_open {
                            continue;
                        }
                        match wechat.takes(now_ms) {
                            Ok(()) => {
                                wechat.left -= 1;
                                if !std::mem::take(&mut uncounted) {
                                    window.count(&seen, &key(id), step);
                                }
                            }
                            Err(refused) => window.refuse(&seen, refused),
                        }
                    }
                }
                Step::Transfer => {
                    wechat.open(Opening::Message, now_ms);
                    with_agent_until_ms = now_ms + 48 * HOUR;
                    waiting.push_back((id, None, with_agent_until_ms + 60 * SECOND));
                }
                Step::Unseen if now_ms < with_agent_until_ms => wechat.open(Opening::Message, now_ms),
                Step::Unseen => {}
                Step::Passes(ms) => now_ms += ms,
                // A store that forgets who was with the agents cannot know better.
                Step::Flush if with_agent_until_ms > 0 => {}
                Step::Flush => window = Window::default(),
                Step::Uncounted => uncounted = true,
            }
        }
    }
}
