//! The program `kefu-ingress`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kefu_ingress::{Api, Ingress, Parts};
use kefu_shared::config::Config;
use kefu_shared::lifecycle;
use kefu_shared::program::{self, Frame};

/// Takes WeChat's pushes in: verified, decrypted, claimed, published, answered.
#[derive(Parser)]
#[command(name = "kefu-ingress", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "KEFU_CONFIG", default_value = "kefu.toml")]
    config: PathBuf,
}

fn main() -> std::io::Result<ExitCode> {
    lifecycle::block_on(ingress())
}

async fn ingress() -> ExitCode {
    let arguments = Arguments::parse();
    let (api, internal) = (Api::default(), |config: &Config| config.ingress.internal_listen);
    let routes = api.routes();
    program::run("kefu-ingress", &arguments.config, internal, routes, async |frame| run(frame, api).await).await
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
