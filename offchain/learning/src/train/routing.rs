//! Which experts tokens go to, and what these say together.

use super::{TrainError, ops::softmax};
use blyan_primitives::canonical;
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::log_softmax;

/// The experts of some tokens.
pub(super) struct Routes {
    top_k: usize,
    /// `[tokens, top_k]`, highest score first.
    chosen: Vec<u32>,
    /// `[tokens · top_k]`: weights in the same order, a part of the scores' graph.
    weights: Tensor,
}

/// One of a token's experts.
#[derive(Clone, Copy)]
struct Place {
    token: u32,
    rank: usize,
}

impl Routes {
    /// Chooses from `scores`, `[tokens, experts]`, as canonical execution does.
    ///
    /// The choice has no gradient, the weights of the chosen have one. Scores in f32 are near the canonical ones, not equal:
    /// where two experts score nearly the same, another can be chosen here than there.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] when scores are not finite.
    pub(super) fn new(scores: &Tensor, top_k: usize) -> std::result::Result<Self, TrainError> {
        let mut chosen = Vec::new();
        for scores in scores.to_vec2::<f32>()? {
            let found = canonical::choose(&scores, top_k).map_err(|_| TrainError::NotFinite)?;
            chosen.extend(found.iter().map(|(expert, _)| *expert as u32));
        }
        let places = Tensor::from_slice(&chosen, (chosen.len() / top_k, top_k), scores.device())?;
        let weights = softmax(&scores.gather(&places, 1)?)?.flatten_all()?;
        Ok(Self { top_k, chosen, weights })
    }

    /// How many tokens were sent to an expert.
    pub(super) fn tokens_of(&self, expert: usize) -> usize {
        self.chosen.iter().filter(|chosen| **chosen as usize == expert).count()
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self) -> usize {
        self.chosen.len() / self.top_k
    }

