use super::{
    chain::{authorised, signed, GENESIS},
    preset, try_state,
};
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::{BatchRoot, HardwareId, SlotId},
    receipt::AnchorPayload,
    spec::{Dimensions, ModelSpec},
    traits::SlotHeads,
    version::SemVer,
    worker::{Heartbeat, Region, Roles, WorkerInfo},
};
use blyan_runtime::{
    constants::{
        currency::{BLY, EXISTENTIAL_DEPOSIT, MILLI},
        limits::{ANCHOR_SPACING, MAX_ANCHORS},
        time::{MINUTES, SLOT_DURATION},
    },
    AccountId, Balances, BlockNumber, Economy, Executive, Experts, Header, Inference, Meta, Pact, Runtime,
    RuntimeOrigin, System, TransactionPayment, UncheckedExtrinsic, Workers,
};
use codec::Encode;
use frame_support::{
    assert_err, assert_noop, assert_ok,
    dispatch::{DispatchClass, GetDispatchInfo},
    traits::GetCallName,
};
use polkadot_sdk::*;
use sp_consensus_babe::{
    digests::{PreDigest, SecondaryPlainPreDigest},
    BABE_ENGINE_ID,
};
use sp_core::{sr25519, Pair};
use sp_keyring::Sr25519Keyring::{Alice, Bob, Ferdie};
use sp_runtime::{
    transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError, ValidTransaction},
    Digest, DigestItem, DispatchError, MultiAddress, Perbill,
};

/// Runs `test` in the first block of the tiny chain, which Alice writes.
fn in_first_block(test: impl FnOnce()) {
    let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index: 0, slot: 1.into() });
    let digest = Digest { logs: vec![DigestItem::PreRuntime(BABE_ENGINE_ID, claim.encode())] };
    preset("tiny_development").execute_with(|| {
        Executive::initialize_block(&Header {
            parent_hash: GENESIS,
            number: 1,
            state_root: Default::default(),
            extrinsics_root: Default::default(),
            digest,
        });
        test();
        try_state();
    });
}

fn validate(transaction: &UncheckedExtrinsic) -> Result<ValidTransaction, TransactionValidityError> {
    Executive::validate_transaction(TransactionSource::External, transaction.clone(), GENESIS)
}

fn transfer(to: AccountId, value: u128) -> pallet_balances::Call<Runtime> {
    pallet_balances::Call::transfer_keep_alive { dest: MultiAddress::Id(to), value }
}

/// Registers Ferdie's worker, and returns its key.
fn register() -> sr25519::Pair {
    let key = sr25519::Pair::from_seed(&[5; 32]);
    let info = WorkerInfo {
        key: key.public().0,
        peer_id: [&[0x00, 36][..], &[1; 36]].concat().try_into().unwrap(),
        addresses: Default::default(),
        region: Region::new("DE").unwrap(),
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 1, ..Default::default() },
        hardware_id: HardwareId([3; 32]),
        roles: Roles::SERVE.union(Roles::GATEWAY),
    };
    let account = Ferdie.to_account_id();
    let signature = key.sign(&info.signing_hash(GENESIS.as_ref(), &account));
    assert_ok!(Workers::register(RuntimeOrigin::signed(account), info, signature));
    key
}

fn heartbeat(key: &sr25519::Pair, expires_at: BlockNumber) -> UncheckedExtrinsic {
    let heartbeat = Heartbeat { worker: Ferdie.to_account_id(), period: Workers::heartbeat_period(), expires_at };
    let signature = key.sign(&heartbeat.signing_hash(GENESIS.as_ref()));
    authorised(pallet_blyan_workers::Call::<Runtime>::heartbeat { heartbeat, signature })
}

fn anchor(key: &sr25519::Pair, sequence: u64) -> UncheckedExtrinsic {
    let worker = Ferdie.to_account_id();
    let payload = AnchorPayload { worker, sequence, root: BatchRoot([4; 32]), count: 2, tokens: 50, expires_at: 100 };
    let signature = key.sign(&payload.signing_hash(GENESIS.as_ref()));
    authorised(pallet_blyan_inference::Call::<Runtime>::anchor { payload, signature })
}

#[test]
fn a_transfer_costs_about_a_thousandth_of_a_bly() {
    in_first_block(|| {
        let transaction = signed(Alice, transfer(Bob.to_account_id(), BLY), 0);
        let len = transaction.encoded_size() as u32;
        let fee = TransactionPayment::query_info(transaction, len).partial_fee;
        assert!((MILLI / 4..4 * MILLI).contains(&fee), "a transfer costs {fee}");
        // An account that can exist can also act.
        assert!(fee < EXISTENTIAL_DEPOSIT);
    });
}

