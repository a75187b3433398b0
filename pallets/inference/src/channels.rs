//! The life of a payment channel.

use crate::{pallet::*, Channel};
use blyan_primitives::{
    payment::{ChannelId, Voucher},
    traits::WorkerRegistry,
    worker::Roles,
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
    },
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::{Saturating, Verify};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_open(
        payer: T::AccountId,
        gateway: T::AccountId,
        amount: Balance,
        duration: BlockNumberFor<T>,
    ) -> DispatchResult {
        ensure!(payer != gateway, Error::<T>::OwnGateway);
        ensure!(amount >= T::MinEscrow::get(), Error::<T>::BelowMinEscrow);
        let allowed = T::NoticePeriod::get()..=T::MaxChannelLifetime::get();
        ensure!(allowed.contains(&duration), Error::<T>::InvalidDuration);
        let serves = T::Workers::roles(&gateway).is_some_and(|roles| roles.contains(Roles::GATEWAY));
        ensure!(serves, Error::<T>::NotAGateway);
        let deposit = T::ChannelDeposit::get();
        let held = amount.checked_add(deposit).ok_or(Error::<T>::InvalidAmount)?;
        T::Currency::hold(&HoldReason::Channel.into(), &payer, held)?;
        let channel = NextChannel::<T>::mutate(|next| {
            let id = *next;
            *next = next.saturating_add(1);
            id
        });
        let expires_at = frame_system::Pallet::<T>::block_number().saturating_add(duration);
        ChannelsByPayer::<T>::insert(&payer, channel, ());
        Channels::<T>::insert(
            channel,
            Channel {
                payer: payer.clone(),
                gateway: gateway.clone(),
                escrow: amount,
                redeemed: 0,
                deposit,
                expires_at,
                closes_at: None,
            },
        );
        Self::deposit_event(Event::ChannelOpened { channel, payer, gateway, escrow: amount, expires_at });
        Ok(())
    }

    pub(crate) fn do_top_up(payer: T::AccountId, id: ChannelId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::InvalidAmount);
        let mut channel = Channels::<T>::get(id).ok_or(Error::<T>::UnknownChannel)?;
        ensure!(channel.payer == payer, Error::<T>::NotPayer);
        ensure!(channel.closes_at.is_none(), Error::<T>::ChannelClosing);
        ensure!(!Self::has_ended(&channel), Error::<T>::ChannelEnded);
        channel.escrow = channel.escrow.checked_add(amount).ok_or(Error::<T>::InvalidAmount)?;
        T::Currency::hold(&HoldReason::Channel.into(), &payer, amount)?;
        Self::deposit_event(Event::ChannelToppedUp { channel: id, escrow: channel.escrow });
        Channels::<T>::insert(id, channel);
        Ok(())
    }

    pub(crate) fn do_redeem(voucher: Voucher, signature: &T::OffchainSignature) -> DispatchResult {
        let id = voucher.channel;
        let mut channel = Channels::<T>::get(id).ok_or(Error::<T>::UnknownChannel)?;
        ensure!(!Self::has_ended(&channel), Error::<T>::ChannelEnded);
        let paid = voucher.cumulative.saturating_sub(channel.redeemed);
        ensure!(paid > 0, Error::<T>::VoucherNotNewer);
        ensure!(voucher.cumulative <= channel.escrow, Error::<T>::OverEscrow);
        let genesis = Self::genesis();
        let plain = voucher.signing_hash(genesis.as_ref());
        let signed = signature.verify(plain.as_slice(), &channel.payer)
            || signature.verify(voucher.wrapped_signing_bytes(genesis.as_ref()).as_slice(), &channel.payer);
        ensure!(signed, Error::<T>::BadSignature);
        channel.redeemed = voucher.cumulative;
        // Forced past freezes: a payer cannot lock away by a vote or a vesting schedule what is promised to another.
        T::Currency::transfer_on_hold(
            &HoldReason::Channel.into(),
            &channel.payer,
            &channel.gateway,
            paid,
            Precision::Exact,
            Restriction::Free,
            Fortitude::Force,
        )?;
        Channels::<T>::insert(id, channel);
        Self::deposit_event(Event::VoucherRedeemed { channel: id, paid, cumulative: voucher.cumulative });
        Ok(())
    }

    pub(crate) fn do_request_close(payer: T::AccountId, id: ChannelId) -> DispatchResult {
        let mut channel = Channels::<T>::get(id).ok_or(Error::<T>::UnknownChannel)?;
        ensure!(channel.payer == payer, Error::<T>::NotPayer);
        ensure!(channel.closes_at.is_none(), Error::<T>::ChannelClosing);
        ensure!(!Self::has_ended(&channel), Error::<T>::ChannelEnded);
        channel.closes_at = Some(frame_system::Pallet::<T>::block_number().saturating_add(T::NoticePeriod::get()));
        let closes_at = channel.ends_at();
        Channels::<T>::insert(id, channel);
        Self::deposit_event(Event::CloseRequested { channel: id, closes_at });
        Ok(())
    }

    pub(crate) fn do_close(who: T::AccountId, id: ChannelId) -> DispatchResult {
        let channel = Channels::<T>::get(id).ok_or(Error::<T>::UnknownChannel)?;
        ensure!(who == channel.gateway || Self::has_ended(&channel), Error::<T>::ChannelNotEnded);
        Self::remove(id, channel)
    }

    /// Removes a channel; the rest and the deposit return to the payer.
    pub(crate) fn remove(id: ChannelId, channel: ChannelOf<T>) -> DispatchResult {
        Channels::<T>::remove(id);
        ChannelsByPayer::<T>::remove(&channel.payer, id);
        let returned = channel.escrow.saturating_sub(channel.redeemed);
        let held = returned.saturating_add(channel.deposit);
        T::Currency::release(&HoldReason::Channel.into(), &channel.payer, held, Precision::Exact)?;
        Self::deposit_event(Event::ChannelClosed { channel: id, returned });
        Ok(())
    }

    /// Whether the last block in which a voucher can be redeemed has passed.
    pub(crate) fn has_ended(channel: &ChannelOf<T>) -> bool {
        frame_system::Pallet::<T>::block_number() > channel.ends_at()
    }
}
