//! Reader for GGUF files, versions 2 and 3: the format in which llama.cpp keeps quantised models.
//!
//! A file is not trusted. Every count, length and offset is checked against the bytes that are there before anything is
//! allocated or read, so a reader never holds more than a small multiple of the file's own header, never panics, and says at
//! which byte a file departs from the format. Strings, arrays and tensors stay where they are, in the mapped file; the reader
//! keeps their places.
//!
//! ```text
//! magic "GGUF" │ version u32 │ tensors u64 │ metadata entries u64
//! metadata: key, type u32, value            strings are u64 length + UTF-8, arrays u32 type + u64 count + items
//! tensors:  name, dimensions u32, u64 each (innermost first), type u32, offset u64
//! zeros up to `general.alignment`, then the tensors' data
//! ```

mod cursor;
mod quants;
mod value;

pub use quants::{GgmlType, QuantError, dequantise};
pub use value::{Array, FromValue, Value, ValueType};

use cursor::Cursor;
use memmap2::Mmap;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

/// First bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";
/// Most metadata entries.
pub const MAX_ENTRIES: u64 = 1 << 16;
/// Most tensors.
pub const MAX_TENSORS: u64 = 1 << 18;
/// Longest metadata key, in bytes.
pub const MAX_KEY_LEN: u64 = (1 << 16) - 1;
/// Longest tensor name, in bytes.
pub const MAX_NAME_LEN: u64 = 255;
/// Most dimensions of a tensor.
pub const MAX_DIMS: u32 = 4;
/// Deepest nesting of arrays.
pub const MAX_DEPTH: u32 = 4;
/// Largest alignment of the tensors' data, in bytes.
pub const MAX_ALIGNMENT: u32 = 1 << 16;

const DEFAULT_ALIGNMENT: u32 = 32;
const ALIGNMENT_KEY: &str = "general.alignment";
/// Bytes that the shortest metadata entry takes: an empty key, a type, one byte.
const MIN_ENTRY: u64 = 8 + 4 + 1;
/// Bytes that the shortest tensor entry takes: an empty name, one dimension.
const MIN_TENSOR: u64 = 8 + 4 + 8 + 4 + 8;

/// Why a GGUF file was refused.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file cannot be opened or mapped.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first four bytes are not the format's.
    #[error("not a GGUF file: it does not start with \"GGUF\"")]
    Magic,
    /// A version that this reader does not know.
    #[error("GGUF version {0} is not supported; versions 2 and 3 are")]
    Version(u32),
    /// A version 3 file in big-endian byte order.
    #[error("a big-endian GGUF file is not supported; convert it to little-endian")]
    BigEndian,
    /// The file ends inside something.
    #[error("the file is cut off: {what} at byte {at} needs {need} bytes, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        at: u64,
        /// Bytes it needs.
        need: u64,
        /// Bytes there are.
        left: u64,
    },
    /// A count or length beyond the reader's bound.
    #[error("{what} at byte {at} is {found}, more than the {limit} allowed")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// Where the count stands.
        at: u64,
        /// The count.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// A string that is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    Utf8 {
        /// Which string.
        what: &'static str,
        /// Where its bytes start.
        at: u64,
    },
    /// A type number that the format does not define.
    #[error("value type {found} at byte {at} does not exist")]
    ValueType {
        /// Where the number stands.
        at: u64,
        /// The number.
        found: u32,
    },
    /// A boolean that is neither 0 nor 1.
    #[error("the boolean at byte {at} is {found}")]
    Bool {
        /// Where it stands.
        at: u64,
        /// Its byte.
        found: u8,
    },
    /// Two metadata entries with one key.
    #[error("metadata key '{0}' appears twice")]
    DuplicateKey(String),
    /// Two tensors with one name.
    #[error("tensor '{0}' appears twice")]
    DuplicateTensor(String),
    /// A metadata entry that is needed is not there.
    #[error("metadata key '{0}' is missing")]
    MissingKey(String),
    /// A metadata entry has another type than its meaning needs, or does not fit the range.
    #[error("metadata key '{key}' is {found}, where {expected} is needed")]
    WrongType {
        /// The key.
        key: String,
        /// What is needed.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// `general.alignment` is not a power of two within bounds.
    #[error("general.alignment is {0}; it must be a power of two up to {MAX_ALIGNMENT}")]
    Alignment(u32),
    /// A tensor's type is unknown, or its dequantisation is not implemented.
    #[error("tensor '{name}' has ggml type {found}, which is not supported")]
    TensorType {
        /// The tensor.
        name: String,
        /// The type's number.
        found: u32,
    },
    /// A tensor without dimensions, with a zero, with a row that is no whole number of quantisation blocks, or too large.
    #[error("tensor '{name}' has the impossible shape {shape:?}")]
    TensorShape {
        /// The tensor.
        name: String,
        /// Its shape, innermost first, as the file has it.
        shape: Vec<u64>,
    },
    /// A tensor's offset is not aligned.
    #[error("tensor '{name}' starts at offset {offset}, which is not a multiple of {alignment}")]
    Misaligned {
        /// The tensor.
        name: String,
        /// Its offset in the data.
        offset: u64,
        /// The file's alignment.
        alignment: u32,
    },
    /// A tensor reaches past the end of the file.
    #[error("tensor '{name}' at offset {offset} needs {need} bytes, the file has {left} there")]
    OutOfFile {
        /// The tensor.
        name: String,
        /// Its offset in the data.
        offset: u64,
        /// Bytes it needs.
        need: u64,
        /// Bytes there are.
        left: u64,
    },
    /// Two tensors share bytes.
    #[error("tensors '{first}' and '{second}' overlap")]
    Overlap {
        /// The one that starts first.
        first: String,
        /// The one that starts inside it.
        second: String,
    },
}

