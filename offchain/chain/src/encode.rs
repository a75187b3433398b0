//! From a [`Call`] to the bytes of an extrinsic.

use crate::{
    BlockRef, Call, ChainError, Key, Result, VoucherSignature,
    codegen::blyan::{self, runtime_types},
    config::{BlyanConfig, Extensions},
    governance, learning,
    rpc::extrinsic_hash,
    runtime::Runtime,
    staking,
    tx::{Attempt, Signing},
};
use blyan_primitives::{receipt::AnchorPayload, worker::Heartbeat};
use subxt::{
    config::{
        ClientState, TransactionExtensions,
        transaction_extensions::{ChargeTransactionPaymentParams, CheckMortalityParams, CheckNonceParams},
    },
    ext::{
        frame_decode,
        scale_encode::{self, EncodeAsFields},
    },
    tx::{Payload, Signer},
    utils::{AccountId32, H256, MultiAddress, MultiSignature, Static},
};

/// Blocks for which a signed extrinsic can be included: a power of two, as its encoding wants.
const MORTALITY: u32 = 64;
/// Most blocks for which an authorised call waits to be included.
const AUTHORISED_VALIDITY: u32 = 64;

/// A call that is encoded already.
pub(crate) struct Encoded {
    pallet: &'static str,
    call: &'static str,
    arguments: RawFields,
}

impl Encoded {
    /// A call whose arguments somebody else has encoded for the chain's runtime.
    pub(crate) fn raw(pallet: &'static str, call: &'static str, arguments: Vec<u8>) -> Self {
        Self { pallet, call, arguments: RawFields(arguments) }
    }
}

pub(crate) struct RawFields(Vec<u8>);

impl EncodeAsFields for RawFields {
    fn encode_as_fields_to<R: scale_encode::TypeResolver>(
        &self,
        _: &mut dyn scale_encode::FieldIter<'_, R::TypeId>,
        _: &R,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), scale_encode::Error> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

impl Payload for Encoded {
    type CallData = RawFields;

    fn pallet_name(&self) -> &str {
        self.pallet
    }

    fn call_name(&self) -> &str {
        self.call
    }

    fn call_data(&self) -> &RawFields {
        &self.arguments
    }
}

/// Encodes a call made from generated types, after checking that the chain's runtime has it in the shape that they were
/// generated from.
pub(crate) fn checked<P: Payload>(
    runtime: &Runtime,
    pallet: &'static str,
    call: &'static str,
    payload: P,
) -> Result<Encoded> {
    let transactions = runtime.client().tx();
    let name = || format!("{pallet}.{call}");
    transactions.validate(&payload).map_err(|error| runtime.incompatible(&name(), &error))?;
    let bytes = transactions.call_data(&payload);
    let bytes = bytes.map_err(|error| ChainError::Encode { call: name(), reason: error.to_string() })?;
    // Two bytes name pallet and call.
    Ok(Encoded::raw(pallet, call, bytes.get(2..).unwrap_or_default().to_vec()))
}

/// The encoding of everything but authorised calls, as a proposal or a call inside another has it.
pub(crate) fn call_bytes(runtime: &Runtime, call: &Call) -> Result<Vec<u8>> {
    let encoded = encode(runtime, call)?;
    runtime.client().tx().call_data(&encoded).map_err(|error| ChainError::Encode {
        call: format!("{}.{}", encoded.pallet, encoded.call),
        reason: error.to_string(),
    })
}

/// Encodes everything but authorised calls, which need a signature inside.
fn encode(runtime: &Runtime, call: &Call) -> Result<Encoded> {
    let tx = blyan::tx();
    match call.clone() {
        Call::Transfer { to, amount } => {
            let payload = tx.balances().transfer_keep_alive(MultiAddress::Id(to), amount);
            checked(runtime, "Balances", "transfer_keep_alive", payload)
        },
        Call::RegisterWorker { info, signature } => {
            checked(runtime, "Workers", "register", tx.workers().register(Static(info), signature))
        },
        Call::UpdateWorker { info, signature } => {
            checked(runtime, "Workers", "update", tx.workers().update(Static(info), signature))
        },
        Call::LeaveWorkers => checked(runtime, "Workers", "leave", tx.workers().leave()),
        Call::ReleaseHardware { hardware } => {
            checked(runtime, "Workers", "release_hardware", tx.workers().release_hardware(Static(hardware)))
        },
        Call::OpenChannel { gateway, amount, duration } => {
            checked(runtime, "Inference", "open", tx.inference().open(gateway, amount, duration))
        },
        Call::TopUpChannel { channel, amount } => {
            checked(runtime, "Inference", "top_up", tx.inference().top_up(channel, amount))
        },
        Call::RedeemVoucher { voucher, signature } => {
            use runtime_types::sp_runtime::MultiSignature as Generated;
            let signature = match signature {
                VoucherSignature::Ed25519(bytes) => Generated::Ed25519(bytes),
                VoucherSignature::Sr25519(bytes) => Generated::Sr25519(bytes),
                VoucherSignature::Ecdsa(bytes) => Generated::Ecdsa(bytes),
            };
            checked(runtime, "Inference", "redeem", tx.inference().redeem(Static(voucher), signature))
        },
        Call::RequestCloseChannel { channel } => {
            checked(runtime, "Inference", "request_close", tx.inference().request_close(channel))
        },
        Call::CloseChannel { channel } => checked(runtime, "Inference", "close", tx.inference().close(channel)),
        Call::PruneAnchors { worker, limit } => {
            checked(runtime, "Inference", "prune", tx.inference().prune(worker, limit))
        },
        Call::RegisterBlock { header, master, podl } => {
            let header = runtime_types::bounded_collections::bounded_vec::BoundedVec(header);
            checked(runtime, "Experts", "register", tx.experts().register(header, master.map(Static), podl))
        },
        Call::UnregisterBlock { block } => {
            checked(runtime, "Experts", "unregister", tx.experts().unregister(Static(block)))
        },
        Call::PublishSpec { spec } => checked(runtime, "Meta", "publish", tx.meta().publish(Static(spec))),
        Call::ActivateSpec { spec } => checked(runtime, "Meta", "activate", tx.meta().activate(Static(spec))),
        Call::DeprecateSpec { spec } => checked(runtime, "Meta", "deprecate", tx.meta().deprecate(Static(spec))),
        Call::Staking(call) => staking::wire::encode(runtime, call),
        Call::Governance(call) => governance::wire::encode(runtime, call),
        Call::Learning(call) => learning::wire::encode(runtime, call),
        // The only argument is the call, whatever pallets it may come from.
        Call::Sudo(inner) => Ok(Encoded::raw("Sudo", "sudo", call_bytes(runtime, &inner)?)),
        call @ (Call::Heartbeat { .. } | Call::Anchor { .. }) => Err(ChainError::Encode {
            call: format!("{call:?}"),
            reason: "authorised calls are not signed as a whole".to_owned(),
        }),
    }
}

/// The key as subxt asks for it.
struct ExtrinsicSigner<'a>(&'a Key);

