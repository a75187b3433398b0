//! Damaged and forged model files through the whole of an import: a named error, or a model that can be loaded and asked.

mod common;

use blyan_model::{
    chat::TextProcessor,
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    import::{ImportError, ImportOptions, import_gguf, import_hf},
};
use blyan_primitives::{genesis::GenesisModel, receipt::Sampling};
use common::{
    Blocks,
    checkpoint::{Checkpoint, Family},
    gguf::{self, GgufFile, typed},
    keep, llama, name,
};
use proptest::{prelude::*, sample::Index};
use safetensors::Dtype;
use std::{collections::BTreeMap, fs, sync::Arc, sync::LazyLock};

fn options() -> ImportOptions {
    ImportOptions { threads: 2, ..ImportOptions::new(name("damaged")) }
}

/// What was imported is consistent: each part is what its record says, and can be executed or is refused by name.
fn ask(genesis: GenesisModel, blocks: &Blocks) {
    genesis.check().unwrap();
    let block = |hash| blocks[hash].clone();
    let text = TextProcessor::from_block(&block(&genesis.spec.tokenizer)).unwrap();
    let _ = text.prompt("a b é </s>").map(|tokens| text.tokenizer().decode(&tokens));
    let experts = genesis.heads.iter().map(|layer| layer.iter().map(block).collect()).collect();
    let (trunk, router) = (block(&genesis.spec.trunk), block(&genesis.spec.router));
    let model = Model::load(ModelBlocks { spec: genesis.spec, trunk, router, experts }).unwrap();
    // Weights that were changed may still overflow, which has a name.
    let engine = Engine::new(Arc::new(model), EngineConfig { threads: 1, cpu: None, pass_tokens: 4 }).unwrap();
    if let Ok(mut session) = engine.session(&[1, 2, 3], Sampling::GREEDY, 1)
        && engine.prefill(&mut session, 9).is_ok()
    {
        let _ = engine.decode(&mut [&mut session]);
    }
}

/// Damage at a place that is counted from the beginning of a file, of which `head` bytes say what the others mean.
#[derive(Clone, Debug)]
struct Damage {
    at: Index,
    in_head: bool,
    bit: u8,
    cut: bool,
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>, head: usize) {
        let at = self.at.index(if self.in_head { head.min(bytes.len()) } else { bytes.len() });
        if self.cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << self.bit;
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    // More often in the head, and more often a flipped bit: the rest is soon seen.
    (any::<Index>(), prop::bool::weighted(0.8), 0u8..8, prop::bool::weighted(0.15))
        .prop_map(|(at, in_head, bit, cut)| Damage { at, in_head, bit, cut })
}

const FAMILIES: [Family; 3] = [Family::Llama, Family::Mixtral, Family::Qwen3Moe];

/// The files of a checkpoint of each family, in one shard and in two.
static CHECKPOINTS: LazyLock<Vec<BTreeMap<String, Vec<u8>>>> = LazyLock::new(|| {
    let files = |family, shards| {
        let folder = tempfile::tempdir().unwrap();
        Checkpoint::new(family).write(folder.path(), Dtype::F32, shards);
        let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
    };
    FAMILIES.into_iter().flat_map(|family| [files(family, 1), files(family, 2)]).collect()
});

static GGUF: LazyLock<[GgufFile; 2]> = LazyLock::new(|| [llama::gguf(false), llama::gguf(true)]);

/// Bytes of a file in front of its tensors' data.
fn head_of(file: &GgufFile) -> usize {
    let without = GgufFile { tensors: file.tensors.iter().cloned().map(emptied).collect(), ..file.clone() };
    without.bytes().len()
}

fn emptied(mut tensor: gguf::Tensor) -> gguf::Tensor {
    tensor.data.clear();
    tensor
}

fn import_bytes(bytes: &[u8]) -> Result<(GenesisModel, Blocks), ImportError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let mut blocks = Blocks::new();
    let genesis = import_gguf(file.path(), &options(), &mut keep(&mut blocks), &mut |_| ())?;
    Ok((genesis, blocks))
}

