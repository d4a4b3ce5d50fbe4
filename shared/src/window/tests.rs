use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

fn key(id: usize) -> MessageKey {
    MessageKey::from_text(format!("wx1|gh_1|oUser|{id}"))
}

fn limits() -> config::Window {
    config::Window::default()
}

fn is_open(window: &Window, now_ms: u64) -> bool {
    window.closed(&limits(), now_ms).is_none()
}

/// The user's message `id` at `at_ms`, and `sent` replies to it.
fn answered(window: &mut Window, id: usize, at_ms: u64, sent: u32) {
    window.open(Opening::Message, &key(id), at_ms);
    sends(window, id, 0..sent);
}

/// These steps of the message `id` are sent.
fn sends(window: &mut Window, id: usize, steps: std::ops::Range<u32>) {
    for step in steps {
        let seen = window.clone();
        window.count(&seen, &key(id), step);
    }
}

#[test]
fn what_is_not_known_is_open() {
    let mut window = Window::default();
    assert!(is_open(&window, 0));
    window.open(Opening::Enter, &key(1), 0);
    sends(&mut window, 1, 0..9);
    assert!(is_open(&window, HOUR), "a message that is not known of may have come before");
}

#[test]
fn a_message_allows_five_replies_for_48_hours() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 4);
    assert!(is_open(&window, 48 * HOUR - 1) && !is_open(&window, 48 * HOUR));
    sends(&mut window, 1, 4..5);
    let closed = window.closed(&limits(), 90 * SECOND).map(|closed| closed.to_string()).unwrap_or_default();
    assert!(closed.contains("5 were sent since the user wrote 90 s before"), "{closed}");
}

#[test]
fn the_next_message_allows_five_again_and_does_not_add_up() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 5);
    answered(&mut window, 2, SECOND, 4);
    assert!(is_open(&window, HOUR));
    sends(&mut window, 2, 4..5);
    assert!(!is_open(&window, HOUR));
}

#[test]
fn entering_allows_two_more_and_never_takes_away() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 1);
    window.open(Opening::Enter, &key(2), SECOND);
    assert!(is_open(&window, HOUR), "the message still allows four");
    let mut window = Window::default();
    answered(&mut window, 1, 0, 5);
    window.open(Opening::Enter, &key(2), HOUR);
    // The count is that of the entering, the end that of the message.
    assert!(is_open(&window, 47 * HOUR) && !is_open(&window, 48 * HOUR));
    sends(&mut window, 2, 0..2);
    assert!(!is_open(&window, HOUR));
}

#[test]
fn a_reply_is_counted_once_and_a_push_opens_once() {
    let mut window = Window::default();
    for _ in 0..9 {
        window.open(Opening::Message, &key(1), 0);
        sends(&mut window, 1, 0..1);
    }
    assert_eq!(window.message.as_ref().map(|opened| opened.sent), Some(1));
}

#[test]
fn an_earlier_message_opens_nothing_anew() {
    let mut window = Window::default();
    answered(&mut window, 2, HOUR, 5);
    window.open(Opening::Message, &key(1), 0);
    assert!(!is_open(&window, HOUR));
    // Whether this one is earlier cannot be told, as clocks differ.
    window.open(Opening::Message, &key(3), HOUR - 30 * SECOND);
    assert!(is_open(&window, HOUR) && is_open(&window, 49 * HOUR - 1));
}

#[test]
fn what_wechat_says_stands_until_the_next_opening() {
    for refused in [Refused::OutOfCount, Refused::OutOfTime] {
        let mut window = Window::default();
        let seen = window.clone();
        window.refuse(&seen, refused, HOUR);
        assert!(!is_open(&window, HOUR), "also when nothing was known");
        window.open(Opening::Message, &key(1), HOUR);
        assert!(is_open(&window, HOUR));
        let seen = window.clone();
        window.refuse(&seen, refused, HOUR);
        assert!(!is_open(&window, HOUR));
        window.open(Opening::Enter, &key(2), HOUR + SECOND);
        assert!(is_open(&window, HOUR + SECOND));
        assert_eq!(is_open(&window, HOUR + 62 * SECOND), refused == Refused::OutOfCount);
    }
}

#[test]
fn what_came_meanwhile_is_not_charged_for_what_was_before() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 4);
    let seen = window.clone();
    window.open(Opening::Message, &key(2), SECOND);
    window.count(&seen, &key(1), 4);
    window.refuse(&seen, Refused::OutOfCount, SECOND);
    assert_eq!(window.message.as_ref().map(|opened| (opened.sent, opened.refused)), Some((0, None)));
}

#[test]
fn no_openid_is_shown() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 1);
    assert!(!format!("{window:?}").contains("oUser"));
}

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
    /// The user does something; the clock of the ingress that learns of it is ahead by so much.
    Opens(Opening, u64),
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
    ]
}

proptest! {
    #[test]
    fn it_is_never_stricter_than_wechat(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut wechat, mut window, mut now_ms, mut uncounted) = (WeChat::default(), Window::default(), HOUR, false);
        let mut waiting = std::collections::VecDeque::new();
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Opens(opening, ahead_ms) => {
                    wechat.open(opening, now_ms);
                    waiting.push_back((id, opening, now_ms + ahead_ms));
                }
                Step::Handles(tries) => {
                    let Some((id, opening, at_ms)) = waiting.pop_front() else { continue };
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
                            Err(refused) => window.refuse(&seen, refused, now_ms),
                        }
                    }
                }
                Step::Passes(ms) => now_ms += ms,
                Step::Flush => window = Window::default(),
                Step::Uncounted => uncounted = true,
            }
        }
    }
}
