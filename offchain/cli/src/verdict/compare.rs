//! Two evaluations of a round, number by number.

use blyan_chain::Accepted;
use blyan_primitives::{
    ids::ContentHash,
    learning::DeltaOutcome,
    pact::Learning as Rules,
    pol::{Candidate, DeltaFinding, Finding, Layout, Paired, Reveal, released_gain},
};
use serde::Serialize;

/// Something that both evaluations say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Said {
    pub(super) what: String,
    pub(super) chain: String,
    pub(super) here: String,
    pub(super) same: bool,
}

/// What a delta is, in words.
pub(super) fn finding_text(finding: Finding) -> String {
    match finding {
        Finding::Malformed => "malformed".to_owned(),
        Finding::Copy(of) => format!("a copy of measured delta {of}"),
        Finding::Sound => "sound".to_owned(),
    }
}

/// What follows for a delta from what was found of it and what it counts for.
pub(super) fn outcome_of(found: &DeltaFinding, weight: u32, layout: &Layout, rules: &Rules) -> DeltaOutcome {
    match found.judge(layout, rules) {
        Ok(()) => DeltaOutcome::Merged(weight),
        Err(refusal) => DeltaOutcome::Refused(refusal),
    }
}

/// What the chain says, beside what was revealed.
pub(super) struct Chain<'a> {
    pub(super) reveal: &'a Reveal,
    /// Of each delta that was measured: its number in the round, and what came of it.
    pub(super) deltas: Vec<(u32, Option<DeltaOutcome>)>,
    /// The same of those that the committee could not fetch.
    pub(super) others: Vec<(u32, Option<DeltaOutcome>)>,
    /// The verdict, in words.
    pub(super) verdict: String,
    /// What becomes the head, where a candidate was taken.
    pub(super) accepted: Option<Accepted>,
}

