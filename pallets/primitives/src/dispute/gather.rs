//! Evidence, gathered by who has everything: a value is computed from it, and what was asked for is what has to be proved.

use super::{Access, BlockPart, Evidence, Item, LeafRun, Missing, Subtiles, Values, Weights};
use crate::{
    block::{header_hash, BlockHeader, HeaderError, MAX_ONCHAIN_HEADER_LEN},
    ids::ContentHash,
    merkle::Digest,
    real::Single,
    trace::{Trace, Word},
};
use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    vec::Vec,
};
use core::{fmt, ops::Range};

/// What evidence is made of.
pub trait Sources {
    /// Why something cannot be had.
    type Error;

    /// The header's bytes of a block.
    fn header(&mut self, block: ContentHash) -> Result<Vec<u8>, Self::Error>;

    /// The bytes of some subtiles of a block, and the proof of them.
    fn subtiles(&mut self, block: ContentHash, range: Range<u64>) -> Result<(Vec<u8>, Vec<Digest>), Self::Error>;

    /// The words of some leaves of the trace, and the proof of them.
    fn leaves(&mut self, range: Range<u64>) -> Result<(Vec<u32>, Vec<Digest>), Self::Error>;
}

/// Why evidence cannot be gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatherError<E> {
    /// A source does not have it.
    Source(E),
    /// A header that a source has is none, or is not that of the block.
    Header(ContentHash, HeaderError),
    /// It is in no block of the model, or not where the specification says.
    Missing(Missing),
}

impl<E> From<Missing> for GatherError<E> {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl<E: fmt::Display> fmt::Display for GatherError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Header(block, error) => write!(f, "the header of block {block}: {error}"),
            Self::Missing(missing) => missing.fmt(f),
        }
    }
}

impl<E: core::error::Error> core::error::Error for GatherError<E> {}

/// Gathers the evidence for a value of a trace.
///
/// # Errors
/// When `sources` lack something that it is computed from.
pub fn gather<S: Single, F: Sources, W: Weights>(
    shape: &Trace,
    word: Word,
    weights: &W,
    item: Item,
    sources: &mut F,
) -> Result<Evidence, GatherError<F::Error>> {
    let watched = Watched { sources, headers: BTreeMap::new(), leaves: BTreeSet::new(), subtiles: BTreeMap::new() };
    let mut values = Values::new(shape, weights, item, watched);
    shape.compute::<S, _>(word, &mut values)?;
    values.into_access().evidence()
}

/// Sources, and what was read of them.
struct Watched<'a, F> {
    sources: &'a mut F,
    headers: BTreeMap<ContentHash, (Vec<u8>, Rc<BlockHeader>)>,
    leaves: BTreeSet<u64>,
    subtiles: BTreeMap<ContentHash, BTreeSet<u64>>,
}

impl<F: Sources> Access for Watched<'_, F> {
    type Error = GatherError<F::Error>;

    fn header(&mut self, block: ContentHash) -> Result<Rc<BlockHeader>, Self::Error> {
        if let Some((_, header)) = self.headers.get(&block) {
            return Ok(header.clone());
        }
        let bytes = self.sources.header(block).map_err(GatherError::Source)?;
        let found = BlockHeader::decode_checked(&bytes, MAX_ONCHAIN_HEADER_LEN);
        let found = if header_hash(&bytes) == block { found } else { Err(HeaderError::Malformed) };
        let header = Rc::new(found.map_err(|error| GatherError::Header(block, error))?);
        self.headers.insert(block, (bytes, header.clone()));
        Ok(header)
    }

    fn subtile(&mut self, block: ContentHash, index: u64) -> Result<Cow<'_, [u8]>, Self::Error> {
        self.subtiles.entry(block).or_default().insert(index);
        let (data, _) = self.sources.subtiles(block, index..index.saturating_add(1)).map_err(GatherError::Source)?;
        Ok(Cow::Owned(data))
    }

    fn leaf(&mut self, index: u64) -> Result<Cow<'_, [u32]>, Self::Error> {
        self.leaves.insert(index);
        let (words, _) = self.sources.leaves(index..index.saturating_add(1)).map_err(GatherError::Source)?;
        Ok(Cow::Owned(words))
    }
}

impl<F: Sources> Watched<'_, F> {
    fn evidence(self) -> Result<Evidence, GatherError<F::Error>> {
        let Self { sources, headers, leaves, subtiles } = self;
        let mut evidence = Evidence::default();
        for range in runs(&leaves) {
            let (words, proof) = sources.leaves(range.clone()).map_err(GatherError::Source)?;
            evidence.leaves.push(LeafRun { first: range.start, words, proof });
        }
        for (block, (header, _)) in headers {
            let mut part = BlockPart { header, runs: Vec::new() };
            for range in subtiles.get(&block).map(runs).unwrap_or_default() {
                let (data, proof) = sources.subtiles(block, range.clone()).map_err(GatherError::Source)?;
                part.runs.push(Subtiles { first: range.start, data, proof });
            }
            evidence.blocks.push(part);
        }
        Ok(evidence)
    }
}

/// Numbers that follow each other, together.
fn runs(numbers: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == *number => run.end = number.saturating_add(1),
            _ => runs.push(*number..number.saturating_add(1)),
        }
    }
    runs
}
