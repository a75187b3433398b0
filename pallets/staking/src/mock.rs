//! A runtime with this pallet, and the SDK's balances, sessions, offences and authorship.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate::{self as pallet_blyan_staking, pallet::*, BondKind, CreditOf, CurrentEra, NoIdentification, PalletSession};
use blyan_primitives::{
    pact::{Network, NetworkKind, Pact, Ppm, Staking as Rules},
    traits::{PactProvider, Payout, Pool},
};
use frame_support::{
    derive_impl, parameter_types,
    traits::{
        fungible::{Inspect, InspectHold, Mutate},
        ConstU128, ConstU32, ConstU64, FindAuthor, Imbalance, OnInitialize, OnUnbalanced,
    },
    weights::{
        constants::{ParityDbWeight, WEIGHT_REF_TIME_PER_SECOND},
        Weight,
    },
    PalletId,
};
use frame_system::{EnsureRoot, EventRecord};
use pallet_session::{historical, SessionInterface};
use polkadot_sdk::*;
use sp_runtime::{
    impl_opaque_keys, testing::UintAuthorityId, traits::ConvertInto, BuildStorage, ConsensusEngineId, Perbill, Percent,
};
use sp_staking::{
    offence::{Kind, Offence, OffenceError, ReportOffence},
    SessionIndex,
};

pub(crate) type Block = frame_system::mocking::MockBlock<Test>;

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
    pub type Authorship = pallet_authorship::Pallet<Test>;
    #[runtime::pallet_index(2)]
    pub type Balances = pallet_balances::Pallet<Test>;
    #[runtime::pallet_index(3)]
    pub type Staking = pallet_blyan_staking::Pallet<Test>;
    #[runtime::pallet_index(4)]
    pub type Offences = pallet_offences::Pallet<Test>;
    #[runtime::pallet_index(5)]
    pub type Historical = historical::Pallet<Test>;
    #[runtime::pallet_index(6)]
    pub type Session = pallet_session::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountData = pallet_balances::AccountData<u128>;
    type BlockWeights = BlockWeights;
    type DbWeight = ParityDbWeight;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type Balance = u128;
    type ExistentialDeposit = ConstU128<ED>;
    type RuntimeHoldReason = RuntimeHoldReason;
}

impl pallet_authorship::Config for Test {
    type EventHandler = Staking;
    type FindAuthor = NextAuthor;
}

impl pallet_offences::Config for Test {
    type IdentificationTuple = historical::IdentificationTuple<Test>;
    type OnOffenceHandler = Staking;
    type RuntimeEvent = RuntimeEvent;
}

impl_opaque_keys! {
    /// Keys of a validator.
    pub struct Keys {
        /// The only one.
        pub dummy: UintAuthorityId,
    }
}

impl pallet_session::Config for Test {
    type Currency = Balances;
    type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
    type KeyDeposit = ConstU128<0>;
    type Keys = Keys;
    type NextSessionRotation = ();
    type RuntimeEvent = RuntimeEvent;
    type SessionHandler = pallet_session::TestSessionHandler;
    type SessionManager = historical::NoteHistoricalRoot<Test, Staking>;
    type ShouldEndSession = pallet_session::PeriodicSessions<ConstU64<SESSION>, ConstU64<SESSION>>;
    type ValidatorId = u64;
    type ValidatorIdOf = ConvertInto;
    type WeightInfo = ();
}

