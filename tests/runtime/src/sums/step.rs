//! The steps of a chain's life, and what each of them does.

use super::{super::chain::*, Chain, PEOPLE, WORKERS};
use blyan_primitives::{
    pact::{EconomyParameter, Parameter, Ppm, StakingParameter},
    payment::Voucher,
    traits::{Payout, Pool, Slash},
};
use blyan_runtime::{
    constants::{currency::BLY, time::DAYS},
    AccountId, Balance, BlockNumber, Economy, Inference, Offences, Runtime, RuntimeCall, RuntimeOrigin, Session,
    Staking, System, Workers,
};
use frame_support::{traits::GetCallMetadata, BoundedVec};
use pallet_blyan_inference::Channels;
use pallet_blyan_staking::{Delegations, PendingSlashes, Unbonding};
use pallet_blyan_workers::Hardware;
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{traits::Dispatchable, MultiAddress, Percent};
use sp_staking::offence::ReportOffence;

/// How many machines there are for workers to run on.
pub(super) const MACHINES: u8 = 4;

/// Why a report is not in the block that it was to be in.
const DISABLED: &str = "the block's author would be disabled";

/// What the DAO decides on its tracks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Track {
    Pact,
    Treasury,
    CancelSlash,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Somebody makes a call, with its fee and a tip.
    Call { who: Sr25519Keyring, call: Box<RuntimeCall>, tip: Balance },
    /// Somebody registers session keys, which may be another's by now.
    Keys { who: Sr25519Keyring, n: u8 },
    /// A node reports that a validator wrote two blocks in a slot shortly before this one.
    Equivocation { place: usize, back: u64 },
    /// A report arrives of somebody who validated some sessions ago among so many, perhaps in the same slot as others.
    LateReport { who: Sr25519Keyring, sessions: u32, slot: u64, among: u32 },
    /// A pallet finds that a worker has done wrong.
    SlashWorker { who: Sr25519Keyring, share: Ppm },
    /// The DAO cancels a slash that is announced.
    Cancel { slash: usize },
    /// The DAO changes the Pact.
    Amend { changes: Vec<Parameter> },
    /// The DAO spends.
    Spend { to: AccountId, amount: Balance },
    /// A pallet pays for work.
    Pay { pool: Pool, to: AccountId, amount: Balance },
    /// A delegator changes a delegation.
    Delegation { nth: usize, change: Change },
    /// Somebody takes back what is due of a bond.
    Withdraw { nth: usize },
    /// Somebody releases a machine.
    Release { nth: usize },
    /// A gateway redeems a voucher for so much of what is in a channel.
    Redeem { channel: usize, share: Ppm, wrapped: bool },
    /// A payer puts more into a channel.
    TopUp { channel: usize, amount: Balance },
    /// A payer wants a channel to end.
    RequestClose { channel: usize },
    /// Somebody closes a channel.
    Close { who: Sr25519Keyring, channel: usize },
    /// Somebody registers a worker, on a machine that may be another's, or ends its registration.
    Worker { who: Sr25519Keyring, machine: u8 },
    /// A worker anchors receipts.
    Anchor { who: Sr25519Keyring },
    /// Blocks go by.
    Blocks { count: u64, skipped: u64, luck: usize },
    /// Many heights go by.
    Days { blocks: BlockNumber },
}

/// What becomes of a delegation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    More(Balance),
    AutoCompound(Percent),
    /// So much of it is taken back.
    Less(Ppm),
    /// So much of it moves to another validator.
    Move(Sr25519Keyring, Ppm),
}

/// What a step came to: nothing, for a reason, when it was refused.
pub(super) type Taken = Result<Result<(), String>, TestCaseError>;

impl Step {
    /// What kind of step it is; of a call, which.
    pub(super) fn name(&self) -> String {
        let first = |shown: String| shown.split([' ', '(']).next().unwrap_or_default().to_owned();
        match self {
            Self::Delegation { change, .. } => first(format!("{change:?}")),
            Self::Call { call, .. } => {
                let metadata = call.get_call_metadata();
                format!("{}.{}", metadata.pallet_name, metadata.function_name)
            },
            _ => first(format!("{self:?}")),
        }
    }

