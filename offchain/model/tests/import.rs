//! Imports: what comes out, that it is always the same, and what is refused.

mod common;

use blyan_model::{
    hf::HfError,
    import::{ImportError, ImportOptions, Progress, SinkError, expert_of, import_gguf, import_hf},
    tiny,
};
use blyan_primitives::{
    block::{BlockKind, Form},
    genesis::GenesisModel,
    ids::ContentHash,
};
use blyan_tensorblock::{VerifiedBlock, quant::unpack_rows16k4};
use common::{
    Blocks,
    checkpoint::{self, Checkpoint, Family},
    genesis_file,
    gguf::GgufFile,
    keep, llama, name,
};
use rstest::rstest;
use safetensors::Dtype;
use std::{collections::BTreeSet, fs, path::Path};

const SMOLLM2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtime/genesis/smollm2-135m.json");
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtime/genesis/tiny.json");

fn genesis_json(path: &str) -> GenesisModel {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn options() -> ImportOptions {
    ImportOptions { masters: true, ..ImportOptions::new(name("test")) }
}

fn from_gguf(file: &GgufFile, options: &ImportOptions) -> Result<(GenesisModel, Blocks), ImportError> {
    let mut blocks = Blocks::new();
    let genesis = import_gguf(file.file().path(), options, &mut keep(&mut blocks), &mut |_| ())?;
    Ok((genesis, blocks))
}

fn from_hf(folder: &Path) -> Result<(GenesisModel, Blocks), ImportError> {
    let mut blocks = Blocks::new();
    let genesis = import_hf(folder, &options(), &mut keep(&mut blocks), &mut |_| ())?;
    Ok((genesis, blocks))
}

/// Whether an int8 tensor of a block holds `values`, as exactly as its scales allow.
fn holds_quantised(block: &VerifiedBlock, tensor: &str, values: &[f32]) {
    let packed = block.tensor(tensor).unwrap();
    let scales = block.tensor(&format!("{tensor}.scale")).unwrap().f32().unwrap().to_vec();
    let [rows, k] = *packed.info.shape.as_slice() else { panic!("{tensor} is no matrix") };
    let unpacked = unpack_rows16k4(packed.i8().unwrap(), rows as usize, k as usize).unwrap();
    assert_eq!(unpacked.len(), values.len(), "{tensor}");
    for (row, (ints, values)) in unpacked.chunks(k as usize).zip(values.chunks(k as usize)).enumerate() {
        let largest = values.iter().fold(0f32, |max, x| max.max(x.abs()));
        assert_eq!(scales[row], largest / 127.0, "{tensor} row {row}");
        for (int, value) in ints.iter().zip(values) {
            assert!((f32::from(*int) * scales[row] - value).abs() <= scales[row] * 0.501, "{tensor} row {row}");
        }
    }
}

fn holds(block: &VerifiedBlock, tensor: &str, values: &[f32]) {
    assert_eq!(block.tensor(tensor).unwrap().f32().unwrap(), values, "{tensor}");
}

#[test]
fn a_dense_gguf_becomes_experts_that_share_one_block() {
    let (genesis, blocks) = from_gguf(&llama::gguf(false), &options()).unwrap();
    let weights = llama::weights(false);
    let d = &genesis.spec.dimensions;
    assert_eq!((d.layers, d.experts, d.top_k, d.context), (2, 4, 2, 128));
    assert_eq!((d.heads, d.kv_heads, d.head_dim), (2, 1, 16));
    assert!(d.tied_embeddings && !d.qk_norm);
    assert_eq!(d.rms_eps.get(), 1e-5);

    let trunk = &blocks[&genesis.spec.trunk];
    holds_quantised(trunk, "embed", &weights["embed"]);
    holds(trunk, "norm", &weights["norm"]);
    for layer in 0..2 {
        for matrix in ["q", "k", "v", "o"] {
            let tensor = format!("{layer}.{matrix}");
            holds_quantised(trunk, &tensor, &weights[&tensor]);
        }
        for norm in ["attn_norm", "ffn_norm"] {
            let tensor = format!("{layer}.{norm}");
            holds(trunk, &tensor, &weights[&tensor]);
        }
        let heads = &genesis.heads[layer];
        assert_eq!(heads.len(), 4);
        assert!(heads.iter().all(|head| head == &heads[0]));
        let master = genesis.blocks[&heads[0]].master.unwrap();
        for matrix in ["gate", "up", "down"] {
            let values = &weights[&format!("{layer}.0.{matrix}")];
            holds_quantised(&blocks[&heads[0]], matrix, values);
            holds(&blocks[&master], matrix, values);
        }
        let router = blocks[&genesis.spec.router].tensor(&format!("{layer}.router")).unwrap();
        assert_eq!(router.info.shape, [4, 32]);
        let scores = router.f32().unwrap();
        assert!(scores.iter().all(|w| w.abs() <= 1.0 / 1024.0) && scores.iter().any(|w| w.abs() > 1.0 / 4096.0));
    }
    // Tokenizer, router, trunk, and a master and a serving form a layer.
    assert_eq!(blocks.len(), 3 + 2 * 2);
    assert_eq!(genesis.blocks.keys().collect::<Vec<_>>(), blocks.keys().collect::<Vec<_>>());
}

#[test]
fn a_mixture_keeps_its_experts_and_routers() {
    let (genesis, blocks) = from_gguf(&llama::gguf(true), &options()).unwrap();
    let weights = llama::weights(true);
    assert_eq!((genesis.spec.dimensions.experts, genesis.spec.dimensions.top_k), (3, 2));
    for layer in 0..2 {
        holds(&blocks[&genesis.spec.router], &format!("{layer}.router"), &weights[&format!("{layer}.router")]);
        assert_eq!(genesis.heads[layer].iter().collect::<BTreeSet<_>>().len(), 3);
        for (expert, head) in genesis.heads[layer].iter().enumerate() {
            for matrix in ["gate", "up", "down"] {
                holds_quantised(&blocks[head], matrix, &weights[&format!("{layer}.{expert}.{matrix}")]);
            }
        }
    }
}

#[test]
fn masters_are_hashed_always_and_written_on_request() {
    let file = llama::gguf(false);
    let (with, all) = from_gguf(&file, &options()).unwrap();
    let (without, few) = from_gguf(&file, &ImportOptions { masters: false, ..options() }).unwrap();
    assert_eq!(with, without);
    let masters = |blocks: &Blocks| blocks.values().filter(|b| b.header().form == Form::Master).count();
    assert_eq!((masters(&all), masters(&few)), (2, 0));
}

#[test]
fn one_expert_is_made_as_all_are() {
    for mixture in [false, true] {
        let file = llama::gguf(mixture);
        let (genesis, _) = from_gguf(&file, &options()).unwrap();
        let file = file.file();
        for (layer, heads) in (0..).zip(&genesis.heads) {
            for (index, head) in (0..).zip(heads) {
                let forms = expert_of(file.path(), layer, index).unwrap();
                assert_eq!((forms.serving.hash(), Some(forms.master.hash())), (*head, genesis.blocks[head].master));
            }
        }
        let missing = |layer, index| matches!(expert_of(file.path(), layer, index), Err(ImportError::NoExpert { .. }));
        // A dense layer has as many as the import gives it.
        assert_eq!([missing(2, 0), missing(0, 3)], [true, mixture]);
    }
    assert!(matches!(expert_of(Path::new("/nowhere/x.gguf"), 0, 0), Err(ImportError::Gguf(_))));
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let file = llama::gguf(true);
    let (one, _) = from_gguf(&file, &ImportOptions { threads: 1, ..options() }).unwrap();
    for threads in [0, 2, 7] {
        assert_eq!(from_gguf(&file, &ImportOptions { threads, ..options() }).unwrap().0, one);
    }
}

#[test]
fn options_are_in_the_spec() {
    let change = |change: fn(&mut ImportOptions)| {
        let mut options = options();
        change(&mut options);
        from_gguf(&llama::gguf(false), &options)
    };
    let (base, _) = change(|_| ()).unwrap();
    assert_eq!(change(|o| o.max_context = Some(64)).unwrap().0.spec.dimensions.context, 64);
    assert_eq!(change(|o| o.max_context = Some(1 << 20)).unwrap().0.spec.dimensions.context, 128);
    let (seeded, _) = change(|o| o.router_seed = 1).unwrap();
    assert_ne!(seeded.spec.router, base.spec.router);
    assert_eq!((seeded.spec.trunk, &seeded.heads), (base.spec.trunk, &base.heads));
    assert!(matches!(change(|o| o.top_k = 5), Err(ImportError::Spec(_))));
    assert!(matches!(change(|o| o.experts = 0), Err(ImportError::Spec(_))));
    assert!(matches!(change(|o| o.checkpoint_every = 0), Err(ImportError::Spec(_))));
}

#[test]
fn progress_ends_at_the_total() {
    let mut seen: Vec<Progress> = Vec::new();
    let file = llama::gguf(false).file();
    import_gguf(file.path(), &options(), &mut |_| Ok(()), &mut |progress| seen.push(progress)).unwrap();
    let total: usize = llama::weights(false).values().map(Vec::len).sum();
    assert!(seen.windows(2).all(|pair| pair[0].done < pair[1].done));
    assert_eq!(seen.last().map(|last| (last.done, last.total)), Some((total as u64, total as u64)));
}

#[test]
fn a_full_store_ends_the_import() {
    let mut taken = 0;
    let file = llama::gguf(false).file();
    let mut sink = |_| {
        taken += 1;
        if taken < 3 { Ok(()) } else { Err(SinkError::from("disk full")) }
    };
    let error = import_gguf(file.path(), &options(), &mut sink, &mut |_| ()).unwrap_err();
    assert!(matches!(&error, ImportError::Sink { .. }) && error.to_string().contains("disk full"), "{error}");
}

#[test]
fn gguf_files_that_are_no_model_are_refused() {
    let refused = |file: GgufFile| from_gguf(&file, &options()).unwrap_err();
    let good = || llama::gguf(false);
    let unsupported = |file| match refused(file) {
        ImportError::Unsupported { what, .. } => what,
        other => panic!("{other}"),
    };
    assert_eq!(unsupported(good().text("general.architecture", "mamba")), "model architecture");
    assert_eq!(unsupported(good().text("llama.rope.scaling.type", "yarn")), "rope.scaling.type");
    assert_eq!(unsupported(good().u32("llama.attention.value_length", 8)), "attention.value_length");
    assert_eq!(unsupported(good().u32("llama.rope.dimension_count", 8)), "rope.dimension_count");
    assert_eq!(unsupported(good().u32("llama.attention.sliding_window", 8)), "attention.sliding_window");
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        let scaled = |factor| good().f32(&format!("llama.{key}"), factor);
        assert_eq!((unsupported(scaled(4.0)), unsupported(scaled(f32::NAN))), (key, key));
        // Factors that scale nothing, and one that the type says is not to be used.
        for file in [scaled(0.0), scaled(1.0), scaled(4.0).text("llama.rope.scaling.type", "none")] {
            from_gguf(&file, &options()).unwrap();
        }
    }
    assert!(matches!(refused(good().u32("llama.block_count", 60_000)), ImportError::Spec(_)));
    assert!(matches!(refused(good().u32("llama.attention.head_count", 0)), ImportError::Spec(_)));
    assert!(matches!(
        refused(good().u32("llama.embedding_length", 1 << 30)),
        ImportError::Gguf(_) | ImportError::Spec(_)
    ));
    assert!(
        matches!(refused(good().u32("llama.block_count", 3)), ImportError::MissingTensor(t) if t == "blk.2.attn_norm.weight")
    );
    assert!(matches!(refused(good().u32("llama.block_count", 1)), ImportError::UnexpectedTensor(_)));
    assert!(matches!(
        refused(good().tensor("blk.0.attn_q.bias", &[32], &[0.0; 32])),
        ImportError::UnexpectedTensor(t) if t == "blk.0.attn_q.bias"
    ));
    assert!(matches!(
        refused(good().u32("llama.feed_forward_length", 32)),
        ImportError::Shape { expected, found, .. } if expected == [32, 32] && found == [64, 32]
    ));
    assert!(matches!(
        import_gguf(Path::new("/nowhere/x.gguf"), &options(), &mut |_| Ok(()), &mut |_| ()),
        Err(ImportError::Gguf(_))
    ));
}

