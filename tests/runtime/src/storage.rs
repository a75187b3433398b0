//! What an entry takes of the state, and whether its deposit pays for it. The page about it has these figures.

use super::preset;
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::{BatchRoot, HardwareId},
    payment::Voucher,
    receipt::AnchorPayload,
    worker::{Heartbeat, Region, Roles, WorkerInfo},
};
use blyan_runtime::{
    configs::{
        experts::BlockDeposit,
        inference::{AnchorDeposit, ChannelDeposit, ServedDeposit},
        session::KeyDeposit,
        workers::WorkerDeposit,
    },
    constants::currency::{deposit, BLY, MILLI},
    AccountId, Balance, BlockNumber, Runtime, RuntimeCall, UncheckedExtrinsic,
};
use codec::{Encode, MaxEncodedLen};
use frame_system::offchain::CreateAuthorizedTransaction;
use polkadot_sdk::*;
use sp_core::sr25519;
use sp_keyring::Sr25519Keyring::{Alice, Bob};

/// The page.
const PAGE: &str = include_str!("../../../docs/protocol.md");
/// Every key of a map begins with the hashes of pallet and map, which the trie keeps once.
const PREFIX: usize = 32;

/// A key, and the longest value under it.
type Entry = (Vec<u8>, usize);

/// A value of at most `V`'s length under `key`.
fn entry<V: MaxEncodedLen>(key: Vec<u8>) -> Entry {
    (key, V::max_encoded_len())
}

/// A line of the page: what it is, its entries, and what is held for it.
fn line(what: &str, entries: &[Entry], held: Option<Balance>) -> String {
    let (keys, values) = bytes(entries);
    let held = match held {
        None => "–".to_owned(),
        Some(held) => format!("{}.{:04} BLY", held / BLY, held % BLY / (MILLI / 10)),
    };
    format!("| {what} | {} | {keys} | {values} | {held} |", entries.len())
}

fn bytes(entries: &[Entry]) -> (usize, usize) {
    (entries.iter().map(|(key, _)| key.len() - PREFIX).sum(), entries.iter().map(|(_, value)| value).sum())
}

fn who() -> AccountId {
    Alice.to_account_id()
}

fn anchor() -> Vec<Entry> {
    type Anchors = pallet_blyan_inference::Anchors<Runtime>;
    vec![entry::<pallet_blyan_inference::AnchorOf<Runtime>>(Anchors::hashed_key_for(who(), 7))]
}

fn served() -> Vec<Entry> {
    vec![entry::<pallet_blyan_inference::Served>(pallet_blyan_inference::ServedBy::<Runtime>::hashed_key_for(who()))]
}

fn channel() -> Vec<Entry> {
    use pallet_blyan_inference::{ChannelOf, Channels, ChannelsByPayer};

    vec![
        entry::<ChannelOf<Runtime>>(Channels::<Runtime>::hashed_key_for(7)),
        entry::<()>(ChannelsByPayer::<Runtime>::hashed_key_for(who(), 7)),
    ]
}

fn block() -> Vec<Entry> {
    use pallet_blyan_experts::{BlockEntryOf, Blocks, RegistrationOf, Registrations};

    let name = blyan_primitives::ids::ContentHash([7; 32]);
    vec![
        entry::<BlockEntryOf<Runtime>>(Blocks::<Runtime>::hashed_key_for(name)),
        entry::<RegistrationOf<Runtime>>(Registrations::<Runtime>::hashed_key_for(name, who())),
    ]
}

fn head() -> Vec<Entry> {
    let key = pallet_blyan_experts::Heads::<Runtime>::iter_keys().next().expect("the genesis model has heads");
    let key = pallet_blyan_experts::Heads::<Runtime>::hashed_key_for(key);
    vec![entry::<pallet_blyan_experts::Head<BlockNumber>>(key)]
}

fn spec() -> Vec<Entry> {
    let (id, _) = blyan_runtime::Meta::active().remove(0);
    vec![entry::<pallet_blyan_meta::SpecRecord<BlockNumber>>(pallet_blyan_meta::Specs::<Runtime>::hashed_key_for(id))]
}

