//! What an answer costs, and the vouchers that pay for it.
//!
//! A voucher promises everything owed since its channel was opened. Before an answer is computed, the latest voucher has to
//! cover what the channel has used, what its running answers can still use, and the most this answer can cost; that is set
//! aside as a [`Reservation`]. When the answer ends, what it really cost is charged together with its receipt, and the
//! reservation is released. What a voucher promised beyond that counts for the next answer.

use crate::receipts::journal::{ChannelLedger, Journal, JournalError};
use blyan_primitives::payment::{ChannelId, Voucher};
use codec::{Decode, DecodeAll};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc};

/// Longest voucher header, in bytes.
pub const MAX_VOUCHER: usize = 1024;

/// Why a voucher does not pay for an answer.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// No voucher.
    #[error(
        "this worker asks for payment: {per_1k} units for 1000 tokens; this request needs a voucher in x-blyan-channel and x-blyan-voucher"
    )]
    Required {
        /// Price of 1000 tokens.
        per_1k: u128,
        /// The most that the request can cost.
        required: u128,
    },
    /// The header is no voucher.
    #[error("x-blyan-voucher is not understood: {0}")]
    Malformed(&'static str),
    /// The headers name two channels.
    #[error("x-blyan-channel is {header}, but the voucher is for channel {voucher}")]
    OtherChannel {
        /// In the header.
        header: ChannelId,
        /// In the voucher.
        voucher: ChannelId,
    },
    /// The chain has no such channel.
    #[error("the finalized chain has no channel {0}; wait until its opening is finalized")]
    Unknown(ChannelId),
    /// The channel pays somebody else.
    #[error("channel {0} does not pay this worker")]
    NotOurs(ChannelId),
    /// The payer is closing the channel, or it expires soon.
    #[error("channel {0} is closing; open another one")]
    Closing(ChannelId),
    /// Signed for another chain.
    #[error("the voucher was signed for the chain with genesis 0x{}, this is another one", hex::encode(.0))]
    WrongGenesis([u8; 32]),
    /// Signed by somebody else.
    #[error("the voucher was not signed by the payer of channel {0}")]
    WrongSigner(ChannelId),
    /// Not larger than one seen before.
    #[error("the voucher promises {found}, and one of {last} was used before: each has to promise more than the last")]
    Replayed {
        /// In this voucher.
        found: u128,
        /// The largest before.
        last: u128,
    },
    /// Promises less than the answer can cost.
    #[error("the voucher promises {found}, this request needs {required}")]
    Insufficient {
        /// In this voucher.
        found: u128,
        /// The least that is needed.
        required: u128,
    },
    /// Promises more than the channel holds.
    #[error("the voucher promises {found}, but channel {channel} holds only {escrow}")]
    OverEscrow {
        /// The channel.
        channel: ChannelId,
        /// In this voucher.
        found: u128,
        /// What was put into the channel in all.
        escrow: u128,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Price of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Price of 1000 tokens, in the smallest unit of BLY.
    pub per_1k: u128,
}

impl Price {
    /// Price of `tokens`, rounded up.
    pub fn of(self, tokens: u64) -> u128 {
        // Past u128 nobody can pay anyway.
        self.per_1k.saturating_mul(u128::from(tokens)).div_ceil(1000)
    }
}

/// A voucher with the payer's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedVoucher {
    /// The promise.
    pub voucher: Voucher,
    /// The payer's sr25519 signature.
    pub signature: [u8; 64],
    /// The chain that the payer says it is for.
    pub genesis: Option<[u8; 32]>,
}

#[derive(Decode)]
struct Scale {
    voucher: Voucher,
    signature: [u8; 64],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    channel: ChannelId,
    cumulative: Amount,
    signature: String,
    #[serde(default)]
    genesis: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Text(String),
    Number(u64),
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut out).ok()?;
    Some(out)
}

