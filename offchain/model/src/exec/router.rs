//! Which experts a token goes to, and which tokens an expert gets.

use super::quant::NotFinite;
use crate::math::exp;

/// One of a token's experts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Choice {
    /// Its block's place in the layer's distinct blocks.
    pub(crate) block: usize,
    /// Its weight; a token's weights sum to one, but for rounding.
    pub(crate) weight: f32,
    /// Row of the expert's output for this token.
    pub(crate) slot: usize,
}

/// Chooses the `choices.len()` experts with the highest scores, the lower index where scores are equal, highest first, and
/// weighs them by the softmax of their scores: `exp(score - highest)` over the sum of those, added in order of rank.
///
/// `blocks[i]` is the block of expert `i`. Slots are left to [`Plan::assign`].
pub(crate) fn choose(scores: &mut [f32], blocks: &[usize], choices: &mut [Choice]) -> Result<(), NotFinite> {
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(NotFinite);
    }
    let mut highest = 0.0;
    let mut sum = 0.0;
    for (rank, choice) in choices.iter_mut().enumerate() {
        let mut best = 0;
        for (i, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = i;
            }
        }
        let score = core::mem::replace(&mut scores[best], f32::NEG_INFINITY);
        if rank == 0 {
            highest = score;
        }
        let weight = exp(score - highest);
        sum += weight;
        *choice = Choice { block: blocks[best], weight, slot: 0 };
    }
    for choice in choices {
        choice.weight /= sum;
    }
    Ok(())
}

/// The tokens of a step, grouped by the expert blocks they go to.
///
/// A slot is a pair of a token and a distinct block that it goes to: what has to be computed. Slots of one block are
/// consecutive.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For each slot, its token.
    pub(crate) tokens: Vec<u32>,
    /// For each block that gets tokens, its place in the layer's distinct blocks.
    pub(crate) blocks: Vec<usize>,
    /// Slots of `blocks[i]` are `bounds[i]..bounds[i + 1]`.
    pub(crate) bounds: Vec<usize>,
    /// First free slot of each of the layer's blocks.
    next: Vec<usize>,
}

impl Plan {
    /// Room for `slots` slots of layers with at most `blocks` distinct blocks.
    pub(crate) fn new(slots: usize, blocks: usize) -> Self {
        Self {
            tokens: Vec::with_capacity(slots),
            blocks: Vec::with_capacity(blocks),
            bounds: Vec::with_capacity(blocks + 1),
            next: Vec::with_capacity(blocks),
        }
    }

    /// Groups tokens, `top_k` choices to each, and tells each choice its slot. `blocks` is the layer's number of blocks.
    pub(crate) fn assign(&mut self, choices: &mut [Choice], top_k: usize, blocks: usize) {
        self.next.clear();
        self.next.resize(blocks, 0);
        // The first of a token's choices that names a block stands for all of them.
        for token in choices.chunks_exact(top_k) {
            for (rank, choice) in token.iter().enumerate() {
                if !token[..rank].iter().any(|earlier| earlier.block == choice.block) {
                    self.next[choice.block] += 1;
                }
            }
        }
        self.blocks.clear();
        self.bounds.clear();
        let mut end = 0;
        for (block, count) in self.next.iter_mut().enumerate() {
            if *count > 0 {
                self.blocks.push(block);
                self.bounds.push(end);
                (*count, end) = (end, end + *count);
            }
        }
        self.bounds.push(end);
        self.tokens.clear();
        self.tokens.resize(end, 0);
        for (token, choices) in choices.chunks_exact_mut(top_k).enumerate() {
            for rank in 0..top_k {
                let (earlier, rest) = choices.split_at_mut(rank);
                let choice = &mut rest[0];
                choice.slot = match earlier.iter().find(|earlier| earlier.block == choice.block) {
                    Some(earlier) => earlier.slot,
                    None => {
                        let slot = self.next[choice.block];
                        self.next[choice.block] += 1;
                        self.tokens[slot] = token as u32;
                        slot
                    },
                };
            }
        }
    }
}

