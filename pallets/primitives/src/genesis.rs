//! The model that a chain starts with: what an import prints, and what a chain spec holds.

use crate::{
    block::{BlockKind, BlockRecord},
    ids::{ContentHash, SlotId},
    spec::ModelSpec,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

/// A specification, the records of its blocks, and the expert block in each slot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisModel {
    /// The specification; it has no parent.
    pub spec: ModelSpec,
    /// Every block that `spec` and `heads` name, and the masters that records name where they are stored.
    pub blocks: BTreeMap<ContentHash, BlockRecord>,
    /// `heads[layer][index]`: the expert block in each slot.
    pub heads: Vec<Vec<ContentHash>>,
}

/// Why a genesis model was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenesisError {
    /// The specification is unsound, or has a parent.
    Spec,
    /// There is not one head for each slot.
    Heads,
    /// The specification or a slot names a block without a record of the right kind, form, payload and shape.
    Block(ContentHash),
}

impl fmt::Display for GenesisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec => f.write_str("the genesis specification is unsound or has a parent"),
            Self::Heads => f.write_str("the genesis model does not have one head for each slot"),
            Self::Block(hash) => write!(f, "block {hash} is named but has no record that fits its place"),
        }
    }
}

impl core::error::Error for GenesisError {}

impl GenesisModel {
    /// Checks that the parts fit together.
    pub fn check(&self) -> Result<(), GenesisError> {
        let spec = &self.spec;
        if spec.check().is_err() || spec.parent.is_some() {
            return Err(GenesisError::Spec);
        }
        let full = self.heads.len() == usize::from(spec.dimensions.layers)
            && self.heads.iter().all(|layer| layer.len() == usize::from(spec.dimensions.experts));
        if !full {
            return Err(GenesisError::Heads);
        }
        let shared =
            [(spec.tokenizer, BlockKind::Tokenizer), (spec.trunk, BlockKind::Trunk), (spec.router, BlockKind::Router)];
        for (hash, kind) in shared {
            if !self.blocks.get(&hash).is_some_and(|record| spec.dimensions.suits(kind, record)) {
                return Err(GenesisError::Block(hash));
            }
        }
        let shape = spec.dimensions.expert_shape();
        for hash in self.heads.iter().flatten() {
            if !self.blocks.get(hash).is_some_and(|record| record.serves_as_expert(shape)) {
                return Err(GenesisError::Block(*hash));
            }
        }
        Ok(())
    }

    /// The expert block in each slot, in the order of slots.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, ContentHash)> + '_ {
        let lineage = self.spec.id();
        (0u16..).zip(&self.heads).flat_map(move |(layer, heads)| {
            (0u16..).zip(heads).map(move |(index, head)| (SlotId { lineage, layer, index }, *head))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::{DType, Form, PayloadType},
        spec::tests::{record, tiny},
    };
    use alloc::vec;

    const EXPERT: ContentHash = ContentHash([4; 32]);

    fn model() -> GenesisModel {
        let spec = tiny();
        let blocks = [
            (spec.tokenizer, record(BlockKind::Tokenizer, [3000, 0, 0, 0])),
            (spec.trunk, record(BlockKind::Trunk, [spec.dimensions.vocab, spec.dimensions.hidden, 0, 0])),
            (spec.router, record(BlockKind::Router, [4, spec.dimensions.hidden, 0, 0])),
            (EXPERT, record(BlockKind::Expert, [spec.dimensions.ffn, spec.dimensions.hidden, 0, 0])),
        ];
        let layer = vec![EXPERT; usize::from(spec.dimensions.experts)];
        let heads = vec![layer; usize::from(spec.dimensions.layers)];
        GenesisModel { spec, blocks: blocks.into(), heads }
    }

    fn refused(change: impl FnOnce(&mut GenesisModel)) -> GenesisError {
        let mut bad = model();
        change(&mut bad);
        bad.check().unwrap_err()
    }

    #[test]
    fn a_model_whose_parts_fit_passes() {
        assert_eq!(model().check(), Ok(()));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_by_name() {
        assert_eq!(refused(|m| m.spec.parent = Some(m.spec.id())), GenesisError::Spec);
        assert_eq!(refused(|m| m.spec.dimensions.top_k = 0), GenesisError::Spec);
        assert_eq!(refused(|m| m.heads.truncate(1)), GenesisError::Heads);
        assert_eq!(refused(|m| m.heads[1].push(EXPERT)), GenesisError::Heads);
        let router = tiny().router;
        assert_eq!(refused(|m| m.heads[1][2] = router), GenesisError::Block(router));
        assert_eq!(refused(|m| m.spec.trunk = router), GenesisError::Block(router));
        let expert = |change: fn(&mut BlockRecord)| refused(|m| change(m.blocks.get_mut(&EXPERT).unwrap()));
        assert_eq!(expert(|e| e.shape = [64, 128, 0, 0]), GenesisError::Block(EXPERT));
        assert_eq!(expert(|e| e.form = Form::Master), GenesisError::Block(EXPERT));
        assert_eq!(expert(|e| e.payload = PayloadType::Eeb), GenesisError::Block(EXPERT));
        assert_eq!(expert(|e| e.dtype = DType::F32), GenesisError::Block(EXPERT));
        assert_eq!(refused(|m| m.blocks.get_mut(&router).unwrap().shape = [5, 64, 0, 0]), GenesisError::Block(router));
        assert_eq!(refused(|m| _ = m.blocks.remove(&EXPERT)), GenesisError::Block(EXPERT));
    }

    #[test]
    fn slots_come_layer_by_layer() {
        let model = model();
        let slots: Vec<_> = model.slots().collect();
        assert_eq!(slots.len(), 8);
        assert_eq!(slots[5], (SlotId { lineage: model.spec.id(), layer: 1, index: 1 }, EXPERT));
    }
}
