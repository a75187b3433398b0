use crate::{mock::*, Blocks, Error, Event, HoldReason, Registration, MAX_PAGE};
use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, MAX_ENGINE_LEN, MAX_ONCHAIN_HEADER_LEN,
    },
    ids::{ContentHash, TileRoot},
};
use codec::Encode;
use frame_support::{
    assert_noop, assert_ok,
    traits::{fungible::InspectHold, Hooks},
    weights::Weight,
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
        assert_eq!((entry.genesis, entry.registrants, entry.uses, entry.registered_at), (false, 1, 0, 1));
        assert_eq!(entry.record.root, TileRoot([1; 32]));
        assert_eq!(entry.record.shape, [128, 64, 0, 0]);
        assert_eq!(entry.record.header_len as usize, header.encoded_size());
        assert_eq!(entry.record.data_len, header.data_len);
        assert_eq!(Experts::block(block), Some(entry));
        let registration = Registration { master: None, podl: None, deposit: DEPOSIT, derived: 0, registered_at: 1 };
        assert_eq!(Experts::registration(block, ALICE), Some(registration));
        assert_eq!(held(ALICE), DEPOSIT);
    });
}

fn register_with(who: u64, header: &BlockHeader, podl: [u8; 32]) -> sp_runtime::DispatchResult {
    Experts::register(RuntimeOrigin::signed(who), header.encode().try_into().unwrap(), None, Some(podl))
}

#[test]
fn training_lineage_is_the_word_of_who_registers() {
    run(|| {
        let header = expert(Form::Master, 1);
        let block = header.content_hash();
        assert_ok!(register_with(ALICE, &header, [3; 32]));
        assert_eq!(Experts::registration(block, ALICE).unwrap().podl, Some([3; 32]));
        // The chain vouches for none of it.
        assert_eq!(Blocks::<Test>::get(block).unwrap().record.podl, None);
    });
}

#[test]
fn whoever_copies_a_registration_takes_nobodys_place() {
    run(|| {
        let master = registered(&expert(Form::Master, 1), None);
        let serving = expert(Form::Serving, 1);
        let block = serving.content_hash();
        // Bob saw Alice's header in the pool, and is first with it and with another lineage.
        assert_ok!(register_with(BOB, &serving, [6; 32]));
        System::set_block_number(2);
        assert_ok!(register(ALICE, &serving, Some(master)));
        let word = |who| Experts::registration(block, who).map(|own| (own.master, own.podl, own.registered_at));
        assert_eq!(word(BOB), Some((None, Some([6; 32]), 1)));
        assert_eq!(word(ALICE), Some((Some(master), None, 2)));
        let entry = Experts::block(block).unwrap();
        assert_eq!((entry.registrants, entry.registered_at), (2, 1));
        let mut both: Vec<_> = Experts::registrations(block).into_iter().map(|(who, _)| who).collect();
        both.sort_unstable();
        assert_eq!(both, [ALICE, BOB]);
        // Nor can he take the block away.
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(BOB), block));
        assert_eq!((held(BOB), Experts::block(block).unwrap().registrants), (0, 1));
        assert_eq!(word(ALICE), Some((Some(master), None, 2)));
    });
}

#[test]
fn equal_content_is_kept_once_and_registered_once_by_each_account() {
    run(|| {
        registered(&expert(Form::Serving, 1), None);
        assert_noop!(register(ALICE, &expert(Form::Serving, 1), None), Error::<Test>::AlreadyRegistered);
        assert_ok!(register(BOB, &expert(Form::Serving, 1), None));
        assert_eq!((held(ALICE), held(BOB), Blocks::<Test>::iter().count()), (DEPOSIT, DEPOSIT, 2));
    });
}

#[test]
fn a_genesis_block_can_be_vouched_for_and_stays() {
    run(|| {
        let genesis = expert(Form::Serving, 0);
        assert_ok!(register_with(BOB, &genesis, [6; 32]));
        assert_noop!(register_with(BOB, &genesis, [7; 32]), Error::<Test>::AlreadyRegistered);
        let entry = Experts::block(genesis.content_hash()).unwrap();
        assert_eq!((entry.genesis, entry.registrants, entry.registered_at), (true, 1, 0));
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(BOB), genesis.content_hash()));
        assert_eq!((held(BOB), Experts::block(genesis.content_hash()).unwrap().registrants), (0, 0));
    });
}

