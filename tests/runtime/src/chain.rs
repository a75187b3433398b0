//! A chain that runs: blocks by its validators in BABE's slots, so that sessions and eras pass as they do in a node, and
//! transactions as they come from a network.

use blyan_primitives::{
    hardware::HardwareProfile,
    ids::{BatchRoot, HardwareId},
    payment::Voucher,
    receipt::AnchorPayload,
    worker::{Heartbeat, Region, Roles, WorkerInfo},
};
use blyan_runtime::{
    configs::system::RuntimeBlockWeights, constants::time::SLOT_DURATION, AccountId, Authorship, Babe, BlockNumber,
    Executive, Hash, Header, Historical, Runtime, RuntimeCall, Session, SessionKeys, Signature, SignedPayload, System,
    TxExtension, UncheckedExtrinsic, Workers,
};
use codec::Encode;
use frame_support::{
    dispatch::DispatchClass,
    storage::{with_transaction_unchecked, TransactionOutcome},
    traits::{DisabledValidators, KeyOwnerProofSystem},
};
use frame_system::offchain::CreateAuthorizedTransaction;
use polkadot_sdk::*;
use sp_consensus_babe::{
    digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest},
    AuthorityId, EquivocationProof,
};
use sp_core::{ed25519, proof_of_possession::ProofOfPossessionGenerator, sr25519, Pair};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
    generic::Era,
    traits::{BlakeTwo256, Hash as _},
    Digest, DigestItem,
};
use std::{collections::BTreeMap, sync::LazyLock};

/// Hash of the first block, which everything signed off chain is bound to.
pub(super) const GENESIS: Hash = Hash::repeat_byte(7);
/// Slot of the first block after it.
const FIRST_SLOT: u64 = 1_000;
/// How many pairs of session keys [`session_keys`] knows.
pub(super) const SESSION_KEYS: u8 = 16;

/// Begins the next block, `skipped` slots later than it could be. Of the validators who can write it, `luck` chooses one.
pub(super) fn begin_block(skipped: u64, luck: usize) {
    let number = System::block_number() + 1;
    let slot = match u64::from(Babe::current_slot()) {
        0 => FIRST_SLOT,
        last => last + 1 + skipped,
    };
    let parent_hash = if number == 1 { GENESIS } else { BlakeTwo256::hash_of(&number) };
    // The block may begin a session, and the session have another set: who has no place in it then cannot write it.
    let places = Session::validators().len().max(pallet_session::QueuedKeys::<Runtime>::get().len());
    let began = (0..places).any(|turn| {
        let authority_index = ((luck + turn) % places) as u32;
        let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index, slot: slot.into() });
        let header = Header {
            parent_hash,
            number,
            state_root: Default::default(),
            extrinsics_root: Default::default(),
            digest: Digest { logs: vec![DigestItem::babe_pre_digest(claim)] },
        };
        with_transaction_unchecked(|| {
            Executive::initialize_block(&header);
            match can_write(authority_index) {
                true => TransactionOutcome::Commit(true),
                false => TransactionOutcome::Rollback(false),
            }
        })
    });
    assert!(began, "nobody can write block {number}");
    let now = pallet_timestamp::Call::<Runtime>::set { now: slot * SLOT_DURATION };
    Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(now.into())).unwrap().unwrap();
}

/// Ends the present block, whose transactions must not take more than there is for them. What hooks take is not bounded so:
/// in the block that begins a session the SDK counts all of it, and transactions wait for the next.
pub(super) fn finish_block() {
    Executive::finalize_block();
    let (used, limits) = (System::block_weight(), RuntimeBlockWeights::get());
    for class in [DispatchClass::Normal, DispatchClass::Operational] {
        let most = limits.get(class).max_total.unwrap_or(limits.max_block);
        let used = used.get(class);
        assert!(used.all_lte(most), "{class:?} transactions of block {} took {used} of {most}", System::block_number());
    }
}

/// Whether the present block takes transactions: in that which begins a session, the SDK leaves no room for them.
pub(super) fn has_room() -> bool {
    System::block_weight().total().all_lt(RuntimeBlockWeights::get().max_block)
}

