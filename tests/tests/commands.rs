//! The commands that look at things: `blyan model`, `blyan worker`, `blyan receipt show`, and how commands end.

use blyan_cli::process::{Program, sibling};
use blyan_e2e::{Node, START, Worker, blyan, damage_an_expert, folder, put_tiny};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, process::Stdio};
use tokio::process::Command;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a dense Llama-shaped checkpoint of a few kilobytes, as Hugging Face's libraries do.
fn write_checkpoint(folder: &Path) {
    const HIDDEN: usize = 32;
    const FFN: usize = 48;
    const VOCAB: usize = 260;
    let config = json!({
        "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": FFN, "vocab_size": VOCAB, "hidden_act": "silu",
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "tie_word_embeddings": true,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let special = json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ messages[0].content }}"});
    fs::write(folder.join("tokenizer_config.json"), special.to_string()).unwrap();

    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let tensors = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), vec![VOCAB, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
        (layer("input_layernorm"), vec![HIDDEN]),
        (layer("post_attention_layernorm"), vec![HIDDEN]),
        (layer("self_attn.q_proj"), vec![64, HIDDEN]),
        (layer("self_attn.k_proj"), vec![32, HIDDEN]),
        (layer("self_attn.v_proj"), vec![32, HIDDEN]),
        (layer("self_attn.o_proj"), vec![HIDDEN, 64]),
        (layer("mlp.gate_proj"), vec![FFN, HIDDEN]),
        (layer("mlp.up_proj"), vec![FFN, HIDDEN]),
        (layer("mlp.down_proj"), vec![HIDDEN, FFN]),
    ]);
    let (mut header, mut data, mut state) = (serde_json::Map::new(), Vec::new(), 1u64);
    for (name, shape) in tensors {
        let start = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            data.extend(((state >> 40) as f32 / (1 << 23) as f32 - 1.0).to_le_bytes());
        }
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    let header = Value::Object(header).to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    let file = [length.as_slice(), header.as_slice(), data.as_slice()].concat();
    fs::write(folder.join("model.safetensors"), file).unwrap();
}

/// A token a byte, written in the alphabet of byte-level tokenizers.
fn tokenizer() -> Value {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    let letters = (0..256).map(|byte| if printable(byte) { byte } else { others.next().unwrap() });
    let mut vocab: serde_json::Map<String, Value> =
        letters.zip(0..).map(|(letter, id)| (char::from_u32(letter).unwrap().to_string(), json!(id))).collect();
    vocab.insert("<s>".into(), json!(256));
    vocab.insert("</s>".into(), json!(257));
    let added = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
               "special": true})
    };
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(256, "<s>"), added(257, "</s>")],
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []},
    })
}

#[tokio::test]
async fn a_checkpoint_becomes_blocks_that_are_the_same_each_time() {
    let base = folder();
    let source = base.path().join("checkpoint");
    fs::create_dir(&source).unwrap();
    write_checkpoint(&source);
    let store = base.path().join("store");
    let import = ["model", "import", text(&source), "--name", "small", "--store", text(&store)];
    let model = parsed(&blyan(&import).await.unwrap());
    assert_eq!((&model["spec"]["name"], &model["spec"]["dimensions"]["experts"]), (&json!("small"), &json!(4)));
    // Equal experts share a block.
    let blocks = model["blocks"].as_object().unwrap().values();
    assert_eq!(blocks.filter(|block| block["kind"] == "expert" && block["form"] == "serving").count(), 1, "{model}");
    // To a file and into another store, it is the same.
    let (file, other) = (base.path().join("model.json"), base.path().join("other"));
    let again = ["model", "import", text(&source), "--name", "small", "--store", text(&other), "--output", text(&file)];
    assert_eq!(blyan(&again).await.unwrap(), "");
    assert_eq!(parsed(&fs::read_to_string(&file).unwrap()), model);

    fs::write(source.join("model.safetensors"), "cut off").unwrap();
    let error = blyan(&import).await.unwrap_err().to_string();
    assert!(error.contains("is no sound safetensors file"), "{error}");
}

