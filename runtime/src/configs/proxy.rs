//! Accounts that act for others.

use crate::{constants::currency::deposit, Balance, Balances, Runtime, RuntimeCall, RuntimeEvent, System};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    parameter_types,
    traits::{ConstU32, InstanceFilter},
};
use polkadot_sdk::*;
use scale_info::TypeInfo;
use sp_runtime::traits::BlakeTwo256;

parameter_types! {
    /// One entry: 32 bytes of key, 16 of value.
    pub const ProxyDepositBase: Balance = deposit(1, 48);
    /// And an account, a kind and a delay for each proxy.
    pub const ProxyDepositFactor: Balance = deposit(0, 37);
    /// One entry, as for proxies.
    pub const AnnouncementDepositBase: Balance = deposit(1, 48);
    /// And an account, a hash and a height for each announcement.
    pub const AnnouncementDepositFactor: Balance = deposit(0, 68);
}

impl pallet_proxy::Config for Runtime {
    type AnnouncementDepositBase = AnnouncementDepositBase;
    type AnnouncementDepositFactor = AnnouncementDepositFactor;
    type BlockNumberProvider = System;
    type CallHasher = BlakeTwo256;
    type Currency = Balances;
    type MaxPending = ConstU32<32>;
    type MaxProxies = ConstU32<32>;
    type ProxyDepositBase = ProxyDepositBase;
    type ProxyDepositFactor = ProxyDepositFactor;
    type ProxyType = ProxyType;
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_proxy::weights::SubstrateWeight<Self>;
}

/// What a proxy may do for its account.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum ProxyType {
    /// Everything.
    #[default]
    #[codec(index = 0)]
    Any,
    /// Everything but moving money, becoming root, and acting for accounts that the account has a hand in.
    #[codec(index = 1)]
    NonTransfer,
    /// Running a worker: its registration, its receipts and what its answers earn, its deltas and what it finds of others'.
    #[codec(index = 2)]
    Worker,
    /// Only refusing what other proxies announced.
    #[codec(index = 3)]
    CancelProxy,
    /// Validating and delegating: bonds, delegations and session keys.
    #[codec(index = 4)]
    Staking,
    /// Proposing and voting.
    #[codec(index = 5)]
    Governance,
}

impl InstanceFilter<RuntimeCall> for ProxyType {
    fn filter(&self, call: &RuntimeCall) -> bool {
        match self {
            Self::Any => true,
            // Calls inside batches and those of derived accounts come through this filter again. Those inside multisigs and
            // further proxies do not: they are made in the name of another account, with a new origin that no filter is on,
            // and could move that one's money. So multisigs and acting as a proxy are left out.
            Self::NonTransfer => {
                matches!(
                    call,
                    RuntimeCall::System(_)
                        | RuntimeCall::Session(_)
                        | RuntimeCall::Utility(_)
                        | RuntimeCall::Preimage(_)
                        | RuntimeCall::Experts(_)
                        | RuntimeCall::Meta(_)
                ) || matches!(
                    call,
                    RuntimeCall::Proxy(call) if !matches!(
                        call,
                        pallet_proxy::Call::proxy { .. } | pallet_proxy::Call::proxy_announced { .. }
                    )
                ) || [Self::Worker, Self::Staking, Self::Governance].iter().any(|kind| kind.filter(call))
            },
            Self::Worker => matches!(
                call,
                RuntimeCall::Utility(_)
                    | RuntimeCall::Workers(_)
                    | RuntimeCall::Pol(_)
                    | RuntimeCall::Experts(
                        pallet_blyan_experts::Call::open_round { .. }
                            | pallet_blyan_experts::Call::submit_delta { .. }
                            | pallet_blyan_experts::Call::publish { .. }
                            | pallet_blyan_experts::Call::stand { .. }
                            | pallet_blyan_experts::Call::stand_down { .. }
                    )
                    | RuntimeCall::Inference(
                        pallet_blyan_inference::Call::redeem { .. }
                            | pallet_blyan_inference::Call::close { .. }
                            | pallet_blyan_inference::Call::prune { .. }
                    )
            ),
            Self::Staking => {
                matches!(call, RuntimeCall::Utility(_) | RuntimeCall::Staking(_) | RuntimeCall::Session(_))
            },
            Self::Governance => matches!(
                call,
                RuntimeCall::Utility(_) | RuntimeCall::Dao(_) | RuntimeCall::Referenda(_) | RuntimeCall::Preimage(_)
            ),
            Self::CancelProxy => matches!(call, RuntimeCall::Proxy(pallet_proxy::Call::reject_announcement { .. })),
        }
    }

    fn is_superset(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (Self::NonTransfer, Self::Worker | Self::CancelProxy | Self::Staking | Self::Governance) => true,
            (a, b) => a == b,
        }
    }
}
