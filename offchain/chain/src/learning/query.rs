//! Questions about rounds and their evaluation.

use super::{
    Candidacy, Delta, Enrolment, Evaluation, GameEntry, HiddenSet, ItemSet, Purpose, RevealEntry, Round, Seat,
    TraceEntry, Verdict, wire,
};
use crate::{AccountId, BlockNumber, ChainError, Result, State, codegen::blyan};
use blyan_primitives::{
    ids::{ContentHash, SlotId, SpecId},
    learning::RoundId,
    merkle::Digest,
    pol::{ItemBlock, Scores},
};
use subxt::utils::Static;

/// Most traces of a dispute that are listed: a committee has no more members.
const MAX_TRACES: usize = 201;
/// A key's part for a root: 16 bytes of hash, and the root.
const ROOT_LEN: usize = 16 + size_of::<Digest>();

impl State {
    /// A round; `None` when there was none of this number, or it is removed.
    pub async fn round(&self, round: RoundId) -> Result<Option<Round>> {
        let found = self.view("a round", blyan::view_functions().experts().round(round)).await?;
        Ok(found.map(wire::round))
    }

    /// The last `limit` rounds, the newest first, without those that are removed.
    pub async fn rounds(&self, limit: u32) -> Result<Vec<(RoundId, Round)>> {
        let next = self.get("the number of rounds", blyan::storage().experts().next_round(), ()).await?;
        let next = next.unwrap_or_default();
        let ids: Vec<RoundId> = (next.saturating_sub(limit)..next).rev().collect();
        let keys = ids.iter().map(|id| (*id,));
        let found = self.get_all("the rounds", blyan::storage().experts().rounds(), keys).await?;
        Ok(ids.into_iter().zip(found).filter_map(|(id, found)| Some((id, wire::round(found?)))).collect())
    }

    /// The deltas of a round, in the order in which they were submitted.
    pub async fn deltas(&self, round: RoundId) -> Result<Vec<Delta>> {
        let found = self.view("a round's deltas", blyan::view_functions().experts().deltas(round)).await?;
        Ok(found.into_iter().map(wire::delta).collect())
    }

    /// The rounds that are not over, in no order: as many as the chain has, which is at most 100.
    pub async fn ongoing_rounds(&self) -> Result<Vec<(RoundId, Round)>> {
        let found = self.view("the ongoing rounds", blyan::view_functions().experts().ongoing_rounds()).await?;
        Ok(found.into_iter().map(|(id, found)| (id, wire::round(found))).collect())
    }

    /// The round that a slot is in; `None` when it is in none.
    pub async fn round_of(&self, slot: SlotId) -> Result<Option<(RoundId, Round)>> {
        let found = self.view("a slot's round", blyan::view_functions().experts().round_of(Static(slot))).await?;
        Ok(found.map(|(id, found)| (id, wire::round(found))))
    }

    /// The primaries of a round that is not over, the first to publish first. They have its deltas.
    pub async fn primaries(&self, round: RoundId) -> Result<Vec<AccountId>> {
        self.view("a round's primaries", blyan::view_functions().experts().primaries(round)).await
    }

    /// First block in which an account can publish what was accepted in a round, with those online who are now; `None` when
    /// nothing waits to be published.
    pub async fn turn(&self, round: RoundId, account: &AccountId) -> Result<Option<BlockNumber>> {
        self.view("whose turn it is", blyan::view_functions().experts().turn(round, *account)).await
    }

    /// The aggregators that stand for election, in no order: as many as can.
    pub async fn standing(&self) -> Result<Vec<(AccountId, Candidacy)>> {
        let found = self.view("who stands for election", blyan::view_functions().experts().standing()).await?;
        Ok(found.into_iter().map(|(account, found)| (account, Candidacy { delay: found.delay })).collect())
    }

    /// How an account stands for election; `None` when it does not.
    pub async fn candidacy(&self, account: &AccountId) -> Result<Option<Candidacy>> {
        let found = self.get("a candidacy", blyan::storage().experts().candidacies(), (*account,)).await?;
        Ok(found.map(|found| Candidacy { delay: found.delay }))
    }

    /// The master that a slot's head was derived from; `None` when the slot is empty, or the chain does not know it: no
    /// delta can be applied to such a head.
    pub async fn head_master(&self, slot: SlotId) -> Result<Option<ContentHash>> {
        let found = self.view("a head's master", blyan::view_functions().experts().head_master(Static(slot))).await?;
        Ok(found.map(|block| block.0))
    }

    /// What the slots of a layer held at the end of block `height`, in the order of its experts: what deltas are measured
    /// with. `None` for a slot that was empty, or whose past is forgotten; nothing when the spec is unknown or has no such
    /// layer.
    pub async fn heads_of_layer_at(
        &self,
        spec: SpecId,
        layer: u16,
        height: BlockNumber,
    ) -> Result<Vec<Option<ContentHash>>> {
        let payload = blyan::view_functions().experts().heads_of_layer_at(Static(spec), layer, height);
        let found = self.view("a layer's heads", payload).await?;
        Ok(found.into_iter().map(|head| head.map(|block| block.0)).collect())
    }

