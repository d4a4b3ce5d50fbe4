//! Secrets in files of their own.

use std::process::Command;

use secrecy::ExposeSecret;

use super::{Folder, GOOD, problems_of};

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let text = GOOD.replace("secret = \"hush-secret\"", "secret_file = \"secret\"");
    let config = Folder::new(&text).with("secret", "from-a-file\n").load(&[]).unwrap();
    assert_eq!(config.accounts.get("wx1").unwrap().secret.expose_secret(), "from-a-file");
}

/// What is said of a secret_file with this content.
fn problems_of_file(content: impl AsRef<[u8]>) -> Vec<String> {
    let text = GOOD.replace("secret = \"hush-secret\"", "secret_file = \"secret\"");
    let folder = Folder::new(&text).with("secret", content);
    let path = folder.path().join("secret").display().to_string();
    folder.load(&[]).map_or_else(
        |errors| errors.problems().iter().map(|problem| problem.replace(&path, "FILE")).collect(),
        |config| vec![config.accounts.get("wx1").unwrap().secret.expose_secret().to_owned()],
    )
}

#[test]
fn a_secret_given_twice_or_empty_is_a_problem() {
    let twice = GOOD.replace("token = \"hush-token\"", "token = \"hush-token\"\ntoken_file = \"t\"");
    assert!(problems_of(&twice)[0].contains("token and token_file are both given"));
    assert_eq!(problems_of(&GOOD.replace("hush-token", "")), ["[[account]] 1 (wx1) token: is empty"]);
}

#[test]
fn what_editors_put_around_a_secret_is_not_part_of_it() {
    for content in ["hush", "hush\n", "hush\r\n", "\u{feff}hush", "\u{feff}hush\r\n", "hush\n\n"] {
        assert_eq!(problems_of_file(content), ["hush"], "{content:?}");
    }
}

#[test]
fn what_can_be_no_secret_is_refused_and_not_shown() {
    for (content, problem) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("hush\nhush\n", "has more than one line"),
        ("hush\rhush", "has more than one line"),
        ("hush\0", "has a control character in it, such as NUL or a tab"),
        ("hush ", "begins or ends with a blank"),
        ("\u{3000}hush", "begins or ends with a blank"),
    ] {
        assert_eq!(problems_of_file(content), [format!("[[account]] 1 (wx1) secret_file: FILE {problem}")]);
        let shown = content.replace('\n', "\\n").replace('\r', "\\r").replace('\0', "\\u0000");
        if !content.ends_with('\n') {
            let in_place = problems_of(&GOOD.replace("hush-secret", &shown));
            assert_eq!(in_place, [format!("[[account]] 1 (wx1) secret: {problem}")]);
        }
    }
    assert_eq!(problems_of_file(b"hush\xff"), ["[[account]] 1 (wx1) secret_file: FILE is not text in UTF-8"]);
    let long = problems_of_file(vec![b'x'; 64 * 1024 + 1]);
    assert_eq!(long, ["[[account]] 1 (wx1) secret_file: FILE has more than 64 KiB"]);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = Folder::new("");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, problem) in [
        (folder.path().display().to_string(), "is a folder, not a file"),
        (fifo.display().to_string(), "is not a regular file (but a pipe, device or socket)"),
        ("/dev/zero".to_owned(), "is not a regular file (but a pipe, device or socket)"),
        ("/nowhere/secret".to_owned(), "does not exist"),
    ] {
        let problems = problems_of(&GOOD.replace("secret = \"hush-secret\"", &format!("secret_file = \"{path}\"")));
        assert_eq!(problems, [format!("[[account]] 1 (wx1) secret_file: {path} {problem}")]);
    }
}
