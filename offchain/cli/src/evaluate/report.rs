//! What an evaluation comes to, for people and programs.

use crate::{mean::Mean, out};
use anyhow::{Context, Result};
use blyan_chain::BlockNumber;
use blyan_primitives::{
    ids::{SpecId, WeightsId},
    pol::Paired,
};
use serde::Serialize;
use std::fmt;

/// Nothing is cut off: what is no number was refused.
const NO_CAP: u64 = i64::MAX.unsigned_abs();

/// The loss of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Loss {
    /// The block at whose end it was the model.
    block: BlockNumber,
    weights: WeightsId,
    /// In nats a token.
    loss: f64,
    /// Its standard error.
    error: f64,
    perplexity: f64,
}

/// How two models differ, item by item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// By how much the loss is lower, in nats a token.
    gain: f64,
    /// Its standard error.
    error: f64,
    /// How many of these it is; nothing where the error is zero.
    standard_errors: Option<f64>,
    /// Items with a lower loss, and with a higher one.
    better: usize,
    worse: usize,
    /// What they differ in: slots that hold something else, as LAYER/EXPERT, or the router.
    apart: Vec<String>,
}

/// What an evaluation comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    spec: SpecId,
    items: u32,
    /// Tokens that were predicted.
    tokens: u64,
    #[serde(flatten)]
    now: Loss,
    /// The model that it is compared with.
    since: Option<Loss>,
    difference: Option<Difference>,
    seconds: f64,
}

/// The mean loss of scores on items of so many positions.
fn loss(block: BlockNumber, weights: WeightsId, scores: &[u64], items: u32, positions: u32) -> Loss {
    let Mean { value, error } = Mean::of(&Paired::new(scores, std::iter::repeat(&0), NO_CAP), items, positions);
    Loss { block, weights, loss: value, error, perplexity: value.exp() }
}

impl Difference {
    /// Of the scores before and now on the same items.
    fn new(before: &[u64], now: &[u64], items: u32, positions: u32, apart: Vec<String>) -> Self {
        let mean = Mean::of(&Paired::new(before, now, NO_CAP), items, positions);
        let count = |is: fn(&u64, &u64) -> bool| before.iter().zip(now).filter(|(before, now)| is(now, before)).count();
        Self {
            gain: mean.value,
            error: mean.error,
            standard_errors: mean.standard_errors(),
            better: count(|now, before| now < before),
            worse: count(|now, before| now > before),
            apart,
        }
    }
}

