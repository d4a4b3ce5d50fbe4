//! The partition: the broker queue that a user's messages go to.

use std::fmt;
use std::str::FromStr;

use kefu_wechat::openid::OpenId;
use serde::{Deserialize, Serialize};

/// The number of a worker among the running workers, from 0 on. The seat decides the worker's share of the partitions.
pub type Seat = u16;

/// One of the N partitions. `Display` gives its routing key: `p00`, `p01`, …
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u16);

impl Partition {
    /// The partition of a user of an account, out of `count` (at least 1).
    ///
    /// The hash is FNV-1a with a final mix. It is written out here because it is part of the contract: all ingress
    /// processes, of whatever version, must put one user's messages on the same partition.
    pub fn of(appid: &str, user: &OpenId, count: u16) -> Self {
        let hash = spread(appid.bytes().chain([b'|']).chain(user.as_str().bytes()));
        Self((hash % u64::from(count.max(1))) as u16)
    }

    /// All partitions, in order.
    pub fn all(count: u16) -> impl Iterator<Item = Self> {
        (0..count).map(Self)
    }

    /// The position of the partition, from 0.
    pub fn index(self) -> u16 {
        self.0
    }
}

impl From<u16> for Partition {
    fn from(index: u16) -> Self {
        Self(index)
    }
}

/// A text that is not the name of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a partition")]
pub struct NotAPartition;

/// Reads the text that `Display` wrote.
impl FromStr for Partition {
    type Err = NotAPartition;

    fn from_str(name: &str) -> Result<Self, NotAPartition> {
        let index = name.strip_prefix('p').and_then(|index| index.parse().ok()).ok_or(NotAPartition)?;
        let partition = Self(index);
        // `p7` and `p+7` are no routing keys of kefu.
        if partition.to_string() == name { Ok(partition) } else { Err(NotAPartition) }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:02}", self.0)
    }
}

/// A hash that is the same in every process and version: FNV-1a (64 bit), then MurmurHash3's finaliser, without which
/// the low bits of similar inputs stay similar.
pub fn spread(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_user_never_changes() {
        let user = OpenId::new("o9AgO5Kd5ggOC-bXrbNODIiE3bGY");
        assert_eq!(Partition::of("wxba5fad812f8e6fb9", &user, 64).to_string(), "p18");
        assert_eq!(Partition::of("wxba5fad812f8e6fb9", &user, 1).index(), 0);
    }

    #[test]
    fn only_a_routing_key_is_the_name_of_a_partition() {
        for index in [0, 7, 63, 1_023] {
            assert_eq!(Partition(index).to_string().parse(), Ok(Partition(index)));
        }
        for name in ["", "p", "p7", "p+7", "p007", "07", "p70000", "kefu.dead"] {
            assert_eq!(name.parse::<Partition>(), Err(NotAPartition), "{name}");
        }
    }

    #[test]
    fn users_spread_evenly_over_the_partitions() {
        let mut load = [0_u32; 64];
        for n in 0..64_000 {
            load[usize::from(Partition::of("wx1", &OpenId::new(format!("oUSER{n}")), 64).index())] += 1;
        }
        assert!(load.iter().all(|&users| (850..1_150).contains(&users)), "{load:?}");
    }
}
