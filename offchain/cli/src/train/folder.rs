//! The folder of a run: all that it takes to go on with it, to train it anew, and to submit what it has made.
//!
//! ```text
//! run.json        what is trained from what, with the model it is trained in
//! checkpoint      how far it is: see `blyan_learning::train`
//! loss.jsonl      a line for each step; a step that was taken again after a crash is there twice, the last one counts
//! manifest.json   what the delta's header names: data, order, seed and settings of the steps that were taken
//! delta.block     the delta
//! router.block    what was trained of the router, where it was
//! delta.json      what is said of it, but for the head that it is submitted on
//! judged.json     the last round that a delta of this run was in, once its end was told
//! lock            held by the command that is at work here
//! ```
//!
//! Where a command was killed the next one goes on: with the delta where there is one whose end was not told yet, with the
//! checkpoint where there is none.

use anyhow::{Context, Result, anyhow, bail, ensure};
use blyan_chain::{AccountId, Hash};
use blyan_learning::train::{DataSet, Manifest, Method, Settings};
use blyan_primitives::{
    ids::{ContentHash, SlotId, SpecId},
    learning::{ItemRange, RoundId},
};
use blyan_tensorblock::{Block, UnwrittenBlock, VerifiedBlock, atomic, default_threads};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Longest file of JSON that is read: a manifest of a million items has 8 MiB.
const MAX_JSON: u64 = 64 << 20;

/// What a run is about, beside its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Frame {
    /// Genesis of the chain: another one can have the same model and other rounds.
    pub(super) chain: Hash,
    /// Who learns.
    pub(super) learner: AccountId,
    /// The specification of the model.
    pub(super) spec: SpecId,
    /// `[layer][index]`: the expert in each slot when the run began.
    pub(super) experts: Vec<Vec<ContentHash>>,
    /// What it is trained on.
    pub(super) data: ItemRange,
}

/// What is said of a delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// The delta's block: the file beside it can be another's, should the command have been killed between the two.
    pub(super) block: ContentHash,
    pub(super) slot: SlotId,
    /// Hash of the manifest.
    pub(super) manifest: ContentHash,
    pub(super) data: ItemRange,
    /// The head that it was trained on.
    pub(super) trained_on: ContentHash,
}

/// A delta that was in a round which is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Judged {
    /// Genesis of the chain.
    pub(super) chain: Hash,
    pub(super) round: RoundId,
    /// The delta's block.
    pub(super) block: ContentHash,
}

#[derive(Serialize, Deserialize)]
struct RunFile {
    #[serde(flatten)]
    frame: Frame,
    manifest: Value,
}

