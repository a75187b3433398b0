//! Random values of any type that the metadata knows, as bytes: most of them make sense where they are asked for.

use super::{known::Known, not_called::is_left_out};
use crate::{chain::register_worker, metadata::OURS};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, TENSOR_ALIGN},
    ids::TileRoot,
    pact::Parameter,
};
use blyan_runtime::{constants::currency::BLY, Pact, RuntimeCall};
use codec::{Compact, Decode, Encode};
use fastrand::Rng;
use frame_metadata::v16::RuntimeMetadataV16;
use polkadot_sdk::*;
use scale_info::{form::PortableForm, Field, TypeDef, TypeDefPrimitive};
use sp_keyring::Sr25519Keyring;

/// Calls in calls in calls: not more than this.
const MAX_NESTING: u32 = 3;
/// Types in types: deeper ones are as small as they can be.
const MAX_DEPTH: u32 = 24;

/// A call of a pallet.
#[derive(Clone, Debug)]
pub(crate) struct Callable {
    /// Index of the pallet.
    pub(crate) pallet_index: u8,
    /// The pallet's name.
    pub(crate) pallet: String,
    /// Index of the call.
    pub(crate) index: u8,
    /// The call's name.
    pub(crate) name: String,
    arguments: Vec<Field<PortableForm>>,
}

/// Makes values of the runtime's types.
pub(crate) struct Values {
    metadata: RuntimeMetadataV16,
    /// Every call that can be made here.
    pub(crate) calls: Vec<Callable>,
}

impl Values {
    pub(crate) fn new() -> Self {
        let metadata = crate::metadata::latest();
        let calls_of = |pallet: &frame_metadata::v16::PalletMetadata<PortableForm>| {
            let TypeDef::Variant(calls) = &metadata.types.resolve(pallet.calls.as_ref()?.ty.id)?.type_def else {
                return None;
            };
            let callable = |call: &scale_info::Variant<PortableForm>| Callable {
                pallet_index: pallet.index,
                pallet: pallet.name.clone(),
                index: call.index,
                name: call.name.clone(),
                arguments: call.fields.clone(),
            };
            Some(calls.variants.iter().map(callable).collect::<Vec<_>>())
        };
        let calls = metadata.pallets.iter().filter_map(calls_of).flatten();
        let calls = calls.filter(|call| !is_left_out(&call.pallet, &call.name)).collect();
        Self { metadata, calls }
    }

    /// Any call: half of the time one of a pallet of ours.
    pub(crate) fn any(&self, rng: &mut Rng) -> &Callable {
        loop {
            let call = rng.choice(&self.calls).unwrap();
            if rng.bool() || OURS.contains(&call.pallet.as_str()) {
                return call;
            }
        }
    }

    /// A call with random arguments, as bytes that most often decode as it.
    pub(crate) fn call_of(&self, call: &Callable, known: &Known, rng: &mut Rng) -> Vec<u8> {
        Maker { values: self, known, rng, nesting: 0, depth: 0 }.call(call)
    }
}

/// Makes one value.
struct Maker<'a> {
    values: &'a Values,
    known: &'a Known,
    rng: &'a mut Rng,
    /// In how many calls this one is.
    nesting: u32,
    /// In how many types this one is.
    depth: u32,
}

