//! `eventually`.

use std::time::Duration;

use futures_util::FutureExt;
use kefu_harness::eventually;

async fn failure(future: impl Future<Output = ()>) -> String {
    let panic = std::panic::AssertUnwindSafe(future).catch_unwind().await.unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test]
async fn waiting_ends_with_the_first_look_that_succeeds() {
    let mut looks = 0;
    let value = eventually(Duration::from_secs(10), "the third look", async || {
        looks += 1;
        if looks == 3 { Ok("seen") } else { Err("not yet") }
    })
    .await;
    assert_eq!((value, looks), ("seen", 3));
}

#[tokio::test]
async fn waiting_in_vain_says_for_what_and_what_was_seen_instead() {
    let text = failure(eventually(Duration::from_millis(50), "two replies", async || Err::<(), _>("one reply"))).await;
    assert_eq!(text, "not within 50ms: two replies; last seen: one reply");
}

#[tokio::test]
async fn a_look_that_hangs_does_not_hang_the_test() {
    let hangs = async || {
        std::future::pending::<()>().await;
        Err::<(), _>("")
    };
    let text = failure(eventually(Duration::from_millis(50), "an answer", hangs)).await;
    assert_eq!(text, "not within 50ms: an answer; the first look did not come to an end");
}