/// A tensor's place, type and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Element type.
    pub ty: GgmlType,
    /// Shape, outermost dimension first (the file has it the other way round).
    pub shape: Vec<u64>,
    /// Bytes in the file.
    range: Range<usize>,
}

impl TensorInfo {
    /// Length of the innermost dimension: elements of a row.
    pub fn row_len(&self) -> usize {
        self.shape.last().map_or(0, |n| *n as usize)
    }

    /// Rows: the product of all dimensions but the innermost.
    pub fn rows(&self) -> usize {
        self.range.len().checked_div(self.row_bytes()).unwrap_or(0)
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.row_len() / self.ty.block_len() * self.ty.block_bytes()
    }
}

/// A parsed file over `B`, its bytes.
#[derive(Debug)]
pub struct Gguf<B> {
    bytes: B,
    version: u32,
    metadata: BTreeMap<String, Entry>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// A metadata value's type, and where it starts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    ty: ValueType,
    at: usize,
}

impl Gguf<Mmap> {
    /// Maps and parses the file at `path`.
    ///
    /// The file must not be changed while it is mapped: its pages are read when they are needed.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |source| GgufError::Io { path: path.to_owned(), source };
        Self::parse(crate::mapped::map(&File::open(path).map_err(io)?).map_err(io)?)
    }
}

impl<B: AsRef<[u8]>> Gguf<B> {
    /// Parses a whole file.
    pub fn parse(bytes: B) -> Result<Self, GgufError> {
        let file = bytes.as_ref();
        let mut cursor = Cursor::new(file, 0);
        if cursor.take(4, "the magic number").ok() != Some(&MAGIC[..]) {
            return Err(GgufError::Magic);
        }
        let version = match cursor.u32("the version")? {
            version @ (2 | 3) => version,
            swapped if matches!(swapped.swap_bytes(), 2 | 3) => return Err(GgufError::BigEndian),
            other => return Err(GgufError::Version(other)),
        };
        let tensor_count = cursor.count("the number of tensors", MAX_TENSORS, 0)?;
        let entry_count = cursor.count("the number of metadata entries", MAX_ENTRIES, MIN_ENTRY)?;
        let metadata = read_metadata(&mut cursor, entry_count)?;

        let alignment = match metadata.get(ALIGNMENT_KEY) {
            Some(entry) => {
                u32::from_value(entry.value(file)?).map_err(|found| wrong_type(ALIGNMENT_KEY, u32::EXPECTED, found))?
            },
            None => DEFAULT_ALIGNMENT,
        };
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(GgufError::Alignment(alignment));
        }
        let tensors = read_tensors(&mut cursor, tensor_count, alignment)?;
        Ok(Self { version, metadata, tensors, bytes })
    }

    /// Version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All metadata keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }

    /// The metadata value under `key`, read as `T`; `None` where there is no such key.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(entry) = self.metadata.get(key) else { return Ok(None) };
        let value = entry.value(self.bytes.as_ref())?;
        T::from_value(value).map(Some).map_err(|found| wrong_type(key, T::EXPECTED, found))
    }

    /// As [`Self::get`], where the key has to be there.
    pub fn require<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.get(key)?.ok_or_else(|| GgufError::MissingKey(key.to_owned()))
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The bytes of rows `rows` of a tensor of this file; `None` when it has fewer rows.
    pub fn row_data(&self, tensor: &TensorInfo, rows: Range<usize>) -> Option<&[u8]> {
        let row = tensor.row_bytes();
        let data = self.bytes.as_ref().get(tensor.range.clone())?;
        data.get(rows.start.checked_mul(row)?..rows.end.checked_mul(row)?)
    }
}

