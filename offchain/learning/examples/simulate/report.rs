//! Tables and plots.

use crate::{
    assumptions::Assumptions,
    capture::{self, Chances},
    chain::Chain,
    judging::{self, Effect, Measured},
    numbers::Numbers,
    people::pareto,
    plot::{Axis, Plot, Style, short},
    splitting::{self, Game, Way},
};
use blyan_primitives::{
    pact::{NetworkKind, Pact},
    pol::Refusal,
};
use serde_json::{Value, json};
use std::{error::Error, fs, path::PathBuf};

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Sizes of committees that are looked at, with the Pact's own.
const COMMITTEES: [u32; 4] = [21, 51, 101, 201];
/// Evaluators among whom they are drawn.
const EVALUATORS: usize = 1_000;
/// Committees that are drawn for each point of a plot, and for each row of a table.
const DRAWS: u32 = 2_000;
const ROW_DRAWS: u32 = 10_000;
/// What is drawn less often than ten times is not shown: it says nothing.
const SHOWN: f64 = 10.0 / DRAWS as f64;

/// What figures are about, and where plots go.
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// Days that networks are looked at.
    pub(crate) days: u64,
    pub(crate) out: Option<PathBuf>,
    pub(crate) pact: Pact,
    pub(crate) chain: Chain,
    pub(crate) given: Assumptions,
}

/// A row of a table: figures in the order in which they are shown.
macro_rules! row {
    ($table:expr, { $($name:literal: $value:expr),* $(,)? }) => {
        $crate::report::print_row($table, &[$(($name, serde_json::json!($value))),*])
    };
}

/// Prints a row of a table as a JSON line.
pub(crate) fn print_row(table: &str, figures: &[(&str, Value)]) {
    let mut line = format!("{{\"table\":{}", json!(table));
    for (name, value) in figures {
        line += &format!(",{}:{value}", json!(name));
    }
    println!("{line}}}");
}

pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let power = 10f64.powi(digits);
    (value * power).round() / power
}

/// With so many digits that say something.
pub(crate) fn significant(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // Through text: a power of ten is no exact float.
    format!("{:.*e}", (digits - 1).max(0) as usize, value).parse().unwrap_or(value)
}

/// How stakes lie with evaluators who collude, and with those who do not.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stakes {
    /// All have the same.
    Equal,
    /// Both are of the same Pareto distribution.
    Pareto,
    /// Those of honest ones are; colluding ones have as many names as their stake can buy.
    ParetoSplit,
    /// One honest evaluator has a third of all honest stake, others are equal, and so are colluding ones.
    Whale,
}

impl Stakes {
    const ALL: [Self; 4] = [Self::Equal, Self::Pareto, Self::ParetoSplit, Self::Whale];

    fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Pareto => "Pareto",
            Self::ParetoSplit => "Pareto, colluders split",
            Self::Whale => "an honest whale",
        }
    }

    /// Stakes of those who collude and have `share` of all, and of all others.
    fn lay_out(self, share: f64, given: &Assumptions) -> (Vec<f64>, Vec<f64>) {
        let colluding = (EVALUATORS as f64 * share).round() as usize;
        let honest = EVALUATORS - colluding;
        let scaled = |mut stakes: Vec<f64>, honest: &[f64]| {
            let factor = honest.iter().sum::<f64>() * share / (1.0 - share) / stakes.iter().sum::<f64>();
            stakes.iter_mut().for_each(|stake| *stake *= factor);
            stakes
        };
        let honest = match self {
            Self::Equal => vec![1.0; honest],
            Self::Pareto | Self::ParetoSplit => pareto(honest, given),
            Self::Whale => {
                let mut stakes = vec![1.0; honest];
                stakes[0] = (honest - 1) as f64 / 2.0;
                stakes
            },
        };
        let colluding = match self {
            Self::Equal => vec![1.0; colluding],
            Self::Pareto => pareto(colluding, given),
            // The least stake is 1.
            Self::ParetoSplit | Self::Whale => {
                vec![1.0; (honest.iter().sum::<f64>() * share / (1.0 - share)).round() as usize]
            },
        };
        (scaled(colluding, &honest), honest)
    }
}