impl historical::Config for Test {
    type FullIdentification = ();
    type FullIdentificationOf = NoIdentification;
    type RuntimeEvent = RuntimeEvent;
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Pact = ThePact;
    type Sessions = PalletSession<Test>;
    type Payout = Mint;
    type OnSlash = Burn;
    type CancelOrigin = EnsureRoot<u64>;
    type PalletId = Id;
    type MaxCandidates = ConstU32<8>;
    type MaxDelegators = MaxDelegators;
    type MaxDelegations = ConstU32<3>;
    type MaxUnbonding = ConstU32<4>;
    type MaxLeaving = ConstU32<2>;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

pub(crate) const ED: u128 = 10;
/// Blocks of a session.
pub(crate) const SESSION: u64 = 5;
/// Sessions of an era.
pub(crate) const SESSIONS: u32 = 3;
pub(crate) const UNBONDING: u32 = 3;
pub(crate) const DISPUTE: u32 = 1;
pub(crate) const MIN_SELF: u128 = 1_000;
pub(crate) const MIN_DELEGATION: u128 = 50;
pub(crate) const MIN_WORKER: u128 = 20;
pub(crate) const FUNDS: u128 = 100_000;
/// What an era can pay for validation.
pub(crate) const BUDGET: u128 = 15_000;
/// Validators at genesis.
pub(crate) const GENESIS: [u64; 4] = [1, 2, 3, 4];
/// What they bond.
pub(crate) const BOND: u128 = 10_000;
/// Delegates to validator 1 at genesis.
pub(crate) const DELEGATOR: u64 = 11;

parameter_types! {
    /// Two seconds, and all that anybody can prove.
    pub BlockWeights: frame_system::limits::BlockWeights = frame_system::limits::BlockWeights::simple_max(
        Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, u64::MAX),
    );
    pub const Id: PalletId = PalletId(*b"by/stake");
    pub static MaxDelegators: u32 = 4;
    pub static Rule: Rules = Rules {
        max_validators: 4,
        min_validators: 2,
        min_self_bond: MIN_SELF,
        min_delegation: MIN_DELEGATION,
        min_worker_bond: MIN_WORKER,
        max_commission: Ppm(250_000),
        unbonding: UNBONDING,
        dispute: DISPUTE,
    };
    pub static SessionsPerEra: u32 = SESSIONS;
    /// Who writes the next blocks.
    pub static Author: Option<u64> = None;
    /// What can still be paid, and in which era.
    pub static Allowance: (u32, u128) = (0, BUDGET);
    pub static Minted: u128 = 0;
    pub static Burnt: u128 = 0;
    /// When the next offence happens: none at the same time as another.
    pub static Slot: u64 = 1_000;
}

pub struct ThePact;

impl PactProvider for ThePact {
    fn pact() -> Pact {
        Pact { staking: Rule::get(), ..Pact::default_for(NetworkKind::Local) }
    }

    fn network() -> Network {
        Network { kind: NetworkKind::Local, session_slots: SESSION as u32, sessions_per_era: SessionsPerEra::get() }
    }
}

/// Changes a rule of the Pact.
pub(crate) fn amend(change: impl FnOnce(&mut Rules)) {
    Rule::mutate(change);
}

pub struct NextAuthor;

impl FindAuthor<u64> for NextAuthor {
    fn find_author<'a, I: IntoIterator<Item = (ConsensusEngineId, &'a [u8])>>(_: I) -> Option<u64> {
        Author::get()
    }
}

/// Mints up to [`BUDGET`] an era.
pub struct Mint;

impl Payout<u64, u128> for Mint {
    fn available(_: Pool) -> u128 {
        let (era, left) = Allowance::get();
        if era == <CurrentEra<Test> as frame_support::traits::Get<u32>>::get() {
            left
        } else {
            BUDGET
        }
    }

    fn pay(pool: Pool, to: &u64, amount: u128) -> u128 {
        let available = Self::available(pool);
        let paid = amount.min(available);
        if Balances::mint_into(to, paid).is_err() {
            return 0;
        }
        Allowance::set((ActiveEra::<Test>::get(), available - paid));
        Minted::mutate(|minted| *minted += paid);
        paid
    }
}

/// Burns what is slashed.
pub struct Burn;

impl OnUnbalanced<CreditOf<Test>> for Burn {
    fn on_nonzero_unbalanced(slashed: CreditOf<Test>) {
        Burnt::mutate(|burnt| *burnt += slashed.peek());
    }
}

/// An equivocation of some kind.
pub(crate) struct Equivocation {
    pub(crate) offender: u64,
    pub(crate) session: SessionIndex,
    pub(crate) slot: u64,
    /// Per cent for the first offender; each other at the same time adds as much.
    pub(crate) percent: u32,
}

impl Offence<(u64, ())> for Equivocation {
    const ID: Kind = *b"mock:equivocatio";
    type Slot = u64;

    fn offenders(&self) -> Vec<(u64, ())> {
        vec![(self.offender, ())]
    }

    fn session_index(&self) -> SessionIndex {
        self.session
    }

    fn validator_set_count(&self) -> u32 {
        GENESIS.len() as u32
    }