#[rstest]
#[case("blk.1.ffn_up.weight", "1.0.up")]
#[case("blk.0.attn_norm.weight", "0.attn_norm")]
#[case("token_embd.weight", "embed")]
fn weights_that_are_no_numbers_are_refused(#[case] tensor: &str, #[case] part: &str) {
    let mut file = llama::gguf(false);
    let bad = file.tensors.iter_mut().find(|t| t.name == tensor).unwrap();
    bad.data[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = from_gguf(&file, &options()).unwrap_err();
    assert!(matches!(error, ImportError::Weights { .. } | ImportError::NotFinite { .. }));
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn a_vocabulary_larger_than_the_embedding_is_refused() {
    let mut file = llama::gguf(false);
    let embed = file.tensors.iter_mut().find(|t| t.name == "token_embd.weight").unwrap();
    embed.shape[1] -= 1;
    embed.data.truncate(embed.data.len() - 4 * llama::HIDDEN);
    assert!(matches!(from_gguf(&file, &options()), Err(ImportError::Vocabulary { tokens: 259, rows: 258 })));
}

#[rstest]
fn checkpoints_of_every_family_are_read(
    #[values(Family::Llama, Family::Mixtral, Family::Qwen3Moe)] family: Family,
    #[values(Dtype::F32, Dtype::F16, Dtype::BF16)] dtype: Dtype,
    #[values(1, 3)] shards: usize,
) {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::new(family).rounded(dtype);
    checkpoint.write(folder.path(), dtype, shards);
    let (genesis, blocks) = from_hf(folder.path()).unwrap();
    let values = |name: &str| &checkpoint.tensors[name].1;
    let d = &genesis.spec.dimensions;
    assert_eq!(d.qk_norm, family == Family::Qwen3Moe);
    assert_eq!(d.tied_embeddings, family == Family::Llama);
    assert_eq!((d.rope_theta.get(), d.rms_eps.get(), d.context), (50_000.0, 1e-6, 128));

    let trunk = &blocks[&genesis.spec.trunk];
    holds_quantised(trunk, "embed", values("model.embed_tokens.weight"));
    holds(trunk, "norm", values("model.norm.weight"));
    if family != Family::Llama {
        holds_quantised(trunk, "head", values("lm_head.weight"));
    }
    for layer in 0..checkpoint::LAYERS {
        let of = |name: &str| values(&format!("model.layers.{layer}.{name}.weight"));
        for (ours, theirs) in [("q", "q_proj"), ("k", "k_proj"), ("v", "v_proj"), ("o", "o_proj")] {
            holds_quantised(trunk, &format!("{layer}.{ours}"), of(&format!("self_attn.{theirs}")));
        }
        holds(trunk, &format!("{layer}.attn_norm"), of("input_layernorm"));
        holds(trunk, &format!("{layer}.ffn_norm"), of("post_attention_layernorm"));
        let router = match family {
            Family::Llama => None,
            Family::Mixtral => Some("block_sparse_moe.gate"),
            Family::Qwen3Moe => Some("mlp.gate"),
        };
        if let Some(router) = router {
            holds(&blocks[&genesis.spec.router], &format!("{layer}.router"), of(router));
        }
        if family == Family::Qwen3Moe {
            holds(trunk, &format!("{layer}.q_norm"), of("self_attn.q_norm"));
            holds(trunk, &format!("{layer}.k_norm"), of("self_attn.k_norm"));
        }
        for (expert, head) in genesis.heads[layer].iter().enumerate() {
            let names = Checkpoint::expert(family, layer, expert);
            for (matrix, name) in ["gate", "up", "down"].into_iter().zip(&names) {
                holds_quantised(&blocks[head], matrix, values(name));
            }
        }
    }
}

#[test]
fn shards_change_nothing() {
    let checkpoint = Checkpoint::new(Family::Mixtral);
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    checkpoint.write(one.path(), Dtype::F32, 1);
    checkpoint.write(three.path(), Dtype::F32, 3);
    assert_eq!(from_hf(one.path()).unwrap().0, from_hf(three.path()).unwrap().0);
}

/// What an import says of a checkpoint that was changed before or after it was written.
fn refused(
    family: Family,
    shards: usize,
    before: impl FnOnce(&mut Checkpoint),
    after: impl FnOnce(&Path),
) -> ImportError {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::new(family);
    before(&mut checkpoint);
    checkpoint.write(folder.path(), Dtype::F32, shards);
    after(folder.path());
    from_hf(folder.path()).unwrap_err()
}

#[test]
fn checkpoints_with_wrong_tensors_are_refused() {
    let with = |change: fn(&mut Checkpoint)| refused(Family::Qwen3Moe, 1, change, |_| ());
    let missing = with(|c| drop(c.tensors.remove("model.layers.1.mlp.experts.2.up_proj.weight")));
    assert!(matches!(missing, ImportError::MissingTensor(t) if t == "model.layers.1.mlp.experts.2.up_proj.weight"));
    let bias =
        with(|c| drop(c.tensors.insert("model.layers.0.self_attn.q_proj.bias".into(), (vec![64], vec![0.0; 64]))));
    assert!(matches!(bias, ImportError::UnexpectedTensor(_)));
    let shape = with(|c| c.tensors.get_mut("model.norm.weight").unwrap().0 = vec![1, 32]);
    assert!(matches!(shape, ImportError::Shape { expected, .. } if expected == [32]));
    let narrow = with(|c| {
        let tensor = c.tensors.get_mut("lm_head.weight").unwrap();
        tensor.0[0] -= 1;
        tensor.1.truncate(tensor.1.len() - checkpoint::HIDDEN);
    });
    assert!(matches!(narrow, ImportError::Shape { .. }));
    let infinite = with(|c| c.tensors.get_mut("model.layers.0.mlp.gate.weight").unwrap().1[3] = f32::INFINITY);
    assert!(matches!(infinite, ImportError::NotFinite { part } if part == "0.router"));

    let folder = tempfile::tempdir().unwrap();
    Checkpoint::new(Family::Llama).write(folder.path(), Dtype::F64, 1);
    assert!(matches!(from_hf(folder.path()), Err(ImportError::Hf(HfError::DType { found, .. })) if found == "F64"));
}

#[rstest]
#[case("model_type", serde_json::json!("gpt_neox"))]
#[case("hidden_act", serde_json::json!("gelu"))]
#[case("attention_bias", serde_json::json!(true))]
#[case("rope_type", serde_json::json!({ "rope_type": "yarn", "factor": 4.0 }))]
#[case("sliding_window", serde_json::json!(64))]
#[case("norm_topk_prob", serde_json::json!(false))]
#[case("decoder_sparse_step", serde_json::json!(2))]
#[case("mlp_only_layers", serde_json::json!([0]))]
#[case("quantization_config", serde_json::json!({ "bits": 4 }))]
fn settings_that_change_the_computation_are_refused(#[case] key: &str, #[case] value: serde_json::Value) {
    let place = if key == "rope_type" { "rope_scaling" } else { key };
    let change = |c: &mut Checkpoint| {
        c.config[place] = value;
        c.config["use_sliding_window"] = serde_json::json!(true);
    };
    let error = refused(Family::Qwen3Moe, 1, change, |_| ());
    assert!(matches!(error, ImportError::Hf(HfError::Config { key: named, .. }) if named == key));
}

#[test]
fn settings_that_change_nothing_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::new(Family::Qwen3Moe);
    checkpoint.config["sliding_window"] = serde_json::json!(64);
    checkpoint.config["use_sliding_window"] = serde_json::json!(false);
    checkpoint.config["rope_theta"] = serde_json::Value::Null;
    checkpoint.config["rope_parameters"] = serde_json::json!({ "rope_type": "default", "rope_theta": 50_000.0 });
    checkpoint.write(folder.path(), Dtype::F32, 1);
    let (genesis, _) = from_hf(folder.path()).unwrap();
    assert_eq!(genesis.spec.dimensions.rope_theta.get(), 50_000.0);
}

#[test]
fn an_index_that_lies_is_refused() {
    let index = |folder: &Path, change: &dyn Fn(&mut serde_json::Value)| {
        let path = folder.join("model.safetensors.index.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json["weight_map"]);
        fs::write(path, json.to_string()).unwrap();
    };
    let with = |change: &dyn Fn(&mut serde_json::Value)| match refused(Family::Llama, 2, |_| (), |f| index(f, change)) {
        ImportError::Hf(error) => error,
        other => panic!("{other}"),
    };
    let tensor = "model.norm.weight";
    for outside in ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "model.bin", ""] {
        let error = with(&|map| map[tensor] = outside.into());
        assert!(matches!(error, HfError::ShardName { file, .. } if file == outside));
    }
    let absent = with(&|map| map["model.more.weight"] = "model-00001-of-00002.safetensors".into());
    assert!(matches!(absent, HfError::LyingIndex { tensor, .. } if tensor == "model.more.weight"));
    let moved = with(&|map| {
        let other = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let now = map[tensor].as_str() == Some(other[0]);
        map[tensor] = other[usize::from(now)].into();
    });
    assert!(matches!(moved, HfError::LyingIndex { .. } | HfError::Unlisted { .. }));
    let unlisted = with(&|map| drop(map.as_object_mut().unwrap().remove(tensor)));
    assert!(matches!(unlisted, HfError::Unlisted { tensor: named, .. } if named == tensor));
    let no_file = with(&|map| map["more"] = "model-00009-of-00002.safetensors".into());
    assert!(matches!(no_file, HfError::Io { .. }));
    let many = with(&|map| (0..2000).for_each(|i| map[format!("t{i}")] = format!("m{i}.safetensors").into()));
    assert!(matches!(many, HfError::TooManyShards { .. }));
}

#[test]
fn broken_files_of_a_checkpoint_are_refused() {
    let broken = |file: &'static str, change: fn(&mut Vec<u8>)| {
        let error = refused(
            Family::Llama,
            1,
            |_| (),
            |folder| {
                let mut bytes = fs::read(folder.join(file)).unwrap();
                change(&mut bytes);
                fs::write(folder.join(file), bytes).unwrap();
            },
        );
        match error {
            ImportError::Hf(error) => error,
            other => panic!("{other}"),
        }
    };
    let weights = "model.safetensors";
    assert!(matches!(broken(weights, |b| b.truncate(b.len() - 1)), HfError::SafeTensors { .. }));
    assert!(matches!(broken(weights, |b| b.truncate(4)), HfError::SafeTensors { .. }));
    assert!(matches!(broken(weights, |b| b.clear()), HfError::SafeTensors { .. } | HfError::Io { .. }));
    assert!(matches!(broken(weights, |b| b[..8].fill(0xff)), HfError::SafeTensors { .. }));
    assert!(matches!(broken(weights, |b| b.push(0)), HfError::SafeTensors { .. }));
    assert!(matches!(broken("config.json", |b| b.truncate(10)), HfError::Json { .. }));
    assert!(matches!(broken("config.json", |b| b.resize(17 << 20, b' ')), HfError::TooLarge { .. }));
    assert!(matches!(broken("tokenizer_config.json", |b| b.truncate(3)), HfError::Json { .. }));
    let missing = refused(Family::Llama, 1, |_| (), |folder| fs::remove_file(folder.join("config.json")).unwrap());
    assert!(matches!(missing, ImportError::Hf(HfError::Io { .. })));
    let key =
        refused(Family::Mixtral, 1, |c| drop(c.config.as_object_mut().unwrap().remove("num_local_experts")), |_| ());
    assert!(matches!(key, ImportError::Hf(HfError::MissingKey("num_local_experts"))));
}

