//! A chain's metadata, restricted to what the client is generated from.

use anyhow::{Context, Result, bail};
use codec::{Compact, Decode, Encode};
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed, v16::RuntimeMetadataV16};
use scale_info::{PortableRegistry, TypeDef, form::PortableForm};
use subxt::rpcs::{RpcClient, rpc_params};
use subxt_utils_stripmetadata::StripMetadata;

/// The pallets that the client knows. Everything else of the runtime can change without the client noticing.
const PALLETS: [&str; 13] = [
    "System",
    "Balances",
    "Pact",
    "Economy",
    "Staking",
    "Preimage",
    "Referenda",
    "Dao",
    "Experts",
    "Meta",
    "Workers",
    "Inference",
    "Pol",
];

/// Asks the node at `url` for its metadata of version 16, and restricts it: other pallets go, and all documentation, which
/// the client takes from the chain it meets.
pub(crate) async fn fetch(url: &str) -> Result<Vec<u8>> {
    let client = RpcClient::from_insecure_url(url).await.with_context(|| format!("no node answers at {url}"))?;
    let argument = format!("0x{}", hex::encode(16u32.encode()));
    let answer: String = client.request("state_call", rpc_params!["Metadata_metadata_at_version", argument]).await?;
    let answer = hex::decode(answer.trim_start_matches("0x"))?;
    let (_, metadata) = <Option<(Compact<u32>, RuntimeMetadataPrefixed)>>::decode(&mut &*answer)?
        .context("the runtime has no metadata of version 16")?;
    let RuntimeMetadata::V16(mut metadata) = metadata.1 else { bail!("the runtime gave another version than 16") };
    // The enums over all pallets would keep the types of pallets that are removed.
    let outer = [
        metadata.outer_enums.call_enum_ty.id,
        metadata.outer_enums.event_enum_ty.id,
        metadata.outer_enums.error_enum_ty.id,
    ];
    for id in outer {
        let ty = metadata.types.types.get_mut(id as usize).context("an outer enum has no type")?;
        if let TypeDef::Variant(variants) = &mut ty.ty.type_def {
            variants.variants.retain(|variant| PALLETS.contains(&variant.name.as_str()));
        }
    }
    metadata.strip_metadata(|pallet| PALLETS.contains(&pallet), |_| false);
    remove_docs(&mut metadata);
    Ok(RuntimeMetadataPrefixed::from(metadata).encode())
}

fn remove_docs(metadata: &mut RuntimeMetadataV16) {
    for pallet in &mut metadata.pallets {
        pallet.docs.clear();
        pallet.constants.iter_mut().for_each(|constant| constant.docs.clear());
        pallet.associated_types.iter_mut().for_each(|ty| ty.docs.clear());
        pallet.view_functions.iter_mut().for_each(|function| function.docs.clear());
        pallet.storage.iter_mut().flat_map(|storage| &mut storage.entries).for_each(|entry| entry.docs.clear());
    }
    let PortableRegistry { types } = &mut metadata.types;
    for ty in types {
        ty.ty.docs.clear();
        let fields = |fields: &mut Vec<scale_info::Field<PortableForm>>| {
            fields.iter_mut().for_each(|field| field.docs.clear());
        };
        match &mut ty.ty.type_def {
            TypeDef::Composite(composite) => fields(&mut composite.fields),
            TypeDef::Variant(variants) => {
                for variant in &mut variants.variants {
                    variant.docs.clear();
                    fields(&mut variant.fields);
                }
            },
            _ => {},
        }
    }
}
