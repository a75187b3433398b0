//! What a worker says of itself, and the heartbeat by which it shows that it is there.

use crate::{
    hardware::HardwareProfile,
    hash::{hash, Domain},
    ids::HardwareId,
};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

const REGISTRATION: Domain = Domain("blyan/registration/1");
const HEARTBEAT: Domain = Domain("blyan/heartbeat/1");

/// Longest peer id, in bytes.
pub const MAX_PEER_ID_LEN: u32 = 64;
/// Longest address, in bytes.
pub const MAX_ADDRESS_LEN: u32 = 128;
/// Most addresses of a worker.
pub const MAX_ADDRESSES: u32 = 8;

/// A libp2p peer id: the bytes of its multihash.
pub type PeerId = BoundedVec<u8, ConstU32<MAX_PEER_ID_LEN>>;
/// Where a worker is reached: a multiaddr (`/ip4/…`) or the URL of its HTTP API.
pub type Address = BoundedVec<u8, ConstU32<MAX_ADDRESS_LEN>>;

/// A set of roles.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Roles(pub u8);

impl Roles {
    /// Executes experts.
    pub const SERVE: Self = Self(1);
    /// Takes requests over HTTP and issues receipts.
    pub const GATEWAY: Self = Self(1 << 1);
    /// Trains deltas.
    pub const TRAIN: Self = Self(1 << 2);
    /// Sits in Proof-of-Learning committees.
    pub const EVALUATE: Self = Self(1 << 3);
    /// Audits data sets.
    pub const AUDIT: Self = Self(1 << 4);
    /// Merges deltas as a tile's primary.
    pub const AGGREGATE: Self = Self(1 << 5);
    /// Every role there is.
    pub const ALL: Self = Self((1 << 6) - 1);

    /// Roles of either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// At least one role, and none that does not exist.
    pub const fn is_valid(self) -> bool {
        self.0 != 0 && Self::ALL.contains(self)
    }
}

/// Where a machine stands: an ISO 3166-1 country in two capital letters, or an ISO 3166-2 subdivision such as `US-CA`,
/// zero-padded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Region([u8; 6]);

impl Region {
    /// `text` as a region; `None` when it has another form.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(bytes)).filter(Self::is_valid)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        self.0.get(..len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// Whether the bytes, which may come from a stranger, have the form of a region.
    pub fn is_valid(&self) -> bool {
        let (text, padding) = self.0.split_at(self.as_str().len());
        let subdivision = |code: &[u8]| {
            (1..=3).contains(&code.len()) && code.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let formed = match text {
            [a, b, rest @ ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => match rest {
                [] => true,
                [b'-', code @ ..] => subdivision(code),
                _ => false,
            },
            _ => false,
        };
        formed && padding.iter().all(|b| *b == 0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <alloc::string::String as serde::Deserialize>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("expected an ISO 3166 code such as DE or US-CA"))
    }
}

/// What a worker registers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct WorkerInfo {
    /// The sr25519 key that signs heartbeats, receipts and anchors. No two workers share one.
    pub key: [u8; 32],
    /// Identity on the workers' network.
    pub peer_id: PeerId,
    /// Where it is reached, the preferred first; none for a worker that only calls others.
    pub addresses: BoundedVec<Address, ConstU32<MAX_ADDRESSES>>,
    /// Where it stands.
    pub region: Region,
    /// What it says of its machine.
    pub hardware: HardwareProfile,
    /// Names the machine. No two accounts share one.
    pub hardware_id: HardwareId,
    /// What it does.
    pub roles: Roles,
}

/// Why what a worker says of itself was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerInfoError {
    /// The peer id is not the multihash of a libp2p identity.
    PeerId,
    /// An address is not printable ASCII, or is neither a multiaddr nor an HTTP URL.
    Address,
    /// The region is no ISO 3166 code.
    Region,
    /// No role, or one that does not exist.
    Roles,
    /// A machine has memory and at least one thread.
    Hardware,
}

impl fmt::Display for WorkerInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerId => "the peer id is not the multihash of a libp2p identity",
            Self::Address => "an address is not a multiaddr or HTTP URL in printable ASCII",
            Self::Region => "the region is not an ISO 3166 code such as DE or US-CA",
            Self::Roles => "there is no role, or one that does not exist",
            Self::Hardware => "the hardware profile has no memory or no thread",
        })
    }
}

impl core::error::Error for WorkerInfoError {}

impl WorkerInfo {
    /// Checks everything that can be checked without a chain.
    pub fn check(&self) -> Result<(), WorkerInfoError> {
        // A libp2p identity is its public key in an identity multihash (of at most 42 bytes), or the key's SHA-256.
        let peer_id = match self.peer_id.as_slice() {
            [0x00, len, key @ ..] => (1..=42).contains(len) && key.len() == usize::from(*len),
            [0x12, 32, digest @ ..] => digest.len() == 32,
            _ => false,
        };
        let reachable = |address: &Address| {
            let starts = [b"/".as_slice(), b"http://", b"https://"];
            address.iter().all(u8::is_ascii_graphic)
                && starts.iter().any(|start| address.starts_with(start) && address.len() > start.len())
        };
        if !peer_id {
            Err(WorkerInfoError::PeerId)
        } else if !self.addresses.iter().all(reachable) {
            Err(WorkerInfoError::Address)
        } else if !self.region.is_valid() {
            Err(WorkerInfoError::Region)
        } else if !self.roles.is_valid() {
            Err(WorkerInfoError::Roles)
        } else if self.hardware.ram_mib == 0 || self.hardware.cpu_threads == 0 {
            Err(WorkerInfoError::Hardware)
        } else {
            Ok(())
        }
    }