    /// Takes the step. It fails when the chain does.
    pub(super) fn take(self, chain: &mut Chain) -> Taken {
        let done = match self {
            Self::Call { who, call, tip } => apply(signed(who, *call, tip)),
            Self::Keys { who, n } => apply(signed(who, set_keys(&who.to_account_id(), n), 0)),
            Self::Equivocation { place, back } => match equivocation(place, back) {
                Some(report) => unless_it_ends_the_block(|| apply(report)).unwrap_or_else(|| Err(DISABLED.into())),
                None => Err("no such validator".into()),
            },
            Self::LateReport { who, sessions, slot, among } => late_report(who.to_account_id(), sessions, slot, among),
            Self::SlashWorker { who, share } => {
                let slash = <Staking as Slash<_>>::slash_worker(&who.to_account_id(), share);
                slash.map(|_| ()).ok_or_else(|| "nothing is at stake".into())
            },
            Self::Cancel { slash } => match nth(PendingSlashes::<Runtime>::iter_keys(), slash) {
                Some(slash) => decide(pallet_blyan_staking::Call::cancel_slash { slash }.into(), Track::CancelSlash),
                None => Err("no slash is announced".into()),
            },
            Self::Amend { changes } => {
                let changes = BoundedVec::truncate_from(changes);
                decide(pallet_blyan_pact::Call::change { changes }.into(), Track::Pact)
            },
            Self::Spend { to, amount } => {
                decide(pallet_blyan_economy::Call::spend { to, amount }.into(), Track::Treasury)
            },
            Self::Pay { pool, to, amount } => pay(pool, &to, amount)?,
            Self::Delegation { nth, change } => change_delegation(nth, change),
            Self::Withdraw { nth: n } => match nth(Unbonding::<Runtime>::iter_keys(), n) {
                Some((kind, who)) => by(&who, pallet_blyan_staking::Call::withdraw { kind }),
                None => Err("nothing is on its way back".into()),
            },
            Self::Release { nth: n } => match nth(Hardware::<Runtime>::iter_keys(), n) {
                Some(hardware) => apply(signed(
                    Sr25519Keyring::Eve,
                    pallet_blyan_workers::Call::<Runtime>::release_hardware { hardware },
                    0,
                )),
                None => Err("no machine is bound".into()),
            },
            Self::Redeem { channel, share, wrapped } => redeem(channel, share, wrapped),
            Self::TopUp { channel, amount } => {
                by_payer(channel, |channel| pallet_blyan_inference::Call::top_up { channel, amount })
            },
            Self::RequestClose { channel } => {
                by_payer(channel, |channel| pallet_blyan_inference::Call::request_close { channel })
            },
            Self::Close { who, channel } => {
                let channel = nth_channel(channel).unwrap_or(0);
                apply(signed(who, pallet_blyan_inference::Call::<Runtime>::close { channel }, 0))
            },
            Self::Worker { who, machine } => match Workers::worker(who.to_account_id()) {
                None => apply(signed(who, register_worker(who, machine), 0)),
                Some(_) => apply(signed(who, pallet_blyan_workers::Call::<Runtime>::leave {}, 0)),
            },
            Self::Anchor { who } => {
                let sequence = Inference::next_sequence(who.to_account_id());
                apply(anchor(who, sequence, System::block_number() + 10))
            },
            Self::Blocks { count, skipped, luck } => Ok(chain.pass(count, skipped, luck)?),
            Self::Days { blocks } => Ok(chain.pass_days(blocks)?),
        };
        Ok(done)
    }
}

/// Calls what a referendum on a track has decided.
fn decide(call: RuntimeCall, track: Track) -> Result<(), String> {
    let origin = RuntimeOrigin::from(match track {
        Track::Pact => pallet_blyan_dao::Origin::Pact,
        Track::Treasury => pallet_blyan_dao::Origin::Treasury,
        Track::CancelSlash => pallet_blyan_dao::Origin::CancelSlash,
    });
    call.dispatch(origin).map(|_| ()).map_err(|failed| format!("{:?}", failed.error))
}