#[test]
fn fees_are_burnt_shared_with_the_treasury_and_paid_to_the_author_who_gets_the_tip() {
    in_first_block(|| {
        let treasury = || Balances::free_balance(Economy::treasury_account());
        let balances = || [Alice, Bob].map(|who| Balances::free_balance(who.to_account_id()));
        let ([author, sender], issued, public) = (balances(), Balances::total_issuance(), treasury());
        assert_eq!(blyan_runtime::Authorship::author(), Some(Alice.to_account_id()));
        let transaction = signed(Bob, transfer(Ferdie.to_account_id(), BLY), MILLI);
        validate(&transaction).unwrap();
        assert_ok!(Executive::apply_extrinsic(transaction).unwrap());
        let now = pallet_timestamp::Call::<Runtime>::set { now: SLOT_DURATION };
        Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(now.into())).unwrap().unwrap();
        assert_eq!(balances()[0], author, "nothing is split before the block ends");
        Executive::finalize_block();
        let memo = frame_support::storage::storage_prefix(b"Authorship", b"Author");
        assert_eq!(sp_io::storage::get(&memo), None, "the author is looked up again after it was forgotten");
        let [rich, poor] = balances();
        let fee = sender - poor - BLY - MILLI;
        let rules = Pact::pact().economy;
        let share = |of: blyan_primitives::pact::Ppm| fee * u128::from(of.0) / 1_000_000;
        let (burnt, shared, paid) = (issued - Balances::total_issuance(), treasury() - public, rich - author);
        assert_eq!(burnt + shared + paid, fee + MILLI, "nothing is lost on the way");
        // To the unit, in which shares are rounded.
        assert!(burnt.abs_diff(share(rules.fee_burn)) <= 1, "{burnt} of {fee} are burnt");
        assert!(shared.abs_diff(share(rules.fee_treasury)) <= 1, "{shared} of {fee} are the treasury's");
        assert!(paid > MILLI);
    });
}

#[test]
fn heartbeats_need_neither_fee_nor_nonce() {
    in_first_block(|| {
        let key = register();
        // In the period of its registration a worker has none.
        assert_eq!(validate(&heartbeat(&key, 5)), Err(InvalidTransaction::Stale.into()));
        System::set_block_number(Workers::heartbeat_period() * MINUTES + MINUTES);
        let before = Balances::free_balance(Ferdie.to_account_id());
        let transaction = heartbeat(&key, System::block_number() + 5);
        let valid = validate(&transaction).unwrap();
        assert!(!valid.provides.is_empty() && valid.propagate);
        let tipped = validate(&signed(Alice, transfer(Bob.to_account_id(), BLY), BLY)).unwrap();
        assert!(valid.priority >= tipped.priority, "a tip pushes heartbeats out of blocks");
        assert_ok!(Executive::apply_extrinsic(transaction.clone()).unwrap());
        assert!(Workers::worker(Ferdie.to_account_id()).unwrap().online);
        assert_eq!(Balances::free_balance(Ferdie.to_account_id()), before);
        assert_eq!(System::account_nonce(Ferdie.to_account_id()), 0);
        // A replay is refused before it can enter a block.
        assert_eq!(validate(&transaction), Err(InvalidTransaction::Stale.into()));
        assert!(Executive::apply_extrinsic(transaction).is_err());
    });
}

#[test]
fn heartbeats_by_another_key_are_refused_in_the_pool() {
    in_first_block(|| {
        register();
        System::set_block_number(MINUTES);
        let stranger = sr25519::Pair::from_seed(&[6; 32]);
        assert_eq!(validate(&heartbeat(&stranger, MINUTES + 5)), Err(InvalidTransaction::BadProof.into()));
    });
}

#[test]
fn an_anchor_happens_once() {
    in_first_block(|| {
        let key = register();
        let first = anchor(&key, 0);
        let (one, two) = (validate(&first).unwrap(), validate(&anchor(&key, 1)).unwrap());
        assert_eq!(two.requires, one.provides, "the second waits for the first");
        assert_ok!(Executive::apply_extrinsic(first.clone()).unwrap());
        assert_eq!(Inference::next_sequence(Ferdie.to_account_id()), 1);
        assert_eq!(validate(&first), Err(InvalidTransaction::Stale.into()));
        assert!(Executive::apply_extrinsic(first).is_err());
    });
}

#[test]
fn what_needs_a_signature_is_refused_without_one() {
    in_first_block(|| {
        let unsigned = authorised(transfer(Bob.to_account_id(), BLY));
        assert!(validate(&unsigned).is_err());
        assert!(Executive::apply_extrinsic(unsigned).is_err());
        // A heartbeat that its account signs as a transaction is no authorised one.
        let key = register();
        let call = heartbeat(&key, 5).function;
        assert!(Executive::apply_extrinsic(signed(Ferdie, call, 0)).unwrap().is_err());
    });
}

#[test]
fn an_anchor_that_is_early_stays_in_the_pool_until_it_is_due() {
    in_first_block(|| {
        let key = register();
        let tipped = validate(&signed(Alice, transfer(Bob.to_account_id(), BLY), BLY)).unwrap();
        let priority = |sequence| validate(&anchor(&key, sequence)).unwrap().priority;
        assert!(priority(0) >= tipped.priority, "a tip pushes anchors out of blocks");
        assert!(priority(1) < validate(&signed(Alice, transfer(Bob.to_account_id(), BLY), 0)).unwrap().priority);
        assert_ok!(Executive::apply_extrinsic(anchor(&key, 0)).unwrap());
        let first = Inference::anchor_of(Ferdie.to_account_id(), 0).unwrap();

        // Valid, and promoted, in the block after it.
        let second = anchor(&key, 1);
        assert!(priority(1) >= tipped.priority);
        assert_eq!(System::block_number(), first.anchored_at + 1);
        // An author leaves in its pool what a block is too full for, and throws away what fails otherwise.
        assert!(Executive::apply_extrinsic(second.clone()).unwrap_err().exhausted_resources());
        System::set_block_number(first.anchored_at + ANCHOR_SPACING);
        assert_ok!(Executive::apply_extrinsic(second).unwrap());
    });
}

