//! `POST /internal/dead-letters`: an [`Order`] as JSON, answered with its [`Report`](kefu_queue::dead_letters::Report).
//!
//! The command `kefu dead` uses this resource while another process has the database file open. A process that offers no
//! dead letters has no such resource. Only a reader of the data folder can use the resource, because the folder has the
//! key, in an [`Access`].

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kefu_queue::dead_letters::{DeadLetters, Order};
use parking_lot::RwLock;

use super::bearer;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The path of the resource.
pub const PATH: &str = "/internal/dead-letters";

/// The file in the data folder that contains an [`Access`].
pub const ACCESS_FILE: &str = "serve.json";

/// The resource of a process. Clones are the same resource. A new resource does not exist (404) until dead letters are
/// offered.
#[derive(Clone, Default)]
pub struct Resource(Arc<RwLock<Option<Offer>>>);

#[derive(Clone)]
struct Offer {
    letters: Arc<dyn DeadLetters>,
    key: Arc<str>,
}

/// How to reach the resource of a running process.
#[derive(Clone, Serialize, Deserialize)]
pub struct Access {
    /// The address of the internal server.
    pub address: SocketAddr,
    /// The key for the header `authorization: Bearer KEY`; new at each start.
    pub key: String,
}

/// Dropping this value ends the offer and removes the file.
#[must_use]
pub struct Offered {
    resource: Resource,
    file: PathBuf,
}

impl Resource {
    /// Offers `letters` on the internal server at `address`, and puts the key into the data folder.
    ///
    /// # Errors
    /// When the file with the key cannot be written.
    pub fn offer(&self, letters: Arc<dyn DeadLetters>, address: SocketAddr, folder: &Path) -> io::Result<Offered> {
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        let access = Access { address: reachable(address), key: hex::encode(key) };
        let offer = Offer { letters, key: access.key.as_str().into() };
        *self.0.write() = Some(offer);
        // Created first, so that a failure ends the offer.
        let offered = Offered { resource: self.clone(), file: folder.join(ACCESS_FILE) };
        access.write(&offered.file)?;
        Ok(offered)
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        // Removed first, while no other process can open the database and write its own file. A file that stays leads
        // nowhere; the next start writes its own.
        fs::remove_file(&self.file).ok();
        *self.resource.0.write() = None;
    }
}

impl Access {
    /// Reads the access that a running process has put into the data folder.
    ///
    /// # Errors
    /// `NotFound` if no process offers its dead letters; other errors if the file cannot be read or is not kefu's.
    pub fn read(folder: &Path) -> io::Result<Self> {
        serde_json::from_slice(&fs::read(folder.join(ACCESS_FILE))?).map_err(io::Error::other)
    }

    /// Written as a whole or not at all, and readable for the owner alone.
    fn write(&self, file: &Path) -> io::Result<()> {
        let draft = file.with_extension("new");
        fs::remove_file(&draft).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        options.mode(0o600).open(&draft)?.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(&draft, file)
    }
}

/// The reachable address of a server: a server on all addresses is reached on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

pub(super) async fn post(resource: web::Data<Resource>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some(offer) = resource.0.read().clone() else { return HttpResponse::NotFound().finish() };
    if !bearer::is_given(&request, [&*offer.key]) {
        return HttpResponse::Unauthorized().json(json!({ "error": "the key is not that of this process" }));
    }
    if request.content_type() != "application/json" {
        return HttpResponse::UnsupportedMediaType().json(json!({ "error": "send application/json" }));
    }
    match serde_json::from_slice::<Order>(&body) {
        Ok(order) => HttpResponse::Ok().json(order.carry_out(&*offer.letters).await),
        Err(error) => HttpResponse::BadRequest().json(json!({ "error": format!("not an order: {error}") })),
    }
}
