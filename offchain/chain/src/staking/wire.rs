//! Staking's calls and events between our types and the chain's.

use super::{BondKind, Charge, StakingCall, StakingEvent};
use crate::{
    Result,
    codegen::blyan::{
        self, runtime_types::pallet_blyan_staking::types, runtime_types::sp_arithmetic::per_things::Percent, staking,
    },
    config::BlyanConfig,
    decode::fields,
    encode::{Encoded, checked},
    runtime::Runtime,
};
use codec::Encode;
use subxt::{events::Event as Raw, utils::Static};

const PALLET: &str = "Staking";

/// Encodes a call.
pub(crate) fn encode(runtime: &Runtime, call: StakingCall) -> Result<Encoded> {
    let tx = blyan::tx();
    let staking = tx.staking();
    match call {
        StakingCall::Validate { commission, bond } => {
            checked(runtime, PALLET, "validate", staking.validate(Static(commission), bond))
        },
        StakingCall::BondMore { amount } => checked(runtime, PALLET, "bond_more", staking.bond_more(amount)),
        StakingCall::Unbond { amount } => checked(runtime, PALLET, "unbond", staking.unbond(amount)),
        StakingCall::SetCommission { commission } => {
            checked(runtime, PALLET, "set_commission", staking.set_commission(Static(commission)))
        },
        StakingCall::Chill => checked(runtime, PALLET, "chill", staking.chill()),
        StakingCall::Activate => checked(runtime, PALLET, "activate", staking.activate()),
        StakingCall::Leave => checked(runtime, PALLET, "leave", staking.leave()),
        StakingCall::Delegate { validator, amount, auto_compound } => {
            checked(runtime, PALLET, "delegate", staking.delegate(validator, amount, Percent(auto_compound)))
        },
        StakingCall::DelegateMore { validator, amount } => {
            checked(runtime, PALLET, "delegate_more", staking.delegate_more(validator, amount))
        },
        StakingCall::Undelegate { validator, amount } => {
            checked(runtime, PALLET, "undelegate", staking.undelegate(validator, amount))
        },
        StakingCall::Redelegate { from, to, amount } => {
            checked(runtime, PALLET, "redelegate", staking.redelegate(from, to, amount))
        },
        StakingCall::SetAutoCompound { validator, share } => {
            checked(runtime, PALLET, "set_auto_compound", staking.set_auto_compound(validator, Percent(share)))
        },
        StakingCall::BondWorker { amount } => checked(runtime, PALLET, "bond_worker", staking.bond_worker(amount)),
        StakingCall::UnbondWorker { amount } => {
            checked(runtime, PALLET, "unbond_worker", staking.unbond_worker(amount))
        },
        StakingCall::Withdraw { kind } => {
            let kind = match kind {
                BondKind::Validator => types::BondKind::Validator,
                BondKind::Delegation => types::BondKind::Delegation,
                BondKind::Worker => types::BondKind::Worker,
            };
            checked(runtime, PALLET, "withdraw", staking.withdraw(kind))
        },
        StakingCall::CancelSlash { slash } => checked(runtime, PALLET, "cancel_slash", staking.cancel_slash(slash)),
        // Which keys there are is the runtime's business: it has encoded them itself, for the node that made them.
        StakingCall::SetKeys { mut keys, proof } => {
            proof.encode_to(&mut keys);
            Ok(Encoded::raw("Session", "set_keys", keys))
        },
        StakingCall::PurgeKeys => Ok(Encoded::raw("Session", "purge_keys", Vec::new())),
    }
}