fn can_write(authority: u32) -> bool {
    (authority as usize) < Babe::authorities().len() && !Session::is_disabled(authority)
}

/// Does something, unless it disables the author of the present block, who would have thrown such a block away: in BABE there
/// is none by a disabled validator.
pub(super) fn unless_it_ends_the_block<R>(act: impl FnOnce() -> R) -> Option<R> {
    let author = System::digest().logs.iter().find_map(|item| item.as_babe_pre_digest()).unwrap().authority_index();
    with_transaction_unchecked(|| {
        let done = act();
        match can_write(author) {
            true => TransactionOutcome::Commit(Some(done)),
            false => TransactionOutcome::Rollback(None),
        }
    })
}

/// What a transaction carries beside its call.
fn extension(nonce: u32, tip: u128) -> TxExtension {
    (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckMortality::from(Era::Immortal),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(tip),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    )
}

/// A transaction that the account of `key` signs.
pub(super) fn signed_by(key: &sr25519::Pair, call: impl Into<RuntimeCall>, tip: u128) -> UncheckedExtrinsic {
    let (call, who) = (call.into(), AccountId::from(key.public()));
    let extension = extension(System::account_nonce(&who), tip);
    let payload = SignedPayload::new(call.clone(), extension.clone()).unwrap();
    let signature = payload.using_encoded(|bytes| key.sign(bytes));
    UncheckedExtrinsic::new_signed(call, who.into(), signature.into(), extension)
}

/// The key of a development account. To make it anew each time takes longer than most of what is done with it.
pub(super) fn key(who: Sr25519Keyring) -> &'static sr25519::Pair {
    static KEYS: LazyLock<BTreeMap<Sr25519Keyring, sr25519::Pair>> =
        LazyLock::new(|| Sr25519Keyring::iter().map(|who| (who, who.pair())).collect());
    &KEYS[&who]
}

/// A transaction that a development account signs.
pub(super) fn signed(who: Sr25519Keyring, call: impl Into<RuntimeCall>, tip: u128) -> UncheckedExtrinsic {
    signed_by(key(who), call, tip)
}

/// A transaction that nobody signs and nobody pays for: its call proves that it may run.
pub(super) fn authorised<C>(call: C) -> UncheckedExtrinsic
where
    RuntimeCall: From<C>,
{
    <Runtime as CreateAuthorizedTransaction<C>>::create_authorized_transaction(call.into())
}

/// What comes of a transaction in the present block.
pub(super) fn apply(transaction: UncheckedExtrinsic) -> Result<(), String> {
    match Executive::apply_extrinsic(transaction) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failed)) => Err(format!("{failed:?}")),
        Err(refused) => Err(format!("{refused:?}")),
    }
}

/// Session keys number `n`, which belong to whoever registers them first.
pub(super) fn session_keys(n: u8) -> (sr25519::Pair, ed25519::Pair) {
    (sr25519::Pair::from_seed(&[n; 32]), ed25519::Pair::from_seed(&[n; 32]))
}

/// The call by which `owner` registers session keys number `n`.
pub(super) fn set_keys(owner: &AccountId, n: u8) -> pallet_session::Call<Runtime> {
    let (mut babe, mut grandpa) = session_keys(n);
    let proof = owner.using_encoded(|owner| {
        (babe.generate_proof_of_possession(owner), grandpa.generate_proof_of_possession(owner)).encode()
    });
    let keys = SessionKeys { babe: babe.public().into(), grandpa: grandpa.public().into() };
    pallet_session::Call::set_keys { keys, proof }
}

/// The secret of a key that a validator of these tests writes blocks with.
fn babe_secret(public: &AuthorityId) -> Option<sr25519::Pair> {
    let genesis = Sr25519Keyring::iter().map(|who| key(who).clone());
    let others = (0..SESSION_KEYS).map(|n| session_keys(n).0);
    genesis.chain(others).find(|pair| AuthorityId::from(pair.public()) == *public)
}

