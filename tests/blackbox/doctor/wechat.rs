//! WeChat's side, and the callback URL.

use std::time::Duration;

use kefu_harness::port::PortLease;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest};

use super::{Clinic, doctor};

#[tokio::test]
async fn an_ip_that_is_not_allowed_is_named_with_where_to_allow_it() {
    let clinic = Clinic::open().await;
    let errmsg = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist";
    let refused = FaultRequest { errmsg: Some(errmsg.to_owned()), ..FaultRequest::errcode("stable_token", 40164, 1) };
    clinic.simulator.fault(refused).unwrap();
    let report = doctor(&clinic.embedded(|text| text), &[]).await;
    let check = format!("wechat {}", clinic.account.appid);
    report.says(&check, "failed", &["40164", "-> add 203.0.113.7 to the IP allow-list"]);
    assert_eq!(report.failed(), [check.as_str()]);
}

#[tokio::test]
async fn wechats_refusals_are_told_in_words() {
    let clinic = Clinic::open().await;
    let config = clinic.embedded(|text| text);
    let token = format!("wechat {}", clinic.account.appid);
    let callback = format!("{token} callback");
    for (path, errcode, check, status, said) in [
        ("stable_token", 40125, &token, "failed", "copy the AppSecret anew"),
        ("stable_token", 40013, &token, "failed", "copy the AppID anew"),
        ("stable_token", 45009, &token, "failed", "the day's quota of the API is used up"),
        ("callback/check", 40201, &callback, "warning", "set it in WeChat's console"),
        ("callback/check", 48001, &callback, "warning", "this is only WeChat's own check"),
    ] {
        clinic.simulator.fault(FaultRequest::errcode(path, errcode, 1)).unwrap();
        doctor(&config, &[]).await.says(check, status, &[&errcode.to_string(), said]);
    }
    let html = FaultRequest { status: Some(502), ..FaultRequest::new(FaultKind::Html, "stable_token") };
    clinic.simulator.fault(html).unwrap();
    doctor(&config, &[]).await.says(&token, "failed", &["502", "look at the network"]);
}

#[tokio::test]
async fn wechat_that_hangs_or_is_not_there_is_told_in_time() {
    let clinic = Clinic::open().await;
    let slow = FaultRequest { latency_ms: Some(60_000), ..FaultRequest::new(FaultKind::Latency, "stable_token") };
    clinic.simulator.fault(slow).unwrap();
    let report = doctor(&clinic.embedded(|text| text), &[]).await;
    report.says(&format!("wechat {}", clinic.account.appid), "failed", &["does not answer within 5 s"]);
    assert!(report.took < Duration::from_secs(20), "{:?}", report.took);

    let nobody = format!("http://127.0.0.1:{}", PortLease::take().port());
    let config = clinic.embedded(|text| text.replace(&clinic.simulator.url(), &nobody));
    doctor(&config, &[]).await.says("wechat", "failed", &[&nobody, "Connection refused", "api_base"]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much() {
    let clinic = Clinic::open().await;
    let config = clinic.embedded(|text| text);
    clinic.simulator.clock().advance(Duration::from_secs(60));
    doctor(&config, &[]).await.says("wechat clock", "warning", &["behind that of http://", "NTP"]);
    clinic.simulator.clock().advance(Duration::from_secs(3_540));
    let report = doctor(&config, &[]).await;
    report.says("wechat clock", "failed", &[" behind that of http://", "more than 24 h off", "stale", "NTP"]);
    assert!(
        report.of("wechat clock").concat().contains("clock is 59 min")
            || report.of("wechat clock").concat().contains("clock is 1 h")
    );
    assert_eq!(report.failed(), ["wechat clock"]);
    clinic.simulator.clock().advance(Duration::from_secs(24 * 3_600));
    let report = doctor(&config, &[]).await;
    report.says("wechat clock", "failed", &["clock is 1 d", "ingress on this machine refuses every push", "stale"]);
    assert!(!report.of("wechat clock").concat().contains("more than 24 h off"));
}

#[tokio::test]
async fn the_callback_url_is_asked_as_of_wechats_time() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let (config, url) = (shop.stack.config(), shop.stack.callback(&shop.accounts[0]));
    let asked = async || doctor(config, &["--callback-url", &url]).await;
    shop.simulator.clock().advance(Duration::from_secs(2 * 3_600));
    asked().await.says("callback", "ok", &["answers WeChat's check as it must (signed with WeChat's time)"]);
    // Ingress refuses what WeChat would send, so this is no time to say that all is well.
    shop.simulator.clock().advance(Duration::from_secs(24 * 3_600));
    let report = asked().await;
    report.says("wechat clock", "failed", &["ingress on this machine refuses every push"]);
    report.says("callback", "failed", &["401", "(signed with WeChat's time)", "its clock"]);

    let nobody = format!("http://127.0.0.1:{}", PortLease::take().port());
    let text = std::fs::read_to_string(config).unwrap().replace(&shop.simulator.url(), &nobody);
    let other = config.with_file_name("no-wechat.toml");
    std::fs::write(&other, text).unwrap();
    let report = doctor(&other, &["--callback-url", &url]).await;
    report.says("callback", "ok", &["(signed with this machine's clock, as WeChat does not tell the time)"]);
}

#[tokio::test]
async fn what_is_wrong_with_the_callback_url_is_told() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let (config, account) = (shop.stack.config(), &shop.accounts[0]);
    let good = shop.stack.callback(account);
    let base = good.rsplit_once("/push/").unwrap().0;
    let nobody = format!("http://127.0.0.1:{}/push/{}", PortLease::take().port(), account.appid);
    let elsewhere = format!("{base}/other/{}", account.appid);
    let page = format!("{}/push/{}", shop.simulator.url(), account.appid);
    let stranger = format!("{base}/push/wxstranger");
    let urls = [&good, &nobody, &elsewhere, &page, &stranger];
    let args: Vec<&str> = urls.iter().flat_map(|url| ["--callback-url", url.as_str()]).collect();
    let report = doctor(config, &args).await;
    report.says("callback", "ok", &[&good, "answers WeChat's check"]);
    report.says("callback", "failed", &[&nobody, "no answer from 127.0.0.1:", "Connection refused"]);
    report.says("callback", "failed", &[&elsewhere, "404", "the path is not /push/APPID"]);
    report.says("callback", "failed", &[&page, "something else than the echostr", "another program"]);
    report.says("callback", "failed", &[&stranger, "does not end in the appid of an account"]);

    let wrong = std::fs::read_to_string(config).unwrap().replace(&account.token, "anotherToken");
    let other = config.with_file_name("other.toml");
    std::fs::write(&other, wrong).unwrap();
    let report = doctor(&other, &["--callback-url", &good]).await;
    report.says("callback", "failed", &[&good, "401", "another token"]);
}
