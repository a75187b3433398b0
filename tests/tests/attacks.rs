//! Evaluators that do not do their work, in two rounds at once: one copies what another has committed to, and one lies alone. Both
//! rounds end as if the others had been by themselves.

use anyhow::{Context, Result, bail};
use blyan_chain::{
    BlockNumber, DispatchError, EvaluationPhase as Phase, Event, Key, LearningCall, LearningEvent, RoundOutcome,
    StakingCall, State, tx::SubmissionError,
};
use blyan_cli::genesis::open_store;
use blyan_e2e::{
    folder,
    learning::{Desk, Hand, ROUND, School, TEXTS, outcome_of, submit},
};
use blyan_primitives::{
    learning::{DeltaOutcome, ItemRange, RoundId},
    pol::{DeltaFinding, Finding, Reveal, Scores, commitment},
    worker::Roles,
};
use codec::Encode;
use serde_json::{Value, json};

const BOND: u128 = 1_000_000_000_000_000_000_000;
/// Evaluators that do theirs, and one that does not.
const HONEST: [&str; 2] = ["//Bob", "//Charlie"];

/// Waits until the evaluation of a round is in a phase.
async fn phase(school: &School, round: RoundId, phase: Phase) {
    let find = async |state: &State| {
        let found = state.evaluation(round).await?.map(|evaluation| evaluation.phase);
        Ok((found == Some(phase)).then_some(()))
    };
    school.wait(ROUND, "a phase of the evaluation", find).await.unwrap();
}

