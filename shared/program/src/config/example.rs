//! What kefu.example.toml shows in place of values of one's own. Everybody knows these values, so none of them is taken.

/// The beginning of texts that stand where a secret belongs.
const PLACEHOLDER: &str = "put the ";

/// Where the secrets of the example look like real ones, these.
pub(super) const SECRETS: [&str; 4] = [
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "the Token before",
    "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba",
    "sk-YOUR-KEY",
];

/// The appid of the example.
pub(super) const APPID: &str = "wx0123456789abcdef";

/// What is wrong with a value that the example shows.
pub(super) const PROBLEM: &str = "is still the text of kefu.example.toml: put your own there";

/// Whether the example shows this secret, Token or key.
pub(super) fn shows(secret: &str) -> bool {
    secret.starts_with(PLACEHOLDER) || SECRETS.contains(&secret)
}
