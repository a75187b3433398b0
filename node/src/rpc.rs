//! The JSON-RPC methods that the node adds to those of the service: accounts, fees, consensus, and Blyan's own.

mod blyan;
mod error;
mod types;

use crate::service::{Backend, Client, Pool, SelectChain};
use blyan::{Blyan, BlyanRpcServer};
use blyan_runtime::{BlockNumber, Hash, OpaqueBlock as Block};
use jsonrpsee::RpcModule;
use polkadot_sdk::*;
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_babe_rpc::{Babe, BabeApiServer};
use sc_consensus_grandpa::{FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState};
use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
use sc_rpc::SubscriptionTaskExecutor;
use sc_sync_state_rpc::{SyncState, SyncStateApiServer};
use sp_keystore::KeystorePtr;
use std::{error::Error, sync::Arc};
use substrate_frame_rpc_system::{System, SystemApiServer};

/// What the methods need.
pub(crate) struct Deps {
    pub(crate) client: Arc<Client>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) select_chain: SelectChain,
    pub(crate) chain_spec: Box<dyn sc_chain_spec::ChainSpec>,
    pub(crate) keystore: KeystorePtr,
    pub(crate) babe_worker: BabeWorkerHandle<Block>,
    pub(crate) authority_set: SharedAuthoritySet<Hash, BlockNumber>,
    pub(crate) voter_state: SharedVoterState,
    pub(crate) justifications: GrandpaJustificationStream<Block>,
    pub(crate) finality_proofs: Arc<FinalityProofProvider<Backend, Block>>,
}

/// Builds the methods; `executor` runs subscriptions.
pub(crate) fn build(
    deps: &Deps,
    executor: SubscriptionTaskExecutor,
) -> Result<RpcModule<()>, Box<dyn Error + Send + Sync>> {
    use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};

    let client = deps.client.clone();
    let mut module = RpcModule::new(());
    module.merge(System::new(client.clone(), deps.pool.clone()).into_rpc())?;
    module.merge(TransactionPayment::new(client.clone()).into_rpc())?;
    module.merge(
        Babe::new(client.clone(), deps.babe_worker.clone(), deps.keystore.clone(), deps.select_chain.clone())
            .into_rpc(),
    )?;
    module.merge(
        Grandpa::new(
            executor,
            deps.authority_set.clone(),
            deps.voter_state.clone(),
            deps.justifications.clone(),
            deps.finality_proofs.clone(),
        )
        .into_rpc(),
    )?;
    module.merge(
        SyncState::new(
            deps.chain_spec.cloned_box(),
            client.clone(),
            deps.authority_set.clone(),
            deps.babe_worker.clone(),
        )?
        .into_rpc(),
    )?;
    module.merge(Blyan::new(client).into_rpc())?;
    Ok(module)
}
