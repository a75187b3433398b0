//! Questions about bonds and validators.

use super::{
    BondStatus, Delegation, EraIndex, EraStatus, Exposure, Ledger, PendingSlash, Unbonding, ValidatorStatus, wire,
};
use crate::{
    AccountId, Result, State,
    codegen::blyan::{
        self,
        runtime_types::pallet_blyan_staking::{status, types},
    },
};

/// Entries asked for in one request; the chain gives no more.
const PER_PAGE: u32 = 100;

impl State {
    /// The candidate of an account; `None` when it is none.
    pub async fn validator(&self, account: &AccountId) -> Result<Option<ValidatorStatus>> {
        let status = self.view("a validator", blyan::view_functions().staking().validator(*account)).await?;
        Ok(status.map(validator_status))
    }

    /// Every candidate by its account, at most `limit`.
    pub async fn validators(&self, limit: usize) -> Result<Vec<(AccountId, ValidatorStatus)>> {
        let mut found: Vec<(AccountId, ValidatorStatus)> = Vec::new();
        while found.len() < limit {
            let start = found.last().map(|(account, _)| *account);
            let payload = blyan::view_functions().staking().candidates(start, PER_PAGE);
            let page = self.view("the validators", payload).await?;
            let ended = page.len() < PER_PAGE as usize;
            found.extend(page.into_iter().map(|(account, status)| (account, validator_status(status))));
            if ended {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Those who delegate to a validator, with what they delegate, at most `limit`.
    pub async fn delegators(&self, validator: &AccountId, limit: usize) -> Result<Vec<(AccountId, u128)>> {
        let mut found: Vec<(AccountId, u128)> = Vec::new();
        while found.len() < limit {
            let start = found.last().map(|(account, _)| *account);
            let payload = blyan::view_functions().staking().delegators(*validator, start, PER_PAGE);
            let page = self.view("a validator's delegators", payload).await?;
            let ended = page.len() < PER_PAGE as usize;
            found.extend(page);
            if ended {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// What an account delegates.
    pub async fn delegations(&self, account: &AccountId) -> Result<Vec<Delegation>> {
        let payload = blyan::view_functions().staking().delegations(*account);
        let found = self.view("an account's delegations", payload).await?;
        Ok(found
            .into_iter()
            .map(|one| Delegation { validator: one.validator, amount: one.amount, auto_compound: one.auto_compound.0 })
            .collect())
    }

    /// All that an account has bonded.
    pub async fn ledger(&self, account: &AccountId) -> Result<Ledger> {
        let ledger = self.view("an account's bonds", blyan::view_functions().staking().ledger(*account)).await?;
        let bond = |bond: status::BondStatus| BondStatus {
            active: bond.active,
            unbonding: bond
                .unbonding
                .into_iter()
                .map(|part: types::Chunk| Unbonding { amount: part.amount, due: part.due })
                .collect(),
        };
        Ok(Ledger {
            validator: bond(ledger.validator),
            delegation: bond(ledger.delegation),
            worker: bond(ledger.worker),
            unpaid: ledger.unpaid,
        })
    }

    /// The present era.
    pub async fn era(&self) -> Result<EraStatus> {
        let era = self.view("the era", blyan::view_functions().staking().era()).await?;
        Ok(EraStatus {
            active: era.active,
            planned: era.planned,
            sessions: era.sessions,
            blocks: era.blocks,
            due: era.due,
        })
    }

    /// What a validator was exposed with in an era; `None` when it was not elected, or that is no longer kept.
    pub async fn exposure(&self, era: EraIndex, validator: &AccountId) -> Result<Option<Exposure>> {
        let payload = blyan::view_functions().staking().exposure(era, *validator);
        let exposure = self.view("an exposure", payload).await?;
        Ok(exposure.map(|exposure| Exposure {
            own: exposure.own,
            total: exposure.total,
            commission: exposure.commission.0,
            delegators: exposure.delegators,
        }))
    }

    /// Slashes that are announced, in no order, at most `limit`.
    pub async fn pending_slashes(&self, limit: usize) -> Result<Vec<PendingSlash>> {
        let mut found: Vec<PendingSlash> = Vec::new();
        while found.len() < limit {
            let start = found.last().map(|slash| slash.slash);
            let payload = blyan::view_functions().staking().pending_slashes(start, PER_PAGE);
            let page = self.view("the announced slashes", payload).await?;
            let ended = page.len() < PER_PAGE as usize;
            found.extend(page.into_iter().map(|(slash, pending)| PendingSlash {
                slash,
                who: pending.who,
                charge: wire::charge(pending.charge),
                apply_at: pending.apply_at,
            }));
            if ended {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn validator_status(status: status::ValidatorStatus) -> ValidatorStatus {
    ValidatorStatus {
        own: status.own,
        delegated: status.delegated,
        delegators: status.delegators,
        commission: status.commission.0,
        active: status.standing == types::Standing::Active,
        has_keys: status.has_keys,
        elected: status.elected,
        elected_next: status.elected_next,
        blocks: status.blocks,
        slashes: status.slashes,
    }
}
