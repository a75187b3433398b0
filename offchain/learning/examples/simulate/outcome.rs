//! What networks come to: their tables and plots.

use crate::{
    network::{Network, Scenario},
    numbers::Numbers,
    people::{Kind, Learner},
    plot::{Axis, Plot, Style},
    report::{Fallible, Report, round, significant},
    statistics::{Hour, Statistics, fit, gini, mean, quantile},
    traffic::{HEADER, Sizes, TIMESTAMP},
    weights::Weights,
};
use blyan_primitives::pact::Pact;

/// Days until what is happening does not depend any more on how it began.
const WARM_UP: u64 = 2;
/// Learners in a plot that has a point for each: with more of them it would show nothing more.
const POINTS: usize = 800;

/// Figures of a scenario that plots are drawn of.
struct Figures {
    learners: f64,
    relayed: bool,
    /// An hour: rounds that are over, heads that have moved, deltas submitted and merged.
    rates: [f64; 4],
    /// MB a day up and down: of a learner, an evaluator, an aggregator.
    traffic: [f64; 6],
    /// Of honest learners that are paid: of all, and of those whose deltas were judged.
    paid: [f64; 2],
}

impl Report {
    fn scenarios(&self) -> Vec<Scenario> {
        let scenario = |name: &str, learners: usize| Scenario {
            name: name.into(),
            learners,
            pact: self.pact.clone(),
            chain: self.chain,
            given: self.given.clone(),
            relayed: false,
            closes_full: false,
            warm_up: WARM_UP,
            days: self.days,
            refresh: Some(self.given.refresh_days),
        };
        let mut short: Pact = self.pact.clone();
        (short.rounds.submission, short.rounds.max_deltas) = (1_200, 32);
        let sizes = [("100", 100), ("300", 300), ("1,000", 1_000), ("3,000", 3_000), ("10,000", 10_000)];
        let mut all: Vec<Scenario> = sizes.iter().map(|(name, learners)| scenario(name, *learners)).collect();
        all.extend(
            sizes
                .iter()
                .map(|(name, learners)| Scenario { relayed: true, ..scenario(&format!("{name}, relayed"), *learners) }),
        );
        all.push(Scenario { pact: short, days: self.days.min(2), ..scenario("10,000, short rounds", 10_000) });
        all.push(Scenario { closes_full: true, ..scenario("10,000, full rounds close", 10_000) });
        all.push(Scenario { refresh: None, ..scenario("1,000, no new data", 1_000) });
        all
    }

    /// Networks that learn.
    pub(crate) fn rounds(&self) -> Fallible<()> {
        let weights = Weights::read(&self.chain)?;
        let sizes = Sizes::measure(&mut Numbers::new(self.seed, "sizes"))?;
        row!("sizes", {
            "delta": sizes.delta, "serving": sizes.serving, "master": sizes.master, "submission": sizes.submit,
            "unit": "bytes",
        });
        let mut figures = Vec::new();
        for scenario in &self.scenarios() {
            let (learners, statistics) = Network::new(scenario, &weights, &sizes, self.seed).run();
            let found = summarise(scenario, &learners, &statistics);
            let is_usual = scenario.pact == self.pact && scenario.refresh.is_some() && !scenario.closes_full;
            if !scenario.relayed {
                kinds(scenario, &learners, &statistics);
            }
            if is_usual {
                figures.push(found);
            }
            if scenario.name == "10,000" {
                self.draw("reward", &reward_plot(scenario, &learners))?;
                self.draw("10000", &hours_plot(scenario, &statistics.hours))?;
            }
        }
        self.draw("throughput", &self.throughput_plot(&figures))?;
        self.draw("traffic", &traffic_plot(&figures))?;
        self.draw("paid", &paid_plot(&figures))
    }

