//! The JSON-RPC methods that the template adds to those of the service: accounts and fees.

use crate::service::{Client, Pool};
use jsonrpsee::RpcModule;
use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
use polkadot_sdk::*;
use std::{error::Error, sync::Arc};
use substrate_frame_rpc_system::{System, SystemApiServer};

/// Builds the methods.
pub(crate) fn build(client: &Arc<Client>, pool: &Arc<Pool>) -> Result<RpcModule<()>, Box<dyn Error + Send + Sync>> {
    let mut module = RpcModule::new(());
    module.merge(System::new(client.clone(), pool.clone()).into_rpc())?;
    module.merge(TransactionPayment::new(client.clone()).into_rpc())?;
    Ok(module)
}
