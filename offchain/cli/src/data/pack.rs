//! `blyan data pack`: from texts to blocks of items.

use super::{PurposeName, corpus};
use crate::{
    library::{Library, Shelves},
    out,
    progress::Steps,
    submit::Reading,
    units,
};
use anyhow::{Context, Result, ensure};
use blyan_learning::items;
use blyan_model::{
    chat::TextProcessor,
    tokenizer::{MAX_TEXT, Tokenizer},
};
use blyan_primitives::{hash::blake2_256, ids::ContentHash, pact::Ppm, trace::MAX_ITEM_TOKENS};
use blyan_store::Store;
use blyan_tensorblock::VerifiedBlock;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use std::{collections::HashSet, path::PathBuf, str::FromStr};

/// What to pack, and how.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  blyan data pack book.txt --store my-store
  blyan data pack texts/ --split held-out:10% --split general:5% --store my-store")]
pub struct PackArgs {
    /// Files, and folders of files.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    texts: Vec<PathBuf>,
    /// Make a set of its own, for this purpose, of this share of the documents: whole ones, every k-th. All others make the
    /// training set.
    #[arg(long, value_name = "PURPOSE:SHARE")]
    split: Vec<Split>,
    /// Tokens of an item [default: the chain's]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_ITEM_TOKENS)))]
    tokens: Option<u32>,
    /// The tokenizer's block [default: that of the chain's active specification]
    #[arg(long, value_name = "BLOCK")]
    tokenizer: Option<ContentHash>,
    #[command(flatten)]
    shelves: Shelves,
    #[command(flatten)]
    reading: Reading,
}

/// A share of the documents, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) purpose: PurposeName,
    pub(crate) share: Ppm,
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, share) = text.split_once(':').ok_or("it is no split; write one such as held-out:10%")?;
        let purpose = PurposeName::from_str(name, false).ok().filter(|purpose| *purpose != PurposeName::Training);
        let purpose = purpose.ok_or("it is for nothing known; write held-out, general or hidden before the share")?;
        match units::share(share)? {
            Ppm(0) => Err("a set of no documents cannot be made; write a share such as 10%".to_owned()),
            share => Ok(Self { purpose, share }),
        }
    }
}

/// Says for each document which set it is in: the one of a split, or the one of all others.
struct Dealer {
    /// Splits, and by how much each is behind its share, in parts of a million documents.
    splits: Vec<(Split, u32)>,
}

impl Dealer {
    fn new(splits: &[Split]) -> Result<Self> {
        let all = splits.iter().fold(0u32, |sum, split| sum.saturating_add(split.share.0));
        ensure!(all < Ppm::ONE.0, "the splits take all documents; leave some to train on");
        Ok(Self { splits: splits.iter().map(|split| (*split, 0)).collect() })
    }

    /// The set of the next document: 0 for the rest, 1 for the first split.
    fn next(&mut self) -> usize {
        let mut taken = 0;
        for (number, (split, behind)) in (1..).zip(&mut self.splits) {
            // No split is behind by much: together they take less than every document.
            *behind = behind.saturating_add(split.share.0);
            if taken == 0 && *behind >= Ppm::ONE.0 {
                *behind -= Ppm::ONE.0;
                taken = number;
            }
        }
        taken
    }
}

/// A set in the making.
#[derive(Debug)]
struct Packed {
    purpose: PurposeName,
    documents: u64,
    /// Items, one after the other.
    items: Vec<u32>,
}

/// What is in no item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LeftOut {
    /// Documents that were there before.
    repeated: u64,
    /// Documents with fewer tokens than an item.
    short: u64,
    /// Tokens of these, and at the ends of others.
    tokens: u64,
}

/// Documents to sets.
struct Packer<'a> {
    tokenizer: &'a Tokenizer,
    tokens: usize,
    dealer: Dealer,
    sets: Vec<Packed>,
    seen: HashSet<[u8; 32]>,
    left_out: LeftOut,
}

impl<'a> Packer<'a> {
    fn new(tokenizer: &'a Tokenizer, tokens: u32, splits: &[Split]) -> Result<Self> {
        let purposes = [PurposeName::Training].into_iter().chain(splits.iter().map(|split| split.purpose));
        let set = |purpose| Packed { purpose, documents: 0, items: Vec::new() };
        Ok(Self {
            tokenizer,
            tokens: tokens as usize,
            dealer: Dealer::new(splits)?,
            sets: purposes.map(set).collect(),
            seen: HashSet::new(),
            left_out: LeftOut::default(),
        })
    }