/// The extrinsic of an account with these bytes, which is in one of the blocks where something happened.
async fn extrinsic(
    school: &School,
    after: BlockNumber,
    who: &Key,
    part: &[u8],
    is: impl Fn(&LearningEvent) -> bool,
) -> Result<Vec<u8>> {
    // Others reveal the same.
    let account = who.account();
    let parts: [&[u8]; 2] = [part, &account.0];
    for number in after..=school.client.finalized()?.number {
        let block = school.client.finalized_block(number).await?.context("a block is final")?;
        let events = school.client.events(block).await?;
        if !events.iter().any(|event| matches!(&event.event, Event::Learning(event) if is(event))) {
            continue;
        }
        let found = school.node.call("chain_getBlock", json!([block.hash])).await?;
        let extrinsics = found["block"]["extrinsics"].as_array().context("a block has extrinsics")?;
        let bytes =
            extrinsics.iter().filter_map(Value::as_str).filter_map(|text| hex::decode(text.strip_prefix("0x")?).ok());
        if let Some(found) = bytes.into_iter().find(|bytes| parts.iter().all(|part| position(bytes, part).is_some())) {
            return Ok(found);
        }
    }
    bail!("no block has it")
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The name of the error that a call was refused with.
fn refused(error: &anyhow::Error) -> Option<&str> {
    match error.downcast_ref()? {
        SubmissionError::Dispatch { error, .. } => match &**error {
            DispatchError::Pallet { name, .. } => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn commit_to(round: RoundId, who: &Key, salt: &[u8; 32], reveal: &Reveal) -> [u8; 32] {
    commitment(round.into(), &who.account().encode(), salt, &reveal.hash())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_that_copies_or_lies_is_slashed_and_the_others_decide() {
    let base = folder();
    let school = School::open(base.path(), &HONEST).await.unwrap();
    let learner = school.learner("//Eve").await.unwrap();
    let store = open_store(&learner.store).unwrap();
    let [mallory] = <[Hand; 1]>::try_from(school.enlist(&["//Mallory"], Roles::EVALUATE, &learner.api).await.unwrap())
        .ok()
        .unwrap();
    mallory.call("bond", StakingCall::BondWorker { amount: BOND }).await.unwrap();
    mallory.call("enrol", LearningCall::Enrol).await.unwrap();
    let began = school.client.finalized().unwrap().number;

    let eve = Hand::new(&school.client, "//Eve").await.unwrap();
    let (set, texts) = &school.training;
    let data = ItemRange { block: *set, first: 0, count: 2 * TEXTS };
    let mut rounds = Vec::new();
    for layer in [0, 1] {
        let (slot, spec) = school.slot(layer, 2).await.unwrap();
        let desk = Desk::new(&school, &store, slot).await.unwrap();
        let delta = desk.train(*set, texts, 24, 1).unwrap();
        let (header, block) = desk.pack(&delta, &eve.key, data).unwrap();
        let round = school.open_round(slot, spec).await.unwrap();
        submit(&eve, round, &header, Some((&block, &store))).await.unwrap();
        rounds.push(round);
    }
    let [copied, lied] = rounds[..] else { panic!("there are two rounds") };
    let bob = Key::from_uri("//Bob").unwrap();
    let committed = async |state: &State, round| {
        let seat = state.seat(round, &bob.account()).await?;
        Ok(seat.and_then(|seat| seat.commitment))
    };

    // She copies a commitment without having evaluated anything. It is of no use: it names its owner.
    let copies = async {
        phase(&school, copied, Phase::Availability).await;
        let vote = LearningCall::VoteAvailability { evaluation: copied, available: 1, reads_hidden: false };
        mallory.call("copy/vote", vote).await.unwrap();
        let commitment =
            school.wait(ROUND, "a commitment", async |state| committed(state, copied).await).await.unwrap();
        mallory.call("copy/commit", LearningCall::Commit { evaluation: copied, commitment }).await.unwrap();
        let find = async |state: &State| {
            let seat = state.seat(copied, &bob.account()).await?;
            let Some(name) = seat.and_then(|seat| seat.reveal) else { return Ok(None) };
            let reveals = state.reveals(copied).await?;
            Ok(reveals.into_iter().find(|(found, _)| *found == name).map(|(_, entry)| entry.reveal))
        };
        let reveal = school.wait(ROUND, "a reveal", find).await.unwrap();
        let is_reveal = |event: &LearningEvent| matches!(event, LearningEvent::Revealed { evaluation, who, .. } if *evaluation == copied && *who == bob.account());
        let revealed = extrinsic(&school, began, &bob, &reveal.encode(), is_reveal).await.unwrap();
        // The salt comes before the reveal.
        let at = position(&revealed, &reveal.encode()).unwrap();
        let salt: [u8; 32] = revealed[at - 32..at].try_into().unwrap();
        assert_eq!(commitment, commit_to(copied, &bob, &salt, &reveal));
        let error =
            mallory.call("copy/reveal", LearningCall::Reveal { evaluation: copied, salt, reveal }).await.unwrap_err();
        assert_eq!(refused(&error), Some("NotCommitted"), "{error:#}");
        // And what somebody has sent before cannot be sent again.
        let again = school.node.call("author_submitExtrinsic", json!([format!("0x{}", hex::encode(&revealed))])).await;
        let error = format!("{:#}", again.unwrap_err());
        assert!(error.contains("1010") || error.contains("1012"), "{error}");
    };
    // She says of the delta that it is malformed. Nobody else does.
    let lies = async {
        phase(&school, lied, Phase::Availability).await;
        let vote = LearningCall::VoteAvailability { evaluation: lied, available: 1, reads_hidden: false };
        mallory.call("lie/vote", vote).await.unwrap();
        phase(&school, lied, Phase::Commit).await;
        let state = school.client.at_finalized().await.unwrap();
        let evaluation = state.evaluation(lied).await.unwrap().unwrap();
        let scores = Scores(vec![0; evaluation.layout.without_candidate() as usize]);
        let sums = scores.deltas(&evaluation.layout).unwrap();
        let found = |sums| DeltaFinding { finding: Finding::Malformed, sums };
        let deltas: Vec<_> = sums.into_iter().map(found).collect();
        let reveal = Reveal { scores: scores.hash(), deltas: deltas.try_into().unwrap(), candidate: None };
        let salt = [5; 32];
        let commitment = commit_to(lied, &mallory.key, &salt, &reveal);
        mallory.call("lie/commit", LearningCall::Commit { evaluation: lied, commitment }).await.unwrap();
        phase(&school, lied, Phase::Reveal).await;
        mallory.call("lie/reveal", LearningCall::Reveal { evaluation: lied, salt, reveal }).await.unwrap();
    };
    tokio::join!(copies, lies);

    for round in [copied, lied] {
        let (outcome, deltas) = school.ended(round).await.unwrap();
        assert!(matches!(outcome, RoundOutcome::Committed(_)), "{round}: {outcome:?}, {deltas:#?}");
        assert_eq!(outcome_of(&deltas, &eve.key).unwrap(), DeltaOutcome::Merged(1 << 16), "{round}");
    }
    // Each costs her, and nobody else.
    let last = school.client.finalized().unwrap().number;
    let (mut absent, mut wrong) = (Vec::new(), Vec::new());
    for number in began..=last {
        let block = school.client.finalized_block(number).await.unwrap().unwrap();
        for event in school.client.events(block).await.unwrap() {
            match event.event {
                Event::Learning(LearningEvent::Absent { evaluation, who, .. }) => absent.push((evaluation, who)),
                Event::Learning(LearningEvent::Wrong { evaluation, who, .. }) => wrong.push((evaluation, who)),
                _ => {},
            }
        }
    }
    let mallory = mallory.key.account();
    assert_eq!((absent, wrong), (vec![(copied, mallory)], vec![(lied, mallory)]));
}
