use blyan_runtime::Runtime;
use codec::Decode;
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};

fn at(version: u32) -> RuntimeMetadata {
    let metadata = Runtime::metadata_at_version(version).unwrap();
    RuntimeMetadataPrefixed::decode(&mut metadata.as_slice()).unwrap().1
}

const OURS: [&str; 4] = ["Experts", "Meta", "Workers", "Inference"];

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
    let RuntimeMetadata::V16(metadata) = at(16) else { panic!("not V16") };
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
    let RuntimeMetadata::V16(metadata) = at(16) else { panic!("not V16") };
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
