//! What a training run is made of: everything that decides its result but the machine's rounding.

use blyan_primitives::{
    hash::{Domain, HASH_LEN, hash},
    ids::{ContentHash, SlotId, WeightsId},
    spec::F32Bits,
};
use codec::{Decode, DecodeAll, Encode};

const MANIFEST: Domain = Domain("blyan/learning/manifest/1");
/// First byte of an encoded manifest.
const VERSION: u8 = 1;
/// Most data sets of a run.
pub const MAX_DATA_SETS: usize = 64;
/// Most items of a run, over all of its data sets.
pub const MAX_ITEMS: usize = 1 << 20;
/// Most tokens of a window.
pub const MAX_WINDOW: u32 = 1 << 16;
/// Most windows a step.
pub const MAX_BATCH: u16 = 4096;

/// Why a manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Another version of the format.
    #[error("the manifest has format {0}, this version reads {VERSION}: update it")]
    Version(u8),
    /// The bytes are not a manifest.
    #[error("the manifest cannot be decoded: make it again")]
    Malformed,
    /// There is nothing to learn from.
    #[error("the manifest names a data set without items, or none: name at least one item of each")]
    Empty,
    /// More data sets or items than a run can have.
    #[error("the manifest names more than {MAX_DATA_SETS} data sets or {MAX_ITEMS} items: leave some out")]
    TooMany,
    /// Data sets or items that are not in ascending order, or twice there.
    #[error("data sets by their roots, and the items of each, have to be in ascending order and named once")]
    Order,
    /// A setting that makes no sense.
    #[error("the setting {0} is out of bounds: see its documentation")]
    Setting(&'static str),
}

/// Items of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DataSet {
    /// Root of the data set's items.
    pub root: [u8; HASH_LEN],
    /// Which of them, ascending.
    pub items: Vec<u32>,
}

/// What of the expert is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Method {
    /// A product of two thin matrices beside each matrix (LoRA, arXiv:2106.09685).
    #[codec(index = 0)]
    LowRank {
        /// Components, at least 1.
        rank: u8,
    },
    /// Every weight.
    #[codec(index = 1)]
    Full,
}

/// Training of the router's row for the expert, beside the expert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RouterSettings {
    /// Learning rate of the row, above 0.
    pub learning_rate: F32Bits,
    /// Weight in the loss of the load-balance penalty (arXiv:2101.03961), at least 0: keeps the expert from taking every token.
    pub balance: F32Bits,
    /// Weight in the loss of the mean of -ln(the router's probability of the expert) over tokens, at least 0: draws texts like
    /// those trained on to the expert, which the loss of next tokens alone cannot while the expert is not chosen.
    pub bias: F32Bits,
}

/// Settings of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Settings {
    /// What is trained.
    pub method: Method,
    /// Steps of the optimiser, at least 1.
    pub steps: u32,
    /// Windows a step, 1 to [`MAX_BATCH`].
    pub batch: u16,
    /// Tokens of a window that something is predicted from, 1 to [`MAX_WINDOW`].
    pub window: u32,
    /// Token that ends a document; `None` where documents are parts of longer texts, as items of a set are: nothing follows
    /// them, and each window is of one.
    pub separator: Option<u32>,
    /// Learning rate of the expert, above 0.
    pub learning_rate: F32Bits,
    /// Steps in which learning rates grow to their values, by the same amount each.
    pub warm_up: u16,
    /// AdamW's decay of the mean gradient, and of the mean square: from 0, below 1.
    pub betas: [F32Bits; 2],
    /// AdamW's ε, above 0.
    pub epsilon: F32Bits,
    /// AdamW's weight decay, at least 0: towards no change.
    pub weight_decay: F32Bits,
    /// Largest norm of the gradient over all that is trained, above 0; a longer one is shortened to it.
    pub clip: F32Bits,
    /// Training of the router's row; `None` leaves it as it is.
    pub router: Option<RouterSettings>,
}

