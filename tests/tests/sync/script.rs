//! What happens in the history: workers, receipts, payment, and validators that come, go and change their keys.

use crate::history::Validators;
use anyhow::{Context, Result};
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::{BatchRoot, HardwareId, ReceiptId},
    merkle::Digest,
    pact::Ppm,
    payment::Voucher,
    receipt::{AnchorPayload, batch_tree},
    worker::{Heartbeat, Region, Roles, WorkerInfo},
};
use blyan_runtime::{
    AccountId, Balance, BlockNumber, Hash, Nonce, Runtime, RuntimeCall, SessionKeys, SignedPayload, TxExtension,
    UncheckedExtrinsic, VERSION,
    constants::{
        currency::BLY,
        time::{DAYS, MINUTES},
    },
};
use codec::{DecodeAll, Encode};
use frame_system::offchain::CreateAuthorizedTransaction;
use polkadot_sdk::*;
use sp_core::{Pair, sr25519};
use sp_keyring::Sr25519Keyring::{self, Bob, Dave, Eve, Ferdie, One, Two};
use sp_runtime::{OpaqueExtrinsic, generic::Era};
use std::collections::BTreeMap;

/// Blocks from an anchor of a worker to its next.
const ANCHOR_EVERY: BlockNumber = 5;
/// Receipts in each anchor.
const BATCH: u32 = 9;
/// Tokens of a receipt.
const TOKENS: u64 = 120;
/// The workers that anchor.
pub(crate) const WORKERS: [Sr25519Keyring; 2] = [Ferdie, Two];
/// How often the validators, or the keys of one, change: see [`Script::of_validators`].
pub(crate) const CHANGES_OF_SET: usize = 7;
/// Block from which on both workers anchor.
const FIRST_ANCHOR: BlockNumber = 40;

/// Writes the transactions of each block, of whoever has something to do in it.
pub(crate) struct Script {
    genesis: Hash,
    nonces: BTreeMap<AccountId, Nonce>,
    anchors: BTreeMap<AccountId, u64>,
}

impl Script {
    pub(crate) fn new(genesis: Hash) -> Self {
        Self { genesis, nonces: BTreeMap::new(), anchors: BTreeMap::new() }
    }

    /// The transactions of the block that is written next.
    ///
    /// When it is done, the validators are those that the chain began with, and have the keys that they began with: they
    /// can go on with it.
    pub(crate) fn transactions(&mut self, chain: &Validators) -> Result<Vec<OpaqueExtrinsic>> {
        let block = chain.next();
        let mut made = self.of_workers(block);
        made.extend(self.of_payment(block));
        made.extend(self.of_validators(chain, block)?);
        Ok(made.into_iter().map(Into::into).collect())
    }

    /// How many anchors a worker has made.
    pub(crate) fn anchors_of(&self, worker: Sr25519Keyring) -> u64 {
        self.anchors.get(&worker.to_account_id()).copied().unwrap_or_default()
    }

    fn of_workers(&mut self, block: BlockNumber) -> Vec<UncheckedExtrinsic> {
        let mut made = Vec::new();
        for (place, worker) in WORKERS.into_iter().enumerate() {
            let account = worker.to_account_id();
            if block == 1 {
                made.push(self.register(worker, place as u8));
                made.push(self.signed(worker, pallet_blyan_staking::Call::bond_worker { amount: 100 * BLY }));
            }
            // One in each period, from the first after the registration's.
            if block > MINUTES && block % MINUTES == 3 {
                let heartbeat = Heartbeat { worker: account.clone(), period: block / MINUTES, expires_at: block + 5 };
                let signature = key(worker).sign(&heartbeat.signing_hash(self.genesis.as_ref()));
                made.push(authorised(pallet_blyan_workers::Call::<Runtime>::heartbeat { heartbeat, signature }));
            }
            // Not in the first block of a session, which takes no transactions.
            if block >= FIRST_ANCHOR && block % ANCHOR_EVERY == 2 + place as u32 {
                let sequence = self.anchors.entry(account.clone()).or_default();
                let payload = AnchorPayload {
                    worker: account,
                    sequence: *sequence,
                    root: BatchRoot(batch_tree(&receipts(worker, *sequence)).root()),
                    count: BATCH,
                    tokens: u64::from(BATCH) * TOKENS,
                    expires_at: block + 5,
                };
                *sequence += 1;
                let signature = key(worker).sign(&payload.signing_hash(self.genesis.as_ref()));
                made.push(authorised(pallet_blyan_inference::Call::<Runtime>::anchor { payload, signature }));
            }
        }
        made
    }

