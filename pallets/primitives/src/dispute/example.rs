//! A small model in blocks, items, and traces of them: for tests and benchmarks of who settles disputes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests and benchmarks alone use it"
)]

use crate::{
    block::{
        header_hash, BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, TENSOR_ALIGN,
    },
    dispute::{Access, Game, Item, Missing, Move, Sources, Stage, Weights, STRIDE, TOKENS},
    ids::{ContentHash, TileRoot},
    merkle::{leaf_hash, Digest, ProofError, Tree, SUBTILE},
    spec::{Dimensions, F32Bits},
    trace::{Part, Tensor, Trace, Word, LEAF_WORDS},
};
use alloc::{borrow::Cow, collections::BTreeMap, rc::Rc, string::String, vec, vec::Vec};
use codec::Encode;
use core::ops::Range;

pub fn dimensions() -> Dimensions {
    Dimensions {
        layers: 2,
        hidden: 20,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 24,
        // The embedding lies in two subtiles, and a position's logits in more than 64 leaves.
        vocab: 17_000,
        context: 16,
        experts: 3,
        top_k: 2,
        activation_block: 16,
        rope_theta: F32Bits::new(1e4),
        rms_eps: F32Bits::new(1e-5),
        tied_embeddings: true,
        qk_norm: true,
        checkpoint_every: 1,
    }
}

/// A block, and the tree over its data.
struct File {
    header: Vec<u8>,
    data: Vec<u8>,
    tree: Tree,
}

/// Numbers that look random, the same each time.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 ^ self.0 >> 15).wrapping_mul(0x2c1b_3c6d)
    }

    fn floats(&mut self, count: u32) -> Vec<u8> {
        (0..count).flat_map(|_| (self.next() as i32 as f32 / 2e9).to_le_bytes()).collect()
    }
}

/// Name, type, layout, shape and bytes of a tensor.
type Written = (String, DType, Layout, Vec<u32>, Vec<u8>);

fn file(kind: BlockKind, tensors: Vec<Written>) -> File {
    let (mut infos, mut data) = (vec![], vec![]);
    for (name, dtype, layout, shape, bytes) in tensors {
        data.resize(data.len().next_multiple_of(TENSOR_ALIGN as usize), 0);
        let (offset, length) = (data.len() as u64, bytes.len() as u64);
        data.extend(bytes);
        infos.push(TensorInfo { name, dtype, layout, shape, offset, length });
    }
    let tree = Tree::of_data(&data);
    let header = BlockHeader {
        payload: PayloadType::TensorBlock,
        kind,
        form: Form::Serving,
        quantisation: Quantisation::PerChannel,
        arch: String::new(),
        engine: vec![],
        tensors: infos,
        data_len: data.len() as u64,
        root: TileRoot(tree.root()),
    };
    header.check().unwrap();
    File { header: header.encode(), data, tree }
}

/// A block with these tensors of a model.
fn weights(kind: BlockKind, tensors: &[Tensor], noise: &mut Noise) -> File {
    let d = dimensions();
    let mut all = vec![];
    for tensor in tensors {
        let ((rows, columns), place) = (tensor.shape(&d), tensor.place());
        match columns {
            Some(k) if tensor.is_quantised() => {
                let bytes = TensorInfo::bytes(DType::Int8, Layout::Rows16K4, &[rows, k]).unwrap();
                // Padding does not matter to what is computed.
                let data = (0..bytes).map(|_| noise.next() as u8).collect();
                all.push((place.name.clone(), DType::Int8, Layout::Rows16K4, vec![rows, k], data));
                let scales = (0..rows).flat_map(|_| (0.002f32 + (noise.next() as u8 as f32) * 1e-5).to_le_bytes());
                all.push((place.scales(), DType::F32, Layout::RowMajor, vec![rows], scales.collect()));
            },
            Some(k) => {
                let data = noise.floats(rows * k);
                all.push((place.name, DType::F32, Layout::RowMajor, vec![rows, k], data));
            },
            None => all.push((place.name, DType::F32, Layout::RowMajor, vec![rows], noise.floats(rows))),
        }
    }
    file(kind, all)
}

