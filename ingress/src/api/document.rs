//! The OpenAPI document, generated from the code.

use std::sync::LazyLock;

use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi};

use super::routes::Operations;

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| {
    let mut document = Operations::openapi();
    document.info = InfoBuilder::new()
        .title("kefu")
        .description(Some("Sending messages to users of WeChat mini programs from a backend of one's own."))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The key of [api]")).build();
    let components = document.components.get_or_insert_with(Components::default);
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    document
});

/// The document. It stays the same for the life of the process.
pub(super) fn document() -> &'static OpenApi {
    &DOCUMENT
}
