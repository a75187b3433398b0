//! What accounts have at stake, in words: shared by the commands about it.

use crate::{
    out,
    submit::Reading,
    units::{Bly, span},
};
use anyhow::Result;
use blyan_chain::{
    AccountId, BondStatus, Charge, Delegation, EraIndex, EraStatus, Event, Ledger, StakingEvent, State, ValidatorStatus,
};
use blyan_primitives::pact::Network;
use serde_json::{Value, json};

/// Most announced slashes that are shown.
const MAX_SLASHES: usize = 1_000;

/// How much a call has sent on its way back, and the era in which it is due.
pub(crate) fn unbonded(event: &Event) -> Option<(u128, EraIndex)> {
    match event {
        Event::Staking(StakingEvent::Unbonded { amount, due, .. } | StakingEvent::Undelegated { amount, due, .. }) => {
            Some((*amount, *due))
        },
        _ => None,
    }
}

/// When something that is due in era `due` can be withdrawn, as seen in era `now`.
pub(crate) fn when(due: EraIndex, now: EraIndex, network: &Network) -> String {
    match due.checked_sub(now) {
        None | Some(0) => "due".to_owned(),
        Some(eras) => {
            // The present era has begun: so long it takes at most.
            let slots = u64::from(eras).saturating_mul(network.era_slots().into());
            format!("due in era {due}, within {}", span(slots))
        },
    }
}

/// Whether a validator is, was, or will be elected.
pub(crate) fn elected(status: &ValidatorStatus) -> &'static str {
    match (status.elected, status.elected_next, status.has_keys) {
        (true, _, _) => "yes",
        (false, true, _) => "next",
        (false, false, true) => "no",
        (false, false, false) => "no keys",
    }
}

/// Whether a candidate wants to be elected.
pub(crate) fn standing(status: &ValidatorStatus) -> &'static str {
    if status.active { "active" } else { "chilled" }
}

/// A candidate for programs.
pub(crate) fn validator_json(account: &AccountId, status: &ValidatorStatus) -> Value {
    json!({
        "account": account.to_string(), "own": status.own.to_string(), "delegated": status.delegated.to_string(),
        "delegators": status.delegators, "commission_ppm": status.commission.0, "standing": standing(status),
        "has_keys": status.has_keys, "elected": status.elected, "elected_next": status.elected_next,
        "blocks": status.blocks, "slashes": status.slashes,
    })
}

/// An era for programs.
pub(crate) fn era_json(era: &EraStatus) -> Value {
    json!({ "active": era.active, "planned": era.planned, "sessions": era.sessions, "blocks": era.blocks })
}

/// All that an account has at stake.
struct Stakes {
    ledger: Ledger,
    delegations: Vec<Delegation>,
    validator: Option<ValidatorStatus>,
    era: EraStatus,
    network: Network,
    free: u128,
    held: u128,
}

impl Stakes {
    async fn of(account: &AccountId, state: &State) -> Result<Self> {
        let balance = state.balance(account).await?;
        Ok(Self {
            ledger: state.ledger(account).await?,
            delegations: state.delegations(account).await?,
            validator: state.validator(account).await?,
            era: state.era().await?,
            network: state.pact_status().await?.network,
            free: balance.free,
            held: balance.reserved,
        })
    }

    fn json(&self, account: &AccountId, state: &State) -> Value {
        let bond = |bond: &BondStatus| {
            let parts = bond.unbonding.iter();
            let parts = parts.map(|part| json!({ "amount": part.amount.to_string(), "due": part.due }));
            json!({ "active": bond.active.to_string(), "unbonding": parts.collect::<Vec<_>>() })
        };
        let delegations = self.delegations.iter().map(|one| {
            json!({
                "validator": one.validator.to_string(), "amount": one.amount.to_string(),
                "auto_compound_percent": one.auto_compound,
            })
        });
        let bonds: serde_json::Map<_, _> =
            self.ledger.bonds().into_iter().map(|(kind, held)| (kind.to_string(), bond(held))).collect();
        json!({
            "account": account.to_string(), "block": state.block().number, "era": era_json(&self.era),
            "free": self.free.to_string(), "held": self.held.to_string(), "bonds": bonds,
            "delegations": delegations.collect::<Vec<_>>(), "unpaid": self.ledger.unpaid.to_string(),
            "validator": self.validator.as_ref().map(|status| validator_json(account, status)),
        })
    }

    fn lines(&self, account: &AccountId) -> Vec<String> {
        let mut lines = vec![
            format!("account     {account}"),
            format!("money       {} free, {} held", Bly(self.free).short(), Bly(self.held).short()),
            format!("era         {}, validators are elected up to era {}", self.era.active, self.era.planned),
        ];
        if let Some(status) = &self.validator {
            lines.push(format!(
                "validator   {} own, {} delegated by {}, commission {}",
                Bly(status.own).short(),
                Bly(status.delegated).short(),
                status.delegators,
                status.commission
            ));
            let slashes =
                if status.slashes > 0 { format!(", {} slashes announced", status.slashes) } else { String::new() };
            lines.push(format!(
                "            {}, elected: {}, blocks in this era: {}{slashes}",
                standing(status),
                elected(status),
                status.blocks
            ));
        }
        for one in &self.delegations {
            lines.push(format!(
                "delegated   {} to {}, {} % of what it earns added",
                Bly(one.amount).short(),
                one.validator,
                one.auto_compound
            ));
        }
        if self.ledger.worker.active > 0 {
            lines.push(format!("worker      {} at stake", Bly(self.ledger.worker.active).short()));
        }
        for (kind, bond) in self.ledger.bonds() {
            for part in &bond.unbonding {
                let when = when(part.due, self.era.active, &self.network);
                lines.push(format!("unbonding   {} ({kind}), {when}", Bly(part.amount).short()));
            }
        }
        if self.ledger.unpaid > 0 {
            lines.push(format!("unpaid      {} for eras that are over", Bly(self.ledger.unpaid).short()));
        }
        lines
    }
}

