//! What the chain keeps of payment channels and anchors.

use blyan_primitives::ids::BatchRoot;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Money set aside by a payer for the answers of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Channel<AccountId, Balance, BlockNumber> {
    /// Whose money it is; signs vouchers.
    pub payer: AccountId,
    /// Who is paid; redeems vouchers.
    pub gateway: AccountId,
    /// All that was ever put in, without the deposit.
    pub escrow: Balance,
    /// All that was paid out: the highest amount of a voucher redeemed so far.
    pub redeemed: Balance,
    /// Held for the channel's place on chain, and returned with the rest.
    pub deposit: Balance,
    /// Last block in which a voucher can be redeemed, unless the payer asks for an earlier end.
    pub expires_at: BlockNumber,
    /// Last block in which a voucher can be redeemed after the payer has asked for the end.
    pub closes_at: Option<BlockNumber>,
}

impl<AccountId, Balance, BlockNumber: Copy + Ord> Channel<AccountId, Balance, BlockNumber> {
    /// Last block in which a voucher can be redeemed.
    pub fn ends_at(&self) -> BlockNumber {
        self.closes_at.map_or(self.expires_at, |closes_at| closes_at.min(self.expires_at))
    }
}

/// A batch of receipts on chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Anchor<Balance, BlockNumber> {
    /// Root of the receipts' tree.
    pub root: BatchRoot,
    /// Receipts in it.
    pub count: u32,
    /// Prompt and output tokens of all its receipts.
    pub tokens: u64,
    /// Block in which it was anchored.
    pub anchored_at: BlockNumber,
    /// Held for it until it is pruned.
    pub deposit: Balance,
}

/// What a worker has anchored so far. It stays for good, so that sequence numbers never start again: receipts name anchors by
/// them, and a number that came twice could be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Served {
    /// Sequence number of the next anchor.
    pub next: u64,
    /// Sequence number of the oldest anchor that has not been pruned; `next` when there is none.
    pub oldest: u64,
    /// Receipts in all anchors, pruned ones among them.
    pub receipts: u64,
    /// Prompt and output tokens in all anchors, pruned ones among them.
    pub tokens: u128,
    /// What is held from the worker for this entry since its first anchor.
    pub deposit: u128,
}