#[tokio::test]
async fn blocks_are_shown_exported_and_verified_and_a_damaged_one_is_named() {
    let base = folder();
    let store = base.path().join("store");
    put_tiny(&store).unwrap();
    let at = |arguments: &[&str]| {
        let all: Vec<String> =
            arguments.iter().chain(&["--store", text(&store)]).map(|text| (*text).to_owned()).collect();
        async move { blyan(&all.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let whole = at(&["model", "verify"]).await.unwrap();
    let count: usize = whole.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(whole, format!("{count} of {count} blocks are whole\n"));

    let hash = damage_an_expert(&store).unwrap();
    let error = at(&["model", "info", &hash]).await.unwrap_err().to_string();
    assert!(error.contains(&hash) && error.contains("damaged"), "{error}");
    put_tiny(&store).unwrap();
    let info = parsed(&at(&["model", "info", &hash, "--json"]).await.unwrap());
    assert_eq!((&info["hash"], &info["kind"]), (&json!(hash), &json!("expert")));
    let shown = at(&["model", "info", &hash]).await.unwrap();
    assert!(shown.contains(&hash) && shown.contains("gate"), "{shown}");

    let file = base.path().join("expert.block");
    at(&["model", "export", &hash, text(&file)]).await.unwrap();
    assert_eq!(parsed(&at(&["model", "info", text(&file), "--json"]).await.unwrap()), info);
    let error = at(&["model", "export", &hash, text(&file)]).await.unwrap_err().to_string();
    assert!(error.contains("exists"), "{error}");

    let hash = damage_an_expert(&store).unwrap();
    let error = at(&["model", "verify", &hash]).await.unwrap_err().to_string();
    assert!(error.contains(&hash), "{error}");
    damage_an_expert(&store).unwrap();
    let error = at(&["model", "verify"]).await.unwrap_err().to_string();
    assert!(error.contains("1 blocks are not"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_and_a_receipt_are_shown_and_a_closed_pipe_is_no_failure() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let worker = Worker::first(&node, base.path()).await.unwrap();
    node.wait_online("//Bob").await.unwrap();
    let status = ["worker", "status", "--api", &worker.api, "--rpc", &node.rpc];
    let shown = blyan(&status).await.unwrap();
    assert!(shown.contains(", online\n") && shown.contains(&worker.api) && shown.contains("health      ok"), "{shown}");
    let told = parsed(&blyan(&[&status[..], &["--json"]].concat()).await.unwrap());
    assert_eq!((&told["online"], &told["roles"]), (&json!(true), &json!(["serve", "gateway"])));
    assert_eq!(told["health"]["chain"]["connected"], true);

    let chat = ["chat", "Hello", "--max-tokens", "8", "--api", &worker.api];
    let answer = parsed(&blyan(&[&chat[..], &["--json"]].concat()).await.unwrap());
    let receipt = answer["receipt"].as_str().unwrap();
    let show = ["receipt", "show", receipt, "--api", &worker.api];
    let shown = blyan(&show).await.unwrap();
    assert!(shown.contains(receipt) && shown.contains(answer["answer"].as_str().unwrap()), "{shown}");
    assert_eq!(parsed(&blyan(&[&show[..], &["--json"]].concat()).await.unwrap())["id"], receipt);
    let unknown = format!("0x{}", "0".repeat(64));
    let error = blyan(&["receipt", "show", &unknown, "--api", &worker.api]).await.unwrap_err().to_string();
    assert!(error.contains("receipt_not_found"), "{error}");

    // As when `head` has what it wants before the answer begins.
    for arguments in [&chat[..], &status, &show] {
        let mut command = Command::new(sibling("blyan").unwrap());
        let mut running = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(running.stdout.take());
        let output = running.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {}\n{said}", output.status);
    }
}

#[tokio::test]
async fn an_interrupted_command_says_so_and_ends_its_network_in_order() {
    let base = folder();
    let (network, store, log) = (base.path().join("network"), base.path().join("store"), base.path().join("dev.log"));
    let arguments = ["dev", "--once", "Hello", "--tiny", "--store", text(&store), "--base-path", text(&network)];
    let mut dev = Program::start("blyan dev", &sibling("blyan").unwrap(), arguments, &log).await.unwrap();
    dev.wait_for(2 * START, |line| line.contains("waiting for finality").then_some(())).await.unwrap();
    let status = dev.stop(2 * START).await.unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(said.contains("interrupted by SIGTERM before it was done"), "{said}");
    let worker = fs::read_to_string(network.join("worker-0.log")).unwrap();
    assert!(worker.lines().last().is_some_and(|line| line.ends_with("stopped")), "{worker}");
}
