//! Addresses that a webhook must not lead to: otherwise an author of rules, or of a redirect, could read the secrets of the
//! machine that kefu runs on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Name, Resolve, Resolving};

/// The addresses where clouds give a machine its secrets, besides the link-local 169.254.169.254 of most clouds. Alibaba,
/// Azure, Oracle; Google, Scaleway.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

/// AWS's services for machines, fd00:ec2::254 for metadata and others beside it: fd00:ec2::/32.
const AWS: [u16; 2] = [0xfd00, 0xec2];

/// Whether an address is link-local, an address of cloud metadata, or "this network" (0.0.0.0/8, ::), also as an IPv4
/// address within an IPv6 address. Loopback and private networks are allowed: the service usually is there.
pub fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || METADATA.contains(&v4.into()),
        IpAddr::V6(v6) if v6.is_loopback() => false,
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || METADATA.contains(&v6.into())
                || v6.segments().starts_with(&AWS)
                || embedded(v6).iter().any(|v4| is_forbidden((*v4).into()))
        }
    }
}

/// The IPv4 addresses that a gateway may read in an IPv6 address: IPv4-compatible, IPv4-translated (SIIT), NAT64 and 6to4.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [a, b, c, d, e, f, ..] = address.segments();
    let bytes = address.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| bytes[place]));
    const LAST: [usize; 4] = [12, 13, 14, 15];
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => vec![at(LAST)],
        // RFC 8215: the owner of the gateway chooses the length of the prefix, and with it the place of the address (RFC
        // 6052). All places but one contain pieces of other things, often zeros.
        [0x64, 0xff9b, 1, ..] => {
            let places = [LAST, [6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12]];
            places.map(at).into_iter().filter(|v4| v4.octets()[0] != 0).collect()
        }
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        _ => Vec::new(),
    }
}

/// Whether a URL's host is a forbidden address, in any notation: the parser has converted the host to the usual notation.
pub fn is_forbidden_literal(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse().is_ok_and(is_forbidden)
}

/// A name that leads only to forbidden addresses.
#[derive(Debug)]
pub(super) struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORBIDDEN)
    }
}

impl std::error::Error for Forbidden {}

/// The error text for such an address.
pub const FORBIDDEN: &str = "its address is link-local or one of cloud metadata; if it is meant, set \
    [webhook] allow_link_local = true";

/// How names become addresses.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's way.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
}

/// Resolves names and leaves the forbidden addresses out, so that the checked address is the one that is connected to.
pub(super) struct Resolver {
    pub(super) lookup: Lookup,
    pub(super) allow_link_local: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allow_link_local) = ((self.lookup)(name.as_str().to_owned()), self.allow_link_local);
        Box::pin(async move {
            let found = found.await?;
            let any = !found.is_empty();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| allow_link_local || !is_forbidden(address.ip())).collect();
            if any && allowed.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(allowed.into_iter()) as _)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_forbidden_in_every_notation() {
        for host in [
            "169.254.169.254",
            "169.254.0.1",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "169.254.43518",
            "0",
            "0.1.2.3",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[fe80::1]",
            "[febf::1]",
            "[::]",
            "[::ffff:169.254.169.254]",
            "[::ffff:100.100.100.200]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[::ffff:0:169.254.169.254]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[64:ff9b:1:a9fe:a9:fe00::]",
            "[64:ff9b:1:a9:fe:a9fe::]",
            "[64:ff9b:1:0:a9:fea9:fe00::]",
            "[fd00:ec2::254]",
            "[fd00:ec2::253]",
            "[fd00:ec2:1::1]",
            "[fd20:ce::254]",
            "[fd00:42::42]",
        ] {
            assert!(is_forbidden_literal(&Url::parse(&format!("http://{host}/")).unwrap()), "{host}");
        }
    }

    #[test]
    fn loopback_private_and_public_addresses_and_names_are_not() {
        for host in [
            "127.0.0.1",
            "[::1]",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.193",
            "100.100.100.201",
            "[fd00::1]",
            "[fec0::1]",
            "[2001:db8::1]",
            "[2002:a00:1::1]",
            "[fd00:ec3::254]",
            "[fd00:42::43]",
            "[::ffff:0:10.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1:1::10.0.0.1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "shop.example",
            "169.254.169.254.example",
        ] {
            assert!(!is_forbidden_literal(&Url::parse(&format!("http://{host}/")).unwrap()), "{host}");
        }
    }

    #[tokio::test]
    async fn of_a_names_addresses_only_the_allowed_ones_are_left() {
        let resolve = async |addresses: [&str; 2], allow_link_local| {
            let found = addresses.map(|address| SocketAddr::new(address.parse().unwrap(), 0)).to_vec();
            let lookup: Lookup = Arc::new(move |_| std::future::ready(Ok(found.clone())).boxed());
            let resolved = Resolver { lookup, allow_link_local }.resolve("x.example".parse().unwrap()).await;
            resolved.map(|addresses| addresses.map(|address| address.ip().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(resolve(["169.254.169.254", "10.0.0.1"], false).await.unwrap(), ["10.0.0.1"]);
        let error = resolve(["169.254.169.254", "fe80::1"], false).await.unwrap_err();
        assert!(error.is::<Forbidden>());
        assert_eq!(resolve(["169.254.1.1", "fe80::1"], true).await.unwrap(), ["169.254.1.1", "fe80::1"]);
    }
}
