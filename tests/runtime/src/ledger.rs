//! Whose money is where: what each pallet says it has of an account against what balances hold of it, and what events say
//! was minted and burnt against what there is.

use blyan_runtime::{
    configs::session::KeyDeposit, constants::currency::MAX_ISSUANCE, AccountId, Balance, Balances, Runtime,
    RuntimeEvent, RuntimeHoldReason, System,
};
use codec::{Decode, Encode};
use frame_support::traits::{Imbalance, SuppressedDrop};
use pallet_blyan_economy::Collected;
use pallet_blyan_staking::BondKind;
use polkadot_sdk::*;
use std::collections::BTreeMap;

/// What is held of accounts for a reason, which is not ordered but by its encoding.
type Holds = BTreeMap<(AccountId, Vec<u8>), Balance>;
/// What is reserved of accounts.
type Reserves = BTreeMap<AccountId, Balance>;

/// What happened to the sum of all money, by the events of the present block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// What balances say was added to it.
    issued: Balance,
    /// What balances say was taken from it.
    burnt: Balance,
    /// What pools say that they have minted.
    minted: Balance,
    /// What fees, slashes, calls to burn and accounts that ended say has vanished.
    explained: Balance,
}

impl Flow {
    /// By the events of the present block so far.
    fn so_far() -> Self {
        use pallet_balances::Event as Money;
        use pallet_blyan_economy::Event as Economy;
        let mut flow = Self::default();
        for record in System::events() {
            let (sum, amount) = match record.event {
                RuntimeEvent::Balances(
                    Money::Issued { amount } | Money::MintedCredit { amount } | Money::Minted { amount, .. },
                ) => (&mut flow.issued, amount),
                RuntimeEvent::Balances(Money::BurnedDebt { amount } | Money::Rescinded { amount }) => {
                    (&mut flow.burnt, amount)
                },
                RuntimeEvent::Balances(Money::Burned { amount, .. }) => {
                    flow.explained += amount;
                    (&mut flow.burnt, amount)
                },
                RuntimeEvent::Balances(Money::DustLost { amount, .. }) => (&mut flow.explained, amount),
                RuntimeEvent::Economy(Economy::Paid { minted, .. }) => (&mut flow.minted, minted),
                RuntimeEvent::Economy(Economy::FeesSplit { burnt, .. } | Economy::SlashSplit { burnt, .. }) => {
                    (&mut flow.explained, burnt)
                },
                _ => continue,
            };
            *sum += amount;
        }
        flow
    }
}

/// Follows the issuance from event to event.
pub(super) struct Issuance {
    before_block: Balance,
}

impl Issuance {
    /// From the state before the first block on.
    pub(super) fn new() -> Self {
        Self { before_block: Balances::total_issuance() }
    }

    /// Says that the present block is over, and the next not begun.
    pub(super) fn finish_block(&mut self) -> Result<(), String> {
        self.check()?;
        self.before_block = Balances::total_issuance();
        Ok(())
    }

    /// Issuance is what it was before the block, with what its events say was minted and without what they say was burnt;
    /// and it is within the cap.
    pub(super) fn check(&self) -> Result<(), String> {
        let (flow, now) = (Flow::so_far(), Balances::total_issuance());
        let expect =
            |holds: bool, what: &str| holds.then_some(()).ok_or_else(|| format!("{what}: {flow:?}, {now} now"));
        expect(self.before_block + flow.issued - flow.burnt == now, "issuance is not what balances tell")?;
        expect(flow.issued == flow.minted, "money was made by others than pools")?;
        expect(flow.burnt == flow.explained, "money vanished that nobody burnt")?;
        let minted = pallet_blyan_economy::Minted::<Runtime>::get();
        expect(now <= minted && minted <= MAX_ISSUANCE, "more was issued than can be")
    }
}

/// Whether every account has what it should: holds and reserves are what pallets say they have of it, no hold is larger than
/// what the account has reserved, and all accounts together have what was issued.
pub(super) fn check() -> Result<(), String> {
    let (mut holds, mut reserves) = (expected_holds(), expected_reserves());
    let mut total: Balance = 0;
    for (who, account) in frame_system::Account::<Runtime>::iter() {
        let money = account.data;
        total += money.free + money.reserved;
        let mut held = 0;
        for hold in pallet_balances::Holds::<Runtime>::get(&who) {
            let expected = match is_key_deposit(&hold.id) {
                true => expected_key_deposit(&who, hold.amount)?,
                false => holds.remove(&(who.clone(), hold.id.encode())).unwrap_or(0),
            };
            if hold.amount != expected {
                return Err(format!("{} is held of {who} for {:?}, not {expected}", hold.amount, hold.id));
            }
            held += hold.amount;
        }
        let reserved = reserves.remove(&who).unwrap_or(0);
        if money.reserved != held + reserved {
            return Err(format!("{} is reserved of {who}: {held} held and {reserved} deposited", money.reserved));
        }
        if money.free < money.frozen {
            return Err(format!("{who} has {} frozen of {}", money.frozen, money.free));
        }
    }
    if let Some(((who, reason), amount)) = holds.into_iter().find(|(_, amount)| *amount > 0) {
        let reason = RuntimeHoldReason::decode(&mut reason.as_slice()).unwrap();
        return Err(format!("{amount} is not held of {who} for {reason:?}"));
    }
    if let Some((who, amount)) = reserves.into_iter().find(|(_, amount)| *amount > 0) {
        return Err(format!("{amount} is not reserved of {who}"));
    }
    // What the present block has collected is nobody's yet.
    let (fees, tips) = Collected::<Runtime>::get();
    total += fees.as_ref().peek() + tips.as_ref().peek();
    let issued = Balances::total_issuance();
    if total != issued {
        return Err(format!("accounts and fees have {total} together, and {issued} were issued"));
    }
    Ok(())
}