    fn register(&mut self, worker: Sr25519Keyring, place: u8) -> UncheckedExtrinsic {
        let info = WorkerInfo {
            key: key(worker).public().0,
            peer_id: [&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20][..], &[place; 32]]
                .concat()
                .try_into()
                .expect("an identity multihash is as long"),
            addresses: Default::default(),
            region: Region::new("DE").expect("Germany is a region"),
            hardware: HardwareProfile { ram_mib: 65_536, cpu_threads: 16, ..Default::default() },
            hardware_id: HardwareId([place + 1; 32]),
            roles: Roles::SERVE.union(Roles::GATEWAY),
        };
        let signature = key(worker).sign(&info.signing_hash(self.genesis.as_ref(), &worker.to_account_id()));
        self.signed(worker, pallet_blyan_workers::Call::register { info, signature })
    }

    /// Eve pays Ferdie for answers through channel 0. Channel 1, to the other gateway, is closed early.
    fn of_payment(&mut self, block: BlockNumber) -> Vec<UncheckedExtrinsic> {
        use pallet_blyan_inference::Call;

        let open = |gateway: Sr25519Keyring, amount| Call::open {
            gateway: gateway.to_account_id(),
            amount,
            duration: 30 * DAYS,
        };
        match block {
            30 => vec![self.signed(Eve, open(Ferdie, 50 * BLY)), self.signed(Eve, open(Two, 10 * BLY))],
            200 | 800 | 1_600 => {
                let voucher = Voucher { channel: 0, cumulative: Balance::from(block / 100) * BLY };
                let signature = Eve.sign(&voucher.signing_hash(self.genesis.as_ref())).into();
                vec![self.signed(Ferdie, Call::redeem { voucher, signature })]
            },
            300 => vec![self.signed(Two, Call::close { channel: 1 })],
            1_000 => vec![self.signed(Eve, Call::top_up { channel: 0, amount: 5 * BLY })],
            _ => Vec::new(),
        }
    }

    /// A fifth validator joins with delegations and leaves; one of the first changes its keys and has its old ones back;
    /// another pauses.
    fn of_validators(&mut self, chain: &Validators, block: BlockNumber) -> Result<Vec<UncheckedExtrinsic>> {
        use pallet_blyan_staking::Call;

        Ok(match block {
            50 => {
                let keys = self.set_keys(chain, One, "//One")?;
                vec![keys, self.signed(One, Call::validate { commission: Ppm(50_000), bond: 10_000 * BLY })]
            },
            70 => {
                let validator = One.to_account_id();
                let auto_compound = sp_runtime::Percent::from_percent(50);
                vec![self.signed(Two, Call::delegate { validator, amount: 500 * BLY, auto_compound })]
            },
            400 => vec![self.set_keys(chain, Bob, "//Bob//second")?],
            700 => vec![self.signed(Dave, Call::chill {})],
            1_000 => vec![self.set_keys(chain, Bob, "//Bob//third")?],
            1_300 => vec![self.signed(One, Call::leave {})],
            1_500 => vec![self.signed(Dave, Call::activate {})],
            1_800 => vec![self.set_keys(chain, Bob, "//Bob")?],
            _ => Vec::new(),
        })
    }

    fn set_keys(&mut self, chain: &Validators, who: Sr25519Keyring, seed: &str) -> Result<UncheckedExtrinsic> {
        let (keys, proof) = chain.session_keys(&who.to_account_id(), seed)?;
        let keys = SessionKeys::decode_all(&mut keys.as_slice()).context("the runtime made other keys")?;
        Ok(self.signed(who, pallet_session::Call::set_keys { keys, proof }))
    }

    fn signed<C>(&mut self, who: Sr25519Keyring, call: C) -> UncheckedExtrinsic
    where
        RuntimeCall: From<C>,
    {
        let nonce = self.nonces.entry(who.to_account_id()).or_default();
        let extension: TxExtension = (
            frame_system::AuthorizeCall::new(),
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckMortality::from(Era::Immortal),
            frame_system::CheckNonce::from(*nonce),
            frame_system::CheckWeight::new(),
            pallet_transaction_payment::ChargeTransactionPayment::from(0),
            frame_metadata_hash_extension::CheckMetadataHash::new(false),
            frame_system::WeightReclaim::new(),
        );
        *nonce += 1;
        let (spec, transaction) = (VERSION.spec_version, VERSION.transaction_version);
        let implicit = ((), (), spec, transaction, self.genesis, self.genesis, (), (), (), None, ());
        let call = RuntimeCall::from(call);
        let payload = SignedPayload::from_raw(call.clone(), extension.clone(), implicit);
        let signature = payload.using_encoded(|bytes| who.sign(bytes));
        UncheckedExtrinsic::new_signed(call, who.to_account_id().into(), signature.into(), extension)
    }
}

fn authorised<C>(call: C) -> UncheckedExtrinsic
where
    RuntimeCall: From<C>,
{
    <Runtime as CreateAuthorizedTransaction<C>>::create_authorized_transaction(call.into())
}

/// The key that the worker of an account signs with.
fn key(worker: Sr25519Keyring) -> sr25519::Pair {
    sr25519::Pair::from_string(&format!("//{worker}//worker"), None).expect("the path is one")
}

/// The receipts under a worker's anchor.
fn receipts(worker: Sr25519Keyring, sequence: u64) -> Vec<ReceiptId> {
    let receipt =
        |index: u32| ReceiptId(sp_io::hashing::blake2_256(&(worker.to_account_id(), sequence, index).encode()));
    (0..BATCH).map(receipt).collect()
}

/// A receipt under a worker's anchor, its place, and the proof that it is there.
pub(crate) fn proved(worker: Sr25519Keyring, sequence: u64) -> (u32, ReceiptId, Vec<Digest>) {
    let (index, receipts) = (BATCH / 2, receipts(worker, sequence));
    let place = u64::from(index);
    let proof = batch_tree(&receipts).prove(place..place + 1).expect("the receipt is in the batch");
    (index, receipts[index as usize], proof)
}
