//! How quantities are written and read: BLY with decimals, shares in per cent, times in blocks, accounts as addresses.

use blyan_chain::{AccountId, Hash};
use blyan_primitives::pact::{Ppm, Unit};
use std::{fmt, str::FromStr};

/// One BLY, in the smallest unit.
pub const BLY: u128 = 1_000_000_000_000_000_000;
const DECIMALS: usize = 18;
/// Seconds of a block.
const BLOCK: u64 = 3;

/// An amount, in the smallest unit of BLY. It is written in BLY, with up to 18 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bly(pub u128);

impl Bly {
    /// To four decimals, rounded down.
    pub fn rounded(self) -> String {
        format!("{}.{:04}", self.0 / BLY, self.0 % BLY / (BLY / 10_000))
    }

    /// As it is, but rounded down to four decimals where that leaves anything.
    pub fn short(self) -> Self {
        const STEP: u128 = BLY / 10_000;
        if self.0 < STEP { self } else { Self(self.0 - self.0 % STEP) }
    }
}

impl fmt::Display for Bly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % BLY {
            0 => write!(f, "{} BLY", self.0 / BLY),
            rest => write!(f, "{}.{} BLY", self.0 / BLY, format!("{rest:018}").trim_end_matches('0')),
        }
    }
}

impl FromStr for Bly {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        decimal(text, DECIMALS).map(Self).map_err(|problem| format!("{problem}; write BLY such as 1000 or 12.5"))
    }
}

/// A part of something, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// All of it.
    All,
    /// So much.
    Part(Bly),
}

impl Portion {
    /// How much that is when `all` is all.
    pub fn of(self, all: u128) -> u128 {
        match self {
            Self::All => all,
            Self::Part(amount) => amount.0,
        }
    }
}

impl FromStr for Portion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::Part).map_err(|problem: String| format!("{problem}, or `all`"))
    }
}

/// `text` times 10 to the power of `decimals`.
fn decimal(text: &str, decimals: usize) -> Result<u128, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (text.contains('.') && fraction.is_empty()) {
        return Err("it is no number".to_owned());
    }
    if fraction.len() > decimals {
        return Err(format!("it has more than {decimals} decimals"));
    }
    format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| "it is too large".to_owned())
}

/// A share such as `5%` or `2.5%`.
pub fn share(text: &str) -> Result<Ppm, String> {
    let number = text.strip_suffix('%').ok_or("it is no share; write one such as 5% or 2.5%")?;
    let parts = decimal(number.trim_end(), 4).map_err(|problem| format!("{problem}; write a share such as 2.5%"))?;
    match u32::try_from(parts) {
        Ok(parts) if parts <= Ppm::ONE.0 => Ok(Ppm(parts)),
        _ => Err("it is more than 100%".to_owned()),
    }
}

/// A share of whole hundredths, such as `50%`.
pub fn percent(text: &str) -> Result<u8, String> {
    let Ppm(parts) = share(text)?;
    match (parts % 10_000, u8::try_from(parts / 10_000)) {
        (0, Ok(hundredths)) => Ok(hundredths),
        _ => Err("it has to be a whole number of per cent".to_owned()),
    }
}

/// A number of blocks: `100`, or a time such as `90s`, `30m`, `6h` or `14d`.
pub fn blocks(text: &str) -> Result<u32, String> {
    let problem = "it is no number of blocks, nor a time such as 90s, 30m, 6h or 14d";
    let seconds = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return text.parse().map_err(|_| problem.to_owned()),
    };
    let number: u64 = text.get(..text.len() - 1).and_then(|number| number.parse().ok()).ok_or(problem)?;
    let blocks = number.checked_mul(seconds).map(|seconds| seconds.div_ceil(BLOCK));
    blocks.and_then(|blocks| u32::try_from(blocks).ok()).ok_or_else(|| "it is too long".to_owned())
}

/// How long `blocks` take, in the two largest units.
pub fn span(blocks: u64) -> String {
    let seconds = blocks.saturating_mul(BLOCK);
    let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut shown = Vec::new();
    for (length, name) in parts {
        let (count, rest) = (left / length, left % length);
        if count > 0 {
            shown.push(format!("{count} {name}"));
        }
        left = rest;
    }
    shown.truncate(2);
    if shown.is_empty() { "0 s".to_owned() } else { shown.join(" ") }
}

/// A change of the loss in nats a token, from micro-nats: a gain has a plus.
pub fn nats(micro: i64) -> String {
    let (sign, size) = (if micro < 0 { '-' } else { '+' }, micro.unsigned_abs());
    format!("{sign}{}.{:06} nats a token", size / 1_000_000, size % 1_000_000)
}

