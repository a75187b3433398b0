//! What subxt generates from the checked-in metadata, and which parts of it this crate uses.

/// The metadata that this crate was built with, restricted to the pallets that it knows. `update-metadata` (in `examples/`)
/// writes it.
pub(crate) const METADATA: &[u8] = include_bytes!("../metadata.scale");

/// Calls and storage items that must be there, as this crate knows them, for a connection to be made: those that programs
/// live on which nobody watches, by pallet. What people ask for, such as a bond or a vote, is compared when they do: a
/// runtime that changes it does not stop a worker.
pub(crate) const USED: &[(&str, &[&str], &[&str])] = &[
    // `System.Events` is missing: its type is every event of the runtime, of which this crate knows some by name.
    ("System", &[], &["Account"]),
    ("Balances", &["transfer_keep_alive"], &[]),
    ("Experts", &["register", "unregister", "open_round", "submit_delta", "publish"], &["Blocks", "Heads"]),
    ("Meta", &["publish", "activate", "deprecate"], &["Specs", "ActiveSpecs"]),
    ("Workers", &["register", "update", "leave", "release_hardware", "heartbeat"], &["Workers", "LastHeartbeat"]),
    (
        "Inference",
        &["open", "top_up", "redeem", "request_close", "close", "anchor", "prune"],
        &["Channels", "ChannelsByPayer", "NextChannel", "Anchors", "ServedBy"],
    ),
    (
        "Pol",
        &[
            "enrol",
            "refresh",
            "vote_availability",
            "commit",
            "reveal",
            "reveal_key",
            "post_scores",
            "post_trace",
            "play",
            "settle",
        ],
        &["Seats", "Sets", "PostedScores", "Traces"],
    ),
];

/// Types of `blyan-primitives` stand in for generated twins: they are encoded and decoded by their own code, whose
/// agreement with the chain is what the comparison of metadata at connection, and of the checked-in file in tests, is for.
#[subxt::subxt(
    runtime_metadata_path = "metadata.scale",
    derive_for_all_types = "Clone, PartialEq, Eq",
    substitute_type(
        path = "blyan_primitives::block::BlockRecord",
        with = "::subxt::utils::Static<::blyan_primitives::block::BlockRecord>"
    ),
    substitute_type(
        path = "blyan_primitives::dispute::evidence::Evidence",
        with = "::subxt::utils::Static<::blyan_primitives::dispute::Evidence>"
    ),
    substitute_type(
        path = "blyan_primitives::dispute::game::Game",
        with = "::subxt::utils::Static<::blyan_primitives::dispute::Game>"
    ),
    substitute_type(
        path = "blyan_primitives::dispute::game::Move",
        with = "::subxt::utils::Static<::blyan_primitives::dispute::Move>"
    ),
    substitute_type(
        path = "blyan_primitives::dispute::game::Side",
        with = "::subxt::utils::Static<::blyan_primitives::dispute::Side>"
    ),
    substitute_type(
        path = "blyan_primitives::hardware::Tier",
        with = "::subxt::utils::Static<::blyan_primitives::hardware::Tier>"
    ),
    substitute_type(
        path = "blyan_primitives::ids::BatchRoot",
        with = "::subxt::utils::Static<::blyan_primitives::ids::BatchRoot>"
    ),
    substitute_type(
        path = "blyan_primitives::ids::ContentHash",
        with = "::subxt::utils::Static<::blyan_primitives::ids::ContentHash>"
    ),
    substitute_type(
        path = "blyan_primitives::ids::HardwareId",
        with = "::subxt::utils::Static<::blyan_primitives::ids::HardwareId>"
    ),
    substitute_type(
        path = "blyan_primitives::ids::ReceiptId",
        with = "::subxt::utils::Static<::blyan_primitives::ids::ReceiptId>"
    ),
    substitute_type(
        path = "blyan_primitives::ids::SlotId",
        with = "::subxt::utils::Static<::blyan_primitives::ids::SlotId>"
    ),
    substitute_type(
        path = "blyan_primitives::ids::SpecId",
        with = "::subxt::utils::Static<::blyan_primitives::ids::SpecId>"
    ),
    substitute_type(
        path = "blyan_primitives::learning::DeltaHeader",
        with = "::subxt::utils::Static<::blyan_primitives::learning::DeltaHeader>"
    ),
    substitute_type(
        path = "blyan_primitives::learning::DeltaOutcome",
        with = "::subxt::utils::Static<::blyan_primitives::learning::DeltaOutcome>"
    ),
    substitute_type(
        path = "blyan_primitives::learning::ItemRange",
        with = "::subxt::utils::Static<::blyan_primitives::learning::ItemRange>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::Entry",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Entry>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::Network",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Network>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::Ppm",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Ppm>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::sections::Learning",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Learning>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::sections::Pact",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Pact>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::sections::Parameter",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Parameter>"
    ),
    substitute_type(
        path = "blyan_primitives::pact::sections::Rounds",
        with = "::subxt::utils::Static<::blyan_primitives::pact::Rounds>"
    ),
    substitute_type(
        path = "blyan_primitives::payment::Voucher",
        with = "::subxt::utils::Static<::blyan_primitives::payment::Voucher>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::items::ItemBlock",
        with = "::subxt::utils::Static<::blyan_primitives::pol::ItemBlock>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::items::Sources",
        with = "::subxt::utils::Static<::blyan_primitives::pol::Sources>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::reveal::Reveal",
        with = "::subxt::utils::Static<::blyan_primitives::pol::Reveal>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::reward::RewardShares",
        with = "::subxt::utils::Static<::blyan_primitives::pol::RewardShares>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::scores::Cell",
        with = "::subxt::utils::Static<::blyan_primitives::pol::Cell>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::scores::Layout",
        with = "::subxt::utils::Static<::blyan_primitives::pol::Layout>"
    ),
    substitute_type(
        path = "blyan_primitives::pol::verdict::Refusal",
        with = "::subxt::utils::Static<::blyan_primitives::pol::Refusal>"
    ),
    substitute_type(
        path = "blyan_primitives::receipt::AnchorPayload<A, B>",
        with = "::subxt::utils::Static<::blyan_primitives::receipt::AnchorPayload<A, B>>"
    ),
    substitute_type(
        path = "blyan_primitives::spec::ModelSpec",
        with = "::subxt::utils::Static<::blyan_primitives::spec::ModelSpec>"
    ),
    substitute_type(
        path = "blyan_primitives::traits::PollResult",
        with = "::subxt::utils::Static<::blyan_primitives::traits::PollResult>"
    ),
    substitute_type(
        path = "blyan_primitives::version::SemVer",
        with = "::subxt::utils::Static<::blyan_primitives::version::SemVer>"
    ),
    substitute_type(
        path = "blyan_primitives::worker::Heartbeat<A, B>",
        with = "::subxt::utils::Static<::blyan_primitives::worker::Heartbeat<A, B>>"
    ),
    substitute_type(
        path = "blyan_primitives::worker::WorkerInfo",
        with = "::subxt::utils::Static<::blyan_primitives::worker::WorkerInfo>"
    )
)]
pub(crate) mod blyan {}
