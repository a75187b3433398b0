//! The life of a block, and the count of its uses.

use crate::{pallet::*, BlockEntry, Registration};
use blyan_primitives::{
    block::{header_hash, BlockHeader, BlockKind, BlockRecord, Form, HeaderError, MAX_ONCHAIN_HEADER_LEN},
    ids::ContentHash,
    traits::{BlockRegistry, BlockUses, UseError},
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{fungible::MutateHold, tokens::Precision},
};
use polkadot_sdk::*;

impl<T: Config> From<HeaderError> for Error<T> {
    fn from(error: HeaderError) -> Self {
        match error {
            // The call's argument is bounded: a header that is too long is not even decoded.
            HeaderError::TooLong | HeaderError::TooMany => Self::HeaderTooLarge,
            HeaderError::Malformed => Self::MalformedHeader,
            HeaderError::Name => Self::InvalidTensorName,
            HeaderError::Shape => Self::InvalidTensorShape,
            HeaderError::Offset => Self::MisplacedTensor,
        }
    }
}

impl<T: Config> From<UseError> for Error<T> {
    fn from(error: UseError) -> Self {
        match error {
            UseError::Unknown => Self::UnknownBlock,
            UseError::TooMany => Self::TooManyUses,
        }
    }
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_register(
        owner: T::AccountId,
        header_bytes: &[u8],
        master: Option<ContentHash>,
        podl: Option<[u8; 32]>,
    ) -> DispatchResult {
        let block = header_hash(header_bytes);
        ensure!(!Registrations::<T>::contains_key(block, &owner), Error::<T>::AlreadyRegistered);
        let registered_at = frame_system::Pallet::<T>::block_number();
        let mut entry = match Blocks::<T>::get(block) {
            Some(entry) => entry,
            None => {
                let record = Self::read(header_bytes)?;
                BlockEntry { record, genesis: false, registrants: 0, uses: 0, registered_at }
            },
        };
        if let Some(master) = master {
            Self::derive(&owner, &entry.record, master)?;
        }
        let deposit = T::BlockDeposit::get();
        T::Currency::hold(&HoldReason::BlockDeposit.into(), &owner, deposit)?;
        entry.registrants = entry.registrants.saturating_add(1);
        Blocks::<T>::insert(block, entry);
        Registrations::<T>::insert(block, &owner, Registration { master, podl, deposit, derived: 0, registered_at });
        Self::deposit_event(Event::BlockRegistered { block, owner });
        Ok(())
    }

    /// The record of a block with this header, which nobody has registered yet.
    fn read(header_bytes: &[u8]) -> Result<BlockRecord, Error<T>> {
        let header = BlockHeader::decode_checked(header_bytes, MAX_ONCHAIN_HEADER_LEN)?;
        let record = BlockRecord::new(&header, header_bytes.len() as u32, None, None)?;
        let served_expert = record.is_serving(BlockKind::Expert);
        ensure!(!served_expert || header.served_expert_shape().is_some(), Error::<T>::UnfitExpert);
        Ok(record)
    }

    /// Takes note that `who` says of a block that it was derived from `master`, which must stay as long as that is said.
    /// Nobody is bound by what others say: `master` is of the genesis model, or `who` has registered it too.
    fn derive(who: &T::AccountId, record: &BlockRecord, master: ContentHash) -> Result<(), Error<T>> {
        ensure!(record.form == Form::Serving, Error::<T>::MasterOfMaster);
        let entry = Blocks::<T>::get(master).ok_or(Error::<T>::UnknownMaster)?;
        let fits = entry.record.form == Form::Master && entry.record.kind == record.kind;
        ensure!(fits, Error::<T>::NotAMaster);
        if entry.genesis {
            return Ok(());
        }
        let mut own = Registrations::<T>::get(master, who).ok_or(Error::<T>::UnknownMaster)?;
        own.derived = own.derived.checked_add(1).ok_or(Error::<T>::TooManyUses)?;
        Registrations::<T>::insert(master, who, own);
        Ok(())
    }

    pub(crate) fn do_unregister(who: T::AccountId, block: ContentHash) -> DispatchResult {
        let mut entry = Blocks::<T>::get(block).ok_or(Error::<T>::UnknownBlock)?;
        let registration = Registrations::<T>::get(block, &who).ok_or(Error::<T>::NotOwner)?;
        ensure!(registration.derived == 0, Error::<T>::InUse);
        entry.registrants = entry.registrants.saturating_sub(1);
        if entry.registrants == 0 && !entry.genesis {
            ensure!(entry.uses == 0, Error::<T>::InUse);
            Blocks::<T>::remove(block);
        } else {
            Blocks::<T>::insert(block, entry);
        }
        Registrations::<T>::remove(block, &who);
        if let Some(master) = registration.master {
            // Nothing was counted where the master is of the genesis model, and there is nothing to count down.
            Registrations::<T>::mutate(master, &who, |own| {
                if let Some(own) = own.as_mut() {
                    own.derived = own.derived.saturating_sub(1);
                }
            });
        }
        T::Currency::release(&HoldReason::BlockDeposit.into(), &who, registration.deposit, Precision::Exact)?;
        Self::deposit_event(Event::BlockUnregistered { block, owner: who });
        Ok(())
    }

    /// Registers the blocks of the genesis model.
    ///
    /// Panics when a block is given twice: such a chain must not start.
    pub(crate) fn build_genesis_blocks(blocks: &[(ContentHash, BlockRecord)]) {
        for (block, record) in blocks {
            assert!(!Blocks::<T>::contains_key(block), "genesis block {block} is given twice");
            let record = record.clone();
            let registered_at = Default::default();
            Blocks::<T>::insert(block, BlockEntry { record, genesis: true, registrants: 0, uses: 0, registered_at });
        }
        for (block, record) in blocks {
            // A master that is not among the blocks is a name only: nobody has to store it.
            let Some((hash, master)) = record.master.and_then(|hash| Some((hash, Self::record(hash)?))) else {
                continue;
            };
            assert!(
                record.form == Form::Serving && master.form == Form::Master && master.kind == record.kind,
                "genesis block {block} cannot be derived from {hash}"
            );
            assert!(Self::acquire(hash).is_ok(), "genesis block {hash} has too many uses");
        }
    }

    pub(crate) fn record(block: ContentHash) -> Option<BlockRecord> {
        Blocks::<T>::get(block).map(|entry| entry.record)
    }
}

impl<T: Config> BlockRegistry for Pallet<T> {
    fn block(hash: ContentHash) -> Option<BlockRecord> {
        Self::record(hash)
    }
}

impl<T: Config> BlockUses for Pallet<T> {
    fn acquire(hash: ContentHash) -> Result<(), UseError> {
        Blocks::<T>::try_mutate(hash, |entry| {
            let entry = entry.as_mut().ok_or(UseError::Unknown)?;
            entry.uses = entry.uses.checked_add(1).ok_or(UseError::TooMany)?;
            Ok(())
        })
    }

    fn release(hash: ContentHash) {
        Blocks::<T>::mutate(hash, |entry| {
            if let Some(entry) = entry.as_mut() {
                entry.uses = entry.uses.saturating_sub(1);
            }
        });
    }
}