/// Parts of 2^16 in per cent.
pub fn weight(parts: u32) -> String {
    let hundredths = u64::from(parts).saturating_mul(10_000) >> 16;
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// An account: an address, or its public key as `0x` and 64 hexadecimal digits.
pub fn account(text: &str) -> Result<AccountId, String> {
    if text.starts_with("0x") {
        return text.parse::<Hash>().map(|key| AccountId::from(key.0)).map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| {
        "it is no account; write an address such as 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into()
    })
}

/// A parameter's value as people read it.
pub fn shown(unit: Unit, value: u128) -> String {
    match unit {
        Unit::Count => value.to_string(),
        Unit::Ppm => Ppm(u32::try_from(value).unwrap_or(u32::MAX)).to_string(),
        Unit::Bly => Bly(value).to_string(),
        Unit::Blocks => match u64::try_from(value) {
            Ok(blocks) => format!("{} ({})", counted(value, "block"), span(blocks)),
            Err(_) => counted(value, "block"),
        },
        Unit::Eras => counted(value, "era"),
        Unit::MicroNats => format!("{value} µnat"),
        Unit::MilliSigma => format!("{value} mσ"),
        Unit::Bits => counted(value, "bit"),
    }
}

fn counted(count: u128, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A parameter's value as people write it.
pub fn read(unit: Unit, text: &str) -> Result<u128, String> {
    match unit {
        Unit::Bly => text.parse().map(|Bly(amount)| amount),
        Unit::Ppm => share(text).map(Into::into),
        Unit::Blocks => blocks(text).map(Into::into),
        Unit::Count | Unit::Eras | Unit::MicroNats | Unit::MilliSigma | Unit::Bits => {
            text.parse().map_err(|_| "it is no whole number".to_owned())
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_in_bly() {
        for (text, amount, written) in [
            ("1000", 1_000 * BLY, "1000 BLY"),
            ("12.5", 12 * BLY + BLY / 2, "12.5 BLY"),
            ("0.000000000000000001", 1, "0.000000000000000001 BLY"),
            ("0", 0, "0 BLY"),
        ] {
            assert_eq!(text.parse(), Ok(Bly(amount)));
            assert_eq!(Bly(amount).to_string(), written);
        }
        assert_eq!((Bly(0).rounded(), Bly(BLY * 21 / 20).rounded()), ("0.0000".into(), "1.0500".into()));
        assert_eq!((Bly(BLY / 3).short().to_string(), Bly(3).short()), ("0.3333 BLY".into(), Bly(3)));
    }

    #[test]
    fn what_is_no_amount_is_refused_with_an_example() {
        for text in ["", ".5", "5.", "1,5", "-1", "1e3", "0.0000000000000000001", "340282366920938463464"] {
            let problem = text.parse::<Bly>().unwrap_err();
            assert!(problem.contains("12.5"), "{text}: {problem}");
        }
        assert!("some".parse::<Portion>().unwrap_err().ends_with("or `all`"));
    }

    #[test]
    fn a_portion_is_a_part_or_all() {
        assert_eq!("all".parse::<Portion>().unwrap().of(7), 7);
        assert_eq!("3".parse::<Portion>().unwrap().of(7), 3 * BLY);
    }

    #[test]
    fn shares_have_their_sign() {
        assert_eq!((share("5%"), share("66.6667%"), share("100 %")), (Ok(Ppm(50_000)), Ok(Ppm(666_667)), Ok(Ppm::ONE)));
        assert_eq!((percent("50%"), percent("0%"), percent("100%")), (Ok(50), Ok(0), Ok(100)));
        for text in ["5", "0.05", "101%", "%", "-1%", "1.23456%"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(percent("2.5%").is_err());
    }

    #[test]
    fn times_are_blocks_of_three_seconds() {
        assert_eq!((blocks("100"), blocks("90s"), blocks("30m"), blocks("1d")), (Ok(100), Ok(30), Ok(600), Ok(28_800)));
        assert_eq!(blocks("1s"), Ok(1), "never shorter than asked for");
        for text in ["", "d", "1w", "-5", "99999999d"] {
            assert!(blocks(text).is_err(), "{text}");
        }
        assert_eq!(
            (span(0), span(10), span(20), span(28_801)),
            ("0 s".into(), "30 s".into(), "1 min".into(), "1 d 3 s".into())
        );
    }

    #[test]
    fn gains_have_a_sign_and_weights_are_shares() {
        assert_eq!((nats(12_345), nats(0)), ("+0.012345 nats a token".into(), "+0.000000 nats a token".into()));
        assert_eq!((nats(-1_500_000), nats(i64::MIN).len()), ("-1.500000 nats a token".into(), 34));
        assert_eq!(
            (weight(1 << 16), weight(1 << 15), weight(0)),
            ("100.00 %".into(), "50.00 %".into(), "0.00 %".into())
        );
        assert_eq!(weight(20_000), "30.51 %");
    }

    #[test]
    fn accounts_are_addresses_or_keys() {
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        let key = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
        assert_eq!(account(alice), account(key));
        for text in ["", "//Alice", "0x12", "5Grw"] {
            assert!(account(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_parameter_is_read_in_its_unit() {
        assert_eq!(read(Unit::Bly, "2.5"), Ok(BLY * 5 / 2));
        assert_eq!(read(Unit::Ppm, "40%"), Ok(400_000));
        assert_eq!(read(Unit::Blocks, "1h"), Ok(1_200));
        assert_eq!(read(Unit::Count, "32"), Ok(32));
        assert!(read(Unit::Ppm, "400000").is_err() && read(Unit::Count, "3%").is_err());
        assert_eq!(shown(Unit::Blocks, 1_200), "1200 blocks (1 h)");
        assert_eq!(shown(Unit::Eras, 1), "1 era");
        assert_eq!(shown(Unit::Ppm, 400_000), "40 %");
    }
}
