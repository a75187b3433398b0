use crate::{mock::*, Blocks, Deposit, Error, Event, HoldReason};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, Form, PayloadType, MAX_ENGINE_LEN, MAX_ONCHAIN_HEADER_LEN},
    ids::{ContentHash, TileRoot},
};
use codec::Encode;
use frame_support::{
    assert_noop, assert_ok,
    traits::{fungible::InspectHold, Hooks},
};
use polkadot_sdk::*;
use sp_runtime::TokenError;

fn held(who: u64) -> u128 {
    Balances::balance_on_hold(&HoldReason::BlockDeposit.into(), &who)
}

fn refused(header: BlockHeader, error: Error<Test>) {
    assert_noop!(register(ALICE, &header, None), error);
}

fn changed(change: impl FnOnce(&mut BlockHeader)) -> BlockHeader {
    let mut header = expert(Form::Serving, 1);
    change(&mut header);
    header
}

#[test]
fn a_record_is_what_the_header_says() {
    run(|| {
        let header = expert(Form::Serving, 1);
        let block = registered(&header, None);
        System::assert_last_event(Event::BlockRegistered { block, owner: ALICE }.into());
        let entry = Blocks::<Test>::get(block).unwrap();
        assert_eq!(entry.deposit, Some(Deposit { owner: ALICE, amount: DEPOSIT }));
        assert_eq!((entry.uses, entry.registered_at), (0, 1));
        assert_eq!(entry.record.root, TileRoot([1; 32]));
        assert_eq!(entry.record.shape, [128, 64, 0, 0]);
        assert_eq!(entry.record.header_len as usize, header.encoded_size());
        assert_eq!(entry.record.data_len, 3 * 128 * 64 * 4);
        assert_eq!(Experts::block(block), Some(entry));
        assert_eq!(held(ALICE), DEPOSIT);
    });
}

#[test]
fn training_lineage_is_recorded() {
    run(|| {
        let header = expert(Form::Master, 1);
        let bytes = header.encode().try_into().unwrap();
        assert_ok!(Experts::register(RuntimeOrigin::signed(ALICE), bytes, None, Some([3; 32])));
        assert_eq!(Blocks::<Test>::get(header.content_hash()).unwrap().record.podl, Some([3; 32]));
    });
}

#[test]
fn equal_content_is_registered_once() {
    run(|| {
        registered(&expert(Form::Serving, 1), None);
        assert_noop!(register(BOB, &expert(Form::Serving, 1), None), Error::<Test>::AlreadyRegistered);
        assert_noop!(register(BOB, &expert(Form::Serving, 0), None), Error::<Test>::AlreadyRegistered);
    });
}

#[test]
fn unsound_headers_are_refused_by_name() {
    run(|| {
        let malformed = vec![0xff; 40].try_into().unwrap();
        assert_noop!(
            Experts::register(RuntimeOrigin::signed(ALICE), malformed, None, None),
            Error::<Test>::MalformedHeader
        );
        let mut trailing = expert(Form::Serving, 1).encode();
        trailing.push(0);
        assert_noop!(
            Experts::register(RuntimeOrigin::signed(ALICE), trailing.try_into().unwrap(), None, None),
            Error::<Test>::MalformedHeader
        );
        refused(changed(|h| h.engine = vec![0; MAX_ENGINE_LEN + 1]), Error::HeaderTooLarge);
        refused(changed(|h| h.tensors[1].name = "gate".into()), Error::InvalidTensorName);
        refused(changed(|h| h.tensors[1].length -= 1), Error::InvalidTensorShape);
        refused(changed(|h| h.tensors[1].offset += 64), Error::MisplacedTensor);
        refused(header(BlockKind::Trunk, Form::Serving, &[], 1), Error::InvalidTensorShape);
    });
}

#[test]
fn a_header_beyond_the_bound_is_not_even_decoded() {
    use codec::Decode;
    let bytes = vec![0u8; MAX_ONCHAIN_HEADER_LEN as usize + 1].encode();
    assert!(crate::HeaderBytes::decode(&mut bytes.as_slice()).is_err());
}

#[test]
fn a_trunk_of_thirty_layers_fits() {
    run(|| {
        let names: Vec<String> = (0..30)
            .flat_map(|layer| (0..13).map(move |i| format!("layers.{layer}.attention.projection_{i}.weight")))
            .collect();
        let tensors: Vec<(&str, &[u32])> = names.iter().map(|name| (name.as_str(), [64u32, 64].as_slice())).collect();
        assert_ok!(register(ALICE, &header(BlockKind::Trunk, Form::Serving, &tensors, 1), None));
    });
}

#[test]
fn a_served_expert_needs_matrices_that_fit_each_other() {
    run(|| {
        refused(changed(|h| h.tensors[2].shape = vec![128, 64]), Error::UnfitExpert);
        refused(changed(|h| h.tensors[0].name = "other".into()), Error::UnfitExpert);
        // What nobody maps and computes on can look otherwise.
        assert_ok!(register(ALICE, &changed(|h| h.form = Form::Master), None));
        assert_ok!(register(
            ALICE,
            &changed(|h| {
                h.payload = PayloadType::TileStream;
                h.tensors[0].name = "other".into();
            }),
            None
        ));
    });
}

#[test]
fn a_serving_form_names_a_registered_master_of_its_kind() {
    run(|| {
        let serving = expert(Form::Serving, 1);
        let missing = ContentHash([7; 32]);
        assert_noop!(register(ALICE, &serving, Some(missing)), Error::<Test>::UnknownMaster);
        let other_serving = registered(&expert(Form::Serving, 2), None);
        assert_noop!(register(ALICE, &serving, Some(other_serving)), Error::<Test>::NotAMaster);
        let trunk = registered(&header(BlockKind::Trunk, Form::Master, &[("x", &[4])], 3), None);
        assert_noop!(register(ALICE, &serving, Some(trunk)), Error::<Test>::NotAMaster);
        let master = registered(&expert(Form::Master, 1), None);
        assert_noop!(register(ALICE, &expert(Form::Master, 9), Some(master)), Error::<Test>::MasterOfMaster);
        assert_ok!(register(ALICE, &serving, Some(master)));
    });
}

#[test]
fn who_cannot_cover_the_deposit_registers_nothing() {
    run(|| {
        assert_noop!(register(POOR, &expert(Form::Serving, 1), None), TokenError::FundsUnavailable);
    });
}

#[test]
fn the_owner_unregisters_and_gets_the_deposit_back() {
    run(|| {
        let block = registered(&expert(Form::Serving, 1), None);
        assert_noop!(Experts::unregister(RuntimeOrigin::signed(BOB), block), Error::<Test>::NotOwner);
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(ALICE), block));
        System::assert_last_event(Event::BlockUnregistered { block, owner: ALICE }.into());
        assert_eq!((held(ALICE), Experts::block(block)), (0, None));
        assert_noop!(Experts::unregister(RuntimeOrigin::signed(ALICE), block), Error::<Test>::UnknownBlock);
    });
}

#[test]
fn genesis_blocks_stay() {
    run(|| {
        let genesis = expert(Form::Serving, 0).content_hash();
        assert_noop!(Experts::unregister(RuntimeOrigin::signed(ALICE), genesis), Error::<Test>::NotOwner);
    });
}

#[test]
fn the_constants_fit_together() {
    Experts::integrity_test();
}