#[test]
fn anchors_take_a_bounded_share_of_a_block() {
    in_first_block(|| {
        let key = register();
        let transaction = anchor(&key, 0);
        let info = transaction.get_dispatch_info();
        let limits = blyan_runtime::configs::system::RuntimeBlockWeights::get();
        let paid = limits.get(DispatchClass::Normal);
        let one = info.total_weight().saturating_add(paid.base_extrinsic).ref_time();
        let share = Perbill::from_rational(one * u64::from(MAX_ANCHORS), paid.max_total.unwrap().ref_time());
        assert!(share < Perbill::from_percent(20), "{share:?} of what ordinary transactions can take");
        // The last place of a block is taken, and then there is none.
        pallet_blyan_inference::AnchorsInBlock::<Runtime>::put((1, MAX_ANCHORS));
        assert!(Executive::apply_extrinsic(transaction.clone()).unwrap_err().exhausted_resources());
        pallet_blyan_inference::AnchorsInBlock::<Runtime>::put((1, MAX_ANCHORS - 1));
        assert_ok!(Executive::apply_extrinsic(transaction).unwrap());
    });
}

#[test]
fn nobody_but_root_publishes_activates_or_deprecates_specs_or_fills_slots() {
    in_first_block(|| {
        let (id, active) = Meta::active().remove(0);
        let successor = ModelSpec {
            parent: Some(id),
            version: SemVer::new(0, 1, 1),
            dimensions: Dimensions { experts: 5, ..active.spec.dimensions.clone() },
            ..active.spec.clone()
        };
        let who = RuntimeOrigin::signed(Alice.to_account_id());
        let expert = Experts::heads_of_layer(id, 0)[0].unwrap().block;
        assert_noop!(Meta::publish(who.clone(), active.spec.clone()), DispatchError::BadOrigin);
        assert_noop!(Meta::activate(who.clone(), id), DispatchError::BadOrigin);
        assert_noop!(Meta::deprecate(who.clone(), id), DispatchError::BadOrigin);
        assert_noop!(Experts::fill_head(who.clone(), id, 0, 0, expert), DispatchError::BadOrigin);
        // Root can, as far as it adds up: this router is of four experts.
        let root = RuntimeOrigin::root();
        type Refused = pallet_blyan_meta::Error<Runtime>;
        assert_err!(Meta::publish(root.clone(), successor.clone()), Refused::UnsuitableBlock);
        let successor = ModelSpec { dimensions: active.spec.dimensions.clone(), ..successor };
        assert_ok!(Meta::publish(root.clone(), successor.clone()));
        assert_ok!(Meta::activate(root.clone(), successor.id()));
        assert_ok!(Meta::deprecate(root.clone(), id));
        // The heads serve the successor now.
        assert!(Experts::release_heads(who, id, 1).is_err());
        assert_eq!(Experts::heads_of_layer(successor.id(), 0)[0].unwrap().block, expert);
    });
}

#[test]
fn no_call_moves_a_head_without_a_verdict() {
    in_first_block(|| {
        let slot = SlotId { lineage: Meta::active()[0].0, layer: 0, index: 0 };
        let base = <Experts as SlotHeads>::head(&slot).unwrap();
        // All that a call can do to a filled slot is refused, to root too.
        let root = RuntimeOrigin::root();
        type Refused = pallet_blyan_experts::Error<Runtime>;
        assert_noop!(Experts::fill_head(root, slot.lineage, 0, 0, base), Refused::SlotTaken);
        assert_noop!(
            Experts::release_heads(RuntimeOrigin::signed(Alice.to_account_id()), slot.lineage, 1),
            Refused::LineageOpen
        );
        // There are no others: who adds one decides here what it may do.
        let names = pallet_blyan_experts::Call::<Runtime>::get_call_names();
        let blocks = ["register", "unregister", "fill_head", "release_heads"];
        let rounds = ["open_round", "submit_delta", "publish", "stand", "stand_down"];
        assert_eq!(names, [&blocks[..], &rounds[..]].concat());
        // Opening a round changes nothing, and nothing can be published that no committee has accepted.
        let alice = RuntimeOrigin::signed(Alice.to_account_id());
        assert_ok!(Experts::open_round(alice.clone(), slot, Meta::active()[0].0));
        let refused = Experts::publish(alice, 0, vec![0].try_into().unwrap(), vec![0].try_into().unwrap());
        assert_eq!(refused.unwrap_err().error, Refused::NothingToPublish.into());
        assert_eq!(<Experts as SlotHeads>::head(&slot), Some(base));
    });
}
