use super::*;
use blyan_primitives::{
    block::{BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation},
    hardware::{HardwareProfile, Tier},
    ids::{BatchRoot, HardwareId, TileRoot},
    receipt::batch_tree,
    spec::{Dimensions, F32Bits, ModelSpec, Name},
    trust::{Level, Standing},
    version::{SemVer, VersionRange},
    worker::{Region, Roles, WorkerInfo},
};
use blyan_runtime::{
    query::{
        Anchor as AnchorEntry, BlockEntry, Channel, Registration, Served, SlotHead, SpecEntry, SpecStatus, WorkerEntry,
    },
    AccountId, BlockNumber, Header,
};
use serde_json::{json, Value};
use sp_api::{ApiRef, ProvideRuntimeApi};
use sp_blockchain::{BlockStatus, Info};
use sp_keyring::Sr25519Keyring::{Alice, Bob};

const GENESIS: Hash = Hash::repeat_byte(1);
const FINALIZED: Hash = Hash::repeat_byte(2);
const BEST: Hash = Hash::repeat_byte(3);
const LAYERS: u16 = 20;
const EXPERTS: u16 = 250;

/// A chain of three blocks: the genesis, a finalized one and the best.
struct Chain;

struct Api;

impl ProvideRuntimeApi<Block> for Chain {
    type Api = Api;

    fn runtime_api(&self) -> ApiRef<'_, Api> {
        Api.into()
    }
}

impl HeaderBackend<Block> for Chain {
    fn header(&self, _: Hash) -> sp_blockchain::Result<Option<Header>> {
        Ok(None)
    }

    fn info(&self) -> Info<Block> {
        Info {
            best_hash: BEST,
            best_number: 2,
            genesis_hash: GENESIS,
            finalized_hash: FINALIZED,
            finalized_number: 1,
            finalized_state: None,
            number_leaves: 1,
            block_gap: None,
        }
    }

    fn status(&self, _: Hash) -> sp_blockchain::Result<BlockStatus> {
        Ok(BlockStatus::Unknown)
    }

    fn number(&self, hash: Hash) -> sp_blockchain::Result<Option<BlockNumber>> {
        Ok([GENESIS, FINALIZED, BEST].iter().zip(0..).find_map(|(known, number)| (*known == hash).then_some(number)))
    }

    fn hash(&self, number: BlockNumber) -> sp_blockchain::Result<Option<Hash>> {
        Ok([GENESIS, FINALIZED, BEST].get(number as usize).copied())
    }
}

fn spec() -> ModelSpec {
    ModelSpec {
        name: Name::new("tiny").unwrap(),
        version: SemVer::new(0, 1, 2),
        compatible: VersionRange::caret(SemVer::new(0, 1, 2)),
        parent: None,
        dimensions: Dimensions {
            layers: LAYERS,
            hidden: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            ffn: 128,
            vocab: 259,
            context: 256,
            experts: EXPERTS,
            top_k: 2,
            activation_block: 32,
            rope_theta: F32Bits::new(10_000.0),
            rms_eps: F32Bits::new(1e-5),
            tied_embeddings: true,
            qk_norm: false,
            checkpoint_every: 1,
        },
        tokenizer: ContentHash([1; 32]),
        trunk: ContentHash([2; 32]),
        router: ContentHash([3; 32]),
    }
}

/// A successor with fewer layers and experts.
fn narrow() -> ModelSpec {
    let mut narrow = spec();
    (narrow.parent, narrow.version) = (Some(spec().id()), SemVer::new(0, 1, 3));
    (narrow.dimensions.layers, narrow.dimensions.experts) = (1, 3);
    narrow
}

fn entry() -> SpecEntry {
    SpecEntry { lineage: spec().id(), spec: spec(), status: SpecStatus::Active, published_at: 0 }
}