impl SignedVoucher {
    /// Reads the header's text: a JSON object, or the hex of SCALE.
    pub fn parse(text: &str) -> Result<Self, PaymentError> {
        use PaymentError::Malformed;
        let text = text.trim();
        if text.len() > MAX_VOUCHER {
            return Err(Malformed("it is too long"));
        }
        if text.starts_with('{') {
            let json: Json = serde_json::from_str(text)
                .map_err(|_| Malformed("it is not {\"channel\", \"cumulative\", \"signature\"}"))?;
            let cumulative = match json.cumulative {
                Amount::Number(units) => u128::from(units),
                Amount::Text(text) => text.parse().map_err(|_| Malformed("`cumulative` is no whole number"))?,
            };
            let genesis = match json.genesis {
                Some(text) => Some(bytes(&text).ok_or(Malformed("`genesis` is not 32 bytes in hex"))?),
                None => None,
            };
            return Ok(Self {
                voucher: Voucher { channel: json.channel, cumulative },
                signature: bytes(&json.signature).ok_or(Malformed("`signature` is not 64 bytes in hex"))?,
                genesis,
            });
        }
        let scale = hex::decode(text.strip_prefix("0x").unwrap_or(text))
            .map_err(|_| Malformed("it is neither a JSON object nor hexadecimal"))?;
        let Scale { voucher, signature } = Scale::decode_all(&mut &*scale)
            .map_err(|_| Malformed("it is not a SCALE-encoded voucher and signature"))?;
        Ok(Self { voucher, signature, genesis: None })
    }

    /// Whether the key `payer` signed it for the chain with this genesis, plainly or as a wallet does.
    pub fn is_signed_by(&self, payer: &[u8; 32], genesis: &[u8; 32]) -> bool {
        blyan_chain::keys::verify(&self.signature, &self.voucher.signing_hash(genesis), payer)
            || blyan_chain::keys::verify(&self.signature, &self.voucher.wrapped_signing_bytes(genesis), payer)
    }
}

/// A channel as the finalized chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelView {
    /// Who pays.
    pub payer: [u8; 32],
    /// Who is paid.
    pub gateway: [u8; 32],
    /// Everything ever put into it, what was paid out included.
    pub escrow: u128,
    /// Paid out so far.
    pub redeemed: u128,
    /// Whether there is too little time left to compute an answer and to redeem a voucher.
    pub closing: bool,
}

/// Why the chain did not answer.
pub type LookupError = Box<dyn std::error::Error + Send + Sync>;

/// Where channels are looked up: the finalized chain.
pub trait Channels: Send + Sync {
    /// The channel, if there is one.
    fn channel(&self, id: ChannelId) -> BoxFuture<'_, Result<Option<ChannelView>, LookupError>>;
}

type Reserved = Arc<Mutex<HashMap<ChannelId, u128>>>;

/// Takes vouchers for one worker on one chain.
#[derive(Clone, Debug)]
pub struct Cashier {
    journal: Arc<Journal>,
    price: Price,
    genesis: [u8; 32],
    gateway: [u8; 32],
    reserved: Reserved,
}

/// What is set aside for a running answer. Released when dropped.
#[derive(Debug)]
pub struct Reservation {
    channel: ChannelId,
    amount: u128,
    price: Price,
    reserved: Reserved,
}

impl Reservation {
    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// What `tokens` cost; never more than was set aside.
    pub fn price_of(&self, tokens: u64) -> u128 {
        self.price.of(tokens).min(self.amount)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = self.reserved.lock();
        if let Some(amount) = reserved.get_mut(&self.channel) {
            *amount = amount.saturating_sub(self.amount);
            if *amount == 0 {
                reserved.remove(&self.channel);
            }
        }
    }
}

impl Cashier {
    /// Takes vouchers for the worker with key `gateway`.
    pub fn new(journal: Arc<Journal>, price: Price, genesis: [u8; 32], gateway: [u8; 32]) -> Self {
        Self { journal, price, genesis, gateway, reserved: Reserved::default() }
    }

    /// The price.
    pub fn price(&self) -> Price {
        self.price
    }

    /// What `channel` has used, and what its running answers can still use.
    pub fn standing(&self, channel: ChannelId) -> Result<Option<(ChannelLedger, u128)>, JournalError> {
        let ledger = self.journal.channel(channel)?;
        Ok(ledger.map(|ledger| (ledger, self.reserved.lock().get(&channel).copied().unwrap_or(0))))
    }

    /// The error that tells a client without a voucher what an answer of up to `tokens` costs.
    pub fn required(&self, tokens: u64) -> PaymentError {
        PaymentError::Required { per_1k: self.price.per_1k, required: self.price.of(tokens) }
    }

