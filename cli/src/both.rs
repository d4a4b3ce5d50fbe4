//! Ingress and worker side by side in this process.

use std::net::SocketAddr;

use anyhow::Context;
use kefu_ingress::{Api, Ingress, Parts};
use kefu_program::Frame;
use kefu_worker::Worker;

/// Runs ingress and worker until the shutdown, or until one of the two fails, which stops the other. The internal
/// server serves `api`; `listening` gets ingress's addresses.
pub(crate) async fn run(frame: Frame, api: Api, listening: impl FnOnce(&[SocketAddr])) -> anyhow::Result<()> {
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