impl Settings {
    /// The measured recipe: rank 8, learning rate 0.005, two windows of 256 tokens a step, β 0.9 and 0.99, clipped at 1, five
    /// steps of warm-up, no weight decay, the router as it is.
    pub fn new(steps: u32, separator: impl Into<Option<u32>>) -> Self {
        Self {
            method: Method::LowRank { rank: 8 },
            steps,
            batch: 2,
            window: 256,
            separator: separator.into(),
            learning_rate: F32Bits::new(5e-3),
            warm_up: 5,
            betas: [F32Bits::new(0.9), F32Bits::new(0.99)],
            epsilon: F32Bits::new(1e-8),
            weight_decay: F32Bits::new(0.0),
            clip: F32Bits::new(1.0),
            router: None,
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        let positive = |value: F32Bits| value.get() > 0.0 && value.get().is_finite();
        let not_negative = |value: F32Bits| value.get() >= 0.0 && value.get().is_finite();
        let bounds = [
            ("method.rank", self.method != Method::LowRank { rank: 0 }),
            ("steps", self.steps > 0),
            ("batch", (1..=MAX_BATCH).contains(&self.batch)),
            ("window", (1..=MAX_WINDOW).contains(&self.window)),
            ("learning_rate", positive(self.learning_rate)),
            ("betas", self.betas.iter().all(|beta| (0.0..1.0).contains(&beta.get()))),
            ("epsilon", positive(self.epsilon)),
            ("weight_decay", not_negative(self.weight_decay)),
            ("clip", positive(self.clip)),
            ("router.learning_rate", self.router.is_none_or(|router| positive(router.learning_rate))),
            ("router.balance", self.router.is_none_or(|router| not_negative(router.balance))),
            ("router.bias", self.router.is_none_or(|router| not_negative(router.bias))),
        ];
        match bounds.iter().find(|(_, is_sound)| !is_sound) {
            Some((name, _)) => Err(ManifestError::Setting(name)),
            None => Ok(()),
        }
    }
}

/// What a run trains, from what, and on what.
///
/// With the documents that it names and the blocks of the model, anyone can repeat the run: the same windows in the same
/// order, from the same start. Floats of training are not canonical, so that another machine's result is near, not equal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Manifest {
    /// The slot whose expert is trained.
    pub slot: SlotId,
    /// The serving block that is in the slot.
    pub base: ContentHash,
    /// The f32 block that `base` was made of, from which training starts; `None` to start from `base` itself.
    pub master: Option<ContentHash>,
    /// The whole model that it is trained in.
    pub weights: WeightsId,
    /// What it is trained on, ascending by root.
    pub data: Vec<DataSet>,
    /// Decides the order of windows, and where low-rank factors start.
    pub seed: u64,
    /// How it is trained.
    pub settings: Settings,
}

