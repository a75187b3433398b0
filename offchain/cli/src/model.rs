//! `blyan model`: importing, looking at, checking and exporting blocks of weights, how they came to be, and what they lose.

use crate::{
    evaluate::{self, EvaluateArgs},
    genesis,
    library::StoreArg,
    lineage::{self, LineageArgs},
    out,
    progress::Steps,
    round::active,
    router::{self, RouterCommand},
    slot::Place,
    submit::Reading,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use blyan_model::import::{ImportOptions, expert_of};
use blyan_primitives::{block::BlockHeader, ids::ContentHash, merkle::tile_count, spec::Name, version::SemVer};
use blyan_tensorblock::Block;
use clap::{Args, Subcommand};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// The model and its blocks of weights: import, look at, check, export, evaluate.
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
    /// Make the master of one slot, to which deltas apply, of the file that the model was imported from.
    ///
    /// Workers have masters of slots whose heads have moved; those that the model began with are not stored by all. The one
    /// that is made is the one that the chain names, or none.
    Master(MasterArgs),
    /// Show the heads that slots have had, and the rounds that moved them.
    Lineage(LineageArgs),
    /// Change where tokens are sent: fold what was trained of the router, and publish it.
    #[command(subcommand)]
    Router(RouterCommand),
    /// Measure the loss of the chain's model on sets or texts; with --since or --round, what it has learned.
    ///
    /// Executes the model that the chain names exactly as workers do, so that everybody finds the same losses to the last bit.
    /// Two models are compared item by item: the gain is by how much the loss is lower. Its standard error tells how far it
    /// would vary with other items of the same kind: a gain of three of them is hardly chance, one of less than two is.
    Evaluate(EvaluateArgs),
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

/// Of which slot, from what.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  blyan model master --slot 20/1 --source SmolLM2-135M-Instruct.Q4_1.gguf --store my-store"
)]
pub struct MasterArgs {
    /// The slot, as LAYER/EXPERT.
    #[arg(long, value_name = "L/I")]
    slot: Place,
    /// The GGUF file or Hugging Face folder that the model was imported from.
    #[arg(long, env = "BLYAN_GENESIS_MODEL", value_name = "FILE")]
    source: PathBuf,
    #[command(flatten)]
    store: StoreArg,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the command.
pub async fn run(command: ModelCommand) -> Result<()> {
    // What waits for nothing else is computation and disk: nothing else waits on this thread.
    match command {
        ModelCommand::Import(args) => tokio::task::block_in_place(|| import(&args)),
        ModelCommand::Info(args) => tokio::task::block_in_place(|| info(&args)),
        ModelCommand::Verify(args) => tokio::task::block_in_place(|| verify(&args)),
        ModelCommand::Export(args) => tokio::task::block_in_place(|| export(&args)),
        ModelCommand::Master(args) => master(&args).await,
        ModelCommand::Lineage(args) => lineage::run(args).await,
        ModelCommand::Router(command) => router::run(command).await,
        ModelCommand::Evaluate(args) => evaluate::run(args).await,
    }
}

async fn master(args: &MasterArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let record = active(&state).await?;
    let slot = args.slot;
    slot.check(&record.spec.dimensions)?;
    let expected = state.head_master(slot.of(record.lineage)).await?;
    let expected =
        expected.with_context(|| format!("the chain does not know what the head of slot {slot} was made of"))?;
    let store = args.store.open()?;
    let steps = Steps::new();
    steps.begin(&format!("making the master of slot {slot}"));
    let made = tokio::task::block_in_place(|| {
        let made = expert_of(&args.source, slot.layer, slot.index);
        let made = made.with_context(|| format!("cannot read {}", args.source.display()))?.master;
        let found = made.hash();
        ensure!(
            found == expected,
            "{} gives master {found} for slot {slot}, the chain names {expected}: it is another model's, or the slot's head has \
             moved since (`blyan model lineage --slot {slot}`); then workers that aggregate have its master",
            args.source.display()
        );
        let bytes = made.header().data_len;
        Ok((bytes, store.put(&made)?))
    });
    steps.finish();
    let (bytes, is_new) = made?;
    if args.reading.json {
        let value =
            serde_json::json!({ "slot": slot.of(record.lineage), "master": expected, "bytes": bytes, "new": is_new });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let what = if is_new { "is in the store" } else { "was in the store already" };
    out::line(format_args!("{expected}, the master of slot {slot}, {bytes} bytes, {what}"))
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
        None => out::line(json)?,
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

fn print_header(hash: &ContentHash, header: &BlockHeader, json: bool) -> Result<()> {
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
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let BlockHeader { payload, form, kind, quantisation, data_len, root, .. } = header;
    out::line(format_args!("block         {hash}"))?;
    out::line(format_args!("payload       {payload} {form} {kind}, quantised {quantisation}"))?;
    out::line(format_args!("data          {data_len} bytes, {} tiles", tile_count(*data_len)))?;
    out::line(format_args!("root          {root}\n"))?;
    for tensor in &header.tensors {
        let shape = tensor.shape.iter().map(u32::to_string).collect::<Vec<_>>().join(" × ");
        let (dtype, layout) = (tensor.dtype.to_string(), tensor.layout.to_string());
        out::line(format_args!("{:<24} {dtype:<8} {layout:<10} {shape}", tensor.name))?;
    }
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<()> {
    let store = args.store.open()?;
    if !args.blocks.is_empty() {
        for hash in &args.blocks {
            store.verify(hash)?;
            out::line(format_args!("{hash} is whole"))?;
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
            out::line(format_args!("{}: {error}", failed.hash))?;
        }
    }
    let whole = report.blocks.saturating_sub(report.failed.len());
    out::line(format_args!("{whole} of {} blocks are whole", report.blocks))?;
    if report.failed.is_empty() { Ok(()) } else { bail!("{} blocks are not", report.failed.len()) }
}

fn export(args: &ExportArgs) -> Result<()> {
    let block = args.store.open()?.get(&args.block)?;
    let path = block.path().context("the block is not in a file")?;
    copy_new(path, &args.file)
}

/// Copies a file to where none is: it is there whole, or not at all.
fn copy_new(from: &Path, to: &Path) -> Result<()> {
    let cannot = || format!("cannot write {}", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside it: only within a file system can a file be given its name at once.
    let mut part = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let mut source = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    io::copy(&mut source, part.as_file_mut()).with_context(cannot)?;
    // As the file would have been, had it been made under its name.
    part.as_file().set_permissions(source.metadata()?.permissions()).with_context(cannot)?;
    part.as_file().sync_all().with_context(cannot)?;
    match part.persist_noclobber(to) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} exists; name another file", to.display())
        },
        Err(error) => Err(error.error).with_context(cannot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Words {
        #[command(subcommand)]
        command: ModelCommand,
    }

    fn parse(words: &[&str]) -> Result<ModelCommand, clap::Error> {
        use clap::Parser;
        Words::try_parse_from([&["blyan"], words].concat()).map(|words| words.command)
    }

    #[test]
    fn a_master_is_of_a_slot_and_a_source() {
        let words = ["master", "--slot", "20/1", "--source", "x.gguf", "--store", "s"];
        let place = Place { layer: 20, index: 1 };
        assert!(matches!(parse(&words), Ok(ModelCommand::Master(args)) if args.slot == place));
        assert!(parse(&words[..5]).is_ok() && parse(&["master", "--source", "x.gguf"]).is_err());
        assert!(parse(&["lineage", "--slot", "20/1", "--svg", "x.svg"]).is_ok() && parse(&["lineage"]).is_ok());
    }

    #[test]
    fn a_file_that_exists_is_not_written_over_and_a_failed_copy_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("from"), "block").unwrap();
        copy_new(&at("from"), &at("to")).unwrap();
        assert_eq!(std::fs::read_to_string(at("to")).unwrap(), "block");
        std::fs::write(at("to"), "mine").unwrap();
        let error = copy_new(&at("from"), &at("to")).unwrap_err().to_string();
        assert!(error.contains("exists"), "{error}");
        assert!(copy_new(&at("missing"), &at("other")).is_err());
        assert_eq!(std::fs::read_to_string(at("to")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "something is left behind");
    }
}
