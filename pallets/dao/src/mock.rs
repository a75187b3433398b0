//! A runtime with this pallet, real referenda, and members that tests name.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_dao;
use crate::{EnsurePact, Origin, Tally, TrackId, Tracks};
use blyan_primitives::{
    ids::HardwareId,
    pact::{Network, Pact, Ppm},
    traits::{Members, OnPollEnd, PactProvider, PollId, PollResult},
};
use frame_support::{
    derive_impl, parameter_types,
    traits::{
        fungible::InspectHold, schedule::DispatchTime, tokens::imbalance::ResolveTo, ConstU128, ConstU32, EitherOf,
        EqualPrivilegeOnly, Hooks, StorePreimage,
    },
    weights::Weight,
};
use frame_system::{EnsureRoot, EnsureSigned};
use pallet_referenda::{ReferendumCount, ReferendumIndex, ReferendumInfo, ReferendumInfoFor};
use polkadot_sdk::*;
use sp_runtime::{BuildStorage, DispatchError};
use std::collections::BTreeMap;

pub(crate) type Block = frame_system::mocking::MockBlockU32<Test>;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Test>;
    #[runtime::pallet_index(1)]
    pub type Balances = pallet_balances::Pallet<Test>;
    #[runtime::pallet_index(2)]
    pub type Preimage = pallet_preimage::Pallet<Test>;
    #[runtime::pallet_index(3)]
    pub type Scheduler = pallet_scheduler::Pallet<Test>;
    #[runtime::pallet_index(4)]
    pub type Referenda = pallet_referenda::Pallet<Test>;
    #[runtime::pallet_index(5)]
    pub type Dao = pallet_blyan_dao::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type Balance = u128;
    type ExistentialDeposit = ConstU128<1>;
}

impl pallet_preimage::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type Currency = Balances;
    type ManagerOrigin = EnsureRoot<u64>;
    type Consideration = ();
}

parameter_types! {
    pub MaxWeight: Weight = Weight::from_parts(2_000_000_000_000, u64::MAX);
}

impl pallet_scheduler::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeOrigin = RuntimeOrigin;
    type PalletsOrigin = OriginCaller;
    type RuntimeCall = RuntimeCall;
    type MaximumWeight = MaxWeight;
    type ScheduleOrigin = EnsureRoot<u64>;
    type MaxScheduledPerBlock = ConstU32<100>;
    type WeightInfo = ();
    type OriginPrivilegeCmp = EqualPrivilegeOnly;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

impl pallet_referenda::Config for Test {
    type WeightInfo = ();
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type Scheduler = Scheduler;
    type Currency = Balances;
    type SubmitOrigin = EnsureSigned<u64>;
    type CancelOrigin = EnsureRoot<u64>;
    type KillOrigin = EnsureRoot<u64>;
    type Slash = ();
    type Votes = u32;
    type Tally = Tally<Test>;
    type SubmissionDeposit = ConstU128<10>;
    type MaxQueued = ConstU32<10>;
    type UndecidingTimeout = ConstU32<1_000>;
    type AlarmInterval = ConstU32<1>;
    type Tracks = Tracks<Test>;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

pub(crate) const PERIOD: u32 = 20;
pub(crate) const CONFIRM: u32 = 5;
pub(crate) const APPEAL_PERIOD: u32 = 30;
pub(crate) const DEPOSIT: u128 = 100;
pub(crate) const FUNDS: u128 = 10_000;
pub(crate) const MAX_ENDINGS: u32 = 3;
pub(crate) const MAX_CLEAN_UP: u32 = 4;
pub(crate) const RETENTION: u32 = 50;
/// The account for lost deposits.
pub(crate) const TREASURER: u64 = 1_000;

/// A local network's Pact, with terms for polls that tests can count on: a quarter of the members decides a poll, and half an
/// appeal.
pub(crate) fn pact() -> Pact {
    let mut pact = Pact::default_for(Network::LOCAL.kind);
    let terms = &mut pact.governance;
    (terms.poll_period, terms.poll_confirm, terms.poll_quorum) = (PERIOD, CONFIRM, Ppm(250_000));
    (terms.appeal_period, terms.appeal_quorum, terms.appeal_deposit) = (APPEAL_PERIOD, Ppm(500_000), DEPOSIT);
    terms.decision_deposit = 1_000;
    pact
}

/// Something that `OnPollEnd` was told.
pub(crate) type Told = (PollId, [u8; 32], PollResult);

parameter_types! {
    /// The machine of each account, and since when it has it.
    pub(crate) static Machines: BTreeMap<u64, (HardwareId, Option<u32>)> = BTreeMap::new();
    pub(crate) static Terms: Pact = pact();
    pub(crate) static Ended: Vec<Told> = vec![];
    pub(crate) static Settled: Vec<Told> = vec![];
    pub const Treasurer: u64 = TREASURER;
    pub CallbackWeight: Weight = Weight::from_parts(1_000_000, 0);
}

/// Who has a vote, what the terms are, and who hears of results.
pub struct MockMembers;

impl Members<u64> for MockMembers {
    fn vote_of(account: &u64) -> Option<HardwareId> {
        Machines::get().get(account).map(|(machine, _)| *machine)
    }

