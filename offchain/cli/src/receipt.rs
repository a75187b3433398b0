//! `blyan receipt`: look at a receipt, and check it without trusting the worker that issued it.

use crate::{api::Api, genesis, out, progress::Steps};
use anyhow::{Context, Result, anyhow, bail, ensure};
use blyan_chain::{AccountId, BlockRef, ChainClient, ChainError, ChainOptions, State, keys};
use blyan_model::{
    chat::TextProcessor,
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    replay::{Claim, Claimed, replay},
};
use blyan_primitives::{
    ids::{ContentHash, ReceiptId},
    receipt::{Receipt, SignedReceipt, tokens_hash, verify_in_batch},
};
use blyan_store::Store;
use blyan_worker::{
    loader::{LoaderError, Resolved, resolve_at},
    receipts::{
        bundle::{Anchor, Bundle, Finalized},
        text,
    },
};
use clap::{Args, Subcommand};
use codec::DecodeAll;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Pause between two questions to a worker whether a receipt is final.
const POLL: Duration = Duration::from_millis(250);

/// Look at a receipt, or check it.
#[derive(Subcommand, Debug)]
pub enum ReceiptCommand {
    /// Show a receipt, and where it is on chain.
    Show(Source),
    /// Check a receipt against the chain, then replay the answer bit for bit.
    ///
    /// Checks the worker's signature, that the receipt's tokens and commitments belong to it, that its anchor is finalized
    /// and contains it, and that its weights are those the chain names or named; then executes the model on this machine
    /// and compares every commitment, and the text with the tokens. The first position that differs is named.
    Verify(VerifyArgs),
}

/// Which receipt, and who has it.
#[derive(Args, Debug)]
pub struct Source {
    /// The receipt's id, or a file with what /v1/receipts/ID answered.
    receipt: String,
    /// Where the worker that issued it answers.
    #[arg(long, env = "BLYAN_API", default_value = "http://127.0.0.1:8645")]
    api: String,
    /// Key, for a worker that asks for one.
    #[arg(long, env = "BLYAN_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What `verify` needs.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    #[command(flatten)]
    source: Source,
    /// A node to ask; its finalized blocks are what the receipt is checked against.
    #[arg(long, env = "BLYAN_RPC", default_value = "ws://127.0.0.1:9944")]
    rpc: String,
    /// Folder of a block store with the model.
    #[arg(long, env = "BLYAN_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// Threads for the replay; 0 takes all.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl Source {
    async fn load(&self) -> Result<Bundle> {
        let path = Path::new(&self.receipt);
        if path.is_file() {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            return serde_json::from_str(&text).with_context(|| format!("{} holds no receipt", path.display()));
        }
        let id: ReceiptId = self
            .receipt
            .parse()
            .map_err(|error| anyhow!("{} is neither a file nor a receipt's id: {error}", self.receipt))?;
        let api = Api::new(&self.api, self.api_key.as_deref())?;
        let bundle = fetch(&api, &id.to_string()).await?;
        ensure!(bundle.id == id, "{} answered with another receipt, {}", self.api, bundle.id);
        Ok(bundle)
    }
}

async fn fetch(api: &Api, id: &str) -> Result<Bundle> {
    let value = api.get(&format!("/v1/receipts/{id}")).await?;
    serde_json::from_value(value).with_context(|| format!("{} sent a receipt that is not understood", api.base()))
}

/// Waits until the receipt `id` is final, and tells where it is.
pub async fn wait_final(api: &Api, id: &str, limit: Duration) -> Result<Anchor> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(anchor) = fetch(api, id).await?.anchor.filter(|anchor| anchor.finalized) {
            return Ok(anchor);
        }
        ensure!(
            Instant::now() < deadline,
            "receipt {id} was not finalized within {limit:?}; ask again with `blyan receipt show {id}`"
        );
        sleep(POLL).await;
    }
}

/// Runs the command.
pub async fn run(command: ReceiptCommand) -> Result<()> {
    match command {
        ReceiptCommand::Show(source) => show(&source).await,
        ReceiptCommand::Verify(args) => verify(&args).await,
    }
}

async fn show(source: &Source) -> Result<()> {
    let bundle = source.load().await?;
    if source.json {
        return out::line(serde_json::to_string_pretty(&bundle)?);
    }
    let receipt = &bundle.receipt;
    out::line(format_args!("receipt     {}", bundle.id))?;
    out::line(format_args!("worker      {} (number {})", receipt.worker, receipt.number))?;
    out::line(format_args!("spec        {}", receipt.spec))?;
    out::line(format_args!("weights     {}", receipt.weights))?;
    out::line(format_args!(
        "tokens      {} in, {} out, ended by {}",
        receipt.prompt_tokens, receipt.output_tokens, bundle.finish_reason
    ))?;
    out::line(format_args!("commitment  {}", receipt.commitment))?;
    match &bundle.anchor {
        Some(anchor) => out::line(format_args!(
            "anchor      number {} of {}, place {} of {}, in block {} ({}), finalized",
            anchor.sequence, anchor.worker, anchor.index, anchor.count, anchor.block_number, anchor.block_hash
        ))?,
        None => out::line("anchor      none yet; a worker anchors its receipts every few seconds")?,
    }
    out::line(format_args!("\n{}", bundle.text))
}

