//! The loss of next tokens, with its gradient, in memory for a few positions' logits.

use super::ops::join;
use candle_core::{D, Result, Tensor};

/// Positions whose logits are there at a time.
const ROWS: usize = 128;

/// Loss of the next tokens.
pub(super) struct Loss {
    /// The weighted sum over positions, in nats: a scalar of the graph of the final states.
    pub(super) sum: Tensor,
    /// `[n]`: each position's own, without its weight.
    pub(super) positions: Vec<f32>,
}

/// The loss of `targets`, `[n]`, after final states `x`, `[n, hidden]`, with the frozen output matrix `head`,
/// `[vocab, hidden]`, each position with its weight, `[n]`.
///
/// A whole batch's logits and their gradients would be the largest tensors of a run by far. As the weight of each position is
/// known, the gradient of the states can be computed while the logits of a few are there.
pub(super) fn next_token(x: &Tensor, head: &Tensor, targets: &Tensor, weights: &Tensor) -> Result<Loss> {
    let (n, _) = x.dims2()?;
    let states = x.detach().contiguous()?;
    let transposed = head.t()?;
    let (mut positions, mut gradients) = (Vec::new(), Vec::new());
    for start in (0..n).step_by(ROWS) {
        let rows = ROWS.min(n - start);
        let state = states.narrow(0, start, rows)?;
        let wanted = head.index_select(&targets.narrow(0, start, rows)?, 0)?;
        let logits = state.matmul(&transposed)?;
        let most = logits.max_keepdim(D::Minus1)?;
        let shares = logits.broadcast_sub(&most)?.exp()?;
        let total = shares.sum_keepdim(D::Minus1)?;
        let wanted_logit = (&state * &wanted)?.sum_keepdim(D::Minus1)?;
        positions.push(((total.log()? + most)? - wanted_logit)?.squeeze(1)?);
        if x.track_op() {
            let mean = shares.matmul(head)?.broadcast_div(&total)?;
            gradients.push((mean - wanted)?.broadcast_mul(&weights.narrow(0, start, rows)?.unsqueeze(1)?)?);
        }
    }
    let positions = Tensor::cat(&positions, 0)?;
    let mut sum = (&positions * weights)?.sum_all()?;
    if !gradients.is_empty() {
        let gradients = Tensor::cat(&gradients, 0)?;
        sum = join(x, sum, move |gradient| gradients.broadcast_mul(gradient))?;
    }
    Ok(Loss { sum, positions: positions.to_vec1()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::ops::tests::random;
    use candle_core::{Device, Var};
    use candle_nn::ops::log_softmax;

    #[test]
    fn loss_and_gradient_are_those_of_log_softmax() {
        // More than one piece of rows, the last not full.
        let n = ROWS + 3;
        let x = Var::from_tensor(&(random(&[n, 6], 0) * 3.0).unwrap()).unwrap();
        let head = random(&[11, 6], 1);
        let targets = Tensor::from_vec((0..n as u32).map(|i| i * 7 % 11).collect::<Vec<_>>(), n, &Device::Cpu).unwrap();
        let weights = random(&[n], 2);

        let ours = next_token(&x, &head, &targets, &weights).unwrap();
        let logits = x.matmul(&head.t().unwrap()).unwrap();
        let likely = log_softmax(&logits, 1).unwrap().gather(&targets.unsqueeze(1).unwrap(), 1).unwrap();
        let losses = likely.squeeze(1).unwrap().neg().unwrap();
        let sum = (&losses * &weights).unwrap().sum_all().unwrap();

        let most_apart =
            |a: &Tensor, b: &Tensor| (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        let positions = Tensor::new(ours.positions.as_slice(), &Device::Cpu).unwrap();
        assert!(most_apart(&positions, &losses) < 2e-6);
        assert!(most_apart(&ours.sum, &sum) < 1e-4);
        let gradient = |sum: &Tensor| sum.backward().unwrap().remove(&x).unwrap();
        assert!(most_apart(&gradient(&ours.sum), &gradient(&sum)) < 2e-6);
        assert!(!next_token(&x.detach(), &head, &targets, &weights).unwrap().sum.track_op());
    }
}
