//! What can be asked of the chain.

use crate::{AccountId, BlockNumber, ChainError, GovernanceCall, Hash, Key, LearningCall, Result, StakingCall};
use blyan_primitives::{
    block::{BlockHeader, MAX_ONCHAIN_HEADER_LEN},
    hash::Domain,
    ids::{BatchRoot, ContentHash, HardwareId, SpecId},
    pact::Ppm,
    payment::{ChannelId, Voucher},
    receipt::MAX_BATCH,
    spec::ModelSpec,
    worker::WorkerInfo,
};
use codec::{Decode, Encode};

/// A signature of a voucher, by any of the schemes that accounts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum VoucherSignature {
    /// Ed25519.
    #[codec(index = 0)]
    Ed25519([u8; 64]),
    /// sr25519, in the `substrate` context.
    #[codec(index = 1)]
    Sr25519([u8; 64]),
    /// ECDSA over secp256k1, recoverable, of the message's BLAKE2b-256.
    #[codec(index = 2)]
    Ecdsa([u8; 65]),
}

/// A call. Amounts are in the smallest unit of BLY, 10⁻¹⁸.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Call {
    /// Sends BLY; the sender's account stays alive.
    #[codec(index = 0)]
    Transfer {
        /// Who gets it.
        to: AccountId,
        /// How much.
        amount: u128,
    },
    /// Registers the account's worker. Made by [`Call::register_worker`].
    #[codec(index = 1)]
    RegisterWorker {
        /// What the worker says of itself.
        info: WorkerInfo,
        /// By the worker's key, over [`WorkerInfo::signing_hash`].
        signature: [u8; 64],
    },
    /// Replaces what the account's worker says of itself. Made by [`Call::update_worker`].
    #[codec(index = 2)]
    UpdateWorker {
        /// What the worker says of itself.
        info: WorkerInfo,
        /// By the worker's key, over [`WorkerInfo::signing_hash`].
        signature: [u8; 64],
    },
    /// Ends the registration of the account's worker.
    #[codec(index = 3)]
    LeaveWorkers,
    /// Unbinds a machine whose cooling period is over; its deposit returns.
    #[codec(index = 4)]
    ReleaseHardware {
        /// The machine.
        hardware: HardwareId,
    },
    /// Shows that a worker is there. Authorised by the worker's key, free of charge, once a period.
    #[codec(index = 5)]
    Heartbeat {
        /// The worker's account.
        worker: AccountId,
        /// The period; it must be the present one when the heartbeat is included.
        period: u32,
    },
    /// Opens a payment channel.
    #[codec(index = 6)]
    OpenChannel {
        /// Who is paid.
        gateway: AccountId,
        /// What is put in.
        amount: u128,
        /// Blocks until it expires.
        duration: BlockNumber,
    },
    /// Puts more into a channel of the account.
    #[codec(index = 7)]
    TopUpChannel {
        /// The channel.
        channel: ChannelId,
        /// How much more.
        amount: u128,
    },
    /// Has a channel pay what a voucher promises.
    #[codec(index = 8)]
    RedeemVoucher {
        /// The voucher.
        voucher: Voucher,
        /// The payer's signature of it.
        signature: VoucherSignature,
    },
    /// Asks for the end of a channel of the account, which then has the notice period to redeem.
    #[codec(index = 9)]
    RequestCloseChannel {
        /// The channel.
        channel: ChannelId,
    },
    /// Closes a channel that has ended, or of which the account is the gateway.
    #[codec(index = 10)]
    CloseChannel {
        /// The channel.
        channel: ChannelId,
    },
    /// Puts a batch of receipts on chain. Authorised by the worker's key, free of charge.
    #[codec(index = 11)]
    Anchor {
        /// The worker's account.
        worker: AccountId,
        /// 0 for the worker's first anchor, then one more each time.
        sequence: u64,
        /// Root of the receipts' tree.
        root: BatchRoot,
        /// Receipts in it, 1 to [`MAX_BATCH`].
        count: u32,
        /// Prompt and output tokens of all its receipts.
        tokens: u64,
    },
    /// Removes a worker's anchors that have reached the end of their life; their deposits return.
    #[codec(index = 12)]
    PruneAnchors {
        /// The worker's account.
        worker: AccountId,
        /// How many at most.
        limit: u32,
    },
    /// Registers a block of weights. Made by [`Call::register_block`].
    #[codec(index = 13)]
    RegisterBlock {
        /// Its header, SCALE encoded.
        header: Vec<u8>,
        /// For a serving form: the registered block from which it was derived.
        master: Option<ContentHash>,
        /// Hash of the training manifest that led to these weights.
        podl: Option<[u8; 32]>,
    },
    /// Removes a block that nothing uses; its deposit returns.
    #[codec(index = 14)]
    UnregisterBlock {
        /// The block.
        block: ContentHash,
    },
    /// Puts a specification on chain. Only governance can.
    #[codec(index = 15)]
    PublishSpec {
        /// The specification.
        spec: ModelSpec,
    },
    /// Puts a published specification into use. Only governance can.
    #[codec(index = 16)]
    ActivateSpec {
        /// The specification.
        spec: SpecId,
    },
    /// Takes a specification out of use for good. Only governance can.
    #[codec(index = 17)]
    DeprecateSpec {
        /// The specification.
        spec: SpecId,
    },
    /// Makes a call with all rights, on chains that have a sudo key.
    #[codec(index = 18)]
    Sudo(Box<Call>),
    /// About bonds, delegations and session keys.
    #[codec(index = 19)]
    Staking(StakingCall),
    /// About referenda, votes, polls and what they decide.
    #[codec(index = 20)]
    Governance(GovernanceCall),
    /// About rounds and their evaluation.
    #[codec(index = 21)]
    Learning(LearningCall),
}