impl Signer<BlyanConfig> for ExtrinsicSigner<'_> {
    fn account_id(&self) -> AccountId32 {
        self.0.account()
    }

    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(self.0.sign(payload))
    }
}

fn parameters(head: BlockRef, nonce: Option<u64>) -> <Extensions as TransactionExtensions<BlyanConfig>>::Params {
    let mortality = match nonce {
        Some(_) => CheckMortalityParams::mortal_from_unchecked(MORTALITY.into(), head.number.into(), H256(head.hash.0)),
        // What authorises the call says when it expires.
        None => CheckMortalityParams::immortal(),
    };
    let nonce = nonce.map_or_else(CheckNonceParams::from_chain, CheckNonceParams::with_nonce);
    ((), (), (), mortality, nonce, ChargeTransactionPaymentParams::no_tip(), ())
}

/// Signs `call` so that the blocks after `head` can include it.
///
/// Everything but authorised calls becomes a version 4 signed extrinsic with `nonce`; an authorised call becomes a
/// version 5 general one, whose origin comes from the signature inside the call.
///
/// A call that cannot be encoded is unfit; one that the runtime has in another shape than this program knows waits for a
/// program that knows it.
///
/// # Errors
/// Those of reading the runtime's constants.
pub(crate) fn sign(runtime: &Runtime, key: &Key, call: &Call, nonce: Option<u64>, head: BlockRef) -> Result<Signing> {
    let signing = match nonce {
        Some(nonce) => signed(runtime, key, call, nonce, head),
        None => authorised(runtime, key, call, head),
    };
    match signing {
        Err(error @ ChainError::Encode { .. }) => Ok(Signing::Unfit(error.to_string())),
        Err(error @ ChainError::IncompatibleRuntime { .. }) => Ok(Signing::NotNow(error.to_string())),
        signing => signing,
    }
}

