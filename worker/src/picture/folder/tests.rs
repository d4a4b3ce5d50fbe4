use std::sync::mpsc;
use std::time::SystemTime;

use futures_util::FutureExt;
use kefu_runtime::in_words;

use super::*;
use crate::picture::room::Rooms;
use crate::testing::{PNG, config, envelope, seconds};

fn file(room: Room) -> Arc<File> {
    Arc::new(File::new(Format::of(PNG), PNG.into(), room))
}

#[test]
fn what_hangs_keeps_its_room_until_it_ends() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(1).start_paused(true).build().unwrap().block_on(async {
        let (config, place) = config("");
        let (rooms, folder) = (Rooms::new(&config.accounts, 1_000), Folder::new(place.path().join("pictures")));
        let (end, hangs) = mpsc::channel::<()>();
        // The hanging call occupies the only thread.
        let hanging = tokio::task::spawn_blocking(move || hangs.recv());
        let envelope = envelope("wx1", "oA", "hi");
        let [one, another] = [rooms.take("wx1").await.unwrap(), rooms.take("wx1").await.unwrap()];
        let kept = folder.keep(&envelope, file(one));
        let (kept, read, ()) = tokio::join!(kept, folder.read(&envelope, another), tokio::time::advance(seconds(11)));
        assert!(in_words(&kept.unwrap_err()).contains("does not answer"));
        assert!(read.is_err_and(|error| in_words(&error).contains("does not answer")));
        assert!(rooms.take("wx1").now_or_never().is_none(), "the account has no room left");
        drop(end);
        assert!(hanging.await.is_ok());
        let _all = [rooms.take("wx1").await.unwrap(), rooms.take("wx1").await.unwrap()];
        assert!(folder.has(&envelope).await.unwrap(), "the write went on by itself");
    });
}

#[tokio::test]
async fn the_parts_of_other_writers_are_left_alone_and_stale_ones_are_removed() {
    let (config, place) = config("");
    let (rooms, folder) = (Rooms::new(&config.accounts, 1_000), Folder::new(place.path().join("pictures")));
    let envelope = envelope("wx1", "oA", "hi");
    let day = folder.day(&envelope);
    fs::create_dir_all(&day).unwrap();
    let name = envelope.key.digest();
    let (before, others, stale) = (format!(".{name}.part"), format!(".{name}.1.part"), ".digest.2.part");
    for part in [&before, &others, stale] {
        fs::write(day.join(part), "half").unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "the time of a file is the system's")]
    let hours_ago = SystemTime::now() - 2 * STALE;
    fs::File::options().write(true).open(day.join(stale)).unwrap().set_modified(hours_ago).unwrap();

    folder.keep(&envelope, file(rooms.take("wx1").await.unwrap())).await.unwrap();
    assert_eq!(fs::read(day.join(format!("{name}.png"))).unwrap(), PNG);
    for part in [&before, &others] {
        assert_eq!(fs::read(day.join(part)).unwrap(), b"half", "{part}");
    }
    assert_eq!(fs::read_dir(&day).unwrap().count(), 3, "the stale one is gone, and nothing else is left");
}
