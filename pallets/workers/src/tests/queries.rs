use crate::{mock::*, MAX_PAGE};
use blyan_primitives::{hardware::Tier, trust::Standing};
use frame_support::assert_ok;
use polkadot_sdk::*;
use std::collections::BTreeSet;

#[test]
fn a_workers_status_is_derived_when_somebody_asks() {
    run(|| {
        assert_eq!(Workers::worker(account(1)), None);
        assert_ok!(register(1));
        let status = Workers::worker(account(1)).unwrap();
        assert_eq!((status.info, status.tier, status.registered_at), (info(1), Tier(7), 1));
        assert_eq!((status.online, status.last_heartbeat, status.bond), (false, None, 10));
        assert_eq!(status.standing, Standing::default());

        System::set_block_number(20);
        assert_eq!(Workers::heartbeat_period(), 2);
        assert_eq!(include(heartbeat_call(1, heartbeat(1, 2, 29), genesis())), Ok(Ok(())));
        let status = Workers::worker(account(1)).unwrap();
        assert_eq!((status.online, status.last_heartbeat), (true, Some(2)));
        System::set_block_number(60);
        assert!(!Workers::worker(account(1)).unwrap().online);
    });
}

#[test]
fn workers_are_found_by_key_and_machine() {
    run(|| {
        assert_ok!(register(1));
        assert_eq!(Workers::worker_by_key(info(1).key), Some(account(1)));
        assert_eq!(Workers::worker_by_key(info(2).key), None);
        let binding = Workers::hardware_binding(info(1).hardware_id).unwrap();
        assert_eq!((binding.owner, binding.deposit, binding.free_at), (account(1), DEPOSIT, None));
        assert_eq!(Workers::hardware_binding(info(2).hardware_id), None);
    });
}

#[test]
fn pages_show_every_worker_once() {
    run(|| {
        for n in 1..=5 {
            assert_ok!(register(n));
        }
        let (mut seen, mut start, mut pages) = (BTreeSet::new(), None, 0);
        loop {
            let page = Workers::workers(start.clone(), 2);
            assert!(page.len() <= 2);
            let Some((last, _)) = page.last() else { break };
            start = Some(last.clone());
            assert!(page.iter().all(|(who, status)| seen.insert(who.clone()) && status.registered_at == 1));
            pages += 1;
        }
        assert_eq!((seen.len(), pages), (5, 3));
        assert_eq!(Workers::workers(None, u32::MAX).len(), 5);
        const { assert!(MAX_PAGE >= 5) };
    });
}
