//! The life of a specification, and what other pallets ask of the registry.

use crate::{pallet::*, SpecRecord, Status};
use alloc::{collections::BTreeMap, vec::Vec};
use blyan_primitives::{
    block::BlockKind,
    ids::{ContentHash, SlotId, SpecId},
    spec::{Dimensions, ModelSpec, SpecError},
    traits::{BlockRegistry, BlockUses, SlotHeads, SpecRegistry, UseError},
    version::SemVer,
};
use frame_support::{ensure, pallet_prelude::DispatchResult};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::{traits::Saturating, DispatchError, TryRuntimeError};

/// The blocks that all experts of a spec share, each with the kind it must have.
fn shared_blocks(spec: &ModelSpec) -> [(ContentHash, BlockKind); 3] {
    [(spec.tokenizer, BlockKind::Tokenizer), (spec.trunk, BlockKind::Trunk), (spec.router, BlockKind::Router)]
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_publish(spec: ModelSpec) -> DispatchResult {
        spec.check().map_err(|error| match error {
            SpecError::Dimensions => Error::<T>::InvalidDimensions,
            SpecError::Name => Error::<T>::InvalidName,
            SpecError::Range => Error::<T>::InvalidRange,
        })?;
        let id = spec.id();
        ensure!(!Specs::<T>::contains_key(id), Error::<T>::AlreadyPublished);
        let lineage = match spec.parent {
            None => id,
            Some(parent) => {
                let parent = Specs::<T>::get(parent).ok_or(Error::<T>::UnknownParent)?;
                ensure!(spec.version.succeeds(parent.spec.version), Error::<T>::VersionNotNewer);
                let shape = spec.dimensions.expert_shape();
                ensure!(parent.spec.dimensions.expert_shape() == shape, Error::<T>::ExpertShapeChanged);
                parent.lineage
            },
        };
        for (hash, kind) in shared_blocks(&spec) {
            let record = T::Blocks::block(hash).ok_or(Error::<T>::UnknownBlock)?;
            ensure!(spec.dimensions.suits(kind, &record), Error::<T>::UnsuitableBlock);
            T::Blocks::acquire(hash).map_err(|error| match error {
                UseError::Unknown => Error::<T>::UnknownBlock,
                UseError::TooMany => Error::<T>::TooManyUses,
            })?;
        }
        let version = spec.version;
        let published_at = frame_system::Pallet::<T>::block_number();
        OpenSpecs::<T>::mutate(lineage, |open| *open = Some(open.unwrap_or_default().saturating_add(1)));
        Specs::<T>::insert(id, SpecRecord { spec, lineage, status: Status::Published, published_at });
        Self::deposit_event(Event::Published { spec: id, lineage, version });
        Ok(())
    }

    /// Activates a spec, and says how many layers' slots were looked at.
    pub(crate) fn do_activate(id: SpecId) -> Result<u16, DispatchError> {
        let record = Specs::<T>::get(id).ok_or(Error::<T>::UnknownSpec)?;
        ensure!(record.status == Status::Published, Error::<T>::NotPublished);
        let mut active = ActiveSpecs::<T>::get();
        let taken = |other: &SpecId| {
            Specs::<T>::get(other)
                .is_some_and(|other| other.lineage == record.lineage && other.spec.version == record.spec.version)
        };
        ensure!(!active.iter().any(taken), Error::<T>::VersionTaken);
        active.try_insert(0, id).map_err(|_| Error::<T>::TooManyActive)?;
        ensure!(Self::is_filled(&record), Error::<T>::EmptySlots);
        ActiveSpecs::<T>::put(active);
        let layers = record.spec.dimensions.layers;
        Specs::<T>::insert(id, SpecRecord { status: Status::Active, ..record });
        Self::deposit_event(Event::Activated { spec: id });
        Ok(layers)
    }

    pub(crate) fn do_deprecate(id: SpecId) -> DispatchResult {
        let record = Specs::<T>::get(id).ok_or(Error::<T>::UnknownSpec)?;
        match record.status {
            Status::Deprecated => return Err(Error::<T>::AlreadyDeprecated.into()),
            Status::Published => {},
            Status::Active => {
                let mut active = ActiveSpecs::<T>::get();
                ensure!(active.len() > 1, Error::<T>::LastActive);
                active.retain(|other| *other != id);
                ActiveSpecs::<T>::put(active);
            },
        }
        for (hash, _) in shared_blocks(&record.spec) {
            T::Blocks::release(hash);
        }
        OpenSpecs::<T>::mutate_exists(record.lineage, |open| {
            *open = open.and_then(|open| open.checked_sub(1)).filter(|open| *open > 0);
        });
        Specs::<T>::insert(id, SpecRecord { status: Status::Deprecated, ..record });
        Self::deposit_event(Event::Deprecated { spec: id });
        Ok(())
    }

    /// Publishes and activates the spec that the chain starts with.
    ///
    /// Panics when it contradicts itself or the registered blocks and heads: such a chain must not start.
    pub(crate) fn build_genesis_spec(spec: &ModelSpec) {
        assert!(spec.parent.is_none(), "the genesis spec {} names a parent", spec.id());
        let id = spec.id();
        let shape = spec.dimensions.expert_shape();
        for layer in 0..spec.dimensions.layers {
            for index in 0..spec.dimensions.experts {
                let slot = SlotId { lineage: id, layer, index };
                let fits = T::Heads::head(&slot)
                    .and_then(T::Blocks::block)
                    .is_some_and(|record| record.serves_as_expert(shape));
                assert!(fits, "slot {slot} of the genesis spec has no head that fits");
            }
        }
        if let Err(error) = Self::do_publish(spec.clone()).and_then(|()| Self::do_activate(id)) {
            panic!("the genesis spec {id} is refused: {error:?}. Its blocks are built first: is the pallet of experts before this one?");
        }
    }

    /// Whether every slot of a spec holds a block. All specs of a lineage give experts the same shape, so whatever its slots
    /// hold fits.
    fn is_filled(record: &SpecRecord<BlockNumberFor<T>>) -> bool {
        let Dimensions { layers, experts, .. } = record.spec.dimensions;
        (0..layers).all(|layer| T::Heads::filled(record.lineage, layer) >= experts)
    }

    fn in_status(id: SpecId, statuses: &[Status]) -> Option<(SpecId, Dimensions)> {
        let record = Specs::<T>::get(id).filter(|record| statuses.contains(&record.status))?;
        Some((record.lineage, record.spec.dimensions))
    }

    pub(crate) fn best_for(version: SemVer) -> Option<SpecId> {
        let mut best: Option<(SemVer, SpecId)> = None;
        for (id, record) in Self::active() {
            let better = best.is_none_or(|(highest, _)| record.spec.version > highest);
            if record.spec.compatible.contains(version) && better {
                best = Some((record.spec.version, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// The active specs of a lineage, the latest activated first.
    fn active_of(lineage: SpecId) -> impl Iterator<Item = Dimensions> {
        let mine = move |id| {
            let record: SpecRecord<BlockNumberFor<T>> = Specs::<T>::get(id)?;
            (record.lineage == lineage).then_some(record.spec.dimensions)
        };
        ActiveSpecs::<T>::get().into_iter().filter_map(mine)
    }

    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let active = ActiveSpecs::<T>::get();
        let mut listed = 0usize;
        let mut open = BTreeMap::<SpecId, u32>::new();
        for (id, record) in Specs::<T>::iter() {
            ensure!(id == record.spec.id(), "a spec is stored under another name");
            match record.spec.parent {
                None => ensure!(record.lineage == id, "a spec without parent is not the start of its lineage"),
                Some(parent) => {
                    let parent = Specs::<T>::get(parent).ok_or("a spec's parent is missing")?;
                    ensure!(parent.lineage == record.lineage, "a spec left its parent's lineage");
                    ensure!(record.spec.version > parent.spec.version, "a spec is not newer than its parent");
                    ensure!(
                        parent.spec.dimensions.expert_shape() == record.spec.dimensions.expert_shape(),
                        "experts of a lineage differ in shape"
                    );
                },
            }
            let is_listed = active.contains(&id);
            ensure!(is_listed == (record.status == Status::Active), "the list of active specs and a status disagree");
            listed = listed.saturating_add(usize::from(is_listed));
            if record.status != Status::Deprecated {
                for (hash, kind) in shared_blocks(&record.spec) {
                    let block = T::Blocks::block(hash).ok_or("a spec's block is not registered")?;
                    ensure!(record.spec.dimensions.suits(kind, &block), "a spec's block does not suit it");
                }
                open.entry(record.lineage).or_default().saturating_inc();
            }
            ensure!(!is_listed || Self::is_filled(&record), "a slot of an active spec is empty");
        }
        for (lineage, count) in OpenSpecs::<T>::iter() {
            ensure!(open.remove(&lineage) == Some(count), "the published and active specs of a lineage are miscounted");
        }
        ensure!(open.is_empty(), "the published and active specs of a lineage are miscounted");
        ensure!(listed == active.len(), "an active spec is unknown or listed twice");
        let versions: Vec<_> =
            Self::active().into_iter().map(|(_, record)| (record.lineage, record.spec.version)).collect();
        let twice =
            versions.iter().enumerate().any(|(i, version)| versions.iter().skip(i).skip(1).any(|v| v == version));
        ensure!(!twice, "two active specs of a lineage have the same version");
        Ok(())
    }
}

impl<T: Config> SpecRegistry for Pallet<T> {
    fn known_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::in_status(id, &[Status::Published, Status::Active, Status::Deprecated])
    }

    fn open_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::in_status(id, &[Status::Published, Status::Active])
    }

    fn live_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::in_status(id, &[Status::Active])
    }

    fn is_open(lineage: SpecId) -> bool {
        OpenSpecs::<T>::contains_key(lineage)
    }

    fn trunk_and_router(id: SpecId) -> Option<[ContentHash; 2]> {
        Specs::<T>::get(id).map(|record| [record.spec.trunk, record.spec.router])
    }

    fn slot_dimensions(slot: &SlotId) -> Option<Dimensions> {
        Self::active_of(slot.lineage)
            .find(|dimensions| slot.layer < dimensions.layers && slot.index < dimensions.experts)
    }
}
