//! Numbers that the whole runtime agrees on.

use crate::{Balance, BlockNumber};
use polkadot_sdk::*;

/// The currency.
pub mod currency {
    use super::Balance;

    /// Decimals of BLY.
    pub const DECIMALS: u8 = 18;
    /// One BLY, in the smallest unit.
    pub const BLY: Balance = 1_000_000_000_000_000_000;
    /// A thousandth of a BLY.
    pub const MILLI: Balance = 1_000_000_000_000_000;
    /// A millionth of a BLY.
    pub const MICRO: Balance = 1_000_000_000_000;
    /// Issuance never exceeds this: one billion BLY.
    pub const MAX_ISSUANCE: Balance = 1_000_000_000_000_000_000_000_000_000;
    /// What an account must hold to exist.
    pub const EXISTENTIAL_DEPOSIT: Balance = 10 * MILLI;

    /// Deposit for keeping `items` entries of `bytes` bytes in all in the chain's state, returned when they go.
    pub const fn deposit(items: u32, bytes: u32) -> Balance {
        let items = (items as Balance).saturating_mul(100 * MILLI);
        items.saturating_add((bytes as Balance).saturating_mul(100 * MICRO))
    }
}

/// Blocks, slots and epochs.
pub mod time {
    use super::BlockNumber;

    /// Length of a slot, in milliseconds; a slot has a block unless its author is away.
    pub const SLOT_DURATION: u64 = 3_000;
    /// Blocks a minute.
    pub const MINUTES: BlockNumber = 60_000 / SLOT_DURATION as BlockNumber;
    /// Blocks an hour.
    pub const HOURS: BlockNumber = MINUTES * 60;
    /// Blocks a day.
    pub const DAYS: BlockNumber = HOURS * 24;
    /// Most sessions for which an equivocation can be reported: those of the longest unbonding that a Pact allows, in the
    /// longest eras.
    pub const REPORTABLE_SESSIONS: u32 = 120 * 144;
    /// Of four slots one has a primary author on average; the others fall to their secondary author.
    pub const PRIMARY_PROBABILITY: (u64, u64) = (1, 4);
}

/// What a block can hold, and what a transaction pays for its part of it.
pub mod limits {
    use super::{currency::MICRO, *};
    use frame_support::weights::constants::WEIGHT_REF_TIME_PER_SECOND;
    use sp_runtime::{Perbill, Perquintill};

    /// Execution time of a block, in picoseconds.
    pub const BLOCK_REF_TIME: u64 = 2 * WEIGHT_REF_TIME_PER_SECOND;
    /// Bytes of a block.
    pub const BLOCK_LENGTH: u32 = 5 * 1024 * 1024;
    /// Share of a block that ordinary transactions can take; the rest is kept for operational ones.
    pub const NORMAL_RATIO: Perbill = Perbill::from_percent(75);
    /// Fullness of blocks at which fees neither rise nor fall.
    pub const TARGET_FULLNESS: Perquintill = Perquintill::from_percent(25);

    /// Price of a picosecond of execution, so that a second costs 4 BLY and a transfer about a thousandth.
    pub const WEIGHT_PRICE: Balance = 4_000_000;
    /// Price of a byte of a block, so that a block full of bytes costs about as much as one full of work.
    pub const BYTE_PRICE: Balance = 2 * MICRO;
    /// Priority in the pool of calls that pay nothing: heartbeats and anchors. It is the highest, which tips of a few
    /// thousandths of a BLY reach too; equals go first come, first served, so that nobody pays a worker off the network.
    ///
    /// That what pays nothing comes first does not crowd out what pays, because little of it is there at a time:
    ///
    /// - the pool holds one heartbeat of each registered worker and one anchor with this priority, the others that wait
    ///   behind it have none, and registration has a deposit;
    /// - a worker has one heartbeat a period and one anchor in [`ANCHOR_SPACING`] blocks;
    /// - a block has at most [`MAX_ANCHORS`] anchors, less than a fifth of what ordinary transactions can take of it.
    pub const FREE_CALL_PRIORITY: u64 = u64::MAX;
    /// Blocks from an anchor of a worker to its next. A worker that waits for finality between two of them does not notice.
    pub const ANCHOR_SPACING: BlockNumber = 2;
    /// Most anchors in a block: enough for five thousand workers that anchor once a minute, each up to 4096 receipts.
    pub const MAX_ANCHORS: u32 = 256;
    /// Most validators.
    pub const MAX_AUTHORITIES: u32 = 256;
}

/// Prefix of addresses: the generic Substrate one.
pub const SS58_PREFIX: u8 = 42;
