use crate::{mock::*, ActiveSpecs};
use blyan_primitives::{
    block::{BlockKind, BlockRecord, DType},
    ids::SlotId,
    spec::ModelSpec,
};
use polkadot_sdk::*;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The genesis of a chain with `spec`, or what it panics with.
fn build(spec: ModelSpec) -> Result<sp_io::TestExternalities, String> {
    catch_unwind(AssertUnwindSafe(|| genesis_ext(Some(spec)))).map_err(|panic| match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().map(|message| message.to_string()).unwrap(),
    })
}

fn refused(spec: ModelSpec, reason: &str) {
    let message = build(spec).err().unwrap();
    assert!(message.contains(reason), "{message}");
}

#[test]
fn a_chain_can_start_without_a_model() {
    run(|| assert!(ActiveSpecs::<Test>::get().is_empty()));
}

#[test]
fn a_genesis_spec_is_active_from_the_start() {
    drop(new_test_ext());
    let spec = spec("0.1.0");
    Blocks::fill(&spec);
    build(spec.clone()).unwrap().execute_with(|| {
        assert_eq!(ActiveSpecs::<Test>::get().into_inner(), vec![spec.id()]);
        assert_eq!(Blocks::uses(TRUNK), 1);
        Meta::do_try_state().unwrap();
    });
}

#[test]
fn a_contradictory_genesis_does_not_start() {
    drop(new_test_ext());
    let spec = spec("0.1.0");
    refused(child(&spec, "0.2.0"), "names a parent");
    refused(spec.clone(), "has no head that fits");

    Blocks::fill(&spec);
    Blocks::register(EXPERT, record(BlockKind::Expert, &[64, 128]));
    refused(spec.clone(), "has no head that fits");

    Blocks::fill(&spec);
    Blocks::register(EXPERT, BlockRecord { dtype: DType::F32, ..record(BlockKind::Expert, &[128, 64]) });
    refused(spec.clone(), "has no head that fits");

    Blocks::fill(&spec);
    SlotHeadsMap::mutate(|heads| heads.remove(&SlotId { lineage: spec.id(), layer: 1, index: 3 }));
    refused(spec.clone(), "/1/3 of the genesis spec has no head that fits");

    Blocks::fill(&spec);
    Registered::mutate(|blocks| blocks.remove(&ROUTER));
    refused(spec, "UnknownBlock");
}