    fn since(account: &u64) -> Option<u32> {
        Machines::get().get(account).and_then(|(_, since)| *since)
    }

    fn count() -> u32 {
        Machines::get().len() as u32
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn add(account: &u64, machine: HardwareId) {
        bind(*account, machine, Some(System::block_number()));
    }
}

impl PactProvider for MockMembers {
    fn pact() -> Pact {
        Terms::get()
    }

    fn network() -> Network {
        Network::LOCAL
    }
}

impl OnPollEnd for MockMembers {
    fn ended(poll: PollId, subject: [u8; 32], result: PollResult) {
        Ended::mutate(|ended| ended.push((poll, subject, result)));
    }

    fn settled(poll: PollId, subject: [u8; 32], result: PollResult) {
        Settled::mutate(|settled| settled.push((poll, subject, result)));
    }
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Members = MockMembers;
    type Pact = MockMembers;
    type Referenda = Referenda;
    type GovernanceOrigin = EitherOf<EnsureRoot<u64>, EnsurePact>;
    type OnPollEnd = MockMembers;
    type PollEndWeight = CallbackWeight;
    type OnLostDeposit = ResolveTo<Treasurer, Balances>;
    type MaxEndings = ConstU32<MAX_ENDINGS>;
    type MaxCleanUp = ConstU32<MAX_CLEAN_UP>;
    type PollRetention = ConstU32<RETENTION>;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

pub(crate) fn signed(who: u64) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// Machine `n`, which account `n` has in the beginning.
pub(crate) fn machine(n: u64) -> HardwareId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_le_bytes());
    HardwareId(id)
}

/// Binds `machine` to `account` and to nobody else.
pub(crate) fn bind(account: u64, machine: HardwareId, since: Option<u32>) {
    Machines::mutate(|machines| {
        machines.retain(|_, (other, _)| *other != machine);
        machines.insert(account, (machine, since));
    });
}

pub(crate) fn unbind(account: u64) {
    Machines::mutate(|machines| machines.remove(&account));
}

pub(crate) fn held(who: u64) -> u128 {
    Balances::balance_on_hold(&crate::HoldReason::Appeal.into(), &who)
}

/// Begins blocks up to block `block`.
pub(crate) fn run_to(block: u32) {
    while System::block_number() < block {
        let now = System::block_number() + 1;
        System::set_block_number(now);
        Scheduler::on_initialize(now);
        Dao::on_initialize(now);
    }
}

pub(crate) const SUBJECT: [u8; 32] = [7; 32];

/// Opens a poll on [`SUBJECT`].
pub(crate) fn open(outcomes: u8) -> PollId {
    let id = crate::NextPoll::<Test>::get();
    Dao::open_poll(RuntimeOrigin::root(), SUBJECT, outcomes).unwrap();
    id
}

/// Has each of the `voters` vote for `outcome`.
pub(crate) fn vote(poll: PollId, voters: impl IntoIterator<Item = u64>, outcome: u8) {
    for who in voters {
        Dao::vote_poll(signed(who), poll, outcome).unwrap();
    }
}

/// A call that the Pact's origin can make: it opens a poll.
pub(crate) fn proposal() -> RuntimeCall {
    RuntimeCall::Dao(crate::Call::open_poll { subject: SUBJECT, outcomes: 2 })
}

/// Proposes `call` to be made with `origin`, and pays for the decision.
pub(crate) fn submit(origin: impl Into<OriginCaller>, call: RuntimeCall) -> Result<ReferendumIndex, DispatchError> {
    let index = ReferendumCount::<Test>::get();
    let proposal = Preimage::bound(call)?;
    Referenda::submit(signed(1), Box::new(origin.into()), proposal, DispatchTime::After(0))?;
    Referenda::place_decision_deposit(signed(1), index).map_err(|error| error.error)?;
    Ok(index)
}

/// Proposes [`proposal`] on the track of the Pact.
pub(crate) fn submit_to_pact() -> ReferendumIndex {
    submit(Origin::Pact, proposal()).unwrap()
}

pub(crate) fn approved(referendum: ReferendumIndex) -> bool {
    matches!(ReferendumInfoFor::<Test>::get(referendum), Some(ReferendumInfo::Approved(..)))
}

pub(crate) fn rejected(referendum: ReferendumIndex) -> bool {
    matches!(ReferendumInfoFor::<Test>::get(referendum), Some(ReferendumInfo::Rejected(..)))
}

pub(crate) fn track_of(referendum: ReferendumIndex) -> TrackId {
    Referenda::ensure_ongoing(referendum).unwrap().track
}

/// Accounts 1 to 20 have [`FUNDS`], and 1 to 12 a machine each.
pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let balances = (1..=20).chain([TREASURER]).map(|who| (who, FUNDS)).collect();
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    Machines::set((1..=12).map(|n| (n, (machine(n), Some(0)))).collect());
    Terms::set(pact());
    Ended::set(vec![]);
    Settled::set(vec![]);
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a test, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Dao::do_try_state().unwrap();
    });
}
