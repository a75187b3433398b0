//! How the pallets are configured, a file per pallet.

pub mod authorship;
pub mod babe;
pub mod balances;
pub mod economy;
pub mod experts;
pub mod governance;
pub mod grandpa;
pub mod inference;
pub mod meta;
pub mod migrations;
pub mod multisig;
pub mod offences;
pub mod pact;
pub mod pol;
pub mod preimage;
pub mod proxy;
pub mod safe_mode;
pub mod scheduler;
pub mod session;
pub mod staking;
pub mod sudo;
pub mod system;
pub mod timestamp;
pub mod transaction_payment;
pub mod utility;
pub mod workers;