/// Items of the block of items.
pub const ITEMS: u32 = 16;
/// Tokens of each.
pub const ITEM_TOKENS: u32 = 5;
/// Items of each of the smaller blocks of items.
pub const FEW_ITEMS: u32 = 4;

/// A block of so many items.
fn items(count: u32, noise: &mut Noise) -> File {
    let tokens: Vec<u8> = (0..count * ITEM_TOKENS).flat_map(|_| (noise.next() % 17_000).to_le_bytes()).collect();
    let shape = vec![count, ITEM_TOKENS];
    file(BlockKind::Items, vec![(TOKENS.into(), DType::U32, Layout::RowMajor, shape, tokens)])
}

/// The model's blocks, those in its slots, and the item.
pub struct World {
    pub shape: Trace,
    pub item: Item,
    /// What is in each slot.
    pub parts: BTreeMap<Part, ContentHash>,
    /// Blocks that can be, the last of which is in none.
    pub experts: Vec<ContentHash>,
    /// A block of items that are longer.
    pub longer: ContentHash,
    /// Smaller blocks of items.
    pub smaller: Vec<ContentHash>,
    files: BTreeMap<ContentHash, File>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    pub fn new() -> Self {
        use Tensor as T;
        let mut noise = Noise(7);
        let mut trunk = vec![T::Embed, T::FinalNorm];
        let mut routers = vec![];
        for layer in 0..2 {
            trunk.extend([T::AttnNorm(layer), T::FfnNorm(layer), T::QueryNorm(layer), T::KeyNorm(layer)]);
            trunk.extend([T::Query(layer), T::Key(layer), T::Value(layer), T::Output(layer)]);
            routers.push(T::Router(layer));
        }
        let expert = [T::Gate(0, 0), T::Up(0, 0), T::Down(0, 0)];
        let mut world = Self {
            shape: Trace::new(dimensions(), ITEM_TOKENS).unwrap(),
            item: Item { block: ContentHash::default(), index: 1 },
            parts: BTreeMap::new(),
            experts: vec![],
            longer: ContentHash::default(),
            smaller: vec![],
            files: BTreeMap::new(),
        };
        let mut add = |file: File| {
            let hash = header_hash(&file.header);
            world.files.insert(hash, file);
            hash
        };
        let trunk = add(weights(BlockKind::Trunk, &trunk, &mut noise));
        let router = add(weights(BlockKind::Router, &routers, &mut noise));
        let experts: Vec<ContentHash> = (0..4).map(|_| add(weights(BlockKind::Expert, &expert, &mut noise))).collect();
        world.item.block = add(items(ITEMS, &mut noise));
        let longer = vec![0; 4 * 2 * (ITEM_TOKENS as usize + 1)];
        let shape = vec![2, ITEM_TOKENS + 1];
        let longer = file(BlockKind::Items, vec![(TOKENS.into(), DType::U32, Layout::RowMajor, shape, longer)]);
        let longer = add(longer);
        let smaller = (0..4).map(|_| add(items(FEW_ITEMS, &mut noise))).collect();
        (world.longer, world.smaller) = (longer, smaller);
        world.parts.extend([(Part::Trunk, trunk), (Part::Router, router)]);
        for layer in 0..2u16 {
            // In the second layer two experts are one block.
            let blocks = if layer == 0 { [0, 1, 2] } else { [1, 1, 0] };
            for (index, block) in (0..).zip(blocks) {
                world.parts.insert(Part::Expert { layer, index }, experts[block]);
            }
        }
        world.experts = experts;
        world
    }

    /// The header of a block.
    pub fn header(&self, block: ContentHash) -> Option<Vec<u8>> {
        self.files.get(&block).map(|file| file.header.clone())
    }

