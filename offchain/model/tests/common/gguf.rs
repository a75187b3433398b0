//! A GGUF writer.

use std::io::Write;

pub(crate) const U32: u32 = 4;
pub(crate) const I32: u32 = 5;
pub(crate) const F32: u32 = 6;
pub(crate) const STRING: u32 = 8;
pub(crate) const ARRAY: u32 = 9;

/// A file in the making: entries and tensors in order.
#[derive(Clone, Default)]
pub(crate) struct GgufFile {
    pub(crate) entries: Vec<(String, Vec<u8>)>,
    pub(crate) tensors: Vec<Tensor>,
}

/// Shape innermost first; values in the type's own bytes.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) ty: u32,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A typed value: type number, bytes.
pub(crate) fn typed(ty: u32, bytes: &[u8]) -> Vec<u8> {
    [&ty.to_le_bytes()[..], bytes].concat()
}

impl GgufFile {
    pub(crate) fn entry(mut self, key: &str, value: Vec<u8>) -> Self {
        self.entries.retain(|(known, _)| known != key);
        self.entries.push((key.into(), value));
        self
    }

    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        self.entry(key, typed(STRING, &string(text)))
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.entry(key, typed(U32, &value.to_le_bytes()))
    }

    pub(crate) fn f32(self, key: &str, value: f32) -> Self {
        self.entry(key, typed(F32, &value.to_le_bytes()))
    }

    pub(crate) fn strings<S: AsRef<str>>(self, key: &str, items: &[S]) -> Self {
        let bytes: Vec<u8> = items.iter().flat_map(|item| string(item.as_ref())).collect();
        self.array(key, STRING, items.len() as u64, &bytes)
    }

    pub(crate) fn i32s(self, key: &str, items: &[i32]) -> Self {
        let bytes: Vec<u8> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
        self.array(key, I32, items.len() as u64, &bytes)
    }

    pub(crate) fn array(self, key: &str, ty: u32, count: u64, bytes: &[u8]) -> Self {
        self.entry(key, typed(ARRAY, &[&ty.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat()))
    }

    /// An f32 tensor; `shape` outermost first, as everywhere outside the format.
    pub(crate) fn tensor(mut self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let shape = shape.iter().rev().map(|n| *n as u64).collect();
        self.tensors.push(Tensor { name: name.into(), shape, ty: 0, data });
        self
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(b"GGUF");
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            out.extend(string(key));
            out.extend(value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            out.extend(string(&tensor.name));
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            for n in &tensor.shape {
                out.extend(n.to_le_bytes());
            }
            out.extend(tensor.ty.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset = (offset + tensor.data.len() as u64).next_multiple_of(32);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(&tensor.data);
        }
        out
    }

    /// The file, written to a temporary place.
    pub(crate) fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&self.bytes()).unwrap();
        file
    }

    /// Metadata of a byte-level tokenizer with the 256 bytes, one merge and `<s>`, `</s>`.
    pub(crate) fn tokenizer(self) -> Self {
        let mut tokens: Vec<String> = alphabet().into_iter().map(String::from).collect();
        tokens.extend(["ab".into(), "<s>".into(), "</s>".into()]);
        let mut types = vec![1; 257];
        types.extend([3, 3]);
        self.text("tokenizer.ggml.model", "gpt2")
            .text("tokenizer.ggml.pre", "smollm")
            .strings("tokenizer.ggml.tokens", &tokens)
            .i32s("tokenizer.ggml.token_type", &types)
            .strings("tokenizer.ggml.merges", &["a b"])
            .u32("tokenizer.ggml.bos_token_id", 257)
            .u32("tokenizer.ggml.eos_token_id", 258)
    }
}

/// The byte-level alphabet, in order of bytes.
pub(crate) fn alphabet() -> Vec<char> {
    let plain = |b: u32| (0x21..=0x7e).contains(&b) || (0xa1..=0xac).contains(&b) || (0xae..=0xff).contains(&b);
    let mut next = 0x100;
    (0..256u32)
        .map(|b| {
            let code = if plain(b) {
                b
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).unwrap()
        })
        .collect()
}
