//! Changed rules that are wrong, or not there.

use std::mem::MaybeUninit;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::*;

/// Rules with ten mistakes.
pub(crate) const TEN: &str = r#"
[[rule]]
when = { regex = "(" }
reply = [{ text = "x" }]
[[rule]]
when = { type = "image", contains = "x" }
reply = [{ text = "" }]
[[rule]]
when = { account = "wxnobody" }
reply = [{ image = "absent.png" }]
[[rule]]
when = {}
[[rule]]
reply = [{ text = "x" }]
[[rule]]
when = { type = "image" }
reply = [{ link = { title = "", description = "d", url = "ftp://x", thumb_url = "https://x" } }]
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "1" }, { text = "2" }, { text = "3" }]
"#;

/// Waits until a file was opened so often.
async fn is_read(file: &Path, times: usize) {
    let notices = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    // With the closes between them no two opens are one notice.
    inotify::add_watch(&notices, file, WatchFlags::OPEN | WatchFlags::CLOSE).unwrap();
    let (mut buffer, mut opened) = ([MaybeUninit::uninit(); 4_096], 0);
    eventually(PATIENCE, &format!("{} is read {times} times", file.display()), async || {
        let mut events = inotify::Reader::new(&notices, &mut buffer);
        while let Ok(event) = events.next() {
            opened += usize::from(event.events().contains(ReadFlags::OPEN));
        }
        if opened >= times { Ok(()) } else { Err(format!("{opened} times")) }
    })
    .await;
}

#[tokio::test]
async fn a_broken_file_is_refused_with_all_its_problems_and_the_rules_before_go_on() {
    for backend in Backend::ALL {
        let shop = shop(backend).await;
        let file = shop.stack.config();
        write(file, TEN);
        let checks = match backend {
            Backend::Embedded => vec![vec!["ingress_rules", "worker_rules"]],
            Backend::Production => vec![vec!["ingress_rules"], vec!["worker_rules"]],
        };
        for (program, checks) in shop.stack.programs.iter().zip(&checks) {
            for check in checks {
                let said = format!("\"{check}\":\"degraded: {} has 10 problems", file.display());
                program.says("/readyz", 200, &[&said, "the first: [[rule]] "]).await;
            }
            program.counts("kefu_rules_refused", 1).await;
            let output = program.output();
            for number in 1..=10 {
                let entry = format!("{number} of 10: [[rule]] ");
                assert_eq!(output.matches(&entry).count(), 1, "{entry:?} is not once in:\n{output}");
            }
        }
        assert_eq!(answer(&shop).await, "first");
        // It is tried again by itself, which is logged no second time.
        is_read(file, 6 * shop.stack.programs.len()).await;
        for program in &shop.stack.programs {
            assert_eq!(program.output().matches("10 of 10: ").count(), 1, "{}", program.output());
        }
        write(file, &format!("[[rule]]\n{}", saying("mended").trim_start_matches("[[rule]]\n")));
        answers_with(&shop, "mended").await;
        for (program, checks) in shop.stack.programs.iter().zip(&checks) {
            for check in checks {
                program.says("/readyz", 200, &[&format!("\"{check}\":\"up\"")]).await;
            }
            program.counts("kefu_rules_refused", 0).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_toml_or_gone_is_refused_too_and_shows_no_secret() {
    let shop = shop(Backend::Embedded).await;
    let (file, program) = (shop.stack.config(), &shop.stack.programs[0]);
    let good = fs::read_to_string(file).unwrap();
    let secret = &shop.accounts[0].secret;
    fs::write(file, format!("{good}\nsecret = {secret}")).unwrap();
    program.says("/readyz", 200, &["ingress_rules\":\"degraded", "is not valid TOML"]).await;
    fs::remove_file(file).unwrap();
    program.says("/readyz", 200, &["ingress_rules\":\"degraded", "does not exist"]).await;
    assert_eq!(answer(&shop).await, "first");
    assert!(!program.output().contains(secret.as_str()), "{}", program.output());
    fs::write(file, good).unwrap();
    program.says("/readyz", 200, &["ingress_rules\":\"up"]).await;
}

#[tokio::test]
async fn a_picture_may_come_after_the_rule_that_names_it() {
    let shop = shop(Backend::Embedded).await;
    let (file, program) = (shop.stack.config(), &shop.stack.programs[0]);
    write(file, "[[rule]]\nwhen = {}\nreply = [{ image = \"late.png\" }]\n");
    program.says("/readyz", 200, &["ingress_rules\":\"degraded", "late.png cannot be read"]).await;
    fs::write(file.with_file_name("late.png"), PICTURE).unwrap();
    program.says("/readyz", 200, &["ingress_rules\":\"up"]).await;
    assert!(shop.push("oPICTURE", Message::text("hi")).await.answered);
    let replies = shop.replies_within("oPICTURE", 1).await;
    assert_eq!(replies[0]["msgtype"], "image");
}
