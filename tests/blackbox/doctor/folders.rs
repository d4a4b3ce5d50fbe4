//! Folders.

use std::time::Duration;

use kefu_harness::port::PortLease;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;

use super::{Clinic, doctor};

fn nobody(scheme: &str) -> String {
    format!("{scheme}://127.0.0.1:{}", PortLease::take().port())
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_told_and_one_that_can_is_not_made() {
    let clinic = Clinic::open().await;
    let file = clinic.folder.write("file", "");
    let with = |spool: &str| {
        let section = format!("[ingress]\nspool = \"{spool}\"");
        clinic.config(&nobody("amqp"), &nobody("redis"), |text| text.replace("[ingress]", &section))
    };
    doctor(&with("file"), &[]).await.says("spool", "failed", &["is no folder", "[ingress] spool"]);
    doctor(&with("file/below"), &[]).await.says("spool", "failed", &["cannot be made: ", "is no folder"]);
    let report = doctor(&with("new/spool"), &[]).await;
    report.says("spool", "ok", &["can be written to, will be made when kefu starts"]);
    report.says("spool space", "", &["MiB are free"]);
    assert!(file.exists() && !clinic.folder.path().join("new").exists(), "it was made");
}

#[tokio::test]
async fn the_embedded_database_may_be_absent_unused_or_in_use() {
    let clinic = Clinic::open().await;
    let report = doctor(&clinic.embedded(|text| text), &[]).await;
    assert!(report.ok, "{:#?}", report.checks);
    report.says("data folder", "ok", &["will be made when kefu starts"]);
    report.says("database", "ok", &["will be made when kefu starts"]);
    assert!(!clinic.folder.path().join("data").exists(), "it was made");
    assert!(report.of("redis").is_empty() && report.of("rabbitmq").is_empty(), "{:#?}", report.checks);

    let mut shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    doctor(shop.stack.config(), &[]).await.says("database", "ok", &["is in use by a kefu that runs"]);
    let program = shop.stack.programs.remove(0);
    program.terminate();
    program.end_within(Duration::from_secs(60)).await;
    let file = shop.stack.config().with_file_name("data").join("kefu.redb");
    let before = std::fs::read(&file).unwrap();
    doctor(shop.stack.config(), &[]).await.says("database", "ok", &["no kefu has it open now"]);
    assert!(std::fs::read(&file).unwrap() == before, "the file was changed");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    doctor(shop.stack.config(), &[]).await.says("database", "failed", &["cannot be opened"]);
}
