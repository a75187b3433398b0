//! What there is on chain for random calls to name.

use super::{MACHINES, PEOPLE};
use crate::chain::{session_keys, worker_key};
use blyan_primitives::{ids::SpecId, spec::ModelSpec, traits::Pool, version::SemVer};
use blyan_runtime::{
    constants::time::{DAYS, HOURS},
    AccountId, Economy, Multisig, Runtime, Session, Staking, System,
};
use polkadot_sdk::*;
use sp_core::{sr25519, Pair};
use sp_keyring::Sr25519Keyring;

/// Names, numbers and values that mean something in the present state.
pub(crate) struct Known {
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) numbers: Vec<u128>,
    pub(crate) specs: Vec<ModelSpec>,
    pub(crate) preimages: Vec<([u8; 32], u32)>,
    pub(crate) block: u32,
}

/// The keys of accounts that nobody has given money, at the beginning.
pub(crate) fn strangers() -> impl Iterator<Item = sr25519::Pair> {
    (100..104).map(|n| sr25519::Pair::from_seed(&[n; 32]))
}

/// The account that Alice and Bob hold together, of which either alone disposes.
pub(crate) fn shared_account() -> AccountId {
    let mut both = [Sr25519Keyring::Alice, Sr25519Keyring::Bob].map(Sr25519Keyring::to_account_id);
    both.sort();
    Multisig::multi_account_id(&both, 1)
}

impl Known {
    /// What there is now.
    pub(crate) fn now() -> Self {
        let mut accounts: Vec<AccountId> = PEOPLE.map(Sr25519Keyring::to_account_id).into();
        accounts.extend(strangers().map(|key| AccountId::from(key.public())));
        accounts.extend(Pool::ALL.map(Economy::pool_account));
        accounts.extend([Economy::treasury_account(), Staking::pot(), shared_account()]);
        accounts.extend(Session::validators());

        let mut preimages = Vec::new();
        for (hash, status) in pallet_preimage::RequestStatusFor::<Runtime>::iter() {
            use pallet_preimage::RequestStatus::*;
            let len = match status {
                Unrequested { len, .. } => Some(len),
                Requested { maybe_len, .. } => maybe_len,
            };
            preimages.push((hash.0, len.unwrap_or(0)));
        }

        let mut hashes: Vec<[u8; 32]> = vec![[0; 32]];
        hashes.extend((0..MACHINES).map(|machine| [machine; 32]));
        hashes.extend(PEOPLE.map(|who| worker_key(who).public().0));
        hashes.extend((0..4).map(|n| session_keys(n).0.public().0));
        hashes.extend(preimages.iter().map(|(hash, _)| *hash));
        hashes.extend(pallet_blyan_experts::Blocks::<Runtime>::iter_keys().map(|hash| hash.0));
        hashes.extend(pallet_multisig::Multisigs::<Runtime>::iter_keys().map(|(_, hash)| hash));

        let mut specs = Vec::new();
        for (SpecId(id), record) in pallet_blyan_meta::Specs::<Runtime>::iter() {
            hashes.push(id);
            let version = SemVer::new(0, 1, specs.len() as u16 + 1);
            specs.push(ModelSpec { parent: Some(SpecId(id)), version, ..record.spec.clone() });
            specs.push(record.spec);
        }

        let mut numbers: Vec<u128> = (0..4).collect();
        numbers.extend(pallet_blyan_inference::Channels::<Runtime>::iter_keys().map(u128::from));
        numbers.extend(pallet_blyan_staking::PendingSlashes::<Runtime>::iter_keys().map(u128::from));
        numbers.extend(pallet_referenda::ReferendumInfoFor::<Runtime>::iter_keys().map(u128::from));
        numbers.extend(pallet_blyan_dao::Polls::<Runtime>::iter_keys().map(u128::from));
        numbers.extend([Session::current_index(), HOURS, DAYS, 30 * DAYS].map(u128::from));
        Self { accounts, hashes, numbers, specs, preimages, block: System::block_number() }
    }
}
