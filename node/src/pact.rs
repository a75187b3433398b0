//! Whether this program and the chain agree on what the Genesis Pact may become.

use crate::service::Client;
use blyan_primitives::pact::{self, Network};
use blyan_runtime::query::BlyanApi;
use polkadot_sdk::*;
use sc_service::Error;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_core::H256;

/// Refuses a chain whose runtime, at the best block that this node has, was compiled with other bounds of the Pact than this
/// program. What the node would say about the chain, and what tools built beside it would propose, might be wrong.
pub(crate) fn check(client: &Client) -> Result<(), Error> {
    let best = client.info().best_hash;
    let status = client.runtime_api().pact(best).map_err(|error| Error::Application(Box::new(error)))?;
    compare(&status.network, &status.bounds_hash).map_err(Error::Other)
}

fn compare(network: &Network, theirs: &[u8; 32]) -> Result<(), String> {
    let ours = pact::bounds_hash(network.kind);
    if ours == *theirs {
        return Ok(());
    }
    Err(format!(
        "the chain's runtime and this program disagree on the bounds of the Genesis Pact: the runtime has {:?}, this program \
         {:?}. Install the release that belongs to the runtime of this chain (`blyan_pact` of a running node shows its \
         hash), or start with the chain spec that this release was made for",
        H256(*theirs),
        H256(ours),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bounds_are_refused_with_both_hashes() {
        for network in [Network::PUBLIC, Network::LOCAL] {
            assert_eq!(compare(&network, &pact::bounds_hash(network.kind)), Ok(()));
            let refused = compare(&network, &[7; 32]).unwrap_err();
            assert!(refused.contains(&format!("{:?}", H256([7; 32]))));
            assert!(refused.contains(&format!("{:?}", H256(pact::bounds_hash(network.kind)))));
        }
        assert!(compare(&Network::LOCAL, &pact::bounds_hash(Network::PUBLIC.kind)).is_err());
    }
}
