use kefu_messages::plan::Plan;
use kefu_messages::reply::split::Rest;
use kefu_messages::reply::{Card, Content, Link, Reply};
use kefu_store::{Fence, Job, LedgerClaim, Stores, Written};

use super::ledger::{claim, claimed, is_claimable, plan, resumed};
use super::{LONG, SHORT, key};
use crate::clock::Lasting;

async fn store_plan(stores: &Stores, fence: Fence, plan: &Plan) {
    assert_eq!(stores.ledger.store_plan(&key("1"), fence, plan).await.unwrap(), Written::Yes);
}

async fn begin(stores: &Stores, fence: Fence, step: u32) {
    assert_eq!(stores.ledger.begin(&key("1"), fence, step, None, LONG).await.unwrap(), Written::Yes);
}

async fn not_sent(stores: &Stores, fence: Fence, step: u32) {
    assert_eq!(stores.ledger.not_sent(&key("1"), fence, step).await.unwrap(), Written::Yes);
}

async fn sent(stores: &Stores, fence: Fence, step: u32) {
    assert_eq!(stores.ledger.sent(&key("1"), fence, step, None).await.unwrap(), Written::Yes);
}

pub(super) async fn the_first_plan_stored_stands(stores: &Stores) {
    let first = claimed(stores, &key("1"), "a").await;
    store_plan(stores, first.fence, &plan(&["first"])).await;
    store_plan(stores, first.fence, &plan(&["second"])).await;
    let second = resumed(stores, &key("1"), first.fence).await;
    assert_eq!(second.plan, Some(plan(&["first"])));
    store_plan(stores, second.fence, &plan(&["third"])).await;
    assert_eq!(resumed(stores, &key("1"), second.fence).await.plan, Some(plan(&["first"])));
}

pub(super) async fn a_plan_comes_with_the_begin_of_its_first_step_unless_one_stands(stores: &Stores) {
    let begin = async |fence, step, steps: &[&str]| {
        let plan = plan(steps);
        stores.ledger.begin(&key("1"), fence, step, Some(&plan), LONG).await.unwrap()
    };
    let first = claimed(stores, &key("1"), "a").await;
    // Twice, as by who does not know whether the first call took effect.
    for _ in 0..2 {
        assert_eq!(begin(first.fence, 0, &["first", "second"]).await, Written::Yes);
    }
    let second = resumed(stores, &key("1"), first.fence).await;
    assert_eq!((second.plan, second.next_step, second.ambiguous), (Some(plan(&["first", "second"])), 0, true));
    assert_eq!(begin(first.fence, 1, &["late"]).await, Written::Fenced);
    assert_eq!(begin(second.fence, 0, &["other"]).await, Written::Yes);
    let third = resumed(stores, &key("1"), second.fence).await;
    assert_eq!((third.plan, third.next_step, third.ambiguous), (Some(plan(&["first", "second"])), 0, true));
}

pub(super) async fn the_record_of_the_last_step_may_end_the_message(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    begin(stores, job.fence, 0).await;
    // Twice, as by who does not know whether the first call took effect.
    for _ in 0..2 {
        let ended = stores.ledger.sent(&key("1"), job.fence, 0, Some(LONG)).await.unwrap();
        assert_eq!(ended, Written::Yes);
        assert_eq!(claim(stores, &key("1"), "b", LONG).await, LedgerClaim::Done);
    }
    let late = stores.ledger.begin(&key("1"), job.fence, 0, None, LONG).await.unwrap();
    assert_eq!(late, Written::Fenced, "it is done");
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, LedgerClaim::Done);
}

pub(super) async fn an_end_with_the_last_step_is_forgotten_after_its_time(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    let kept = Lasting::from_now(SHORT);
    assert_eq!(stores.ledger.sent(&key("1"), job.fence, 0, Some(SHORT)).await.unwrap(), Written::Yes);
    let job = kept.ended("the end of the entry", async || is_claimable(stores, &key("1")).await).await;
    assert_eq!(job, Job { fence: job.fence, plan: None, next_step: 0, ambiguous: false });
}

pub(super) async fn a_plan_in_the_place_of_another_leaves_the_next_step_and_needs_the_fence(stores: &Stores) {
    let first = claimed(stores, &key("1"), "a").await;
    store_plan(stores, first.fence, &plan(&["one", "two…"])).await;
    sent(stores, first.fence, 0).await;
    let (whole, late) = (plan(&["one", "two", "three"]), plan(&["late"]));
    // Twice, as by who does not know whether the first call took effect.
    for _ in 0..2 {
        assert_eq!(stores.ledger.replace_plan(&key("1"), first.fence, &whole).await.unwrap(), Written::Yes);
    }
    let second = resumed(stores, &key("1"), first.fence).await;
    assert_eq!((second.plan.as_ref(), second.next_step, second.ambiguous), (Some(&whole), 1, false));
    let replaced = stores.ledger.replace_plan(&key("1"), first.fence, &late).await.unwrap();
    assert_eq!(replaced, Written::Fenced);
    store_plan(stores, second.fence, &late).await;
    let third = resumed(stores, &key("1"), second.fence).await;
    assert_eq!(third.plan, Some(whole.clone()), "it is the one that stands");
    assert_eq!(stores.ledger.done(&key("1"), third.fence, LONG).await.unwrap(), Written::Yes);
    let replaced = stores.ledger.replace_plan(&key("1"), third.fence, &whole).await.unwrap();
    assert_eq!(replaced, Written::Fenced, "it is done");
}