/// Shows what an account has at stake.
pub(crate) async fn show(account: &AccountId, reading: &Reading) -> Result<()> {
    let state = reading.state().await?;
    let stakes = Stakes::of(account, &state).await?;
    if reading.json {
        return out::line(serde_json::to_string_pretty(&stakes.json(account, &state))?);
    }
    stakes.lines(account).iter().try_for_each(out::line)
}

/// Shows announced slashes.
pub(crate) async fn slashes(reading: &Reading) -> Result<()> {
    let state = reading.state().await?;
    let (mut slashes, era) = (state.pending_slashes(MAX_SLASHES).await?, state.era().await?);
    slashes.sort_by_key(|slash| slash.slash);
    if reading.json {
        let one = |slash: &blyan_chain::PendingSlash| {
            let charge = match slash.charge {
                Charge::Validator { era, fraction } => {
                    json!({ "kind": "validator", "era": era, "fraction_ppb": fraction })
                },
                Charge::Worker { amount } => json!({ "kind": "worker", "amount": amount.to_string() }),
            };
            json!({ "slash": slash.slash, "account": slash.who.to_string(), "charge": charge, "apply_at": slash.apply_at })
        };
        let all: Vec<_> = slashes.iter().map(one).collect();
        return out::line(serde_json::to_string_pretty(&json!({ "era": era_json(&era), "slashes": all }))?);
    }
    if slashes.is_empty() {
        return out::line("no slashes are announced");
    }
    let network = state.pact_status().await?.network;
    let row = |slash: &blyan_chain::PendingSlash| {
        let charge = match slash.charge {
            Charge::Validator { era, fraction } => {
                format!("{}.{:07} % of its stake in era {era}", fraction / 10_000_000, fraction % 10_000_000)
            },
            Charge::Worker { amount } => format!("{} as a worker", Bly(amount)),
        };
        [slash.slash.to_string(), slash.who.to_string(), charge, applied(slash.apply_at, era.active, &network)]
    };
    out::table([" slash", "account", "loses", "applied"], &slashes.iter().map(row).collect::<Vec<_>>())
}

fn applied(at: EraIndex, now: EraIndex, network: &Network) -> String {
    match at.checked_sub(now) {
        None | Some(0) => "now".to_owned(),
        Some(eras) => {
            format!("in era {at}, within {}", span(u64::from(eras).saturating_mul(network.era_slots().into())))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::Unbonding;
    use blyan_primitives::pact::Ppm;

    const BLY: u128 = 1_000_000_000_000_000_000;

    fn status() -> ValidatorStatus {
        ValidatorStatus {
            own: 1_000 * BLY,
            delegated: 50 * BLY,
            delegators: 2,
            commission: Ppm(50_000),
            active: true,
            has_keys: true,
            elected: true,
            elected_next: true,
            blocks: 3,
            slashes: 0,
        }
    }

    #[test]
    fn what_is_due_is_told_with_the_longest_wait() {
        assert_eq!(when(7, 7, &Network::LOCAL), "due");
        assert_eq!(when(6, 7, &Network::LOCAL), "due");
        assert_eq!(when(10, 7, &Network::LOCAL), "due in era 10, within 1 min 30 s");
        assert_eq!(when(8, 7, &Network::PUBLIC), "due in era 8, within 6 h");
    }

    #[test]
    fn why_a_candidate_is_not_elected_is_told() {
        assert_eq!(elected(&status()), "yes");
        assert_eq!(elected(&ValidatorStatus { elected: false, ..status() }), "next");
        let not = ValidatorStatus { elected: false, elected_next: false, ..status() };
        assert_eq!(elected(&not), "no");
        assert_eq!(elected(&ValidatorStatus { has_keys: false, ..not }), "no keys");
    }

    #[test]
    fn everything_at_stake_is_shown() {
        let validator = AccountId::from([1; 32]);
        let stakes = Stakes {
            ledger: Ledger {
                validator: BondStatus { active: 1_000 * BLY, unbonding: vec![Unbonding { amount: 10 * BLY, due: 9 }] },
                worker: BondStatus { active: 20 * BLY, unbonding: Vec::new() },
                unpaid: BLY / 2,
                ..Default::default()
            },
            delegations: vec![Delegation { validator, amount: 7 * BLY, auto_compound: 100 }],
            validator: Some(status()),
            era: EraStatus { active: 7, planned: 8, sessions: 1, blocks: 5, due: 12 },
            network: Network::LOCAL,
            free: 5 * BLY,
            held: 1_037 * BLY,
        };
        let text = stakes.lines(&AccountId::from([2; 32])).join("\n");
        for part in [
            "5 BLY free, 1037 BLY held",
            "1000 BLY own, 50 BLY delegated by 2, commission 5 %",
            "active, elected: yes, blocks in this era: 3",
            "7 BLY to ",
            "100 % of what it earns added",
            "20 BLY at stake",
            "10 BLY (validator), due in era 9, within 1 min",
            "0.5 BLY for eras that are over",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
