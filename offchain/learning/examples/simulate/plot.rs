//! Plots as SVG: lines and points over two axes, on a light ground, and told apart by more than their colours.

use std::fmt::Write;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 440.0;
/// The area that points are in: left, right, top and bottom. The legend is to the right of it.
const AREA: [f64; 4] = [76.0, 560.0, 46.0, 382.0];
/// A palette that people with any colour vision can tell apart (Okabe and Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// How values are laid out on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// An axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What it shows, and its unit.
    pub(crate) label: String,
    pub(crate) scale: Scale,
    /// Lowest and highest value.
    pub(crate) range: (f64, f64),
}

impl Axis {
    pub(crate) fn linear(label: &str, low: f64, high: f64) -> Self {
        Self { label: label.into(), scale: Scale::Linear, range: (low, high) }
    }

    pub(crate) fn log(label: &str, low: f64, high: f64) -> Self {
        Self { label: label.into(), scale: Scale::Log, range: (low, high) }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let of = |value: f64| match self.scale {
            Scale::Linear => value,
            // What is zero is far below.
            Scale::Log => value.max(1e-300).log10(),
        };
        let (low, high) = (of(self.range.0), of(self.range.1));
        (of(value) - low) / (high - low)
    }

    /// Values that are marked.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.range;
        match self.scale {
            Scale::Linear => {
                let rough = (high - low) / 6.0;
                let power = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
                let step = step.unwrap_or(rough);
                let (first, last) = ((low / step).ceil() as i64, (high / step * (1.0 + 1e-9)).floor() as i64);
                (first..=last).map(|count| count as f64 * step).collect()
            },
            Scale::Log => {
                let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
                let every = ((last - first) / 8 + 1).max(1);
                (first..=last).filter(|power| (power - last) % every == 0).map(|power| 10f64.powi(power)).collect()
            },
        }
    }

    /// A tick's label.
    fn number(&self, value: f64) -> String {
        let is_power = self.scale == Scale::Log && !(0.001..1e7).contains(&value);
        if is_power { format!("10{}", superscript(value.log10().round() as i32)) } else { short(value) }
    }
}

/// A number above the line.
fn superscript(number: i32) -> String {
    let above = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' | '4'..='9' => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
        other => other,
    };
    number.to_string().chars().map(above).collect()
}

/// A number with the digits that it has, thousands apart.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("−", digits));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    format!("{sign}{grouped}{fraction}")
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Style {
    Line,
    Points,
    /// A line with a mark at each point.
    Both,
    /// Something to compare with: thin and grey.
    Guide,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) style: Style,
    /// Which colour, dash and mark it has: those of the same number belong together.
    pub(crate) look: usize,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

impl Plot {
    pub(crate) fn new(title: &str, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, series: Vec::new() }
    }

    /// Adds a series. One without a name is not in the legend.
    pub(crate) fn add(&mut self, name: &str, style: Style, look: usize, points: impl IntoIterator<Item = (f64, f64)>) {
        let points = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        self.series.push(Series { name: name.into(), style, look, points });
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [left, right, top, bottom] = AREA;
        // Far outside is as good as just outside: what is there is cut off.
        let [x, y] = [self.x.place(x), self.y.place(y)].map(|place| place.clamp(-3.0, 4.0));
        (left + x * (right - left), bottom - y * (bottom - top))
    }

    /// The plot as an SVG file.
    pub(crate) fn svg(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        self.write(&mut out)?;
        Ok(out)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let [left, right, top, bottom] = AREA;
        let (width, height) = (right - left, bottom - top);
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#222\">\n<title>{}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             fill=\"#fff\"/>\n<clipPath id=\"area\"><rect x=\"{left}\" y=\"{top}\" width=\"{width}\" \
             height=\"{height}\"/></clipPath>\n<text x=\"{left}\" y=\"26\" font-size=\"15\">{}</text>",
            escape(&self.title),
            escape(&self.title),
        )?;
        for tick in self.x.ticks() {
            let (x, _) = self.at((tick, self.y.range.0));
            writeln!(out, "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#e2e2e2\"/>")?;
            let number = self.x.number(tick);
            writeln!(out, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{number}</text>", bottom + 18.0)?;
        }
        for tick in self.y.ticks() {
            let (_, y) = self.at((self.x.range.0, tick));
            writeln!(out, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#e2e2e2\"/>")?;
            let number = self.y.number(tick);
            writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{number}</text>", left - 7.0, y + 4.0)?;
        }
        let (middle, centre) = ((left + right) / 2.0, (top + bottom) / 2.0);
        writeln!(
            out,
            "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n<text x=\"18\" y=\"{centre}\" \
             text-anchor=\"middle\" transform=\"rotate(-90 18 {centre})\">{}</text>",
            bottom + 42.0,
            escape(&self.x.label),
            escape(&self.y.label),
        )?;
        writeln!(out, "<g clip-path=\"url(#area)\">")?;
        for series in &self.series {
            let points = series.points.iter().map(|point| self.at(*point)).collect::<Vec<_>>();
            series.draw(out, &points)?;
        }
        writeln!(out, "</g>\n<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#222\"/>")?;
        let named = self.series.iter().filter(|series| !series.name.is_empty());
        for (place, series) in named.enumerate() {
            let (x, y) = (right + 16.0, top + 10.0 + 21.0 * place as f64);
            match series.style {
                Style::Points => series.draw(out, &[(x + 13.0, y)])?,
                Style::Both => {
                    Series { style: Style::Line, ..series.clone() }.draw(out, &[(x, y), (x + 26.0, y)])?;
                    Series { style: Style::Points, ..series.clone() }.draw(out, &[(x + 13.0, y)])?;
                },
                Style::Line | Style::Guide => series.draw(out, &[(x, y), (x + 26.0, y)])?,
            }
            writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 33.0, y + 4.0, escape(&series.name))?;
        }
        writeln!(out, "</svg>")
    }
}