fn worker() -> WorkerEntry {
    // An ed25519 key in an identity multihash.
    let peer_id = [&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20][..], &[1; 32]].concat();
    WorkerEntry {
        info: WorkerInfo {
            key: [7; 32],
            peer_id: peer_id.try_into().unwrap(),
            addresses: vec![b"http://127.0.0.1:8080".to_vec().try_into().unwrap()].try_into().unwrap(),
            region: Region::new("DE").unwrap(),
            hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 2, ..Default::default() },
            hardware_id: HardwareId([8; 32]),
            roles: Roles::SERVE.union(Roles::AGGREGATE),
        },
        tier: Tier::CPU,
        registered_at: 1,
        online: true,
        last_heartbeat: Some(3),
        bond: 10u128.pow(20),
        standing: Standing { level: Level::Trusted, quarantined_until: Some(9), ..Default::default() },
    }
}

fn receipts() -> Vec<ReceiptId> {
    (0..20).map(|i| ReceiptId([i; 32])).collect()
}

fn anchor() -> AnchorEntry {
    let root = BatchRoot(batch_tree(&receipts()).root());
    AnchorEntry { root, count: 20, tokens: 1234, anchored_at: 1, deposit: 0 }
}

sp_api::mock_impl_runtime_apis! {
    impl BlyanApi<Block> for Api {
        fn active_specs() -> Vec<(SpecId, SpecEntry)> {
            vec![(spec().id(), entry())]
        }

        fn spec(id: SpecId) -> Option<SpecEntry> {
            let successor = || SpecEntry { spec: narrow(), ..entry() };
            (id == spec().id()).then(entry).or_else(|| (id == narrow().id()).then(successor))
        }

        fn layer_heads(spec: SpecId, layer: u16) -> Vec<Option<SlotHead>> {
            let head = |index| (index > 0).then_some(SlotHead { block: ContentHash([9; 32]), since: 0, moves: 0 });
            let (layers, experts) = if spec == narrow().id() { (1, 3) } else { (LAYERS, EXPERTS) };
            if layer < layers { (0..experts).map(head).collect() } else { Vec::new() }
        }

        fn block(hash: ContentHash) -> Option<BlockEntry> {
            (hash == ContentHash([9; 32])).then_some(BlockEntry {
                record: BlockRecord {
                    payload: PayloadType::TensorBlock,
                    kind: BlockKind::Expert,
                    form: Form::Serving,
                    quantisation: Quantisation::PerChannel,
                    dtype: DType::Int8,
                    layout: Layout::Rows16K4,
                    shape: [128, 64, 0, 0],
                    tensors: 6,
                    header_len: 300,
                    data_len: 30_000,
                    root: TileRoot([4; 32]),
                    engine: None,
                    master: Some(ContentHash([5; 32])),
                    podl: Some([6; 32]),
                },
                genesis: true,
                registrants: 1,
                uses: 4,
                registered_at: 0,
            })
        }

        fn registrations(_hash: ContentHash) -> Vec<(AccountId, Registration)> {
            let word = Registration {
                master: None,
                podl: Some([7; 32]),
                deposit: 10u128.pow(17),
                derived: 0,
                registered_at: 2,
            };
            vec![(Bob.to_account_id(), word)]
        }

        fn worker(account: AccountId) -> Option<WorkerEntry> {
            (account == Alice.to_account_id()).then(worker)
        }

        fn workers(after: Option<AccountId>, limit: u32) -> Vec<(AccountId, WorkerEntry)> {
            let all = [Alice.to_account_id(), Bob.to_account_id()];
            let start = after.map_or(0, |after| all.iter().position(|who| *who == after).unwrap() + 1);
            all.into_iter().skip(start).take(limit as usize).map(|who| (who, worker())).collect()
        }

        /// Sequence 5 is finalized, 6 is not yet.
        #[advanced]
        fn anchor(at: Hash, _worker: AccountId, sequence: u64) -> Result<Option<AnchorEntry>, ApiError> {
            Ok((sequence == 5 || sequence == 6 && at == BEST).then(anchor))
        }

        fn served(_worker: AccountId) -> Served {
            Served { next: 6, oldest: 5, receipts: 120, tokens: 10_000, deposit: 0 }
        }

        /// The state after the genesis is pruned, and what is asked after the finalized block fails.
        #[advanced]
        fn channel(at: Hash, id: ChannelId) -> Result<Option<Channel>, ApiError> {
            if at == GENESIS {
                return Err(ApiError::UnknownBlock("State already discarded".into()));
            }
            if at == FINALIZED {
                return Err(ApiError::StateBackendIsNotTrie);
            }
            Ok((id == 0).then(|| Channel {
                payer: Alice.to_account_id(),
                gateway: Bob.to_account_id(),
                escrow: u128::MAX,
                redeemed: 1,
                deposit: 2,
                expires_at: 100,
                closes_at: Some(50),
            }))
        }
    }
}

