//! How pallets reach each other: small traits named for the need, wired in the runtime's configuration.

use crate::{
    block::BlockRecord,
    hardware::Tier,
    ids::{ContentHash, HardwareId, SlotId, SpecId},
    pact::{Network, Pact, Ppm},
    spec::Dimensions,
    trust::{Level, Refusal},
    worker::Roles,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Who knows the specifications.
pub trait SpecRegistry {
    /// The lineage that spec `id` belongs to, and its dimensions, in whatever state it is.
    fn known_spec(id: SpecId) -> Option<(SpecId, Dimensions)>;

    /// The same, while the spec is published or active: its slots can be filled.
    fn open_spec(id: SpecId) -> Option<(SpecId, Dimensions)>;

    /// The same, while the spec is active: workers serve it.
    fn live_spec(id: SpecId) -> Option<(SpecId, Dimensions)>;

    /// Whether a spec of `lineage` is published or active. The heads of a lineage without one serve nobody any more.
    fn is_open(lineage: SpecId) -> bool;

    /// The trunk and the routers that a spec names, in whatever state it is.
    fn trunk_and_router(id: SpecId) -> Option<[ContentHash; 2]>;

    /// Dimensions that an expert in `slot` must have, while a live spec of its lineage has the slot.
    fn slot_dimensions(slot: &SlotId) -> Option<Dimensions>;

    /// Whether `slot` exists in a live spec of its lineage.
    fn has_slot(slot: &SlotId) -> bool {
        Self::slot_dimensions(slot).is_some()
    }
}

/// Who knows the blocks of weights.
pub trait BlockRegistry {
    /// The record of a block.
    fn block(hash: ContentHash) -> Option<BlockRecord>;
}

/// Why a block cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseError {
    /// No block of this name is registered.
    Unknown,
    /// The block has as many uses as can be counted.
    TooMany,
}

/// Who counts the uses of blocks: a block in use cannot be unregistered.
pub trait BlockUses {
    /// Counts one more use of block `hash`.
    fn acquire(hash: ContentHash) -> Result<(), UseError>;

    /// Gives back what [`Self::acquire`] counted.
    fn release(hash: ContentHash);
}

/// Who holds the heads of slots. A head is moved by verdicts alone: there is no extrinsic that moves one.
pub trait SlotHeads {
    /// Why a head was not moved.
    type Error;

    /// The block that `slot` holds.
    fn head(slot: &SlotId) -> Option<ContentHash>;

    /// How many slots of a layer hold a block. They are filled in the order of their indices and emptied from the end, so
    /// these are the slots from 0 on.
    fn filled(lineage: SpecId, layer: u16) -> u16;

    /// Puts `block` into slot `index` of a layer of `spec`, a spec that is published or active. Fails unless the slot is the
    /// first empty one of its layer, and when `block` is not a registered serving form of an expert of the spec's shape.
    fn fill_head(spec: SpecId, layer: u16, index: u16, block: ContentHash) -> Result<(), Self::Error>;

    /// Compare and swap: puts `next` where `base` is. Fails when the slot holds another block, or when `next` is not a
    /// registered serving form of an expert of the slot's dimensions.
    fn move_head(slot: &SlotId, base: ContentHash, next: ContentHash) -> Result<(), Self::Error>;
}

/// Who knows the workers.
pub trait WorkerRegistry<AccountId> {
    /// The sr25519 key that `account`'s worker signs with, while it is registered.
    fn key(account: &AccountId) -> Option<[u8; 32]>;

    /// Roles of a registered worker, online or not.
    fn roles(account: &AccountId) -> Option<Roles>;

    /// Roles of a worker that is online.
    fn online_roles(account: &AccountId) -> Option<Roles>;

    /// Tier of a registered worker.
    fn tier(account: &AccountId) -> Option<Tier>;
}

/// Who keeps the Genesis Pact.
pub trait PactProvider {
    /// The Pact as it stands.
    fn pact() -> Pact;

    /// What is fixed with the first block.
    fn network() -> Network;
}

/// Who reacts to a change of the Pact.
pub trait OnChange {
    /// The Pact was `old`, and is `new` from now on. Called once it is stored.
    fn on_change(old: &Pact, new: &Pact);
}

impl OnChange for () {
    fn on_change(_: &Pact, _: &Pact) {}
}

