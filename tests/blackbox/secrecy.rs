//! Logs hold no secret, no text and no user, however much is asked of them.

use kefu_harness::process::Program;
use kefu_harness::secrets::Secrets;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::{Backend, Servers};
use kefu_harness::wechat::{Account, Client, Format, Message, Mode};
use kefu_simulator::{FaultKind, FaultRequest, PushRequest};

const USER: &str = "oUser-0123456789abcdefghijkl";
const OTHER_USER: &str = "oElse-0123456789abcdefghijkl";
const SAID: &str = "my card is 6222 0212 3456 7890, 密码 tulip";
const SESSION: &str = "from the order of Mr. Ludwig van B.";
const REPLY: &str = "your balance is 1,234.56 元, dear Ludwig";
const WELCOME: &str = "welcome back, dear Ludwig van B.";

fn options(backend: Backend) -> ShopOptions {
    let rules = format!(
        "[[rule]]\nwhen = {{ type = \"event\" }}\nreply = [{{ text = '{WELCOME}' }}]\n\
         [[rule]]\nwhen = {{ type = \"text\" }}\nreply = [{{ text = '{REPLY}' }}, {{ image = \"code.png\" }}]\n"
    );
    let mut options =
        ShopOptions { rules, accounts: Mode::ALL.map(Account::random).into(), ..ShopOptions::new(backend) };
    options.settings.push(("telemetry", "log_filter = \"trace\"".to_owned()));
    options
}

fn private() -> Secrets {
    Secrets::default()
        .with("openid", USER)
        .with("another openid", OTHER_USER)
        .with("text", SAID)
        .with("session-from", SESSION)
        .with("reply", REPLY)
        .with("welcome", WELCOME)
}

/// Requests that are refused or cannot be read, each for another reason.
async fn refused(shop: &Shop) {
    let pushes: &Client = &shop.stack.pushes;
    for account in &shop.accounts {
        let stranger = Account { token: "of-somebody-else".to_owned(), ..account.clone() };
        let other_key = Account { encoding_aes_key: Account::random(Mode::Safe).encoding_aes_key, ..account.clone() };
        for sender in [stranger, other_key] {
            pushes.send(&account.appid, &sender.push(Format::Json, &Message::text(OTHER_USER, SAID))).await;
        }
        let without_user = Message::text(OTHER_USER, SAID).without("FromUserName");
        let cut = format!("<xml><FromUserName>{OTHER_USER}</FromUserName><Content>{SAID}");
        let not_utf8 = [b"<xml>\xff".as_slice(), SAID.as_bytes(), OTHER_USER.as_bytes()].concat();
        for unreadable in [account.push(Format::Xml, &without_user), account.push_raw(Format::Xml, &cut)]
            .into_iter()
            .chain([account.push_raw(Format::Json, &not_utf8)])
        {
            assert!(pushes.send(&account.appid, &unreadable).await.is_success());
        }
    }
    // What cannot be read has come to its end, too.
    let worker = shop.stack.programs.last().expect("there is a program");
    worker.counts(r#"kefu_worker_dead_letters_total{reason="unreadable"}"#, 3 * shop.accounts.len() as u32).await;
}

/// Messages that are replied to, for the first account by way of failures and of an access_token that has to be renewed.
async fn replied_to(shop: &Shop) {
    for account in &shop.accounts {
        let send = async |user, format, message| {
            let request = PushRequest { format: Some(format), ..PushRequest::new(&account.appid, user, message) };
            assert!(shop.send(request).await.answered);
        };
        let before = shop.replies(USER).len();
        send(USER, kefu_wechat::push::Format::Json, kefu_simulator::Message::text(SAID)).await;
        shop.replies_within(USER, before + 2).await;
        let faults = [FaultKind::InvalidateToken, FaultKind::Html, FaultKind::Drop];
        for kind in faults.into_iter().filter(|_| account.appid == shop.appid()) {
            let path = if kind == FaultKind::InvalidateToken { "*" } else { "custom/send" };
            let fault = FaultRequest { account: Some(account.appid.clone()), ..FaultRequest::new(kind, path) };
            shop.simulator.fault(fault).unwrap();
        }
        let before = shop.replies(OTHER_USER).len();
        send(OTHER_USER, kefu_wechat::push::Format::Xml, kefu_simulator::Message::enter(SESSION)).await;
        shop.replies_within(OTHER_USER, before + 1).await;
    }
}

/// Everything that a program says: its output, and what its internal port shows.
async fn said_by(program: &Program) -> String {
    let mut said = program.output();
    for path in ["/readyz", "/metrics"] {
        said += &program.ask(path).await.1;
    }
    said
}

#[tokio::test]
async fn nothing_private_is_logged_though_everything_is_asked_for() {
    for backend in Backend::ALL {
        let mut shop = Shop::start(options(backend)).await;
        let mut secrets = vec![private(), shop.secrets().await];
        refused(&shop).await;
        replied_to(&shop).await;
        secrets.push(shop.secrets().await);
        if let Servers::Production { redis, .. } = &mut shop.stack.servers {
            // What fails is logged, too.
            redis.kill();
            let before = shop.replies(USER).len();
            assert!(shop.push(USER, kefu_simulator::Message::text(SAID)).await.answered);
            shop.stack.redis().restart().await;
            shop.replies_within(USER, before + 2).await;
        }
        for program in &shop.stack.programs {
            let said = said_by(program).await;
            assert!(
                said.contains("\"level\":\"TRACE\"") || said.contains("\"level\":\"DEBUG\""),
                "nothing was asked for"
            );
            for secrets in &secrets {
                secrets.must_not_be_in(&said);
            }
        }
    }
}
