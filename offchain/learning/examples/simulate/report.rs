//! Tables and plots.

use crate::{
    assumptions::Assumptions,
    capture::{self, Chances},
    chain::{BLY, Chain},
    judging::{self, Effect, Measured},
    numbers::Numbers,
    plot::{Axis, Plot, Style, short},
    splitting::{self, Game, Way},
    stakes::{self, EVALUATORS, Stakes},
};
use blyan_primitives::{
    pact::{NetworkKind, Pact},
    pol::{Refusal, RewardShares, split_reward},
};
use serde_json::{Value, json};
use std::{error::Error, fs, path::PathBuf};

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Sizes of committees that are looked at, with the Pact's own.
const COMMITTEES: [u32; 4] = [21, 51, 101, 201];
/// The least chance that is in a plot.
const LEAST: f64 = 1e-12;
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

/// By how many standard errors drawn tails are off at most, where enough was drawn for that to mean something.
fn worst(exact: &[f64], drawn: &[f64], draws: u32) -> f64 {
    let draws = f64::from(draws);
    let is_counted = |(exact, _): &(&f64, &f64)| **exact * draws > 20.0 && (1.0 - **exact) * draws > 20.0;
    let off = |(exact, drawn): (&f64, &f64)| (exact - drawn).abs() / (exact * (1.0 - exact) / draws).sqrt();
    exact.iter().zip(drawn).filter(is_counted).map(off).fold(0.0, f64::max)
}

fn share_axis() -> Axis {
    Axis::linear("colluding share of all stake, %", 10.0, 60.0)
}

fn capture_axis() -> Axis {
    Axis::log("chance that colluding votes are a quorum", LEAST, 1.0)
}

