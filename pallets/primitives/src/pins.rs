//! Pins what keys sign and what names things: part of the protocol. With other bytes every signature made by software of
//! another version fails, and everything on chain has another name.

use crate::{
    hardware::HardwareProfile,
    ids::{BatchRoot, Commitment, HardwareId, ReceiptId, SpecId, WeightsId},
    payment::Voucher,
    receipt::{tokens_hash, AnchorPayload, Receipt, Sampling},
    spec::{tests::tiny, weights_id},
    worker::{Heartbeat, Region, Roles, WorkerInfo},
};
use alloc::{string::ToString, vec, vec::Vec};

const GENESIS: [u8; 32] = [7; 32];
const ACCOUNT: [u8; 32] = [1; 32];

fn hex(hash: [u8; 32]) -> alloc::string::String {
    Commitment(hash).to_string()
}

#[test]
fn what_keys_sign_is_pinned() {
    let peer_id: Vec<u8> = [0x00, 36].into_iter().chain([7; 36]).collect();
    let info = WorkerInfo {
        key: [2; 32],
        peer_id: peer_id.try_into().unwrap(),
        addresses: vec![b"https://gateway.example".to_vec().try_into().unwrap()].try_into().unwrap(),
        region: Region::new("DE-BY").unwrap(),
        hardware: HardwareProfile { vram_mib: 1, tflops: 2, pcie_gbps: 3, ram_mib: 4, cpu_threads: 5 },
        hardware_id: HardwareId([3; 32]),
        roles: Roles::SERVE.union(Roles::GATEWAY),
    };
    let heartbeat = Heartbeat { worker: ACCOUNT, period: 3, expires_at: 10u32 };
    let voucher = Voucher { channel: 4, cumulative: 5 };
    let root = BatchRoot([6; 32]);
    let anchor = AnchorPayload { worker: ACCOUNT, sequence: 8, root, count: 9, tokens: 10, expires_at: 11u32 };
    let signed = [
        info.signing_hash(&GENESIS, &ACCOUNT),
        heartbeat.signing_hash(&GENESIS),
        voucher.signing_hash(&GENESIS),
        anchor.signing_hash(&GENESIS),
    ];
    assert_eq!(
        signed.map(hex),
        [
            "0x163585bb852977186ec54477b46e1d84c75cbdafc0d908ec14f948b857d01bba",
            "0xb54e7f2196a47842457576dbde0a21f4272703ba06afe02dddfa43412fc2a52b",
            "0x9144db3629e55e1652710c58dda8eaab9a431ba6d29a7abd73989798e48d0068",
            "0x87861345c21f7dded34df73fbf61d6eef554256f467fe7094914d479bed82044",
        ]
    );
    let wrapped = [b"<Bytes>".as_slice(), &voucher.signing_hash(&GENESIS), b"</Bytes>"].concat();
    assert_eq!(voucher.wrapped_signing_bytes(&GENESIS), wrapped);
}

#[test]
fn what_names_things_is_pinned() {
    let weights = weights_id(SpecId([1; 32]), [].iter());
    let receipt = Receipt {
        genesis: GENESIS,
        worker: [2; 32],
        number: 1,
        nonce: [3; 16],
        spec: SpecId([4; 32]),
        weights: WeightsId([5; 32]),
        prompt_hash: tokens_hash(&[1, 2, 3]),
        output_hash: tokens_hash(&[4]),
        prompt_tokens: 3,
        output_tokens: 1,
        sampling: Sampling::GREEDY,
        commitment: Commitment::start(weights, &Sampling::GREEDY, 1).next(0, &[0; 8], 2),
        finished_at: 6,
    };
    let ReceiptId(receipt) = receipt.id();
    assert_eq!(
        [tiny().id().0, weights.0, receipt].map(hex),
        [
            "0x9ef9104381a49d7772f0d355d0133273610dbfc945e6c55765579fd88df12b08",
            "0xfa60b5167b61d6d3c2564553a08c89e70f303192ec19aa348a4f172b7a6ff5e8",
            "0x74fc3a587049fa949a7dc4cea4dedf3de4ed27475fc33bb6a642fc87434bb7f5",
        ]
    );
}
