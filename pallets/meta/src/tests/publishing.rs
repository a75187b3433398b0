use crate::{mock::*, Error, Event, Specs, Status};
use blyan_primitives::{
    block::{BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation},
    spec::{F32Bits, ModelSpec, Name},
    traits::BlockRegistry,
    version::SemVer,
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchError::BadOrigin;

fn publish(spec: ModelSpec) -> sp_runtime::DispatchResult {
    Meta::publish(RuntimeOrigin::root(), spec)
}

fn refused(spec: ModelSpec, error: Error<Test>) {
    assert_noop!(publish(spec), error);
}

#[test]
fn a_spec_is_published_under_the_hash_of_its_content() {
    run(|| {
        let spec = spec("0.1.0");
        assert_ok!(publish(spec.clone()));
        let record = Specs::<Test>::get(spec.id()).unwrap();
        assert_eq!((record.status, record.lineage, record.published_at), (Status::Published, spec.id(), 1));
        System::assert_last_event(
            Event::Published { spec: spec.id(), lineage: spec.id(), version: SemVer::new(0, 1, 0) }.into(),
        );
        assert_eq!(record.spec, spec);
    });
}

#[test]
fn only_governance_publishes() {
    run(|| {
        assert_noop!(Meta::publish(RuntimeOrigin::signed(1), spec("0.1.0")), BadOrigin);
    });
}

#[test]
fn a_spec_is_published_once() {
    run(|| {
        assert_ok!(publish(spec("0.1.0")));
        refused(spec("0.1.0"), Error::AlreadyPublished);
    });
}

#[test]
fn unsound_specs_are_refused_by_name() {
    run(|| {
        let changed = |change: fn(&mut ModelSpec)| {
            let mut spec = spec("0.1.0");
            change(&mut spec);
            spec
        };
        refused(changed(|s| s.dimensions.top_k = 5), Error::InvalidDimensions);
        refused(changed(|s| s.dimensions.rope_theta = F32Bits::new(f32::INFINITY)), Error::InvalidDimensions);
        refused(changed(|s| s.compatible.min = SemVer::new(0, 1, 1)), Error::InvalidRange);
        let nameless = codec::Decode::decode(&mut [0u8; 64].as_slice()).unwrap();
        refused(ModelSpec { name: nameless, ..spec("0.1.0") }, Error::InvalidName);
    });
}

#[test]
fn a_successor_stays_in_its_parents_lineage() {
    run(|| {
        let first = spec("0.1.0");
        let second = child(&first, "0.1.1");
        let third = child(&second, "0.2.0");
        for spec in [&first, &second, &third] {
            assert_ok!(publish(spec.clone()));
            assert_eq!(Specs::<Test>::get(spec.id()).unwrap().lineage, first.id());
        }
    });
}

#[test]
fn a_successor_needs_a_parent_on_chain_that_is_older_and_of_the_same_expert_shape() {
    run(|| {
        let parent = spec("0.1.0");
        refused(child(&parent, "0.1.1"), Error::UnknownParent);
        assert_ok!(publish(parent.clone()));
        refused(child(&parent, "0.1.0"), Error::VersionNotNewer);
        refused(child(&parent, "0.0.9"), Error::VersionNotNewer);
        let mut wider = child(&parent, "0.1.1");
        wider.dimensions.ffn = 256;
        refused(wider, Error::ExpertShapeChanged);
        let mut deeper = child(&parent, "0.1.1");
        deeper.dimensions.layers = 3;
        assert_ok!(publish(deeper));
    });
}

#[test]
fn the_blocks_of_a_spec_must_be_registered_and_suit_it() {
    run(|| {
        Registered::mutate(|blocks| blocks.remove(&TRUNK));
        refused(spec("0.1.0"), Error::UnknownBlock);
        for unsuitable in [
            record(BlockKind::Router, &[259, 64]),
            BlockRecord { form: Form::Master, ..trunk() },
            BlockRecord { payload: PayloadType::Eeb, ..trunk() },
            BlockRecord { dtype: DType::F32, layout: Layout::RowMajor, ..trunk() },
            BlockRecord { quantisation: Quantisation::None, ..trunk() },
            // Of another vocabulary, of another width, and of a shallower model.
            record(BlockKind::Trunk, &[260, 64]),
            record(BlockKind::Trunk, &[259, 128]),
            BlockRecord { tensors: 13, ..trunk() },
        ] {
            Blocks::register(TRUNK, unsuitable);
            refused(spec("0.1.0"), Error::UnsuitableBlock);
        }
        Blocks::register(TRUNK, trunk());
        for unsuitable in [&[5, 64], &[4, 128]].map(|shape| record(BlockKind::Router, shape)) {
            Blocks::register(ROUTER, unsuitable);
            refused(spec("0.1.0"), Error::UnsuitableBlock);
        }
        Blocks::register(ROUTER, record(BlockKind::Router, &[4, 64]));
        Blocks::register(TOKENIZER, BlockRecord { dtype: DType::F32, ..record(BlockKind::Tokenizer, &[3000]) });
        refused(spec("0.1.0"), Error::UnsuitableBlock);
        Blocks::register(TOKENIZER, record(BlockKind::Tokenizer, &[3000]));
        assert_ok!(publish(spec("0.1.0")));
    });
}

#[test]
fn a_published_spec_uses_its_blocks() {
    run(|| {
        assert_ok!(publish(spec("0.1.0")));
        assert_ok!(publish(spec("0.2.0")));
        assert_eq!([TOKENIZER, TRUNK, ROUTER].map(Blocks::uses), [2; 3]);
        assert!(Blocks::block(TRUNK).is_some());
        Blocks::set_uses(ROUTER, u32::MAX);
        assert_eq!(publish(spec("0.3.0")), Err(Error::<Test>::TooManyUses.into()));
    });
}

#[test]
fn names_are_part_of_the_content() {
    run(|| {
        assert_ok!(publish(spec("0.1.0")));
        assert_ok!(publish(ModelSpec { name: Name::new("other").unwrap(), ..spec("0.1.0") }));
    });
}
