//! The query of a callback.

use actix_web::web::Query;

use crate::refusal::Refusal;

/// The query parameters that carry a signature or are covered by a signature.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SignedQuery {
    pub(crate) signature: String,
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    /// The signature of an encrypted push.
    pub(crate) msg_signature: Option<String>,
    /// The text that the check of the URL wants echoed.
    pub(crate) echostr: Option<String>,
}

impl SignedQuery {
    /// Reads a query. Ingress refuses a query with the same parameter twice, because it cannot tell which of the two
    /// was signed. Ingress ignores parameters that no signature uses.
    pub(crate) fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| Refusal::Unauthenticated("the query is malformed"))?
            .into_inner();
        let mut found: [Option<String>; 5] = Default::default();
        for (name, value) in pairs {
            let Some(index) = NAMES.iter().position(|known| *known == name) else { continue };
            if found[index].replace(value).is_some() {
                return Err(Refusal::Unauthenticated("a query parameter comes twice"));
            }
        }
        let [signature, timestamp, nonce, msg_signature, echostr] = found;
        let missing = Refusal::Unauthenticated("a query parameter is missing");
        let (Some(timestamp), Some(nonce)) = (timestamp, nonce) else { return Err(missing) };
        Ok(Self { signature: signature.unwrap_or_default(), timestamp, nonce, msg_signature, echostr })
    }
}

const NAMES: [&str; 5] = ["signature", "timestamp", "nonce", "msg_signature", "echostr"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        let query = "signature=a&timestamp=1&nonce=2&timestamp=3";
        assert!(matches!(SignedQuery::parse(query), Err(Refusal::Unauthenticated(_))));
    }

    #[test]
    fn values_are_percent_decoded_and_unknown_names_ignored() {
        let query = SignedQuery::parse("timestamp=1&nonce=a%2Bb&openid=x&openid=y&encrypt_type=aes").ok();
        let expected = SignedQuery { timestamp: "1".into(), nonce: "a+b".into(), ..SignedQuery::default() };
        assert_eq!(query, Some(expected));
    }
}
