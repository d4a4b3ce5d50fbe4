//! What every kind of push becomes on the queue.

use kefu_harness::wechat::{Format, kinds};

use super::{Ingress, assert_success};

#[tokio::test]
async fn every_kind_in_every_mode_and_format_is_taken_whatever_the_content_type() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    let mut sent = 0;
    for account in &accounts {
        for format in Format::ALL {
            for (index, content_type) in
                [Some("text/xml"), Some("application/json"), Some("image/png"), None].into_iter().enumerate()
            {
                for (kind, message) in kinds(&format!("oUSER{sent}")) {
                    // Notices to third-party platforms have no user: this tells them apart.
                    let message = message.number_field("Serial", sent);
                    let mut push = account.push(format, &message);
                    push.content_type = content_type.map(str::to_owned);
                    let case = format!("{kind}, {format:?}, {:?}, Content-Type {index}", account.mode);
                    let answer = ingress.pushes.send(&account.appid, &push).await;
                    // The one kind here with an answer of its own: see `answers`.
                    if kind == "xpay_goods_deliver_notify" {
                        assert!(answer.said_to(account).unwrap().contains("ErrCode"), "{case}: {answer:?}");
                    } else {
                        assert_success(&answer, &case);
                        assert_eq!(answer.content_type.as_deref(), Some("text/plain; charset=utf-8"));
                    }
                    sent += 1;
                }
            }
        }
    }
    ingress.stores(sent).await;
    assert!(!ingress.program.output().contains("oUSER"), "an openid is in the log");
}