/// By how many standard errors drawn tails are off at most, where enough was drawn for that to mean something.
fn worst(exact: &[f64], drawn: &[f64], draws: u32) -> f64 {
    let draws = f64::from(draws);
    let is_counted = |(exact, _): &(&f64, &f64)| **exact * draws > 20.0 && (1.0 - **exact) * draws > 20.0;
    let off = |(exact, drawn): (&f64, &f64)| (exact - drawn).abs() / (exact * (1.0 - exact) / draws).sqrt();
    exact.iter().zip(drawn).filter(is_counted).map(off).fold(0.0, f64::max)
}

impl Report {
    pub(crate) fn draw(&self, name: &str, plot: &Plot) -> Fallible<()> {
        let Some(folder) = &self.out else { return Ok(()) };
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let path = folder.join(format!("learning-{name}.svg"));
        fs::write(&path, plot.svg()?).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(())
    }

    /// What figures follow from.
    pub(crate) fn assumptions(&self) {
        row!("chain", { "name": "seed", "value": self.seed, "unit": "", "source": "--seed" });
        for (name, value, unit, source) in self.chain.entries() {
            row!("chain", { "name": name, "value": value, "unit": unit, "source": source });
        }
        let public = Pact::default_for(NetworkKind::Public).entries(NetworkKind::Public);
        for (entry, usual) in self.pact.entries(NetworkKind::Public).into_iter().zip(public) {
            if entry.value != usual.value {
                row!("chain", { "name": entry.name, "value": entry.value, "unit": "", "source": "--set" });
            }
        }
        for (entry, usual) in self.given.entries().into_iter().zip(Assumptions::default().entries()) {
            let source = if entry.value == usual.value { entry.source } else { "--set" };
            row!("assumptions", { "name": entry.name, "value": entry.value, "unit": entry.unit, "source": source });
        }
    }

    /// Committees in the hands of evaluators who collude.
    pub(crate) fn capture(&self) -> Fallible<()> {
        let quorum = self.pact.learning.quorum;
        let mut numbers = Numbers::new(self.seed, "capture");
        let x = || Axis::linear("colluding share of all stake, %", 10.0, 60.0);
        let y = || Axis::log("chance that colluding members are a quorum", 1e-12, 1.0);
        let guide = |plot: &mut Plot| {
            plot.add("10⁻⁶, and a third", Style::Guide, 0, [(10.0, 1e-6), (60.0, 1e-6)]);
            plot.add("", Style::Guide, 0, [(100.0 / 3.0, 1e-12), (100.0 / 3.0, 1.0)]);
        };
        let fine = || (20..=120).map(|half| f64::from(half) / 200.0);

        let mut plot = Plot::new("Capture of a committee, stakes in very many hands", x(), y());
        for (look, seats) in COMMITTEES.into_iter().enumerate() {
            let chance = |share: f64| Chances::of(&capture::independent(seats, share), quorum);
            plot.add(
                &format!("{seats} members"),
                Style::Line,
                look,
                fine().map(|share| (100.0 * share, chance(share).captured)),
            );
            for share in [0.1, 0.2, 0.3, 0.33, 1.0 / 3.0, 0.4, 0.45] {
                let Chances { captured, blocked, unopposed } = chance(share);
                row!("capture", {
                    "members": seats, "quorum": capture::quorum(seats, quorum), "colluding": round(share, 4),
                    "captured": significant(captured, 3), "no quorum": significant(blocked, 3),
                    "three times in a row": significant(blocked.powi(self.chain.attempts.into()), 3),
                    "nobody honest": significant(unopposed, 3),
                });
            }
        }

        let mut by_stakes = Plot::new(
            &format!("Capture of a committee of {}, by how stakes lie", self.pact.learning.committee),
            x(),
            y(),
        );
        for (look, stakes) in Stakes::ALL.into_iter().enumerate() {
            let mut points = Vec::new();
            for percent in (10..=60).step_by(5).chain([33]) {
                let share = f64::from(percent) / 100.0;
                let (colluding, honest) = stakes.lay_out(share, &self.given);
                let is_row = percent == 33 || percent == 40;
                let draws = if is_row { ROW_DRAWS } else { DRAWS };
                let drawn = capture::drawn(&COMMITTEES, &colluding, &honest, draws, &mut numbers);
                for (seats, drawn) in COMMITTEES.into_iter().zip(drawn) {
                    let exact = match stakes {
                        Stakes::Equal => capture::equal(seats, EVALUATORS as u32, colluding.len() as u32),
                        _ => capture::race(seats, &colluding, &honest),
                    };
                    let errors = worst(&exact, &drawn, draws);
                    let (exact, drawn) = (Chances::of(&exact, quorum), Chances::of(&drawn, quorum));
                    if seats == self.pact.learning.committee {
                        points.push((100.0 * share, exact.captured, drawn.captured));
                    }
                    if is_row {
                        row!("capture by stakes", {
                            "stakes": stakes.name(), "names": colluding.len() + honest.len(), "members": seats,
                            "colluding": share, "captured": significant(exact.captured, 3), "drawn": drawn.captured,
                            "no quorum": significant(exact.blocked, 3), "no quorum, drawn": drawn.blocked,
                            "nobody honest": significant(exact.unopposed, 3), "draws off by, errors": round(errors, 1),
                        });
                    }
                }
            }
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            by_stakes.add(stakes.name(), Style::Line, look, points.iter().map(|(x, exact, _)| (*x, *exact)));
            let drawn = points.iter().filter(|(_, _, drawn)| *drawn >= SHOWN).map(|(x, _, drawn)| (*x, *drawn));
            by_stakes.add("", Style::Points, look, drawn);
        }
        guide(&mut plot);
        by_stakes.add("marks: as drawn", Style::Points, 0, []);
        guide(&mut by_stakes);
        self.draw("capture-size", &self.capture_by_size(&mut numbers))?;
        self.draw("capture", &plot)?;
        self.draw("capture-stakes", &by_stakes)
    }