pub(super) async fn a_plan_comes_back_as_it_was_stored(stores: &Stores) {
    let every_kind = Plan {
        steps: vec![
            Content::Text("您好 \"客服\" 👋\n\t\\ \u{85}".into()).into(),
            Reply {
                content: Content::Image("images/服务.png".into()),
                kf_account: Some("agent@shop".into()),
                is_ai_msg: true,
            },
            Content::Link(Link {
                title: "标题".into(),
                description: String::new(),
                url: "https://shop.example/?a=1&b=2".into(),
                thumb_url: "https://shop.example/t.jpg".into(),
            })
            .into(),
            Content::Miniprogrampage(Card {
                title: "卡片".into(),
                pagepath: "pages/index?id=1".into(),
                appid: None,
                thumb: "images/cover.jpg".into(),
            })
            .into(),
        ],
        rests: vec![Rest { step: 0, text: "\n再来 \"…\"".into() }],
    };
    let job = claimed(stores, &key("1"), "a").await;
    store_plan(stores, job.fence, &every_kind).await;
    assert_eq!(resumed(stores, &key("1"), job.fence).await.plan, Some(every_kind));
}

pub(super) async fn an_empty_plan_is_a_plan(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    store_plan(stores, job.fence, &Plan::default()).await;
    assert_eq!(resumed(stores, &key("1"), job.fence).await.plan, Some(Plan::default()));
}

pub(super) async fn a_step_that_was_begun_and_not_recorded_is_ambiguous(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    begin(stores, job.fence, 0).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (0, true));
}

pub(super) async fn an_ambiguous_step_stays_so_until_it_is_settled(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    sent(stores, job.fence, 0).await;
    begin(stores, job.fence, 1).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert!(job.ambiguous);
    let job = resumed(stores, &key("1"), job.fence).await;
    assert!(job.ambiguous, "a worker that only looked settled nothing");
    begin(stores, job.fence, 1).await;
    sent(stores, job.fence, 1).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (2, false));
}

pub(super) async fn a_step_that_was_sent_is_not_sent_again(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    begin(stores, job.fence, 0).await;
    sent(stores, job.fence, 0).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (1, false));
}

pub(super) async fn a_step_taken_back_is_not_ambiguous(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    begin(stores, job.fence, 0).await;
    not_sent(stores, job.fence, 0).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (0, false));
}

pub(super) async fn taking_back_another_step_does_nothing(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    sent(stores, job.fence, 0).await;
    begin(stores, job.fence, 1).await;
    not_sent(stores, job.fence, 0).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (1, true));
}

pub(super) async fn each_call_may_be_made_twice(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    for _ in 0..2 {
        begin(stores, job.fence, 0).await;
    }
    for _ in 0..2 {
        not_sent(stores, job.fence, 0).await;
    }
    begin(stores, job.fence, 0).await;
    for _ in 0..2 {
        sent(stores, job.fence, 0).await;
    }
    for _ in 0..2 {
        assert_eq!(stores.ledger.renew(&key("1"), job.fence, LONG).await.unwrap(), Written::Yes);
    }
    for _ in 0..2 {
        assert_eq!(stores.ledger.release(&key("1"), job.fence).await.unwrap(), Written::Yes);
    }
    let job = claimed(stores, &key("1"), "b").await;
    assert_eq!((job.next_step, job.ambiguous), (1, false));
}

/// A call that timed out may take effect after those that came later.
pub(super) async fn a_late_copy_of_a_call_takes_nothing_back(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    for step in 0..2 {
        begin(stores, job.fence, step).await;
        sent(stores, job.fence, step).await;
    }
    sent(stores, job.fence, 0).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (2, false));
    begin(stores, job.fence, 1).await;
    let job = resumed(stores, &key("1"), job.fence).await;
    assert_eq!((job.next_step, job.ambiguous), (2, false), "what is known to be sent is not ambiguous");
}

pub(super) async fn beginning_a_step_renews_the_lease(stores: &Stores) {
    let LedgerClaim::Claimed(job) = claim(stores, &key("1"), "a", SHORT).await else { panic!("not claimed") };
    begin(stores, job.fence, 0).await;
    match claim(stores, &key("1"), "b", LONG).await {
        LedgerClaim::Leased { for_at_most } => assert!(for_at_most > LONG / 2, "{for_at_most:?}"),
        other => panic!("the lease is {other:?}"),
    }
}

pub(super) async fn a_resumed_message_goes_on_where_it_was(stores: &Stores) {
    let steps = plan(&["one", "two", "three"]);
    let mut fence = claimed(stores, &key("1"), "a").await.fence;
    store_plan(stores, fence, &steps).await;
    for step in 0..3 {
        begin(stores, fence, step).await;
        sent(stores, fence, step).await;
        let job = resumed(stores, &key("1"), fence).await;
        assert_eq!((job.next_step, job.ambiguous), (step + 1, false));
        assert_eq!(job.plan.as_ref(), Some(&steps));
        fence = job.fence;
    }
    assert_eq!(stores.ledger.done(&key("1"), fence, LONG).await.unwrap(), Written::Yes);
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, LedgerClaim::Done);
}
