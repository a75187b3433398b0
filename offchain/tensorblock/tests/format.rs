//! Writing, reading and verifying block files.

mod common;

use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, DType, Form, HeaderError, Layout, MAX_HEADER_LEN, Quantisation, TENSOR_ALIGN,
        TensorInfo, data_offset, header_hash,
    },
    ids::TileRoot,
    merkle::{SUBTILE, Tree, verify},
};
use blyan_tensorblock::{Block, BlockBuilder, BlockError, VerifiedBlock, quant::pack_rows16k4};
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
fn whole_numbers_are_read_back() {
    let mut builder = BlockBuilder::new(BlockKind::Items, Form::Serving, Quantisation::None);
    builder.tensor("tokens", DType::U32, Layout::RowMajor, &[2, 2], vec![1u32, 0, u32::MAX, 7]).unwrap();
    let block = builder.finish().unwrap().into_block().unwrap();
    let view = block.tensor("tokens").unwrap();
    assert_eq!(view.u32().unwrap(), [1, 0, u32::MAX, 7]);
    assert_eq!(view.bytes[8..12], [255; 4]);
    assert!(matches!(view.f32().unwrap_err(), BlockError::Mismatch { .. }));
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

/// The file of a block with this header and data; the header gets the data's root.
fn forged(header: &BlockHeader, data: &[u8]) -> Vec<u8> {
    use codec::Encode;
    let header = BlockHeader { root: TileRoot(Tree::of_data(data).root()), ..header.clone() }.encode();
    let mut bytes = file_bytes(&small())[..12].to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(&header);
    bytes.resize(data_offset(header.len() as u32) as usize, 0);
    bytes.extend(data);
    bytes
}

#[test]
fn padding_that_is_not_zero_is_refused_by_place() {
    let folder = tempfile::tempdir().unwrap();
    // Scales at 0..12, bytes at 64..164, and a matrix of 2 rows of 3 in a line of 16 runs of 4 at 192.
    let mut builder = builder();
    builder.tensor("scales", DType::F32, Layout::RowMajor, &[3], vec![0.5f32; 3]).unwrap();
    builder.tensor("noise", DType::U8, Layout::RowMajor, &[100], vec![9u8; 100]).unwrap();
    builder.tensor("packed", DType::Int8, Layout::Rows16K4, &[2, 3], pack_rows16k4(&[7; 6], 2, 3).unwrap()).unwrap();
    let block = builder.finish().unwrap().into_block().unwrap();
    block.check_padding().unwrap();
    for (at, what) in [
        (12, "a gap"),
        (63, "a gap"),
        (191, "a gap"),
        (195, "a fourth column"),
        (200, "a third row"),
        (255, "the last"),
    ] {
        let mut data = block.data().to_vec();
        data[at] = 1;
        let forged = Block::open(&written(folder.path(), &forged(block.header(), &data))).unwrap().verify(1).unwrap();
        let refused = forged.check_padding().unwrap_err();
        assert!(
            matches!(refused, BlockError::TensorPadding { at: named, .. } if named == at as u64),
            "{what}: {refused}"
        );
        assert!(!refused.is_damage(), "its name says that this is the block");
    }
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

/// Changes one thing of a header.
fn change_field(header: &mut BlockHeader, what: u8, which: prop::sample::Index, value: u64) {
    let small = (value % 40) as usize;
    match what {
        0 => header.data_len = header.data_len.wrapping_add(value % 200).wrapping_sub(100),
        1 => header.data_len = value,
        2 => header.arch = "x".repeat(small * 4),
        3 => header.engine = vec![7; small * 200],
        4 => header.kind = [BlockKind::Trunk, BlockKind::Router, BlockKind::Tokenizer][small % 3],
        5 => header.form = Form::Master,
        6 if header.tensors.len() > 1 => drop(header.tensors.remove(which.index(header.tensors.len()))),
        _ if header.tensors.is_empty() => {},
        7 => {
            let copy = header.tensors[which.index(header.tensors.len())].clone();
            header.tensors.push(copy);
        },
        _ => {
            let at = which.index(header.tensors.len());
            let tensor = &mut header.tensors[at];
            match what {
                8 => tensor.name = ["", "noise", "a b", "t", "\u{e9}"][small % 5].into(),
                9 => {
                    let types = [DType::F32, DType::F16, DType::Int8, DType::U8, DType::Fp8E4m3];
                    tensor.dtype = types[small % types.len()];
                },
                10 => {
                    tensor.layout = if tensor.layout == Layout::RowMajor { Layout::Rows16K4 } else { Layout::RowMajor }
                },
                11 => {
                    let shapes =
                        [vec![], vec![0], vec![small as u32 + 1], vec![small as u32, 5], vec![u32::MAX; 4], vec![1; 5]];
                    tensor.shape = shapes[(value >> 8) as usize % shapes.len()].clone();
                },
                12 => tensor.offset = if value.is_multiple_of(2) { value } else { tensor.offset.wrapping_add(64) },
                _ => tensor.length = if value.is_multiple_of(2) { value } else { tensor.length.wrapping_add(1) },
            }
        },
    }
}

/// Gives tensors the lengths that their shapes have, and the places that follow, as far as there are any.
fn mend_places(header: &mut BlockHeader) {
    let mut end = 0u64;
    for (i, tensor) in header.tensors.iter_mut().enumerate() {
        tensor.name = format!("t{i}");
        tensor.offset = end.next_multiple_of(TENSOR_ALIGN);
        tensor.length = TensorInfo::bytes(tensor.dtype, tensor.layout, &tensor.shape).unwrap_or(0).min(1 << 14);
        end = tensor.offset + tensor.length;
    }
    header.data_len = end;
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

    /// Headers that are well-formed, named by the right hash and over data with the right root, so that nothing but the
    /// format's own rules stands between them and whoever reads tensors.
    #[test]
    fn a_header_with_changed_fields_is_refused_or_sound(
        changes in proptest::collection::vec((0u8..14, any::<prop::sample::Index>(), any::<u64>()), 1..5),
        mend in any::<bool>(),
        extra in 0usize..3,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut header = small().header().clone();
        for (what, which, value) in changes {
            change_field(&mut header, what, which, value);
        }
        if mend {
            mend_places(&mut header);
        }
        // What is absurdly large is refused before anybody looks for its data.
        let len = header.data_len.min(1 << 16) as usize;
        let data = common::noise(len + [0, 0, 1][extra], 3);
        let path = written(folder.path(), &forged(&header, &data));
        let block = match Block::open(&path) {
            Ok(block) => block,
            Err(error) => {
                prop_assert!(error.is_damage(), "{}", error);
                return Ok(());
            },
        };
        let block = block.verify(1).unwrap();
        let header = block.header();
        prop_assert_eq!(header_hash(block.header_bytes()), block.hash());
        let mut end = 0;
        for tensor in &header.tensors {
            prop_assert!(tensor.offset >= end && tensor.offset % TENSOR_ALIGN == 0);
            end = tensor.offset + tensor.length;
            prop_assert!(end <= block.data().len() as u64);
            let view = block.tensor(&tensor.name).unwrap();
            prop_assert_eq!(view.bytes.len() as u64, tensor.length);
            let (floats, ints, bytes) = (view.f32(), view.i8(), view.u8());
            prop_assert_eq!(floats.is_ok(), tensor.dtype == DType::F32);
            prop_assert_eq!(ints.is_ok(), tensor.dtype == DType::Int8);
            prop_assert_eq!(bytes.is_ok(), tensor.dtype == DType::U8);
            let slice = block.tensor_slice::<u8>(&tensor.name, tensor.dtype, tensor.layout, &tensor.shape);
            prop_assert_eq!(slice.map_or(0, |slice| slice.len() as u64), if tensor.dtype.size() == 1 { tensor.length } else { 0 });
        }
        prop_assert_eq!(end, block.data().len() as u64);
        let _ = block.check_padding();
    }

    #[test]
    fn garbage_files_never_panic(bytes: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        prop_assert!(Block::open(&written(folder.path(), &bytes)).is_err());
    }
}
