//! What the registry keeps of a worker and its machine, and what it says of a worker.

use blyan_primitives::{hardware::Tier, trust::Standing, worker::WorkerInfo};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
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
    /// Once its worker has left: the first block in which another account can bind the machine, unless `owner` is in
    /// quarantine then.
    pub free_at: Option<BlockNumber>,
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
    /// Whether it can be given work: its last heartbeat is recent enough, and it is not in quarantine.
    pub online: bool,
    /// Period of its last heartbeat.
    pub last_heartbeat: Option<u32>,
    /// What it has at stake, without what is on its way back.
    pub bond: Balance,
    /// How far its account is trusted.
    pub standing: Standing,
}