#[test]
fn the_tiny_model_of_the_chain_spec_is_what_its_seed_gives() {
    let model = tiny::build(tiny::GENESIS_SEED).unwrap();
    assert_eq!(genesis_json(TINY), model.genesis, "run: cargo run --release -p blyan-model --example genesis -- tiny");
    let made: BTreeSet<ContentHash> = model.blocks.iter().map(|block| block.hash()).collect();
    assert_eq!(made, model.genesis.blocks.keys().copied().collect());
    let experts: BTreeSet<_> = model.genesis.heads.iter().flatten().collect();
    assert_eq!(experts.len(), 8, "the tiny model's experts are all different");
    assert_ne!(tiny::build(tiny::GENESIS_SEED + 1).unwrap().genesis.spec.trunk, model.genesis.spec.trunk);
}

#[test]
fn the_genesis_model_of_the_chain_spec_is_what_its_file_gives() {
    let options = ImportOptions::new(name("smollm2-135m-moe"));
    let mut kinds = Vec::new();
    let mut sink = |block: blyan_tensorblock::UnwrittenBlock<'static>| {
        kinds.push(block.header().kind);
        Ok(())
    };
    let genesis = import_gguf(&genesis_file(), &options, &mut sink, &mut |_| ()).unwrap();
    assert_eq!(genesis_json(SMOLLM2), genesis, "run: cargo run --release -p blyan-model --example genesis -- FILE");
    let experts = kinds.iter().filter(|kind| **kind == BlockKind::Expert).count();
    assert_eq!((kinds.len(), experts), (33, 30), "identical experts share a block");
    assert_eq!(genesis.blocks.len(), 63, "the records of the experts' masters are there too");
    assert_eq!(genesis.spec.dimensions.context, 8192);
}
