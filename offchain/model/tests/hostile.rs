//! Weights from a stranger: refused by name where they are no model, and harmless where they are a bad one.

mod support;

use blyan_model::exec::{Engine, EngineConfig, ExecError, LoadError, Model, ModelBlocks};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, PayloadType, Quantisation},
    receipt::Sampling,
    spec::{Dimensions, F32Bits, SpecError},
};
use blyan_tensorblock::{Block, BlockBuilder, BlockError, VerifiedBlock, quant::pack_rows16k4};
use std::sync::Arc;
use support::{awkward, blocks, tweaked};

fn sound() -> ModelBlocks {
    blocks(&awkward(), 30, |layer, index| layer * 10 + index)
}

fn refused(blocks: ModelBlocks) -> LoadError {
    Model::load(blocks).unwrap_err()
}

#[test]
fn a_spec_that_is_unsound_is_refused() {
    let mut model = sound();
    model.spec.dimensions.kv_heads = 0;
    assert!(matches!(refused(model), LoadError::Spec(SpecError::Dimensions)));
    let mut model = sound();
    model.spec.dimensions.rope_theta = F32Bits::new(0.5);
    assert!(matches!(refused(model), LoadError::Spec(SpecError::Dimensions)));
}

#[test]
fn blocks_that_the_spec_does_not_name_are_refused() {
    let other = blocks(&awkward(), 31, |_, _| 0);
    let mut model = sound();
    model.trunk = other.trunk;
    assert!(matches!(refused(model), LoadError::WrongBlock { part: BlockKind::Trunk, .. }));
    let mut model = sound();
    model.router = other.router;
    assert!(matches!(refused(model), LoadError::WrongBlock { part: BlockKind::Router, .. }));
}

#[test]
fn a_block_in_the_wrong_place_is_refused() {
    let mut model = sound();
    model.experts[1][2] = model.router.clone();
    let LoadError::Kind { expected: BlockKind::Expert, found: BlockKind::Router, hash, .. } = refused(model) else {
        panic!("another error")
    };
    assert_eq!(hash, sound().router.hash());
}

/// The block with byte `at` of its file changed, under the name that it then has.
fn changed(block: &VerifiedBlock, at: usize, value: u8) -> VerifiedBlock {
    let mut bytes = block.file_bytes().to_vec();
    bytes[at] = value;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Block::open(file.path()).unwrap().verify(1).unwrap()
}

#[test]
fn blocks_that_do_not_hold_tensors_are_refused() {
    // The payload's type is the header's first byte, the header comes after the prefix of 16 bytes.
    let engine = |block: &VerifiedBlock| changed(block, 16, 1);
    let mut model = sound();
    model.trunk = engine(&model.trunk);
    model.spec.trunk = model.trunk.hash();
    assert!(matches!(refused(model), LoadError::Payload { found: PayloadType::Eeb, .. }));
    let mut model = sound();
    model.experts[2][4] = engine(&model.experts[2][4]);
    let hash = model.experts[2][4].hash();
    assert!(matches!(refused(model), LoadError::Payload { hash: named, .. } if named == hash));
}

#[test]
fn weights_that_hide_bytes_in_their_padding_are_refused() {
    let d = awkward();
    let (rows, k) = (d.ffn as usize, d.hidden as usize);
    let expert = |fill: i8| {
        let mut block = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
        for (name, rows, k) in [("gate", rows, k), ("up", rows, k), ("down", k, rows)] {
            let mut packed = pack_rows16k4(&vec![1; rows * k], rows, k).unwrap();
            *packed.last_mut().unwrap() = if name == "up" { fill } else { 0 };
            block.tensor(name, DType::Int8, Layout::Rows16K4, &[rows as u32, k as u32], packed).unwrap();
            let scale = format!("{name}.scale");
            block.tensor(&scale, DType::F32, Layout::RowMajor, &[rows as u32], vec![0.5f32; rows]).unwrap();
        }
        block.finish().unwrap().into_block().unwrap()
    };
    let mut model = sound();
    model.experts[0][1] = expert(0);
    Model::load(model.clone()).unwrap();
    model.experts[0][1] = expert(5);
    assert!(matches!(refused(model), LoadError::Tensor(BlockError::TensorPadding { .. })));
}

#[test]
fn missing_and_surplus_experts_are_refused() {
    let mut model = sound();
    model.experts[2].pop();
    assert!(matches!(refused(model), LoadError::Slots { found, .. } if found == [5, 5, 4]));
    let mut model = sound();
    model.experts.pop();
    assert!(matches!(refused(model), LoadError::Slots { layers: 3, experts: 5, .. }));
}