    fn slot(&self) -> u64 {
        self.slot
    }

    fn slash_fraction(&self, offenders: u32) -> Perbill {
        Perbill::from_percent((self.percent * offenders).min(100))
    }
}

/// Reports that `offender` has equivocated in this session.
pub(crate) fn report(offender: u64, percent: u32) {
    Slot::mutate(|slot| *slot += 1);
    report_of(offender, Session::current_index(), Slot::get(), percent).unwrap();
}

pub(crate) fn report_of(offender: u64, session: SessionIndex, slot: u64, percent: u32) -> Result<(), OffenceError> {
    Offences::report_offence(vec![], Equivocation { offender, session, slot, percent })
}

pub(crate) fn signed(who: u64) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// Gives `who` session keys.
pub(crate) fn set_keys(who: u64) {
    <Session as SessionInterface>::set_keys(&who, Keys { dummy: UintAuthorityId(who) }).unwrap();
}

/// Makes `who` a candidate with keys.
pub(crate) fn candidate(who: u64, bond: u128) {
    set_keys(who);
    Staking::validate(signed(who), Ppm(100_000), bond).unwrap();
}

pub(crate) fn delegate(who: u64, validator: u64, amount: u128) {
    Staking::delegate(signed(who), validator, amount, Percent::zero()).unwrap();
}

/// Blocks go by, with all hooks.
pub(crate) fn run_to_block(last: u64) {
    while System::block_number() < last {
        let next = System::block_number() + 1;
        System::reset_events();
        System::initialize(&next, &Default::default(), &Default::default());
        AllPalletsWithSystem::on_initialize(next);
        <AllPalletsWithSystem as frame_support::traits::OnFinalize<u64>>::on_finalize(next);
    }
}

pub(crate) fn run_blocks(count: u64) {
    run_to_block(System::block_number() + count);
}

/// Goes to the first block of session `index`.
pub(crate) fn run_to_session(index: u32) {
    run_to_block(u64::from(index) * SESSION);
    assert_eq!(Session::current_index(), index);
}

/// Goes to the first block of era `era`.
pub(crate) fn run_to_era(era: u32) {
    run_to_session(era * SessionsPerEra::get());
    assert_eq!(ActiveEra::<Test>::get(), era);
}

/// Goes to the second block of era `era`, in which due slashes and payouts have begun.
pub(crate) fn run_into_era(era: u32) {
    run_to_era(era);
    run_blocks(1);
}

pub(crate) fn held(kind: BondKind, who: u64) -> u128 {
    Balances::balance_on_hold(&HoldReason::from(kind).into(), &who)
}

pub(crate) fn free(who: u64) -> u128 {
    Balances::balance(&who)
}

/// Events of this pallet since the block began.
pub(crate) fn events() -> Vec<Event<Test>> {
    let ours = |record: EventRecord<RuntimeEvent, _>| match record.event {
        RuntimeEvent::Staking(event) => Some(event),
        _ => None,
    };
    System::events().into_iter().filter_map(ours).collect()
}

pub(crate) fn last_event() -> Event<Test> {
    events().pop().unwrap()
}

/// Four validators, one of them with a delegator, and 30 accounts with [`FUNDS`].
pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    genesis(GENESIS.map(|who| (who, BOND, Ppm(100_000))).to_vec(), vec![(DELEGATOR, 1, 5_000)])
}

/// As [`new_test_ext`], with other validators and delegations.
pub(crate) fn genesis(
    validators: Vec<(u64, u128, Ppm)>,
    delegations: Vec<(u64, u64, u128)>,
) -> sp_io::TestExternalities {
    // What tests of the same thread have changed.
    Author::set(None);
    Minted::set(0);
    Burnt::set(0);
    Allowance::set((0, BUDGET));
    let balances = (1..=30).map(|who| (who, FUNDS)).collect();
    let keys = GENESIS.map(|who| (who, who, Keys { dummy: UintAuthorityId(who) })).to_vec();
    let config = RuntimeGenesisConfig {
        balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
        staking: GenesisConfig { validators, delegations },
        session: pallet_session::GenesisConfig { keys, ..Default::default() },
        ..Default::default()
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a test, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Staking::do_try_state().unwrap();
    });
}
