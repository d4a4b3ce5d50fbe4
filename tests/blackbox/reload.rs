//! Rules that change while kefu runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_harness::process::{Launch, Program, Role, Wait};
use kefu_harness::shop::{PICTURE, Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_harness::wechat::Client;
use kefu_simulator::Message;

mod refused;

pub(crate) use refused::TEN;

const PATIENCE: Duration = Duration::from_secs(60);

/// The rules that answer everything with this.
fn saying(reply: &str) -> String {
    format!("[[rule]]\nwhen = {{}}\nreply = [{{ text = \"{reply}\" }}]\n")
}

async fn shop(backend: Backend) -> Shop {
    let mut options = ShopOptions::new(backend);
    options.rules = saying("first");
    let shop = Shop::start(options).await;
    answers_with(&shop, "first").await;
    shop
}

/// The text of the file with other rules in it.
fn with_rules(file: &Path, rules: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let rest = text.split("[[rule]]").next().unwrap();
    format!("{rest}{rules}")
}

/// Writes in place, as some editors do.
fn write(file: &Path, rules: &str) {
    fs::write(file, with_rules(file, rules)).unwrap();
}

/// Puts another file in its place, as others do.
fn replace(file: &Path, rules: &str) {
    let other = file.with_extension("new");
    fs::write(&other, with_rules(file, rules)).unwrap();
    fs::rename(other, file).unwrap();
}

/// The reply to a user who was never there before.
async fn answer(shop: &Shop) -> String {
    let user = format!("o{:016x}", rand::random::<u64>());
    assert!(shop.push(&user, Message::text("hi")).await.answered);
    let replies = shop.replies_within(&user, 1).await;
    replies[0]["text"]["content"].as_str().unwrap().to_owned()
}

/// Waits until users are answered so.
async fn answers_with(shop: &Shop, expected: &str) {
    eventually(PATIENCE, &format!("the reply is {expected:?}"), async || {
        let reply = answer(shop).await;
        if reply == expected { Ok(()) } else { Err(reply) }
    })
    .await;
}

#[tokio::test]
async fn changed_rules_come_into_force_without_a_restart() {
    for backend in Backend::ALL {
        let shop = shop(backend).await;
        let file = shop.stack.config();
        write(file, &saying("written"));
        answers_with(&shop, "written").await;
        replace(file, &saying("replaced"));
        answers_with(&shop, "replaced").await;
        for program in &shop.stack.programs {
            program.logs(r#""rules":1,"cause":"the file changed""#).await;
            program.counts("kefu_rules", 1).await;
            program.counts("kefu_rules_refused", 0).await;
            assert!(program.metric(r#"kefu_rules_reloads_total{outcome="taken"}"#).await >= 1.0);
        }
    }
}

#[tokio::test]
async fn a_link_that_is_switched_is_a_change() {
    let mut shop = shop(Backend::Embedded).await;
    let file = shop.stack.config().clone();
    let folder = file.parent().unwrap();
    // As Kubernetes mounts a ConfigMap: kefu.toml -> ..data/kefu.toml, ..data -> version.
    for version in ["one", "two"] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("kefu.toml"), with_rules(&file, &saying(version))).unwrap();
    }
    let (linked, data) = (folder.join("linked.toml"), folder.join("..data"));
    std::os::unix::fs::symlink("one", &data).unwrap();
    std::os::unix::fs::symlink("..data/kefu.toml", &linked).unwrap();
    let before = shop.stack.programs.remove(0);
    before.terminate();
    before.end_within(PATIENCE).await;
    let program = Program::start(Launch::serve(&linked)).await;
    shop.stack.pushes = Client::new(program.url(Role::Public));
    shop.stack.programs.push(program);
    shop.set_callbacks();
    answers_with(&shop, "one").await;

    std::os::unix::fs::symlink("two", folder.join("next")).unwrap();
    fs::rename(folder.join("next"), &data).unwrap();
    answers_with(&shop, "two").await;
}

#[tokio::test]
async fn a_storm_of_hangups_ends_nothing_and_reads_the_rules() {
    for backend in Backend::ALL {
        let shop = shop(backend).await;
        let begun = Instant::now();
        write(shop.stack.config(), &saying("second"));
        for _ in 0..300 {
            shop.stack.programs.iter().for_each(Program::hang_up);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        answers_with(&shop, "second").await;
        for program in &shop.stack.programs {
            program.logs(r#""rules":1,"cause":"SIGHUP""#).await;
            let reloads = program.output().matches("the rules of the configuration are in force").count();
            // One after the other, with this much rest between two.
            let most = begun.elapsed().as_millis() / 200 + 2;
            assert!(reloads as u128 <= most, "{reloads} reloads, where {most} are time for");
            program.says("/readyz", 200, &["ready"]).await;
        }
    }
}

#[tokio::test]
async fn a_hangup_while_a_program_starts_does_not_end_it() {
    let stopped = shop(Backend::Embedded).await;
    let embedded = stopped.stack.config().clone();
    for program in stopped.stack.programs {
        program.terminate();
        program.end_within(PATIENCE).await;
    }
    let production = shop(Backend::Production).await;
    let config = production.stack.config();
    for launch in [Launch::serve(&embedded), Launch::ingress(config), Launch::worker(config)] {
        let mut program = Program::start(Launch { wait: Wait::Nothing, ..launch }).await;
        // Without a pause: a start takes some milliseconds.
        let caught = async {
            while !program.catches_hang_up() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, caught).await.expect("it catches SIGHUP");
        for _ in 0..100 {
            program.hang_up();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        program.logs(r#""role":"internal""#).await;
        program.ready().await;
    }
}

#[tokio::test]
async fn a_worker_whose_rules_are_others_than_ingresss_tells_what_it_passes_over() {
    let mut shop = shop(Backend::Production).await;
    let worker = shop.stack.programs.remove(1);
    worker.terminate();
    worker.end_within(PATIENCE).await;
    let other = shop.stack.config().with_file_name("other.toml");
    let for_ingress = "[webhook]\nsecret = \"the secret of shop and kefu\"\n\
                       [[rule]]\nwhen = { type = \"text\" }\ntransfer = true\n\
                       [[rule]]\nwhen = { event = \"user_enter_tempsession\" }\n\
                       webhook = { url = \"http://127.0.0.1:1/\", sync = true }\n";
    fs::write(&other, with_rules(shop.stack.config(), &(for_ingress.to_owned() + &saying("to that of the worker"))))
        .unwrap();
    shop.stack.programs.push(Program::start(Launch::worker(&other)).await);

    assert_eq!(answer(&shop).await, "to that of the worker");
    let worker = &shop.stack.programs[1];
    worker.counts(r#"kefu_worker_skipped_rules_total{action="transfer"}"#, 1).await;
    let told = "the rule is skipped: ingress acts on this rule, and had other rules when the push came";
    assert_eq!(worker.output().matches(told).count(), 1, "{}", worker.output());
    assert!(worker.output().contains(r#""rule":"[[rule]] 1""#), "{}", worker.output());

    assert!(shop.push("oENTERS", Message::enter("")).await.answered);
    assert_eq!(texts(&shop.replies_within("oENTERS", 1).await), ["to that of the worker"]);
    worker.counts(r#"kefu_worker_skipped_rules_total{action="webhook"}"#, 1).await;
    assert!(worker.output().contains(r#""rule":"[[rule]] 2""#), "{}", worker.output());
}

#[tokio::test]
async fn what_else_has_changed_is_named_and_needs_a_restart() {
    let shop = shop(Backend::Embedded).await;
    let (file, program) = (shop.stack.config(), &shop.stack.programs[0]);
    write(file, &saying("second"));
    answers_with(&shop, "second").await;
    assert!(!program.output().contains("needs a restart"), "{}", program.output());
    let text = fs::read_to_string(file).unwrap();
    let text = text.replace("[wechat]", "[wechat]\ntimeout_ms = 7000");
    fs::write(file, text.replace("[[account]]", "[[account]]\nprevious = [{ token = \"old\" }]")).unwrap();
    program.logs(r#""sections":"[[account]], [wechat]""#).await;
    program.logs("the configuration has changed in more than its rules: that needs a restart").await;
    write(file, &saying("third"));
    answers_with(&shop, "third").await;
    assert_eq!(program.output().matches("needs a restart").count(), 1, "{}", program.output());
}

#[tokio::test]
async fn a_rule_that_needs_what_else_has_changed_waits_for_the_restart() {
    let mut shop = shop(Backend::Embedded).await;
    let file = shop.stack.config().clone();
    let large = [PICTURE, &[0; 3_000_000]].concat();
    fs::write(file.with_file_name("large.png"), large).unwrap();
    let text = with_rules(&file, "[[rule]]\nwhen = {}\nreply = [{ text = \"now\" }, { image = \"large.png\" }]\n");
    fs::write(&file, text.replace("[wechat]", "[wechat]\nmax_image_bytes = 5_000_000")).unwrap();
    let said = "holds until a restart";
    shop.stack.programs[0].says("/readyz", 200, &["ingress_rules\":\"degraded", "the most is 2097152", said]).await;
    assert_eq!(answer(&shop).await, "first");
    shop.crash_and_restart_ingress().await;
    assert!(shop.push("oAFTER", Message::text("hi")).await.answered);
    eventually(PATIENCE, "the new rule is in force", async || {
        let replies = shop.replies("oAFTER");
        if replies.first().is_some_and(|reply| reply["text"]["content"] == "now") {
            Ok(())
        } else {
            Err(format!("{replies:?}"))
        }
    })
    .await;
}