/// Values that somebody may put under any key.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let number =
        prop_oneof![prop::sample::select(vec![0, 1, 2, 3, 16, 33, 64, 1 << 16, u32::MAX / 2, u32::MAX]), any::<u32>(),];
    let float =
        prop::sample::select(vec![0.0, -1.0, 1e-30, 0.5, 4.0, 1e38, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    prop_oneof![
        number.prop_map(|n| typed(gguf::U32, &n.to_le_bytes())),
        float.prop_map(|x| typed(gguf::F32, &x.to_le_bytes())),
        "[a-z<>|{}% ]{0,12}".prop_map(|text| typed(gguf::STRING, &gguf::string(&text))),
        (0u32..14, 0u64..9, proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(ty, count, bytes)| typed(
            gguf::ARRAY,
            &[&ty.to_le_bytes()[..], &count.to_le_bytes(), &bytes].concat()
        )),
    ]
}

/// Keys that change what is computed.
const SETTINGS: [&str; 9] = [
    "general.alignment",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.rope.dimension_count",
    "llama.rope.scaling.factor",
    "llama.expert_count",
    "llama.expert_used_count",
    "llama.vocab_size",
    "tokenizer.chat_template",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_checkpoint_is_refused_by_name_or_sound(
        which: Index,
        damages in proptest::collection::vec((any::<Index>(), damage()), 1..3),
    ) {
        let mut files = which.get(&CHECKPOINTS).clone();
        for (file, damage) in damages {
            let names: Vec<String> = files.keys().cloned().collect();
            let name = file.get(&names);
            let bytes = files.get_mut(name).unwrap();
            // A safetensors file begins with the length of its header.
            let head = match bytes.first_chunk::<8>() {
                Some(length) if name.ends_with(".safetensors") => 8 + u64::from_le_bytes(*length).min(1 << 16) as usize,
                _ => bytes.len(),
            };
            if !bytes.is_empty() {
                damage.apply(bytes, head);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let mut blocks = Blocks::new();
        let imported = import_hf(folder.path(), &options(), &mut keep(&mut blocks), &mut |_| ());
        match imported {
            Ok(genesis) => ask(genesis, &blocks),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_damaged_gguf_file_is_refused_by_name_or_sound(mixture: bool, damages in proptest::collection::vec(damage(), 1..4)) {
        let file = &GGUF[usize::from(mixture)];
        let (mut bytes, head) = (file.bytes(), head_of(file));
        for damage in damages {
            if !bytes.is_empty() {
                damage.apply(&mut bytes, head);
            }
        }
        match import_bytes(&bytes) {
            Ok((genesis, blocks)) => ask(genesis, &blocks),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn forged_metadata_is_refused_by_name_or_sound(
        mixture: bool,
        changes in proptest::collection::vec((any::<Index>(), value(), any::<bool>()), 1..4),
    ) {
        let mut file = GGUF[usize::from(mixture)].clone();
        for (which, value, remove) in changes {
            let mut keys: Vec<String> = file.entries.iter().map(|(key, _)| key.clone()).collect();
            keys.extend(SETTINGS.map(String::from));
            let key = which.get(&keys);
            if remove {
                file.entries.retain(|(known, _)| known != key);
            } else {
                file = file.entry(key, value);
            }
        }
        match import_bytes(&file.bytes()) {
            Ok((genesis, blocks)) => ask(genesis, &blocks),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn files_that_are_not_damaged_are_sound() {
    for files in CHECKPOINTS.iter() {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        let mut blocks = Blocks::new();
        let genesis = import_hf(folder.path(), &options(), &mut keep(&mut blocks), &mut |_| ()).unwrap();
        ask(genesis, &blocks);
    }
    for file in GGUF.iter() {
        assert!(head_of(file) < file.bytes().len());
        let (genesis, blocks) = import_bytes(&file.bytes()).unwrap();
        ask(genesis, &blocks);
    }
}
