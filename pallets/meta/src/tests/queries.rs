use crate::{mock::*, Status};
use blyan_primitives::{
    ids::SpecId,
    spec::ModelSpec,
    version::{SemVer, VersionRange},
};
use frame_support::assert_ok;
use polkadot_sdk::*;

#[test]
fn active_specs_come_with_their_records_the_default_first() {
    run(|| {
        let ids = ["0.1.0", "0.2.0"].map(|version| go_live(&spec(version)));
        let active = Meta::active();
        assert_eq!(active.iter().map(|(id, _)| *id).collect::<Vec<_>>(), vec![ids[1], ids[0]]);
        assert!(active.iter().all(|(id, record)| record.spec.id() == *id && record.status == Status::Active));
        assert_eq!(Meta::spec(ids[0]).as_ref(), Some(&active[1].1));
        assert_eq!(Meta::spec(SpecId([7; 32])), None);
    });
}

#[test]
fn a_version_is_answered_by_the_highest_active_spec_that_is_compatible() {
    run(|| {
        let version = |text: &str| text.parse::<SemVer>().unwrap();
        let first = spec("1.0.0");
        let next = ModelSpec { compatible: VersionRange::caret(version("1.0.0")), ..child(&first, "1.3.0") };
        let breaking = child(&next, "2.0.0");
        for spec in [&first, &next, &breaking] {
            go_live(spec);
        }
        assert_eq!(Meta::spec_for_version(version("1.0.0")), Some(next.id()));
        assert_eq!(Meta::spec_for_version(version("1.2.7")), Some(next.id()));
        assert_eq!(Meta::spec_for_version(version("2.0.1")), Some(breaking.id()));
        assert_eq!(Meta::spec_for_version(version("0.9.0")), None);
        assert_eq!(Meta::spec_for_version(version("3.0.0")), None);
        assert_ok!(Meta::deprecate(RuntimeOrigin::root(), next.id()));
        assert_eq!(Meta::spec_for_version(version("1.0.0")), Some(first.id()));
    });
}

#[test]
fn among_equal_versions_the_latest_activated_answers() {
    run(|| {
        let one = spec("1.0.0");
        let mut other = spec("1.0.0");
        other.dimensions.context = 512;
        go_live(&one);
        go_live(&other);
        assert_eq!(Meta::spec_for_version(SemVer::new(1, 0, 0)), Some(other.id()));
    });
}