fn late_report(who: AccountId, sessions: u32, slot: u64, among: u32) -> Result<(), String> {
    let now = Session::current_index();
    let offence = pallet_babe::EquivocationOffence {
        slot: slot.into(),
        session_index: now.saturating_sub(sessions.min(Staking::reportable_sessions())),
        validator_set_count: among,
        offender: (who, ()),
    };
    let report = || Offences::report_offence(vec![author()], offence).map_err(|refused| format!("{refused:?}"));
    unless_it_ends_the_block(report).unwrap_or_else(|| Err(DISABLED.into()))
}

/// Pays, and proves that the pool can pay what it said, and has paid what it says.
fn pay(pool: Pool, to: &AccountId, amount: Balance) -> Taken {
    use frame_support::traits::fungible::Inspect;
    let money = || blyan_runtime::Balances::total_balance(to);
    let (available, before) = (Economy::available(pool), money());
    let paid = Economy::pay(pool, to, amount);
    prop_assert!(paid <= amount.min(available));
    // A pool that pays itself takes from its account what it puts there.
    if *to != Economy::pool_account(pool) {
        prop_assert_eq!(money(), before + paid);
    }
    Ok(if paid > 0 { Ok(()) } else { Err("nothing was paid".into()) })
}

/// What number `n` chooses of what there is, in the order of storage.
fn nth<T>(all: impl Iterator<Item = T>, n: usize) -> Option<T> {
    let mut all: Vec<_> = all.collect();
    let place = n.checked_rem(all.len())?;
    Some(all.swap_remove(place))
}

fn nth_channel(n: usize) -> Option<u64> {
    nth(Channels::<Runtime>::iter_keys(), n)
}

/// Has an account make a call, with its fee.
fn by(who: &AccountId, call: impl Into<RuntimeCall>) -> Result<(), String> {
    let person = Sr25519Keyring::from_account_id(who).ok_or("nobody has the key")?;
    apply(signed(person, call, 0))
}

fn by_payer(n: usize, call: impl FnOnce(u64) -> pallet_blyan_inference::Call<Runtime>) -> Result<(), String> {
    let channel = nth_channel(n).ok_or("no channel is open")?;
    by(&Inference::channel(channel).unwrap().payer, call(channel))
}

fn change_delegation(n: usize, change: Change) -> Result<(), String> {
    use pallet_blyan_staking::Call;
    let (validator, who, delegation) = nth(Delegations::<Runtime>::iter(), n).ok_or("nothing is delegated")?;
    let call = match change {
        Change::More(amount) => Call::<Runtime>::delegate_more { validator, amount },
        Change::AutoCompound(share) => Call::set_auto_compound { validator, share },
        Change::Less(part) => Call::undelegate { validator, amount: part.of(delegation.amount) },
        Change::Move(to, part) => {
            Call::redelegate { from: validator, to: to.to_account_id(), amount: part.of(delegation.amount) }
        },
    };
    by(&who, call)
}

fn redeem(n: usize, share: Ppm, wrapped: bool) -> Result<(), String> {
    let id = nth_channel(n).ok_or("no channel is open")?;
    let channel = Inference::channel(id).unwrap();
    let payer = Sr25519Keyring::from_account_id(&channel.payer).ok_or("nobody has the key")?;
    let voucher = Voucher { channel: id, cumulative: share.of(channel.escrow) };
    let signature = sign_voucher(payer, &voucher, wrapped);
    // Anybody can bring it: the gateway is paid.
    apply(signed(Sr25519Keyring::Eve, pallet_blyan_inference::Call::<Runtime>::redeem { voucher, signature }, 0))
}

fn person() -> impl Strategy<Value = Sr25519Keyring> {
    prop::sample::select(&PEOPLE[..])
}

fn worker() -> impl Strategy<Value = Sr25519Keyring> {
    prop::sample::select(&WORKERS[..])
}

/// People, strangers without money, and the chain's own accounts.
fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![
        6 => person().prop_map(Sr25519Keyring::to_account_id),
        3 => (200u8..206).prop_map(|n| AccountId::from([n; 32])),
        1 => pool().prop_map(Economy::pool_account),
        1 => Just(()).prop_map(|()| Economy::treasury_account()),
        1 => Just(()).prop_map(|()| Staking::pot()),
    ]
}

fn pool() -> impl Strategy<Value = Pool> {
    prop::sample::select(&Pool::ALL[..])
}