impl Entry {
    fn value(self, file: &[u8]) -> Result<Value<'_>, GgufError> {
        Value::read(&mut Cursor::new(file, self.at), self.ty, 0)
    }
}

fn wrong_type(key: &str, expected: &'static str, found: String) -> GgufError {
    GgufError::WrongType { key: key.to_owned(), expected, found }
}

fn read_metadata(cursor: &mut Cursor<'_>, count: u64) -> Result<BTreeMap<String, Entry>, GgufError> {
    let mut metadata = BTreeMap::new();
    for _ in 0..count {
        let key = cursor.string("a metadata key", MAX_KEY_LEN)?.to_owned();
        let ty = ValueType::read(cursor)?;
        let entry = Entry { ty, at: cursor.at() };
        // Reading it here checks it; it is read again, from its place, when someone asks for it.
        Value::read(cursor, ty, 0)?;
        if metadata.contains_key(&key) {
            return Err(GgufError::DuplicateKey(key));
        }
        metadata.insert(key, entry);
    }
    Ok(metadata)
}

/// What the file says of a tensor, before its place is checked.
struct Described {
    name: String,
    ty: GgmlType,
    shape: Vec<u64>,
    offset: u64,
    length: u64,
}

fn read_tensors(
    cursor: &mut Cursor<'_>,
    count: u64,
    alignment: u32,
) -> Result<BTreeMap<String, TensorInfo>, GgufError> {
    cursor.expect(count.saturating_mul(MIN_TENSOR), "the list of tensors")?;
    let mut described = Vec::new();
    for _ in 0..count {
        described.push(read_tensor(cursor, alignment)?);
    }
    // The data starts at the next aligned byte; a file without tensors may end before it.
    let start = (cursor.at() as u64).next_multiple_of(u64::from(alignment));
    let data_len = (cursor.len() as u64).saturating_sub(start);
    for tensor in &described {
        let left = data_len.saturating_sub(tensor.offset);
        if tensor.length > left {
            let (name, offset, need) = (tensor.name.clone(), tensor.offset, tensor.length);
            return Err(GgufError::OutOfFile { name, offset, need, left });
        }
    }
    described.sort_by(|a, b| (a.offset, &a.name).cmp(&(b.offset, &b.name)));
    for pair in described.windows(2) {
        if let [a, b] = pair
            && a.offset + a.length > b.offset
        {
            return Err(GgufError::Overlap { first: a.name.clone(), second: b.name.clone() });
        }
    }
    let mut tensors = BTreeMap::new();
    for Described { name, ty, shape, offset, length } in described {
        let from = (start + offset) as usize;
        let info = TensorInfo { ty, shape, range: from..from + length as usize };
        if tensors.contains_key(&name) {
            return Err(GgufError::DuplicateTensor(name));
        }
        tensors.insert(name, info);
    }
    Ok(tensors)
}

fn read_tensor(cursor: &mut Cursor<'_>, alignment: u32) -> Result<Described, GgufError> {
    let name = cursor.string("a tensor's name", MAX_NAME_LEN)?.to_owned();
    let at = cursor.at() as u64;
    let dims = cursor.u32("a tensor's number of dimensions")?;
    if dims > MAX_DIMS {
        let (found, limit) = (u64::from(dims), u64::from(MAX_DIMS));
        return Err(GgufError::TooMany { what: "a tensor's number of dimensions", at, found, limit });
    }
    let mut shape = Vec::with_capacity(dims as usize);
    for _ in 0..dims {
        shape.push(cursor.u64("a tensor's dimension")?);
    }
    let number = cursor.u32("a tensor's type")?;
    let Some(ty) = GgmlType::from_number(number) else { return Err(GgufError::TensorType { name, found: number }) };
    let offset = cursor.u64("a tensor's offset")?;
    if offset % u64::from(alignment) != 0 {
        return Err(GgufError::Misaligned { name, offset, alignment });
    }
    let Some(length) = tensor_bytes(ty, &shape) else { return Err(GgufError::TensorShape { name, shape }) };
    shape.reverse();
    Ok(Described { name, ty, shape, offset, length })
}

/// Bytes of a tensor with this shape, innermost dimension first; `None` where the shape makes no sense.
fn tensor_bytes(ty: GgmlType, shape: &[u64]) -> Option<u64> {
    let (row, outer) = shape.split_first()?;
    let (block_len, block_bytes) = (ty.block_len() as u64, ty.block_bytes() as u64);
    if *row == 0 || row % block_len != 0 {
        return None;
    }
    let row_bytes = (row / block_len).checked_mul(block_bytes)?;
    outer.iter().try_fold(row_bytes, |bytes, n| bytes.checked_mul(*n).filter(|bytes| *bytes > 0))
}