    /// The same by the committee's size, of evaluators with equal stakes.
    fn capture_by_size(&self, numbers: &mut Numbers) -> Plot {
        let quorum = self.pact.learning.quorum;
        let sizes: Vec<u32> = (21..=201).step_by(6).collect();
        let (least, most) = (f64::from(sizes[0]), f64::from(sizes[sizes.len() - 1]));
        let mut plot = Plot::new(
            &format!("Capture of a committee by its size, {} equal stakes", short(EVALUATORS as f64)),
            Axis::linear("members", least - 6.0, most + 4.0),
            Axis::log("chance that colluding members are a quorum", 1e-12, 1.0),
        );
        for (look, percent) in [20, 25, 30, 33, 40, 50].into_iter().enumerate() {
            let share = f64::from(percent) / 100.0;
            let (colluding, honest) = Stakes::Equal.lay_out(share, &self.given);
            let found = capture::drawn(&sizes, &colluding, &honest, DRAWS, numbers);
            let captured = |tail: &[f64]| Chances::of(tail, quorum).captured;
            let exact = |seats: u32| captured(&capture::equal(seats, EVALUATORS as u32, colluding.len() as u32));
            let exact = sizes.iter().map(|seats| (f64::from(*seats), exact(*seats)));
            plot.add(&format!("{percent} % collude"), Style::Line, look, exact);
            let drawn = sizes.iter().zip(&found).map(|(seats, tail)| (f64::from(*seats), captured(tail)));
            plot.add("", Style::Points, look, drawn.filter(|(_, chance)| *chance >= SHOWN));
        }
        let default = f64::from(self.pact.learning.committee);
        plot.add("marks: as drawn", Style::Points, 0, []);
        plot.add("10⁻⁶, and the default", Style::Guide, 0, [(0.0, 1e-6), (most + 4.0, 1e-6)]);
        plot.add("", Style::Guide, 0, [(default, 1e-12), (default, 1.0)]);
        plot
    }

