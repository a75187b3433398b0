//! `blyan pact`: the numbers that shape the network.

use crate::{
    out,
    submit::Reading,
    units::{shown, span},
};
use anyhow::{Result, bail};
use blyan_chain::PactStatus;
use blyan_primitives::pact::Entry;
use clap::Args;
use serde_json::{Value, json};

/// Show the Genesis Pact: every number that governance can change, with its bounds.
///
/// With NAME, one parameter or one section of them. `blyan referendum propose --set NAME=VALUE` proposes another value.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  blyan pact\n  blyan pact staking\n  blyan pact staking.max_validators --json")]
pub struct PactArgs {
    /// A parameter, as in staking.max_validators, or a section, as in staking.
    name: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the command.
pub async fn run(args: PactArgs) -> Result<()> {
    let pact = args.reading.state().await?.pact_status().await?;
    let entries = select(&pact, args.name.as_deref())?;
    if args.reading.json {
        return out::line(serde_json::to_string_pretty(&value(&pact, &entries))?);
    }
    if args.name.is_none() {
        let era = span(pact.network.era_slots().into());
        out::line(format_args!("pact        {}, changed {} times", pact.hash, pact.revision))?;
        out::line(format_args!("bounds      {}", pact.bounds_hash))?;
        out::line(format_args!(
            "network     {}, {} slots a session, {} sessions an era ({era})\n",
            kind(&pact),
            pact.network.session_slots,
            pact.network.sessions_per_era
        ))?;
    }
    let row = |entry: &&Entry| {
        let of = |value| shown(entry.unit, value);
        [entry.name.clone(), of(entry.value), of(entry.bounds.min), of(entry.bounds.max)]
    };
    out::table(["parameter", "value", "least", "most"], &entries.iter().map(row).collect::<Vec<_>>())
}

/// The entries that `name` names: all without one.
fn select<'a>(pact: &'a PactStatus, name: Option<&str>) -> Result<Vec<&'a Entry>> {
    let entries = pact.entries.iter();
    let Some(name) = name else { return Ok(entries.collect()) };
    let section = format!("{}.", name.trim_end_matches('.'));
    let found: Vec<_> = entries.filter(|entry| entry.name == name || entry.name.starts_with(&section)).collect();
    if found.is_empty() {
        bail!("the Pact has neither a parameter nor a section called {name}; `blyan pact` lists them all");
    }
    Ok(found)
}

/// For programs: as the node's `blyan_pact` answers, with names of this program's style.
fn value(pact: &PactStatus, entries: &[&Entry]) -> Value {
    let parameters = entries.iter().map(|entry| {
        json!({
            "name": entry.name, "value": entry.value.to_string(), "unit": entry.unit,
            "min": entry.bounds.min.to_string(), "max": entry.bounds.max.to_string(),
        })
    });
    json!({
        "network": pact.network, "revision": pact.revision, "hash": pact.hash, "bounds_hash": pact.bounds_hash,
        "parameters": parameters.collect::<Vec<_>>(),
    })
}

fn kind(pact: &PactStatus) -> &'static str {
    match pact.network.kind {
        blyan_primitives::pact::NetworkKind::Public => "public",
        blyan_primitives::pact::NetworkKind::Local => "local",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::Hash;
    use blyan_primitives::pact::{Network, NetworkKind, Pact};

    fn status() -> PactStatus {
        let kind = NetworkKind::Local;
        PactStatus {
            network: Network::LOCAL,
            entries: Pact::default_for(kind).entries(kind),
            revision: 3,
            hash: Hash([1; 32]),
            bounds_hash: Hash([2; 32]),
        }
    }

    #[test]
    fn a_parameter_a_section_or_everything_is_selected() {
        let pact = status();
        assert_eq!(select(&pact, None).unwrap().len(), pact.entries.len());
        assert_eq!(select(&pact, Some("staking.max_validators")).unwrap().len(), 1);
        let section = select(&pact, Some("staking")).unwrap();
        assert!(section.len() > 1 && section.iter().all(|entry| entry.name.starts_with("staking.")));
        let error = select(&pact, Some("stak")).unwrap_err().to_string();
        assert!(error.contains("`blyan pact`"), "{error}");
    }

    #[test]
    fn programs_get_numbers_as_text_with_units_and_bounds() {
        let pact = status();
        let value = value(&pact, &select(&pact, Some("staking.min_self_bond")).unwrap());
        assert_eq!(value["network"]["kind"], "local");
        let parameter = &value["parameters"][0];
        assert_eq!((&parameter["unit"], &parameter["value"]), (&json!("bly"), &json!("1000000000000000000000")));
        assert_eq!(parameter["min"], "1000000000000000000");
    }
}