    /// A set of its own, which no document is dealt to.
    fn add_set(&mut self, purpose: PurposeName) -> usize {
        self.sets.push(Packed { purpose, documents: 0, items: Vec::new() });
        self.sets.len().saturating_sub(1)
    }

    /// Takes all documents of some texts, for a set or for those that they are dealt to. After each file `told` learns how many
    /// bytes are done, of how many; its error ends it.
    fn read(
        &mut self,
        texts: &[PathBuf],
        set: Option<usize>,
        told: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let sources = corpus::sources(texts)?;
        let total: u64 = sources.iter().map(|source| source.bytes).sum();
        let mut done = 0u64;
        for source in &sources {
            corpus::documents(&source.path, &mut |text| self.take(text, set))?;
            done = done.saturating_add(source.bytes);
            told(done, total)?;
        }
        Ok(())
    }

    fn take(&mut self, text: &str, set: Option<usize>) -> Result<()> {
        // What is in two sets would be measured on what was trained on.
        if !self.seen.insert(blake2_256(text.as_bytes())) {
            self.left_out.repeated += 1;
            return Ok(());
        }
        let mut tokens = Vec::new();
        for piece in corpus::pieces(text, MAX_TEXT) {
            tokens.extend(self.tokenizer.encode(piece)?);
        }
        let whole = tokens.len() - tokens.len() % self.tokens;
        self.left_out.tokens += (tokens.len() - whole) as u64;
        if whole == 0 {
            self.left_out.short += 1;
            return Ok(());
        }
        let set = set.unwrap_or_else(|| self.dealer.next());
        let set = self.sets.get_mut(set).context("a document is dealt to a set that there is not")?;
        set.documents += 1;
        tokens.truncate(whole);
        set.items.extend(tokens);
        Ok(())
    }

    /// Puts the sets into the store.
    fn finish(self, store: &Store) -> Result<(Vec<Made>, LeftOut)> {
        let Self { tokens, sets, left_out, .. } = self;
        let mut made = Vec::new();
        for Packed { purpose, documents, items } in sets {
            ensure!(
                documents > 0,
                "there is no document for the {} set: {} were left out because they have fewer than {tokens} tokens, {} \
                 because they were there before; give more or longer texts",
                purpose.text(),
                left_out.short,
                left_out.repeated
            );
            let rows: Vec<&[u32]> = items.chunks_exact(tokens).collect();
            // At most MAX_ITEM_TOKENS.
            let block = items::write(&rows, tokens as u32)?;
            store.put(&block)?;
            let (items, tokens) = (rows.len() as u64, items.len() as u64);
            made.push(Made { purpose, block: block.hash(), documents, items, tokens });
        }
        Ok((made, left_out))
    }
}

/// A set that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Made {
    pub(crate) purpose: PurposeName,
    pub(crate) block: ContentHash,
    documents: u64,
    pub(crate) items: u64,
    tokens: u64,
}

/// The tokenizer's block, tokens of an item, and the store.
async fn setting(args: &PackArgs) -> Result<(VerifiedBlock, u32, Store)> {
    if let (Some(tokenizer), Some(tokens)) = (args.tokenizer, args.tokens) {
        // There is nothing to ask a chain for.
        let store = args.shelves.store()?;
        let block = store.get(&tokenizer)?;
        return Ok((block, tokens, store));
    }
    let state = args.reading.state().await?;
    let tokens = match args.tokens {
        Some(tokens) => tokens,
        None => state.parameters()?.item_tokens,
    };
    let tokenizer = match args.tokenizer {
        Some(block) => block,
        None => {
            let active = state.active_specs().await?.into_iter().next();
            active
                .context("the chain has no active specification; name a tokenizer's block with --tokenizer")?
                .spec
                .tokenizer
        },
    };
    let library = Library::open(&args.shelves, &state).await?;
    Ok((library.one(tokenizer).await.context("the tokenizer")?, tokens, library.store))
}

