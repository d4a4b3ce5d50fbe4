//! What the command says to wrong input.

use std::net::TcpListener;

use kefu_harness::folder::Folder;

use super::{kefu, text};

/// The arguments of a push that nobody takes, but for what `wrong` sets otherwise.
fn push(wrong: &[&'static str]) -> Vec<&'static str> {
    let mut args = vec!["push"];
    for right in [["--url", "http://127.0.0.1:9/push/wx1"], ["--token", "t"], ["--text", "x"]] {
        if !wrong.contains(&right[0]) {
            args.extend(right);
        }
    }
    args.extend(wrong);
    args
}

#[tokio::test]
async fn a_wrong_push_is_refused_with_what_to_do() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    for (wrong, said) in [
        (&["--url", "127.0.0.1:9/push/wx1"][..], "must start with http:// or https://"),
        (&["--url", "ftp://127.0.0.1:9/push/wx1"], "must start with http:// or https://"),
        (&["--url", "http://"], "empty host"),
        (&["--url", "http://127.0.0.1:9"], "the URL does not end in an appid: add the appid, or give --appid"),
        (&["--url", "http://127.0.0.1:9/push/%20/?appid=wx1"], "the URL does not end in an appid"),
        (&["--appid", "wx 1"], "--appid may have only letters, digits, - and _"),
        (&["--encoding-aes-key", "short"], "an EncodingAESKey has 43 characters, this one has 5"),
        (&["--mode", "safe"], "--mode safe needs --encoding-aes-key"),
        (&["--mode", "compat"], "--mode compat needs --encoding-aes-key"),
        (&["--mode", "SAFE", "--encoding-aes-key", key], "[possible values: plain, compat, safe]"),
        (&["--image", "y"], "cannot be used with"),
        (&[], "no answer from 127.0.0.1:9: Connection refused"),
    ] {
        let output = kefu(&push(wrong)).await;
        let stderr = text(&output.stderr);
        assert!(!output.status.success() && stderr.contains(said), "{wrong:?}: {said:?} is not in:\n{stderr}");
        assert!(output.stdout.is_empty(), "{wrong:?}: {}", text(&output.stdout));
    }
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_named_with_what_to_do() {
    let output = kefu(&["serve", "--config", "/nowhere/kefu.toml"]).await;
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for part in ["/nowhere/kefu.toml", "does not exist", "kefu.example.toml", "--config FILE"] {
        assert!(stderr.contains(part), "{part} is not in:\n{stderr}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_of_the_simulator_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new("simulator");
    let account = "[[accounts]]\nappid = \"wx1\"\nsecret = \"s\"\ntoken = \"t\"\nraw_id = \"gh_1\"\n";
    let listen = format!("listen = \"{address}\"\n{account}");
    for (content, said) in [
        (Some("accounts = []"), "the configuration has no account"),
        (Some("colour = 1"), "unknown field `colour`"),
        (Some(&listen), "Address already in use"),
        (None, "absent.toml cannot be read"),
    ] {
        let file = match content {
            Some(content) => folder.write("simulator.toml", content),
            None => folder.path().join("absent.toml"),
        };
        let output = kefu(&["simulator", "--config", file.to_str().unwrap()]).await;
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.matches(said).count(), 1, "{said:?} is not once in:\n{stderr}");
    }
}
