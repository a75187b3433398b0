use super::{preset, try_state};
use blyan_primitives::genesis::GenesisModel;
use blyan_runtime::{
    constants::currency::{BLY, EXISTENTIAL_DEPOSIT, MAX_ISSUANCE},
    genesis::{self, ENDOWMENT, PRESETS, VALIDATOR_BOND},
    Balances, Economy, Experts, Meta, Runtime, Session, Staking,
};
use frame_support::{
    assert_ok,
    traits::fungible::{Inspect, Mutate},
};
use polkadot_sdk::*;
use sp_genesis_builder::PresetId;
use sp_keyring::Sr25519Keyring;

fn model(id: &str) -> GenesisModel {
    serde_json::from_str(genesis::model_json(id).unwrap()).unwrap()
}

#[test]
fn every_preset_builds_a_sound_state() {
    for id in PRESETS {
        preset(id).execute_with(|| {
            try_state();
            let validators = Session::validators();
            let expected = if id.contains("local") { 4 } else { 1 };
            assert_eq!(validators.len(), expected, "{id}");
            assert!(validators.contains(&Sr25519Keyring::Alice.to_account_id()), "{id}");
            // Only development chains have somebody who can do what a referendum can.
            let sudo = (expected == 1).then(|| Sr25519Keyring::Alice.to_account_id());
            assert_eq!(pallet_sudo::Key::<Runtime>::get(), sudo, "{id}");
            for who in Sr25519Keyring::iter().map(|who| who.to_account_id()) {
                let bonded = if validators.contains(&who) { VALIDATOR_BOND } else { 0 };
                assert_eq!(Balances::free_balance(&who), ENDOWMENT - bonded);
                assert_eq!(Balances::total_balance(&who), ENDOWMENT);
            }
        });
    }
}

#[test]
fn genesis_validators_answer_and_are_paid_from_the_first_era() {
    for id in PRESETS {
        preset(id).execute_with(|| {
            for who in Session::validators() {
                for era in [0, 1] {
                    let exposure = Staking::exposure(era, who.clone()).unwrap();
                    assert_eq!((exposure.own, exposure.total), (VALIDATOR_BOND, VALIDATOR_BOND), "era {era} of {id}");
                }
            }
        });
    }
}

#[test]
fn no_preset_issues_more_than_the_cap() {
    assert_eq!(MAX_ISSUANCE, 1_000_000_000 * BLY);
    for id in PRESETS {
        preset(id).execute_with(|| {
            let issued = Balances::total_issuance();
            assert!(issued > 0 && issued <= MAX_ISSUANCE, "{id} issues {issued}");
        });
    }
}

#[test]
fn every_preset_opens_the_treasury() {
    for id in PRESETS {
        preset(id).execute_with(|| {
            let treasury = Economy::treasury_account();
            assert_eq!(Balances::free_balance(&treasury), EXISTENTIAL_DEPOSIT, "{id}");
            // It can be given the least share of a fee.
            assert_ok!(<Balances as Mutate<_>>::mint_into(&treasury, 1));
        });
    }
}

#[test]
fn every_preset_starts_with_its_model() {
    for id in PRESETS {
        let model = model(id);
        model.check().unwrap();
        preset(id).execute_with(|| {
            let spec = model.spec.id();
            let active = Meta::active();
            assert_eq!(active.len(), 1, "{id}");
            assert_eq!((active[0].0, &active[0].1.spec), (spec, &model.spec));
            for (layer, heads) in (0..).zip(&model.heads) {
                let on_chain: Vec<_> =
                    Experts::heads_of_layer(spec, layer).into_iter().map(|head| head.unwrap().block).collect();
                assert_eq!(&on_chain, heads, "layer {layer} of {id}");
            }
            for (hash, record) in &model.blocks {
                assert_eq!(&Experts::block(*hash).unwrap().record, record, "block {hash} of {id}");
            }
        });
    }
}

#[test]
fn unknown_presets_are_not_there() {
    assert!(genesis::preset(&PresetId::from("mainnet")).is_none());
}

#[test]
fn genesis_validators_have_proofs_of_their_keys() {
    use frame_support::traits::KeyOwnerProofSystem;
    preset("tiny_local").execute_with(|| {
        // The session of the first block is planned at genesis, and its keys are proved against its root.
        let key: sp_consensus_babe::AuthorityId = Sr25519Keyring::Bob.public().into();
        let proof = blyan_runtime::Historical::prove((sp_consensus_babe::KEY_TYPE, key.clone())).unwrap();
        let (owner, ()) = blyan_runtime::Historical::check_proof((sp_consensus_babe::KEY_TYPE, key), proof).unwrap();
        assert_eq!(owner, Sr25519Keyring::Bob.to_account_id());
        assert!(pallet_session::historical::HistoricalSessions::<Runtime>::contains_key(1));
    });
}
