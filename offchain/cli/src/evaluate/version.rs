//! The model at a height of the chain.

use crate::{library::model_blocks, router::successor, slot::Place};
use anyhow::{Context, Result, ensure};
use blyan_chain::{BlockNumber, SpecRecord, State};
use blyan_learning::evaluate::Blocks;
use blyan_model::exec::Model;
use blyan_primitives::{ids::ContentHash, spec::ModelSpec};
use std::sync::Arc;

/// What the slots of a model held at the end of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) block: BlockNumber,
    /// `[layer][index]`
    experts: Vec<Vec<ContentHash>>,
}

impl Version {
    /// As the chain remembers it.
    pub(super) async fn of(state: &State, record: &SpecRecord, block: BlockNumber) -> Result<Self> {
        check(block, state.block().number, record.published_at)?;
        let mut experts = Vec::new();
        for layer in 0..record.spec.dimensions.layers {
            let held = state.heads_of_layer_at(record.id, layer, block).await?;
            let expert = |(index, held): (u16, Option<ContentHash>)| {
                held.with_context(|| {
                    format!(
                        "the chain does not know what slot {} held after block {block}: it remembers the last 128 moves of a \
                         head, for 30 days; name a later block",
                        Place { layer, index }
                    )
                })
            };
            experts.push((0u16..).zip(held).map(expert).collect::<Result<Vec<_>>>()?);
        }
        Ok(Self { block, experts })
    }

    /// Every block that it takes to execute the model.
    pub(super) fn blocks(&self, spec: &ModelSpec) -> Vec<ContentHash> {
        [spec.trunk, spec.router].into_iter().chain(self.experts.iter().flatten().copied()).collect()
    }

    /// The model with another router, as a successor of its specification has it.
    pub(super) fn with_router(&self, spec: &ModelSpec, router: ContentHash, blocks: &Blocks) -> Result<Arc<Model>> {
        let model = Model::load(model_blocks(successor(spec, router)?, &self.experts, blocks)?);
        Ok(Arc::new(model.with_context(|| format!("{router} is no router of this model"))?))
    }

    /// The slots that hold something else in `other`, and what they hold there.
    pub(super) fn differing(&self, other: &Self) -> Vec<(Place, ContentHash)> {
        let mut found = Vec::new();
        for (layer, (own, others)) in (0u16..).zip(self.experts.iter().zip(&other.experts)) {
            for (index, (own, other)) in (0u16..).zip(own.iter().zip(others)) {
                if own != other {
                    found.push((Place { layer, index }, *other));
                }
            }
        }
        found
    }
}

/// Refuses a block that is not final, or in which the specification was not there yet.
fn check(block: BlockNumber, head: BlockNumber, published: BlockNumber) -> Result<()> {
    ensure!(
        block <= head,
        "block {block} is not final yet, the latest that is final is {head}: name that or an earlier one"
    );
    ensure!(
        block >= published,
        "the model that is asked for was published in block {published}, after block {block}: name that or a later one"
    );
    Ok(())
}

/// The models of versions, in their order. What the first one has in common with the others is loaded once.
pub(super) fn load(spec: &ModelSpec, versions: &[Version], blocks: &Blocks) -> Result<Vec<Arc<Model>>> {
    let [first, others @ ..] = versions else { return Ok(Vec::new()) };
    let base = Model::load(model_blocks(spec.clone(), &first.experts, blocks)?)?;
    let mut models = vec![Arc::new(base.clone())];
    for other in others {
        let mut model = base.clone();
        for (Place { layer, index }, hash) in first.differing(other) {
            let block = blocks.get(&hash).with_context(|| format!("block {hash} is not at hand"))?;
            model = model.with_expert(layer, index, block)?;
        }
        models.push(Arc::new(model));
    }
    Ok(models)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::genesis::{import_tiny, open_store};

    /// The tiny model, and others in which slots of the second layer hold what another slot of it does.
    pub(in crate::evaluate) fn models(changed: &[&[(usize, usize)]]) -> Vec<Arc<Model>> {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).unwrap();
        let genesis = import_tiny(&store).unwrap();
        let first = Version { block: 0, experts: genesis.heads.clone() };
        let mut versions = vec![first.clone()];
        for moves in changed {
            let mut version = first.clone();
            for (slot, from) in *moves {
                version.experts[1][*slot] = first.experts[1][*from];
            }
            versions.push(version);
        }
        let names = first.blocks(&genesis.spec);
        let blocks: Blocks = names.into_iter().map(|hash| (hash, store.get(&hash).unwrap())).collect();
        load(&genesis.spec, &versions, &blocks).unwrap()
    }

    #[test]
    fn a_height_is_final_and_not_before_the_model() {
        assert!(check(7, 7, 0).is_ok() && check(3, 7, 3).is_ok());
        let error = |block, published| check(block, 7, published).unwrap_err().to_string();
        assert!(error(8, 0).contains("not final") && error(8, 0).contains('7'), "{}", error(8, 0));
        assert!(error(2, 3).contains("published in block 3"), "{}", error(2, 3));
    }

    #[test]
    fn slots_that_differ_are_found() {
        let hash = |byte| ContentHash([byte; 32]);
        let one = Version { block: 1, experts: vec![vec![hash(1), hash(2)], vec![hash(3), hash(4)]] };
        let mut other = one.clone();
        assert!(one.differing(&other).is_empty());
        other.experts[1][0] = hash(9);
        assert_eq!(one.differing(&other), [(Place { layer: 1, index: 0 }, hash(9))]);
        other.experts[0][1] = hash(8);
        assert_eq!(
            other.differing(&one),
            [(Place { layer: 0, index: 1 }, hash(2)), (Place { layer: 1, index: 0 }, hash(3))]
        );
    }

    #[test]
    fn models_of_versions_have_their_experts() {
        let models = models(&[&[(0, 1)], &[]]);
        let [first, moved, same] = models.as_slice() else { panic!("there are {} models", models.len()) };
        assert_eq!((moved.block_of(1, 0), moved.block_of(0, 0)), (first.block_of(1, 1), first.block_of(0, 0)));
        assert_eq!(same.weights_id(), first.weights_id());
        assert_ne!(moved.weights_id(), first.weights_id());
    }
}
