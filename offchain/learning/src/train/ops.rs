//! Operations of the network with gradients of their own.
//!
//! candle's fused softmax, RMSNorm and rotary embedding have no backward pass and cut the graph silently, and its product of
//! matrices computes the gradients of both, that of a frozen one for nothing. Here an operation is computed without a graph
//! and joined to it with the function that takes the gradient of its output to that of its input.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, D, Error, Layout, MetalStorage, Result, Shape, Tensor, backend::BackendStorage,
};
use candle_nn::{ops, rotary_emb};

/// An output that was computed already, and how its gradient goes on.
struct Given<F>(F);

impl<F> Given<F> {
    fn take<S: BackendStorage>(output: &S, layout: &Layout) -> Result<(S, Shape)> {
        // What is copied is the memory, not what a layout shows of it.
        if layout.contiguous_offsets() != Some((0, layout.shape().elem_count())) {
            return Err(Error::Msg("an output that is joined to a graph has to own its memory".into()));
        }
        Ok((output.try_clone(layout)?, layout.shape().clone()))
    }
}

impl<F: Fn(&Tensor) -> Result<Tensor>> CustomOp2 for Given<F> {
    fn name(&self) -> &'static str {
        "given"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, output: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Self::take(output, layout)
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        output: &CudaStorage,
        layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Self::take(output, layout)
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        output: &MetalStorage,
        layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Self::take(output, layout)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some((self.0)(gradient)?), None))
    }
}

/// `output`, which was computed from `input` without a graph, as a part of the graph: `pullback` takes the gradient of the
/// output to that of the input. It must hold no tensor that has a graph.
pub(super) fn join(
    input: &Tensor,
    output: Tensor,
    pullback: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if input.track_op() { input.apply_op2(&output, Given(pullback)) } else { Ok(output) }
}

/// A frozen linear layer: `x`, `[n, k]`, times the transpose of `weights`, `[rows, k]`.
pub(super) fn linear(x: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let output = x.detach().matmul(&weights.t()?)?;
    let weights = weights.clone();
    join(x, output, move |gradient| gradient.matmul(&weights))
}

/// RMSNorm over the last dimension, with a frozen gain.
pub(super) fn norm(x: &Tensor, gain: &Tensor, eps: f32) -> Result<Tensor> {
    let input = x.detach().contiguous()?;
    let output = ops::rms_norm(&input, gain, eps)?;
    let gain = gain.clone();
    join(x, output, move |gradient| {
        let factor = (input.sqr()?.mean_keepdim(D::Minus1)? + f64::from(eps))?.sqrt()?.recip()?;
        let (normed, gradient) = (input.broadcast_mul(&factor)?, gradient.broadcast_mul(&gain)?);
        let along = (&normed * &gradient)?.mean_keepdim(D::Minus1)?;
        (gradient - normed.broadcast_mul(&along)?)?.broadcast_mul(&factor)
    })
}

/// Rotary embedding of halves: `x`, `[batch, heads, tokens, dim]`, with `[tokens, dim / 2]` cosines and sines.
pub(super) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let output = rotary_emb::rope(&x.detach().contiguous()?, cos, sin)?;
    let (cos, back) = (cos.clone(), sin.neg()?);
    join(x, output, move |gradient| rotary_emb::rope(&gradient.contiguous()?, &cos, &back))
}

/// Softmax over the last dimension.
pub(super) fn softmax(x: &Tensor) -> Result<Tensor> {
    let output = ops::softmax_last_dim(&x.detach().contiguous()?)?;
    let shares = output.clone();
    join(x, output, move |gradient| {
        let along = (gradient * &shares)?.sum_keepdim(D::Minus1)?;
        gradient.broadcast_sub(&along)? * &shares
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::train::draws::{Draws, Stream};
    use candle_core::{Device, Var};

    pub(crate) fn random(shape: &[usize], stream: u64) -> Tensor {
        let mut draws = Draws::new(1, Stream::Factor(stream));
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draws.uniform()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Compares output and gradient of an operation with those of the same one, composed of operations that candle
    /// differentiates.
    fn same_gradients(
        shape: &[usize],
        ours: impl Fn(&Tensor) -> Result<Tensor>,
        composed: impl Fn(&Tensor) -> Result<Tensor>,
    ) {
        let x = Var::from_tensor(&random(shape, 0)).unwrap();
        let gradient = |output: Tensor| {
            let weights = random(output.dims(), 9);
            let sum = (&output * weights).unwrap().sum_all().unwrap();
            let gradient = sum.backward().unwrap().remove(&x).unwrap();
            (output, gradient)
        };
        let (ours, composed) = (gradient(ours(&x).unwrap()), gradient(composed(&x).unwrap()));
        for (a, b) in [(&ours.0, &composed.0), (&ours.1, &composed.1)] {
            let most = |x: Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(most((a - b).unwrap()) < 2e-6);
            assert!(most(b.clone()) > 0.05);
        }
    }

    #[test]
    fn gradients_are_those_of_the_composed_forms() {
        let weights = random(&[5, 7], 1);
        same_gradients(&[3, 7], |x| linear(x, &weights), |x| x.matmul(&weights.t()?));
        let gain = random(&[7], 2);
        let composed = |x: &Tensor| {
            let factor = (x.sqr()?.mean_keepdim(D::Minus1)? + 1e-3)?.sqrt()?;
            x.broadcast_div(&factor)?.broadcast_mul(&gain)
        };
        same_gradients(&[3, 7], |x| norm(x, &gain, 1e-3), composed);
        let angles = random(&[4, 3], 3);
        let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
        same_gradients(&[2, 3, 4, 6], |x| rotate(x, &cos, &sin), |x| rotary_emb::rope_slow(x, &cos, &sin));
        same_gradients(&[2, 4, 5], softmax, |x| ops::softmax(x, D::Minus1));
    }

    #[test]
    fn a_frozen_input_makes_no_graph() {
        let (x, weights) = (random(&[3, 7], 0), random(&[5, 7], 1));
        assert!(!linear(&x, &weights).unwrap().track_op());
        assert!(linear(&Var::from_tensor(&x).unwrap(), &weights).unwrap().track_op());
    }
}
