//! Signatures for calls that need one, which nobody guesses.

use super::MEMBERS;
use crate::chain::*;
use blyan_primitives::payment::Voucher;
use blyan_runtime::{AccountId, Inference, RuntimeCall, System};
use fastrand::Rng;
use polkadot_sdk::*;
use sp_core::{
    traits::{Externalities, ReadRuntimeVersion},
    Pair,
};
use sp_keyring::Sr25519Keyring;

/// Signs what is to be signed beside the transaction, most often as it would have to be: registrations and keys for `who`.
pub(crate) fn sign(call: &mut RuntimeCall, who: Option<Sr25519Keyring>, rng: &mut Rng) {
    use pallet_blyan_inference::Call as Channels;
    use pallet_blyan_workers::Call as Worker;
    let person = who.unwrap_or_else(|| rng.choice(MEMBERS).unwrap());
    match call {
        RuntimeCall::Workers(Worker::register { info, signature } | Worker::update { info, signature }) => {
            let key = worker_key(person);
            info.key = key.public().0;
            *signature = key.sign(&info.signing_hash(GENESIS.as_ref(), &person.to_account_id()));
        },
        RuntimeCall::Workers(Worker::heartbeat { .. }) => *call = heartbeat(person).function,
        RuntimeCall::Inference(Channels::anchor { .. }) => {
            let sequence = Inference::next_sequence(person.to_account_id()) + u64::from(rng.u8(..4) == 0);
            *call = anchor(person, sequence, System::block_number() + rng.u32(..40)).function;
        },
        RuntimeCall::Inference(Channels::redeem { voucher, signature }) => {
            let channel = Inference::channel(voucher.channel);
            let payer = channel.as_ref().and_then(|channel| Sr25519Keyring::from_account_id(&channel.payer));
            if let (Some(channel), Some(payer)) = (channel, payer) {
                *voucher = Voucher { channel: voucher.channel, cumulative: rng.u128(..=channel.escrow) };
                *signature = sign_voucher(payer, voucher, rng.bool());
            }
        },
        RuntimeCall::Session(pallet_session::Call::set_keys { .. }) => {
            let owner: AccountId = person.to_account_id();
            *call = set_keys(&owner, rng.u8(..SESSION_KEYS)).into();
        },
        _ => {},
    }
}

/// Reads no version in any code: what root puts in as a runtime's code here is none.
pub(crate) struct NoCode;

impl ReadRuntimeVersion for NoCode {
    fn read_runtime_version(&self, _: &[u8], _: &mut dyn Externalities) -> Result<Vec<u8>, String> {
        Err("this is no runtime".into())
    }
}
