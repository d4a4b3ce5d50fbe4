use futures_util::future::join_all;
use kefu_program::config::TokenApi;
use secrecy::ExposeSecret;

use super::*;
use crate::testing::wechat::{FakeWeChat, STABLE_TOKEN, TOKEN};
use crate::testing::{config, seconds, settle_down};
use crate::wechat::errcode::Action;
use kefu_store::testing::MemoryStore;

struct Bench {
    store: Arc<MemoryStore>,
    api: Arc<FakeWeChat>,
}

impl Bench {
    fn new() -> Self {
        let api = Arc::new(FakeWeChat::default());
        api.set_latency(Duration::from_millis(50));
        Self { store: Arc::default(), api }
    }

    /// The tokens of one process.
    fn process(&self) -> AccessTokens {
        self.process_with(TokenApi::StableToken)
    }

    fn process_with(&self, token_api: TokenApi) -> AccessTokens {
        let (config, _folder) = config("");
        let settings = kefu_program::config::WeChat { token_api, ..config.wechat.clone() };
        let wechat = Arc::new(WeChat::new(Arc::clone(&self.api) as _, &settings));
        let tokens: Arc<dyn Tokens> = self.store.clone();
        AccessTokens::new(&config.accounts, &tokens, &wechat, seconds(10))
    }

    fn fetches(&self) -> usize {
        self.api.calls(STABLE_TOKEN).len()
    }
}

