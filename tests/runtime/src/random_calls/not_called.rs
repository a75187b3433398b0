//! Calls that random ones are not made of, and why.

use blyan_runtime::RuntimeCall;

/// Pallet, call, and why it is left out: what it does is outside of what the invariants are about.
const LEFT_OUT: [(&str, &str, &str); 11] = [
    ("System", "set_storage", "writes any bytes anywhere, for root"),
    ("System", "kill_storage", "removes anything, for root"),
    ("System", "kill_prefix", "removes anything, for root"),
    ("Timestamp", "set", "is the author's, once in a block, else it panics; root can lend it the origin that it needs"),
    ("Balances", "force_set_balance", "makes and burns money beside the economy, for root"),
    ("Balances", "force_adjust_total_issuance", "makes the sum of all money another than it is, for root"),
    ("Balances", "force_unreserve", "gives back what other pallets still count as deposits, for root"),
    ("Proxy", "create_pure", "reserves a deposit of another account than the one that it is written down for"),
    ("Proxy", "kill_pure", "gives it back to an account that the caller names"),
    ("Migrations", "force_set_cursor", "says, for root, that migrations go on which do not: blocks have no calls then"),
    ("Migrations", "force_set_active_cursor", "the same"),
];

/// Whether a call is left out.
pub(crate) fn is_left_out(pallet: &str, call: &str) -> bool {
    LEFT_OUT.iter().any(|(of, name, _)| (*of, *name) == (pallet, call))
}

/// Whether a call whose bytes were changed at random is one that is left out, or has one in it. What it has as bytes cannot
/// be seen.
pub(crate) fn may_have_left_out(call: &RuntimeCall) -> bool {
    let text = format!("{call:?}");
    let is_in = |(pallet, name, _): &(&str, &str, &str)| text.contains(&format!("{pallet}(Call::{name} "));
    LEFT_OUT.iter().any(is_in) || ["note_preimage", "Inline"].iter().any(|hidden| text.contains(hidden))
}