impl Report {
    /// Of the scores of a model, and of the one that it is compared with, each at a height; items have `tokens` tokens, the first
    /// of which is not predicted.
    pub(super) fn new(
        spec: SpecId,
        measured: &[(BlockNumber, WeightsId, Vec<u64>)],
        apart: Vec<String>,
        tokens: usize,
        seconds: f64,
    ) -> Result<Self> {
        let (first, before) = match measured {
            [first, before @ ..] => (first, before.first()),
            [] => anyhow::bail!("no model was measured: report this defect"),
        };
        let items = u32::try_from(first.2.len()).context("there are too many items: give a --limit")?;
        let positions = u32::try_from(tokens.saturating_sub(1)).context("items are too long: report this defect")?;
        let of = |(block, weights, scores): &(BlockNumber, WeightsId, Vec<u64>)| {
            loss(*block, *weights, scores, items, positions)
        };
        Ok(Self {
            spec,
            items,
            tokens: u64::from(items).saturating_mul(u64::from(positions)),
            now: of(first),
            since: before.map(of),
            difference: before.map(|before| Difference::new(&before.2, &first.2, items, positions, apart)),
            seconds,
        })
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json { out::line(serde_json::to_string_pretty(self)?) } else { out::line(self) }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { block, weights, loss, error, perplexity } = self;
        write!(f, "block {block}, weights {weights}\n  loss        {loss:.5} ± {error:.5} nats a token\n")?;
        write!(f, "  perplexity  {perplexity:.3}")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gain, error, standard_errors, better, worse, apart } = self;
        if apart.is_empty() {
            return f.write_str("it is the same model in both blocks");
        }
        write!(f, "difference\n  gain        {} nats a token", Mean { value: *gain, error: *error })?;
        if let Some(errors) = standard_errors {
            write!(f, ", {errors:.1} standard errors")?;
        }
        write!(f, "\n  items       {better} better, {worse} worse\n")?;
        write!(f, "  apart in    {}", apart.join(", "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, tokens, now, since, difference, seconds, .. } = self;
        if let Some(since) = since {
            writeln!(f, "before: {since}\n")?;
            writeln!(f, "after: {now}\n")?;
        } else {
            writeln!(f, "{now}\n")?;
        }
        if let Some(difference) = difference {
            writeln!(f, "{difference}\n")?;
        }
        write!(f, "measured on {items} items, {tokens} tokens, in {seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const UNIT: u64 = 1 << 20;
    const SPEC: SpecId = SpecId([7; 32]);
    const NOW: WeightsId = WeightsId([1; 32]);
    const BEFORE: WeightsId = WeightsId([2; 32]);

    /// Scores of four items with two positions each, in nats an item.
    fn scores(nats: [u64; 4]) -> Vec<u64> {
        nats.map(|nats| nats * UNIT).to_vec()
    }

    fn compared() -> Report {
        let measured = [(900, NOW, scores([4, 6, 6, 8])), (640, BEFORE, scores([6, 8, 10, 8]))];
        Report::new(SPEC, &measured, vec!["29/2".to_owned()], 3, 12.4).unwrap()
    }

    #[test]
    fn losses_and_gains_are_those_of_the_textbook() {
        let Report { items, tokens, now, since, difference, .. } = compared();
        let (since, difference) = (since.unwrap(), difference.unwrap());
        assert_eq!((items, tokens, now.loss, since.loss), (4, 8, 3.0, 4.0));
        // 2, 3, 3 and 4 nats a token; gains of 1, 1, 2 and 0.
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(near(now.error, (2.0f64 / 3.0 / 4.0).sqrt()) && near(now.perplexity, 3f64.exp()), "{now:?}");
        assert!(near(difference.gain, 1.0) && near(difference.error, (2.0f64 / 3.0 / 4.0).sqrt()), "{difference:?}");
        assert!(difference.standard_errors.is_some_and(|errors| near(errors, 6f64.sqrt())), "{difference:?}");
        assert_eq!((difference.better, difference.worse), (3, 0));
    }

    #[test]
    fn a_comparison_is_told_to_people() {
        let expected = format!(
            "before: block 640, weights {BEFORE}\n  loss        4.00000 ± 0.40825 nats a token\n  perplexity  54.598\n\n\
             after: block 900, weights {NOW}\n  loss        3.00000 ± 0.40825 nats a token\n  perplexity  20.086\n\n\
             difference\n  gain        +1.00000 ± 0.40825 nats a token, 2.4 standard errors\n  \
             items       3 better, 0 worse\n  apart in    29/2\n\nmeasured on 4 items, 8 tokens, in 12 s"
        );
        assert_eq!(compared().to_string(), expected);
        let same = [(900, NOW, scores([4, 6, 6, 8])), (640, NOW, scores([4, 6, 6, 8]))];
        let same = Report::new(SPEC, &same, Vec::new(), 3, 1.0).unwrap();
        assert!(same.to_string().contains("the same model") && !same.to_string().contains("gain"), "{same}");
    }

    #[test]
    fn one_model_is_told_to_programs() {
        let report = Report::new(SPEC, &[(900, NOW, scores([4, 6, 6, 8]))], Vec::new(), 3, 1.0).unwrap();
        assert!(report.to_string().starts_with("block 900, weights 0x01"), "{report}");
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!((&value["weights"], &value["block"]), (&json!(NOW), &json!(900)));
        assert_eq!((&value["loss"], &value["items"], &value["tokens"]), (&json!(3.0), &json!(4), &json!(8)));
        assert!(value["since"].is_null() && value["difference"].is_null(), "{value}");
        let value = serde_json::to_value(compared()).unwrap();
        assert_eq!((&value["since"]["block"], &value["difference"]["apart"][0]), (&json!(640), &json!("29/2")));
        assert_eq!(value["difference"]["better"], 3);
    }
}
