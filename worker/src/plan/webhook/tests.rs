use std::collections::HashMap;

use futures_util::future::join_all;
use kefu_runtime::testing::hang;

use crate::testing::http::{ok, serve};
use crate::testing::wechat::UPLOAD;
use crate::testing::{Bench, DONE, seconds};

#[tokio::test]
async fn a_disk_that_hangs_is_not_held_against_the_service() {
    let (address, mut asked) = serve(ok(r#"{"replies":[{"image":"picture.png"}]}"#)).await;
    let bench = Bench::with(&format!(
        "[webhook]\nsecret = \"0123456789abcdef\"\n\
         [[rule]]\nwhen = {{ contains = \"ask\" }}\nwebhook = {{ url = \"http://{address}/\" }}\n"
    ));
    let end = hang(&bench.handler.planner.webhooks.disk).await;
    // This many failed messages would open the webhook's breaker.
    let users = ["oA", "oB", "oC", "oD", "oE"];
    let handling = join_all(users.map(|user| bench.handle(user, "ask")));
    let all_asked_again = async {
        let mut times: HashMap<&str, u32> = HashMap::new();
        while times.values().filter(|times| **times > 1).count() < users.len() {
            let request = String::from_utf8(asked.recv().await.unwrap()).unwrap();
            let user = users.into_iter().find(|user| request.contains(user)).unwrap();
            *times.entry(user).or_default() += 1;
        }
        assert_eq!(bench.handler.planner.webhooks.breakers.in_words(), None);
        drop(end);
    };
    let handled = tokio::time::timeout(seconds(60), async { tokio::join!(handling, all_asked_again).0 }).await;
    assert_eq!(handled.unwrap(), [DONE; 5]);
    assert_eq!(bench.wechat.calls(UPLOAD).len(), 1);
}
