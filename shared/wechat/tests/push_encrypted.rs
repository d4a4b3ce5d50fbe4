//! Where the ciphertext of an encrypted body is.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use kefu_wechat::push::ciphertexts;
use proptest::prelude::*;

const TRUE: &str = "mVbq+/Zx0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX==";

#[test]
fn the_ciphertext_is_found_however_it_is_written() {
    let escaped = TRUE.replace('/', "\\/").replace('+', "\\u002b").replace('=', "\\u003D");
    for body in [
        format!("<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{TRUE}]]></Encrypt></xml>"),
        format!("<xml>\n  <Encrypt >\n    {TRUE}\n  </Encrypt>\n</xml>\0\0"),
        format!("<xml><Encrypt> <![CDATA[{TRUE}]]> </Encrypt></xml>"),
        format!(r#"{{"ToUserName":"gh_1","Encrypt":"{TRUE}"}}"#),
        format!("{{\"Encrypt\" \n:\t\"{escaped}\" ,\"ToUserName\":\"gh_1\"}}"),
    ] {
        assert_eq!(ciphertexts(&body), [TRUE], "{body}");
    }
}

#[test]
fn what_else_is_in_the_body_does_not_matter() {
    for body in [
        format!("<xml><Content><![CDATA[<a><![CDATA[1]]></a>]]></Content><Encrypt><![CDATA[{TRUE}]]></Encrypt></xml>"),
        format!("<xml><Content><b></Content><Encrypt>{TRUE}</Encrypt>"),
        format!("{{\"Content\":\"a \"b\" \n\",\"Encrypt\":\"{TRUE}\""),
        format!("<!DOCTYPE x [<!ENTITY e \"\">]><xml>{}<Encrypt>{TRUE}</Encrypt></xml>", "<a>".repeat(10_000)),
    ] {
        assert_eq!(ciphertexts(&body), [TRUE], "{body}");
    }
}

#[test]
fn what_cannot_be_a_ciphertext_is_none() {
    for body in [
        "",
        "Encrypt",
        "<Encrypt",
        "<Encrypt>",
        "<Encrypt></Encrypt>",
        "<Encrypt>AAAA",
        "<Encrypt><![CDATA[AAAA]]",
        "<Encrypt><![CDATA[AA AA]]></Encrypt>",
        "<Encrypt>AA*A</Encrypt>",
        "<Encrypted>AAAA</Encrypted>",
        "<NoEncrypt>AAAA</NoEncrypt>",
        r#"{"Encrypt":""}"#,
        r#"{"Encrypt":"AAAA"#,
        r#"{"Encrypt":"AA\nAA"}"#,
        r#"{"Encrypt":"AA\"}"#,
        r#"{"Encrypt":"\ud800"}"#,
        r#"{"Encrypt":["AAAA"]}"#,
        r#"{"Encrypt" "AAAA"}"#,
    ] {
        assert!(ciphertexts(body).is_empty(), "{body}");
    }
}

#[test]
fn a_clear_copy_full_of_false_ones_does_not_push_the_true_one_out() {
    let false_ones: String = (0..1_000).map(|number| format!("<Encrypt>false{number}</Encrypt>")).collect();
    for body in [
        format!("<xml><Content>{false_ones}</Content><Encrypt>{TRUE}</Encrypt></xml>"),
        format!("<xml><Encrypt>{TRUE}</Encrypt><Content>{false_ones}</Content></xml>"),
    ] {
        let found = ciphertexts(&body);
        assert_eq!((found.len(), &*found[0]), (8, TRUE));
    }
}

#[test]
fn a_hostile_body_takes_no_more_than_its_length() {
    for piece in [
        "<Encrypt>",
        "<Encrypt><![CDATA[",
        "\"Encrypt\":\"",
        "\"Encrypt\":\"\\u0041",
        "<Encrypt",
        "Encrypt",
        "<Encrypt>A</",
    ] {
        let body = piece.repeat(1024 * 1024 / piece.len());
        let started = Instant::now();
        assert!(ciphertexts(&body).len() <= 8);
        // Time that grows with the square of the length would be hours.
        assert!(started.elapsed() < Duration::from_secs(20), "{piece} took {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn every_candidate_is_base64_and_the_longest_is_first(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<", "Encrypt", ">", "<Encrypt>", "</Encrypt>", "<![CDATA[", "]]>", "\"Encrypt\":\"", "\"", ":", "\\/",
                "\\u002B", "AAAA", "+/=", " ", "客", "{", "}",
            ]),
            0..30,
        )
    ) {
        let body = pieces.concat();
        let found = ciphertexts(&body);
        prop_assert!(found.is_sorted_by(|a, b| a.len() >= b.len()));
        for candidate in found {
            prop_assert!(!candidate.is_empty());
            prop_assert!(candidate.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
        }
    }
}
