use super::*;
use crate::{real::Single, soft_float::F32, spec::F32Bits};
use alloc::collections::BTreeMap;
use core::convert::Infallible;

fn dimensions(qk_norm: bool) -> Dimensions {
    Dimensions {
        layers: 2,
        hidden: 20,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 24,
        vocab: 300,
        context: 16,
        experts: 3,
        top_k: 2,
        activation_block: 16,
        rope_theta: F32Bits::new(1e4),
        rms_eps: F32Bits::new(1e-5),
        tied_embeddings: !qk_norm,
        qk_norm,
        checkpoint_every: 1,
    }
}

/// Weights out of a tensor's name, and a trace that grows.
struct Tiny {
    words: BTreeMap<(Step, u32), Vec<u32>>,
    tokens: Vec<u32>,
    /// Experts that have a block together.
    equal: Option<(u16, u16)>,
    /// Makes logits too large.
    scale: f32,
    width: fn(Tensor) -> usize,
}

fn width(tensor: Tensor) -> usize {
    match tensor {
        Tensor::Output(_) | Tensor::Down(..) => 24,
        _ => 20,
    }
}

fn random(tensor: Tensor, element: u32) -> u32 {
    let text = alloc::format!("{tensor:?} {element}");
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = text.bytes().fold(2_166_136_261, mix);
    (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d)
}

impl Inputs for Tiny {
    type Error = Infallible;

