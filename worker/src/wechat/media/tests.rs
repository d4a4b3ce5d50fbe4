use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::testing::wechat::{FakeWeChat, UPLOAD};
use crate::testing::{PNG, seconds};
use kefu_store::testing::MemoryStore;

struct Bench {
    store: Arc<MemoryStore>,
    api: Arc<FakeWeChat>,
    uploads: Uploads,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let (store, api) = (Arc::new(MemoryStore::default()), Arc::new(FakeWeChat::default()));
        api.set_latency(Duration::from_millis(50));
        let wechat = Arc::new(WeChat::new(Arc::clone(&api) as _, &crate::testing::config("").0.wechat));
        let uploads = Uploads::new(store.clone(), wechat, 1_000);
        let folder = tempfile::tempdir().unwrap();
        Self { store, api, uploads, folder }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    }

    async fn media_id(&self, appid: &str, file: &Path) -> String {
        self.uploaded(appid, file).await.unwrap().media_id
    }

    async fn uploaded(&self, appid: &str, file: &Path) -> Result<Uploaded, Failure> {
        let digest = self.uploads.digest(file).await?;
        self.uploads.media_id(appid, file, digest, &SecretString::from("T1")).await
    }

    fn uploads(&self) -> usize {
        self.api.calls(UPLOAD).len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_uploaded_once_per_account_and_content() {
    let bench = Bench::new();
    let (one, copy) = (bench.file("one.png", PNG), bench.file("copy.png", PNG));
    let all = (0..50).map(|n| bench.media_id("wx1", if n % 2 == 0 { &one } else { &copy }));
    assert!(join_all(all).await.iter().all(|media_id| media_id == "M1"));
    assert_eq!(bench.uploads(), 1);
    assert_eq!(bench.media_id("wx2", &one).await, "M2");
    assert_eq!(bench.uploads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_another_picture() {
    let bench = Bench::new();
    let file = bench.file("a.png", PNG);
    assert_eq!(bench.media_id("wx1", &file).await, "M1");
    bench.file("a.png", &[PNG, b"more"].concat());
    assert_eq!(bench.media_id("wx1", &file).await, "M2");
}

#[tokio::test(start_paused = true)]
async fn a_media_id_is_used_for_two_and_a_half_days() {
    let bench = Bench::new();
    let file = bench.file("a.png", PNG);
    assert_eq!(bench.media_id("wx1", &file).await, "M1");
    tokio::time::advance(seconds(60 * 3_600 - 60)).await;
    assert_eq!(bench.media_id("wx1", &file).await, "M1");
    tokio::time::advance(seconds(120)).await;
    assert_eq!(bench.media_id("wx1", &file).await, "M2");
}

#[tokio::test(start_paused = true)]
async fn fifty_refusals_of_one_media_id_make_one_upload() {
    let bench = Bench::new();
    let file = bench.file("a.png", PNG);
    let refused = bench.uploaded("wx1", &file).await.unwrap();
    let all = (0..50).map(|_| async {
        bench.uploads.forget("wx1", &refused).await;
        bench.media_id("wx1", &file).await
    });
    assert!(join_all(all).await.iter().all(|media_id| media_id == "M2"));
    assert_eq!(bench.uploads(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_wechat_would_refuse_is_not_uploaded() {
    let bench = Bench::new();
    let large = bench.file("large.png", &[PNG, &[0; 1_000]].concat());
    let other = bench.file("other.png", b"<svg/>");
    let fifo = bench.folder.path().join("fifo.png");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for file in [large, other, fifo, bench.folder.path().join("none.png")] {
        let failure = bench.uploaded("wx1", &file).await.unwrap_err();
        assert!(matches!(failure, Failure::File(_)), "{failure:?}");
    }
    assert_eq!(bench.uploads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_useless_answer_passes_and_is_not_kept() {
    let bench = Bench::new();
    let file = bench.file("a.png", PNG);
    bench.api.answer(UPLOAD, 200, r#"{"type":"image"}"#);
    let failure = bench.uploaded("wx1", &file).await.unwrap_err();
    assert!(matches!(failure, Failure::Passing(_)), "{failure:?}");
    assert_eq!(bench.media_id("wx1", &file).await, "M1");
}

#[tokio::test(start_paused = true)]
async fn the_store_is_needed() {
    let bench = Bench::new();
    let file = bench.file("a.png", PNG);
    bench.store.set_down(true);
    assert!(matches!(bench.uploaded("wx1", &file).await, Err(Failure::Store(_))));
}

#[tokio::test]
async fn ever_new_pictures_leave_no_more_behind_than_a_bound() {
    let bench = Bench::new();
    bench.api.set_latency(Duration::ZERO);
    for n in 0..MOST_DIGESTS + 10 {
        let file = bench.file(&format!("{n}.png"), &[PNG, n.to_string().as_bytes()].concat());
        bench.media_id("wx1", &file).await;
    }
    assert_eq!(bench.uploads(), MOST_DIGESTS + 10);
    let (digests, flights) = (bench.uploads.digests.lock().len(), bench.uploads.flights.lock().len());
    assert!(digests <= MOST_DIGESTS && flights <= MANY_FLIGHTS, "{digests} digests, {flights} flights");
    let first = bench.folder.path().join("0.png");
    assert_eq!(
        bench.media_id("wx1", &first).await,
        "M1",
        "one that is forgotten is read again, and not uploaded again"
    );
}