async fn get(tokens: &AccessTokens) -> String {
    tokens.get("wx1").await.unwrap().expose_secret().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_askers_in_four_processes_make_one_fetch() {
    let bench = Bench::new();
    let processes: Vec<AccessTokens> = (0..4).map(|_| bench.process()).collect();
    let got = join_all((0..100).map(|n| get(&processes[n % 4]))).await;
    assert!(got.iter().all(|token| token == "T1"));
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_refusals_make_one_fetch_even_when_it_gives_the_same_token() {
    for expire in [true, false] {
        let bench = Bench::new();
        let tokens = bench.process();
        let refused = tokens.get("wx1").await.unwrap();
        if expire {
            bench.api.expire_token();
        }
        let all = (0..100).map(|_| async {
            tokens.refuse("wx1", &refused).await;
            get(&tokens).await
        });
        let expected = if expire { "T2" } else { "T1" };
        assert!(join_all(all).await.iter().all(|token| token == expected));
        assert_eq!(bench.fetches(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_an_old_token_leaves_the_new_one_alone() {
    let bench = Bench::new();
    let (one, other) = (bench.process(), bench.process());
    let refused = one.get("wx1").await.unwrap();
    get(&other).await;
    bench.api.expire_token();
    one.refuse("wx1", &refused).await;
    assert_eq!(get(&one).await, "T2");
    other.refuse("wx1", &refused).await;
    assert_eq!(get(&other).await, "T2");
    tokio::time::advance(seconds(60)).await;
    one.refuse("wx1", &refused).await;
    assert_eq!(get(&one).await, "T2");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_processs_token_is_seen_within_the_local_time() {
    let bench = Bench::new();
    let (one, other) = (bench.process(), bench.process());
    let first = one.get("wx1").await.unwrap();
    assert_eq!(get(&other).await, "T1");
    bench.api.expire_token();
    one.refuse("wx1", &first).await;
    assert_eq!(get(&one).await, "T2");
    assert_eq!(get(&other).await, "T1");
    tokio::time::advance(seconds(2)).await;
    assert_eq!(get(&other).await, "T2");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_died_holds_the_others_up_only_until_its_lock_ends() {
    let bench = Bench::new();
    let tokens = bench.process();
    bench.store.lock("wx1", "dead process", seconds(12)).await.unwrap();
    let start = Instant::now();
    assert_eq!(get(&tokens).await, "T1");
    assert!((seconds(12)..seconds(13)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_goes_away_leaves_the_fetch_running_for_the_others() {
    let bench = Bench::new();
    let tokens = bench.process();
    assert!(tokio::time::timeout(Duration::from_millis(10), tokens.get("wx1")).await.is_err());
    assert_eq!(get(&tokens).await, "T1");
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_a_failed_fetch_make_none_of_their_own() {
    let bench = Bench::new();
    let tokens = bench.process();
    bench.api.errcode(STABLE_TOKEN, 40125);
    let all = join_all((0..50).map(|_| tokens.get("wx1"))).await;
    assert!(all.iter().all(|result| matches!(
        result,
        Err(Failure::Refused(refusal)) if matches!(refusal.action, Action::Alert { .. })
    )));
    assert_eq!(bench.fetches(), 1);
    assert_eq!(get(&tokens).await, "T1");
}

#[tokio::test(start_paused = true)]
async fn a_known_token_outlives_the_store_and_an_unknown_one_waits_for_it() {
    let bench = Bench::new();
    let tokens = bench.process();
    bench.store.set_down(true);
    assert!(matches!(tokens.get("wx1").await, Err(Failure::Store(_))));
    bench.store.set_down(false);
    assert_eq!(get(&tokens).await, "T1");
    bench.store.set_down(true);
    tokio::time::advance(seconds(600)).await;
    assert_eq!(get(&tokens).await, "T1");
    tokio::time::advance(seconds(7_200)).await;
    assert!(matches!(tokens.get("wx1").await, Err(Failure::Store(_))));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_before_it_expires_and_nobody_waits_for_that() {
    let bench = Bench::new();
    let tokens = bench.process();
    get(&tokens).await;
    tokio::time::advance(seconds(7_200 - 301)).await;
    get(&tokens).await;
    settle_down().await;
    assert_eq!(bench.fetches(), 1, "too early");
    bench.api.expire_token();
    tokio::time::advance(seconds(62)).await;
    let before = Instant::now();
    assert_eq!(get(&tokens).await, "T1");
    assert_eq!(before.elapsed(), Duration::ZERO);
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(get(&tokens).await, "T2");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_early_refresh_leaves_the_present_token_in_use() {
    let bench = Bench::new();
    let tokens = bench.process();
    get(&tokens).await;
    tokio::time::advance(seconds(7_200 - 200)).await;
    bench.api.errcode(STABLE_TOKEN, 40164);
    assert_eq!(get(&tokens).await, "T1");
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(get(&tokens).await, "T1");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_live_short_do_not_make_it_spin() {
    for expires_in in [300, 60, 7] {
        let bench = Bench::new();
        bench.api.set_expires_in(expires_in);
        let tokens = bench.process();
        let start = Instant::now();
        while start.elapsed() < seconds(3_600) {
            get(&tokens).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let (lives, fetches) = (3_600 / expires_in, bench.fetches() as u64);
        assert!((lives..=4 * lives).contains(&fetches), "{expires_in}: {fetches}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_600_characters_is_a_token() {
    let bench = Bench::new();
    let long = "x_-9".repeat(150);
    bench.api.answer(STABLE_TOKEN, 200, format!(r#"{{"access_token":"{long}","expires_in":7200.0}}"#));
    assert_eq!(get(&bench.process()).await, long);
    assert_eq!(get(&bench.process()).await, long);
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn useless_answers_pass() {
    let expiring = |expires_in: &str| format!(r#"{{"access_token":"T","expires_in":{expires_in}}}"#);
    let expiries = ["0", "-1", "\"-1\"", "\"soon\"", "null", "[7200]", "99999999999999999999999"].map(expiring);
    let others = ["{}", r#"{"access_token":"","expires_in":7200}"#, "<html>", "{"].map(str::to_owned);
    for answer in expiries.into_iter().chain(others) {
        let bench = Bench::new();
        bench.api.answer(STABLE_TOKEN, 200, answer.clone());
        assert!(matches!(bench.process().get("wx1").await, Err(Failure::Passing(_))), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_believed_for_two_hours_at_most() {
    for expires_in in [i64::MAX as u64, u64::from(u32::MAX), 7_201] {
        let bench = Bench::new();
        bench.api.set_expires_in(expires_in);
        let tokens = bench.process();
        assert_eq!(get(&tokens).await, "T1");
        bench.api.expire_token();
        tokio::time::advance(seconds(7_200)).await;
        assert_eq!(get(&tokens).await, "T2", "{expires_in}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_api_is_out_of_reach_from_the_first_failure_to_the_next_answer_whatever_it_says() {
    let (bench, out_of_reach) = (Bench::new(), |wechat: &WeChat| wechat.outage_in_words());
    let (config, _folder) = config("");
    let wechat = WeChat::new(Arc::clone(&bench.api) as _, &config.wechat);
    let account = config.accounts.get("wx1").unwrap();
    assert_eq!(out_of_reach(&wechat), None);
    bench.api.fail(STABLE_TOKEN, Failure::Passing("connection refused".into()));
    wechat.fetch_token(account).await.unwrap_err();
    tokio::time::advance(seconds(7)).await;
    let words = out_of_reach(&wechat).unwrap();
    assert!(words.contains("since 7 s") && words.contains("connection refused"), "{words}");
    bench.api.answer(STABLE_TOKEN, 502, "<html>");
    wechat.fetch_token(account).await.unwrap_err();
    assert!(out_of_reach(&wechat).unwrap().contains("502"));
    bench.api.errcode(STABLE_TOKEN, 40125);
    wechat.fetch_token(account).await.unwrap_err();
    assert_eq!(out_of_reach(&wechat), None);
}

#[tokio::test(start_paused = true)]
async fn what_wechat_writes_into_an_errmsg_stays_on_one_line() {
    let bench = Bench::new();
    let errmsg = format!("invalid ip 1.2.3.4\n2026-01-01 INFO all is well \u{1b}[2J\u{202e} {}", "x".repeat(1_000));
    bench.api.answer(STABLE_TOKEN, 200, serde_json::json!({ "errcode": 40164, "errmsg": errmsg }).to_string());
    let shown = bench.process().get("wx1").await.unwrap_err().to_string();
    assert!(shown.contains("1.2.3.4\\n2026"), "{shown:?}");
    assert!(!shown.chars().any(char::is_control) && !shown.contains('\u{202e}'), "{shown:?}");
    assert!(shown.len() < 600, "{}", shown.len());
}

#[tokio::test(start_paused = true)]
async fn each_token_api_is_asked_in_its_own_way_and_never_with_force() {
    let bench = Bench::new();
    get(&bench.process()).await;
    let call = &bench.api.calls(STABLE_TOKEN)[0];
    assert_eq!(
        call.body,
        serde_json::json!({
            "grant_type": "client_credential", "appid": "wx1", "secret": "SECRET-OF-wx1", "force_refresh": false
        })
    );
    assert!(call.query.is_empty());

    let bench = Bench::new();
    get(&bench.process_with(TokenApi::Token)).await;
    let query = &bench.api.calls(TOKEN)[0].query;
    assert_eq!(
        [query["grant_type"].as_str(), &query["appid"], &query["secret"]],
        ["client_credential", "wx1", "SECRET-OF-wx1"]
    );
}
