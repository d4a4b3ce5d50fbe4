//! `kefu serve` runs ingress and worker in one process.

use std::process::ExitCode;

use anyhow::Context;
use kefu_ingress::Api;
use kefu_program::config::BackendUrls;
use kefu_program::internal::dead_letters::{ACCESS_FILE, Offered};
use kefu_program::{ConfigFile, Frame};

use crate::both;

/// The arguments of `kefu serve`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let internal = |config: &kefu_program::config::Config| config.ingress.internal_listen;
    let api = Api::default();
    kefu_program::run("kefu serve", &arguments.config.path, internal, api.routes(), async |frame| {
        let _offered = offer_dead_letters(&frame)?;
        both::run(frame, api, |_| {}).await
    })
    .await
}

/// Lets `kefu dead` ask this process for the dead letters: while this process holds the database file, no other process
/// can read it.
fn offer_dead_letters(frame: &Frame) -> anyhow::Result<Option<Offered>> {
    let (BackendUrls::Embedded(folder), Some(address)) = (&frame.config.backend, frame.internal.address) else {
        return Ok(None);
    };
    let letters = frame.backend.dead_letters()?;
    let offered = frame.internal.dead_letters.offer(letters, address, folder);
    Ok(Some(offered.with_context(|| format!("{} cannot be written", folder.join(ACCESS_FILE).display()))?))
}
