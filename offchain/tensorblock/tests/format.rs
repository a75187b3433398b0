//! Writing, reading and verifying block files.

mod common;

use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, DType, Form, HeaderError, Layout, MAX_HEADER_LEN, Quantisation, TENSOR_ALIGN,
        data_offset, header_hash,
    },
    merkle::{SUBTILE, Tree, verify},
};
use blyan_tensorblock::{Block, BlockBuilder, BlockError, VerifiedBlock};
use common::{block_of, file_bytes, small, three_tiles};
use proptest::prelude::*;
use std::{fs, path::Path};

fn builder() -> BlockBuilder<'static> {
    BlockBuilder::new(BlockKind::Trunk, Form::Master, Quantisation::None)
}

fn written(folder: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join("b.block");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_written_block_is_read_back_without_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.block");
    let unwritten = three_tiles(1);
    unwritten.write_file(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), file_bytes(&unwritten));
    assert_eq!(fs::metadata(&path).unwrap().len(), unwritten.file_len());

    let block = Block::open_as(&path, &unwritten.hash()).unwrap().verify(2).unwrap();
    assert_eq!(block.header(), unwritten.header());
    assert_eq!(block.header_bytes(), unwritten.header_bytes());
    assert_eq!(header_hash(block.header_bytes()), block.hash());
    assert_eq!(block.tree().root(), Tree::of_data(block.data()).root());
    assert_eq!(block.path(), Some(path.as_path()));

    let mapped = block.data().as_ptr_range();
    for tensor in &block.header().tensors {
        let view = block.tensor(&tensor.name).unwrap();
        assert!(mapped.contains(&view.bytes.as_ptr()), "{} was copied", tensor.name);
        assert_eq!(view.bytes.as_ptr() as usize % TENSOR_ALIGN as usize, 0);
    }
    assert_eq!(block.tensor("scales").unwrap().f32().unwrap(), [0.5, -1.0, 1.0]);
    assert_eq!(block.tensor("packed").unwrap().i8().unwrap(), [7; 64]);
    assert_eq!(block.tensor("noise").unwrap().u8().unwrap(), common::noise(34 * SUBTILE as usize + 99, 1));
}

#[test]
fn a_block_in_memory_is_the_same_block() {
    let unwritten = small();
    let (hash, data) = (unwritten.hash(), file_bytes(&unwritten));
    let block = unwritten.into_block().unwrap();
    assert_eq!(block.hash(), hash);
    assert_eq!(block.data(), &data[data_offset(block.header_bytes().len() as u32) as usize..]);
    assert_eq!(block.tree().root(), Tree::of_data(block.data()).root());
    assert_eq!(block.path(), None);
}

#[test]
fn roots_over_tensor_edges_equal_roots_of_the_whole_region() {
    // Edges just before, on and just after those of subtiles and tiles.
    let size = SUBTILE as usize;
    for lens in [vec![1, 1], vec![size - 64, 64, 64], vec![size, size, 3], vec![size - 1, 2 * size + 1, 17 * size, 5]] {
        let mut builder = builder();
        for (i, len) in lens.iter().enumerate() {
            let bytes = common::noise(*len, i as u64);
            builder.tensor(&format!("t{i}"), DType::U8, Layout::RowMajor, &[*len as u32], bytes).unwrap();
        }
        let block = builder.finish().unwrap().into_block().unwrap();
        assert_eq!(Tree::of_data(block.data()).root(), block.header().root.0, "{lens:?}");
    }
}

#[test]
fn equal_tensors_make_equal_names() {
    assert_eq!(block_of(1000, 4).hash(), block_of(1000, 4).hash());
    assert_ne!(block_of(1000, 4).hash(), block_of(1000, 5).hash());
    assert_ne!(block_of(1000, 4).hash(), block_of(1001, 4).hash());
}

#[test]
fn the_format_is_pinned() {
    // Names of blocks on chain depend on every byte of the format.
    assert_eq!(small().hash().to_string(), "0xe03f0b45b91bf059648078ab43210881b0a9441bf4c219e131aff0615bffcd45");
}

#[test]
fn tensors_that_do_not_fit_their_shape_are_refused() {
    let mut b = builder();
    let refused = b.tensor("x", DType::F32, Layout::RowMajor, &[2], vec![0u8; 7]).unwrap_err();
    assert!(matches!(refused, BlockError::Length { expected: 8, found: 7, .. }), "{refused}");
    for (dtype, layout, shape) in [
        (DType::F32, Layout::Rows16K4, &[2, 2][..]),
        (DType::Int8, Layout::Rows16K4, &[2]),
        (DType::U8, Layout::RowMajor, &[u32::MAX; 4]),
        (DType::U8, Layout::RowMajor, &[0]),
    ] {
        let refused = b.tensor("x", dtype, layout, shape, vec![0u8; 0]).unwrap_err();
        assert!(matches!(refused, BlockError::Shape { .. }), "{refused}");
    }
    assert!(matches!(b.finish().unwrap_err(), BlockError::Empty));
}

