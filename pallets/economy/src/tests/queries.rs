use crate::{mock::*, Issuance, PoolStatus, TreasuryStatus};
use blyan_primitives::traits::{Payout, Pool};
use frame_support::assert_ok;
use polkadot_sdk::*;

#[test]
fn pools_are_shown_with_account_balance_and_budget() {
    run(|| {
        assert_ok!(Economy::fund_pool(signed(1), Pool::Learning, 500 + ED));
        assert_eq!(Economy::pay(Pool::Learning, &account(2), 1_500), 1_500);
        assert_ok!(Economy::fund_pool(signed(1), Pool::Learning, 200));
        let pools = Economy::pools();
        assert_eq!(pools.iter().map(|status| status.pool).collect::<Vec<_>>(), Pool::ALL);
        let expected = PoolStatus {
            pool: Pool::Learning,
            account: Economy::pool_account(Pool::Learning),
            balance: 200 + ED,
            budget: 5_000,
            spent: 1_000,
            available: 4_200,
        };
        assert_eq!(pools[1], expected);
        assert_eq!((pools[0].balance, pools[0].budget, pools[0].spent, pools[0].available), (0, 2_000, 0, 2_000));
        Era::set(8);
        assert_eq!(Economy::pools()[1], PoolStatus { spent: 0, available: 5_200, ..expected });
    });
}

#[test]
fn the_treasury_is_shown() {
    run(|| {
        let account = Economy::treasury_account();
        let empty = TreasuryStatus { account: account.clone(), balance: 0, available: 0 };
        assert_eq!(Economy::treasury(), empty);
        assert_ok!(Balances::transfer_keep_alive(signed(1), account.clone(), 500));
        assert_eq!(Economy::treasury(), TreasuryStatus { account, balance: 500, available: 500 - ED });
    });
}

#[test]
fn issuance_is_shown() {
    run(|| {
        assert_eq!(Economy::pay(Pool::Learning, &account(2), 1_000), 1_000);
        drop(take(1, 300));
        let expected = Issuance {
            cap: CAP,
            allocated: ALLOCATED,
            minted: ALLOCATED + 1_000,
            issuance: ALLOCATED + 700,
            burnt: 300,
            halvings: 0,
            era: 7,
            era_budget: ERA_EMISSION,
        };
        assert_eq!(Economy::issuance(), expected);
    });
}
