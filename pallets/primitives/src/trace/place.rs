//! Where the tensors of a model lie: in which of its blocks, and under what name.

use super::Tensor;
use crate::{
    block::{BlockHeader, DType, Layout, TensorInfo},
    spec::Dimensions,
};
use alloc::{format, string::String};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A block of a model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum Part {
    /// Embeddings, attention and norms.
    #[codec(index = 0)]
    Trunk,
    /// The routers of all layers.
    #[codec(index = 1)]
    Router,
    /// The block in a slot.
    #[codec(index = 2)]
    Expert {
        /// Layer, from 0.
        layer: u16,
        /// Expert within the layer, from 0.
        index: u16,
    },
}

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The block.
    pub part: Part,
    /// Its name there. The scales of a matrix are called the same with `.scale` behind.
    pub name: String,
}

impl Place {
    /// The name of a matrix's scales.
    pub fn scales(&self) -> String {
        format!("{}.scale", self.name)
    }
}

impl Tensor {
    /// Where it lies.
    pub fn place(self) -> Place {
        let trunk = |name: String| Place { part: Part::Trunk, name };
        let layer = |layer: u16, name: &str| trunk(format!("{layer}.{name}"));
        let expert = |layer, index, name: &str| Place { part: Part::Expert { layer, index }, name: name.into() };
        match self {
            Self::Embed => trunk("embed".into()),
            Self::Head => trunk("head".into()),
            Self::FinalNorm => trunk("norm".into()),
            Self::AttnNorm(of) => layer(of, "attn_norm"),
            Self::FfnNorm(of) => layer(of, "ffn_norm"),
            Self::QueryNorm(of) => layer(of, "q_norm"),
            Self::KeyNorm(of) => layer(of, "k_norm"),
            Self::Query(of) => layer(of, "q"),
            Self::Key(of) => layer(of, "k"),
            Self::Value(of) => layer(of, "v"),
            Self::Output(of) => layer(of, "o"),
            Self::Router(of) => Place { part: Part::Router, name: format!("{of}.router") },
            Self::Gate(of, index) => expert(of, index, "gate"),
            Self::Up(of, index) => expert(of, index, "up"),
            Self::Down(of, index) => expert(of, index, "down"),
        }
    }

    /// Rows and columns of a matrix; of a vector its elements, and nothing. Their product is the number of elements.
    pub fn shape(self, d: &Dimensions) -> (u32, Option<u32>) {
        let head_dim = u32::from(d.head_dim);
        let (queries, keys) = (u32::from(d.heads) * head_dim, u32::from(d.kv_heads) * head_dim);
        match self {
            Self::Embed | Self::Head => (d.vocab, Some(d.hidden)),
            Self::FinalNorm | Self::AttnNorm(_) | Self::FfnNorm(_) => (d.hidden, None),
            Self::QueryNorm(_) | Self::KeyNorm(_) => (head_dim, None),
            Self::Query(_) => (queries, Some(d.hidden)),
            Self::Key(_) | Self::Value(_) => (keys, Some(d.hidden)),
            Self::Output(_) => (d.hidden, Some(queries)),
            Self::Router(_) => (d.experts.into(), Some(d.hidden)),
            Self::Gate(..) | Self::Up(..) => (d.ffn, Some(d.hidden)),
            Self::Down(..) => (d.hidden, Some(d.ffn)),
        }
    }

    /// Whether its elements are signed bytes, each row with a scale; they are floats otherwise.
    pub fn is_quantised(self) -> bool {
        use Tensor as T;
        matches!(
            self,
            T::Embed
                | T::Head
                | T::Query(_)
                | T::Key(_)
                | T::Value(_)
                | T::Output(_)
                | T::Gate(..)
                | T::Up(..)
                | T::Down(..)
        )
    }

    /// The tensor in the header of its block, and its scales where it is quantised; `None` when the block has none of this
    /// name, or of another type, layout or shape.
    pub fn find<'a>(self, d: &Dimensions, header: &'a BlockHeader) -> Option<(&'a TensorInfo, Option<&'a TensorInfo>)> {
        let place = self.place();
        let (rows, columns) = self.shape(d);
        let is = |info: &TensorInfo, dtype, layout, shape: &[u32]| {
            (info.dtype, info.layout, info.shape.as_slice()) == (dtype, layout, shape)
        };
        let info = header.tensor(&place.name)?;
        let shape: &[u32] = &columns.map_or([rows, 0], |columns| [rows, columns]);
        let shape = shape.get(..if columns.is_some() { 2 } else { 1 })?;
        if !self.is_quantised() {
            return is(info, DType::F32, Layout::RowMajor, shape).then_some((info, None));
        }
        let scales = header.tensor(&place.scales())?;
        let fits = is(info, DType::Int8, Layout::Rows16K4, shape) && is(scales, DType::F32, Layout::RowMajor, &[rows]);
        fits.then_some((info, Some(scales)))
    }
}