    fn throughput_plot(&self, figures: &[Figures]) -> Plot {
        let mut plot = Plot::new(
            "What a network of so many learners gets done",
            learners_axis(),
            Axis::log("an hour", 0.5, 1_200.0),
        );
        for (look, name) in ["rounds over", "heads moved", "deltas submitted", "deltas merged"].into_iter().enumerate()
        {
            plot.add(name, Style::Both, look, of(figures, false, |found| found.rates[look]));
        }
        let wanted = |learners: f64| (learners, learners * self.given.deltas_wanted / 24.0);
        plot.add("deltas wanted", Style::Guide, 0, [80.0, 12_500.0].map(wanted));
        plot
    }
}

fn learners_axis() -> Axis {
    Axis::log("learners", 80.0, 12_500.0)
}

/// A figure by the number of learners.
fn of<'a>(
    figures: &'a [Figures],
    relayed: bool,
    figure: impl Fn(&Figures) -> f64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    figures.iter().filter(move |found| found.relayed == relayed).map(move |found| (found.learners, figure(found)))
}

fn traffic_plot(figures: &[Figures]) -> Plot {
    let mut plot =
        Plot::new("Blocks over the network, of each machine", learners_axis(), Axis::log("MB a day", 0.001, 1e6));
    let names = ["learner, up", "learner, down", "evaluator, down", "aggregator, up", "aggregator, down"];
    // Evaluators send nothing here.
    for (look, (name, index)) in names.into_iter().zip([0, 1, 3, 4, 5]).enumerate() {
        plot.add(name, Style::Both, look, of(figures, false, |found| found.traffic[index]));
    }
    // Of the others, nothing to be seen changes.
    plot.add("learner, up, relayed", Style::Both, 5, of(figures, true, |found| found.traffic[0]));
    plot
}

fn paid_plot(figures: &[Figures]) -> Plot {
    let mut plot = Plot::new(
        "Honest learners that are paid in the days looked at",
        learners_axis(),
        Axis::linear("share of them, %", 0.0, 105.0),
    );
    for (look, name) in ["of all", "of those with a verdict"].into_iter().enumerate() {
        plot.add(name, Style::Both, look, of(figures, false, |found| 100.0 * found.paid[look]));
    }
    plot.add("of all, relayed", Style::Points, 2, of(figures, true, |found| 100.0 * found.paid[0]));
    plot
}

/// Honest learners whose deltas were judged.
fn honest(learners: &[Learner]) -> impl Iterator<Item = &Learner> {
    learners.iter().filter(|learner| learner.kind == Kind::Honest && learner.judged > 0)
}

