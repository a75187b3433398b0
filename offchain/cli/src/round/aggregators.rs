//! `blyan round aggregators`: who stands for election as a primary.

use crate::{out, submit::Reading, units::Bly};
use anyhow::Result;
use blyan_chain::{AccountId, Candidacy, WorkerStatus};
use clap::Args;
use serde_json::{Value, json};

/// Parts of a block that the chain counts delays in.
const DELAY_UNITS: f64 = 16.0;

/// Where to ask.
#[derive(Args, Debug)]
pub struct AggregatorsArgs {
    #[command(flatten)]
    reading: Reading,
}

/// An aggregator that stands, and its worker.
struct Standing {
    account: AccountId,
    candidacy: Candidacy,
    worker: Option<WorkerStatus>,
}

impl Standing {
    fn row(&self) -> [String; 5] {
        let worker = self.worker.as_ref();
        let of = |tell: &dyn Fn(&WorkerStatus) -> String| worker.map_or_else(|| "-".to_owned(), tell);
        [
            self.account.to_string(),
            of(&|worker| Bly(worker.bond).rounded()),
            format!("{:.1} blocks", f64::from(self.candidacy.delay) / DELAY_UNITS),
            of(&|worker| worker.info.region.to_string()),
            of(&|worker| if worker.online { "yes" } else { "no" }.to_owned()),
        ]
    }

    fn value(&self) -> Value {
        let worker = self.worker.as_ref();
        json!({
            "account": self.account.to_string(),
            "bond": worker.map(|worker| worker.bond.to_string()),
            "delay_blocks": f64::from(self.candidacy.delay) / DELAY_UNITS,
            "region": worker.map(|worker| worker.info.region.to_string()),
            "online": worker.is_some_and(|worker| worker.online),
        })
    }
}

/// Shows who stands.
pub(super) async fn list(args: &AggregatorsArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let mut all = Vec::new();
    for (account, candidacy) in state.standing().await? {
        all.push(Standing { account, candidacy, worker: state.worker(&account).await? });
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.worker.as_ref().map(|worker| worker.bond)));
    if args.reading.json {
        let value = json!({
            "block": state.block().number, "aggregators": all.iter().map(Standing::value).collect::<Vec<_>>(),
        });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    if all.is_empty() {
        return out::line(
            "nobody stands: a worker with --roles aggregate does by itself, once enough is at stake (`blyan stake worker`)",
        );
    }
    let rows: Vec<_> = all.iter().map(Standing::row).collect();
    out::table(["aggregator", " at stake", " takes to publish", "region", "online"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_worker_any_more_is_told_all_the_same() {
        let account = AccountId::from([7; 32]);
        let one = Standing { account, candidacy: Candidacy { delay: 24 }, worker: None };
        assert_eq!(one.row(), [&account.to_string(), "-", "1.5 blocks", "-", "-"]);
        assert_eq!((&one.value()["delay_blocks"], &one.value()["online"]), (&json!(1.5), &json!(false)));
    }
}
