//! Scores of models on items: losses of canonical execution, which workers and committees compute.

use crate::slot::Place;
use anyhow::{Result, ensure};
use blyan_model::exec::{EngineConfig, Model, Scorer};
use blyan_primitives::trace::DIVERGED;
use std::sync::Arc;

/// A row of scores for each model: the loss on each item, in units of 2^-20 nats over all positions. `apart` are the slots in
/// which models of one specification differ. `progress` is told how many scores there are, of how many.
pub(super) fn scores(
    models: &[Arc<Model>],
    apart: &[Place],
    items: &[Vec<u32>],
    config: &EngineConfig,
    progress: &mut dyn FnMut(u64, u64),
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Vec<Vec<u64>>> {
    let are_of_one_spec =
        models.windows(2).all(|pair| matches!(pair, [one, other] if one.spec_id() == other.spec_id()));
    let groups: Vec<&[Arc<Model>]> = match apart {
        // What they have in common is passed through once for each item.
        [] | [_] if are_of_one_spec => vec![models],
        _ => models.chunks(1).collect(),
    };
    let total = models.len().saturating_mul(items.len()) as u64;
    let mut done = 0u64;
    let mut scores = Vec::with_capacity(models.len());
    for group in groups {
        let Some(base) = group.first() else { continue };
        // One model by itself, or several that are the same, can be cut anywhere: late, so that most is in common.
        let late = Place { layer: base.spec().dimensions.layers.saturating_sub(1), index: 0 };
        let Place { layer, index } = apart.first().copied().filter(|_| apart.len() == 1).unwrap_or(late);
        let mut scorer = Scorer::new(base.clone(), layer, index, config)?;
        let mut rows = vec![Vec::with_capacity(items.len()); group.len()];
        for (number, item) in items.iter().enumerate() {
            ensure!(!is_cancelled(), "the evaluation was cancelled");
            let mut scored = scorer.item(item)?;
            for (model, row) in group.iter().zip(&mut rows) {
                let losses = scored.losses(model)?;
                ensure!(
                    losses.iter().all(|loss| *loss != DIVERGED),
                    "weights {} have no finite loss on item {number}: they cannot be executed; name another height",
                    model.weights_id()
                );
                row.push(losses.iter().map(|loss| u64::from(*loss)).sum::<u64>());
                done = done.saturating_add(1);
                progress(done, total);
            }
        }
        scores.append(&mut rows);
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::{super::version::tests::models, *};

    fn items() -> Vec<Vec<u32>> {
        (0..3).map(|first| (0..17).map(|at| 97 + (first * 5 + at * 3) % 20).collect()).collect()
    }

    fn all(models: &[Arc<Model>], apart: &[Place]) -> Vec<Vec<u64>> {
        let config = EngineConfig { threads: 1, ..EngineConfig::default() };
        scores(models, apart, &items(), &config, &mut |_, _| (), &|| false).unwrap()
    }

    #[test]
    fn models_have_the_same_scores_together_and_apart() {
        let models = models(&[&[(0, 1)]]);
        let slot = Place { layer: 1, index: 0 };
        let together = all(&models, &[slot]);
        let apart: Vec<_> = models.iter().flat_map(|model| all(std::slice::from_ref(model), &[])).collect();
        assert_eq!((together.len(), together[0].len()), (2, 3));
        assert_eq!(together, apart);
        assert_ne!(together[0], together[1], "another expert makes no difference");
        // Near the loss of a guess among 259 tokens, on sixteen positions.
        let guess = 259f64.ln() * 16.0 * f64::from(1 << 20);
        assert!(together[0].iter().all(|score| (*score as f64) > guess / 3.0 && (*score as f64) < guess * 3.0));
    }

    #[test]
    fn models_can_differ_in_several_slots_or_in_none() {
        let two = models(&[&[(0, 1), (2, 3)]]);
        let slots = [0, 2].map(|index| Place { layer: 1, index });
        let alone: Vec<_> = two.iter().flat_map(|model| all(std::slice::from_ref(model), &[])).collect();
        assert_eq!(all(&two, &slots), alone);
        let same = models(&[&[]]);
        let rows = all(&same, &[]);
        assert_eq!((rows.len(), &rows[0]), (2, &rows[1]));
    }

    #[test]
    fn measuring_tells_how_far_it_is_and_can_be_cancelled() {
        let models = models(&[&[(0, 1)]]);
        let (config, apart) = (EngineConfig { threads: 1, ..EngineConfig::default() }, [Place { layer: 1, index: 0 }]);
        let mut told = Vec::new();
        let mut progress = |done: u64, total: u64| told.push((done, total));
        scores(&models, &apart, &items(), &config, &mut progress, &|| false).unwrap();
        assert_eq!(told, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
        let error = scores(&models, &apart, &items(), &config, &mut |_, _| (), &|| true).unwrap_err().to_string();
        assert!(error.contains("cancelled"), "{error}");
    }
}