/// What a scenario came to.
fn summarise(scenario: &Scenario, learners: &[Learner], s: &Statistics) -> Figures {
    let (days, evaluators) = (s.days(), scenario.evaluators() as f64);
    let per_day = |count: u64| round(count as f64 / days, 1);
    let per_hour = |count: u64| count as f64 / days / 24.0;
    let blocks = days * scenario.chain.day() as f64;
    let weight = blocks * scenario.chain.block_weight as f64;
    let (count, aggregators) = (learners.len() as f64, scenario.given.aggregators);
    // Each transaction comes once by itself and once in its block.
    let node = (blocks * (HEADER + TIMESTAMP) as f64 + 2.0 * s.transaction_bytes as f64) / days;
    let each = |bytes: u64, machines: f64| bytes as f64 / 1e6 / machines / days;
    let traffic = [
        each(s.up.learners, count),
        each(s.down.learners, count),
        each(s.up.evaluators, evaluators),
        each(s.down.evaluators, evaluators),
        each(s.up.aggregators, aggregators),
        each(s.down.aggregators, aggregators),
    ];
    let points = |effect: fn(&Learner) -> f64| -> Vec<(f64, f64)> {
        honest(learners).map(|learner| (1e3 * effect(learner), learner.paid - learner.lost)).collect()
    };
    let (by_truth, by_measure) = (points(|l| l.contribution), points(|l| l.measured));
    let (_, true_correlation) = fit(&by_truth);
    let (slope, correlation) = fit(&by_measure);
    let rates: Vec<f64> = honest(learners).filter(|l| l.measured > 0.0).map(|l| l.paid / (1e3 * l.measured)).collect();
    let inequality = |axis: fn(&(f64, f64)) -> f64| gini(&by_measure.iter().map(axis).collect::<Vec<_>>());
    let all = learners.iter().filter(|learner| learner.kind == Kind::Honest).count() as f64;
    let judged = by_measure.len() as f64;
    let paid = honest(learners).filter(|learner| learner.paid > 0.0).count() as f64;
    let hours = |seconds: f64, digits| round(seconds / 3_600.0, digits);
    row!("rounds", {
        "learners": scenario.name,
        "evaluators": scenario.evaluators(),
        "days": days,
        "rounds_over_per_hour": round(per_hour(s.rounds), 2),
        "heads_per_hour": round(per_hour(s.heads), 2),
        "deltas_submitted_per_day": per_day(s.submitted),
        "deltas_merged_per_day": per_day(s.merged),
        "gain_per_head_millinats": round(1e3 * s.gain / s.heads.max(1) as f64, 1),
        "rounds_empty_rejected_failed": format!("{}, {}, {}", s.empty, s.rejected, s.failed),
        "committees_redrawn": s.redrawn,
        "trainings_in_vain": round(s.in_vain as f64 / s.trainings.max(1) as f64, 3),
        "wait_for_place_hours_p50": hours(quantile(&s.waits, 0.5), 2),
        "wait_for_place_hours_p95": hours(quantile(&s.waits, 0.95), 2),
        "verdict_hours_p50": hours(quantile(&s.verdicts, 0.5), 1),
        "verdict_hours_p95": hours(quantile(&s.verdicts, 0.95), 1),
        "evaluation_hours_p50": hours(quantile(&s.evaluations, 0.5), 2),
        "evaluation_hours_p95": hours(quantile(&s.evaluations, 0.95), 2),
        "round_hours_mean": hours(mean(&s.lengths), 1),
        "phases_ended_early": round(s.early as f64 / s.phases.max(1) as f64, 3),
        "members_of_a_committee": round(s.members as f64 / s.committees.max(1) as f64, 1),
        "seats_absent": round(s.absent as f64 / s.seats.max(1) as f64, 4),
        "evaluator_busy": round(s.evaluation_seconds / evaluators / days / 86_400.0, 4),
        "evaluation_over_training": round(s.evaluation_seconds / s.training_seconds.max(1.0), 2),
        "learner_mb_up_per_day": round(traffic[0], 2),
        "learner_mb_down_per_day": round(traffic[1], 1),
        "evaluator_mb_down_per_day": round(traffic[3], 1),
        "aggregator_mb_up_per_day": round(traffic[4], 0),
        "aggregator_mb_down_per_day": round(traffic[5], 1),
        "node_mb_per_day": round(node / 1e6, 1),
        "transactions_per_day": per_day(s.transactions),
        "chain_weight_share": significant(s.weight as f64 / weight, 3),
        "transactions_weight_share": significant(s.transaction_weight as f64 / weight, 3),
        "paid_bly_per_day": round(s.paid / days, 0),
        "evaluators_paid_bly_per_day": round(s.evaluators_paid / days, 0),
        "forfeited_bly_per_day": round(s.forfeited / days, 0),
        "honest_with_a_verdict": round(judged / all.max(1.0), 3),
        "honest_paid": round(paid / all.max(1.0), 3),
        "honest_paid_of_judged": round(paid / judged.max(1.0), 3),
        "bly_per_measured_millinat_p5": round(quantile(&rates, 0.05), 2),
        "bly_per_measured_millinat_p50": round(quantile(&rates, 0.5), 2),
        "bly_per_measured_millinat_p95": round(quantile(&rates, 0.95), 2),
        "bly_per_measured_millinat_slope": round(slope, 2),
        "reward_to_measured_correlation": round(correlation, 3),
        "reward_to_true_correlation": round(true_correlation, 3),
        "reward_gini": round(inequality(|point| point.1), 3),
        "measured_gini": round(inequality(|point| point.0), 3),
    });
    Figures {
        learners: count,
        relayed: scenario.relayed,
        rates: [s.rounds, s.heads, s.submitted, s.merged].map(per_hour),
        traffic,
        paid: [paid / all.max(1.0), paid / judged.max(1.0)],
    }
}

