//! The life of a block, and the count of its uses.

use crate::{pallet::*, BlockEntry, Deposit};
use blyan_primitives::{
    block::{header_hash, BlockHeader, BlockKind, BlockRecord, Form, HeaderError, PayloadType, MAX_ONCHAIN_HEADER_LEN},
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
        ensure!(!Blocks::<T>::contains_key(block), Error::<T>::AlreadyRegistered);
        let header = BlockHeader::decode_checked(header_bytes, MAX_ONCHAIN_HEADER_LEN).map_err(Error::<T>::from)?;
        let record = BlockRecord::new(&header, header_bytes.len() as u32, master, podl).map_err(Error::<T>::from)?;
        let served_expert = header.kind == BlockKind::Expert
            && header.form == Form::Serving
            && header.payload == PayloadType::TensorBlock;
        ensure!(!served_expert || header.expert_shape().is_some(), Error::<T>::UnfitExpert);
        if let Some(master) = master {
            ensure!(header.form == Form::Serving, Error::<T>::MasterOfMaster);
            let record = Self::record(master).ok_or(Error::<T>::UnknownMaster)?;
            ensure!(record.form == Form::Master && record.kind == header.kind, Error::<T>::NotAMaster);
            Self::acquire(master).map_err(Error::<T>::from)?;
        }
        let amount = T::BlockDeposit::get();
        T::Currency::hold(&HoldReason::BlockDeposit.into(), &owner, amount)?;
        let deposit = Some(Deposit { owner: owner.clone(), amount });
        let registered_at = frame_system::Pallet::<T>::block_number();
        Blocks::<T>::insert(block, BlockEntry { record, deposit, uses: 0, registered_at });
        Self::deposit_event(Event::BlockRegistered { block, owner });
        Ok(())
    }

    pub(crate) fn do_unregister(who: T::AccountId, block: ContentHash) -> DispatchResult {
        let entry = Blocks::<T>::get(block).ok_or(Error::<T>::UnknownBlock)?;
        let Deposit { owner, amount } = entry.deposit.ok_or(Error::<T>::NotOwner)?;
        ensure!(owner == who, Error::<T>::NotOwner);
        ensure!(entry.uses == 0, Error::<T>::InUse);
        Blocks::<T>::remove(block);
        if let Some(master) = entry.record.master {
            Self::release(master);
        }
        T::Currency::release(&HoldReason::BlockDeposit.into(), &owner, amount, Precision::Exact)?;
        Self::deposit_event(Event::BlockUnregistered { block, owner });
        Ok(())
    }

    /// Registers the blocks of the genesis model.
    ///
    /// Panics when a block is given twice: such a chain must not start.
    pub(crate) fn build_genesis_blocks(blocks: &[(ContentHash, BlockRecord)]) {
        for (block, record) in blocks {
            assert!(!Blocks::<T>::contains_key(block), "genesis block {block} is given twice");
            let entry =
                BlockEntry { record: record.clone(), deposit: None, uses: 0, registered_at: Default::default() };
            Blocks::<T>::insert(block, entry);
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
