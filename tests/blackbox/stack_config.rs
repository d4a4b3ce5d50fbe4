//! The configuration file that a stack is started with.

use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::wechat::{Account, Mode};

#[test]
fn a_stack_writes_one_configuration_for_all_its_programs() {
    let account = Account { token: "quote\" and \\".to_owned(), ..Account::random(Mode::Safe) };
    let mut options = StackOptions::new(Backend::Production, vec![account.clone()], "http://127.0.0.1:1");
    options.settings = vec![("worker", "prefetch = 1".to_owned()), ("spool", "max_bytes = 2".to_owned())];
    options.rules = "[[rule]]\nwhen = { type = \"text\" }\nreply = [{ text = \"好\" }]\n".to_owned();
    let config: toml::Table = options.config("amqp://h/v", "redis://h").parse().unwrap();
    let text = |table: &str, key: &str| config[table][key].as_str().unwrap();
    assert_eq!(text("queue", "url"), "amqp://h/v");
    assert_eq!(text("store", "url"), "redis://h");
    assert_eq!(text("wechat", "api_base"), "http://127.0.0.1:1");
    assert_eq!(text("telemetry", "log_format"), "json");
    for (table, key) in [("ingress", "listen"), ("ingress", "internal_listen"), ("worker", "internal_listen")] {
        assert_eq!(text(table, key), "127.0.0.1:0");
    }
    assert_eq!(config["worker"]["prefetch"].as_integer(), Some(1));
    assert_eq!(config["spool"]["max_bytes"].as_integer(), Some(2));
    let written = &config["account"][0];
    assert_eq!(written["appid"].as_str(), Some(account.appid.as_str()));
    assert_eq!(written["token"].as_str(), Some(account.token.as_str()));
    assert_eq!(written["mode"].as_str(), Some("safe"));
    assert_eq!(config["rule"][0]["reply"][0]["text"].as_str(), Some("好"));
}