/// What became of each kind of learner.
fn kinds(scenario: &Scenario, learners: &[Learner], statistics: &Statistics) {
    for kind in Kind::ALL {
        let outcomes = statistics.outcomes.get(&kind).copied().unwrap_or_default();
        let own = learners.iter().filter(|learner| learner.kind == kind);
        let net: f64 = own.clone().map(|learner| learner.paid - learner.lost).sum();
        let judged = outcomes.judged.max(1) as f64;
        let share = |count: u64| round(count as f64 / judged, 4);
        row!("kinds", {
            "network": scenario.name, "kind": kind.name(), "names": own.count(), "judged": outcomes.judged,
            "merged": share(outcomes.merged), "no gain": share(outcomes.no_gain), "unsure": share(outcomes.unsure),
            "punished": share(outcomes.punished), "withheld": share(outcomes.withheld),
            "BLY a delta, net": round(net / judged, 2),
        });
    }
}

/// What honest learners were paid, against what was measured of what they did.
fn reward_plot(scenario: &Scenario, learners: &[Learner]) -> Plot {
    let points: Vec<(f64, f64)> =
        honest(learners).map(|learner| (1e3 * learner.measured, learner.paid - learner.lost)).collect();
    let most = |axis: fn(&(f64, f64)) -> f64| 1.05 * points.iter().map(axis).fold(1.0, f64::max);
    let (x, y) = (most(|point| point.0), most(|point| point.1));
    let mut plot = Plot::new(
        &format!("Pay of honest learners in {} days, {} learners", scenario.days, scenario.name),
        Axis::linear("measured gains of a learner's merged deltas, thousandths of a nat a token", 0.0, x),
        Axis::linear("paid, less bonds that were lost, BLY", 0.0, y),
    );
    let (slope, _) = fit(&points);
    let [mean_x, mean_y] =
        [0, 1].map(|axis| mean(&points.iter().map(|p| if axis == 0 { p.0 } else { p.1 }).collect::<Vec<_>>()));
    let every = (points.len() / POINTS).max(1);
    let name = if every == 1 { "a learner".into() } else { format!("a learner, one of {every}") };
    plot.add(&name, Style::Points, 0, points.iter().copied().step_by(every));
    plot.add("least squares", Style::Line, 1, [0.0, x].map(|at| (at, mean_y + slope * (at - mean_x))));
    plot
}

/// A figure of an hour.
type OfHour = fn(&Hour) -> f64;

/// A large network hour by hour, for some days.
fn hours_plot(scenario: &Scenario, hours: &[Hour]) -> Plot {
    let (first, last) = (scenario.warm_up * 24, (scenario.warm_up + scenario.days.min(3)) * 24);
    let shown = &hours[first as usize..last as usize];
    let figures: [(&str, OfHour); 4] = [
        ("deltas submitted", |hour| hour.submitted),
        ("deltas merged", |hour| hour.merged),
        ("machines evaluating", |hour| hour.evaluating),
        ("rounds over", |hour| hour.rounds),
    ];
    let most = shown.iter().flat_map(|hour| figures.map(|(_, figure)| figure(hour))).fold(1.0, f64::max);
    let title = format!("{} learners, hour by hour", scenario.name);
    let x = Axis::linear("hours since the first round", first as f64, last as f64);
    let mut plot = Plot::new(&title, x, Axis::linear("an hour", 0.0, 1.05 * most));
    for (look, (name, figure)) in figures.into_iter().enumerate() {
        plot.add(name, Style::Line, look, (first..).zip(shown).map(|(hour, found)| (hour as f64 + 0.5, figure(found))));
    }
    plot
}
