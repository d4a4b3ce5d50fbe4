//! The OpenAPI document and the answers fit together: schemathesis finds nothing.

use std::process::Stdio;

use kefu_harness::schemathesis;
use tokio::process::Command;

use super::*;

/// What schemathesis is told of kefu: whose messages, how to be let in, and which refusals of a well-formed message are
/// right, since no schema says which pictures there are, how many bytes a text has or which keys were used.
fn settings(appid: &str) -> String {
    format!(
        r#"
base-url = "${{KEFU_URL}}"
continue-on-failure = true
headers = {{ Authorization = "Bearer ${{KEFU_KEY}}" }}

[parameters]
"path.appid" = "{appid}"

[checks]
positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]
"#
    )
}

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let (shop, caller) = start(Backend::Embedded).await;
    let folder = kefu_harness::folder::Folder::new("schemathesis");
    let config = folder.write("schemathesis.toml", settings(shop.appid()));
    let mut command = Command::new(schemathesis::program());
    command.arg("--config-file").arg(&config).args(["run", &format!("{}/v1/openapi.json", caller.url)]);
    command.args(["--checks", "all", "--max-examples", "40", "--seed", "1", "--workers", "1", "--no-color"]);
    command.args(["--generation-database", "none", "--warnings", "off", "--request-timeout", "10"]);
    command.env("KEFU_URL", &caller.url).env("KEFU_KEY", KEY).env("NO_PROXY", "127.0.0.1");
    command.current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(300), command.output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Both operations with a key were asked, and some was accepted. schemathesis leaves the third out of its count, from
    // which it has read the document.
    assert!(said.contains("Selected: 2/2") && said.contains("Tested: 2"), "{said}");
    let metrics = shop.stack.programs[0].ask("/metrics").await.1;
    for accepted in ["send_message", "get_message", "get_document"] {
        let line = format!("kefu_ingress_api_answers_total{{operation=\"{accepted}\",outcome=\"ok\"}}");
        assert!(metrics.contains(&line), "nothing of {accepted} was accepted:\n{metrics}");
    }
}
