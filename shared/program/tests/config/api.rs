//! `[api]` and its keys.

use secrecy::ExposeSecret;

use super::{Folder, GOOD, problems_of};

fn keys(text: &str, environment: &[(&str, &str)]) -> Option<Vec<String>> {
    let folder = Folder::new(format!("{GOOD}\n{text}")).with("key", "from-a-file-0123456\n");
    let api = folder.load(environment).unwrap().api?;
    Some(api.keys.iter().map(|key| key.expose_secret().to_owned()).collect())
}

#[test]
fn without_a_key_there_is_no_api() {
    assert_eq!(keys("", &[]), None);
    assert_eq!(keys("[api]", &[]), None);
}

#[test]
fn a_key_comes_from_the_file_another_file_or_the_environment() {
    assert_eq!(keys("[api]\nkey = \"0123456789abcdef\"", &[]), Some(vec!["0123456789abcdef".to_owned()]));
    assert_eq!(keys("[api]\nkey_file = \"key\"", &[]), Some(vec!["from-a-file-0123456".to_owned()]));
    let environment = [("KEFU__API__KEY", "0123456789abcdef")];
    assert_eq!(keys("", &environment), Some(vec!["0123456789abcdef".to_owned()]));
}

#[test]
fn the_key_before_is_taken_beside_the_present_one() {
    let text = "[api]\nkey = \"0123456789abcdef\"\nprevious_key_file = \"key\"";
    assert_eq!(keys(text, &[]), Some(vec!["0123456789abcdef".to_owned(), "from-a-file-0123456".to_owned()]));
}

#[test]
fn a_key_that_is_none_is_refused_and_not_shown() {
    for (lines, problem) in [
        ("key = \"hush-hush-hush-\"", "[api] key: must be 16 to 256 letters, digits or signs of ASCII, without blanks"),
        ("key = \"hush hush hush hush\"", "[api] key: must be 16 to 256 letters"),
        ("key = \"密密密密密密\"", "[api] key: must be 16 to 256 letters"),
        ("key = \"put the API's key here\"", "[api] key: is still the text of kefu.example.toml"),
        ("key = \"0123456789abcdef\"\nkey_file = \"key\"", "[api]: key and key_file are both given"),
        ("previous_key = \"0123456789abcdef\"", "[api]: key is missing"),
        ("keys = []", "[api] keys: there is no such key; did you mean key?"),
    ] {
        let problems = problems_of(&format!("{GOOD}\n[api]\n{lines}"));
        assert!(problems.len() == 1 && problems[0].starts_with(problem), "{lines}: {problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }
}