impl Manifest {
    /// The encoding: a version byte, then SCALE.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        self.encode_to(&mut bytes);
        bytes
    }

    /// Reads an encoding, and checks it.
    ///
    /// # Errors
    /// When the bytes are no manifest of this version, or [`Self::check`] refuses it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (version, mut rest) = bytes.split_first().ok_or(ManifestError::Malformed)?;
        if *version != VERSION {
            return Err(ManifestError::Version(*version));
        }
        let manifest = Self::decode_all(&mut rest).map_err(|_| ManifestError::Malformed)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The run's name: the hash of the encoding.
    pub fn id(&self) -> [u8; HASH_LEN] {
        hash(MANIFEST, &[&self.to_bytes()])
    }

    /// Items over all data sets: as many documents belong to the run, in the same order.
    pub fn items(&self) -> usize {
        self.data.iter().map(|set| set.items.len()).sum()
    }

    /// Checks bounds and order.
    ///
    /// # Errors
    /// When there are no items or too many, they are out of order, or a setting makes no sense.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.data.is_empty() || self.data.iter().any(|set| set.items.is_empty()) {
            return Err(ManifestError::Empty);
        }
        if self.data.len() > MAX_DATA_SETS || self.items() > MAX_ITEMS {
            return Err(ManifestError::TooMany);
        }
        let are_items_sorted = |set: &DataSet| set.items.is_sorted_by(|a, b| a < b);
        if !self.data.is_sorted_by(|a, b| a.root < b.root) || !self.data.iter().all(are_items_sorted) {
            return Err(ManifestError::Order);
        }
        self.settings.check()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use blyan_primitives::ids::SpecId;

    pub(crate) fn manifest() -> Manifest {
        Manifest {
            slot: SlotId { lineage: SpecId([1; 32]), layer: 1, index: 2 },
            base: ContentHash([2; 32]),
            master: None,
            weights: WeightsId([3; 32]),
            data: vec![DataSet { root: [4; 32], items: vec![0, 7, 9] }, DataSet { root: [5; 32], items: vec![3] }],
            seed: 6,
            settings: Settings { learning_rate: F32Bits::new(2e-3), ..Settings::new(20, 257) },
        }
    }

    #[test]
    fn a_manifest_reads_back_and_its_name_is_pinned() {
        let manifest = manifest();
        assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest.clone()));
        assert_eq!(manifest.items(), 4);
        // With another encoding a run that was anchored could not be found by its name.
        let name: String = manifest.id().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(name, "3bb4559dbe2117aa503dddc9dccc5ec9cfee6b9b141353015d4392d01a882176");
    }

    #[test]
    fn every_field_is_in_the_name() {
        let one = manifest();
        let changes: [fn(&mut Manifest); 8] = [
            |m| m.slot.index += 1,
            |m| m.base.0[0] ^= 1,
            |m| m.master = Some(m.base),
            |m| m.weights.0[0] ^= 1,
            |m| m.data[0].items[0] += 1,
            |m| m.data[1].root[0] ^= 8,
            |m| m.seed += 1,
            |m| m.settings.steps += 1,
        ];
        for change in changes {
            let mut other = one.clone();
            change(&mut other);
            assert_ne!(one.id(), other.id(), "{other:?}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused_by_name() {
        let bytes = manifest().to_bytes();
        assert_eq!(Manifest::from_bytes(&[]), Err(ManifestError::Malformed));
        assert_eq!(Manifest::from_bytes(&[2]), Err(ManifestError::Version(2)));
        assert_eq!(Manifest::from_bytes(&[&bytes[..], &[0]].concat()), Err(ManifestError::Malformed));
        for len in 1..bytes.len() {
            assert_eq!(Manifest::from_bytes(&bytes[..len]), Err(ManifestError::Malformed));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            Manifest::from_bytes(&manifest.to_bytes()).unwrap_err()
        };
        assert_eq!(refused(&|m| m.data.clear()), ManifestError::Empty);
        assert_eq!(refused(&|m| m.data[1].items.clear()), ManifestError::Empty);
        assert_eq!(refused(&|m| m.data.swap(0, 1)), ManifestError::Order);
        assert_eq!(refused(&|m| m.data[0].items[1] = 0), ManifestError::Order);
        assert_eq!(refused(&|m| m.data[0].items = (0..=MAX_ITEMS as u32).collect()), ManifestError::TooMany);
        let setting = |change: &dyn Fn(&mut Settings)| refused(&|m| change(&mut m.settings));
        let nan = F32Bits::new(f32::NAN);
        let router = |values: [f32; 3]| {
            let [learning_rate, balance, bias] = values.map(F32Bits::new);
            Some(RouterSettings { learning_rate, balance, bias })
        };
        for (name, error) in [
            ("method.rank", setting(&|s| s.method = Method::LowRank { rank: 0 })),
            ("steps", setting(&|s| s.steps = 0)),
            ("batch", setting(&|s| s.batch = 0)),
            ("window", setting(&|s| s.window = MAX_WINDOW + 1)),
            ("learning_rate", setting(&|s| s.learning_rate = nan)),
            ("betas", setting(&|s| s.betas[1] = F32Bits::new(1.0))),
            ("epsilon", setting(&|s| s.epsilon = F32Bits::new(0.0))),
            ("weight_decay", setting(&|s| s.weight_decay = nan)),
            ("clip", setting(&|s| s.clip = F32Bits::new(f32::INFINITY))),
            ("router.learning_rate", setting(&|s| s.router = router([0.0; 3]))),
            ("router.balance", setting(&|s| s.router = router([1.0, -1.0, 0.0]))),
            ("router.bias", setting(&|s| s.router = router([1.0, 0.0, f32::NAN]))),
        ] {
            assert_eq!(error, ManifestError::Setting(name));
        }
    }
}
