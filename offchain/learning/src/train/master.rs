//! The exact weights that a serving form was made of.

use super::{TrainError, parameters::Matrices};
use crate::delta::Shape;
use blyan_primitives::block::{DType, Form, Layout};
use blyan_tensorblock::{VerifiedBlock, quant::quantise_rows};
use candle_core::{Device, Tensor};

/// The weights of `master`, which has to be the block that `serving`, `[rows, k]` each, was made of.
pub(super) fn weights(
    master: &VerifiedBlock,
    shapes: Matrices<Shape>,
    serving: &Matrices<Tensor>,
    device: &Device,
) -> Result<Matrices<Tensor>, TrainError> {
    let hash = master.hash();
    if master.header().form != Form::Master {
        return Err(TrainError::NotTheMaster(hash));
    }
    let read = |name: &str, Shape { rows, k }: Shape, serving: &Tensor| {
        let view = master.tensor(name)?;
        view.expect(DType::F32, Layout::RowMajor, &[rows as u32, k as u32])?;
        let weights = view.f32()?;
        let quantised = quantise_rows(weights, rows, k).map_err(|_| TrainError::NotTheMaster(hash))?;
        let scaled = quantised.values.chunks_exact(k).zip(&quantised.scales);
        let derived = scaled.flat_map(|(values, scale)| values.iter().map(move |value| f32::from(*value) * scale));
        match derived.eq(serving.flatten_all()?.to_vec1::<f32>()?) {
            true => Ok(Tensor::from_slice(weights, (rows, k), device)?),
            false => Err(TrainError::NotTheMaster(hash)),
        }
    };
    Ok(Matrices {
        gate: read("gate", shapes.gate, &serving.gate)?,
        up: read("up", shapes.up, &serving.up)?,
        down: read("down", shapes.down, &serving.down)?,
    })
}