/// All that is held of accounts, by what pallets keep.
fn expected_holds() -> Holds {
    let mut holds = Holds::new();
    let mut add = |who: AccountId, reason: RuntimeHoldReason, amount: Balance| {
        *holds.entry((who, reason.encode())).or_default() += amount;
    };
    staked(&mut add);
    {
        use pallet_blyan_inference::{Anchors, Channels, HoldReason, ServedBy};
        for channel in Channels::<Runtime>::iter_values() {
            let rest = channel.escrow - channel.redeemed + channel.deposit;
            add(channel.payer, HoldReason::Channel.into(), rest);
        }
        for (worker, _, anchor) in Anchors::<Runtime>::iter() {
            add(worker, HoldReason::AnchorDeposit.into(), anchor.deposit);
        }
        for (worker, served) in ServedBy::<Runtime>::iter() {
            add(worker, HoldReason::AnchorDeposit.into(), served.deposit);
        }
    }
    {
        use pallet_blyan_workers::{Hardware, HoldReason};
        for binding in Hardware::<Runtime>::iter_values() {
            add(binding.owner, HoldReason::Registration.into(), binding.deposit);
        }
    }
    {
        use pallet_blyan_experts::{HoldReason, Registrations};
        for (_, who, registration) in Registrations::<Runtime>::iter() {
            add(who, HoldReason::BlockDeposit.into(), registration.deposit);
        }
    }
    {
        use pallet_blyan_dao::{HoldReason, OpenPolls, Polls};
        for (id, ()) in OpenPolls::<Runtime>::iter() {
            if let Some(appeal) = Polls::<Runtime>::get(id).and_then(|poll| poll.appeal) {
                add(appeal.by, HoldReason::Appeal.into(), appeal.deposit);
            }
        }
    }
    {
        use pallet_preimage::{HoldReason, RequestStatus, RequestStatusFor};
        for status in RequestStatusFor::<Runtime>::iter_values() {
            let ticket = match status {
                RequestStatus::Unrequested { ticket, .. } => Some(ticket),
                RequestStatus::Requested { maybe_ticket, .. } => maybe_ticket,
            };
            if let Some((who, ticket)) = ticket {
                // A ticket is the amount, which it does not tell.
                let amount = Balance::decode(&mut ticket.encode().as_slice()).unwrap();
                add(who, HoldReason::Preimage.into(), amount);
            }
        }
    }
    holds
}

fn staked(add: &mut impl FnMut(AccountId, RuntimeHoldReason, Balance)) {
    use pallet_blyan_staking::{Candidates, Delegations, HoldReason, Unbonding, WorkerBonds};
    for (who, candidate) in Candidates::<Runtime>::iter() {
        add(who, HoldReason::Validator.into(), candidate.own);
    }
    for (_, who, delegation) in Delegations::<Runtime>::iter() {
        add(who, HoldReason::Delegation.into(), delegation.amount);
    }
    for (who, bond) in WorkerBonds::<Runtime>::iter() {
        add(who, HoldReason::Worker.into(), bond.active);
    }
    for (kind, who, parts) in Unbonding::<Runtime>::iter() {
        let reason = match kind {
            BondKind::Validator => HoldReason::Validator,
            BondKind::Delegation => HoldReason::Delegation,
            BondKind::Worker => HoldReason::Worker,
        };
        add(who, reason.into(), parts.iter().map(|part| part.amount).sum());
    }
}

fn is_key_deposit(reason: &RuntimeHoldReason) -> bool {
    matches!(reason, RuntimeHoldReason::Session(pallet_session::HoldReason::Keys))
}

/// What is held for session keys is the deposit, or nothing for those of the genesis and those that came back by themselves;
/// the session pallet does not tell which are the first.
fn expected_key_deposit(who: &AccountId, held: Balance) -> Result<Balance, String> {
    let deposit = KeyDeposit::get();
    let has_keys = pallet_session::NextKeys::<Runtime>::contains_key(who);
    let is_free = pallet_session::ExternallySetKeys::<Runtime>::contains_key(who);
    match held {
        0 => Ok(0),
        _ if has_keys && !is_free => Ok(deposit),
        _ => Err(format!("{held} is held of {who} for keys that it has not registered")),
    }
}

/// All that is reserved of accounts, by what pallets of the SDK keep.
fn expected_reserves() -> Reserves {
    let mut reserves = Reserves::new();
    let mut add = |who: AccountId, amount: Balance| *reserves.entry(who).or_default() += amount;
    for (_, _, multisig) in pallet_multisig::Multisigs::<Runtime>::iter() {
        add(multisig.depositor, multisig.deposit);
    }
    for (who, (_, deposit)) in pallet_proxy::Proxies::<Runtime>::iter() {
        add(who, deposit);
    }
    for (who, (_, deposit)) in pallet_proxy::Announcements::<Runtime>::iter() {
        add(who, deposit);
    }
    for info in pallet_referenda::ReferendumInfoFor::<Runtime>::iter_values() {
        use pallet_referenda::ReferendumInfo::*;
        let (submission, decision) = match info {
            Ongoing(status) => (Some(status.submission_deposit), status.decision_deposit),
            Approved(_, one, two) | Rejected(_, one, two) | Cancelled(_, one, two) | TimedOut(_, one, two) => {
                (one, two)
            },
            Killed(_) => (None, None),
        };
        for deposit in [submission, decision].into_iter().flatten() {
            add(deposit.who, deposit.amount);
        }
    }
    reserves
}