#[test]
fn an_answer_holds_a_bounded_number_of_registrations() {
    run(|| {
        let header = expert(Form::Serving, 1);
        for who in 100..102 + u64::from(MAX_PAGE) {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 10 * DEPOSIT).unwrap();
            assert_ok!(register(who, &header, None));
        }
        assert_eq!(Experts::registrations(header.content_hash()).len(), MAX_PAGE as usize);
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
        refused(changed(|h| h.tensors[2].name = "gate".into()), Error::InvalidTensorName);
        refused(changed(|h| h.tensors[2].length -= 1), Error::InvalidTensorShape);
        refused(changed(|h| h.tensors[2].offset += 64), Error::MisplacedTensor);
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
        refused(changed(|h| h.tensors[4].shape = vec![128, 64]), Error::UnfitExpert);
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
fn a_served_expert_needs_int8_matrices_with_a_scale_for_each_channel() {
    run(|| {
        let floats = BlockHeader { form: Form::Serving, ..expert(Form::Master, 1) };
        refused(floats.clone(), Error::UnfitExpert);
        refused(BlockHeader { quantisation: Quantisation::PerChannel, ..floats }, Error::UnfitExpert);
        refused(changed(|h| h.quantisation = Quantisation::None), Error::UnfitExpert);
        refused(changed(|h| h.tensors[1].name = "gate.scales".into()), Error::UnfitExpert);
        // The bytes are the same, and what they mean is another thing.
        refused(changed(|h| h.tensors[2].layout = Layout::RowMajor), Error::UnfitExpert);
        refused(changed(|h| h.tensors[0].dtype = DType::U8), Error::InvalidTensorShape);
        refused(changed(|h| h.tensors[5].shape = vec![1, 64]), Error::UnfitExpert);
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
fn a_master_is_named_by_those_who_registered_it_and_by_all_where_it_is_of_the_genesis() {
    let genesis = entry(&expert(Form::Master, 8), None);
    genesis_ext(vec![genesis.clone()], vec![]).execute_with(|| {
        let (serving, other) = (expert(Form::Serving, 1), expert(Form::Serving, 2));
        let master = registered(&expert(Form::Master, 1), None);
        // Bob could otherwise keep Alice from her deposit.
        assert_noop!(register(BOB, &serving, Some(master)), Error::<Test>::UnknownMaster);
        assert_ok!(register(BOB, &serving, Some(genesis.0)));
        assert_ok!(register(ALICE, &other, Some(genesis.0)));
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(ALICE), master));
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(BOB), serving.content_hash()));
        Experts::do_try_state().unwrap();
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

#[test]
#[should_panic(expected = "BlockDeposit is 0")]
fn blocks_without_deposit_are_refused() {
    BlockDeposit::set(0);
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "MaxReleased is 0")]
fn heads_that_are_never_released_are_refused() {
    MostReleased::set(0);
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "HeadHistory is 0")]
fn heads_that_are_forgotten_at_once_are_refused() {
    Remembered::set(0);
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "MaxOpenRounds is 0")]
fn rounds_that_nobody_can_open_are_refused() {
    MostRounds::set(0);
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "MaxDeltaSize is 0")]
fn deltas_that_nobody_can_submit_are_refused() {
    LargestDelta::set(0);
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "MaxEndings is 0")]
fn rounds_that_never_end_are_refused() {
    MostEndings::set(0);
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "MaxEndings is too large")]
fn endings_that_fill_a_block_are_refused() {
    StartWeight::set(Weight::from_parts(1_000_000_000_000, 0));
    Experts::integrity_test();
}

#[test]
#[should_panic(expected = "MaxStanding is too small")]
fn elections_that_cannot_be_filled_are_refused() {
    MostStanding::set(crate::PRIMARIES - 1);
    Experts::integrity_test();
}
