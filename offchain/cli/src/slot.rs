//! How a slot is named: by its layer and its place among the layer's experts.

use anyhow::{Result, ensure};
use blyan_primitives::{
    ids::{SlotId, SpecId},
    spec::Dimensions,
};
use std::{fmt, str::FromStr};

/// A slot of a model whose lineage is known, as in `20/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The layer, from 0.
    pub layer: u16,
    /// The expert in it, from 0.
    pub index: u16,
}

impl Place {
    /// The slot of a lineage.
    pub fn of(self, lineage: SpecId) -> SlotId {
        SlotId { lineage, layer: self.layer, index: self.index }
    }

    /// Refuses one that a model does not have.
    ///
    /// # Errors
    /// When the model has fewer layers or experts.
    pub fn check(self, dimensions: &Dimensions) -> Result<()> {
        let Dimensions { layers, experts, .. } = dimensions;
        ensure!(
            self.layer < *layers && self.index < *experts,
            "there is no slot {self}: the model has {layers} layers of {experts} experts, both counted from 0"
        );
        Ok(())
    }
}

impl From<SlotId> for Place {
    fn from(slot: SlotId) -> Self {
        Self { layer: slot.layer, index: slot.index }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.layer, self.index)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(layer, index)| Some((layer.parse().ok()?, index.parse().ok()?)));
        let (layer, index) = numbers.ok_or("it is no slot; write LAYER/EXPERT, such as 20/3")?;
        Ok(Self { layer, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_model::tiny;

    #[test]
    fn a_slot_is_read_as_it_is_written() {
        let place = Place { layer: 20, index: 3 };
        assert_eq!(("20/3".parse(), place.to_string()), (Ok(place), "20/3".to_owned()));
        let slot = place.of(SpecId([7; 32]));
        assert_eq!((Place::from(slot), slot.lineage), (place, SpecId([7; 32])));
        for text in ["", "20", "20/", "/3", "20/3/1", "-1/0", "70000/0", "a/b"] {
            let problem = text.parse::<Place>().unwrap_err();
            assert!(problem.contains("20/3"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_slot_that_a_model_lacks_is_refused() {
        let spec = tiny::build(tiny::GENESIS_SEED).unwrap().genesis.spec;
        let check = |text: &str| text.parse::<Place>().unwrap().check(&spec.dimensions);
        assert!(check("1/3").is_ok());
        for text in ["2/0", "0/4"] {
            assert!(check(text).unwrap_err().to_string().contains("2 layers of 4 experts"), "{text}");
        }
    }
}