pub(super) async fn run(args: PackArgs) -> Result<()> {
    let (tokenizer, tokens, store) = setting(&args).await?;
    let steps = Steps::new();
    steps.begin_counted("packing");
    let texts = Texts { all: &args.texts, splits: &args.split, general: &[] };
    let packed = tokio::task::block_in_place(|| pack(&texts, &tokenizer, tokens, &store, &steps));
    steps.finish();
    let (made, left_out) = packed?;
    if args.reading.json {
        let value = json!({
            "tokenizer": tokenizer.hash(), "item_tokens": tokens, "sets": made, "left_out": left_out,
        });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let row = |set: &Made| {
        let counts = [set.documents, set.items, set.tokens].map(|count| count.to_string());
        let [documents, items, tokens] = counts;
        [set.purpose.text().to_owned(), documents, items, tokens, set.block.to_string()]
    };
    out::table(["set", " documents", " items", " tokens", "block"], &made.iter().map(row).collect::<Vec<_>>())?;
    let LeftOut { repeated, short, tokens: ends } = left_out;
    out::line(format_args!(
        "\nin no item: {ends} tokens at the ends of documents, {short} of which have fewer than {tokens}; {repeated} \
         documents that were there before"
    ))?;
    out::line("next: blyan data add BLOCK --purpose SET, for each of them")
}

/// What sets are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    /// What the training set is made of, and those of the splits.
    pub(crate) all: &'a [PathBuf],
    /// Parts of these that make sets of their own.
    pub(crate) splits: &'a [Split],
    /// What the general set is made of, where it is no split: all of these, but for documents that are among the others.
    pub(crate) general: &'a [PathBuf],
}

/// Packs documents, and puts the sets into the store: the training set, then one for each split, then the general set where it
/// is of other texts.
pub(crate) fn pack(
    texts: &Texts<'_>,
    tokenizer: &VerifiedBlock,
    tokens: u32,
    store: &Store,
    steps: &Steps,
) -> Result<(Vec<Made>, LeftOut)> {
    let text = TextProcessor::from_block(tokenizer)?;
    let mut packer = Packer::new(text.tokenizer(), tokens, texts.splits)?;
    let mut told = |done: u64, total: u64| {
        steps.set_of(done, total);
        Ok(())
    };
    packer.read(texts.all, None, &mut told)?;
    if !texts.general.is_empty() {
        let set = packer.add_set(PurposeName::General);
        packer.read(texts.general, Some(set), &mut told)?;
    }
    packer.finish(store)
}

