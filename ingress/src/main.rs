//! The program `kefu-ingress`.

use std::process::ExitCode;

use clap::Parser;
use kefu_ingress::{Api, Ingress, Parts};
use kefu_program::config::Config;
use kefu_program::{ConfigFile, Frame};
use kefu_runtime::lifecycle;

/// Takes WeChat's pushes in: verified, decrypted, claimed, published, answered.
#[derive(Parser)]
#[command(name = "kefu-ingress", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

fn main() -> std::io::Result<ExitCode> {
    lifecycle::block_on(ingress())
}

async fn ingress() -> ExitCode {
    let arguments = Arguments::parse();
    let (api, internal) = (Api::default(), |config: &Config| config.ingress.internal_listen);
    let routes = api.routes();
    kefu_program::run("kefu-ingress", &arguments.config.path, internal, routes, async |frame| run(frame, api).await)
        .await
}

async fn run(frame: Frame, api: Api) -> anyhow::Result<()> {
    let publisher = frame.backend.ingress_publisher(&frame.config, &frame.readiness).await?;
    let Frame { config, backend, readiness, shutdown, .. } = frame;
    let parts = Parts { config, stores: backend.stores, publisher, api, readiness: readiness.clone(), shutdown };
    let ingress = Ingress::bind(parts)?;
    readiness.complete();
    ingress.run().await?;
    Ok(())
}