/// A run's folder.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A folder that may not be there yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where losses are logged where nobody says otherwise.
    pub(super) fn log(&self) -> PathBuf {
        self.at("loss.jsonl")
    }

    fn read(&self, name: &str) -> Result<Value> {
        let path = self.at(name);
        let cannot = || format!("cannot read {}; is {} the folder of a run?", path.display(), self.0.display());
        let length = fs::metadata(&path).with_context(cannot)?.len();
        ensure!(length <= MAX_JSON, "{} is longer than such a file can be", path.display());
        let bytes = fs::read(&path).with_context(cannot)?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged: train anew, in another folder", path.display()))
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.at(name);
        let text = serde_json::to_string_pretty(value)?;
        fs::create_dir_all(&self.0).with_context(|| format!("cannot make {}", self.0.display()))?;
        let content = |file: &mut std::io::BufWriter<&File>| writeln!(file, "{text}");
        atomic::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Whether a run was begun here.
    pub(super) fn is_begun(&self) -> bool {
        self.at("run.json").is_file()
    }

    /// Takes the folder for this command alone, until what is returned is dropped.
    pub(super) fn claim(&self) -> Result<File> {
        fs::create_dir_all(&self.0).with_context(|| format!("cannot make {}", self.0.display()))?;
        let path = self.at("lock");
        match atomic::lock(&path, true).with_context(|| format!("cannot lock {}", path.display()))? {
            Some(lock) => {
                let removed = atomic::remove_stale(&self.0);
                removed.with_context(|| format!("cannot clear {}", self.0.display()))?;
                Ok(lock)
            },
            None => {
                bail!("another blyan train is at work in {}: wait for it, or name another folder", self.0.display())
            },
        }
    }

    /// Notes what a run is about.
    pub(super) fn begin(&self, frame: &Frame, manifest: &Manifest) -> Result<()> {
        self.write("run.json", &RunFile { frame: frame.clone(), manifest: manifest_value(manifest) })
    }

    /// What the run here is about.
    pub(super) fn resume(&self) -> Result<(Frame, Manifest)> {
        let file: RunFile = serde_json::from_value(self.read("run.json")?)
            .with_context(|| format!("{} is of another version: train anew", self.at("run.json").display()))?;
        Ok((file.frame, manifest_of(&file.manifest).context("run.json")?))
    }

    /// Keeps a delta, and what it was trained by.
    pub(super) fn keep(&self, manifest: &Manifest, block: &UnwrittenBlock<'_>, about: &About) -> Result<VerifiedBlock> {
        self.write("manifest.json", &manifest_value(manifest))?;
        let path = self.at("delta.block");
        block.write_file(&path)?;
        self.write("delta.json", about)?;
        Ok(Block::open_as(&path, &block.hash())?.verify(default_threads())?)
    }

    /// Keeps what was trained of the router, and says where.
    pub(super) fn keep_router(&self, block: &UnwrittenBlock<'_>) -> Result<PathBuf> {
        let path = self.at("router.block");
        block.write_file(&path)?;
        Ok(path)
    }

    /// The delta that was made here, and what is said of it; nothing where none is whole.
    pub(super) fn delta(&self) -> Result<Option<(VerifiedBlock, About)>> {
        if !self.at("delta.json").is_file() {
            return Ok(None);
        }
        let about: About = serde_json::from_value(self.read("delta.json")?)
            .with_context(|| format!("{} is of another version: remove it", self.at("delta.json").display()))?;
        let path = self.at("delta.block");
        let block = Block::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if block.hash() != about.block {
            // It was written, and what is said of it was not.
            return Ok(None);
        }
        Ok(Some((block.verify(default_threads())?, about)))
    }

    /// Gives up the delta that was made here, so that the run is trained on.
    pub(super) fn drop_delta(&self) -> Result<()> {
        let path = self.at("delta.json");
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Notes that it was told how a round with a delta of this run has ended.
    pub(super) fn note_judged(&self, judged: &Judged) -> Result<()> {
        self.write("judged.json", judged)
    }

    /// The last round of this chain of which that was told.
    pub(super) fn judged(&self, chain: Hash) -> Result<Option<Judged>> {
        if !self.at("judged.json").is_file() {
            return Ok(None);
        }
        let judged: Judged = serde_json::from_value(self.read("judged.json")?)
            .with_context(|| format!("{} is of another version: remove it", self.at("judged.json").display()))?;
        Ok(Some(judged).filter(|judged| judged.chain == chain))
    }
}

/// Consecutive items as their first and their number.
fn ranges(items: &[u32]) -> Vec<[u32; 2]> {
    let mut all: Vec<[u32; 2]> = Vec::new();
    for item in items {
        match all.last_mut() {
            Some([first, count]) if first.checked_add(*count) == Some(*item) => *count += 1,
            _ => all.push([*item, 1]),
        }
    }
    all
}

/// A manifest for people and programs; the encoding, whose hash is its name, is in it.
pub(super) fn manifest_value(manifest: &Manifest) -> Value {
    let Manifest { slot, base, master, weights, data, seed, settings } = manifest;
    let Settings { method, steps, batch, window, separator, learning_rate, warm_up, betas, .. } = settings;
    let Settings { epsilon, weight_decay, clip, router, .. } = settings;
    let set = |DataSet { root, items }: &DataSet| json!({ "root": ContentHash(*root), "items": ranges(items) });
    let method = match method {
        Method::LowRank { rank } => json!({ "low_rank": rank }),
        Method::Full => json!("full"),
    };
    let router = router
        .map(|router| json!({ "learning_rate": router.learning_rate, "balance": router.balance, "bias": router.bias }));
    json!({
        "id": ContentHash(manifest.id()), "slot": slot, "base": base, "master": master, "weights": weights,
        "data": data.iter().map(set).collect::<Vec<_>>(), "seed": seed.to_string(),
        "settings": {
            "method": method, "steps": steps, "batch": batch, "window": window, "separator": separator,
            "learning_rate": learning_rate, "warm_up": warm_up, "betas": betas, "epsilon": epsilon,
            "weight_decay": weight_decay, "clip": clip, "router": router,
        },
        "encoded": format!("0x{}", hex::encode(manifest.to_bytes())),
    })
}

/// The manifest in what [`manifest_value`] gives.
fn manifest_of(value: &Value) -> Result<Manifest> {
    let encoded = value["encoded"].as_str().and_then(|text| hex::decode(text.strip_prefix("0x")?).ok());
    let encoded = encoded.ok_or_else(|| anyhow!("it has no encoded manifest: it is damaged, train anew"))?;
    Ok(Manifest::from_bytes(&encoded)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::{
        block::BlockKind, block::DType, block::Form, block::Layout, block::Quantisation, ids::WeightsId,
    };
    use blyan_tensorblock::BlockBuilder;

    fn manifest() -> Manifest {
        Manifest {
            slot: SlotId { lineage: SpecId([1; 32]), layer: 1, index: 2 },
            base: ContentHash([2; 32]),
            master: Some(ContentHash([3; 32])),
            weights: WeightsId([4; 32]),
            data: vec![DataSet { root: [5; 32], items: vec![0, 1, 2, 7, 8, 10] }],
            seed: u64::MAX,
            settings: Settings::new(u32::MAX, None),
        }
    }

    fn frame() -> Frame {
        let data = ItemRange { block: ContentHash([5; 32]), first: 0, count: 11 };
        let learner = AccountId::from([6; 32]);
        Frame {
            chain: Hash([7; 32]),
            learner,
            spec: SpecId([1; 32]),
            experts: vec![vec![ContentHash([2; 32]); 2]; 2],
            data,
        }
    }

    #[test]
    fn a_run_is_taken_up_as_it_was_begun() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path().join("run"));
        assert!(!folder.is_begun());
        assert!(format!("{:#}", folder.resume().unwrap_err()).contains("folder of a run"));
        folder.begin(&frame(), &manifest()).unwrap();
        assert!(folder.is_begun());
        assert_eq!(folder.resume().unwrap(), (frame(), manifest()));
        fs::write(folder.path().join("run.json"), "{").unwrap();
        assert!(folder.resume().unwrap_err().to_string().contains("damaged"));
        fs::write(folder.path().join("run.json"), "{}").unwrap();
        assert!(format!("{:#}", folder.resume().unwrap_err()).contains("version"));
    }

    #[test]
    fn a_manifest_is_readable_and_whole() {
        let value = manifest_value(&manifest());
        assert_eq!(value["data"][0]["items"], json!([[0, 3], [7, 2], [10, 1]]));
        assert_eq!(
            (&value["settings"]["method"], &value["seed"]),
            (&json!({ "low_rank": 8 }), &json!(u64::MAX.to_string()))
        );
        assert_eq!(value["id"], json!(ContentHash(manifest().id())));
        assert_eq!(manifest_of(&value).unwrap(), manifest());
        for encoded in [json!("0x"), json!("zz"), json!(1), json!("0x0102")] {
            let mut bad = value.clone();
            bad["encoded"] = encoded;
            assert!(manifest_of(&bad).is_err());
        }
    }

    #[test]
    fn a_delta_is_kept_with_what_is_said_of_it() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path().join("run"));
        let mut builder = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
        builder.tensor("gate", DType::U8, Layout::RowMajor, &[3], vec![1u8, 2, 3]).unwrap();
        let block = builder.finish().unwrap();
        let manifest = manifest();
        let about = About {
            block: block.hash(),
            slot: manifest.slot,
            manifest: ContentHash(manifest.id()),
            data: frame().data,
            trained_on: manifest.base,
        };
        assert!(folder.delta().unwrap().is_none());
        assert_eq!(folder.keep(&manifest, &block, &about).unwrap().hash(), block.hash());
        let (found, said) = folder.delta().unwrap().unwrap();
        assert_eq!((found.hash(), said), (block.hash(), about.clone()));
        // As after a kill between the two files.
        let mut other = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
        other.tensor("gate", DType::U8, Layout::RowMajor, &[3], vec![4u8, 5, 6]).unwrap();
        other.finish().unwrap().write_file(&folder.path().join("delta.block")).unwrap();
        assert!(folder.delta().unwrap().is_none());
        folder.keep(&manifest, &block, &about).unwrap();
        folder.drop_delta().unwrap();
        assert!(folder.delta().unwrap().is_none());
        let text = fs::read_to_string(folder.path().join("manifest.json")).unwrap();
        assert_eq!(manifest_of(&serde_json::from_str(&text).unwrap()).unwrap(), manifest);
    }

    #[test]
    fn what_was_told_is_told_of_one_chain() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path().join("run"));
        let [chain, other] = [7, 8].map(|byte| Hash([byte; 32]));
        assert_eq!(folder.judged(chain).unwrap(), None);
        let judged = Judged { chain, round: 3, block: ContentHash([9; 32]) };
        folder.note_judged(&judged).unwrap();
        assert_eq!((folder.judged(chain).unwrap(), folder.judged(other).unwrap()), (Some(judged), None));
    }

    #[test]
    fn a_folder_is_one_commands_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path().join("run"));
        let lock = folder.claim().unwrap();
        assert!(folder.claim().unwrap_err().to_string().contains("another blyan train"));
        drop(lock);
        folder.claim().unwrap();
    }
}
