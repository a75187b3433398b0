//! From the bytes of a block's events to [`Event`]s.

use crate::{
    ChainError, DispatchError, Event, Result, codegen::blyan, config::BlyanConfig, governance, learning,
    runtime::Runtime, staking,
};
use subxt::events::{DecodeAsEvent, Event as Raw, Phase};
use tracing::warn;

const WHAT: &str = "a block's events";

/// An event, and the extrinsic that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEvent {
    /// Number of the extrinsic in the block; `None` for what the block itself caused.
    pub extrinsic: Option<u32>,
    /// What happened.
    pub event: Event,
}

/// What is between the bytes and [`BlockEvent`]: the failure of an extrinsic is no event for the world outside.
pub(crate) enum Happening {
    Event(Event),
    ExtrinsicFailed(DispatchError),
}

/// Decodes the value of `System.Events`.
pub(crate) fn events(runtime: &Runtime, bytes: Vec<u8>) -> Result<Vec<(Option<u32>, Happening)>> {
    let events = runtime.client().events().from_bytes(bytes);
    let decoded = events.iter().map(|event| {
        let event = event.map_err(|error| ChainError::Decode { what: WHAT, reason: error.to_string() })?;
        let extrinsic = match event.phase() {
            Phase::ApplyExtrinsic(index) => Some(index),
            Phase::Finalization | Phase::Initialization => None,
        };
        let metadata = || runtime.facts().metadata.clone();
        let happening = match (event.pallet_name(), event.event_name()) {
            ("System", "ExtrinsicFailed") => {
                Happening::ExtrinsicFailed(DispatchError::decode(event.field_bytes(), metadata())?)
            },
            ("Sudo", "Sudid" | "SudoAsDone") => {
                // One field: `Result<(), DispatchError>`.
                let result = match event.field_bytes() {
                    [0, ..] => Ok(()),
                    [1, error @ ..] => Err(DispatchError::decode(error, metadata())?),
                    _ => {
                        return Err(ChainError::Decode {
                            what: WHAT,
                            reason: "Sudo.Sudid without a result".to_owned(),
                        });
                    },
                };
                Happening::Event(Event::Sudone { result })
            },
            // An event whose fields a later runtime changed is no reason to stop following the chain.
            _ => Happening::Event(known(runtime, &event).unwrap_or_else(|error| {
                let (pallet, name) = (event.pallet_name().to_owned(), event.event_name().to_owned());
                warn!(pallet, name, %error, "an event has another shape than this program knows");
                Event::Other { pallet, name }
            })),
        };
        Ok((extrinsic, happening))
    });
    decoded.collect()
}

/// The fields of an event.
pub(crate) fn fields<E: DecodeAsEvent>(event: &Raw<'_, BlyanConfig>) -> Result<E> {
    event
        .decode_fields_unchecked_as::<E>()
        .map_err(|error| ChainError::Decode { what: WHAT, reason: error.to_string() })
}

/// The event with its fields.
fn known(runtime: &Runtime, event: &Raw<'_, BlyanConfig>) -> Result<Event> {
    use blyan::{balances, experts, inference, meta, workers};
    let other = |event: &Raw<'_, BlyanConfig>| Event::Other {
        pallet: event.pallet_name().to_owned(),
        name: event.event_name().to_owned(),
    };
    let known = match (event.pallet_name(), event.event_name()) {
        ("Staking", _) => staking::wire::event(event)?.map_or_else(|| other(event), Event::Staking),
        ("Referenda" | "Dao" | "Pact" | "Economy" | "Preimage", _) => {
            governance::wire::event(event)?.map_or_else(|| other(event), Event::Governance)
        },
        ("Balances", "Transfer") => {
            let balances::events::Transfer { from, to, amount } = fields(event)?;
            Event::Transferred { from, to, amount }
        },
        ("Meta", "Published") => {
            let meta::events::Published { spec, lineage, version } = fields(event)?;
            Event::SpecPublished { spec: spec.0, lineage: lineage.0, version: version.0 }
        },
        ("Meta", "Activated") => {
            let meta::events::Activated { spec } = fields(event)?;
            Event::SpecActivated { spec: spec.0 }
        },
        ("Meta", "Deprecated") => {
            let meta::events::Deprecated { spec } = fields(event)?;
            Event::SpecDeprecated { spec: spec.0 }
        },
        ("Experts", "BlockRegistered") => {
            let experts::events::BlockRegistered { block, owner } = fields(event)?;
            Event::BlockRegistered { block: block.0, owner }
        },
        ("Experts", "BlockUnregistered") => {
            let experts::events::BlockUnregistered { block, owner } = fields(event)?;
            Event::BlockUnregistered { block: block.0, owner }
        },
        ("Experts", "HeadMoved") => {
            let experts::events::HeadMoved { slot, from, to, moves } = fields(event)?;
            Event::HeadMoved { slot: slot.0, from: from.0, to: to.0, moves }
        },
        ("Experts" | "Pol", _) => learning::wire::event(runtime, event)?.map_or_else(|| other(event), Event::Learning),
        ("Workers", "Registered") => {
            let workers::events::Registered { worker, tier } = fields(event)?;
            Event::WorkerRegistered { worker, tier: tier.0 }
        },
        ("Workers", "Updated") => {
            let workers::events::Updated { worker, tier } = fields(event)?;
            Event::WorkerUpdated { worker, tier: tier.0 }
        },
        ("Workers", "Left") => {
            let workers::events::Left { worker, hardware_free_at } = fields(event)?;
            Event::WorkerLeft { worker, hardware_free_at }
        },
        ("Workers", "HardwareReleased") => {
            let workers::events::HardwareReleased { hardware, owner } = fields(event)?;
            Event::HardwareReleased { hardware: hardware.0, owner }
        },
        ("Workers", "HeartbeatReceived") => {
            let workers::events::HeartbeatReceived { worker, period } = fields(event)?;
            Event::HeartbeatReceived { worker, period }
        },
        ("Inference", "ChannelOpened") => {
            let inference::events::ChannelOpened { channel, payer, gateway, escrow, expires_at } = fields(event)?;
            Event::ChannelOpened { channel, payer, gateway, escrow, expires_at }
        },
        ("Inference", "ChannelToppedUp") => {
            let inference::events::ChannelToppedUp { channel, escrow } = fields(event)?;
            Event::ChannelToppedUp { channel, escrow }
        },
        ("Inference", "VoucherRedeemed") => {
            let inference::events::VoucherRedeemed { channel, paid, cumulative } = fields(event)?;
            Event::VoucherRedeemed { channel, paid, cumulative }
        },
        ("Inference", "CloseRequested") => {
            let inference::events::CloseRequested { channel, closes_at } = fields(event)?;
            Event::CloseRequested { channel, closes_at }
        },
        ("Inference", "ChannelClosed") => {
            let inference::events::ChannelClosed { channel, returned } = fields(event)?;
            Event::ChannelClosed { channel, returned }
        },
        ("Inference", "Anchored") => {
            let inference::events::Anchored { worker, sequence, root, count, tokens } = fields(event)?;
            Event::Anchored { worker, sequence, root: root.0, count, tokens }
        },
        ("Inference", "Pruned") => {
            let inference::events::Pruned { worker, oldest } = fields(event)?;
            Event::AnchorsPruned { worker, oldest }
        },
        _ => other(event),
    };
    Ok(known)
}
