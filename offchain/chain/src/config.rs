//! The chain's types as subxt needs to know them.

use std::sync::Arc;
use subxt::{
    ArcMetadata, Config,
    config::{
        HashFor,
        substrate::BlakeTwo256,
        substrate::SubstrateHeader,
        transaction_extensions::{
            ChargeTransactionPayment, CheckGenesis, CheckMetadataHash, CheckMortality, CheckNonce, CheckSpecVersion,
            CheckTxVersion,
        },
    },
    utils::{AccountId32, H256, MultiAddress, MultiSignature},
};

/// The transaction extensions of the runtime that carry data.
///
/// The runtime's own order is AuthorizeCall, CheckNonZeroSender, CheckSpecVersion, CheckTxVersion, CheckGenesis,
/// CheckMortality, CheckNonce, CheckWeight, ChargeTransactionPayment, CheckMetadataHash, WeightReclaim. The encoder takes
/// order and versions from the metadata and skips those that encode to nothing (AuthorizeCall, CheckNonZeroSender,
/// CheckWeight, WeightReclaim), so they need no counterpart here.
pub(crate) type Extensions = (
    CheckSpecVersion,
    CheckTxVersion,
    CheckGenesis<BlyanConfig>,
    CheckMortality<BlyanConfig>,
    CheckNonce,
    ChargeTransactionPayment,
    CheckMetadataHash,
);

/// One runtime version of one Blyan chain.
///
/// subxt asks its configuration for genesis, versions and metadata; binding them to one runtime version means that a call
/// can only be encoded, and a value only decoded, with the metadata that belongs to its block.
#[derive(Clone, Debug)]
pub(crate) struct BlyanConfig(pub(crate) Arc<RuntimeFacts>);

/// What [`BlyanConfig`] answers.
#[derive(Debug)]
pub(crate) struct RuntimeFacts {
    pub(crate) genesis: H256,
    pub(crate) spec_version: u32,
    pub(crate) transaction_version: u32,
    pub(crate) metadata: ArcMetadata,
}

impl Config for BlyanConfig {
    type AccountId = AccountId32;
    type Address = MultiAddress<AccountId32, ()>;
    type Signature = MultiSignature;
    type Header = SubstrateHeader<H256>;
    type TransactionExtensions = Extensions;
    type AssetId = ();
    type Hasher = BlakeTwo256;

    fn genesis_hash(&self) -> Option<HashFor<Self>> {
        Some(self.0.genesis)
    }

    fn spec_and_transaction_version_for_block_number(&self, _: u64) -> Option<(u32, u32)> {
        Some((self.0.spec_version, self.0.transaction_version))
    }

    fn metadata_for_spec_version(&self, spec_version: u32) -> Option<ArcMetadata> {
        (spec_version == self.0.spec_version).then(|| self.0.metadata.clone())
    }
}
