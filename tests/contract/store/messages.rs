use std::time::Duration;

use futures_util::future::join_all;
use kefu_store::{Opened, Progress, Stores};

use super::{CROWD, LONG, SHORT};
use crate::clock::Lasting;

const ID: &str = "00112233445566778899aabbccddeeff";
const OTHER: &str = "ffeeddccbbaa99887766554433221100";

const QUEUED: Progress = Progress::Queued { accepted_at_ms: 1_000 };

fn sent(ended_at_ms: u64) -> Progress {
    Progress::Sent { accepted_at_ms: 1_000, ended_at_ms }
}

fn dead(ended_at_ms: u64) -> Progress {
    let error = "errcode 40003: 无效的 \"openid\"".to_owned();
    Progress::Dead { accepted_at_ms: 1_000, ended_at_ms, reason: "refused".to_owned(), error }
}

async fn open(stores: &Stores, id: &str, fingerprint: &str) -> Opened {
    stores.messages.open(id, fingerprint, LONG).await.unwrap()
}

async fn find(stores: &Stores, fingerprint: &str) -> Opened {
    stores.messages.find(ID, fingerprint).await.unwrap()
}

async fn set(stores: &Stores, progress: &Progress) {
    stores.messages.set(ID, progress, LONG).await.unwrap();
}

async fn get(stores: &Stores) -> Option<Progress> {
    stores.messages.get(ID).await.unwrap()
}

pub(super) async fn a_message_is_new_once(stores: &Stores) {
    assert_eq!(open(stores, ID, "f").await, Opened::New);
    assert_eq!(open(stores, ID, "f").await, Opened::Same(None), "nobody said yet that it is published");
}

pub(super) async fn another_message_under_the_same_id_is_told_apart(stores: &Stores) {
    open(stores, ID, "f").await;
    assert_eq!(open(stores, ID, "g").await, Opened::Other);
    set(stores, &QUEUED).await;
    assert_eq!(open(stores, ID, "g").await, Opened::Other);
    assert_eq!(open(stores, ID, "f").await, Opened::Same(Some(QUEUED)));
}

pub(super) async fn to_look_for_a_message_notes_nothing(stores: &Stores) {
    assert_eq!(find(stores, "g").await, Opened::New);
    assert_eq!(open(stores, ID, "f").await, Opened::New, "the look before was none");
    assert_eq!((find(stores, "f").await, find(stores, "g").await), (Opened::Same(None), Opened::Other));
    set(stores, &QUEUED).await;
    assert_eq!((find(stores, "f").await, find(stores, "g").await), (Opened::Same(Some(QUEUED)), Opened::Other));
    assert_eq!(stores.messages.find(OTHER, "f").await.unwrap(), Opened::New);
}

pub(super) async fn nothing_is_known_until_it_is_published(stores: &Stores) {
    assert_eq!(get(stores).await, None);
    open(stores, ID, "f").await;
    assert_eq!(get(stores).await, None);
    set(stores, &QUEUED).await;
    assert_eq!(get(stores).await, Some(QUEUED));
}

pub(super) async fn each_progress_comes_back_as_it_was_set(stores: &Stores) {
    open(stores, ID, "f").await;
    for progress in [QUEUED, dead(2_000), sent(3_000)] {
        set(stores, &progress).await;
        assert_eq!(get(stores).await, Some(progress.clone()));
        assert_eq!(open(stores, ID, "f").await, Opened::Same(Some(progress)));
    }
}

pub(super) async fn what_is_sent_stays_sent(stores: &Stores) {
    open(stores, ID, "f").await;
    set(stores, &sent(2_000)).await;
    for late in [QUEUED, dead(3_000), sent(4_000)] {
        set(stores, &late).await;
        assert_eq!(get(stores).await, Some(sent(2_000)), "after {late:?}");
    }
}

pub(super) async fn what_is_dead_may_die_again_and_is_not_queued_by_a_late_word(stores: &Stores) {
    open(stores, ID, "f").await;
    set(stores, &dead(2_000)).await;
    set(stores, &QUEUED).await;
    assert_eq!(get(stores).await, Some(dead(2_000)));
    set(stores, &dead(3_000)).await;
    assert_eq!(get(stores).await, Some(dead(3_000)));
}

pub(super) async fn a_progress_needs_no_opening(stores: &Stores) {
    set(stores, &sent(2_000)).await;
    assert_eq!(get(stores).await, Some(sent(2_000)));
    assert_eq!(find(stores, "g").await, Opened::Same(Some(sent(2_000))));
    assert_eq!(open(stores, ID, "f").await, Opened::Same(Some(sent(2_000))));
    assert_eq!(open(stores, ID, "g").await, Opened::Other, "the first opening stands");
}

pub(super) async fn a_message_is_forgotten_after_its_time(stores: &Stores) {
    let kept = Lasting::from_now(SHORT);
    stores.messages.open(ID, "f", SHORT).await.unwrap();
    kept.ended("the end of the note", async || (open_for_a_moment(stores).await == Opened::New).then_some(())).await;
    set(stores, &QUEUED).await;
    let kept = Lasting::from_now(SHORT);
    stores.messages.set(ID, &dead(2_000), SHORT).await.unwrap();
    kept.ended("the end of the progress", async || get(stores).await.is_none().then_some(())).await;
}

/// Asks without keeping: what it notes itself is gone by the next look.
async fn open_for_a_moment(stores: &Stores) -> Opened {
    stores.messages.open(ID, "g", Duration::from_millis(1)).await.unwrap()
}

pub(super) async fn messages_do_not_touch_each_other(stores: &Stores) {
    open(stores, ID, "f").await;
    set(stores, &QUEUED).await;
    assert_eq!(stores.messages.get(OTHER).await.unwrap(), None);
    assert_eq!(open(stores, OTHER, "g").await, Opened::New);
    stores.messages.set(OTHER, &sent(2_000), LONG).await.unwrap();
    assert_eq!(get(stores).await, Some(QUEUED));
}

pub(super) async fn of_many_who_open_one_message_for_one_it_is_new(stores: &Stores) {
    let opened = join_all((0..CROWD).map(|_| open(stores, ID, "f"))).await;
    assert_eq!(opened.iter().filter(|opened| **opened == Opened::New).count(), 1);
    assert!(opened.iter().all(|opened| [Opened::New, Opened::Same(None)].contains(opened)));
}