impl From<StakingCall> for Call {
    fn from(call: StakingCall) -> Self {
        Self::Staking(call)
    }
}

impl From<GovernanceCall> for Call {
    fn from(call: GovernanceCall) -> Self {
        Self::Governance(call)
    }
}

impl From<LearningCall> for Call {
    fn from(call: LearningCall) -> Self {
        Self::Learning(call)
    }
}

impl Call {
    /// Registers the worker of `account`, whose key is `worker`, on the chain of `genesis`.
    ///
    /// # Errors
    /// [`ChainError::BadArgument`] when the chain would refuse `info`, or `info.key` is not the public key of `worker`.
    pub fn register_worker(genesis: Hash, account: &AccountId, info: WorkerInfo, worker: &Key) -> Result<Self> {
        let signature = sign_info(genesis, account, &info, worker)?;
        Ok(Self::RegisterWorker { info, signature })
    }

    /// Replaces what the worker of `account` says of itself; `worker` is the key in `info`.
    ///
    /// # Errors
    /// As [`Self::register_worker`].
    pub fn update_worker(genesis: Hash, account: &AccountId, info: WorkerInfo, worker: &Key) -> Result<Self> {
        let signature = sign_info(genesis, account, &info, worker)?;
        Ok(Self::UpdateWorker { info, signature })
    }

    /// Registers the block with this header.
    ///
    /// # Errors
    /// [`ChainError::BadArgument`] when the header is inconsistent or longer than the chain decodes.
    pub fn register_block(header: Vec<u8>, master: Option<ContentHash>, podl: Option<[u8; 32]>) -> Result<Self> {
        BlockHeader::decode_checked(&header, MAX_ONCHAIN_HEADER_LEN)
            .map_err(|error| ChainError::BadArgument { field: "header", problem: format!("is refused: {error}") })?;
        Ok(Self::RegisterBlock { header, master, podl })
    }

    /// The same call with all rights.
    pub fn sudo(self) -> Self {
        Self::Sudo(Box::new(self))
    }

    /// Whether the call is authorised by a signature inside it, as a general transaction without fee and nonce, instead
    /// of being signed as a whole.
    pub fn is_authorised(&self) -> bool {
        matches!(self, Self::Heartbeat { .. } | Self::Anchor { .. })
    }

    /// Checks what can be checked without a chain.
    ///
    /// # Errors
    /// [`ChainError::BadArgument`].
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |field, problem: &str| Err(ChainError::BadArgument { field, problem: problem.to_owned() });
        match self {
            Self::Anchor { count, .. } if !(1..=MAX_BATCH).contains(count) => {
                bad("count", "must be 1 to 4096 receipts; split the batch")
            },
            Self::RegisterWorker { info, .. } | Self::UpdateWorker { info, .. } => info
                .check()
                .map_err(|error| ChainError::BadArgument { field: "info", problem: format!("is refused: {error}") }),
            Self::RegisterBlock { header, .. } if header.len() > MAX_ONCHAIN_HEADER_LEN as usize => {
                bad("header", "is longer than the chain decodes")
            },
            Self::PublishSpec { spec } => spec
                .check()
                .map_err(|error| ChainError::BadArgument { field: "spec", problem: format!("is refused: {error}") }),
            Self::Sudo(inner) if inner.is_authorised() || matches!(**inner, Self::Sudo(_)) => {
                bad("call", "cannot be made with all rights")
            },
            Self::Sudo(inner) => inner.check(),
            Self::Staking(StakingCall::Validate { commission, .. } | StakingCall::SetCommission { commission })
                if *commission > Ppm::ONE =>
            {
                bad("commission", "is more than the whole")
            },
            Self::Staking(
                StakingCall::Delegate { auto_compound: share, .. } | StakingCall::SetAutoCompound { share, .. },
            ) if *share > 100 => bad("auto_compound", "is more than the whole"),
            Self::Learning(call) => call.check(),
            _ => Ok(()),
        }
    }
}

fn sign_info(genesis: Hash, account: &AccountId, info: &WorkerInfo, worker: &Key) -> Result<[u8; 64]> {
    info.check().map_err(|error| ChainError::BadArgument { field: "info", problem: format!("is refused: {error}") })?;
    if info.key != worker.public() {
        return Err(ChainError::BadArgument {
            field: "info",
            problem: "names another key than the one given".to_owned(),
        });
    }
    Ok(worker.sign(&info.signing_hash(&genesis.0, account)))
}

/// A payer's signature of a voucher, for the chain of `genesis`.
pub fn sign_voucher(genesis: Hash, voucher: &Voucher, payer: &Key) -> VoucherSignature {
    VoucherSignature::Sr25519(payer.sign(&voucher.signing_hash(&genesis.0)))
}

/// Whether `signature` is the sr25519 signature of `payer` over `voucher`, plain or as browser wallets wrap it. Of other
/// schemes the chain alone judges: they are `None`.
pub fn check_voucher(
    genesis: Hash,
    voucher: &Voucher,
    payer: &AccountId,
    signature: &VoucherSignature,
) -> Option<bool> {
    let VoucherSignature::Sr25519(signature) = signature else { return None };
    let signed = |message: &[u8]| crate::keys::verify(signature, message, &payer.0);
    Some(signed(&voucher.signing_hash(&genesis.0)) || signed(&voucher.wrapped_signing_bytes(&genesis.0)))
}

/// Names a machine after `identity` (a machine id, a GPU's serial number): the chain sees the hash alone.
pub fn hardware_id(identity: &[u8]) -> HardwareId {
    const MACHINE: Domain = Domain("blyan/machine/1");
    HardwareId(blyan_primitives::hash::hash(MACHINE, &[identity]))
}