#[test]
fn names_that_the_format_does_not_allow_are_refused() {
    for names in [vec!["a", "a"], vec!["a b"], vec![""], vec!["é"]] {
        let mut builder = builder();
        for name in &names {
            builder.tensor(name, DType::U8, Layout::RowMajor, &[1], vec![1u8]).unwrap();
        }
        let refused = builder.finish().unwrap_err();
        assert!(matches!(refused, BlockError::Unbuildable(HeaderError::Name)), "{names:?}: {refused}");
    }
}

#[test]
fn unexpected_tensors_are_refused_by_name() {
    let block = small().into_block().unwrap();
    assert!(matches!(block.tensor("nothing").unwrap_err(), BlockError::NoTensor { name, .. } if name == "nothing"));
    let scales = block.tensor("scales").unwrap();
    scales.expect(DType::F32, Layout::RowMajor, &[3]).unwrap();
    assert!(matches!(scales.i8().unwrap_err(), BlockError::Mismatch { .. }));
    for (dtype, layout, shape) in [
        (DType::F16, Layout::RowMajor, &[3][..]),
        (DType::F32, Layout::Rows16K4, &[3]),
        (DType::F32, Layout::RowMajor, &[4]),
        (DType::F32, Layout::RowMajor, &[3, 1]),
    ] {
        let refused = scales.expect(dtype, layout, shape).unwrap_err();
        assert!(refused.to_string().contains("scales"), "{refused}");
    }
}

#[test]
fn a_tensor_slice_outlives_the_block() {
    let block = small().into_block().unwrap();
    let slice = block.tensor_slice::<f32>("scales", DType::F32, Layout::RowMajor, &[3]).unwrap();
    assert_eq!(block.handles(), 2);
    let pointer = block.tensor("scales").unwrap().bytes.as_ptr();
    drop(block);
    assert_eq!(*slice.clone(), [0.5, -1.0, 1.0]);
    assert_eq!(slice.as_ptr().cast(), pointer);
}

#[test]
fn a_tensor_slice_of_another_element_is_refused() {
    let block = small().into_block().unwrap();
    assert!(block.tensor_slice::<u16>("scales", DType::F32, Layout::RowMajor, &[3]).is_err());
    assert!(block.tensor_slice::<f32>("scales", DType::F32, Layout::RowMajor, &[4]).is_err());
}

#[test]
fn parts_past_the_end_are_refused() {
    let block = three_tiles(2).into_block().unwrap();
    assert_eq!(block.tile(0).unwrap().len() as u64, 16 * SUBTILE);
    assert_eq!(block.slice(5..9).unwrap().as_ref(), &block.data()[5..9]);
    let end = block.header().data_len;
    for refused in [
        block.tile(3).map(|_| ()),
        block.subtile(35).map(|_| ()),
        block.subtile(u64::MAX).map(|_| ()),
        block.slice(0..end + 1).map(|_| ()),
        block.slice(u64::MAX - 1..u64::MAX).map(|_| ()),
        #[allow(clippy::reversed_empty_ranges)]
        block.slice(9..5).map(|_| ()),
        block.prove_tile(3).map(|_| ()),
        block.prove_subtile(u64::MAX).map(|_| ()),
    ] {
        assert!(matches!(refused, Err(BlockError::OutOfRange { .. })));
    }
}

#[test]
fn a_subtile_proof_is_what_the_runtime_checks() {
    let block = three_tiles(2).into_block().unwrap();
    let proof = block.prove_subtile(20).unwrap();
    let leaf = blyan_primitives::merkle::leaf_hash(20, block.subtile(20).unwrap());
    verify(&block.header().root.0, block.tree().leaf_count(), 20, &[leaf], proof.hashes()).unwrap();
}

