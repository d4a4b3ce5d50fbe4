//! Where the spool is.

use super::{Folder, GOOD};

fn folder() -> Folder {
    Folder::new(format!("{GOOD}[ingress]\nspool = \"spool\""))
}

#[test]
fn the_spool_starts_at_the_folder_of_the_file_and_an_empty_text_takes_it_away() {
    let folder = folder();
    assert_eq!(folder.load(&[]).unwrap().ingress.spool, Some(folder.path().join("spool")));
    let elsewhere = folder.load(&[("KEFU__INGRESS__SPOOL", "/var/lib/kefu/spool")]).unwrap();
    assert_eq!(elsewhere.ingress.spool, Some("/var/lib/kefu/spool".into()));
    assert_eq!(folder.load(&[("KEFU__INGRESS__SPOOL", "")]).unwrap().ingress.spool, None);
}

#[test]
fn the_embedded_queue_takes_no_spool() {
    let embedded = [("KEFU__QUEUE__URL", "embedded:data"), ("KEFU__STORE__URL", "embedded:data")];
    let problems = folder().problems(&embedded);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("[ingress] spool: "), "{problems:?}");
}