/// What a worker says of itself that has two addresses.
fn information() -> WorkerInfo {
    let addresses = [&b"http://203.0.113.7:8080"[..], b"/ip4/203.0.113.7/udp/4001/quic-v1"];
    WorkerInfo {
        key: [7; 32],
        peer_id: [&[0x00, 36][..], &[1; 36]].concat().try_into().unwrap(),
        addresses: addresses.map(|address| address.to_vec().try_into().unwrap()).to_vec().try_into().unwrap(),
        region: Region::new("DE").unwrap(),
        hardware: HardwareProfile { ram_mib: 65_536, cpu_threads: 16, ..Default::default() },
        hardware_id: HardwareId([3; 32]),
        roles: Roles::SERVE,
    }
}

fn worker(record: usize) -> Vec<Entry> {
    use pallet_blyan_workers::{Hardware, HardwareBindingOf, Keys, LastHeartbeat, Standings, Workers};

    vec![
        (Workers::<Runtime>::hashed_key_for(who()), record),
        entry::<AccountId>(Keys::<Runtime>::hashed_key_for([7; 32])),
        entry::<HardwareBindingOf<Runtime>>(Hardware::<Runtime>::hashed_key_for(HardwareId([3; 32]))),
        entry::<u32>(LastHeartbeat::<Runtime>::hashed_key_for(who())),
        entry::<blyan_primitives::trust::Standing>(Standings::<Runtime>::hashed_key_for(who())),
    ]
}

fn candidate() -> Vec<Entry> {
    vec![entry::<pallet_blyan_staking::Candidate>(pallet_blyan_staking::Candidates::<Runtime>::hashed_key_for(who()))]
}

fn session_keys() -> Vec<Entry> {
    use pallet_session::{KeyOwner, NextKeys};

    let owner = |kind| entry::<AccountId>(KeyOwner::<Runtime>::hashed_key_for((kind, [7u8; 32].to_vec())));
    vec![
        (NextKeys::<Runtime>::hashed_key_for(who()), 2 * sr25519::Public::max_encoded_len()),
        owner(sp_consensus_babe::KEY_TYPE),
        owner(sp_consensus_grandpa::KEY_TYPE),
    ]
}

/// With its place in the list of those that its delegator delegates to.
fn delegation() -> Vec<Entry> {
    use pallet_blyan_staking::{Delegation, Delegations, Delegators};

    vec![
        entry::<Delegation>(Delegations::<Runtime>::hashed_key_for(who(), Bob.to_account_id())),
        (Delegators::<Runtime>::hashed_key_for(who()), 1 + AccountId::max_encoded_len()),
    ]
}

fn exposure() -> Vec<Entry> {
    use pallet_blyan_staking::{Exposure, Exposures};

    vec![entry::<Exposure>(Exposures::<Runtime>::hashed_key_for(7, who()))]
}

fn exposure_page() -> Vec<Entry> {
    use pallet_blyan_staking::{ExposurePages, PageOf};

    vec![entry::<PageOf<Runtime>>(ExposurePages::<Runtime>::hashed_key_for((7, who(), 0)))]
}

fn referendum_vote() -> Vec<Entry> {
    vec![entry::<bool>(pallet_blyan_dao::Votes::<Runtime>::hashed_key_for(7, HardwareId([3; 32])))]
}

fn poll() -> Vec<Entry> {
    vec![entry::<pallet_blyan_dao::PollOf<Runtime>>(pallet_blyan_dao::Polls::<Runtime>::hashed_key_for(7))]
}

fn poll_vote() -> Vec<Entry> {
    vec![entry::<u8>(pallet_blyan_dao::PollVotes::<Runtime>::hashed_key_for(7, HardwareId([3; 32])))]
}

/// What sessions leave behind, whose offences can still be reported.
fn session() -> Vec<Entry> {
    use pallet_session::historical::HistoricalSessions;

    vec![entry::<(sp_core::H256, u32)>(HistoricalSessions::<Runtime>::hashed_key_for(7))]
}

