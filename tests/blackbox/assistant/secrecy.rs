//! Logs hold neither the key nor what was said.

use kefu_harness::secrets::Secrets;

use super::*;

const ASKED: &str = "my card is 6222 0212 3456 7890, 密码 tulip";
const ANSWERED: &str = "dear Ludwig van B., your balance is 1,234.56 元";
const USER: &str = "oUser-0123456789abcdefghijkl";

#[tokio::test]
async fn nothing_of_a_conversation_is_logged_though_everything_is_asked_for() {
    let stand_in = Assistant::start().await;
    let options = options(Backend::Production, &stand_in, "").with("telemetry", "log_filter = \"trace\"");
    let shop = Shop::start(options).await;
    let quotes = format!(r#"{{"error":{{"message":"key {KEY}, text {ASKED}","type":"{KEY}","code":"{ASKED}"}}}}"#);
    let answers = vec![
        Answer::Says(ANSWERED.into()),
        Answer::Status(401, "content-type: application/json", quotes.clone()),
        Answer::Status(400, "content-type: application/json", quotes),
        Answer::Status(200, "content-type: text/html", format!("<p>{ASKED} {KEY}")),
        Answer::Cut,
        Answer::Message(json!({ "content": ANSWERED }), "content_filter"),
    ];
    let rounds = answers.len();
    stand_in.script(ASKED, answers);
    for count in 1..rounds {
        say(&shop, USER, ASKED).await;
        heard(&shop, USER, count).await;
    }
    let secrets = Secrets::default()
        .with("key", KEY)
        .with("question", ASKED)
        .with("answer", ANSWERED)
        .with("openid", USER)
        .with("system prompt", PROMPT)
        .with("fallback", FALLBACK);
    for program in &shop.stack.programs {
        let mut said = program.output();
        for path in ["/readyz", "/metrics"] {
            said += &program.ask(path).await.1;
        }
        assert!(said.contains("\"level\":\"DEBUG\""), "nothing was asked for");
        secrets.must_not_be_in(&said);
    }
}
