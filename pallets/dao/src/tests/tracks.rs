//! The terms of each track, and whose calls it decides.

use crate::{mock::*, tracks_of, EnsureCancelSlash, EnsurePact, EnsureTreasury, Origin, Tracks};
use crate::{CANCEL_SLASH, PACT, ROOT, TREASURY};
use blyan_primitives::pact::{Network, NetworkKind, Pact, Ppm};
use frame_support::{assert_noop, assert_ok, traits::EnsureOrigin};
use frame_system::RawOrigin;
use pallet_referenda::{TrackInfo, TracksInfo};
use polkadot_sdk::*;
use sp_runtime::{traits::BadOrigin, Perbill};

fn info(id: crate::TrackId) -> TrackInfo<u128, u32> {
    <Tracks<Test> as TracksInfo<u128, u32>>::info(id).unwrap().into_owned()
}

#[test]
fn tracks_are_in_order_and_have_names() {
    run(|| {
        let ids: Vec<_> = <Tracks<Test> as TracksInfo<u128, u32>>::track_ids().collect();
        assert_eq!(ids, [ROOT, PACT, TREASURY, CANCEL_SLASH]);
        assert_eq!(ids, [0, 1, 2, 3]);
        assert_ok!(<Tracks<Test> as TracksInfo<u128, u32>>::check_integrity());
        let names = ids.iter().map(|id| String::from_utf8(info(*id).name.to_vec()).unwrap());
        let names: Vec<_> = names.map(|name| name.trim_end_matches('\0').to_string()).collect();
        assert_eq!(names, ["root", "pact", "treasury", "cancel_slash"]);
        assert!(<Tracks<Test> as TracksInfo<u128, u32>>::info(4).is_none());
    });
}

#[test]
fn the_pact_sets_the_terms_at_any_time() {
    run(|| {
        let terms = pact().governance;
        let root = info(ROOT);
        assert_eq!(
            (root.prepare_period, root.decision_period, root.confirm_period, root.min_enactment_period),
            (terms.prepare, terms.decision, terms.confirm, terms.enactment)
        );
        assert_eq!(root.decision_deposit, terms.decision_deposit);
        Terms::mutate(|pact| pact.governance.decision = 77);
        assert_eq!([ROOT, PACT, TREASURY].map(|id| info(id).decision_period), [77; 3]);
        assert_eq!(info(CANCEL_SLASH).decision_period, terms.cancel_decision);
    });
}

#[test]
fn cancelling_a_slash_is_decided_within_its_dispute() {
    for network in [Network::PUBLIC, Network::LOCAL] {
        let pact = Pact::default_for(network.kind);
        let track = tracks_of::<u32>(&pact.governance)[usize::from(CANCEL_SLASH)].info.clone();
        let vote = track.prepare_period + track.decision_period + track.confirm_period + track.min_enactment_period;
        assert!(vote <= pact.staking.dispute * network.era_slots());
        assert_eq!((track.prepare_period, track.max_deciding), (0, u32::MAX));
    }
}

#[test]
fn what_is_needed_falls_evenly_to_what_the_pact_says() {
    let pact = Pact::default_for(NetworkKind::Public).governance;
    let root = &tracks_of::<u32>(&pact)[usize::from(ROOT)].info;
    let at = |percent| Perbill::from_percent(percent);
    let (last_approval, last_support) = (Perbill::from_parts(666_667_000), at(25));
    assert_eq!(root.min_approval.threshold(at(0)), at(100));
    assert_eq!(root.min_approval.threshold(at(100)), last_approval);
    assert_eq!(root.min_support.threshold(at(0)), at(50));
    assert_eq!(root.min_support.threshold(at(50)), Perbill::from_parts(375_000_000));
    assert_eq!(root.min_support.threshold(at(100)), last_support);
}

#[test]
fn support_never_rises_even_where_the_pact_asks_for_half() {
    let mut pact = pact().governance;
    pact.root_support = Ppm(500_000);
    let root = &tracks_of::<u32>(&pact)[usize::from(ROOT)].info;
    for percent in [0, 50, 100] {
        assert_eq!(root.min_support.threshold(Perbill::from_percent(percent)), Perbill::from_percent(50));
    }
}

#[test]
fn each_origin_has_its_track() {
    run(|| {
        let call = || RuntimeCall::System(frame_system::Call::remark { remark: vec![] });
        assert_eq!(submit(RawOrigin::Root, call()).map(track_of), Ok(ROOT));
        assert_eq!(submit(Origin::Pact, call()).map(track_of), Ok(PACT));
        assert_eq!(submit(Origin::Treasury, call()).map(track_of), Ok(TREASURY));
        assert_eq!(submit(Origin::CancelSlash, call()).map(track_of), Ok(CANCEL_SLASH));
        let none = Err(pallet_referenda::Error::<Test>::NoTrack.into());
        assert_eq!(submit(RawOrigin::Signed(1), call()), none);
        assert_eq!(submit(RawOrigin::None, call()), none);
    });
}

#[test]
fn each_origin_is_let_through_where_it_belongs() {
    let passes = |origin: fn() -> RuntimeOrigin| {
        [
            EnsurePact::try_origin(origin()).is_ok(),
            EnsureTreasury::try_origin(origin()).is_ok(),
            EnsureCancelSlash::try_origin(origin()).is_ok(),
        ]
    };
    assert_eq!(passes(|| Origin::Pact.into()), [true, false, false]);
    assert_eq!(passes(|| Origin::Treasury.into()), [false, true, false]);
    assert_eq!(passes(|| Origin::CancelSlash.into()), [false, false, true]);
    assert_eq!(passes(RuntimeOrigin::root), [false; 3]);
    assert_eq!(passes(|| signed(1)), [false; 3]);
}

#[test]
fn polls_are_opened_by_governance_alone() {
    run(|| {
        assert_noop!(Dao::open_poll(signed(1), SUBJECT, 2), BadOrigin);
        assert_noop!(Dao::open_poll(Origin::Treasury.into(), SUBJECT, 2), BadOrigin);
        assert_ok!(Dao::open_poll(Origin::Pact.into(), SUBJECT, 2));
        assert_ok!(Dao::open_poll(RuntimeOrigin::root(), SUBJECT, 2));
    });
}
