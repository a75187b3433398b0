//! `blyan model`: importing, looking at, checking and exporting blocks of weights.

use crate::{genesis, progress::Steps};
use anyhow::{Context, Result, anyhow, bail};
use blyan_model::import::ImportOptions;
use blyan_primitives::{ids::ContentHash, spec::Name, version::SemVer};
use blyan_tensorblock::Block;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Blocks of weights: import, look at, check, export.
#[derive(Subcommand, Debug)]
pub enum ModelCommand {
    /// Make blocks of a GGUF file or a Hugging Face folder, and print the model as a chain spec holds it.
    ///
    /// A dense model becomes a mixture of equal experts, whose answers are the same to the bit; equal experts share one
    /// block. Importing the same source again gives the same blocks.
    Import(ImportArgs),
    /// Show a block: its header, tensors and root.
    Info(InfoArgs),
    /// Hash every tile of the blocks in the store anew.
    Verify(VerifyArgs),
    /// Write a block of the store to a file.
    Export(ExportArgs),
}

#[derive(Args, Debug)]
struct StoreArg {
    /// Folder of the block store.
    #[arg(long, env = "BLYAN_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
}

impl StoreArg {
    fn open(&self) -> Result<blyan_store::Store> {
        genesis::open_store(&self.store.clone().map_or_else(genesis::default_store, Ok)?)
    }
}

/// What to import, and how.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// A GGUF file, or a folder with config.json, tokenizer.json and safetensors.
    source: PathBuf,
    #[command(flatten)]
    store: StoreArg,
    /// Name in the specification.
    #[arg(long, default_value = genesis::GENESIS_NAME)]
    name: String,
    /// Version of the specification.
    #[arg(long, default_value = "0.1.0")]
    version: SemVer,
    /// Experts a layer of a dense model.
    #[arg(long, default_value_t = 4)]
    experts: u16,
    /// Experts that a token is sent to, of a dense model.
    #[arg(long, default_value_t = 2)]
    top_k: u16,
    /// Longest sequence, where the source allows longer ones.
    #[arg(long)]
    max_context: Option<u32>,
    /// Store the experts' masters, to which deltas apply, too: four times the bytes.
    #[arg(long)]
    masters: bool,
    /// Write the model's JSON here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Which block to show.
#[derive(Args, Debug)]
pub struct InfoArgs {
    /// A block's hash, or a file.
    block: String,
    #[command(flatten)]
    store: StoreArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What to check.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Hashes of blocks; all when none is given.
    blocks: Vec<ContentHash>,
    #[command(flatten)]
    store: StoreArg,
}

/// What to export.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The block's hash.
    block: ContentHash,
    /// The file to write; must not exist.
    file: PathBuf,
    #[command(flatten)]
    store: StoreArg,
}

/// Runs the command.
pub async fn run(command: ModelCommand) -> Result<()> {
    // All of it is computation and disk: nothing else waits on this thread.
    tokio::task::block_in_place(|| match command {
        ModelCommand::Import(args) => import(&args),
        ModelCommand::Info(args) => info(&args),
        ModelCommand::Verify(args) => verify(&args),
        ModelCommand::Export(args) => export(&args),
    })
}

fn import(args: &ImportArgs) -> Result<()> {
    let name = Name::new(&args.name).context("--name takes 1 to 64 printable ASCII characters")?;
    let options = ImportOptions {
        version: args.version,
        experts: args.experts,
        top_k: args.top_k,
        max_context: args.max_context,
        masters: args.masters,
        ..ImportOptions::new(name)
    };
    let steps = Steps::new();
    steps.begin_counted("importing");
    let model = genesis::import_file(&args.source, &options, &args.store.open()?, &steps);
    steps.finish();
    let model = model?;
    let json = serde_json::to_string_pretty(&model)?;
    match &args.output {
        Some(path) => std::fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?,
        None => println!("{json}"),
    }
    eprintln!("{} {}: {} blocks, spec {}", model.spec.name, model.spec.version, model.blocks.len(), model.spec.id());
    Ok(())
}

fn info(args: &InfoArgs) -> Result<()> {
    let path = Path::new(&args.block);
    if path.is_file() {
        let block = Block::open(path)?;
        return print_header(&block.hash(), block.header(), args.json);
    }
    let hash: ContentHash =
        args.block.parse().map_err(|error| anyhow!("{} is neither a file nor a block's hash: {error}", args.block))?;
    let block = args.store.open()?.get(&hash)?;
    print_header(&hash, block.header(), args.json)
}

fn print_header(hash: &ContentHash, header: &blyan_primitives::block::BlockHeader, json: bool) -> Result<()> {
    if json {
        let tensors: Vec<_> = header
            .tensors
            .iter()
            .map(|t| {
                serde_json::json!({ "name": t.name, "dtype": t.dtype, "layout": t.layout, "shape": t.shape,
                    "offset": t.offset, "length": t.length })
            })
            .collect();
        let value = serde_json::json!({ "hash": hash, "payload": header.payload, "kind": header.kind, "form": header.form,
            "quantisation": header.quantisation, "data_len": header.data_len, "root": header.root, "tensors": tensors });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    println!("block         {hash}");
    println!("payload       {} {} {}, quantised {}", header.payload, header.form, header.kind, header.quantisation);
    println!(
        "data          {} bytes, {} tiles",
        header.data_len,
        blyan_primitives::merkle::tile_count(header.data_len)
    );
    println!("root          {}\n", header.root);
    for tensor in &header.tensors {
        let shape = tensor.shape.iter().map(u32::to_string).collect::<Vec<_>>().join(" × ");
        println!("{:<24} {:<8} {:<10} {shape}", tensor.name, tensor.dtype.to_string(), tensor.layout.to_string());
    }
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<()> {
    let store = args.store.open()?;
    if !args.blocks.is_empty() {
        for hash in &args.blocks {
            store.verify(hash)?;
            println!("{hash} is whole");
        }
        return Ok(());
    }
    let steps = Steps::new();
    steps.begin_counted("verifying");
    let report = store.verify_all(|progress| steps.set_of(progress.bytes, progress.total_bytes));
    steps.finish();
    let report = report?;
    for failed in &report.failed {
        if let Err(error) = &failed.result {
            println!("{}: {error}", failed.hash);
        }
    }
    println!("{} of {} blocks are whole", report.blocks.saturating_sub(report.failed.len()), report.blocks);
    if report.failed.is_empty() { Ok(()) } else { bail!("{} blocks are not", report.failed.len()) }
}

fn export(args: &ExportArgs) -> Result<()> {
    let block = args.store.open()?.get(&args.block)?;
    if args.file.exists() {
        bail!("{} exists; name another file", args.file.display());
    }
    let path = block.path().context("the block is not in a file")?;
    std::fs::copy(path, &args.file).with_context(|| format!("cannot write {}", args.file.display()))?;
    Ok(())
}