/// Adds to `x` what a token's experts say: `y_first + Σ w_i (y_i - y_first)` over the other choices in order of rank.
///
/// `outputs` is `[slots, x.len()]`. A choice whose block is the first's would add exactly zero and is left out.
pub(crate) fn combine(choices: &[Choice], outputs: &[f32], x: &mut [f32]) {
    const LANES: usize = 16;
    let Some((first, others)) = choices.split_first() else { return };
    let width = x.len();
    for (chunk, x) in x.chunks_mut(LANES).enumerate() {
        let output = |slot: usize| &outputs[slot * width + chunk * LANES..][..x.len()];
        let first_output = output(first.slot);
        let mut sums = [0.0; LANES];
        sums[..x.len()].copy_from_slice(first_output);
        for other in others.iter().filter(|other| other.slot != first.slot) {
            for ((sum, y), y_first) in sums.iter_mut().zip(output(other.slot)).zip(first_output) {
                *sum += other.weight * (y - y_first);
            }
        }
        for (x, sum) in x.iter_mut().zip(sums) {
            *x += sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(scores: &[f32], blocks: &[usize], k: usize) -> Vec<Choice> {
        let mut choices = vec![Choice::default(); k];
        choose(&mut scores.to_vec(), blocks, &mut choices).unwrap();
        choices
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        let choices = chosen(&[0.5, 2.0, 2.0, -1.0, 2.0], &[0, 1, 2, 3, 4], 3);
        assert_eq!(choices.iter().map(|c| c.block).collect::<Vec<_>>(), [1, 2, 4]);
        assert!(choices.iter().all(|c| c.weight == 1.0 / 3.0));
    }

    #[test]
    fn one_expert_has_the_whole_weight() {
        assert_eq!(chosen(&[-7.0], &[0], 1), [Choice { block: 0, weight: 1.0, slot: 0 }]);
    }

    #[test]
    fn weights_fall_with_rank_and_sum_to_one() {
        let choices = chosen(&[3.0, 1.0, 2.0, -200.0], &[0, 0, 1, 1], 4);
        assert!(choices.is_sorted_by(|a, b| a.weight > b.weight));
        assert!((choices.iter().map(|c| c.weight).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(choices[3].weight, 0.0);
    }

    #[test]
    fn scores_that_are_not_finite_are_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(choose(&mut [1.0, bad], &[0, 1], &mut [Choice::default()]), Err(NotFinite));
        }
    }

    #[test]
    fn equal_experts_change_nothing() {
        let outputs = [0.1f32, 0.7, -3.3];
        let mut choices = [0.6, 0.3, 0.1].map(|weight| Choice { block: 0, weight, slot: 0 });
        Plan::default().assign(&mut choices, 3, 1);
        let (mut many, mut one) = ([1.0f32; 3], [1.0f32; 3]);
        combine(&choices, &outputs, &mut many);
        combine(&choices[..1], &outputs, &mut one);
        assert_eq!(many.map(f32::to_bits), one.map(f32::to_bits));
    }

    proptest! {
        #[test]
        fn leaving_equal_blocks_out_is_exact(
            outputs in proptest::collection::vec(-1e3f32..1e3, 40),
            weights in proptest::collection::vec(0f32..1.0, 4),
        ) {
            // The second choice has the first's block: in full it would add w · (y - y) = +0.
            let slots = [0, 0, 1, 1];
            let choices: Vec<_> = slots.iter().zip(&weights)
                .map(|(slot, weight)| Choice { block: *slot, weight: *weight, slot: *slot }).collect();
            let mut x = vec![0.25; 20];
            combine(&choices, &outputs, &mut x);
            for (i, x) in x.iter().enumerate() {
                let (a, b) = (outputs[i], outputs[20 + i]);
                let mut y = a;
                for (slot, weight) in slots.iter().zip(&weights).skip(1) {
                    y += weight * ([a, b][*slot] - a);
                }
                prop_assert_eq!(x.to_bits(), (0.25 + y).to_bits());
            }
        }

        #[test]
        fn plans_give_each_token_one_slot_a_block(
            picks in proptest::collection::vec(0usize..6, 0..60),
            top_k in 1usize..4,
        ) {
            let tokens = picks.len() / top_k;
            let mut choices: Vec<_> = picks[..tokens * top_k].iter()
                .map(|block| Choice { block: *block, ..Choice::default() }).collect();
            let mut plan = Plan::default();
            plan.assign(&mut choices, top_k, 6);
            prop_assert_eq!(plan.bounds.len(), plan.blocks.len() + 1);
            let mut used = vec![false; plan.tokens.len()];
            for (i, choice) in choices.iter().enumerate() {
                prop_assert_eq!(plan.tokens[choice.slot] as usize, i / top_k);
                let place = plan.blocks.iter().position(|block| *block == choice.block).unwrap();
                prop_assert!((plan.bounds[place]..plan.bounds[place + 1]).contains(&choice.slot));
                used[choice.slot] = true;
            }
            prop_assert!(used.iter().all(|used| *used));
            let distinct = |token: &[Choice]| {
                let mut blocks: Vec<_> = token.iter().map(|c| c.block).collect();
                blocks.sort_unstable();
                blocks.dedup();
                blocks.len()
            };
            prop_assert_eq!(plan.tokens.len(), choices.chunks(top_k).map(distinct).sum::<usize>());
        }
    }
}