/// Amounts of every size, of which few are round.
fn amount() -> impl Strategy<Value = Balance> {
    prop_oneof![
        1 => 0..100u128,
        3 => 0..30 * BLY,
        6 => 30 * BLY..5_000 * BLY,
        3 => 5_000 * BLY..300_000 * BLY,
        1 => (0..2_000u128).prop_map(|bly| bly * BLY),
        1 => Just(Balance::MAX),
    ]
}

fn share() -> impl Strategy<Value = Ppm> {
    prop_oneof![(0..=1_000_000u32).prop_map(Ppm), Just(Ppm(0)), Just(Ppm(1_000_000))]
}

fn percent() -> impl Strategy<Value = Percent> {
    (0u8..=100).prop_map(Percent::from_percent)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => amount().prop_map(Change::More),
        2 => percent().prop_map(Change::AutoCompound),
        3 => share().prop_map(Change::Less),
        4 => (person(), share()).prop_map(|(to, part)| Change::Move(to, part)),
    ]
}

fn staking() -> impl Strategy<Value = RuntimeCall> {
    use pallet_blyan_staking::Call;
    let validator = || person().prop_map(Sr25519Keyring::to_account_id);
    prop_oneof![
        3 => (share(), amount()).prop_map(|(commission, bond)| Call::<Runtime>::validate { commission, bond }),
        1 => amount().prop_map(|amount| Call::bond_more { amount }),
        2 => amount().prop_map(|amount| Call::unbond { amount }),
        1 => share().prop_map(|commission| Call::set_commission { commission }),
        1 => Just(Call::chill {}),
        2 => Just(Call::activate {}),
        1 => Just(Call::leave {}),
        7 => (validator(), amount(), percent()).prop_map(|(validator, amount, auto_compound)| {
            Call::delegate { validator, amount, auto_compound }
        }),
        3 => amount().prop_map(|amount| Call::bond_worker { amount }),
        2 => amount().prop_map(|amount| Call::unbond_worker { amount }),
    ]
    .prop_map(RuntimeCall::Staking)
}

fn channels() -> impl Strategy<Value = RuntimeCall> {
    use pallet_blyan_inference::Call;
    let account = |who: Sr25519Keyring| who.to_account_id();
    prop_oneof![
        4 => (worker(), amount(), DAYS..=90 * DAYS).prop_map(move |(gateway, amount, duration)| {
            Call::<Runtime>::open { gateway: account(gateway), amount, duration }
        }),
        2 => (worker(), 0u32..80).prop_map(move |(worker, limit)| Call::prune { worker: account(worker), limit }),
    ]
    .prop_map(RuntimeCall::Inference)
}

fn money() -> impl Strategy<Value = RuntimeCall> {
    use pallet_balances::Call;
    prop_oneof![
        3 => (account(), amount()).prop_map(|(to, value)| {
            RuntimeCall::from(Call::<Runtime>::transfer_allow_death { dest: MultiAddress::Id(to), value })
        }),
        2 => (account(), amount()).prop_map(|(to, value)| {
            Call::<Runtime>::transfer_keep_alive { dest: MultiAddress::Id(to), value }.into()
        }),
        1 => (account(), any::<bool>()).prop_map(|(to, keep_alive)| {
            Call::<Runtime>::transfer_all { dest: MultiAddress::Id(to), keep_alive }.into()
        }),
        1 => (0..50 * BLY, any::<bool>()).prop_map(|(value, keep_alive)| {
            Call::<Runtime>::burn { value, keep_alive }.into()
        }),
        2 => (pool(), amount()).prop_map(|(pool, amount)| {
            pallet_blyan_economy::Call::<Runtime>::fund_pool { pool, amount }.into()
        }),
    ]
}

fn upkeep() -> impl Strategy<Value = RuntimeCall> {
    Just(pallet_session::Call::<Runtime>::purge_keys {}.into())
}

