//! The GGUF reader: what it reads, and what it does with files that lie.

mod common;

use blyan_model::gguf::{Array, GgmlType, Gguf, GgufError, Value, dequantise};
use common::gguf::{ARRAY, GgufFile, STRING, Tensor, U32, string, typed};
use proptest::prelude::*;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// Counts what the current thread holds.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get() + layout.size();
        HELD.set(held);
        PEAK.set(PEAK.get().max(held));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Parses, walks everything that was parsed, and checks that no more was held than the file justifies.
fn parse_bounded(bytes: &[u8]) -> Result<(), GgufError> {
    let before = HELD.get();
    PEAK.set(before);
    let result = Gguf::parse(bytes).and_then(|file| {
        for key in file.keys() {
            walk(file.get::<Any<'_>>(key)?.map(|any| any.0))?;
        }
        for (_, tensor) in file.tensors() {
            assert!(file.row_data(tensor, 0..tensor.rows()).is_some());
        }
        Ok(())
    });
    let held = PEAK.get() - before;
    assert!(held <= 64 * bytes.len() + 4096, "{held} bytes for a file of {}", bytes.len());
    result
}

struct Any<'a>(Value<'a>);

impl<'a> blyan_model::gguf::FromValue<'a> for Any<'a> {
    const EXPECTED: &'static str = "anything";

    fn from_value(value: Value<'a>) -> Result<Self, String> {
        Ok(Self(value))
    }
}

fn walk(value: Option<Value<'_>>) -> Result<(), GgufError> {
    if let Some(Value::Array(array)) = value {
        for item in array.values() {
            walk(Some(item?))?;
        }
    }
    Ok(())
}