/// Decodes an event of the pallet; `None` for those that nothing is done with.
pub(crate) fn event(event: &Raw<'_, BlyanConfig>) -> Result<Option<StakingEvent>> {
    Ok(Some(match event.event_name() {
        "CandidateJoined" => {
            let staking::events::CandidateJoined { validator, bond, commission } = fields(event)?;
            StakingEvent::CandidateJoined { validator, bond, commission: commission.0 }
        },
        "Bonded" => {
            let staking::events::Bonded { kind, who, amount } = fields(event)?;
            StakingEvent::Bonded { kind: bond_kind(kind), who, amount }
        },
        "Unbonded" => {
            let staking::events::Unbonded { kind, who, amount, due } = fields(event)?;
            StakingEvent::Unbonded { kind: bond_kind(kind), who, amount, due }
        },
        "Withdrawn" => {
            let staking::events::Withdrawn { kind, who, amount } = fields(event)?;
            StakingEvent::Withdrawn { kind: bond_kind(kind), who, amount }
        },
        "CommissionSet" => {
            let staking::events::CommissionSet { validator, commission } = fields(event)?;
            StakingEvent::CommissionSet { validator, commission: commission.0 }
        },
        "Chilled" => {
            let staking::events::Chilled { validator } = fields(event)?;
            StakingEvent::Chilled { validator }
        },
        "Activated" => {
            let staking::events::Activated { validator } = fields(event)?;
            StakingEvent::Activated { validator }
        },
        "CandidateLeft" => {
            let staking::events::CandidateLeft { validator } = fields(event)?;
            StakingEvent::CandidateLeft { validator }
        },
        "CandidateReplaced" => {
            let staking::events::CandidateReplaced { validator, by } = fields(event)?;
            StakingEvent::CandidateReplaced { validator, by }
        },
        "Delegated" => {
            let staking::events::Delegated { delegator, validator, amount } = fields(event)?;
            StakingEvent::Delegated { delegator, validator, amount }
        },
        "Undelegated" => {
            let staking::events::Undelegated { delegator, validator, amount, due } = fields(event)?;
            StakingEvent::Undelegated { delegator, validator, amount, due }
        },
        "Redelegated" => {
            let staking::events::Redelegated { delegator, from, to, amount } = fields(event)?;
            StakingEvent::Redelegated { delegator, from, to, amount }
        },
        "AutoCompoundSet" => {
            let staking::events::AutoCompoundSet { delegator, validator, share } = fields(event)?;
            StakingEvent::AutoCompoundSet { delegator, validator, share: share.0 }
        },
        "Rewarded" => {
            let staking::events::Rewarded { era, validator, who, amount } = fields(event)?;
            StakingEvent::Rewarded { era, validator, who, amount }
        },
        "SlashAnnounced" => {
            let staking::events::SlashAnnounced { slash, who, charge: what, apply_at } = fields(event)?;
            StakingEvent::SlashAnnounced { slash, who, charge: charge(what), apply_at }
        },
        "SlashCancelled" => {
            let staking::events::SlashCancelled { slash } = fields(event)?;
            StakingEvent::SlashCancelled { slash }
        },
        "Slashed" => {
            let staking::events::Slashed { slash, kind, who, amount } = fields(event)?;
            StakingEvent::Slashed { slash, kind: bond_kind(kind), who, amount }
        },
        _ => return Ok(None),
    }))
}

fn bond_kind(kind: types::BondKind) -> BondKind {
    match kind {
        types::BondKind::Validator => BondKind::Validator,
        types::BondKind::Delegation => BondKind::Delegation,
        types::BondKind::Worker => BondKind::Worker,
    }
}

pub(super) fn charge(charge: types::Charge) -> Charge {
    match charge {
        types::Charge::Validator { era, fraction } => Charge::Validator { era, fraction: fraction.0 },
        types::Charge::Worker { amount } => Charge::Worker { amount },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Call, ChainError, encode::call_bytes, runtime::tests::built_in};
    use blyan_primitives::pact::Ppm;
    use codec::Compact;

    #[test]
    fn every_call_is_one_of_the_runtimes() {
        let (validator, amount) = (AccountId::from([9; 32]), 10u128.pow(21));
        let calls = [
            StakingCall::Validate { commission: Ppm(50_000), bond: amount },
            StakingCall::BondMore { amount },
            StakingCall::Unbond { amount },
            StakingCall::SetCommission { commission: Ppm(0) },
            StakingCall::Chill,
            StakingCall::Activate,
            StakingCall::Leave,
            StakingCall::DelegateMore { validator, amount },
            StakingCall::Undelegate { validator, amount },
            StakingCall::Redelegate { from: validator, to: AccountId::from([8; 32]), amount },
            StakingCall::SetAutoCompound { validator, share: 50 },
            StakingCall::BondWorker { amount },
            StakingCall::UnbondWorker { amount },
            StakingCall::Withdraw { kind: BondKind::Worker },
            StakingCall::CancelSlash { slash: 7 },
        ];
        for call in calls {
            let encoded = call_bytes(&built_in(), &call.clone().into());
            assert!(encoded.is_ok(), "{call:?}: {encoded:?}");
        }
    }

    #[test]
    fn a_delegation_is_encoded_as_the_chain_reads_it() {
        let (validator, amount) = (AccountId::from([9; 32]), 10u128.pow(21));
        let call = StakingCall::Delegate { validator, amount, auto_compound: 100 };
        let bytes = call_bytes(&built_in(), &call.into()).unwrap();
        let arguments = (validator, Compact(amount), 100u8).encode();
        assert_eq!(bytes.get(2..), Some(&*arguments));
    }

    #[test]
    fn shares_of_more_than_the_whole_are_refused_before_they_are_written() {
        let refused = |call: StakingCall| matches!(Call::from(call).check(), Err(ChainError::BadArgument { .. }));
        let validator = AccountId::from([9; 32]);
        assert!(refused(StakingCall::Validate { commission: Ppm(1_000_001), bond: 1 }));
        assert!(refused(StakingCall::SetCommission { commission: Ppm(u32::MAX) }));
        assert!(refused(StakingCall::Delegate { validator, amount: 1, auto_compound: 101 }));
        assert!(refused(StakingCall::SetAutoCompound { validator, share: 255 }));
        assert!(!refused(StakingCall::SetAutoCompound { validator, share: 100 }));
    }
}
