//! Whatever happens, what is held is what channels and anchors say, and nothing is lost.

use crate::{mock::*, HoldReason};
use blyan_primitives::{payment::ChannelId, receipt::AnchorPayload};
use frame_support::{
    traits::{fungible::Inspect, Hooks},
    weights::Weight,
};
use polkadot_sdk::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Open(u128, u64),
    TopUp(ChannelId, u128),
    Redeem(ChannelId, u128),
    RequestClose(ChannelId),
    Close(ChannelId, bool),
    Anchor(u64, u32),
    Prune(u32),
    Sweep,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let channel = 0u64..4;
    prop_oneof![
        3 => (0u128..2_000, 0u64..200).prop_map(|(amount, duration)| Step::Open(amount, duration)),
        2 => (channel.clone(), 0u128..1_000).prop_map(|(id, amount)| Step::TopUp(id, amount)),
        4 => (channel.clone(), 0u128..2_500).prop_map(|(id, cumulative)| Step::Redeem(id, cumulative)),
        1 => channel.clone().prop_map(Step::RequestClose),
        2 => (channel, any::<bool>()).prop_map(|(id, by_gateway)| Step::Close(id, by_gateway)),
        3 => (0u64..4, 0u32..3).prop_map(|(sequence, count)| Step::Anchor(sequence, count)),
        2 => (0u32..6).prop_map(Step::Prune),
        2 => Just(Step::Sweep),
        3 => (1u64..60).prop_map(Step::Wait),
    ]
}

fn total() -> u128 {
    [payer_account(), gateway()].iter().map(Balances::total_balance).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn holds_are_the_sum_of_channels_and_anchors(steps in proptest::collection::vec(step(), 1..60)) {
        new_test_ext().execute_with(|| {
            for step in steps {
                // A refused step changes nothing, which the invariants after it would show.
                let _ = match step {
                    Step::Open(amount, duration) => {
                        Inference::open(signed(payer_account()), gateway(), amount, duration).is_ok()
                    },
                    Step::TopUp(id, amount) => Inference::top_up(signed(payer_account()), id, amount).is_ok(),
                    Step::Redeem(id, cumulative) => redeem(id, cumulative).is_ok(),
                    Step::RequestClose(id) => Inference::request_close(signed(payer_account()), id).is_ok(),
                    Step::Close(id, true) => Inference::close(signed(gateway()), id).is_ok(),
                    Step::Close(id, false) => Inference::close(signed(anyone()), id).is_ok(),
                    Step::Anchor(ahead, count) => {
                        let sequence = Inference::next_sequence(gateway()) + ahead;
                        include(anchor_call(AnchorPayload { count, ..payload(sequence) })).is_ok()
                    },
                    Step::Prune(limit) => Inference::prune(signed(anyone()), gateway(), limit).is_ok(),
                    Step::Sweep => {
                        Inference::on_idle(System::block_number(), Weight::MAX);
                        true
                    },
                    Step::Wait(blocks) => {
                        System::set_block_number(System::block_number() + blocks);
                        true
                    },
                };
                prop_assert_eq!(Inference::do_try_state(), Ok(()));
                prop_assert_eq!(total(), 2 * FUNDS);
            }
            // In the end everybody can have everything back.
            System::set_block_number(System::block_number() + MAX_LIFETIME + 1);
            for (id, _) in Inference::channels_of(payer_account()) {
                prop_assert_eq!(Inference::close(signed(anyone()), id), Ok(()));
            }
            while Inference::prune(signed(anyone()), gateway(), MAX_PRUNE).is_ok() {}
            prop_assert_eq!(held(&payer_account(), HoldReason::Channel), 0);
            let served = Inference::served(gateway());
            prop_assert_eq!(held(&gateway(), HoldReason::AnchorDeposit), served.deposit);
            prop_assert_eq!(served.deposit, if served.next > 0 { SERVED_DEPOSIT } else { 0 });
            Ok(())
        })?;
    }
}