#[test]
fn tensors_of_another_shape_are_refused() {
    let narrow = blocks(&Dimensions { ffn: 99, ..awkward() }, 30, |layer, index| layer * 10 + index);
    let mut model = sound();
    model.experts[0][0] = narrow.experts[0][0].clone();
    assert!(matches!(refused(model), LoadError::Tensor(BlockError::Mismatch { .. })));
    let mut model = sound();
    model.spec.dimensions.layers = 4;
    model.experts.push(model.experts[0].clone());
    assert!(matches!(refused(model), LoadError::Tensor(BlockError::NoTensor { .. })));
}

#[test]
fn floats_that_are_no_numbers_are_refused_by_name() {
    for (tensor, bad) in [
        ("norm", f32::NAN),
        ("embed.scale", f32::INFINITY),
        ("2.router", f32::NEG_INFINITY),
        ("1.q_norm", f32::NAN),
        ("down.scale", f32::NAN),
    ] {
        let model = tweaked(&awkward(), 30, |_, _| 1, &|name, values| {
            if name == tensor {
                values[3] = bad;
            }
        });
        let LoadError::NotFinite { name, index, .. } = refused(model) else { panic!("another error") };
        assert_eq!((name.as_str(), index), (tensor, 3));
    }
}

/// A model whose tensor `tensor` is `factor` times too large.
fn scaled(tensor: &'static str, factor: f32) -> Engine {
    let blocks = tweaked(&awkward(), 30, |layer, index| layer * 10 + index, &|name, values| {
        if name == tensor {
            values.iter_mut().for_each(|value| *value *= factor);
        }
    });
    Engine::new(Arc::new(Model::load(blocks).unwrap()), EngineConfig { threads: 2, ..EngineConfig::default() }).unwrap()
}

#[test]
fn weights_that_overflow_end_the_session_by_name() {
    for (tensor, factor, layer, what) in [
        ("1.v.scale", 1e36, 1, "expert input"),
        ("1.q_norm", 1e38, 1, "attention output"),
        ("up.scale", 3e38, 0, "expert"),
        ("2.router", 1e38, 2, "router scores"),
        ("head.scale", 3e38, 3, "logits"),
    ] {
        let engine = scaled(tensor, factor);
        let mut session = engine.session(&[1, 2, 3], Sampling::GREEDY, 4).unwrap();
        // Logits are not looked at before the last token of the prompt.
        let error = match engine.prefill(&mut session, 10) {
            Err(error) => error,
            Ok(progress) => {
                assert!(progress.is_done());
                engine.decode(&mut [&mut session]).remove(0).expect_err(tensor)
            },
        };
        let position = if what == "logits" { 2 } else { 0 };
        assert_eq!(error, ExecError::NotFinite { position, layer, what }, "{tensor}");
        // The same again, not a panic or another state.
        assert_eq!(session.commitments().len(), position);
        assert!(session.output().is_empty());
    }
}

#[test]
fn a_stranger_whose_token_overflows_does_not_harm_the_batch() {
    let poisoned = 7u32;
    let blocks = |tweak: bool| {
        tweaked(&awkward(), 33, |layer, index| layer * 10 + index, &|name, values| {
            if tweak && name == "embed.scale" {
                // The largest weight of a row is ±127, so that the embedding of this token is infinite.
                values[poisoned as usize] = f32::MAX;
            }
        })
    };
    let engine = |tweak| {
        let model = Arc::new(Model::load(blocks(tweak)).unwrap());
        Engine::new(model, EngineConfig { threads: 2, ..EngineConfig::default() }).unwrap()
    };
    let (engine, clean) = (engine(true), engine(false));
    let start = |engine: &Engine, prompt: &[u32]| engine.session(prompt, Sampling::GREEDY, 6).unwrap();
    let (mut bad, mut good) = (start(&engine, &[poisoned]), start(&engine, &[3]));
    let mut alone = start(&clean, &[3]);
    for step in 0..6 {
        let results = engine.decode(&mut [&mut bad, &mut good]);
        let what = "attention input";
        assert_eq!(results[0], Err(ExecError::NotFinite { position: 0, layer: 0, what }));
        let expected = clean.decode(&mut [&mut alone]).remove(0).unwrap();
        assert_eq!(results[1], Ok(expected), "step {step}");
        if expected == poisoned {
            break;
        }
    }
}