/// Changes of one thing, or of things that go together, near what a local network starts with.
fn changes() -> impl Strategy<Value = Vec<Parameter>> {
    use EconomyParameter::*;
    use StakingParameter::*;
    let staking = |parameter| vec![Parameter::Staking(parameter)];
    let economy = |parameters: &[EconomyParameter]| parameters.iter().copied().map(Parameter::Economy).collect();
    prop_oneof![
        (1u32..7, 1u32..4).prop_map(|(most, least)| {
            vec![Parameter::Staking(MaxValidators(most)), Parameter::Staking(MinValidators(least.min(most)))]
        }),
        (BLY..3_000 * BLY).prop_map(move |least| staking(MinSelfBond(least))),
        (BLY..40 * BLY).prop_map(move |least| staking(MinDelegation(least))),
        (BLY..40 * BLY).prop_map(move |least| staking(MinWorkerBond(least))),
        (50_000..=1_000_000u32).prop_map(move |most| staking(MaxCommission(Ppm(most)))),
        (2u32..7).prop_map(move |eras| staking(Unbonding(eras))),
        (1u32..4).prop_map(move |eras| staking(Dispute(eras))),
        (0..=1_000_000u32, 0..=1_000_000u32).prop_map(move |(burn, treasury)| {
            economy(&[FeeBurn(Ppm(burn)), FeeTreasury(Ppm(treasury.min(1_000_000 - burn)))])
        }),
        share().prop_map(move |share| economy(&[SlashTreasury(share)])),
        (0..=100_000 * BLY).prop_map(move |budget| economy(&[EraEmission(budget)])),
        (0..=1_000_000u32, 0..=1_000_000u32, 0..=1_000_000u32).prop_map(move |(a, b, c)| {
            let mut cuts = [a, b, c];
            cuts.sort();
            let [a, b, c] = cuts;
            economy(&[
                Validation(Ppm(a)),
                Learning(Ppm(b - a)),
                Data(Ppm(c - b)),
                EconomyParameter::Inference(Ppm(1_000_000 - c)),
            ])
        }),
    ]
}

/// Any step.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let call = prop_oneof![20 => staking(), 6 => channels(), 4 => money(), 1 => upkeep()];
    let tip = || prop_oneof![3 => Just(0), 1 => 0..BLY];
    let n = || 0usize..1_000;
    prop_oneof![
        36 => (person(), call, tip()).prop_map(|(who, call, tip)| Step::Call { who, call: Box::new(call), tip }),
        10 => (n(), change()).prop_map(|(nth, change)| Step::Delegation { nth, change }),
        5 => n().prop_map(|nth| Step::Withdraw { nth }),
        4 => (person(), 0..SESSION_KEYS).prop_map(|(who, n)| Step::Keys { who, n }),
        1 => (0usize..6, 0u64..4).prop_map(|(place, back)| Step::Equivocation { place, back }),
        1 => (person(), 0u32..6, 1_000_000u64..1_000_020, 3u32..60)
            .prop_map(|(who, sessions, slot, among)| Step::LateReport { who, sessions, slot, among }),
        1 => (person(), share()).prop_map(|(who, share)| Step::SlashWorker { who, share }),
        1 => n().prop_map(|slash| Step::Cancel { slash }),
        1 => changes().prop_map(|changes| Step::Amend { changes }),
        1 => (account(), amount()).prop_map(|(to, amount)| Step::Spend { to, amount }),
        4 => (pool(), account(), amount()).prop_map(|(pool, to, amount)| Step::Pay { pool, to, amount }),
        6 => (n(), share(), any::<bool>())
            .prop_map(|(channel, share, wrapped)| Step::Redeem { channel, share, wrapped }),
        2 => (n(), amount()).prop_map(|(channel, amount)| Step::TopUp { channel, amount }),
        1 => n().prop_map(|channel| Step::RequestClose { channel }),
        2 => (person(), n()).prop_map(|(who, channel)| Step::Close { who, channel }),
        2 => (worker(), 0..MACHINES).prop_map(|(who, machine)| Step::Worker { who, machine }),
        2 => n().prop_map(|nth| Step::Release { nth }),
        3 => worker().prop_map(|who| Step::Anchor { who }),
        // Some of them pass over whole sessions.
        14 => (1u64..7, prop_oneof![6 => Just(0u64), 2 => 1u64..4, 1 => 4u64..40], 0usize..8)
            .prop_map(|(count, skipped, luck)| Step::Blocks { count, skipped, luck }),
        1 => prop_oneof![1..9 * DAYS, 30 * DAYS..60 * DAYS].prop_map(|blocks| Step::Days { blocks }),
    ]
}
