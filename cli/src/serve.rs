//! `kefu serve` runs ingress and worker in one process.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use kefu_ingress::{Api, Ingress, Parts};
use kefu_program::config::BackendUrls;
use kefu_program::internal::dead_letters::{ACCESS_FILE, Offered};
use kefu_program::{ConfigFile, Frame};
use kefu_worker::Worker;

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
        both(frame, api, |_| {}).await
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

/// Runs ingress and worker until the shutdown, or until one of the two fails, which stops the other. The internal
/// server serves `api`; `listening` gets ingress's addresses.
pub(crate) async fn both(frame: Frame, api: Api, listening: impl FnOnce(&[SocketAddr])) -> anyhow::Result<()> {
    let Frame { config, backend, readiness, shutdown, .. } = frame;
    let publisher = backend.ingress_publisher(&config, &readiness).await?;
    let parts = Parts {
        config: config.clone(),
        stores: backend.stores.clone(),
        publisher,
        api,
        readiness: readiness.clone(),
        shutdown: shutdown.clone(),
    };
    let ingress = Ingress::bind(parts)?;
    let worker = Worker::new(config, &backend, &readiness, shutdown.clone())?;
    readiness.complete();
    listening(ingress.addresses());

    let stop_both = shutdown.drop_guard();
    let worker = tokio::spawn(async move {
        let _stop_both = stop_both;
        worker.run().await
    });
    let ingress = ingress.run().await;
    worker.await.context("the worker crashed")??;
    Ok(ingress?)
}