/// What is asked for: less than a millionth, with up to a third.
fn guide(plot: &mut Plot) {
    plot.add("10⁻⁶, and a third", Style::Guide, 0, [(10.0, 1e-6), (60.0, 1e-6)]);
    plot.add("", Style::Guide, 0, [(100.0 / 3.0, LEAST), (100.0 / 3.0, 1.0)]);
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
        let mut numbers = Numbers::new(self.seed, "capture");
        self.draw("capture", &self.capture_at_most())?;
        self.draw("capture-stakes", &self.capture_by_stakes(&mut numbers))?;
        self.draw("capture-size", &self.capture_by_size(&mut numbers))?;
        self.names_of_an_evaluator();
        Ok(())
    }

    /// The most that it can be, which is also what it is where stakes are in very many hands.
    fn capture_at_most(&self) -> Plot {
        let quorum = self.pact.learning.quorum;
        let chance = |seats: u32, share: f64| Chances::of(&capture::binomial(seats, share), quorum);
        let mut plot = Plot::new("Capture of a committee, at most, however stakes lie", share_axis(), capture_axis());
        for (look, seats) in COMMITTEES.into_iter().enumerate() {
            let points = (20..=120).map(|half| f64::from(half) / 2.0);
            let points = points.map(|percent| (percent, chance(seats, percent / 100.0).captured));
            plot.add(&format!("{seats} seats"), Style::Line, look, points);
            for share in [0.1, 0.2, 0.3, 0.33, 1.0 / 3.0, 0.34, 0.35, 0.4, 0.45] {
                let Chances { captured, blocked, unopposed } = chance(seats, share);
                row!("capture", {
                    "seats": seats, "quorum": capture::quorum(seats, quorum), "colluding": round(share, 4),
                    "captured": significant(captured, 3), "no quorum": significant(blocked, 3),
                    "three times in a row": significant(blocked.powi(self.chain.attempts.into()), 3),
                    "nobody honest": significant(unopposed, 3),
                });
            }
        }
        guide(&mut plot);
        plot
    }

    /// What it is for some ways in which stakes can lie.
    fn capture_by_stakes(&self, numbers: &mut Numbers) -> Plot {
        let (quorum, committee) = (self.pact.learning.quorum, self.pact.learning.committee);
        // How names are shuffled does not depend on how much is drawn.
        let mut shuffles = Numbers::new(self.seed, "stakes");
        let mut plot = Plot::new(
            &format!("Capture of a committee of {committee} seats, by how stakes lie"),
            share_axis(),
            capture_axis(),
        );
        let most = (20..=120).map(|half| f64::from(half) / 2.0);
        let most =
            most.map(|percent| (percent, Chances::of(&capture::binomial(committee, percent / 100.0), quorum).captured));
        plot.add("at most", Style::Line, 0, most);
        let mut look = 0;
        for stakes in Stakes::ALL {
            let mut points = Vec::new();
            for percent in (10..=60).step_by(5).chain([33]) {
                let share = f64::from(percent) / 100.0;
                let line = stakes.lay_out(share, &self.given, &mut shuffles);
                let is_row = percent == 33 || percent == 40;
                for seats in COMMITTEES.into_iter().filter(|seats| is_row || *seats == committee) {
                    let draws = if is_row { ROW_DRAWS } else { DRAWS };
                    let (exact, drawn) = (capture::exact(&line, seats), capture::drawn(&line, seats, draws, numbers));
                    let errors = worst(&exact, &drawn, draws);
                    let (exact, drawn) = (Chances::of(&exact, quorum), Chances::of(&drawn, quorum));
                    if seats == committee {
                        points.push((f64::from(percent), exact.captured, drawn.captured));
                    }
                    if is_row {
                        row!("capture by stakes", {
                            "stakes": stakes.name(), "names": line.len(), "seats": seats,
                            "colluding": share, "captured": significant(exact.captured, 3), "drawn": drawn.captured,
                            "no quorum": significant(exact.blocked, 3), "no quorum, drawn": drawn.blocked,
                            "three times in a row": significant(exact.blocked.powi(self.chain.attempts.into()), 3),
                            "nobody honest": significant(exact.unopposed, 3), "draws off by, errors": round(errors, 1),
                        });
                    }
                }
            }
            // A line that is below the plot everywhere would only be in its legend.
            if points.iter().all(|(_, exact, _)| *exact < LEAST) {
                continue;
            }
            look += 1;
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            plot.add(stakes.name(), Style::Line, look, points.iter().map(|(x, exact, _)| (*x, *exact)));
            let drawn = points.iter().filter(|(_, _, drawn)| *drawn >= SHOWN).map(|(x, _, drawn)| (*x, *drawn));
            plot.add("", Style::Points, look, drawn);
        }
        plot.add("marks: as drawn", Style::Points, 0, []);
        guide(&mut plot);
        plot
    }

    /// The same by the committee's size.
    fn capture_by_size(&self, numbers: &mut Numbers) -> Plot {
        let quorum = self.pact.learning.quorum;
        let sizes: Vec<u32> = (21..=201).step_by(6).collect();
        let (least, most) = (f64::from(sizes[0]), f64::from(sizes[sizes.len() - 1]));
        let mut plot = Plot::new(
            &format!(
                "Capture of a committee by its size, {} equal stakes, colluders lie evenly",
                short(EVALUATORS as f64)
            ),
            Axis::linear("seats", least - 6.0, most + 4.0),
            capture_axis(),
        );
        for (look, percent) in [20, 25, 30, 33, 40, 50].into_iter().enumerate() {
            let share = f64::from(percent) / 100.0;
            let line = Stakes::Evenly.lay_out(share, &self.given, numbers);
            let captured = |tail: &[f64]| Chances::of(tail, quorum).captured;
            let exact = |seats: &u32| (f64::from(*seats), captured(&capture::exact(&line, *seats)));
            plot.add(&format!("{percent} % collude"), Style::Line, look, sizes.iter().map(exact));
            let mut drawn = |seats: &u32| (f64::from(*seats), captured(&capture::drawn(&line, *seats, DRAWS, numbers)));
            let drawn: Vec<(f64, f64)> = sizes.iter().map(&mut drawn).filter(|(_, chance)| *chance >= SHOWN).collect();
            plot.add("", Style::Points, look, drawn);
        }
        let default = f64::from(self.pact.learning.committee);
        plot.add("marks: as drawn", Style::Points, 0, []);
        plot.add("10⁻⁶, and the default", Style::Guide, 0, [(0.0, 1e-6), (most + 4.0, 1e-6)]);
        plot.add("", Style::Guide, 0, [(default, LEAST), (default, 1.0)]);
        plot
    }

    /// What it pays an evaluator to be several.
    fn names_of_an_evaluator(&self) {
        const SHARE: f64 = 0.1;
        let mut numbers = Numbers::new(self.seed, "owner");
        let (seats, terms) = (self.pact.learning.committee, RewardShares::of(&self.pact.learning));
        // What a vote is paid when all of them agree on what gains the most that is paid for.
        let pay = split_reward(self.pact.rounds.reward, &[1 << 16], seats, &terms).vote as f64 / BLY;
        for names in [1, 3, 10, 100] {
            let line = stakes::owner(SHARE, names, &self.given, &mut numbers);
            let exact: f64 = capture::exact(&line, seats)[1..].iter().sum();
            let found = capture::owner(&line, seats, ROW_DRAWS, &mut numbers);
            row!("names of an evaluator", {
                "names": names, "of all stake": SHARE, "votes": round(exact, 2), "votes, drawn": round(found.votes, 2),
                "deviation": round(found.deviation, 2), "names drawn": round(found.members, 2),
                "BLY a round, at most": round(found.votes * pay, 2),
            });
        }
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