    /// The evaluation of a round; `None` when there is none yet, or it is removed with its round.
    pub async fn evaluation(&self, id: RoundId) -> Result<Option<Evaluation>> {
        let found = self.view("an evaluation", blyan::view_functions().pol().evaluation(id)).await?;
        Ok(found.map(wire::evaluation))
    }

    /// The committee of an evaluation that is not over, in no order.
    pub async fn committee(&self, id: RoundId) -> Result<Vec<(AccountId, Seat)>> {
        let found = self.view("a committee", blyan::view_functions().pol().committee(id)).await?;
        Ok(found.into_iter().map(|(account, seat)| (account, wire::seat(seat))).collect())
    }

    /// An account's seat on the committee of an evaluation; `None` when it has none.
    pub async fn seat(&self, id: RoundId, account: &AccountId) -> Result<Option<Seat>> {
        let found = self.get("a seat", blyan::storage().pol().seats(), (id, *account)).await?;
        Ok(found.map(wire::seat))
    }

    /// What has been revealed in an evaluation and is not refuted, by its name, in no order.
    pub async fn reveals(&self, id: RoundId) -> Result<Vec<([u8; 32], RevealEntry)>> {
        let found = self.view("what was revealed", blyan::view_functions().pol().reveals(id)).await?;
        Ok(found.into_iter().map(|(name, entry)| (name, wire::reveal_entry(entry))).collect())
    }

    /// The scores behind the reveal of this name; `None` when nobody has posted them.
    pub async fn posted_scores(&self, id: RoundId, reveal: [u8; 32]) -> Result<Option<Scores>> {
        let found = self.get("posted scores", blyan::storage().pol().posted_scores(), (id, reveal)).await?;
        Ok(found.map(|scores| Scores(scores.0)))
    }

    /// The traces of the cell in dispute, by their roots, in no order.
    pub async fn traces(&self, id: RoundId) -> Result<Vec<(Digest, TraceEntry)>> {
        let what = "posted traces";
        let address = blyan::storage().pol().traces();
        let some_key = self.runtime().storage_key(&address, (id, Digest::default()))?;
        let prefix = some_key.get(..some_key.len().saturating_sub(ROOT_LEN)).unwrap_or_default();
        let keys = self.keys(what, prefix, MAX_TRACES).await?;
        let roots: Option<Vec<Digest>> = keys.iter().map(|key| key.last_chunk().copied()).collect();
        let roots = roots.ok_or(ChainError::Decode { what, reason: "a key is too short".to_owned() })?;
        let found = self.get_all(what, address, roots.iter().map(|root| (id, *root))).await?;
        Ok(roots.into_iter().zip(found).filter_map(|(root, found)| Some((root, wire::trace_entry(found?)))).collect())
    }

    /// The games that are being played in an evaluation, by their numbers, in no order.
    pub async fn games(&self, id: RoundId) -> Result<Vec<(u32, GameEntry)>> {
        let found = self.view("games", blyan::view_functions().pol().games(id)).await?;
        Ok(found.into_iter().map(|(number, entry)| (number, wire::game_entry(entry))).collect())
    }

    /// What the verdict of an evaluation follows from; `None` while there is no verdict, and when it follows from nobody
    /// having had the deltas.
    pub async fn verdict(&self, id: RoundId) -> Result<Option<Verdict>> {
        let found = self.view("a verdict", blyan::view_functions().pol().verdict(id)).await?;
        Ok(found.map(|reveal| Verdict { reveal: reveal.0 }))
    }

    /// What an account can be drawn for committees by; `None` when it is not enrolled.
    pub async fn evaluator(&self, account: &AccountId) -> Result<Option<Enrolment>> {
        let found = self.view("an evaluator", blyan::view_functions().pol().evaluator(*account)).await?;
        Ok(found.map(wire::enrolment))
    }

    /// The sets of a purpose, those that wait longest first. Of hidden sets, those that wait for an evaluation.
    pub async fn sets(&self, purpose: Purpose) -> Result<Vec<ItemBlock>> {
        let payload = blyan::view_functions().pol().sets(wire::chain_purpose(purpose));
        Ok(self.view("the sets", payload).await?.into_iter().map(|set| set.0).collect())
    }

    /// What a block of items is used for; `None` when it is not.
    pub async fn set(&self, block: ContentHash) -> Result<Option<ItemSet>> {
        let found = self.get("a set", blyan::storage().pol().sets(), (Static(block),)).await?;
        Ok(found.map(wire::item_set))
    }

    /// A hidden set; `None` when the block is none, or is public by now.
    pub async fn hidden_set(&self, block: ContentHash) -> Result<Option<HiddenSet>> {
        let found = self.view("a hidden set", blyan::view_functions().pol().hidden_set(Static(block))).await?;
        Ok(found.map(wire::hidden_set))
    }
}
