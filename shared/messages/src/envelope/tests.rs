use super::*;
use crate::reply::Content;
use crate::testing::{envelope, unreadable};
use crate::window::Opening;

fn read(change: impl Fn(&str) -> String) -> Envelope {
    let envelope = Envelope { answered: Some(Answered::Transfer), ..envelope("o", 1) };
    let json = String::from_utf8(envelope.to_json()).unwrap();
    Envelope::from_json(change(&json).as_bytes()).unwrap()
}

#[test]
fn what_was_answered_is_kept_and_an_answer_of_a_newer_version_is_one() {
    let answered = r#""answered":"transfer""#;
    assert_eq!(read(str::to_owned).answered, Some(Answered::Transfer));
    assert_eq!(read(|json| json.replace(answered, r#""answered":"telepathy""#)).answered, Some(Answered::Other));
    assert_eq!(read(|json| json.replace(answered, r#""unknown":1"#)).answered, None);
}

#[test]
fn an_envelope_that_is_not_answered_does_not_speak_of_it() {
    let json = envelope("o", 1).to_json();
    assert!(!String::from_utf8(json).unwrap().contains("answered"));
}

fn sent() -> Envelope {
    let outbound = Outbound { replies: vec![Content::Text("on its way".into()).into()], business_id: Some(1) };
    Envelope::of_send("wx1", "order|1", OpenId::new("oUSER"), outbound, 1_700_000_000_123)
}

#[test]
fn what_a_backend_sends_is_of_a_version_of_its_own_and_comes_back_as_it_was() {
    let envelope = sent();
    assert_eq!((envelope.v, envelope.key.as_str()), (2, "wx1|kefu_send|order%7C1"));
    assert_eq!((envelope.push.from_user.as_str(), envelope.push.msg_type.as_str()), ("oUSER", "kefu_send"));
    assert_eq!(Envelope::from_json(&envelope.to_json()).unwrap(), envelope);
    assert_eq!((envelope.push.business_id, Opening::of(&envelope.push)), (Some(1), None));
    assert!(!format!("{envelope:?}").contains("on its way"));
}

#[test]
fn a_version_that_does_not_fit_what_is_there_is_refused() {
    let mut envelope = sent();
    envelope.v = 1;
    assert!(matches!(Envelope::from_json(&envelope.to_json()), Err(EnvelopeError::Malformed(_))));
    let push = Envelope { send: None, v: 2, ..sent() };
    assert!(matches!(Envelope::from_json(&push.to_json()), Err(EnvelopeError::Malformed(_))));
    let both = Envelope { unreadable: unreadable(b"<xml>").unreadable, ..sent() };
    assert!(matches!(Envelope::from_json(&both.to_json()), Err(EnvelopeError::Malformed(_))));
    for v in [1, 2] {
        let envelope = Envelope { v, ..unreadable(b"<xml>") };
        assert!(matches!(Envelope::from_json(&envelope.to_json()), Err(EnvelopeError::Malformed(_))), "{v}");
    }
    let readable = Envelope { unreadable: None, ..unreadable(b"<xml>") };
    assert!(matches!(Envelope::from_json(&readable.to_json()), Err(EnvelopeError::Malformed(_))));
    let newer = Envelope { v: 5, ..sent() };
    assert!(matches!(Envelope::from_json(&newer.to_json()), Err(EnvelopeError::Version { found: 5 })));
    let shapeless = br#"{"v":5,"everything":"else"}"#;
    assert!(matches!(Envelope::from_json(shapeless), Err(EnvelopeError::Version { found: 5 })));
}

#[test]
fn a_push_that_names_everything_has_no_raw_and_its_text_says_the_same() {
    let usual = envelope("o", 1);
    assert_eq!((usual.v, &usual.raw), (4, &None));
    assert_eq!(Envelope::from_json(&usual.to_json()).unwrap().key, usual.key);
    let whole = Envelope::from_json(&usual.to_json_with_raw()).unwrap();
    assert_eq!((whole.v, whole.raw.as_deref()), (1, Some(&*usual.text())));
    assert_eq!(kefu_wechat::push::Push::parse(&usual.text()).unwrap(), usual.push);
    let unusual =
        crate::testing::pushed("wx1", "o", serde_json::json!({ "MsgType": "text", "Content": "hi", "New": 1 }));
    assert_eq!(unusual.v, 1);
    assert!(unusual.text().contains("\"New\":1") && unusual.to_json() == unusual.to_json_with_raw());
    for (v, raw) in [(1, None), (4, Some(String::new()))] {
        let wrong = Envelope { v, raw, ..envelope("o", 1) };
        assert!(matches!(Envelope::from_json(&wrong.to_json()), Err(EnvelopeError::Malformed(_))), "{v}");
    }
}

#[test]
fn it_is_on_the_partition_of_the_users_pushes() {
    let user = OpenId::new("oUSER");
    assert_eq!(sent().partition(64), Partition::of("wx1", &user, 64));
}

#[test]
fn an_unreadable_push_is_of_a_version_of_its_own_and_comes_back_byte_by_byte() {
    for bytes in [b"".as_slice(), b"<xml><Content>\xff\0", b"[1]"] {
        let envelope = unreadable(bytes);
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes));
        assert_eq!((envelope.v, envelope.key.as_str()), (3, &*format!("wx1|kefu_unreadable|{digest}")));
        assert_eq!((envelope.push.from_user.as_str(), envelope.push.msg_type.as_str()), ("", "kefu_unreadable"));
        let back = Envelope::from_json(&envelope.to_json()).unwrap();
        assert_eq!((&back, back.unreadable.as_ref().unwrap().bytes.0.as_slice()), (&envelope, bytes));
        assert_eq!((Opening::of(&back.push), back.raw.as_deref()), (None, Some("")));
    }
}

#[test]
fn unreadable_pushes_spread_over_the_partitions() {
    let partitions: std::collections::BTreeSet<u16> =
        (0..200_u8).map(|n| unreadable(&[n]).partition(16).index()).collect();
    assert_eq!(partitions.len(), 16);
}

#[test]
fn what_can_be_read_by_now_becomes_the_push_under_the_same_key_and_goes_to_its_user() {
    let bytes = br#"{"FromUserName":"oUSER","MsgType":"text","Content":"hi","MsgId":7}"#;
    let mut envelope = unreadable(bytes);
    let key = envelope.key.clone();
    assert_eq!(envelope.partition_for_replay(64), Partition::of("wx1", &OpenId::new("oUSER"), 64));
    envelope.read_anew();
    assert_eq!((envelope.v, &envelope.key, envelope.text().as_bytes()), (1, &key, bytes.as_slice()));
    assert_eq!((envelope.push.from_user.as_str(), envelope.push.msg_id.as_deref()), ("oUSER", Some("7")));
    assert_eq!(envelope.unreadable, None);
    assert_eq!(Envelope::from_json(&envelope.to_json()).unwrap().key, key);
}

#[test]
fn what_still_cannot_be_read_stays_with_the_reason_of_this_version() {
    let mut envelope = unreadable(b"{}");
    let partition = envelope.partition(64);
    envelope.read_anew();
    assert_eq!(envelope.partition_for_replay(64), partition);
    let unreadable = envelope.unreadable.unwrap();
    assert_eq!(
        (unreadable.bytes.0.as_slice(), unreadable.reason.as_str()),
        (b"{}".as_slice(), "the push has no FromUserName")
    );
}
