//! schemathesis, which compares a server with its OpenAPI document.

use std::path::PathBuf;

use crate::target;

/// Its program: the one that `KEFU_TEST_SCHEMATHESIS` names, else the one that `tests/run` puts below the target folder.
///
/// # Panics
/// When there is none.
pub fn program() -> PathBuf {
    let named = std::env::var_os("KEFU_TEST_SCHEMATHESIS").map(PathBuf::from);
    let program = named.unwrap_or_else(|| target::target_folder().join("servers/schemathesis/bin/schemathesis"));
    assert!(
        program.is_file(),
        "there is no {}: `tests/run` puts it there; or install it yourself, \
         `pip install -r tests/harness/schemathesis/requirements.txt`, and name the program in KEFU_TEST_SCHEMATHESIS",
        program.display()
    );
    program
}
