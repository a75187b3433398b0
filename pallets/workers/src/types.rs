//! What the registry keeps of a worker, its machine and its bond.

use blyan_primitives::{hardware::Tier, worker::WorkerInfo};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{pallet_prelude::Get, BoundedVec, CloneNoBound, DebugNoBound, EqNoBound, PartialEqNoBound};
use polkadot_sdk::*;
use scale_info::TypeInfo;

/// A registered worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct WorkerRecord<BlockNumber> {
    /// What it says of itself.
    pub info: WorkerInfo,
    /// Tier of its hardware profile.
    pub tier: Tier,
    /// Block in which it registered.
    pub registered_at: BlockNumber,
}

/// Which account a machine belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct HardwareBinding<AccountId, Balance, BlockNumber> {
    /// The account.
    pub owner: AccountId,
    /// What is held from it while the binding is on chain.
    pub deposit: Balance,
    /// Once its worker has left: the first block in which another account can bind the machine.
    pub free_at: Option<BlockNumber>,
}

/// A part of a bond on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Unbonding<Balance, BlockNumber> {
    /// How much.
    pub amount: Balance,
    /// First block in which it can be withdrawn.
    pub due: BlockNumber,
}

/// What a worker has at stake. All of it is held.
#[derive(
    CloneNoBound,
    DebugNoBound,
    PartialEqNoBound,
    EqNoBound,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    MaxEncodedLen,
)]
#[codec(mel_bound(Balance: MaxEncodedLen, BlockNumber: MaxEncodedLen))]
#[scale_info(skip_type_params(Max))]
pub struct Bond<Balance, BlockNumber, Max>
where
    Balance: Clone + core::fmt::Debug + Eq,
    BlockNumber: Clone + core::fmt::Debug + Eq,
    Max: Get<u32>,
{
    /// What counts as bonded.
    pub active: Balance,
    /// What is on its way back.
    pub unbonding: BoundedVec<Unbonding<Balance, BlockNumber>, Max>,
}

/// A worker as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct WorkerStatus<Balance, BlockNumber> {
    /// What it says of itself.
    pub info: WorkerInfo,
    /// Tier of its hardware profile.
    pub tier: Tier,
    /// Block in which it registered.
    pub registered_at: BlockNumber,
    /// Whether its last heartbeat is recent enough.
    pub online: bool,
    /// Period of its last heartbeat.
    pub last_heartbeat: Option<u32>,
    /// What it has bonded, without what is on its way back.
    pub bond: Balance,
}