/// Entries of which anybody can make as many as the deposit allows, and the deposit.
fn paid() -> Vec<(&'static str, Vec<Entry>, Balance)> {
    type Record = pallet_blyan_workers::WorkerRecord<BlockNumber>;
    let record = Record { info: information(), tier: blyan_primitives::hardware::Tier::CPU, registered_at: 7 };
    vec![
        ("anchor", anchor(), AnchorDeposit::get()),
        ("totals of a worker, with its first anchor", served(), ServedDeposit::get()),
        ("channel", channel(), ChannelDeposit::get()),
        ("block of weights, and one account's word for it", block(), BlockDeposit::get()),
        ("worker with two addresses", worker(record.encoded_size()), WorkerDeposit::get()),
        (
            "worker with as many and as long addresses as can be",
            worker(Record::max_encoded_len()),
            WorkerDeposit::get(),
        ),
        ("a validator's session keys", session_keys(), KeyDeposit::get()),
    ]
}

/// Entries that something else bounds.
fn bounded() -> Vec<(&'static str, Vec<Entry>)> {
    vec![
        ("head of a slot", head()),
        ("specification", spec()),
        ("validator's candidacy", candidate()),
        ("delegation", delegation()),
        ("exposure of a validator in an era", exposure()),
        ("page of 64 delegations in an exposure", exposure_page()),
        ("vote on a referendum", referendum_vote()),
        ("poll", poll()),
        ("vote in a poll", poll_vote()),
        ("session whose offences can be reported", session()),
    ]
}

/// Lengths of transactions that the blocks keep.
fn transactions() -> Vec<String> {
    fn authorised<C>(call: C) -> UncheckedExtrinsic
    where
        RuntimeCall: From<C>,
    {
        <Runtime as CreateAuthorizedTransaction<C>>::create_authorized_transaction(call.into())
    }

    let signature = sr25519::Signature::default();
    let payload = AnchorPayload {
        worker: who(),
        sequence: 100_000,
        root: BatchRoot([7; 32]),
        count: 64,
        tokens: 50_000,
        expires_at: 100_000,
    };
    let anchor = authorised(pallet_blyan_inference::Call::<Runtime>::anchor { payload, signature });
    let heartbeat = Heartbeat { worker: who(), period: 5_000, expires_at: 100_000 };
    let heartbeat = authorised(pallet_blyan_workers::Call::<Runtime>::heartbeat { heartbeat, signature });
    let voucher = Voucher { channel: 7, cumulative: BLY };
    let redeem = pallet_blyan_inference::Call::<Runtime>::redeem { voucher, signature: signature.into() };
    let redeem = UncheckedExtrinsic::new_signed(
        redeem.into(),
        who().into(),
        signature.into(),
        <Runtime as CreateAuthorizedTransaction<pallet_blyan_inference::Call<Runtime>>>::create_extension(),
    );
    [("anchor", anchor), ("heartbeat", heartbeat), ("redemption of a voucher", redeem)]
        .map(|(what, transaction)| format!("| {what} | {} |", transaction.encoded_size()))
        .to_vec()
}

#[test]
fn the_page_about_storage_has_the_figures_of_this_runtime() {
    preset("tiny_development").execute_with(|| {
        let mut lines: Vec<_> = paid().iter().map(|(what, entries, held)| line(what, entries, Some(*held))).collect();
        lines.extend(bounded().iter().map(|(what, entries)| line(what, entries, None)));
        lines.extend(transactions());
        let missing: Vec<_> = lines.iter().filter(|line| !PAGE.contains(line.as_str())).collect();
        assert!(
            missing.is_empty(),
            "docs/protocol.md does not have these lines:\n{missing:#?}\nof\n{}",
            lines.join("\n")
        );
    });
}

#[test]
fn deposits_pay_for_every_byte_and_all_but_that_of_anchors_for_every_entry() {
    preset("tiny_development").execute_with(|| {
        for (what, entries, held) in paid() {
            let (keys, values) = bytes(&entries);
            let items = if what == "anchor" { 0 } else { entries.len() };
            let price = deposit(items as u32, (keys + values) as u32);
            assert!(held >= price, "{what}: {held} is held for {items} entries of {keys} + {values} bytes, {price}");
        }
    });
}