/// How an evaluation ends, in words.
pub(super) fn verdict_text(reveal: &Reveal, layout: &Layout, rules: &Rules) -> String {
    match reveal.judge(layout, rules) {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

fn hash(bytes: &[u8; 32]) -> String {
    ContentHash(*bytes).to_string()
}

fn sums_text(sums: &Paired) -> String {
    format!("{} / {}", sums.gain, sums.squares)
}

/// All numbers of an evaluation, by what they are.
fn numbers(reveal: &Reveal, indices: &[u32]) -> Vec<(String, String)> {
    let mut all = vec![("scores".to_owned(), hash(&reveal.scores))];
    for (found, index) in reveal.deltas.iter().zip(indices) {
        let mut say = |what: &str, text: String| all.push((format!("delta {index} {what}"), text));
        say("is", finding_text(found.finding));
        for (set, sums) in [("trial", &found.sums.trial), ("general", &found.sums.general), ("own", &found.sums.own)] {
            say(set, sums_text(sums));
        }
    }
    if let Some(Candidate { master, serving, sums }) = &reveal.candidate {
        let mut say = |what: &str, text: String| all.push((format!("candidate {what}"), text));
        say("master", master.to_string());
        say("serving", serving.to_string());
        say("final", sums_text(&sums.last));
        say("general", sums_text(&sums.general));
    }
    all
}

/// Compares what the chain has with what was found here.
pub(super) fn compare(chain: &Chain<'_>, here: &Reveal, layout: &Layout, rules: &Rules) -> Vec<Said> {
    let indices: Vec<u32> = chain.deltas.iter().map(|(index, _)| *index).collect();
    let said = |what: String, chain: Option<String>, here: Option<String>| {
        let same = chain.is_some() && chain == here;
        let text = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
        Said { what, chain: text(chain), here: text(here), same }
    };
    let (theirs, ours) = (numbers(chain.reveal, &indices), numbers(here, &indices));
    let find =
        |all: &[(String, String)], what: &str| all.iter().find(|(one, _)| one == what).map(|(_, text)| text.clone());
    let mut names: Vec<&String> = theirs.iter().map(|(what, _)| what).collect();
    names.extend(ours.iter().map(|(what, _)| what).filter(|what| find(&theirs, what).is_none()));
    let mut all: Vec<Said> =
        names.into_iter().map(|what| said(what.clone(), find(&theirs, what), find(&ours, what))).collect();
    let weights = here.weights(layout, rules);
    for (place, (index, outcome)) in chain.deltas.iter().enumerate() {
        let ours = here.deltas.get(place).zip(weights.get(place));
        let ours = ours.map(|(found, weight)| outcome_of(found, *weight, layout, rules));
        let text = |outcome: &DeltaOutcome| crate::round::delta_text(Some(outcome));
        all.push(said(format!("delta {index} outcome"), outcome.as_ref().map(text), ours.as_ref().map(text)));
        // Beside the share in per cent, which is rounded.
        if let (Some(DeltaOutcome::Merged(theirs)), Some(DeltaOutcome::Merged(ours))) = (outcome, ours) {
            all.push(said(format!("delta {index} weight"), Some(theirs.to_string()), Some(ours.to_string())));
        }
    }
    for (index, outcome) in &chain.others {
        let text = |outcome: &DeltaOutcome| crate::round::delta_text(Some(outcome));
        let ours = Some(text(&DeltaOutcome::Withheld));
        all.push(said(format!("delta {index} outcome"), outcome.as_ref().map(text), ours));
    }
    all.push(said("verdict".to_owned(), Some(chain.verdict.clone()), Some(verdict_text(here, layout, rules))));
    if let Some(Accepted { master, serving, gain }) = chain.accepted {
        let ours = here.candidate.as_ref();
        let mut say =
            |what: &str, chain: String, here: Option<String>| all.push(said(what.to_owned(), Some(chain), here));
        say("accepted master", master.to_string(), ours.map(|candidate| candidate.master.to_string()));
        say("accepted serving", serving.to_string(), ours.map(|candidate| candidate.serving.to_string()));
        let released = |candidate: &Candidate| released_gain(&candidate.sums.last, layout.last, layout.positions);
        say("gain made known", gain.to_string(), ours.map(|candidate| released(candidate).to_string()));
    }
    all.push(said("reveal".to_owned(), Some(hash(&chain.reveal.hash())), Some(hash(&here.hash()))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::{
        pact::{NetworkKind, Pact},
        pol::{CandidateSums, DeltaSums, Refusal},
        trace::LOSS_UNITS,
    };

    const LAYOUT: Layout = Layout { trial: 4, last: 4, general: 4, own: 4, deltas: 2, positions: 128 };

    fn rules() -> Rules {
        Pact::default_for(NetworkKind::Local).learning
    }

    /// The same gain on each of four items, in nats a token.
    fn sums(gain: f64) -> Paired {
        let each = (gain * 128.0 * f64::from(LOSS_UNITS)) as i64;
        Paired { gain: 4 * each, squares: 4 * u128::from(each.unsigned_abs()).pow(2) }
    }

    fn reveal() -> Reveal {
        let found = |gain| {
            let sums = DeltaSums { trial: sums(gain), general: sums(0.0), own: sums(gain) };
            DeltaFinding { finding: Finding::Sound, sums }
        };
        let candidate = Candidate {
            master: ContentHash([1; 32]),
            serving: ContentHash([2; 32]),
            sums: CandidateSums { last: sums(0.1), general: sums(0.0) },
        };
        let deltas = vec![found(0.1), found(-0.1)].try_into().unwrap();
        Reveal { scores: [3; 32], deltas, candidate: Some(candidate) }
    }

    fn chain(reveal: &Reveal) -> Chain<'_> {
        let outcomes = [DeltaOutcome::Merged(1 << 16), DeltaOutcome::Refused(Refusal::NoGain)];
        Chain {
            reveal,
            deltas: [0, 3].into_iter().zip(outcomes.map(Some)).collect(),
            others: vec![(1, Some(DeltaOutcome::Withheld))],
            verdict: verdict_text(reveal, &LAYOUT, &rules()),
            accepted: reveal.candidate.map(|Candidate { master, serving, sums }| Accepted {
                master,
                serving,
                gain: released_gain(&sums.last, 4, 128),
            }),
        }
    }

    #[test]
    fn equal_evaluations_are_the_same_in_everything() {
        let reveal = reveal();
        let said = compare(&chain(&reveal), &reveal, &LAYOUT, &rules());
        assert!(said.iter().all(|said| said.same), "{said:#?}");
        let has = |what: &str| said.iter().any(|said| said.what == what);
        for what in [
            "scores",
            "delta 3 own",
            "delta 0 weight",
            "candidate serving",
            "verdict",
            "accepted serving",
            "gain made known",
            "reveal",
        ] {
            assert!(has(what), "{what}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let (theirs, mut ours) = (reveal(), reveal());
        ours.deltas[1].sums.trial.squares += 1;
        let differing = |chain: &Chain<'_>, here: &Reveal| -> Vec<String> {
            let said = compare(chain, here, &LAYOUT, &rules());
            said.into_iter().filter(|said| !said.same).map(|said| said.what).collect()
        };
        assert_eq!(differing(&chain(&theirs), &ours), ["delta 3 trial", "reveal"]);
        // Of what one side alone has nothing is the same.
        ours = Reveal { candidate: None, ..reveal() };
        let found = differing(&chain(&theirs), &ours);
        assert!(found.contains(&"candidate master".to_owned()) && found.contains(&"verdict".to_owned()), "{found:?}");
        let found = differing(&Chain { reveal: &ours, ..chain(&theirs) }, &theirs);
        assert!(found.contains(&"candidate final".to_owned()), "{found:?}");
        // What the chain made of it, though it reveals the same.
        let mut other = chain(&theirs);
        other.deltas[0].1 = Some(DeltaOutcome::Merged(1));
        assert_eq!(differing(&other, &theirs), ["delta 0 outcome", "delta 0 weight"]);
        let accepted = chain(&theirs).accepted.map(|accepted| Accepted { gain: 7, ..accepted });
        assert_eq!(differing(&Chain { accepted, ..chain(&theirs) }, &theirs), ["gain made known"]);
        let accepted = accepted.map(|accepted| Accepted { serving: ContentHash([9; 32]), ..accepted });
        let other = Chain { accepted, ..chain(&theirs) };
        assert_eq!(differing(&other, &theirs), ["accepted serving", "gain made known"]);
        for outcome in [None, Some(DeltaOutcome::Merged(1))] {
            let other = Chain { others: vec![(1, outcome)], ..chain(&theirs) };
            assert_eq!(differing(&other, &theirs), ["delta 1 outcome"]);
        }
    }
}