    /// What could be a trace of any item of this shape, but is none: the same float everywhere.
    pub fn blank(&self, shape: &Trace) -> Trail<'_> {
        let words = |index| vec![(-1.5f32).to_bits(); shape.leaf(index).map_or(0, |leaf| leaf.columns.len())];
        Trail { world: self, leaves: (0..shape.leaves()).map(words).collect() }
    }

    /// The trace of the item.
    #[cfg(any(test, feature = "std"))]
    pub fn trace(&self) -> Trail<'_> {
        self.trace_of(self, self.item)
    }

    /// The trace of an item, for a model of some of the blocks.
    #[cfg(any(test, feature = "std"))]
    pub fn trace_of<W: Weights>(&self, weights: &W, item: Item) -> Trail<'_> {
        let mut values = crate::dispute::Values::new(&self.shape, weights, item, Trail { world: self, leaves: vec![] });
        for index in 0..self.shape.leaves() {
            let leaf = self.shape.leaf(index).unwrap();
            let word = |column, values: &mut crate::dispute::Values<_, Trail>| {
                self.shape.compute::<f32, _>(Word { step: leaf.step, row: leaf.row, column }, values).unwrap()
            };
            let words: Vec<u32> = leaf.columns.clone().map(|column| word(column, &mut values)).collect();
            values.access_mut().leaves.push(words);
        }
        values.into_access()
    }
}

impl Weights for World {
    fn block(&self, part: Part) -> Option<ContentHash> {
        self.parts.get(&part).copied()
    }
}

/// A trace.
#[derive(Clone)]
pub struct Trail<'a> {
    world: &'a World,
    pub leaves: Vec<Vec<u32>>,
}

impl Trail<'_> {
    pub fn tree(&self) -> Tree {
        let hash = |(index, words): (u64, &Vec<u32>)| {
            leaf_hash(index, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
        };
        Tree::new((0..).zip(&self.leaves).map(hash).collect())
    }

    /// What a side with this trace tells next in a game, while it has something to tell.
    pub fn told(&self, tree: &Tree, game: &Game) -> Option<Move> {
        match game.stage() {
            Stage::Nodes { at, .. } => {
                let levels = at.level.min(STRIDE);
                let nodes = tree.nodes(at.level - levels, at.below(levels, tree.leaf_count())).unwrap();
                Some(Move::Nodes(nodes.to_vec().try_into().unwrap()))
            },
            Stage::Words { leaf, .. } => Some(Move::Words(self.leaves[*leaf as usize].clone().try_into().unwrap())),
            Stage::Evidence { .. } => None,
        }
    }

    /// The word.
    pub fn word(&mut self, word: Word) -> &mut u32 {
        let leaf = self.world.shape.leaf_of(word).unwrap() as usize;
        &mut self.leaves[leaf][(word.column % LEAF_WORDS) as usize]
    }
}

impl Access for Trail<'_> {
    type Error = Missing;

    fn header(&mut self, block: ContentHash) -> Result<Rc<BlockHeader>, Missing> {
        let file = self.world.files.get(&block).ok_or(Missing::Header(block))?;
        Ok(Rc::new(BlockHeader::decode_checked(&file.header, 1 << 16).unwrap()))
    }

    fn subtile(&mut self, block: ContentHash, index: u64) -> Result<Cow<'_, [u8]>, Missing> {
        let mut subtiles = self.world.files[&block].data.chunks(SUBTILE as usize);
        Ok(Cow::Borrowed(subtiles.nth(index as usize).ok_or(Missing::Subtile(block, index))?))
    }

    fn leaf(&mut self, index: u64) -> Result<Cow<'_, [u32]>, Missing> {
        Ok(Cow::Borrowed(self.leaves.get(index as usize).ok_or(Missing::Leaf(index))?))
    }
}

/// What evidence is gathered from.
pub struct Library<'a> {
    pub trail: &'a Trail<'a>,
    pub tree: &'a Tree,
}

impl Sources for Library<'_> {
    type Error = ProofError;

    fn header(&mut self, block: ContentHash) -> Result<Vec<u8>, ProofError> {
        Ok(self.trail.world.files[&block].header.clone())
    }

    fn subtiles(&mut self, block: ContentHash, range: Range<u64>) -> Result<(Vec<u8>, Vec<Digest>), ProofError> {
        let File { data, tree, .. } = &self.trail.world.files[&block];
        let subtiles = data.chunks(SUBTILE as usize).skip(range.start as usize).take(range.clone().count());
        Ok((subtiles.flatten().copied().collect(), tree.prove(range)?))
    }

    fn leaves(&mut self, range: Range<u64>) -> Result<(Vec<u32>, Vec<Digest>), ProofError> {
        let words = self.trail.leaves[range.start as usize..range.end as usize].concat();
        Ok((words, self.tree.prove(range)?))
    }
}
