use crate::{mock::*, Blocks, Head};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, BlockRecord, Form},
    ids::{ContentHash, SlotId},
    traits::SlotHeads,
};
use std::panic::catch_unwind;

type Entries = Vec<(ContentHash, BlockRecord)>;

fn refused(blocks: Entries, heads: Vec<(SlotId, ContentHash)>, reason: &str) {
    let panic = catch_unwind(|| genesis_ext(blocks, heads)).err().unwrap();
    let message = panic.downcast::<String>().unwrap();
    assert!(message.contains(reason), "{message}");
}

#[test]
fn a_genesis_model_is_registered_without_deposits_and_counted() {
    let master = entry(&expert(Form::Master, 1), None);
    let serving = entry(&expert(Form::Serving, 1), Some(master.0));
    let heads = vec![(slot(0, 0), serving.0), (slot(0, 1), serving.0)];
    genesis_ext(vec![serving.clone(), master.clone()], heads).execute_with(|| {
        assert_eq!(Experts::head(slot(0, 1)), Some(Head { block: serving.0, since: 0, moves: 0 }));
        let uses = [serving.0, master.0].map(|hash| Blocks::<Test>::get(hash).unwrap().uses);
        assert_eq!(uses, [2, 1]);
        let entry = Experts::block(master.0).unwrap();
        assert!(entry.genesis && entry.registrants == 0);
        // The chain itself vouches for the lineage of its genesis.
        assert_eq!(Experts::block(serving.0).unwrap().record.master, Some(master.0));
        assert_eq!(Experts::filled(LINEAGE, 0), 2);
        Experts::do_try_state().unwrap();
    });
}

#[test]
fn a_master_that_is_registered_after_genesis_belongs_to_who_registered_it() {
    run(|| {
        let block = registered(&expert(Form::Master, 0), None);
        assert_eq!(Experts::block(block).unwrap().uses, 0);
        Experts::do_try_state().unwrap();
        Experts::unregister(RuntimeOrigin::signed(ALICE), block).unwrap();
    });
}

#[test]
fn a_contradictory_genesis_does_not_start() {
    let master = entry(&expert(Form::Master, 1), None);
    let serving = entry(&expert(Form::Serving, 1), None);
    refused(vec![serving.clone(), serving.clone()], vec![], "given twice");
    refused(vec![serving.clone()], vec![(slot(0, 0), serving.0); 2], "filled twice");
    refused(vec![serving.clone()], vec![(slot(0, 1), serving.0)], "before the one in front of it");
    refused(vec![], vec![(slot(0, 0), serving.0)], "not the serving form of an expert");
    refused(vec![master.clone()], vec![(slot(0, 0), master.0)], "not the serving form of an expert");
    let floats = entry(&BlockHeader { form: Form::Serving, ..expert(Form::Master, 4) }, None);
    refused(vec![floats.clone()], vec![(slot(0, 0), floats.0)], "not the serving form of an expert");
    let of_serving = entry(&expert(Form::Serving, 2), Some(serving.0));
    refused(vec![serving, of_serving], vec![], "cannot be derived from");
    let trunk = entry(&header(BlockKind::Trunk, Form::Serving, &[("x", &[4])], 3), Some(master.0));
    refused(vec![master, trunk], vec![], "cannot be derived from");
}