async fn verify(args: &VerifyArgs) -> Result<()> {
    let steps = Steps::new();
    steps.begin("fetching the receipt");
    let bundle = args.source.load().await?;
    let signed = decode(&bundle)?;
    let receipt = &signed.receipt;
    ensure!(
        keys::verify(&signed.signature, bundle.id.as_bytes(), &receipt.worker),
        "the signature is not of worker 0x{}",
        hex::encode(receipt.worker)
    );

    steps.begin("checking the anchor");
    let client = ChainClient::connect(&args.rpc, ChainOptions::default()).await?;
    ensure!(
        client.genesis().0 == receipt.genesis,
        "the receipt is of chain 0x{}, {} is a node of chain {}",
        hex::encode(receipt.genesis),
        args.rpc,
        client.genesis()
    );
    let finalized = client.at_finalized().await?;
    let anchored_at = check_anchor(&client, &finalized, &bundle, receipt).await?;
    let resolved = find_weights(&client, &finalized, anchored_at, bundle.weights_at.as_ref(), receipt).await?;
    let heads_at = resolved.at.number;

    steps.begin("loading and verifying the model");
    let store = args.store.clone().map_or_else(genesis::default_store, Ok)?;
    let (model, processor) = tokio::task::block_in_place(|| load(&genesis::open_store(&store)?, resolved))?;

    steps.begin("replaying the answer");
    let engine = Engine::new(Arc::new(model), EngineConfig { threads: args.threads, ..Default::default() })?;
    let claim = Claim {
        prompt: &bundle.prompt,
        output: &bundle.output,
        sampling: receipt.sampling,
        commitments: Claimed::Every(&bundle.commitments),
    };
    let replayed = tokio::task::block_in_place(|| replay(&engine, &claim));
    steps.finish();
    replayed?;
    // After the replay, which names the position of a change: these say only that there is one.
    check_contents(&bundle, receipt)?;
    text::check(&processor, &bundle.output, &bundle.finish_reason, &bundle.text)?;

    if args.source.json {
        let report = serde_json::json!({
            "receipt": bundle.id, "valid": true, "positions": bundle.commitments.len(), "spec": receipt.spec,
            "weights": receipt.weights, "anchor_block": anchored_at.hash, "anchor_block_number": anchored_at.number,
            "finalized": true,
        });
        out::line(report)
    } else {
        out::line(format_args!("receipt {} is valid", bundle.id))?;
        out::line(format_args!("  signed by its worker, and anchored in finalized block {anchored_at}"))?;
        out::line(format_args!("  weights are those of the chain at block {heads_at}, every tile verified"))?;
        out::line(format_args!("  {} positions replayed, every bit the same", bundle.commitments.len()))?;
        out::line("  text and end are what the tokens say")
    }
}

/// The signed receipt of a bundle, whose name it has.
fn decode(bundle: &Bundle) -> Result<SignedReceipt> {
    let bytes = hex::decode(bundle.scale.trim_start_matches("0x")).context("the receipt is no hexadecimal text")?;
    let signed = SignedReceipt::decode_all(&mut &*bytes).context("the receipt is not SCALE-encoded")?;
    ensure!(
        signed.receipt.id() == bundle.id,
        "the receipt's bytes are those of {}, not of {}",
        signed.receipt.id(),
        bundle.id
    );
    Ok(signed)
}

/// That the tokens and commitments shown are those the receipt commits to.
fn check_contents(bundle: &Bundle, receipt: &Receipt) -> Result<()> {
    ensure!(
        tokens_hash(&bundle.prompt) == receipt.prompt_hash,
        "the prompt is not the one that the receipt commits to"
    );
    ensure!(
        tokens_hash(&bundle.output) == receipt.output_hash,
        "the answer is not the one that the receipt commits to"
    );
    ensure!(
        bundle.commitments.last() == Some(&receipt.commitment),
        "the commitments do not end in the one that the worker signed"
    );
    Ok(())
}