    /// What the experts say together: `y_1 + Σ w_j (y_j - y_1)` over ranks 2 and up, without those whose block is the first's.
    ///
    /// `blocks[expert]` is the expert's block, and `run(block, rows)` its output for rows of `n`, `[tokens, hidden]`.
    pub(super) fn mixture(
        &self,
        n: &Tensor,
        blocks: &[usize],
        run: impl Fn(usize, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let device = n.device();
        let distinct = blocks.iter().max().map_or(0, |most| most + 1);
        let (mut firsts, mut others) = (vec![Vec::new(); distinct], vec![Vec::new(); distinct]);
        for (token, chosen) in (0u32..).zip(self.chosen.chunks(self.top_k)) {
            let block = |rank: usize| blocks[chosen[rank] as usize];
            firsts[block(0)].push(token);
            for rank in (1..chosen.len()).filter(|rank| block(*rank) != block(0)) {
                others[block(rank)].push(Place { token, rank });
            }
        }
        // Each block runs once: first the tokens that have it first, then those that have it at another rank.
        let mut outputs = Vec::new();
        let mut together = n.zeros_like()?;
        for (block, (firsts, others)) in firsts.iter().zip(&others).enumerate() {
            let rows: Vec<u32> = firsts.iter().copied().chain(others.iter().map(|place| place.token)).collect();
            if rows.is_empty() {
                continue;
            }
            let output = run(block, &select(n, &rows)?)?;
            if !firsts.is_empty() {
                let part = output.narrow(0, 0, firsts.len())?;
                together = together.index_add(&index(firsts, device)?, &part, 0)?;
            }
            if !others.is_empty() {
                outputs.push((others, output.narrow(0, firsts.len(), others.len())?));
            }
        }
        let first = together.clone();
        for (others, output) in outputs {
            let tokens: Vec<u32> = others.iter().map(|place| place.token).collect();
            let places: Vec<u32> =
                others.iter().map(|place| place.token * self.top_k as u32 + place.rank as u32).collect();
            let weights = select(&self.weights, &places)?.unsqueeze(1)?;
            let apart = (output - select(&first, &tokens)?)?.broadcast_mul(&weights)?;
            together = together.index_add(&index(&tokens, device)?, &apart, 0)?;
        }
        Ok(together)
    }

    /// The load-balance penalty of the Switch transformer (arXiv:2101.03961): experts times the sum over them of the share of
    /// choices and the mean probability. 1 when all experts get as much, more when some get more. `scores` are those that
    /// this was chosen from.
    pub(super) fn imbalance(&self, scores: &Tensor) -> Result<Tensor> {
        let (_, experts) = scores.dims2()?;
        let share = |expert| self.tokens_of(expert) as f32 / self.chosen.len().max(1) as f32;
        let shares = Tensor::from_vec((0..experts).map(share).collect::<Vec<_>>(), experts, scores.device())?;
        (softmax(scores)?.mean(0)? * shares)?.sum_all()? * experts as f64
    }
}

/// Mean over tokens of -ln of the probability of an expert, among all of them, in nats. `scores`, `[tokens, experts]`.
pub(super) fn distance(scores: &Tensor, expert: usize) -> Result<Tensor> {
    log_softmax(scores, D::Minus1)?.narrow(1, expert, 1)?.mean_all()?.neg()
}

fn index(rows: &[u32], device: &Device) -> Result<Tensor> {
    Tensor::from_slice(rows, rows.len(), device)
}

fn select(from: &Tensor, rows: &[u32]) -> Result<Tensor> {
    from.index_select(&index(rows, from.device())?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::ops::tests::random;

    /// Experts multiply their input by a number of their own.
    fn run(block: usize, rows: &Tensor) -> Result<Tensor> {
        rows * (block as f64 + 1.5)
    }

    #[test]
    fn mixtures_are_the_canonical_ones() {
        let (tokens, hidden) = (40, 3);
        for (blocks, top_k) in
            [([0, 1, 2, 3, 4], 3), ([0, 0, 1, 1, 0], 3), ([2, 0, 1, 0, 2], 2), ([0; 5], 2), ([0, 1, 2, 3, 4], 1)]
        {
            let (scores, n) = (random(&[tokens, 5], 4), random(&[tokens, hidden], 5));
            let routes = Routes::new(&scores, top_k).unwrap();
            let mixed = routes.mixture(&n, &blocks, run).unwrap().to_vec2::<f32>().unwrap();
            let (scores, n) = (scores.to_vec2::<f32>().unwrap(), n.to_vec2::<f32>().unwrap());
            for token in 0..tokens {
                let chosen = canonical::choose(&scores[token], top_k).unwrap();
                for i in 0..hidden {
                    let output = |rank: usize| n[token][i] * (blocks[chosen[rank].0] as f32 + 1.5);
                    let others = (1..top_k).filter(|rank| blocks[chosen[*rank].0] != blocks[chosen[0].0]);
                    let expected = canonical::mixture(output(0), others.map(|rank| (chosen[rank].1, output(rank))));
                    assert!((mixed[token][i] - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn scores_that_are_not_finite_are_refused() {
        for wrong in [f32::NAN, f32::INFINITY] {
            let scores = Tensor::new(&[[0.0, 1.0], [wrong, 0.0]], &Device::Cpu).unwrap();
            assert!(matches!(Routes::new(&scores, 1), Err(TrainError::NotFinite)));
        }
    }

    #[test]
    fn distance_falls_as_the_expert_gets_likelier() {
        let scores = Tensor::new(&[[1f32, 1.0, 1.0, 1.0], [0.0, f32::ln(5.0), 0.0, 0.0]], &Device::Cpu).unwrap();
        let value = |expert| distance(&scores, expert).unwrap().to_scalar::<f32>().unwrap();
        // Probabilities of 1/4 and 5/8, of 1/4 and 1/8.
        assert!((value(1) - (32f32 / 5.0).ln() / 2.0).abs() < 1e-6);
        assert!((value(0) - 32f32.ln() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn imbalance_is_one_when_all_get_the_same() {
        let value = |scores: [[f32; 2]; 4]| {
            let scores = Tensor::new(&scores, &Device::Cpu).unwrap();
            Routes::new(&scores, 1).unwrap().imbalance(&scores).unwrap().to_scalar::<f32>().unwrap()
        };
        let even = value([[3.0, 0.0], [0.0, 3.0], [3.0, 0.0], [0.0, 3.0]]);
        assert!((even - 1.0).abs() < 1e-6);
        assert!(value([[3.0, 0.0]; 4]) > 1.8);
    }
}