fn sample() -> GgufFile {
    let nested = [&STRING.to_le_bytes()[..], &1u64.to_le_bytes(), &string("deep")].concat();
    GgufFile::default()
        .text("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .f32("llama.eps", 1e-5)
        .strings("names", &["a", "é", ""])
        .i32s("numbers", &[1, -2, 3])
        .array("nested", ARRAY, 1, &nested)
        .entry("flag", typed(7, &[1]))
        .tensor("one", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        .tensor("two", &[5], &[9.0; 5])
}

#[test]
fn values_and_tensors_are_read() {
    let bytes = sample().bytes();
    let file = Gguf::parse(&bytes[..]).unwrap();
    assert_eq!(file.version(), 3);
    assert_eq!(file.require::<&str>("general.architecture").unwrap(), "llama");
    assert_eq!(file.require::<u16>("llama.block_count").unwrap(), 2);
    assert_eq!(file.require::<f64>("llama.eps").unwrap() as f32, 1e-5);
    assert!(file.require::<bool>("flag").unwrap());
    assert_eq!(file.get::<u32>("nothing").unwrap(), None);
    let names: Array<'_> = file.require("names").unwrap();
    assert_eq!(names.items::<&str>("names").collect::<Result<Vec<_>, _>>().unwrap(), ["a", "é", ""]);
    let numbers: Array<'_> = file.require("numbers").unwrap();
    assert_eq!(numbers.items::<i64>("numbers").collect::<Result<Vec<_>, _>>().unwrap(), [1, -2, 3]);
    let one = file.tensor("one").unwrap();
    assert_eq!((one.shape.as_slice(), one.rows(), one.row_len()), (&[2, 3][..], 2, 3));
    let mut row = [0.0; 3];
    dequantise(one.ty, file.row_data(one, 1..2).unwrap(), &mut row).unwrap();
    assert_eq!(row, [3.0, 4.0, 5.0]);
    assert!(file.row_data(one, 1..3).is_none());
}

#[test]
fn wrong_types_are_named() {
    let bytes = sample().bytes();
    let file = Gguf::parse(&bytes[..]).unwrap();
    let error = file.require::<u32>("general.architecture").unwrap_err();
    assert_eq!(
        error.to_string(),
        "metadata key 'general.architecture' is a string of 5 bytes, where an integer from 0 to 2^32 - 1 is needed"
    );
    assert!(matches!(file.require::<u32>("absent"), Err(GgufError::MissingKey(key)) if key == "absent"));
    let numbers: Array<'_> = file.require("numbers").unwrap();
    assert!(matches!(numbers.items::<u32>("numbers").nth(1), Some(Err(GgufError::WrongType { .. }))));
}

/// The sample with its bytes changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> GgufError {
    let mut bytes = sample().bytes();
    change(&mut bytes);
    parse_bounded(&bytes).unwrap_err()
}

fn refused(file: &GgufFile) -> GgufError {
    parse_bounded(&file.bytes()).unwrap_err()
}

#[test]
fn headers_that_are_no_gguf_are_refused() {
    assert!(matches!(changed(|b| b[0] = b'g'), GgufError::Magic));
    assert!(matches!(changed(|b| b.truncate(3)), GgufError::Magic));
    assert!(matches!(changed(|b| b[4] = 1), GgufError::Version(1)));
    assert!(matches!(changed(|b| b[4..8].copy_from_slice(&3u32.to_be_bytes())), GgufError::BigEndian));
    assert!(matches!(parse_bounded(&[]), Err(GgufError::Magic)));
}

#[test]
fn counts_beyond_the_file_are_refused() {
    let huge = u64::MAX.to_le_bytes();
    assert!(matches!(changed(|b| b[8..16].copy_from_slice(&huge)), GgufError::TooMany { at: 8, .. }));
    assert!(matches!(changed(|b| b[16..24].copy_from_slice(&huge)), GgufError::TooMany { at: 16, .. }));
    let many = (1u64 << 16).to_le_bytes();
    assert!(matches!(changed(|b| b[8..16].copy_from_slice(&many)), GgufError::Truncated { .. }));
    assert!(matches!(changed(|b| b[16..24].copy_from_slice(&many)), GgufError::Truncated { at: 24, .. }));
    assert!(matches!(changed(|b| b[24..32].copy_from_slice(&huge)), GgufError::TooMany { at: 24, .. }));
    let long = GgufFile::default().array("long", STRING, 1 << 29, &[]);
    assert!(matches!(refused(&long), GgufError::Truncated { what: "the length of an array", .. }));
    let endless = GgufFile::default().array("endless", U32, u64::MAX, &[]);
    assert!(matches!(refused(&endless), GgufError::TooMany { .. }));
    let text = GgufFile::default().entry("text", typed(STRING, &(1u64 << 29).to_le_bytes()));
    assert!(matches!(refused(&text), GgufError::Truncated { what: "a string value", .. }));
}

#[test]
fn bad_metadata_is_refused_by_name() {
    let entry = |value: Vec<u8>| GgufFile::default().entry("key", value);
    assert!(matches!(refused(&entry(typed(13, &[0; 8]))), GgufError::ValueType { found: 13, .. }));
    assert!(matches!(refused(&entry(typed(7, &[2]))), GgufError::Bool { found: 2, .. }));
    let not_utf8 = typed(STRING, &[&1u64.to_le_bytes()[..], &[0xff]].concat());
    assert!(matches!(refused(&entry(not_utf8)), GgufError::Utf8 { what: "a string value", .. }));

    let mut twice = sample();
    twice.entries.push(("flag".into(), typed(7, &[0])));
    assert!(matches!(refused(&twice), GgufError::DuplicateKey(key) if key == "flag"));

    let mut deep = typed(U32, &0u64.to_le_bytes());
    for _ in 0..6 {
        deep = typed(ARRAY, &[&1u64.to_le_bytes()[..], &deep].concat());
    }
    assert!(matches!(refused(&entry(typed(ARRAY, &deep))), GgufError::TooMany { what: "the nesting of arrays", .. }));

    for alignment in [0, 3, 1 << 20] {
        let file = sample().u32("general.alignment", alignment);
        assert!(matches!(refused(&file), GgufError::Alignment(found) if found == alignment));
    }
    let file = sample().text("general.alignment", "wide");
    assert!(matches!(refused(&file), GgufError::WrongType { .. }));
}

#[test]
fn bad_tensors_are_refused_by_name() {
    let with = |change: fn(&mut Tensor)| {
        let mut file = sample();
        change(&mut file.tensors[0]);
        refused(&file)
    };
    assert!(matches!(with(|t| t.ty = 99), GgufError::TensorType { found: 99, .. }));
    // Q4_0 has blocks of 32; a row of 3 has none.
    assert!(matches!(with(|t| t.ty = 2), GgufError::TensorShape { .. }));
    assert!(matches!(with(|t| t.shape = vec![]), GgufError::TensorShape { .. }));
    assert!(matches!(with(|t| t.shape = vec![3, 0]), GgufError::TensorShape { .. }));
    assert!(matches!(with(|t| t.shape = vec![0, 3]), GgufError::TensorShape { .. }));
    assert!(matches!(with(|t| t.shape = vec![u64::MAX; 3]), GgufError::TensorShape { .. }));
    assert!(matches!(with(|t| t.shape = vec![1; 5]), GgufError::TooMany { .. }));
    assert!(matches!(with(|t| t.shape = vec![3, 1 << 40]), GgufError::OutOfFile { .. }));
    assert!(matches!(with(|t| t.name = "two".into()), GgufError::DuplicateTensor(name) if name == "two"));
    assert!(matches!(with(|t| t.name = "x".repeat(300)), GgufError::TooMany { .. }));
    // Longer than its bytes: it reaches into the next tensor.
    assert!(
        matches!(with(|t| t.shape = vec![9]), GgufError::Overlap { first, second } if first == "one" && second == "two")
    );
}

#[test]
fn a_misplaced_tensor_is_refused() {
    let bytes = sample().bytes();
    let name = bytes.windows(3).rposition(|w| w == b"two").unwrap();
    // Behind the name: one dimension, its length, the type, the offset.
    let offset = name + 3 + 4 + 8 + 4;
    let with = |value: u64| changed(|b| b[offset..offset + 8].copy_from_slice(&value.to_le_bytes()));
    assert!(matches!(with(33), GgufError::Misaligned { offset: 33, alignment: 32, .. }));
    assert!(matches!(with(1 << 20), GgufError::OutOfFile { .. }));
    assert!(matches!(with(u64::MAX - 31), GgufError::OutOfFile { .. }));
    assert!(matches!(with(0), GgufError::Overlap { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_file_cut_anywhere_is_refused(at in 0usize..2000) {
        let bytes = sample().tokenizer().bytes();
        let at = at % bytes.len();
        prop_assert!(parse_bounded(&bytes[..at]).is_err());
    }

    #[test]
    fn flipped_bits_never_panic_nor_ask_for_much(flips in proptest::collection::vec((any::<usize>(), 0u8..8), 1..8)) {
        let mut bytes = sample().bytes();
        for (at, bit) in flips {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        let _ = parse_bounded(&bytes);
    }

    #[test]
    fn overwritten_words_never_panic_nor_ask_for_much(at: usize, word in prop_oneof![any::<u64>(), Just(u64::MAX), 0u64..1 << 34]) {
        let mut bytes = sample().bytes();
        let at = at % (bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        let _ = parse_bounded(&bytes);
    }

    #[test]
    fn garbage_behind_a_good_header_never_panics(tensors in 0u64..100, entries in 0u64..100, rest in proptest::collection::vec(any::<u8>(), 0..600)) {
        let bytes = [&b"GGUF"[..], &3u32.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes(), &rest].concat();
        let _ = parse_bounded(&bytes);
    }
}

fn candle_type(ty: GgmlType) -> candle_core::quantized::GgmlDType {
    use candle_core::quantized::GgmlDType as C;
    match ty {
        GgmlType::F32 => C::F32,
        GgmlType::F16 => C::F16,
        GgmlType::Bf16 => C::BF16,
        GgmlType::Q4_0 => C::Q4_0,
        GgmlType::Q4_1 => C::Q4_1,
        GgmlType::Q5_0 => C::Q5_0,
        GgmlType::Q5_1 => C::Q5_1,
        GgmlType::Q8_0 => C::Q8_0,
        GgmlType::Q4K => C::Q4K,
        GgmlType::Q5K => C::Q5K,
        GgmlType::Q6K => C::Q6K,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_type_dequantises_as_candle_does(seed: u64) {
        use candle_core::{Device, quantized::{QStorage, QTensor}};
        let mut numbers = common::Numbers(seed);
        for ty in GgmlType::ALL {
            let (values, blocks) = (1024, 1024 / ty.block_len());
            let bytes: Vec<u8> = (0..blocks * ty.block_bytes()).map(|_| (numbers.next() * 128.0) as i8 as u8).collect();
            let mut ours = vec![0f32; values];
            dequantise(*ty, &bytes, &mut ours).unwrap();
            let storage = QStorage::from_data(bytes.as_slice().into(), &Device::Cpu, candle_type(*ty)).unwrap();
            let theirs = QTensor::new(storage, values).unwrap().dequantize(&Device::Cpu).unwrap().to_vec1::<f32>().unwrap();
            for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                // A NaN's payload has no meaning; an import refuses it anyway.
                prop_assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{} {}: {} {}", ty, i, a, b);
            }
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for ty in GgmlType::ALL {
        let mut out = vec![0.0; ty.block_len()];
        assert!(dequantise(*ty, &vec![0; ty.block_bytes() + 1], &mut out).is_err());
        assert!(dequantise(*ty, &[], &mut out).is_err());
        dequantise(*ty, &[], &mut []).unwrap();
        assert_eq!(GgmlType::from_number(ty.number()), Some(*ty));
    }
    assert!(dequantise(GgmlType::Q4K, &[0; 144], &mut [0.0; 128]).is_err());
}