impl Maker<'_> {
    fn call(&mut self, call: &Callable) -> Vec<u8> {
        let mut bytes = vec![call.pallet_index, call.index];
        for argument in &call.arguments {
            self.argument(call, argument, &mut bytes);
        }
        bytes
    }

    /// Arguments whose type does not say what they are.
    fn argument(&mut self, call: &Callable, argument: &Field<PortableForm>, out: &mut Vec<u8>) {
        match (call.pallet.as_str(), call.name.as_str(), argument.name.as_deref()) {
            ("Experts", "register", Some("header")) if self.rng.u8(..) > 30 => self.header().encode().encode_to(out),
            ("Preimage", "note_preimage", _) => self.nested_call().encode_to(out),
            _ => self.value(argument.ty.id, out),
        }
    }

    fn nested_call(&mut self) -> Vec<u8> {
        if self.nesting >= MAX_NESTING {
            return RuntimeCall::from(frame_system::Call::remark { remark: vec![] }).encode();
        }
        self.nesting += 1;
        let call = self.values.any(self.rng);
        let bytes = self.call(call);
        self.nesting -= 1;
        bytes
    }

    fn value(&mut self, id: u32, out: &mut Vec<u8>) {
        let values = self.values;
        let ty = values.metadata.types.resolve(id).unwrap();
        if self.known_value(ty, out) {
            return;
        }
        self.depth += 1;
        let small = self.depth > MAX_DEPTH;
        match &ty.type_def {
            TypeDef::Composite(composite) => composite.fields.iter().for_each(|field| self.value(field.ty.id, out)),
            TypeDef::Variant(variants) => {
                let chosen = if small { variants.variants.first() } else { self.rng.choice(&variants.variants) };
                // Of a type without values there is none: the bytes will not decode.
                if let Some(variant) = chosen {
                    out.push(variant.index);
                    variant.fields.iter().for_each(|field| self.value(field.ty.id, out));
                }
            },
            TypeDef::Sequence(sequence) => {
                let is_bytes = self.width(sequence.type_param.id) == Some(1);
                let len = match self.rng.u8(..10) {
                    _ if small => 0,
                    0..2 => 0,
                    2..9 if is_bytes => self.rng.u32(..70),
                    9 if is_bytes => self.rng.u32(..2_000),
                    2..5 => 1,
                    _ => self.rng.u32(1..6),
                };
                Compact(len).encode_to(out);
                (0..len).for_each(|_| self.value(sequence.type_param.id, out));
            },
            TypeDef::Array(array) => {
                if array.len == 32 && self.width(array.type_param.id) == Some(1) && self.rng.u8(..10) > 1 {
                    out.extend(self.rng.choice(&self.known.hashes).unwrap());
                } else {
                    (0..array.len).for_each(|_| self.value(array.type_param.id, out));
                }
            },
            TypeDef::Tuple(tuple) => tuple.fields.iter().for_each(|field| self.value(field.id, out)),
            TypeDef::Primitive(primitive) => self.primitive(primitive, out),
            TypeDef::Compact(compact) => {
                // Of a width, or a type that is one: none, of `()`.
                let width = self.width(compact.type_param.id).unwrap_or(0);
                Compact(self.number(width)).encode_to(out);
            },
            TypeDef::BitSequence(_) => Compact(0u32).encode_to(out),
        }
        self.depth -= 1;
    }

    /// Values that a type's name asks for. Says whether there was one.
    fn known_value(&mut self, ty: &scale_info::Type<PortableForm>, out: &mut Vec<u8>) -> bool {
        let name = ty.path.segments.last().map_or("", String::as_str);
        // Now and then something else than what is expected.
        if name != "RuntimeCall" && self.rng.u8(..) < 13 {
            return false;
        }
        match name {
            "RuntimeCall" => out.extend(self.nested_call()),
            "AccountId32" => self.rng.choice(&self.known.accounts).unwrap().encode_to(out),
            "MultiAddress" => {
                out.push(0);
                self.rng.choice(&self.known.accounts).unwrap().encode_to(out);
            },
            "H256" => out.extend(self.rng.choice(&self.known.hashes).unwrap()),
            "Ppm" => self.rng.u32(..=1_000_000).encode_to(out),
            "Perbill" => self.rng.u32(..=1_000_000_000).encode_to(out),
            "Percent" => self.rng.u8(..=100).encode_to(out),
            "Parameter" => self.parameter().encode_to(out),
            "ModelSpec" => self.rng.choice(&self.known.specs).unwrap().encode_to(out),
            "WorkerInfo" => {
                let pallet_blyan_workers::Call::register { info, .. } =
                    register_worker(Sr25519Keyring::Alice, self.rng.u8(..8))
                else {
                    return false;
                };
                info.encode_to(out);
            },
            // A call that is scheduled or proposed: what it is, or a preimage of it.
            "Bounded" => match self.rng.choice(&self.known.preimages) {
                Some((hash, len)) if self.rng.bool() => (2u8, hash, len).encode_to(out),
                _ => {
                    let call = self.nested_call();
                    if call.len() > 128 {
                        return false;
                    }
                    (1u8, call).encode_to(out);
                },
            },
            _ => return false,
        }
        true
    }

    /// A parameter of the Pact within its bounds, near to what it is or anywhere.
    fn parameter(&mut self) -> Parameter {
        let entries = Pact::entries();
        let entry = self.rng.choice(&entries).unwrap();
        let (min, max) = (entry.bounds.min, entry.bounds.max);
        let value = match self.rng.u8(..6) {
            0 => min,
            1 => max,
            2 => entry.value.saturating_add(1).min(max),
            3 => (entry.value / 2).max(min),
            4 => entry.value.saturating_mul(2).clamp(min, max),
            _ => self.rng.u128(min..=max),
        };
        Parameter::parse(&entry.name, value).unwrap()
    }

    /// A header of a block: the master form of an expert, or the form that is served, of the tiny model's shape.
    fn header(&mut self) -> BlockHeader {
        let served = self.rng.bool();
        let matrices = [("gate", [128u32, 64]), ("up", [128, 64]), ("down", [64, 128])];
        let mut tensors = Vec::new();
        let mut end = 0u64;
        let mut push = |name: String, dtype, layout, shape: Vec<u32>| {
            let offset = end.next_multiple_of(TENSOR_ALIGN);
            let length = TensorInfo::bytes(dtype, layout, &shape).unwrap();
            end = offset + length;
            tensors.push(TensorInfo { name, dtype, layout, shape, offset, length });
        };
        for (name, shape) in matrices {
            if served {
                push(name.into(), DType::Int8, Layout::Rows16K4, shape.to_vec());
                push(format!("{name}.scale"), DType::F32, Layout::RowMajor, vec![shape[0]]);
            } else {
                push(name.into(), DType::F32, Layout::RowMajor, shape.to_vec());
            }
        }
        BlockHeader {
            payload: PayloadType::TensorBlock,
            kind: BlockKind::Expert,
            form: if served { Form::Serving } else { Form::Master },
            quantisation: if served { Quantisation::PerChannel } else { Quantisation::None },
            arch: String::new(),
            engine: Vec::new(),
            tensors,
            data_len: end,
            root: TileRoot([self.rng.u8(..6); 32]),
        }
    }

    /// Bytes of a number, or of what is nothing but a number; `None` for everything else.
    fn width(&self, id: u32) -> Option<u32> {
        use TypeDefPrimitive::*;
        match &self.values.metadata.types.resolve(id).unwrap().type_def {
            TypeDef::Primitive(primitive) => match primitive {
                U8 => Some(1),
                U16 => Some(2),
                U32 => Some(4),
                U64 => Some(8),
                U128 => Some(16),
                _ => None,
            },
            TypeDef::Composite(composite) => match composite.fields.as_slice() {
                [field] => self.width(field.ty.id),
                _ => None,
            },
            _ => None,
        }
    }

    fn primitive(&mut self, primitive: &TypeDefPrimitive, out: &mut Vec<u8>) {
        use TypeDefPrimitive::*;
        let width = match primitive {
            Bool => return self.rng.bool().encode_to(out),
            Char => return u32::from(self.rng.alphanumeric()).encode_to(out),
            Str => {
                let len = self.rng.usize(..40);
                let text: String = (0..len).map(|_| self.rng.alphanumeric()).collect();
                return text.encode_to(out);
            },
            U8 => 1,
            U16 | I16 => 2,
            U32 | I32 => 4,
            U64 | I64 => 8,
            U128 | I128 => 16,
            I8 => 1,
            U256 | I256 => 32,
        };
        let bytes = self.number(width).to_le_bytes();
        out.extend((0..width as usize).map(|at| bytes.get(at).copied().unwrap_or(0)));
    }

    /// A number of so many bytes: one that means something, or lies at an edge, or any.
    fn number(&mut self, width: u32) -> u128 {
        let max = match width {
            0 => return 0,
            16.. => u128::MAX,
            _ => (1 << (8 * width)) - 1,
        };
        let number = match self.rng.u8(..20) {
            0 => 0,
            1 => 1,
            2 => max,
            3 => max / 2,
            4 => self.rng.u128(..=max),
            5..7 => self.rng.u128(..12),
            7..9 => u128::from(self.known.block) + self.rng.u128(..40),
            _ if width == 16 => match self.rng.u8(..4) {
                0 => self.rng.u128(..30) * BLY,
                1 => self.rng.u128(..30 * BLY),
                _ => self.rng.u128(..200_000) * BLY,
            },
            _ if width >= 4 => *self.rng.choice(&self.known.numbers).unwrap(),
            _ => self.rng.u128(..12),
        };
        number & max
    }
}

/// Flips some of the bytes, or cuts some off.
pub(crate) fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..bytes.len());
        bytes[at] = match rng.u8(..3) {
            0 => rng.u8(..),
            1 => bytes[at] ^ (1 << rng.u8(..8)),
            _ => bytes[at].wrapping_add(1),
        };
    }
    if rng.u8(..8) == 0 {
        bytes.truncate(rng.usize(..bytes.len()));
    }
}

/// The call that bytes are, if they are one and nothing follows it.
pub(crate) fn decode(bytes: &[u8]) -> Option<RuntimeCall> {
    let mut rest = bytes;
    RuntimeCall::decode(&mut rest).ok().filter(|_| rest.is_empty())
}
