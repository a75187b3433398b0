//! Payment channels: what a payer signs off chain.

use crate::hash::{hash, Domain};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

const VOUCHER: Domain = Domain("blyan/voucher/1");

/// Number of a payment channel, given by the chain.
pub type ChannelId = u64;

/// A promise to pay `cumulative` in all since the channel was opened; the latest replaces all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Voucher {
    /// The channel.
    pub channel: ChannelId,
    /// Everything owed so far, in the smallest unit of BLY.
    pub cumulative: u128,
}

impl Voucher {
    /// The 32 bytes to sign, bound to the chain.
    pub fn signing_hash(&self, genesis: &[u8]) -> [u8; 32] {
        hash(VOUCHER, &[genesis, &self.encode()])
    }

    /// The same message as wallets sign it: browser extensions wrap raw bytes so that a page cannot obtain a signature
    /// of a transaction.
    pub fn wrapped_signing_bytes(&self, genesis: &[u8]) -> Vec<u8> {
        let mut bytes = b"<Bytes>".to_vec();
        bytes.extend_from_slice(&self.signing_hash(genesis));
        bytes.extend_from_slice(b"</Bytes>");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voucher_is_bound_to_chain_channel_and_amount() {
        let voucher = Voucher { channel: 1, cumulative: 10 };
        let other = [
            voucher.signing_hash(&[1; 32]),
            Voucher { channel: 2, ..voucher }.signing_hash(&[0; 32]),
            Voucher { cumulative: 11, ..voucher }.signing_hash(&[0; 32]),
        ];
        assert!(other.iter().all(|hash| *hash != voucher.signing_hash(&[0; 32])));
    }
}