/// Calls a method as a client does.
async fn call(method: &str, params: Value) -> Result<Value, (i32, String)> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let (answer, _) = Blyan::new(Arc::new(Chain)).into_rpc().raw_json_request(&request, 1).await.unwrap();
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    match answer.get("error") {
        None => Ok(answer["result"].take()),
        Some(error) => {
            Err((error["code"].as_i64().unwrap() as i32, error["data"]["name"].as_str().unwrap_or_default().to_owned()))
        },
    }
}

#[tokio::test]
async fn the_active_spec_has_this_shape() {
    let id = spec().id().to_string();
    let expected = json!({
        "id": id,
        "lineage": id,
        "status": "active",
        "publishedAt": 0,
        "name": "tiny",
        "version": "0.1.2",
        "compatible": { "min": "0.1.2", "below": "0.2.0" },
        "parent": null,
        "dimensions": {
            "layers": 20, "hidden": 64, "heads": 4, "kvHeads": 2, "headDim": 16, "ffn": 128, "vocab": 259,
            "context": 256, "experts": 250, "topK": 2, "activationBlock": 32, "ropeTheta": 10000.0, "rmsEps": 1e-5,
            "tiedEmbeddings": true, "qkNorm": false, "checkpointEvery": 1,
        },
        "tokenizer": format!("0x{}", "01".repeat(32)),
        "trunk": format!("0x{}", "02".repeat(32)),
        "router": format!("0x{}", "03".repeat(32)),
    });
    assert_eq!(call("blyan_activeSpec", json!([])).await.unwrap(), expected);
    assert_eq!(call("blyan_activeSpecs", json!([])).await.unwrap(), json!([expected]));
    assert_eq!(call("blyan_spec", json!([id])).await.unwrap(), expected);
    assert_eq!(call("blyan_spec", json!([ContentHash([0; 32])])).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn heads_of_one_layer_or_as_many_layers_as_fit() {
    let id = spec().id();
    let one = call("blyan_slotHeads", json!([id, 3])).await.unwrap();
    assert_eq!(one["lineage"], json!(id));
    assert_eq!(one["nextLayer"], Value::Null);
    assert_eq!(one["layers"][0]["layer"], 3);
    assert_eq!(one["layers"][0]["heads"][0], Value::Null);
    let head = json!({ "block": ContentHash([9; 32]), "since": 0, "moves": 0 });
    assert_eq!(one["layers"][0]["heads"][1], head);

    let all = call("blyan_slotHeads", json!({ "spec": id })).await.unwrap();
    let layers = all["layers"].as_array().unwrap().len();
    assert_eq!(layers, MAX_HEADS / usize::from(EXPERTS));
    assert_eq!(all["nextLayer"], layers);

    assert_eq!(call("blyan_slotHeads", json!([id, LAYERS])).await.unwrap_err(), (10_005, "UnknownLayer".into()));
    // A successor of the same lineage has its own number of layers and experts.
    let narrow = narrow().id();
    let all = call("blyan_slotHeads", json!([narrow])).await.unwrap();
    assert_eq!((&all["lineage"], &all["nextLayer"]), (&json!(id), &Value::Null));
    assert_eq!(all["layers"].as_array().unwrap().len(), 1);
    assert_eq!(all["layers"][0]["heads"].as_array().unwrap().len(), 3);
    assert_eq!(call("blyan_slotHeads", json!([narrow, 1])).await.unwrap_err(), (10_005, "UnknownLayer".into()));

    let unknown = call("blyan_slotHeads", json!([ContentHash([0; 32])])).await.unwrap_err();
    assert_eq!(unknown, (10_004, "UnknownSpec".into()));
}

#[tokio::test]
async fn a_block_record_has_this_shape() {
    let expected = json!({
        "hash": ContentHash([9; 32]),
        "payload": "tensor_block",
        "kind": "expert",
        "form": "serving",
        "quantisation": "per_channel",
        "dtype": "int8",
        "layout": "rows16_k4",
        "shape": [128, 64],
        "tensors": 6,
        "headerLen": 300,
        "dataLen": 30_000,
        "root": TileRoot([4; 32]),
        "engine": null,
        "master": ContentHash([5; 32]),
        "podl": format!("0x{}", "06".repeat(32)),
        "genesis": true,
        "uses": 4,
        "registeredAt": 0,
        "registrants": 1,
        "registrations": [{
            "account": Bob.to_account_id(),
            "master": null,
            "podl": format!("0x{}", "07".repeat(32)),
            "deposit": "100000000000000000",
            "registeredAt": 2,
        }],
    });
    assert_eq!(call("blyan_block", json!([ContentHash([9; 32])])).await.unwrap(), expected);
    assert_eq!(call("blyan_block", json!([ContentHash([0; 32])])).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn workers_come_in_pages() {
    let first = call("blyan_workers", json!([null, 1])).await.unwrap();
    assert_eq!(first["next"], json!(Alice.to_account_id()));
    let worker = &first["workers"][0];
    assert_eq!(worker["account"], "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
    assert_eq!(worker["key"], format!("0x{}", "07".repeat(32)));
    assert!(worker["peerId"].as_str().unwrap().starts_with("12D3KooW"));
    assert_eq!(worker["addresses"], json!(["http://127.0.0.1:8080"]));
    assert_eq!(worker["region"], "DE");
    assert_eq!(worker["roles"], json!(["serve", "aggregate"]));
    assert_eq!((&worker["tier"], &worker["online"]), (&json!(0), &json!(true)));
    assert_eq!(worker["bond"], "100000000000000000000");
    assert_eq!((&worker["level"], &worker["quarantinedUntil"]), (&json!("trusted"), &json!(9)));
    assert_eq!(
        worker["hardware"],
        json!({ "vramMib": 0, "tflops": 0, "pcieGbps": 0, "ramMib": 1024, "cpuThreads": 2 })
    );

    let second = call("blyan_workers", json!([first["next"]])).await.unwrap();
    assert_eq!(second["workers"][0]["account"], json!(Bob.to_account_id()));
    assert_eq!(second["next"], Value::Null);

    let too_many = call("blyan_workers", json!([null, MAX_WORKERS + 1])).await.unwrap_err();
    assert_eq!(too_many, (10_006, "LimitTooHigh".into()));
}

#[tokio::test]
async fn accounts_are_addresses_or_keys() {
    let key = sp_core::bytes::to_hex(Alice.to_account_id().as_ref(), false);
    for name in [Alice.to_account_id().to_string(), key] {
        assert_eq!(call("blyan_worker", json!([name])).await.unwrap()["registeredAt"], 1);
    }
    assert_eq!(call("blyan_worker", json!([Bob.to_account_id()])).await.unwrap(), Value::Null);
    // -32602 is JSON-RPC's own code for parameters that do not parse.
    assert_eq!(call("blyan_worker", json!(["0x12"])).await.unwrap_err().0, -32602);
}

#[tokio::test]
async fn a_receipt_is_proved_against_the_finalized_anchor() {
    let index = 13;
    let tree = batch_tree(&receipts());
    let proof: Vec<_> = tree.prove(index..index + 1).unwrap().into_iter().map(ContentHash).collect();
    let ask = |sequence: u64, index: u64, receipt: ReceiptId, proof: Vec<ContentHash>| {
        call("blyan_receiptStatus", json!([Alice.to_account_id(), sequence, index, receipt, proof]))
    };
    let receipt = receipts()[index as usize];

    let status = ask(5, index, receipt, proof.clone()).await.unwrap();
    let block = json!({ "number": 1, "hash": FINALIZED });
    let expected = json!({
        "state": "finalized",
        "valid": true,
        "problem": null,
        "anchor": { "root": BatchRoot(tree.root()), "count": 20, "tokens": 1234, "block": block },
        "finalized": block,
    });
    assert_eq!(status, expected);

    let moved = ask(5, index + 1, receipt, proof.clone()).await.unwrap();
    assert_eq!((&moved["state"], &moved["valid"]), (&json!("finalized"), &json!(false)));
    assert!(moved["problem"].as_str().unwrap().contains("root"));

    assert_eq!(ask(6, index, receipt, proof.clone()).await.unwrap()["state"], "included");
    assert_eq!(ask(4, index, receipt, proof.clone()).await.unwrap()["state"], "pruned");
    let missing = ask(7, index, receipt, proof.clone()).await.unwrap();
    assert_eq!((&missing["state"], &missing["valid"]), (&json!("notAnchored"), &Value::Null));

    let long = vec![ContentHash([0; 32]); MAX_PROOF + 1];
    assert_eq!(ask(5, index, receipt, long).await.unwrap_err(), (10_007, "ProofTooLong".into()));
}

#[test]
fn the_proof_bound_fits_the_largest_batch() {
    let ids = vec![ReceiptId([0; 32]); MAX_BATCH as usize];
    let tree = batch_tree(&ids);
    assert!((0..u64::from(MAX_BATCH)).step_by(97).all(|i| tree.prove(i..i + 1).unwrap().len() <= MAX_PROOF));
}

#[tokio::test]
async fn a_channel_has_this_shape() {
    let expected = json!({
        "id": 0,
        "payer": Alice.to_account_id(),
        "gateway": Bob.to_account_id(),
        "escrow": u128::MAX.to_string(),
        "redeemed": "1",
        "deposit": "2",
        "expiresAt": 100,
        "closesAt": 50,
        "endsAt": 50,
    });
    assert_eq!(call("blyan_channel", json!([0])).await.unwrap(), expected);
    assert_eq!(call("blyan_channel", json!([1])).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn an_unknown_block_is_refused_by_name() {
    let unknown = Hash::repeat_byte(99);
    assert_eq!(call("blyan_activeSpec", json!([unknown])).await.unwrap_err(), (10_001, "UnknownBlock".into()));
    assert!(call("blyan_activeSpec", json!({ "at": GENESIS })).await.is_ok());
}

#[tokio::test]
async fn a_state_that_is_pruned_is_told_from_a_runtime_that_fails() {
    let ask = |at| call("blyan_channel", json!([0, at]));
    assert_eq!(ask(GENESIS).await.unwrap_err(), (10_008, "StatePruned".into()));
    assert_eq!(ask(FINALIZED).await.unwrap_err(), (10_002, "Runtime".into()));
    assert!(ask(BEST).await.is_ok());

    let pruned = Error::StatePruned { at: GENESIS, number: 0 }.to_string();
    assert!(pruned.contains("block 0") && pruned.contains("--state-pruning archive"), "{pruned}");
}
