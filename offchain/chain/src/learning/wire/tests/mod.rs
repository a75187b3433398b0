//! What the chain reads and writes, byte by byte.

mod calls;
mod events;
mod state;

use blyan_primitives::{
    block::{BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo},
    ids::{ContentHash, SlotId, SpecId, TileRoot},
    learning::{Codec, DeltaHeader, ItemRange},
    pol::{Candidate, CandidateSums, DeltaFinding, DeltaSums, Finding, Paired, Reveal},
};
use codec::Encode;

/// Header of a block of items, as the chain takes it.
pub(in crate::learning) fn block_header() -> Vec<u8> {
    let tokens = TensorInfo {
        name: "tokens".into(),
        dtype: DType::U32,
        layout: Layout::RowMajor,
        shape: vec![4, 129],
        offset: 0,
        length: 4 * 129 * 4,
    };
    let header = BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Items,
        form: Form::Master,
        quantisation: Quantisation::None,
        arch: String::new(),
        engine: vec![],
        data_len: tokens.length,
        tensors: vec![tokens],
        root: TileRoot([6; 32]),
    };
    header.encode()
}

fn block(number: u8) -> ContentHash {
    ContentHash([number; 32])
}

fn slot() -> SlotId {
    SlotId { lineage: SpecId([11; 32]), layer: 1, index: 2 }
}

fn data() -> ItemRange {
    ItemRange { block: block(5), first: 7, count: 8 }
}

fn header() -> DeltaHeader {
    DeltaHeader {
        base: block(1),
        block: block(2),
        serving: block(3),
        size: 70_000,
        codec: Codec::Sparse,
        manifest: [4; 32],
        data: data(),
    }
}

fn reveal() -> Reveal {
    let paired = |gain| Paired { gain, squares: u128::MAX };
    let sums = DeltaSums { trial: paired(-5), general: paired(6), own: paired(7) };
    let finding = |finding| DeltaFinding { finding, sums };
    Reveal {
        scores: [9; 32],
        deltas: vec![finding(Finding::Sound), finding(Finding::Copy(0))].try_into().unwrap(),
        candidate: Some(Candidate {
            master: block(12),
            serving: block(13),
            sums: CandidateSums { last: paired(8), general: paired(9) },
        }),
    }
}