/// Who has a vote: one for each machine that is bound to an account in good standing.
pub trait Members<AccountId> {
    /// The machine that `account` votes for.
    fn vote_of(account: &AccountId) -> Option<HardwareId>;

    /// Height at which the machine that `account` votes for was bound to it: who came after a question was asked can be
    /// kept from answering it.
    fn since(account: &AccountId) -> Option<u32>;

    /// How many machines there are to vote for, whether they can vote now or not: no fewer than have a vote.
    fn count() -> u32;

    /// Makes `account` a member with the machine, for benchmarks.
    #[cfg(feature = "runtime-benchmarks")]
    fn add(account: &AccountId, machine: HardwareId);
}

/// Who keeps the standing of accounts: how much each may submit, and what comes of it.
pub trait Standings<AccountId> {
    /// Counts a submission of `account`, if it may make one.
    fn submit(account: &AccountId) -> Result<(), Refusal>;

    /// A submission of `account` was accepted.
    fn succeed(account: &AccountId);

    /// A submission of `account` was refused.
    fn fail(account: &AccountId);

    /// How far `account` is trusted.
    fn level(account: &AccountId) -> Level;

    /// Submissions that `account` may still make today.
    fn quota_left(account: &AccountId) -> u32;
}

/// What work is paid from. Each pool has a share of the emission, and an account of its own for what it is given.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Pool {
    /// Block production.
    #[codec(index = 0)]
    Validation,
    /// Deltas that improve the model, and measuring them.
    #[codec(index = 1)]
    Learning,
    /// Data that helped.
    #[codec(index = 2)]
    Data,
    /// Tokens served.
    #[codec(index = 3)]
    Inference,
}

impl Pool {
    /// Every pool.
    pub const ALL: [Self; 4] = [Self::Validation, Self::Learning, Self::Data, Self::Inference];
}

/// Who pays for accepted work. The only way to new money.
pub trait Payout<AccountId, Balance> {
    /// What `pool` can pay out in the present era: what is left of its share of the emission, and what its account holds.
    fn available(pool: Pool) -> Balance;

    /// Pays `amount` to `to`, or what `pool` can still pay of it, and says how much that was. An amount that would not
    /// suffice to open `to`'s account is not paid.
    fn pay(pool: Pool, to: &AccountId, amount: Balance) -> Balance;
}

/// Who keeps what is at stake.
pub trait Stakes<AccountId, Balance> {
    /// What `account` has at stake as a worker, without what is on its way back.
    fn worker_stake(account: &AccountId) -> Balance;
}

/// Names a slash that is announced and not yet applied.
pub type SlashId = u32;

/// Who takes what is at stake.
pub trait Slash<AccountId> {
    /// Announces that `account` loses `share` of what it has at stake as a worker. It is applied when the dispute window is
    /// over, unless the DAO cancels it. `None` when nothing is at stake.
    fn slash_worker(account: &AccountId, share: Ppm) -> Option<SlashId>;
}

/// Names a poll.
pub type PollId = u32;

/// Most outcomes that a poll chooses from.
pub const MAX_OUTCOMES: u8 = 8;

/// What came of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum PollResult {
    /// Too few members have voted: nothing is decided.
    #[codec(index = 0)]
    NoQuorum,
    /// The outcome that led at the end.
    #[codec(index = 1)]
    Decided(u8),
}

/// Who asks the members.
pub trait Polls {
    /// Why nobody is asked.
    type Error;

    /// Opens a poll on `subject`, which means something to the caller alone, with outcomes `0..outcomes`. What comes of it is
    /// told through [`OnPollEnd`].
    fn open(subject: [u8; 32], outcomes: u8) -> Result<PollId, Self::Error>;
}

/// Who has something decided by polls. Both are called once for each poll that [`Polls::open`] opened, `ended` first; they
/// are not called for the second poll of an appeal, which only changes what `settled` says.
pub trait OnPollEnd {
    /// The poll has ended. Somebody can still appeal.
    fn ended(poll: PollId, subject: [u8; 32], result: PollResult);

    /// The result is final: nobody has appealed in time, or the appeal has ended.
    fn settled(poll: PollId, subject: [u8; 32], result: PollResult);
}

impl OnPollEnd for () {
    fn ended(_: PollId, _: [u8; 32], _: PollResult) {}

    fn settled(_: PollId, _: [u8; 32], _: PollResult) {}
}