    /// Accepts `signed` for an answer of up to `tokens` tokens, keeps it on disk, and sets the answer's price aside.
    ///
    /// Blocks for a disk flush.
    pub fn admit(
        &self,
        signed: &SignedVoucher,
        channel: Option<ChannelView>,
        tokens: u64,
    ) -> Result<Reservation, PaymentError> {
        let Voucher { channel: id, cumulative: found } = signed.voucher;
        let view = channel.ok_or(PaymentError::Unknown(id))?;
        if view.gateway != self.gateway {
            return Err(PaymentError::NotOurs(id));
        }
        if let Some(genesis) = signed.genesis.filter(|genesis| *genesis != self.genesis) {
            return Err(PaymentError::WrongGenesis(genesis));
        }
        if !signed.is_signed_by(&view.payer, &self.genesis) {
            return Err(PaymentError::WrongSigner(id));
        }
        if view.closing {
            return Err(PaymentError::Closing(id));
        }
        if found > view.escrow {
            return Err(PaymentError::OverEscrow { channel: id, found, escrow: view.escrow });
        }
        let amount = self.price.of(tokens);
        // Held over the flush: two requests with one voucher must not both find it new.
        let mut reserved = self.reserved.lock();
        let ledger = self.journal.channel(id)?.unwrap_or_default();
        if let Some((last, _)) = ledger.voucher.filter(|(last, _)| found <= last.cumulative) {
            return Err(PaymentError::Replayed { found, last: last.cumulative });
        }
        let running = reserved.get(&id).copied().unwrap_or(0);
        let required = ledger.spent.saturating_add(running).saturating_add(amount);
        if found < required {
            return Err(PaymentError::Insufficient { found, required });
        }
        self.journal.update_channel(id, |ledger| ledger.voucher = Some((signed.voucher, signed.signature)))?;
        reserved.insert(id, running.saturating_add(amount));
        Ok(Reservation { channel: id, amount, price: self.price, reserved: self.reserved.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipts::journal::{Answer, Charge, tests::answer};
    use blyan_chain::Key;
    use codec::Encode;
    use proptest::prelude::*;

    const GENESIS: [u8; 32] = [1; 32];
    const GATEWAY: [u8; 32] = [2; 32];

    struct Setup {
        cashier: Cashier,
        journal: Arc<Journal>,
        payer: Key,
        _folder: tempfile::TempDir,
    }

    fn setup(per_1k: u128) -> Setup {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::open(folder.path(), GENESIS, GATEWAY, 0).unwrap());
        let cashier = Cashier::new(journal.clone(), Price { per_1k }, GENESIS, GATEWAY);
        Setup { cashier, journal, payer: Key::from_uri("//Bob").unwrap(), _folder: folder }
    }

    impl Setup {
        fn view(&self) -> ChannelView {
            let payer = self.payer.public();
            ChannelView { payer, gateway: GATEWAY, escrow: 10_000, redeemed: 0, closing: false }
        }

        fn voucher(&self, cumulative: u128) -> SignedVoucher {
            let voucher = Voucher { channel: 7, cumulative };
            let signature = self.payer.sign(&voucher.signing_hash(&GENESIS));
            SignedVoucher { voucher, signature, genesis: None }
        }

        fn admit(&self, cumulative: u128, tokens: u64) -> Result<Reservation, PaymentError> {
            self.cashier.admit(&self.voucher(cumulative), Some(self.view()), tokens)
        }

        fn charge(&self, reservation: Reservation, tokens: u64) -> u128 {
            let price = reservation.price_of(tokens);
            let charge = Some(Charge { channel: reservation.channel(), price });
            self.journal.append(vec![Answer { charge, ..answer(1) }], 0, |_| [0; 64]).unwrap();
            drop(reservation);
            price
        }
    }

    #[test]
    fn what_was_promised_beyond_the_price_counts_for_the_next_answer() {
        let setup = setup(1000);
        let reservation = setup.admit(100, 100).unwrap();
        assert_eq!(setup.charge(reservation, 60), 60);
        let missing = setup.admit(110, 60).unwrap_err();
        assert!(matches!(missing, PaymentError::Insufficient { found: 110, required: 120 }), "{missing}");
        let reservation = setup.admit(120, 60).unwrap();
        assert_eq!(setup.cashier.standing(7).unwrap().unwrap().1, 60);
        drop(reservation);
        let (ledger, reserved) = setup.cashier.standing(7).unwrap().unwrap();
        assert_eq!((ledger.spent, reserved), (60, 0));
    }

    #[test]
    fn running_answers_of_one_channel_are_all_covered() {
        let setup = setup(1000);
        let _first = setup.admit(100, 100).unwrap();
        assert!(matches!(setup.admit(150, 100), Err(PaymentError::Insufficient { required: 200, .. })));
        let _second = setup.admit(200, 100).unwrap();
    }

    #[test]
    fn each_bad_voucher_is_refused_by_its_name() {
        let setup = setup(1000);
        let view = setup.view();
        let admit = |voucher: &SignedVoucher, view: Option<ChannelView>| {
            setup.cashier.admit(voucher, view, 10).map(|_| ()).unwrap_err()
        };
        let good = setup.voucher(100);
        assert!(matches!(admit(&good, None), PaymentError::Unknown(7)));
        let other = ChannelView { gateway: [9; 32], ..view };
        assert!(matches!(admit(&good, Some(other)), PaymentError::NotOurs(7)));
        let closing = ChannelView { closing: true, ..view };
        assert!(matches!(admit(&good, Some(closing)), PaymentError::Closing(7)));
        let elsewhere = SignedVoucher { genesis: Some([5; 32]), ..good };
        assert!(matches!(admit(&elsewhere, Some(view)), PaymentError::WrongGenesis(_)));
        let stranger = Key::from_uri("//Eve").unwrap();
        let forged = SignedVoucher { signature: stranger.sign(&good.voucher.signing_hash(&GENESIS)), ..good };
        assert!(matches!(admit(&forged, Some(view)), PaymentError::WrongSigner(7)));
        let replanted = SignedVoucher { signature: setup.payer.sign(&good.voucher.signing_hash(&[5; 32])), ..good };
        assert!(matches!(admit(&replanted, Some(view)), PaymentError::WrongSigner(7)));
        let over = admit(&setup.voucher(10_001), Some(view));
        assert!(matches!(over, PaymentError::OverEscrow { escrow: 10_000, .. }));
        assert_eq!(setup.cashier.standing(7).unwrap(), None, "a refused voucher leaves nothing behind");
        setup.cashier.admit(&good, Some(view), 10).unwrap();
        assert!(matches!(admit(&good, Some(view)), PaymentError::Replayed { found: 100, last: 100 }));
        assert!(matches!(admit(&setup.voucher(99), Some(view)), PaymentError::Replayed { .. }));
    }

    #[test]
    fn vouchers_survive_a_restart() {
        let Setup { cashier, journal, payer, _folder } = setup(1000);
        let again = Setup { cashier, journal, payer, _folder };
        again.admit(500, 10).unwrap();
        let Setup { cashier, journal, payer, _folder } = again;
        drop((cashier, journal));
        let journal = Arc::new(Journal::open(_folder.path(), GENESIS, GATEWAY, 0).unwrap());
        let cashier = Cashier::new(journal.clone(), Price { per_1k: 1000 }, GENESIS, GATEWAY);
        let again = Setup { cashier, journal, payer, _folder };
        assert!(matches!(again.admit(500, 10), Err(PaymentError::Replayed { .. })));
    }

    #[test]
    fn wallets_may_wrap_what_they_sign() {
        let setup = setup(1000);
        let voucher = Voucher { channel: 7, cumulative: 100 };
        let signature = setup.payer.sign(&voucher.wrapped_signing_bytes(&GENESIS));
        let wrapped = SignedVoucher { voucher, signature, genesis: Some(GENESIS) };
        assert!(setup.cashier.admit(&wrapped, Some(setup.view()), 10).is_ok());
    }

    #[test]
    fn both_forms_of_a_voucher_are_read() {
        let setup = setup(1000);
        let good = setup.voucher(u128::MAX);
        let json = format!(
            r#"{{"channel":7,"cumulative":"{}","signature":"0x{}"}}"#,
            good.voucher.cumulative,
            hex::encode(good.signature)
        );
        assert_eq!(SignedVoucher::parse(&json).unwrap(), good);
        let scale = hex::encode((good.voucher, good.signature).encode());
        assert_eq!(SignedVoucher::parse(&format!("0x{scale}")).unwrap(), good);
        let long = "0".repeat(MAX_VOUCHER + 1);
        for bad in ["", "{}", "zz", "0x00", &scale[2..], &json.replace("channel", "chanel"), &long] {
            assert!(matches!(SignedVoucher::parse(bad), Err(PaymentError::Malformed(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn prices_round_up_and_never_overflow(per_1k: u128, tokens: u64) {
            let price = Price { per_1k };
            prop_assert!(price.of(tokens) <= price.of(tokens.saturating_add(1)));
            let exact = u128::from(tokens).checked_mul(per_1k);
            if let Some(exact) = exact {
                prop_assert!(price.of(tokens).saturating_mul(1000) >= exact);
            }
        }

        #[test]
        fn garbage_vouchers_never_panic(text in ".{0,200}") {
            let _ = SignedVoucher::parse(&text);
        }
    }
}
