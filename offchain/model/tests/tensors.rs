//! What training takes from a model.

mod support;

use blyan_model::exec::Model;
use blyan_primitives::{
    block::{DType, Layout},
    trace::Tensor,
};
use blyan_tensorblock::{VerifiedBlock, quant::unpack_rows16k4};
use support::{awkward, blocks};

/// A matrix of a block, dequantised an element at a time.
fn matrix(block: &VerifiedBlock, name: &str, rows: u32, k: u32) -> Vec<f32> {
    let tensor = block.tensor(name).unwrap();
    tensor.expect(DType::Int8, Layout::Rows16K4, &[rows, k]).unwrap();
    let values = unpack_rows16k4(tensor.i8().unwrap(), rows as usize, k as usize).unwrap();
    let scales = block.tensor(&format!("{name}.scale")).unwrap().f32().unwrap();
    let element = |(place, value): (usize, &i8)| f32::from(*value) * scales[place / k as usize];
    values.iter().enumerate().map(element).collect()
}

#[test]
fn tensors_are_the_blocks_and_slots_know_their_blocks() {
    let d = awkward();
    // Two of five experts are the same block.
    let given = blocks(&d, 1, |layer, index| layer << 8 | index.max(1));
    let model = Model::load(given.clone()).unwrap();
    for (layer, experts) in (0u16..).zip(&given.experts) {
        for (index, block) in (0u16..).zip(experts) {
            assert_eq!(model.block_of(layer, index), Some(block.hash()));
            assert_eq!(model.dequantise(Tensor::Up(layer, index)), matrix(block, "up", d.ffn, d.hidden));
            assert_eq!(model.dequantise(Tensor::Down(layer, index)), matrix(block, "down", d.hidden, d.ffn));
        }
        let keys = u32::from(d.kv_heads * d.head_dim);
        assert_eq!(model.dequantise(Tensor::Key(layer)), matrix(&given.trunk, &format!("{layer}.k"), keys, d.hidden));
        let floats = |block: &VerifiedBlock, name: &str| block.tensor(name).unwrap().f32().unwrap().to_vec();
        assert_eq!(model.dequantise(Tensor::Router(layer)), floats(&given.router, &format!("{layer}.router")));
        assert_eq!(model.dequantise(Tensor::KeyNorm(layer)), floats(&given.trunk, &format!("{layer}.k_norm")));
    }
    assert_eq!(model.dequantise(Tensor::Head), matrix(&given.trunk, "head", d.vocab, d.hidden));
}

#[test]
fn what_a_model_lacks_is_nothing() {
    let model = Model::load(support::tiny_blocks()).unwrap();
    assert_eq!((model.block_of(2, 0), model.block_of(0, 4)), (None, None));
    for tensor in [
        Tensor::Gate(2, 0),
        Tensor::Gate(0, 4),
        Tensor::Query(2),
        Tensor::Router(2),
        Tensor::QueryNorm(0),
        Tensor::KeyNorm(9),
    ] {
        assert!(model.dequantise(tensor).is_empty(), "{tensor:?}");
    }
    // The output matrix is the embedding.
    assert_eq!(model.dequantise(Tensor::Head), model.dequantise(Tensor::Embed));
}