/// The items of texts, which are put nowhere. After each file `told` learns how many bytes are done, of how many; its error ends
/// it.
pub(crate) fn items_of(
    texts: &[PathBuf],
    tokenizer: &VerifiedBlock,
    tokens: u32,
    told: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Vec<Vec<u32>>> {
    let text = TextProcessor::from_block(tokenizer)?;
    let mut packer = Packer::new(text.tokenizer(), tokens, &[])?;
    packer.read(texts, None, told)?;
    let LeftOut { short, repeated, .. } = packer.left_out;
    let all = packer.sets.into_iter().flat_map(|set| set.items).collect::<Vec<_>>();
    ensure!(
        !all.is_empty(),
        "the texts make no item: {short} documents have fewer than {tokens} tokens, {repeated} were there before; give longer \
         texts"
    );
    Ok(all.chunks_exact(tokens as usize).map(<[u32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::{import_tiny, open_store};
    use blyan_learning::items::Items;
    use clap::Parser;

    fn splits(texts: &[&str]) -> Vec<Split> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn splits_are_read_and_others_refused_with_an_example() {
        let tenth = Split { purpose: PurposeName::HeldOut, share: Ppm(100_000) };
        assert_eq!("held-out:10%".parse(), Ok(tenth));
        for text in ["held-out", "held-out:10", "held-out:0%", "training:10%", "something:10%", ":10%"] {
            assert!(text.parse::<Split>().is_err(), "{text}");
        }
        assert!(Dealer::new(&splits(&["held-out:60%", "general:40%"])).is_err());
    }

    #[test]
    fn every_kth_document_is_dealt_to_a_split() {
        let deal = |texts: &[&str], count: usize| -> Vec<usize> {
            let mut dealer = Dealer::new(&splits(texts)).unwrap();
            (0..count).map(|_| dealer.next()).collect()
        };
        assert_eq!(deal(&["held-out:25%"], 9), [0, 0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(deal(&[], 3), [0, 0, 0]);
        // With each twentieth document both are due, and general takes the one after it.
        let dealt = deal(&["held-out:10%", "general:5%"], 1_001);
        let count = |set| dealt.iter().filter(|one| **one == set).count();
        assert_eq!((count(0), count(1), count(2)), (851, 100, 50));
        // Two that are due with the same document: the second takes the next one.
        assert_eq!(deal(&["held-out:25%", "general:25%"], 6), [0, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn texts_become_sets_that_are_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(&folder.path().join("store")).unwrap();
        let genesis = import_tiny(&store).unwrap();
        let block = store.get(&genesis.spec.tokenizer).unwrap();
        let text = TextProcessor::from_block(&block).unwrap();
        let pack = |texts: &[&str]| {
            let mut packer = Packer::new(text.tokenizer(), 5, &splits(&["held-out:50%"])).unwrap();
            texts.iter().for_each(|text| packer.take(text, None).unwrap());
            packer.finish(&store)
        };
        // A token is a byte. One that is too short, and one that is there twice.
        let texts = ["one two three", "four five", "abc", "four five", "six seven eight nine"];
        let (made, left_out) = pack(&texts).unwrap();
        let counts: Vec<_> =
            made.iter().map(|set| (set.purpose.text(), set.documents, set.items, set.tokens)).collect();
        assert_eq!(counts, [("training", 2, 6, 30), ("held-out", 1, 1, 5)]);
        assert_eq!(left_out, LeftOut { repeated: 1, short: 1, tokens: 3 + 4 + 3 });
        let items = Items::new(store.get(&made[0].block).unwrap()).unwrap();
        let token = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        assert_eq!(items.item(0).unwrap().unwrap(), token("one t"));
        assert_eq!(items.item(2).unwrap().unwrap(), token("six s"));
        assert_eq!(pack(&texts).unwrap().0, made);
        let error = pack(&texts[..1]).unwrap_err().to_string();
        assert!(error.contains("held-out") && error.contains("longer texts"), "{error}");
    }

    #[test]
    fn a_general_set_of_other_texts_has_none_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let store = open_store(&at("store")).unwrap();
        let block = store.get(&import_tiny(&store).unwrap().spec.tokenizer).unwrap();
        std::fs::write(
            at("some.jsonl"),
            ["one two", "three four"].map(|text| format!("{{\"text\":\"{text}\"}}\n")).concat(),
        )
        .unwrap();
        std::fs::write(at("other"), "five six seven").unwrap();
        std::fs::write(at("same"), "one two").unwrap();
        let pack = |general: &[PathBuf]| {
            let texts = Texts { all: &[at("some.jsonl")], splits: &splits(&["held-out:50%"]), general };
            pack(&texts, &block, 5, &store, &Steps::new())
        };
        let (made, left_out) = pack(&[at("same"), at("other")]).unwrap();
        let counts: Vec<_> = made.iter().map(|set| (set.purpose.text(), set.documents, set.items)).collect();
        assert_eq!(counts, [("training", 1, 1), ("held-out", 1, 2), ("general", 1, 2)]);
        assert_eq!(left_out.repeated, 1);
        let error = pack(&[at("same")]).unwrap_err().to_string();
        assert!(error.contains("general") && error.contains("there before"), "{error}");
        assert_eq!(pack(&[]).unwrap().0.len(), 2);
    }

    #[test]
    fn items_of_texts_are_those_that_a_set_has() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let store = open_store(&at("store")).unwrap();
        let block = store.get(&import_tiny(&store).unwrap().spec.tokenizer).unwrap();
        std::fs::write(at("a"), "one two three").unwrap();
        std::fs::write(at("b"), "abc").unwrap();
        let mut seen = Vec::new();
        let mut told = |done: u64, total: u64| {
            seen.push((done, total));
            Ok(())
        };
        let found = items_of(&[at("a"), at("b")], &block, 5, &mut told).unwrap();
        assert_eq!(found, ["one t", "wo th"].map(|text| text.bytes().map(u32::from).collect::<Vec<_>>()));
        assert_eq!(seen, [(13, 16), (16, 16)]);
        let error = items_of(&[at("b")], &block, 5, &mut |_, _| Ok(())).unwrap_err().to_string();
        assert!(error.contains("longer texts"), "{error}");
        assert!(items_of(&[at("a")], &block, 5, &mut |_, _| anyhow::bail!("enough")).is_err());
    }

    #[derive(Parser, Debug)]
    struct Words {
        #[command(flatten)]
        args: PackArgs,
    }

    #[test]
    fn what_to_pack_is_named() {
        let parse = |words: &[&str]| Words::try_parse_from([&["blyan"], words].concat()).map(|words| words.args);
        let args = parse(&["a.txt", "b", "--split", "held-out:10%", "--tokens", "129", "--peers", "http://a,http://b"]);
        let args = args.unwrap();
        assert_eq!((args.texts.len(), args.split.len(), args.tokens), (2, 1, Some(129)));
        assert!(parse(&[]).is_err());
        assert!(parse(&["a", "--tokens", "1"]).is_err() && parse(&["a", "--split", "10%"]).is_err());
    }
}