/// That an anchor of the receipt's worker contains it, in the finalized `state`; the block in which that was anchored.
async fn check_anchor(client: &ChainClient, state: &State, bundle: &Bundle, receipt: &Receipt) -> Result<BlockRef> {
    let Some(claimed) = &bundle.anchor else {
        bail!("receipt {} is not anchored yet; its worker does so within seconds, try again", bundle.id);
    };
    let worker: AccountId = claimed.worker.parse().map_err(|_| anyhow!("{} is no account", claimed.worker))?;
    let at = state.block();
    let anchor = state
        .anchor(&worker, claimed.sequence)
        .await?
        .with_context(|| format!("worker {worker} has no anchor {} at finalized block {at}", claimed.sequence))?;
    let digest = |text: &String| -> Result<[u8; 32]> {
        let bytes = hex::decode(text.trim_start_matches("0x")).context("the proof is no hexadecimal text")?;
        bytes.try_into().map_err(|_| anyhow!("the proof has a digest that is not 32 bytes long"))
    };
    let proof = claimed.proof.iter().map(digest).collect::<Result<Vec<_>>>()?;
    verify_in_batch(anchor.root, anchor.count, claimed.index, bundle.id, &proof)
        .map_err(|error| anyhow!("anchor {} of {worker} does not contain the receipt: {error}", claimed.sequence))?;
    // What the bundle says about the block is only a worker's word.
    let block = client.finalized_block(anchor.anchored_at).await?;
    let block = block.with_context(|| format!("{} does not know block {}", client.url(), anchor.anchored_at))?;
    check_owner(client, state, block, &worker, receipt).await?;
    Ok(block)
}

/// That the key which signed the receipt is that of `worker`: now, or when the receipt was anchored, in block `then`. A worker
/// may have left since, or have taken another key.
async fn check_owner(
    client: &ChainClient,
    now: &State,
    then: BlockRef,
    worker: &AccountId,
    receipt: &Receipt,
) -> Result<()> {
    if now.worker_by_key(receipt.worker).await?.as_ref() == Some(worker) {
        return Ok(());
    }
    let owner = async { client.at(then).await?.worker_by_key(receipt.worker).await };
    let owner = owner.await.map_err(|error| match error {
        ChainError::StatePruned { .. } => anyhow!(
            "the key that signed the receipt is no longer that of worker {worker}; whether it was so in block {then}, {} has \
             dropped: ask a node that was started with --state-pruning archive",
            client.url()
        ),
        error => anyhow!(error),
    })?;
    ensure!(owner.as_ref() == Some(worker), "the key that signed the receipt is not that of worker {worker}");
    Ok(())
}

/// The specification and experts with which the receipt was made: those of today, or those of when its worker says to have
/// seen them named, or of when it was anchored, in block `then`. Each is asked of the chain; wherever the chain names the
/// receipt's weights is as good as any other.
async fn find_weights(
    client: &ChainClient,
    now: &State,
    then: BlockRef,
    hint: Option<&Finalized>,
    receipt: &Receipt,
) -> Result<Resolved> {
    let mut places = Vec::new();
    // A hint that names no finalized block is none.
    if let Some(hint) = hint
        && let Ok(Some(block)) = client.finalized_block(hint.block_number).await
        && block.hash.to_string() == hint.block_hash
    {
        places.push(block);
    }
    places.push(then);
    let mut named = match resolve_at(now, Some(receipt.spec)).await {
        Ok(resolved) if resolved.weights == receipt.weights => return Ok(resolved),
        other => vec![(now.block(), other)],
    };
    for block in places {
        let read = async { resolve_at(&client.at(block).await?, Some(receipt.spec)).await };
        match read.await {
            Ok(resolved) if resolved.weights == receipt.weights => return Ok(resolved),
            other => named.push((block, other)),
        }
    }
    bail!("the chain does not name weights {}, of which the receipt is:{}", receipt.weights, told(&named, client.url()))
}

/// What was found where weights were looked for, a line each.
fn told(named: &[(BlockRef, Result<Resolved, LoaderError>)], node: &str) -> String {
    let line = |(block, found): &(BlockRef, Result<Resolved, LoaderError>)| match found {
        Ok(resolved) => format!("\n  at block {block} it names {}", resolved.weights),
        Err(LoaderError::Chain(ChainError::StatePruned { .. })) => format!(
            "\n  the state of block {block} is dropped by {node}; ask a node that was started with --state-pruning archive"
        ),
        Err(error) => format!("\n  at block {block}: {error}"),
    };
    named.iter().map(line).collect()
}

/// The model of `resolved` and its text side, from blocks of `store` whose every tile is verified.
fn load(store: &Store, resolved: Resolved) -> Result<(Model, TextProcessor)> {
    let get = |hash: &ContentHash| {
        store.get(hash).with_context(|| {
            format!("block {hash} of the model cannot be used; a running worker with --peers fetches it into its store")
        })
    };
    let Resolved { spec, heads, .. } = resolved;
    let experts = heads.iter().map(|layer| layer.iter().map(get).collect()).collect::<Result<_>>()?;
    let processor = TextProcessor::from_block(&get(&spec.tokenizer)?)?;
    let blocks = ModelBlocks { trunk: get(&spec.trunk)?, router: get(&spec.router)?, spec, experts };
    Ok((Model::load(blocks)?, processor))
}