    /// What the tests let through, and what they refuse.
    pub(crate) fn judging(&self) -> Fallible<()> {
        const ROUNDS: u32 = 2_000;
        let mut numbers = Numbers::new(self.seed, "judging");
        let layout = judging::layout(&self.pact, self.chain.positions(), 1);
        let mut share = |effect: Effect, is: &dyn Fn(Result<u32, Refusal>) -> bool| {
            let delta = [Measured { effect, copies: None, training: 0 }];
            let found = (0..ROUNDS).filter(|_| {
                is(judging::evaluate(&delta, &layout, &self.pact.learning, &self.given, &mut numbers).deltas[0])
            });
            found.count() as f64 / f64::from(ROUNDS)
        };
        let is_merged = |outcome: Result<u32, Refusal>| outcome.is_ok();
        let honest = |gain: f64| Effect {
            trial: gain,
            last: gain,
            general: gain * self.given.spill,
            own: gain * self.given.own_gain,
        };

        let x = Axis::linear("true gain, harm or excess, thousandths of a nat a token", 0.0, 40.0);
        let mut plot = Plot::new("What the tests find of a delta", x, Axis::linear("share of deltas", 0.0, 1.0));
        let steps: Vec<f64> =
            [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0].into();
        let mut curve =
            |name: &str, look, effect: &dyn Fn(f64) -> Effect, is: &dyn Fn(Result<u32, Refusal>) -> bool| {
                let points: Vec<(f64, f64)> =
                    steps.iter().map(|milli| (*milli, share(effect(milli / 1e3), is))).collect();
                for (milli, found) in &points {
                    row!("judging", { "what": name, "milli-nats": milli, "share": found });
                }
                plot.add(name, Style::Both, look, points);
            };
        curve("a gain: merged", 0, &honest, &is_merged);
        curve("a harm to other data: refused", 1, &|harm| Effect { general: -harm, ..honest(0.03) }, &|outcome| {
            outcome == Err(Refusal::Harmful)
        });
        curve("more than on own data: refused", 2, &|excess| Effect { own: 0.0, ..honest(excess) }, &|outcome| {
            outcome == Err(Refusal::Leaked)
        });
        self.draw("judging", &plot)
    }

    /// What it pays to be several.
    pub(crate) fn splitting(&self) -> Fallible<()> {
        const ROUNDS: u32 = 300;
        const OTHERS: usize = 8;
        let mut numbers = Numbers::new(self.seed, "splitting");
        let game = Game {
            pact: &self.pact,
            given: &self.given,
            positions: self.chain.positions(),
            others: OTHERS,
            rounds: ROUNDS,
        };
        let alone = splitting::split(Game { rounds: 4 * ROUNDS, ..game }, Way::Trained, 1, &mut numbers).own;
        let mut plot = Plot::new(
            "What a learner is paid under several names, eight others in the round",
            Axis::linear("names", 1.0, 8.0),
            Axis::linear("pay over that under one name", 0.0, 5.0),
        );
        for (look, way) in Way::ALL.into_iter().enumerate() {
            let mut points = Vec::new();
            for names in 1..=8usize {
                let pay = splitting::split(game, way, names, &mut numbers);
                points.push((names as f64, pay.own / alone));
                if [1, 2, 4, 8].contains(&names) {
                    row!("splitting", {
                        "way": way.name(), "names": names, "pay, BLY": round(pay.own, 1),
                        "over one name": round(pay.own / alone, 2), "each of the others, BLY": round(pay.others, 1),
                        "merged": round(pay.merged, 2),
                    });
                }
            }
            plot.add(way.name(), Style::Both, look, points);
        }
        plot.add("as much as one", Style::Guide, 0, [(1.0, 1.0), (8.0, 1.0)]);
        for (name, is_disguised) in [("a copy", false), ("a copy, disguised", true)] {
            let pay = splitting::copy(game, is_disguised, &mut numbers);
            row!("splitting", {
                "way": name, "names": 1, "pay, BLY": round(pay.own, 1), "over one name": round(pay.own / alone, 2),
                "each of the others, BLY": round(pay.others, 1), "merged": round(pay.merged, 2),
            });
        }
        self.draw("splitting", &plot)
    }
}
