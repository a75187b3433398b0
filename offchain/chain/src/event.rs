//! What happened in a block, as far as it concerns Blyan.

use crate::{AccountId, BlockNumber, DispatchError, GovernanceEvent, LearningEvent, StakingEvent};
use blyan_primitives::{
    hardware::Tier,
    ids::{BatchRoot, ContentHash, HardwareId, SlotId, SpecId},
    payment::ChannelId,
    version::SemVer,
};
use codec::{Decode, Encode};

/// An event. Amounts are in the smallest unit of BLY.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Event {
    /// An event of a pallet that this program does nothing with.
    #[codec(index = 0)]
    Other {
        /// The pallet.
        pallet: String,
        /// The event.
        name: String,
    },
    /// BLY went from one account to another.
    #[codec(index = 1)]
    Transferred {
        /// Who had it.
        from: AccountId,
        /// Who has it.
        to: AccountId,
        /// How much.
        amount: u128,
    },
    /// A call was made with all rights.
    #[codec(index = 2)]
    Sudone {
        /// What came of it.
        result: Result<(), DispatchError>,
    },
    /// A spec is on chain.
    #[codec(index = 10)]
    SpecPublished {
        /// Its name.
        spec: SpecId,
        /// The lineage it belongs to.
        lineage: SpecId,
        /// Its version.
        version: SemVer,
    },
    /// A spec is in use, and the default from now on.
    #[codec(index = 11)]
    SpecActivated {
        /// Its name.
        spec: SpecId,
    },
    /// A spec is no longer in use.
    #[codec(index = 12)]
    SpecDeprecated {
        /// Its name.
        spec: SpecId,
    },
    /// A block of weights is on chain.
    #[codec(index = 20)]
    BlockRegistered {
        /// Its name.
        block: ContentHash,
        /// Who registered it.
        owner: AccountId,
    },
    /// A block of weights is no longer on chain.
    #[codec(index = 21)]
    BlockUnregistered {
        /// Its name.
        block: ContentHash,
        /// Who had registered it.
        owner: AccountId,
    },
    /// A slot holds another block.
    #[codec(index = 22)]
    HeadMoved {
        /// The slot.
        slot: SlotId,
        /// What it held.
        from: ContentHash,
        /// What it holds.
        to: ContentHash,
        /// How often the slot's head has moved.
        moves: u32,
    },
    /// A worker is registered.
    #[codec(index = 30)]
    WorkerRegistered {
        /// Its account.
        worker: AccountId,
        /// Its tier.
        tier: Tier,
    },
    /// What a worker says of itself has changed.
    #[codec(index = 31)]
    WorkerUpdated {
        /// Its account.
        worker: AccountId,
        /// Its tier.
        tier: Tier,
    },
    /// A worker is no longer registered.
    #[codec(index = 32)]
    WorkerLeft {
        /// Its account.
        worker: AccountId,
        /// First block in which another account can bind its machine.
        hardware_free_at: BlockNumber,
    },
    /// A machine is bound to nobody.
    #[codec(index = 33)]
    HardwareReleased {
        /// The machine.
        hardware: HardwareId,
        /// The account that it was bound to.
        owner: AccountId,
    },
    /// A worker has shown that it is there.
    #[codec(index = 34)]
    HeartbeatReceived {
        /// Its account.
        worker: AccountId,
        /// The heartbeat's period.
        period: u32,
    },
    /// A payment channel is open.
    #[codec(index = 40)]
    ChannelOpened {
        /// Its number.
        channel: ChannelId,
        /// Who pays.
        payer: AccountId,
        /// Who is paid.
        gateway: AccountId,
        /// What is in it.
        escrow: u128,
        /// Last block in which a voucher can be redeemed.
        expires_at: BlockNumber,
    },
    /// More is in a channel.
    #[codec(index = 41)]
    ChannelToppedUp {
        /// Its number.
        channel: ChannelId,
        /// All that was ever put in.
        escrow: u128,
    },
    /// A gateway was paid.
    #[codec(index = 42)]
    VoucherRedeemed {
        /// The channel's number.
        channel: ChannelId,
        /// How much was paid.
        paid: u128,
        /// How much was paid so far.
        cumulative: u128,
    },
    /// A payer has asked for a channel's end.
    #[codec(index = 43)]
    CloseRequested {
        /// The channel's number.
        channel: ChannelId,
        /// Last block in which a voucher can be redeemed.
        closes_at: BlockNumber,
    },
    /// A channel is closed.
    #[codec(index = 44)]
    ChannelClosed {
        /// Its number.
        channel: ChannelId,
        /// What was returned, without the deposit.
        returned: u128,
    },
    /// A batch of receipts is on chain.
    #[codec(index = 45)]
    Anchored {
        /// The worker's account.
        worker: AccountId,
        /// The anchor's sequence number.
        sequence: u64,
        /// Root of the receipts' tree.
        root: BatchRoot,
        /// Receipts in it.
        count: u32,
        /// Prompt and output tokens of all its receipts.
        tokens: u64,
    },
    /// Anchors have been removed, and their deposits returned.
    #[codec(index = 46)]
    AnchorsPruned {
        /// The worker's account.
        worker: AccountId,
        /// Sequence number of the oldest anchor that is left.
        oldest: u64,
    },
    /// About bonds, delegations and validators.
    #[codec(index = 50)]
    Staking(StakingEvent),
    /// About referenda, votes, polls and the Pact.
    #[codec(index = 51)]
    Governance(GovernanceEvent),
    /// About rounds and their evaluation.
    #[codec(index = 52)]
    Learning(LearningEvent),
}
