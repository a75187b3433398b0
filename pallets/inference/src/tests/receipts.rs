use crate::mock::*;
use blyan_primitives::{ids::ReceiptId, merkle::Digest};

fn proof(index: u32) -> Vec<Digest> {
    tree(20).prove(u64::from(index)..u64::from(index) + 1).unwrap()
}

fn verified(sequence: u64, index: u32, receipt: ReceiptId, proof: Vec<Digest>) -> bool {
    Inference::verify_receipt(gateway(), sequence, index, receipt, proof)
}

#[test]
fn every_receipt_of_a_batch_is_proved_against_its_anchor() {
    run(|| {
        assert_eq!(include(anchor_call(payload(0))), Ok(Ok(())));
        for (index, receipt) in (0..).zip(receipts(20)) {
            assert!(verified(0, index, receipt, proof(index)));
        }
    });
}

#[test]
fn what_is_not_in_the_batch_is_not_proved() {
    run(|| {
        assert_eq!(include(anchor_call(payload(0))), Ok(Ok(())));
        let receipt = receipts(20)[7];
        assert!(!verified(0, 7, ReceiptId([99; 32]), proof(7)));
        assert!(!verified(0, 8, receipt, proof(7)));
        assert!(!verified(0, 20, receipt, proof(7)));
        assert!(!verified(1, 7, receipt, proof(7)));
        assert!(!verified(0, 7, receipt, proof(7)[1..].to_vec()));
        assert!(!verified(0, 7, receipt, vec![[0; 32]; 10_000]));
        assert!(!Inference::verify_receipt(server(), 0, 7, receipt, proof(7)));
    });
}