    /// The 32 bytes that `self.key` signs to say that it belongs to the worker of `account` on the chain of `genesis`.
    /// Registering and updating both need it, so that nobody can claim another's key.
    pub fn signing_hash<AccountId: Encode>(&self, genesis: &[u8], account: &AccountId) -> [u8; 32] {
        hash(REGISTRATION, &[genesis, &(account, self).encode()])
    }
}

/// What a worker's key signs to stay online.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Heartbeat<AccountId, BlockNumber> {
    /// The worker's account.
    pub worker: AccountId,
    /// The chain's heartbeat period: the number of the block that includes it, divided by the length of a period. One
    /// heartbeat a period is accepted, so none can be replayed.
    pub period: u32,
    /// Last block in which the heartbeat may be included.
    pub expires_at: BlockNumber,
}

impl<AccountId: Encode, BlockNumber: Encode> Heartbeat<AccountId, BlockNumber> {
    /// The 32 bytes to sign, bound to the chain.
    pub fn signing_hash(&self, genesis: &[u8]) -> [u8; 32] {
        hash(HEARTBEAT, &[genesis, &self.encode()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn info() -> WorkerInfo {
        let peer_id: Vec<u8> = [0x00, 36].into_iter().chain([7; 36]).collect();
        WorkerInfo {
            key: [1; 32],
            peer_id: peer_id.try_into().unwrap(),
            addresses: ["/ip4/10.0.0.1/udp/4001/quic-v1", "https://gateway.example:8443"]
                .map(|text| text.as_bytes().to_vec().try_into().unwrap())
                .to_vec()
                .try_into()
                .unwrap(),
            region: Region::new("DE-BY").unwrap(),
            hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 2, ..Default::default() },
            hardware_id: HardwareId([2; 32]),
            roles: Roles::SERVE,
        }
    }

    fn refused(change: impl FnOnce(&mut WorkerInfo)) -> WorkerInfoError {
        let mut bad = info();
        change(&mut bad);
        bad.check().unwrap_err()
    }

    #[test]
    fn unknown_and_empty_roles_are_not_valid() {
        assert!(!Roles(0).is_valid() && !Roles(1 << 6).is_valid());
        assert!(Roles::SERVE.union(Roles::GATEWAY).is_valid());
    }

    #[test]
    fn sound_information_passes() {
        assert_eq!(info().check(), Ok(()));
        let mut hashed = info();
        hashed.peer_id = [0x12, 32].into_iter().chain([7; 32]).collect::<Vec<_>>().try_into().unwrap();
        hashed.addresses = Default::default();
        assert_eq!(hashed.check(), Ok(()));
    }

    #[test]
    fn unsound_information_is_refused_by_name() {
        let address = |text: &str| Address::try_from(text.as_bytes().to_vec()).unwrap();
        assert_eq!(refused(|w| w.peer_id = Default::default()), WorkerInfoError::PeerId);
        assert_eq!(refused(|w| w.peer_id[1] = 35), WorkerInfoError::PeerId);
        assert_eq!(refused(|w| w.peer_id[0] = 0x13), WorkerInfoError::PeerId);
        for text in ["", "/", "ftp://host", "https://", "/ip4/1.2.3.4 /x", "https://exämple"] {
            assert_eq!(refused(|w| w.addresses[0] = address(text)), WorkerInfoError::Address, "{text}");
        }
        assert_eq!(refused(|w| w.region = Region([0; 6])), WorkerInfoError::Region);
        assert_eq!(refused(|w| w.roles = Roles(0)), WorkerInfoError::Roles);
        assert_eq!(refused(|w| w.hardware.cpu_threads = 0), WorkerInfoError::Hardware);
        assert_eq!(refused(|w| w.hardware.ram_mib = 0), WorkerInfoError::Hardware);
    }

    #[test]
    fn regions_are_checked() {
        for text in ["DE", "US-CA", "GB-ENG", "FR-2A"] {
            assert_eq!(Region::new(text).unwrap().as_str(), text);
        }
        for text in ["", "D", "de", "DEU", "DE-", "DE_BY", "US-CALI", "DE-b", "D1"] {
            assert_eq!(Region::new(text), None, "{text}");
        }
        assert!(!Region(*b"DE\0\0\0x").is_valid());
    }

    #[test]
    fn a_registration_is_bound_to_chain_account_and_content() {
        let hash = info().signing_hash(&[0; 32], &1u64);
        assert_ne!(hash, info().signing_hash(&[1; 32], &1u64));
        assert_ne!(hash, info().signing_hash(&[0; 32], &2u64));
        let mut other = info();
        other.roles = Roles::ALL;
        assert_ne!(hash, other.signing_hash(&[0; 32], &1u64));
    }

    #[test]
    fn a_heartbeat_is_bound_to_its_chain() {
        let heartbeat = Heartbeat { worker: [1u8; 32], period: 3, expires_at: 10u32 };
        assert_ne!(heartbeat.signing_hash(&[0; 32]), heartbeat.signing_hash(&[1; 32]));
    }
}