/// Two different blocks that the owner of a key wrote and sealed in the same slot.
pub(super) fn two_blocks(key: &sr25519::Pair, authority_index: u32, slot: u64) -> EquivocationProof<Header> {
    let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index, slot: slot.into() });
    let sealed = |state: u8| {
        let mut header = Header {
            parent_hash: Default::default(),
            number: 1,
            state_root: Hash::repeat_byte(state),
            extrinsics_root: Default::default(),
            digest: Digest { logs: vec![DigestItem::babe_pre_digest(claim.clone())] },
        };
        let seal = key.sign(header.hash().as_ref());
        header.digest.push(DigestItem::babe_seal(seal.into()));
        header
    };
    EquivocationProof {
        offender: key.public().into(),
        slot: slot.into(),
        first_header: sealed(1),
        second_header: sealed(2),
    }
}

/// The report, as a node sends it, that validator number `place` of the present session has written two blocks in the
/// slot `back` before this block's.
pub(super) fn equivocation(place: usize, back: u64) -> Option<UncheckedExtrinsic> {
    let key = Babe::authorities().get(place)?.0.clone();
    let slot = u64::from(Babe::current_slot()).saturating_sub(back);
    let proof = two_blocks(&babe_secret(&key)?, place as u32, slot);
    let key_owner_proof = Historical::prove((sp_consensus_babe::KEY_TYPE, key))?;
    let call = pallet_babe::Call::<Runtime>::report_equivocation_unsigned {
        equivocation_proof: Box::new(proof),
        key_owner_proof,
    };
    Some(UncheckedExtrinsic::new_bare(call.into()))
}

/// Who wrote the present block.
pub(super) fn author() -> AccountId {
    Authorship::author().unwrap()
}

/// The key of a development account's worker.
pub(super) fn worker_key(who: Sr25519Keyring) -> sr25519::Pair {
    sr25519::Pair::from_seed(&BlakeTwo256::hash_of(&("worker", who.to_account_id())).0)
}

/// The call by which a development account registers a worker with every role on machine number `machine`.
pub(super) fn register_worker(who: Sr25519Keyring, machine: u8) -> pallet_blyan_workers::Call<Runtime> {
    let key = worker_key(who);
    let info = WorkerInfo {
        key: key.public().0,
        peer_id: [&[0x00, 36][..], &[1; 36]].concat().try_into().unwrap(),
        addresses: Default::default(),
        region: Region::new("DE").unwrap(),
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 1, ..Default::default() },
        hardware_id: HardwareId([machine; 32]),
        roles: Roles::ALL,
    };
    let signature = key.sign(&info.signing_hash(GENESIS.as_ref(), &who.to_account_id()));
    pallet_blyan_workers::Call::register { info, signature }
}

/// The heartbeat of a development account's worker in the present period.
pub(super) fn heartbeat(who: Sr25519Keyring) -> UncheckedExtrinsic {
    let expires_at = System::block_number() + 5;
    let heartbeat = Heartbeat { worker: who.to_account_id(), period: Workers::heartbeat_period(), expires_at };
    let signature = worker_key(who).sign(&heartbeat.signing_hash(GENESIS.as_ref()));
    authorised(pallet_blyan_workers::Call::<Runtime>::heartbeat { heartbeat, signature })
}

/// An anchor of a development account's worker.
pub(super) fn anchor(who: Sr25519Keyring, sequence: u64, expires_at: BlockNumber) -> UncheckedExtrinsic {
    let payload = AnchorPayload {
        worker: who.to_account_id(),
        sequence,
        root: BatchRoot([4; 32]),
        count: 2,
        tokens: 50,
        expires_at,
    };
    let signature = worker_key(who).sign(&payload.signing_hash(GENESIS.as_ref()));
    authorised(pallet_blyan_inference::Call::<Runtime>::anchor { payload, signature })
}

/// A payer's signature of a voucher, as its own programs make it or as a wallet does.
pub(super) fn sign_voucher(payer: Sr25519Keyring, voucher: &Voucher, wrapped: bool) -> Signature {
    let message = match wrapped {
        true => voucher.wrapped_signing_bytes(GENESIS.as_ref()),
        false => voucher.signing_hash(GENESIS.as_ref()).to_vec(),
    };
    key(payer).sign(&message).into()
}
