//! Simulates what the chain's rules for learning come to in networks of many learners, and draws it.
//!
//! ```text
//! simulate [--seed N] [--out FOLDER] [--days N] [--set NAME=VALUE]… [PART…]
//! ```
//!
//! Parts are `capture`, `judging`, `splitting` and `rounds`; without one, all of them. Committees are drawn, deltas judged, rewards
//! split, bonds settled and standings kept by the functions that the chain calls, with the parameters that a public network starts
//! with, and what else the runtime and its pallets set is [read from their files](chain). How rounds and evaluations go from phase
//! to phase is written here once more: that code is part of pallets. Learners, their machines and what training gains are made up,
//! from [measured figures](assumptions) where there are any. `--set` changes one of these, or a parameter of the Pact by its name, as in
//! `--set rounds.submission=1200`.
//!
//! The same seed gives the same figures. Prints a JSON line for each row of a table, and writes the plots `learning-….svg` into
//! the folder.

#[macro_use]
mod report;

mod assumptions;
mod capture;
mod chain;
mod judging;
mod network;
mod numbers;
mod outcome;
mod people;
mod plot;
mod queue;
mod splitting;
mod stakes;
mod statistics;
mod traffic;
mod weights;

use assumptions::Assumptions;
use blyan_primitives::pact::{Network, NetworkKind, Pact, Parameter};
use chain::Chain;
use report::{Fallible, Report};
use std::env;

const USAGE: &str = "usage: simulate [--seed N] [--out FOLDER] [--days N] [--set NAME=VALUE]… [PART…], parts: capture, judging, \
    splitting, rounds";
const PARTS: [&str; 4] = ["capture", "judging", "splitting", "rounds"];

/// Puts another value into the Pact or what is assumed.
fn set(pact: &mut Pact, given: &mut Assumptions, text: &str) -> Fallible<()> {
    let (name, value) = text.split_once('=').ok_or(USAGE)?;
    if let Some(parameter) = value.parse().ok().and_then(|value| Parameter::parse(name, value).ok()) {
        pact.set(parameter);
        return Ok(pact.check(&Network::PUBLIC).map_err(|error| format!("{text}: {error}"))?);
    }
    let number: f64 = value.parse().map_err(|error| format!("{text}: {error}"))?;
    let is_set = number.is_finite() && number >= 0.0 && given.set(name, number);
    if is_set { Ok(()) } else { Err(format!("{text}: nothing of this name takes such a value").into()) }
}

fn main() -> Fallible<()> {
    let (mut seed, mut days, mut out, mut parts) = (1u64, 7u64, None, Vec::new());
    let (mut pact, mut given) = (Pact::default_for(NetworkKind::Public), Assumptions::default());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        match arg.as_str() {
            "--seed" => seed = value()?.parse().map_err(|error| format!("--seed: {error}"))?,
            "--days" => days = value()?.parse().map_err(|error| format!("--days: {error}"))?,
            "--out" => out = Some(value()?.into()),
            "--set" => set(&mut pact, &mut given, &value()?)?,
            part if PARTS.contains(&part) => parts.push(arg),
            _ => return Err(format!("there is no part or option '{arg}'; {USAGE}").into()),
        }
    }
    if parts.is_empty() {
        parts = PARTS.map(String::from).into();
    }
    let report = Report { seed, days: days.max(1), out, pact, chain: Chain::read()?, given };
    report.assumptions();
    for part in parts {
        match part.as_str() {
            "capture" => report.capture()?,
            "judging" => report.judging()?,
            "splitting" => report.splitting()?,
            _ => report.rounds()?,
        }
    }
    Ok(())
}