#[test]
fn other_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let good = file_bytes(&small());
    let open = |bytes: &[u8]| Block::open(&written(folder.path(), bytes)).map(|b| b.hash()).unwrap_err();

    assert!(matches!(open(b""), BlockError::Truncated { expected: 16, found: 0, .. }));
    assert!(matches!(open(&good[..15]), BlockError::Truncated { .. }));
    assert!(matches!(open(&good[..40]), BlockError::Truncated { .. }));
    assert!(matches!(open(&good[..good.len() - 1]), BlockError::Truncated { .. }));
    assert!(matches!(open(&[&good[..], &[0]].concat()), BlockError::Oversized { .. }));
    assert!(matches!(open(&[0; 64]), BlockError::NotABlock { .. }));

    let mut changed = good.clone();
    changed[8] = 2;
    assert!(matches!(open(&changed), BlockError::Version { found: 2, .. }));
    changed = good.clone();
    changed[12..16].copy_from_slice(&(MAX_HEADER_LEN + 1).to_le_bytes());
    assert!(matches!(open(&changed), BlockError::Header { source: HeaderError::TooLong, .. }));
    changed = good.clone();
    changed[16] = 0xff;
    assert!(matches!(open(&changed), BlockError::Header { source: HeaderError::Malformed, .. }));
    changed = good.clone();
    changed[4095] = 1;
    assert!(matches!(open(&changed), BlockError::Padding { at: 4095, .. }));

    assert!(matches!(Block::open(folder.path()).unwrap_err(), BlockError::NotABlock { .. }));
    assert!(matches!(Block::open(&folder.path().join("none")).unwrap_err(), BlockError::Io { .. }));
    let path = written(folder.path(), &good);
    assert!(matches!(Block::open_as(&path, &block_of(9, 9).hash()).unwrap_err(), BlockError::WrongBlock { .. }));
}

#[test]
fn a_block_without_tensors_is_refused() {
    use codec::Encode;
    let folder = tempfile::tempdir().unwrap();
    let mut header: BlockHeader = small().header().clone();
    header.tensors.clear();
    header.data_len = 0;
    let encoded = header.encode();
    let mut bytes = file_bytes(&small())[..12].to_vec();
    bytes.extend((encoded.len() as u32).to_le_bytes());
    bytes.extend(encoded);
    bytes.resize(4096, 0);
    assert!(matches!(Block::open(&written(folder.path(), &bytes)).unwrap_err(), BlockError::Header { .. }));
}

#[test]
fn damage_is_located_with_a_list_of_leaf_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let good = three_tiles(3);
    let mut bytes = file_bytes(&good);
    let data = data_offset(good.header_bytes().len() as u32) as usize;
    for subtile in [5, 34] {
        bytes[data + subtile * SUBTILE as usize + 7] ^= 1;
    }
    let path = written(folder.path(), &bytes);
    let open = || Block::open_as(&path, &good.hash()).unwrap();

    let corrupt = open().verify_with(2, Some(good.tree().leaves())).unwrap_err();
    assert_eq!(corrupt.subtiles, [5, 34]);
    assert_eq!(corrupt.block.hash(), good.hash());
    assert!(corrupt.to_string().contains("in subtiles 5, 34"), "{corrupt}");
    // Without a list, or with a wrong one, the damage is found but not located.
    assert!(open().verify(1).unwrap_err().subtiles.is_empty());
    assert!(open().verify_with(1, Some(&good.tree().leaves()[1..])).unwrap_err().subtiles.is_empty());
}

#[test]
fn an_unwritable_folder_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("x"), b"x").unwrap();
    // A folder cannot be replaced by a file: the write fails at its last step.
    assert!(matches!(small().write_file(&path).unwrap_err(), BlockError::Io { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn open_and_verify(path: &Path, block: &VerifiedBlock) -> Result<VerifiedBlock, BlockError> {
    Ok(Block::open_as(path, &block.hash())?.verify(1)?)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_flipped_bit_is_detected(at: prop::sample::Index, bit in 0u8..8) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = file_bytes(&small());
        let block = small().into_block().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(open_and_verify(&written(folder.path(), &bytes), &block).unwrap_err().is_damage());
    }

    #[test]
    fn every_flipped_bit_of_the_header_is_detected(at in 0usize..200, bit in 0u8..8) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = file_bytes(&small());
        let block = small().into_block().unwrap();
        bytes[at] ^= 1 << bit;
        prop_assert!(open_and_verify(&written(folder.path(), &bytes), &block).unwrap_err().is_damage());
    }

    #[test]
    fn every_truncation_is_detected(len: prop::sample::Index) {
        let folder = tempfile::tempdir().unwrap();
        let bytes = file_bytes(&small());
        let block = small().into_block().unwrap();
        let path = written(folder.path(), &bytes[..len.index(bytes.len())]);
        prop_assert!(open_and_verify(&path, &block).unwrap_err().is_damage());
    }

    #[test]
    fn garbage_behind_a_good_prefix_never_panics(header_len in 0u32..600, rest: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = file_bytes(&small())[..12].to_vec();
        bytes.extend(header_len.to_le_bytes());
        bytes.extend(rest);
        bytes.resize(bytes.len().max(4096), 0);
        let _ = Block::open(&written(folder.path(), &bytes)).map(|block| block.verify(1));
    }

    #[test]
    fn garbage_files_never_panic(bytes: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        prop_assert!(Block::open(&written(folder.path(), &bytes)).is_err());
    }
}
