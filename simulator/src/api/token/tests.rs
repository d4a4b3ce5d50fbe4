use super::*;

const NOW: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;

fn limits() -> Limits {
    Limits::default()
}

fn stable(tokens: &mut Tokens, force: bool, now_ms: i64) -> Granted {
    tokens.stable("wx1", force, &limits(), USUAL_CHARS, now_ms).unwrap()
}

#[test]
fn a_stable_token_stays_the_same_and_its_remaining_time_shrinks() {
    let mut tokens = Tokens::default();
    let first = stable(&mut tokens, false, NOW);
    let later = stable(&mut tokens, false, NOW + 10 * MINUTE);
    assert_eq!((first.expires_in_s, later.expires_in_s), (7_200, 6_600));
    assert_eq!(first.token, later.token);
}

#[test]
fn a_stable_token_is_renewed_five_minutes_early_and_the_old_one_works_to_its_end() {
    let mut tokens = Tokens::default();
    let first = stable(&mut tokens, false, NOW);
    let rolled = NOW + 115 * MINUTE + 1;
    let second = stable(&mut tokens, false, rolled);
    assert_ne!(first.token, second.token);
    assert!(tokens.check(&first.token, rolled).is_ok() && tokens.check(&second.token, rolled).is_ok());
    assert_eq!(tokens.check(&first.token, NOW + 120 * MINUTE), Err(ApiError::TOKEN_EXPIRED));
}

#[test]
fn a_forced_refresh_ends_the_old_token_at_once_but_not_within_thirty_seconds_of_the_last() {
    let mut tokens = Tokens::default();
    let first = stable(&mut tokens, false, NOW);
    let second = stable(&mut tokens, true, NOW);
    assert_eq!(tokens.check(&first.token, NOW), Err(ApiError::INVALID_CREDENTIAL));
    assert_eq!(stable(&mut tokens, true, NOW + 29_999).token, second.token);
    assert_ne!(stable(&mut tokens, true, NOW + 30_000).token, second.token);
}

#[test]
fn the_twenty_first_forced_refresh_of_a_day_is_refused() {
    let mut tokens = Tokens::default();
    for n in 0..20 {
        stable(&mut tokens, true, NOW + n * MINUTE);
    }
    let refused = tokens.stable("wx1", true, &limits(), USUAL_CHARS, NOW + 20 * MINUTE);
    assert_eq!(refused, Err(ApiError::QUOTA_USED_UP));
    stable(&mut tokens, true, NOW + DAY_MS);
}

#[test]
fn each_plain_token_supersedes_the_former_which_works_five_minutes_more() {
    let mut tokens = Tokens::default();
    let first = tokens.plain("wx1", &limits(), USUAL_CHARS, NOW);
    let second = tokens.plain("wx1", &limits(), USUAL_CHARS, NOW + 1);
    assert!(tokens.check(&first.token, NOW + 5 * MINUTE).is_ok());
    assert_eq!(tokens.check(&first.token, NOW + 5 * MINUTE + 1), Err(ApiError::INVALID_CREDENTIAL));
    assert!(tokens.check(&second.token, NOW + 60 * MINUTE).is_ok());
}

#[test]
fn the_two_families_do_not_touch_each_other() {
    let mut tokens = Tokens::default();
    let stable_token = stable(&mut tokens, false, NOW).token;
    let plain = tokens.plain("wx1", &limits(), USUAL_CHARS, NOW);
    stable(&mut tokens, true, NOW);
    tokens.plain("wx1", &limits(), USUAL_CHARS, NOW);
    assert!(tokens.check(&plain.token, NOW + 1).is_ok());
    assert!(tokens.check(&stable_token, NOW).is_err());
}

#[test]
fn an_ended_token_is_told_from_an_invented_and_a_malformed_one() {
    let mut tokens = Tokens::default();
    let token = stable(&mut tokens, false, NOW).token;
    tokens.expire("wx1", NOW);
    assert_eq!(tokens.check(&token, NOW), Err(ApiError::TOKEN_EXPIRED));
    assert_eq!(tokens.check("invented", NOW), Err(ApiError::INVALID_CREDENTIAL));
    assert_eq!(tokens.check("not a token", NOW), Err(ApiError::MALFORMED_TOKEN));

    let token = stable(&mut tokens, false, NOW).token;
    tokens.invalidate("wx1", NOW);
    assert_eq!(tokens.check(&token, NOW), Err(ApiError::INVALID_CREDENTIAL));
    assert_ne!(stable(&mut tokens, false, NOW).token, token);
}