fn signed(runtime: &Runtime, key: &Key, call: &Call, nonce: u64, head: BlockRef) -> Result<Signing> {
    let payload = encode(runtime, call)?;
    let failed = |error: &dyn std::fmt::Display| ChainError::Encode {
        call: format!("{}.{}", payload.pallet, payload.call),
        reason: error.to_string(),
    };
    let transactions = runtime.client().tx();
    let mut signable = transactions
        .create_v4_signable_offline(&payload, parameters(head, Some(nonce)))
        .map_err(|error| failed(&error))?;
    let bytes = signable.sign(&ExtrinsicSigner(key)).map_err(|error| failed(&error))?.into_encoded();
    Ok(Signing::Done(Attempt {
        nonce: Some(nonce),
        hash: extrinsic_hash(&bytes),
        bytes,
        first: head.number.saturating_add(1),
        last: head.number.saturating_add(MORTALITY - 1),
        spec_version: Some(runtime.spec_version),
    }))
}

fn authorised(runtime: &Runtime, key: &Key, call: &Call, head: BlockRef) -> Result<Signing> {
    let genesis = runtime.facts().genesis.0;
    let constants = runtime.client().constants();
    let tx = blyan::tx();
    let (payload, expires_at) = match call.clone() {
        Call::Heartbeat { worker, period } => {
            let length = constants
                .entry(blyan::constants().workers().heartbeat_period())
                .map_err(|error| runtime.incompatible("Workers.HeartbeatPeriod", &error))?;
            // The heartbeat dies with its period, whatever it says.
            let period_end = period.saturating_add(1).saturating_mul(length).saturating_sub(1);
            if head.number >= period_end {
                return Ok(Signing::TooLate(format!("heartbeat period {period} ended with block {period_end}")));
            }
            let expires_at = period_end.min(head.number.saturating_add(length));
            let heartbeat = Heartbeat { worker, period, expires_at };
            let signature = key.sign(&heartbeat.signing_hash(&genesis));
            let payload = tx.workers().heartbeat(Static(heartbeat), signature);
            (checked(runtime, "Workers", "heartbeat", payload)?, expires_at)
        },
        Call::Anchor { worker, sequence, root, count, tokens } => {
            let longest = constants
                .entry(blyan::constants().inference().max_anchor_validity())
                .map_err(|error| runtime.incompatible("Inference.MaxAnchorValidity", &error))?;
            let expires_at = head.number.saturating_add(longest.min(AUTHORISED_VALIDITY));
            let payload = AnchorPayload { worker, sequence, root, count, tokens, expires_at };
            let signature = key.sign(&payload.signing_hash(&genesis));
            let payload = tx.inference().anchor(Static(payload), signature);
            (checked(runtime, "Inference", "anchor", payload)?, expires_at)
        },
        call => {
            return Err(ChainError::Encode {
                call: format!("{call:?}"),
                reason: "it is signed as a whole and needs a nonce".to_owned(),
            });
        },
    };
    let bytes = general(runtime, &payload, head)?;
    Ok(Signing::Done(Attempt {
        nonce: None,
        hash: extrinsic_hash(&bytes),
        bytes,
        first: head.number.saturating_add(1),
        last: expires_at,
        spec_version: None,
    }))
}

