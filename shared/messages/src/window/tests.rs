use super::*;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
/// By how much clocks may differ.
const TOLERANCE: u64 = 5 * SECOND;

fn key(id: usize) -> MessageKey {
    MessageKey::from_text(format!("wx1|gh_1|oUser|{id}"))
}

fn limits() -> Limits {
    Limits::default()
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
    assert!(is_open(&window, 48 * HOUR - 1) && !is_open(&window, 48 * HOUR + TOLERANCE));
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
    assert!(is_open(&window, 47 * HOUR) && !is_open(&window, 48 * HOUR + TOLERANCE));
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
        window.open(Opening::Message, &key(1), HOUR);
        let seen = window.clone();
        window.refuse(&seen, refused);
        assert!(!is_open(&window, HOUR) && !is_open(&window, 47 * HOUR));
        window.open(Opening::Enter, &key(2), HOUR + SECOND);
        assert!(is_open(&window, HOUR + SECOND));
        assert_eq!(is_open(&window, HOUR + 61 * SECOND + TOLERANCE), refused == Refused::OutOfCount);
        window.open(Opening::Message, &key(3), 2 * HOUR);
        assert!(is_open(&window, 49 * HOUR));
    }
}

#[test]
fn a_refusal_tells_nothing_of_a_user_of_whom_no_message_is_known() {
    for refused in [Refused::OutOfCount, Refused::OutOfTime] {
        let mut window = Window::default();
        window.refuse(&Window::default(), refused);
        assert!(window == Window::default());
        window.open(Opening::Enter, &key(1), 0);
        let seen = window.clone();
        window.refuse(&seen, refused);
        assert!(is_open(&window, SECOND), "what the user does need not be told to kefu");
    }
}

#[test]
fn entering_is_open_for_a_minute_by_any_of_the_clocks() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 5);
    let seen = window.clone();
    window.refuse(&seen, Refused::OutOfTime);
    window.open(Opening::Enter, &key(2), HOUR);
    assert!(is_open(&window, HOUR + 60 * SECOND + TOLERANCE - 1), "the worker's clock may be ahead");
    assert!(!is_open(&window, HOUR + 60 * SECOND + TOLERANCE));
}

#[test]
fn of_a_user_who_is_with_the_human_agents_nothing_is_known_for_48_hours() {
    let mut window = Window::default();
    answered(&mut window, 1, HOUR, 5);
    let seen = window.clone();
    window.transfer(50 * HOUR);
    // Late words about what was before, a copy of the old message, and one of the time before an agent took the session.
    window.count(&seen, &key(1), 5);
    window.refuse(&seen, Refused::OutOfCount);
    for (id, at_ms) in [(1, HOUR), (3, 3 * HOUR)] {
        answered(&mut window, id, at_ms, 9);
        assert!(is_open(&window, 4 * HOUR) && window.left(&limits()).is_none());
    }
    window.transfer(2 * HOUR);
    assert!(window.is_unknown_at(50 * HOUR - 1), "an earlier transfer takes nothing back");
    answered(&mut window, 4, 50 * HOUR, 5);
    assert!(!is_open(&window, 51 * HOUR));
}

#[test]
fn what_is_left_is_the_most_of_what_the_openings_leave() {
    let mut window = Window::default();
    window.open(Opening::Enter, &key(1), 0);
    assert_eq!(window.left(&limits()), None);
    answered(&mut window, 2, 0, 2);
    assert_eq!(window.left(&limits()), Some(3));
    sends(&mut window, 2, 2..5);
    window.open(Opening::Enter, &key(3), SECOND);
    assert_eq!(window.left(&limits()), Some(2));
    let seen = window.clone();
    window.refuse(&seen, Refused::OutOfCount);
    assert_eq!(window.left(&limits()), Some(0));
}

#[test]
fn what_came_meanwhile_is_not_charged_for_what_was_before() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 4);
    let seen = window.clone();
    window.open(Opening::Message, &key(2), SECOND);
    window.count(&seen, &key(1), 4);
    window.refuse(&seen, Refused::OutOfCount);
    assert_eq!(window.message.as_ref().map(|opened| (opened.sent, opened.refused)), Some((0, None)));
}

#[test]
fn no_openid_is_shown() {
    let mut window = Window::default();
    answered(&mut window, 1, 0, 1);
    assert!(!format!("{window:?}").contains("oUser"));
}

mod against_wechat;
