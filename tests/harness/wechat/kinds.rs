//! One message of every kind that WeChat is known to push, odd ones included.

use super::{Message, Value};

/// Kinds by name, from the user `user`; each call makes new messages.
pub fn kinds(user: &str) -> Vec<(&'static str, Message)> {
    vec![
        ("text", Message::text(user, "你好 <b>&amp; ]]> 👋\n第二行")),
        ("image", Message::image(user)),
        ("miniprogrampage", Message::miniprogrampage(user)),
        ("enter_tempsession", Message::enter_tempsession(user, r#"{"page":"order","id":42}"#)),
        ("debug_demo", Message::event(user, "debug_demo").text_field("debug_str", "hello world")),
        ("unknown_type", Message::of_type(user, "hologram").text_field("Shape", "cube").with_fresh_msg_id()),
        ("unknown_event", Message::event(user, "kf_create_session").text_field("KfAccount", "kf1@test")),
        ("sub_merchant", Message::text(user, "hi").number_field("BusinessId", 1)),
        ("cloud_function_msg_id", Message::text(user, "hi").text_field("MsgId", "49d7ab_1555684067")),
        ("msg_id_above_u64", Message::text(user, "hi").with("MsgId", Value::Number("36893488147419103232".into()))),
        ("create_time_as_text", Message::text(user, "hi").text_field("CreateTime", "1620973045")),
        ("subscribe_msg_popup_event", subscription_answered(user)),
        ("wxa_media_check", media_checked(user)),
        ("xpay_goods_deliver_notify", goods_paid(user)),
        ("authorized", third_party_authorized()),
    ]
}

/// In JSON a list of one is an object, and the XML has one level more.
fn subscription_answered(user: &str) -> Message {
    let xml = "<SubscribeMsgPopupEvent><List><TemplateId><![CDATA[T1]]></TemplateId><SubscribeStatusString>\
               <![CDATA[accept]]></SubscribeStatusString><PopupScene>0</PopupScene></List></SubscribeMsgPopupEvent>";
    let json = r#"{"TemplateId":"T1","SubscribeStatusString":"accept","PopupScene":"0"}"#;
    Message::event(user, "subscribe_msg_popup_event").with("List", Value::Raw { xml: xml.into(), json: json.into() })
}

/// Comes from an account of the platform, several within a second.
fn media_checked(user: &str) -> Message {
    let xml = "<result><suggest><![CDATA[pass]]></suggest><label>100</label></result>";
    let json = r#"{"suggest":"pass","label":100}"#;
    Message::event(user, "wxa_media_check")
        .text_field("trace_id", "60ae120f-371d5872-7941a05b")
        .number_field("errcode", 0)
        .with("result", Value::Raw { xml: xml.into(), json: json.into() })
}

/// Its `RetryTimes` grows with each re-send.
fn goods_paid(user: &str) -> Message {
    Message::event(user, "xpay_goods_deliver_notify").text_field("OutTradeNo", "order-42").number_field("RetryTimes", 0)
}

/// Of a third-party platform: neither `MsgType` nor `FromUserName`.
fn third_party_authorized() -> Message {
    Message::empty()
        .text_field("AppId", "wx0123456789abcdef")
        .number_field("CreateTime", 1_700_000_000)
        .text_field("InfoType", "authorized")
}