impl Series {
    fn draw(&self, out: &mut String, points: &[(f64, f64)]) -> std::fmt::Result {
        let colour = COLOURS[self.look % COLOURS.len()];
        if self.style != Style::Points && points.len() > 1 {
            let (colour, width, dash) = match self.style {
                Style::Guide => ("#777", 1.0, "4 4"),
                _ => (colour, 1.8, DASHES[self.look % DASHES.len()]),
            };
            write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"")?;
            if !dash.is_empty() {
                write!(out, " stroke-dasharray=\"{dash}\"")?;
            }
            write!(out, " points=\"")?;
            for (x, y) in points {
                write!(out, "{x:.1},{y:.1} ")?;
            }
            writeln!(out, "\"/>")?;
        }
        if matches!(self.style, Style::Points | Style::Both) {
            // One path for all of them: a mark of its own for each would be many times as long.
            write!(out, "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" d=\"")?;
            for (x, y) in points {
                match self.look % 4 {
                    0 => write!(out, "M{:.1} {y:.1}a3 3 0 1 0 6 0a3 3 0 1 0-6 0", x - 3.0)?,
                    1 => write!(out, "M{:.1} {:.1}h6v6h-6z", x - 3.0, y - 3.0)?,
                    2 => write!(out, "M{x:.1} {:.1}l3.5 6h-7z", y - 3.5)?,
                    _ => write!(out, "M{:.1} {:.1}l6 6m0-6l-6 6", x - 3.0, y - 3.0)?,
                }
            }
            writeln!(out, "\"/>")?;
        }
        Ok(())
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_where_the_axes_say() {
        let plot = Plot::new("", Axis::linear("x", 0.0, 10.0), Axis::log("y", 1e-4, 1.0));
        let [left, right, top, bottom] = AREA;
        let near =
            |found: (f64, f64), x: f64, y: f64| assert!((found.0 - x).abs() < 1e-9 && (found.1 - y).abs() < 1e-9);
        near(plot.at((0.0, 1e-4)), left, bottom);
        near(plot.at((10.0, 1.0)), right, top);
        near(plot.at((5.0, 1e-2)), (left + right) / 2.0, (top + bottom) / 2.0);
        assert!(plot.at((5.0, 0.0)).1 > bottom);
    }

    #[test]
    fn ticks_are_round_numbers_in_the_range() {
        assert_eq!(Axis::linear("", 10.0, 45.0).ticks(), [10.0, 20.0, 30.0, 40.0]);
        assert_eq!(Axis::linear("", 0.0, 1.0).ticks().len(), 6);
        assert_eq!(Axis::log("", 90.0, 12_000.0).ticks(), [100.0, 1_000.0, 10_000.0]);
        let many = Axis::log("", 1e-24, 1.0).ticks();
        assert!(many.len() < 10 && many.last() == Some(&1.0), "{many:?}");
    }

    #[test]
    fn numbers_have_the_digits_that_they_need() {
        assert_eq!([0.0, 0.25, 1e4, -1234.5].map(short), ["0", "0.25", "10,000", "−1,234.5"]);
        assert_eq!([1e-9, 1e-12, 0.01].map(|value| Axis::log("", 1e-12, 1.0).number(value)), ["10⁻⁹", "10⁻¹²", "0.01"]);
    }

    #[test]
    fn a_plot_is_well_formed_and_says_what_it_shows() {
        let mut plot = Plot::new("a < b", Axis::linear("x & y, s", 0.0, 1.0), Axis::log("z", 1.0, 10.0));
        plot.add("both", Style::Both, 1, [(0.0, 1.0), (1.0, f64::NAN), (0.5, 4.0)]);
        plot.add("", Style::Guide, 0, [(0.0, 2.0), (1.0, 2.0)]);
        let svg = plot.svg().unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("x &amp; y, s") && svg.contains(">both<"));
        assert!(!svg.contains("NaN"));
        let count = |text: &str| svg.matches(text).count();
        assert_eq!((count("<text"), count("<g ")), (count("</text>"), count("</g>")));
        assert_eq!(count("<polyline"), 3);
    }
}
