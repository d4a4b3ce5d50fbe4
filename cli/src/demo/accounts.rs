//! The demo's mini programs, one for each mode, and the configuration that serves them.

use kefu_simulator::{Mode, SimulatedAccount};
use kefu_wechat::push::Format;

/// The account in plain mode.
pub(super) const PLAIN: &str = "wxde30000000000001";
/// The account in compat mode.
pub(super) const COMPAT: &str = "wxde30000000000002";
/// The account in safe mode.
pub(super) const SAFE: &str = "wxde30000000000003";

/// The accounts as WeChat knows them. These secrets open nothing but the demo.
pub(super) fn all() -> Vec<SimulatedAccount> {
    [(PLAIN, Mode::Plain), (COMPAT, Mode::Compat), (SAFE, Mode::Safe)].map(|(appid, mode)| account(appid, mode)).into()
}

fn account(appid: &str, mode: Mode) -> SimulatedAccount {
    SimulatedAccount {
        appid: appid.to_owned(),
        secret: format!("demo-secret-{appid}"),
        token: "demoToken".to_owned(),
        encoding_aes_key: Some("kefuDemo0kefuDemo1kefuDemo2kefuDemo3kefuDem".to_owned()),
        mode,
        format: Format::Xml,
        raw_id: format!("gh_{}", &appid[6..]),
        callback_url: None,
    }
}

/// The `kefu.toml` of the demo.
pub(super) fn config(api_base: &str) -> String {
    let mut text = format!(
        r#"[queue]
url = "embedded:data"
[store]
url = "embedded:data"
[ingress]
listen = "127.0.0.1:0"
[wechat]
api_base = "{api_base}"
[telemetry]
log_filter = "warn"
"#
    );
    for account in all() {
        let SimulatedAccount { appid, secret, token, encoding_aes_key, mode, .. } = account;
        let key = encoding_aes_key.unwrap_or_default();
        let mode = format!("{mode:?}").to_lowercase();
        text += &format!(
            r#"
[[account]]
appid = "{appid}"
secret = "{secret}"
token = "{token}"
encoding_aes_key = "{key}"
mode = "{mode}"
"#
        );
    }
    text + RULES
}

const RULES: &str = r#"
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "您好，请问有什么可以帮您？" }]

[[rule]]
when = { type = "text", contains = ["二维码", "qr code"] }
reply = [{ image = "service_code.png" }, { text = "长按识别二维码" }]

[[rule]]
when = { type = "text", regex = "(?i)^(帮助|help)" }
reply = [{ link = { title = "常见问题", description = "先看看这里", url = "https://shop.example/help", thumb_url = "https://shop.example/help.png" } }]

[[rule]]
when = { type = "text" }
reply = [{ text = "扫码，加我，咨询" }]

[[rule]]
when = { type = "image" }
reply = [{ image = "service_code.png" }]

[[rule]]
when = { type = "miniprogrampage" }
reply = [{ miniprogrampage = { title = "回到商品", pagepath = "pages/goods/index?id=1", thumb = "service_code.png" } }]
"#;

/// Prints how to send further pushes by hand.
pub(super) fn print_how_to_push(simulator: &str, url: &impl Fn(&str) -> String) {
    let account = account(SAFE, Mode::Safe);
    let key = account.encoding_aes_key.unwrap_or_default();
    let kefu = std::env::args().next().unwrap_or_else(|| "kefu".to_owned());
    let (url, token) = (url(SAFE), account.token);
    let push = r#"{"account":""#.to_owned() + SAFE + r#"","user":"oYou","message":{"type":"text","content":"你好"}}"#;
    println!("The demo keeps running; Ctrl+C ends it.");
    println!("Chat as a user:   {simulator}/");
    println!("Push by hand:     curl {simulator}/simulator/push -H 'content-type: application/json' -d '{push}'");
    println!(
        "  at ingress:     {kefu} push --url {url} --token {token} --encoding-aes-key {key} --user oYou --text 你好"
    );
    println!("See what arrived: curl '{simulator}/simulator/journal?path=custom/send&user=oYou'");
}