    fn words(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<u32>, Infallible> {
        // Of an earlier step, or the computation looks ahead.
        Ok(self.words[&(step, row)][columns.start as usize..columns.end as usize].to_vec())
    }

    fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<u32>, Infallible> {
        Ok(elements.map(|element| (random(tensor, element) as i32 as f32 / 2e9).to_bits()).collect())
    }

    fn row(&mut self, tensor: Tensor, row: u32) -> Result<(Vec<i8>, u32), Infallible> {
        let tensor = match (tensor, self.equal) {
            (Tensor::Gate(layer, expert), Some((one, other))) if expert == other => Tensor::Gate(layer, one),
            (Tensor::Up(layer, expert), Some((one, other))) if expert == other => Tensor::Up(layer, one),
            (Tensor::Down(layer, expert), Some((one, other))) if expert == other => Tensor::Down(layer, one),
            (tensor, _) => tensor,
        };
        let width = (self.width)(tensor) as u32;
        let weights = (0..width).map(|column| random(tensor, row * width + column) as i8).collect();
        let scale = if tensor == Tensor::Embed { self.scale } else { 0.004 };
        Ok((weights, scale.to_bits()))
    }

    fn token(&mut self, index: u32) -> Result<u32, Infallible> {
        Ok(self.tokens[index as usize])
    }

    fn is_same_block(&mut self, _: u16, one: u16, other: u16) -> Result<bool, Infallible> {
        Ok(one == other || self.equal.is_some_and(|(a, b)| (one, other) == (a, b) || (one, other) == (b, a)))
    }
}

/// All words of all steps.
fn trace<S: Single>(trace: &Trace, mut tiny: Tiny) -> BTreeMap<(Step, u32), Vec<u32>> {
    for step in trace.steps() {
        let (rows, columns) = trace.shape(step);
        for row in 0..rows {
            let word = |column| trace.compute::<S, _>(Word { step, row, column }, &mut tiny);
            let words = (0..columns).map(word).collect::<Result<Vec<_>, _>>().unwrap();
            tiny.words.insert((step, row), words);
        }
    }
    tiny.words
}

fn tiny() -> Tiny {
    Tiny { words: BTreeMap::new(), tokens: vec![5, 299, 0, 17, 5, 6], equal: None, scale: 0.01, width }
}

#[test]
fn integers_make_the_trace_that_processors_make() {
    for qk_norm in [false, true] {
        let shape = Trace::new(dimensions(qk_norm), 6).unwrap();
        let hard = trace::<f32>(&shape, tiny());
        assert_eq!(trace::<F32>(&shape, tiny()), hard);
        let losses: Vec<u32> = (0..5).map(|row| hard[&(Step::Loss, row)][0]).collect();
        // Of 300 tokens, none is expected at first.
        assert!(losses.iter().all(|loss| (LOSS_UNITS..20 * LOSS_UNITS).contains(loss)), "{losses:?}");
    }
}

#[test]
fn rows_are_words_by_words() {
    let shape = Trace::new(dimensions(true), 6).unwrap();
    let mut tiny = Tiny { words: trace::<f32>(&shape, tiny()), ..tiny() };
    for step in shape.steps() {
        let (rows, _) = shape.shape(step);
        let some = rows / 3..rows;
        let words: Vec<u32> = some.clone().flat_map(|row| tiny.words[&(step, row)].clone()).collect();
        assert_eq!(shape.compute_rows::<f32, _>(step, some.start..rows + 3, &mut tiny), Ok(words), "{step:?}");
    }
    let nowhere = Step::Layer(2, LayerStep::Output);
    assert_eq!(shape.compute_rows::<f32, _>(nowhere, 0..1, &mut tiny), Ok(vec![]));
}

#[test]
fn a_loss_is_that_of_its_logits() {
    let shape = Trace::new(dimensions(false), 6).unwrap();
    let words = trace::<f32>(&shape, tiny());
    for row in 0..5 {
        let logits: Vec<f64> =
            words[&(Step::Logits, row)].iter().map(|word| f64::from(f32::from_bits(*word))).collect();
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let nats = sum.ln() - logits[tiny().tokens[row as usize + 1] as usize];
        let found = f64::from(words[&(Step::Loss, row)][0]) / f64::from(LOSS_UNITS);
        assert!((found - nats).abs() < 1e-5, "{found} for {nats}");
    }
}

#[test]
fn experts_of_one_block_count_once() {
    let shape = Trace::new(dimensions(false), 6).unwrap();
    let all = [(0, 1), (0, 2), (1, 2)].map(|pair| trace::<f32>(&shape, Tiny { equal: Some(pair), ..tiny() }));
    let left_out = all.iter().flat_map(|words| {
        words.iter().filter(|((step, row), _)| {
            let Step::Layer(layer, LayerStep::Down(1)) = step else { return false };
            let [first, second] = [0, 1].map(|rank| words[&(Step::Layer(*layer, LayerStep::Chosen), *row)][rank]);
            first != second && words[&(*step, *row)].iter().all(|word| *word == 0)
        })
    });
    assert!(left_out.count() > 0);
}

#[test]
fn what_diverges_has_no_loss() {
    let shape = Trace::new(dimensions(false), 6).unwrap();
    let large = || Tiny { scale: 3e37, ..tiny() };
    let words = trace::<f32>(&shape, large());
    assert_eq!(words[&(Step::Loss, 0)], [DIVERGED]);
    assert_eq!(words[&(Step::Layer(0, LayerStep::Chosen), 0)], [NO_EXPERT; 2]);
    assert_eq!(trace::<F32>(&shape, large()), words);
}

#[test]
fn leaves_and_words_find_each_other() {
    let shape = Trace::new(dimensions(true), 6).unwrap();
    let mut next = 0;
    for step in shape.steps() {
        let (rows, columns) = shape.shape(step);
        for row in 0..rows {
            for start in (0..columns).step_by(LEAF_WORDS as usize) {
                let columns = start..columns.min(start + LEAF_WORDS);
                for column in columns.clone() {
                    assert_eq!(shape.leaf_of(Word { step, row, column }), Some(next));
                }
                assert_eq!(shape.leaf(next), Some(Leaf { step, row, columns }));
                next += 1;
            }
        }
        assert_eq!(shape.leaf_of(Word { step, row: rows, column: 0 }), None);
        assert_eq!(shape.leaf_of(Word { step, row: 0, column: columns }), None);
    }
    assert_eq!((shape.leaf(next), shape.leaves()), (None, next));
    let nowhere = Word { step: Step::Layer(2, LayerStep::Output), row: 0, column: 0 };
    assert_eq!(shape.leaf_of(nowhere), None);
    assert_eq!(shape.compute::<f32, _>(nowhere, &mut tiny()), Ok(0));
}

#[test]
fn items_that_are_too_short_or_too_long_have_no_trace() {
    for tokens in [0, 1, 18, MAX_ITEM_TOKENS + 1] {
        assert!(Trace::new(dimensions(false), tokens).is_none(), "{tokens}");
    }
    assert!(Trace::new(dimensions(false), 17).is_some());
    assert!(Trace::new(Dimensions { heads: 0, ..dimensions(false) }, 4).is_none());
}
