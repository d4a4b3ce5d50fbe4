//! The paths of the API that the simulator has.

pub(super) const TOKEN: &str = "/cgi-bin/token";
pub(super) const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
pub(super) const SEND: &str = "/cgi-bin/message/custom/send";
pub(super) const MEDIA_UPLOAD: &str = "/cgi-bin/media/upload";
pub(super) const MEDIA_GET: &str = "/cgi-bin/media/get";
pub(super) const CALLBACK_CHECK: &str = "/cgi-bin/callback/check";

/// The simulated paths, and their methods.
pub(crate) const ROUTES: [(&str, &str); 8] = [
    (TOKEN, "GET"),
    (STABLE_TOKEN, "POST"),
    (SEND, "POST"),
    ("/cgi-bin/message/custom/business/typing", "POST"),
    ("/cgi-bin/message/custom/typing", "POST"),
    (MEDIA_UPLOAD, "POST"),
    (MEDIA_GET, "GET"),
    (CALLBACK_CHECK, "POST"),
];
