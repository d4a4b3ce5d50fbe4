//! The answer that WeChat wants for each event: one table.
//!
//! Most events want `success`. Names are compared without regard to case: WeChat's own pages ignore case for some names,
//! and write others in both ways.

use super::push::{Format, Push};

/// The answer to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventAnswer {
    /// `success`, the answer to everything that needs only an acknowledgement.
    Success,
    /// A body of its own.
    Body(EventBody),
    /// A decision that somebody must make within WeChat's patience, and that kefu cannot know. Without a decision the
    /// answer is `success`.
    Decision {
        /// The event's name as the table has it, for logs and metrics: a family is one name.
        event: &'static str,
    },
}

/// The bodies that are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventBody {
    /// `ErrCode` 0 in the push's own format.
    ErrCode,
    /// `errcode` 0 in JSON.
    Errcode,
}

use EventAnswer::{Body, Decision, Success};

/// Virtual payment: after an answer in another format WeChat pushes up to 15 times. `success` would work as well, but
/// WeChat does not recommend it.
///
/// Source:
/// <https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html>.
const PAYMENTS: [&str; 7] = [
    "xpay_goods_deliver_notify",
    "xpay_coin_pay_notify",
    "xpay_refund_notify",
    "xpay_complaint_notify",
    "xpay_wxpay_callback_notify",
    "xpay_subscribe_signing_result_notify",
    "xpay_subscribe_pay_fail_notify",
];

/// A call from a device: any answer but `errcode` 0 cancels the call, and no answer may cancel it too.
const DEVICE_CALL: &str = "iot_voip_notify";

/// Events whose answer says more than that the event has arrived.
///
/// Sources: the pages on virtual payment (a refund that Apple asks about, within 3 s), on novels (who may read which
/// chapter), and on carriers, who are asked in the names of shops and riders:
/// <https://developers.weixin.qq.com/miniprogram/dev/server/event_push/express/provider/query_waybill.html> and its
/// neighbours.
const DECISIONS: [&str; 18] = [
    "xpay_subscribe_ios_refund_query_notify",
    "wxa_novel_chapter_permission",
    // Parcels.
    "check_biz",
    "get_quota",
    "add_waybill",
    "cancel_waybill",
    "add_single_waybill",
    "cancel_single_waybill",
    "query_single_waybill",
    "query_single_waybill_fee",
    "notify_single_waybill_pay",
    "remind_waybill",
    "waybill_complaint",
    "waybill_evaluate_agent",
    "waybill_notify_query",
    "waybill_query_expect_time_range",
    // Riders.
    "update_waybill_status",
    "mock_update_order_status",
];

/// Riders, too: `transport_cancel_order`, `transport_query_order_status` and so on.
const RIDERS: &str = "transport_*";

impl EventAnswer {
    /// The answer to the event of this name.
    pub fn to(event: &str) -> Self {
        let is = |name: &&str| event.eq_ignore_ascii_case(name);
        if PAYMENTS.iter().any(is) {
            return Body(EventBody::ErrCode);
        }
        if is(&DEVICE_CALL) {
            return Body(EventBody::Errcode);
        }
        if is_of_riders(event) {
            return Decision { event: RIDERS };
        }
        DECISIONS.into_iter().find(is).map_or(Success, |event| Decision { event })
    }
}

fn is_of_riders(event: &str) -> bool {
    let family = RIDERS.trim_end_matches('*');
    event.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
}

impl EventBody {
    /// The text of the answer, not encrypted, for a push in this format.
    pub fn text(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::ErrCode, Format::Json) => r#"{"ErrCode":0,"ErrMsg":"success"}"#,
            (Self::ErrCode, Format::Xml) => "<xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>",
            // WeChat's page on this event knows no other form.
            (Self::Errcode, _) => r#"{"errcode":0,"errmsg":"ok"}"#,
        }
    }
}

/// Whether an answer to this push that is not `success` is encrypted where the mode encrypts.
///
/// WeChat's page on message push wants every answer but `success` and an empty body encrypted, and the pages on virtual
/// payment, novels and carriers do not contradict it. The page on calls from devices wants safe mode and shows the answer's
/// body in clear:
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/device/voip/cloud-server-sdk.html>.
pub fn is_encrypted(push: &Push) -> bool {
    push.event().is_none_or(|event| EventAnswer::to(event) != Body(EventBody::Errcode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_the_answer_of_its_page_whatever_the_case() {
        let payment = Body(EventBody::ErrCode);
        let cases = [
            ("xpay_goods_deliver_notify", payment),
            ("XPAY_Subscribe_Pay_Fail_Notify", payment),
            ("iot_voip_notify", Body(EventBody::Errcode)),
            ("check_biz", Decision { event: "check_biz" }),
            ("CHECK_BIZ", Decision { event: "check_biz" }),
            ("transport_query_order_status", Decision { event: "transport_*" }),
            ("Transport_", Decision { event: "transport_*" }),
            ("xpay_subscribe_ios_refund_query_notify", Decision { event: "xpay_subscribe_ios_refund_query_notify" }),
            // These events want only an acknowledgement.
            ("add_express_path", Success),
            ("update_business_bind_result", Success),
            ("retail_pay_notify", Success),
            ("user_enter_tempsession", Success),
            ("transport", Success),
            ("transportation_客服", Success),
            ("xpay_something_new_notify", Success),
            ("", Success),
        ];
        for (event, answer) in cases {
            assert_eq!(EventAnswer::to(event), answer, "{event}");
        }
    }

    #[test]
    fn no_event_is_in_the_table_twice() {
        let mut names = [PAYMENTS.as_slice(), &DECISIONS, &[DEVICE_CALL]].concat();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn only_the_answer_to_a_devices_call_goes_out_in_clear() {
        let push = |event: &str| {
            let text = format!(r#"{{"FromUserName":"o","MsgType":"event","Event":"{event}"}}"#);
            Push::parse(&text).unwrap()
        };
        assert!(!is_encrypted(&push("iot_voip_notify")));
        assert!(is_encrypted(&push("xpay_refund_notify")) && is_encrypted(&push("check_biz")));
        let text = Push::parse(r#"{"FromUserName":"o","MsgType":"text","Content":"iot_voip_notify"}"#).unwrap();
        assert!(is_encrypted(&text));
    }
}
