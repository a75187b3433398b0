use blyan_runtime::Runtime;
use codec::Decode;
use frame_metadata::{v16::RuntimeMetadataV16, RuntimeMetadata, RuntimeMetadataPrefixed};
use polkadot_sdk::*;

fn at(version: u32) -> RuntimeMetadata {
    // Some constants are those of the chain's Pact, which a state has: without one, those of a public network.
    let metadata = sp_io::TestExternalities::default().execute_with(|| Runtime::metadata_at_version(version).unwrap());
    RuntimeMetadataPrefixed::decode(&mut metadata.as_slice()).unwrap().1
}

/// The metadata in its latest version.
pub(super) fn latest() -> RuntimeMetadataV16 {
    match at(16) {
        RuntimeMetadata::V16(metadata) => metadata,
        other => panic!("V16 decodes as V{}", other.version()),
    }
}

/// Our pallets.
pub(super) const OURS: [&str; 9] =
    ["Pact", "Economy", "Staking", "Dao", "Experts", "Meta", "Workers", "Inference", "Pol"];

#[test]
fn wallets_of_every_age_can_decode_the_metadata() {
    let versions = Runtime::metadata_versions();
    for version in [14, 15, 16] {
        assert!(versions.contains(&version), "no metadata V{version}");
        let names: Vec<_> = match at(version) {
            RuntimeMetadata::V14(m) => m.pallets.into_iter().map(|pallet| pallet.name).collect(),
            RuntimeMetadata::V15(m) => m.pallets.into_iter().map(|pallet| pallet.name).collect(),
            RuntimeMetadata::V16(m) => m.pallets.into_iter().map(|pallet| pallet.name).collect(),
            other => panic!("V{version} decodes as V{}", other.version()),
        };
        assert!(OURS.iter().all(|ours| names.iter().any(|name| name == ours)), "V{version}: {names:?}");
    }
}

#[test]
fn extensions_of_transactions_stand_in_this_order() {
    let metadata = latest();
    let names: Vec<_> = metadata.extrinsic.transaction_extensions.iter().map(|e| e.identifier.as_str()).collect();
    let expected = [
        "AuthorizeCall",
        "CheckNonZeroSender",
        "CheckSpecVersion",
        "CheckTxVersion",
        "CheckGenesis",
        "CheckMortality",
        "CheckNonce",
        "CheckWeight",
        "ChargeTransactionPayment",
        "CheckMetadataHash",
        "WeightReclaim",
    ];
    assert_eq!(names, expected);
}

#[test]
fn our_pallets_can_be_asked() {
    let metadata = latest();
    for name in OURS {
        let pallet = metadata.pallets.iter().find(|pallet| pallet.name == name).unwrap();
        assert!(!pallet.view_functions.is_empty(), "{name} has no view functions");
        let error = pallet.error.as_ref().unwrap().ty.id;
        let scale_info::TypeDef::Variant(errors) = &metadata.types.resolve(error).unwrap().type_def else {
            panic!("{name}'s errors are no variants")
        };
        for variant in &errors.variants {
            assert!(!variant.docs.is_empty(), "{name}::{} does not say what to do", variant.name);
        }
    }
    assert!(metadata.apis.iter().any(|api| api.name == "BlyanApi"));
}
