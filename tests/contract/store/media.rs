use kefu_store::Stores;

use super::{LONG, SHORT};
use crate::clock::Lasting;

const PICTURE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const OTHER: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

async fn media_id(stores: &Stores, appid: &str, sha256: &str) -> Option<String> {
    stores.media.get(appid, sha256).await.unwrap()
}

pub(super) async fn unknown_content_has_no_media_id(stores: &Stores) {
    assert_eq!(media_id(stores, "wx1", PICTURE).await, None);
}

pub(super) async fn a_media_id_is_kept_for_everybody(stores: &Stores) {
    stores.media.put("wx1", PICTURE, "media-1", LONG).await.unwrap();
    assert_eq!(media_id(stores, "wx1", PICTURE).await.as_deref(), Some("media-1"));
    assert_eq!(media_id(stores, "wx1", PICTURE).await.as_deref(), Some("media-1"), "reading does not consume");
}

pub(super) async fn a_media_id_ends_after_its_time(stores: &Stores) {
    let kept = Lasting::from_now(SHORT);
    stores.media.put("wx1", PICTURE, "media-1", SHORT).await.unwrap();
    kept.ended("the end of the media_id", async || media_id(stores, "wx1", PICTURE).await.is_none().then_some(()))
        .await;
}

pub(super) async fn a_new_media_id_takes_the_place_of_the_old(stores: &Stores) {
    stores.media.put("wx1", PICTURE, "media-1", LONG).await.unwrap();
    stores.media.put("wx1", PICTURE, "media-2", LONG).await.unwrap();
    assert_eq!(media_id(stores, "wx1", PICTURE).await.as_deref(), Some("media-2"));
}

pub(super) async fn a_forgotten_media_id_is_gone(stores: &Stores) {
    stores.media.put("wx1", PICTURE, "media-1", LONG).await.unwrap();
    stores.media.forget("wx1", PICTURE, "media-1").await.unwrap();
    assert_eq!(media_id(stores, "wx1", PICTURE).await, None);
    stores.media.forget("wx1", PICTURE, "media-1").await.unwrap();
}

pub(super) async fn forgetting_another_media_id_does_nothing(stores: &Stores) {
    stores.media.put("wx1", PICTURE, "media-2", LONG).await.unwrap();
    stores.media.forget("wx1", PICTURE, "media-1").await.unwrap();
    assert_eq!(media_id(stores, "wx1", PICTURE).await.as_deref(), Some("media-2"));
}

pub(super) async fn accounts_and_contents_do_not_touch_each_other(stores: &Stores) {
    stores.media.put("wx1", PICTURE, "media-1", LONG).await.unwrap();
    assert_eq!(media_id(stores, "wx2", PICTURE).await, None);
    assert_eq!(media_id(stores, "wx1", OTHER).await, None);
    stores.media.put("wx2", PICTURE, "media-1", LONG).await.unwrap();
    stores.media.put("wx1", OTHER, "media-1", LONG).await.unwrap();
    stores.media.forget("wx1", PICTURE, "media-1").await.unwrap();
    assert_eq!(media_id(stores, "wx2", PICTURE).await.as_deref(), Some("media-1"));
    assert_eq!(media_id(stores, "wx1", OTHER).await.as_deref(), Some("media-1"));
}
