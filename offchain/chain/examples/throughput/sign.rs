//! Accounts, and extrinsics that they have signed.

use crate::chain::Chain;
use anyhow::{Result, anyhow};
use blyan_chain::Key;
use codec::{Compact, Encode};
use subxt::{
    SubstrateConfig,
    config::{ClientState, Config, DefaultExtrinsicParamsBuilder, TransactionExtensions},
    ext::{
        frame_decode,
        scale_encode::{self, EncodeAsFields},
    },
    tx::{Payload, Signer},
    utils::{AccountId32, MultiSignature},
};

/// An extrinsic as it is submitted: in hexadecimal.
pub(crate) type Extrinsic = String;

/// A call with its encoded arguments.
pub(crate) struct Call {
    pallet: &'static str,
    name: &'static str,
    arguments: Arguments,
}

pub(crate) struct Arguments(Vec<u8>);

impl EncodeAsFields for Arguments {
    fn encode_as_fields_to<R: scale_encode::TypeResolver>(
        &self,
        _: &mut dyn scale_encode::FieldIter<'_, R::TypeId>,
        _: &R,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), scale_encode::Error> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

impl Payload for Call {
    type CallData = Arguments;

    fn pallet_name(&self) -> &str {
        self.pallet
    }

    fn call_name(&self) -> &str {
        self.name
    }

    fn call_data(&self) -> &Arguments {
        &self.arguments
    }
}

struct Account<'a>(&'a Key);

impl Signer<SubstrateConfig> for Account<'_> {
    fn account_id(&self) -> AccountId32 {
        self.0.account()
    }

    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(self.0.sign(payload))
    }
}

/// `count` keys that nobody else uses on a development chain.
pub(crate) fn keys(count: usize) -> Result<Vec<Key>> {
    // Seeds, not derivations: the phrase behind a derivation is stretched anew for each.
    let seed = |index: usize| format!("0x{:064x}", index + 1);
    (0..count).map(|index| Key::from_uri(&seed(index)).map_err(|error| anyhow!(error))).collect()
}

impl Call {
    pub(crate) fn new(pallet: &'static str, name: &'static str, arguments: &impl Encode) -> Self {
        Self { pallet, name, arguments: Arguments(arguments.encode()) }
    }

    /// Sends `amount` to an account.
    pub(crate) fn transfer(to: &Key, amount: u128) -> Self {
        // 0 names an account by its public key.
        Self::new("Balances", "transfer_keep_alive", &(0u8, to.public(), Compact(amount)))
    }

    /// Signed by an account, for its `nonce`. It does not expire: all of them are signed before the first is submitted.
    pub(crate) fn signed(&self, chain: &Chain, by: &Key, nonce: u64) -> Result<Extrinsic> {
        let parameters = DefaultExtrinsicParamsBuilder::new().immortal().nonce(nonce).build();
        let mut signable = chain.offline.tx().create_v4_signable_offline(self, parameters)?;
        Ok(hexadecimal(signable.sign(&Account(by))?.encoded()))
    }

    /// As a general transaction, which a signature in its arguments authorises.
    pub(crate) fn general(&self, chain: &Chain) -> Result<Extrinsic> {
        type Extensions = <SubstrateConfig as Config>::TransactionExtensions;
        let metadata = chain.offline.metadata();
        let state = ClientState::<SubstrateConfig> {
            genesis_hash: chain.genesis,
            spec_version: chain.offline.spec_version(),
            transaction_version: chain.offline.transaction_version(),
            metadata: metadata.clone(),
        };
        let parameters = DefaultExtrinsicParamsBuilder::new().immortal().build();
        let bytes = frame_decode::extrinsics::encode_v5_general(
            self.pallet,
            self.name,
            &self.arguments,
            metadata.extrinsic().transaction_extension_version_to_use_for_encoding(),
            &<Extensions as TransactionExtensions<SubstrateConfig>>::new(&state, parameters)?,
            &*metadata,
            metadata.types(),
        )?;
        Ok(hexadecimal(&bytes))
    }
}

fn hexadecimal(bytes: &[u8]) -> Extrinsic {
    format!("0x{}", hex::encode(bytes))
}
