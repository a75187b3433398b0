//! What only governance can do: done at once where the account holds the chain's sudo key, proposed elsewhere.

use crate::submit::{Sender, Sent};
use anyhow::Result;
use blyan_chain::{Call, DispatchError, State, tx::SubmissionError};

/// Makes a call as the holder of the chain's sudo key; nothing where there is none, or the account is not its holder.
pub(crate) async fn with_all_rights(sender: &mut Sender, state: &State, call: &Call) -> Result<Option<Sent>> {
    // It can be encoded where the chain has such a key.
    if state.encode_call(&call.clone().sudo()).is_err() {
        return Ok(None);
    }
    match sender.send(call.clone().sudo()).await {
        Err(error) if is_not_the_holder(&error) => Ok(None),
        sent => sent.map(Some),
    }
}

fn is_not_the_holder(error: &anyhow::Error) -> bool {
    let Some(SubmissionError::Dispatch { error, .. }) = error.downcast_ref() else { return false };
    matches!(&**error, DispatchError::Pallet { pallet, name, .. } if pallet == "Sudo" && name == "RequireSudo")
}

/// A call as `blyan referendum propose --call` takes it.
pub(crate) fn proposal(state: &State, call: &Call) -> Result<String> {
    Ok(format!("0x{}", hex::encode(state.encode_call(call)?)))
}

/// The command that proposes a call.
pub(crate) fn command(proposal: &str) -> String {
    format!("  blyan referendum propose --call {proposal} --track root --deposit")
}