/// A version 5 general extrinsic: the extensions' values and the call, and no signature of the whole.
fn general(runtime: &Runtime, payload: &Encoded, head: BlockRef) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| ChainError::Encode {
        call: format!("{}.{}", payload.pallet, payload.call),
        reason: error.to_string(),
    };
    let facts = runtime.facts();
    let state = ClientState::<BlyanConfig> {
        genesis_hash: facts.genesis,
        spec_version: facts.spec_version,
        transaction_version: facts.transaction_version,
        metadata: facts.metadata.clone(),
    };
    let extensions = <Extensions as TransactionExtensions<BlyanConfig>>::new(&state, parameters(head, None));
    frame_decode::extrinsics::encode_v5_general(
        payload.pallet,
        payload.call,
        &payload.arguments,
        facts.metadata.extrinsic().transaction_extension_version_to_use_for_encoding(),
        &extensions.map_err(|error| failed(&error))?,
        &*facts.metadata,
        facts.metadata.types(),
    )
    .map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, runtime::tests::built_in};
    use blyan_primitives::{block::MAX_ONCHAIN_HEADER_LEN, ids::BatchRoot};
    use codec::{Compact, Decode};

    const HEAD: BlockRef = BlockRef { number: 1000, hash: Hash([5; 32]) };

    fn alice() -> Key {
        Key::from_uri("//Alice").unwrap()
    }

    fn attempt(call: &Call, nonce: Option<u64>) -> Attempt {
        match sign(&built_in(), &alice(), call, nonce, HEAD).unwrap() {
            Signing::Done(attempt) => attempt,
            Signing::TooLate(reason) | Signing::Unfit(reason) | Signing::NotNow(reason) => panic!("{reason}"),
        }
    }

    /// The bytes after the length in front, which must be right.
    fn inner(attempt: &Attempt) -> &[u8] {
        let bytes = &mut &*attempt.bytes;
        let length = Compact::<u32>::decode(bytes).unwrap().0 as usize;
        assert_eq!(bytes.len(), length);
        &attempt.bytes[attempt.bytes.len() - length..]
    }

    fn anchor() -> Call {
        Call::Anchor { worker: alice().account(), sequence: 3, root: BatchRoot([4; 32]), count: 5, tokens: 6 }
    }

    #[test]
    fn a_call_of_an_account_is_a_signed_extrinsic_that_lives_for_64_blocks() {
        let call = Call::Transfer { to: AccountId32::from([9; 32]), amount: 1 };
        let signed = attempt(&call, Some(7));
        assert_eq!((signed.nonce, signed.first, signed.last, signed.spec_version), (Some(7), 1001, 1063, Some(1)));
        assert_eq!(signed.hash, extrinsic_hash(&signed.bytes));
        let bytes = inner(&signed);
        assert_eq!(bytes[0], 0x84, "version 4, signed");
        // Address, signature, era, nonce, tip, no metadata hash, call.
        assert_eq!((bytes[1], &bytes[2..34], bytes[34]), (0, &alice().public()[..], 1));
        let (period, phase) = (64u64, 1000 % 64);
        let era = u16::from_le_bytes([bytes[99], bytes[100]]);
        assert_eq!((2u64 << (era % 16), u64::from(era / 16)), (period, phase));
        assert_eq!(&bytes[101..104], [7 << 2, 0, 0]);
    }

    #[test]
    fn an_authorised_call_is_a_general_extrinsic_with_the_workers_signature_inside() {
        let general = attempt(&anchor(), None);
        assert_eq!((general.nonce, general.first, general.last, general.spec_version), (None, 1001, 1064, None));
        let bytes = inner(&general);
        assert_eq!(&bytes[..2], [0x45, 0], "version 5, general, extensions of version 0");
        // An immortal era, nonce 0, no tip, no metadata hash; then pallet, call, payload, signature.
        assert_eq!(&bytes[2..6], [0; 4]);
        let mut rest = &bytes[8..];
        let payload = AnchorPayload::<AccountId32, u32>::decode(&mut rest).unwrap();
        assert_eq!((payload.sequence, payload.expires_at), (3, 1064));
        let signature: [u8; 64] = rest.try_into().unwrap();
        let genesis = built_in().facts().genesis.0;
        assert!(crate::keys::verify(&signature, &payload.signing_hash(&genesis), &alice().public()));
        assert!(!crate::keys::verify(&signature, &payload.signing_hash(&[0; 32]), &alice().public()));
    }

    #[test]
    fn a_heartbeat_never_outlives_its_period() {
        let runtime = built_in();
        let address = blyan::constants().workers().heartbeat_period();
        let length = runtime.client().constants().entry(address).unwrap();
        let heartbeat = |period| Call::Heartbeat { worker: alice().account(), period };
        let present = (HEAD.number + 1) / length;
        assert_eq!(attempt(&heartbeat(present), None).last, (present + 1) * length - 1);
        let past = sign(&runtime, &alice(), &heartbeat(present - 1), None, HEAD).unwrap();
        assert!(matches!(past, Signing::TooLate(_)));
    }

    #[test]
    fn calls_and_nonces_that_do_not_belong_together_are_unfit() {
        let transfer = Call::Transfer { to: AccountId32::from([9; 32]), amount: 1 };
        for (call, nonce) in [(anchor(), Some(0)), (transfer, None)] {
            assert!(matches!(sign(&built_in(), &alice(), &call, nonce, HEAD).unwrap(), Signing::Unfit(_)));
        }
    }

    #[test]
    fn what_the_chain_cannot_accept_is_refused_before_it_is_written() {
        let refused = |call: Call| matches!(call.check(), Err(ChainError::BadArgument { .. }));
        let Call::Anchor { worker, sequence, root, tokens, .. } = anchor() else { unreachable!() };
        assert!(refused(Call::Anchor { worker, sequence, root, tokens, count: 0 }));
        assert!(refused(Call::Anchor { worker, sequence, root, tokens, count: 4097 }));
        assert!(refused(anchor().sudo()), "an authorised call has no other origin");
        assert!(refused(Call::LeaveWorkers.sudo().sudo()));
        let header = vec![0; MAX_ONCHAIN_HEADER_LEN as usize + 1];
        assert!(refused(Call::RegisterBlock { header, master: None, podl: None }));
        assert!(Call::register_block(vec![1, 2, 3], None, None).is_err());
        assert!(anchor().check().is_ok());
    }
}
