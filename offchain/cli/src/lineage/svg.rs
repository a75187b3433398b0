//! Lineages as a picture: a row for each slot, a circle for each head, and between them what was gained.

use super::{Line, Move, short};
use crate::units::{nats, weight};
use std::fmt::Write;

const MARGIN: u32 = 24;
/// From one head to the next.
const STEP: u32 = 190;
/// Left of the first head.
const NAME: u32 = 90;
const RADIUS: u32 = 7;
/// Height of a row without who is merged.
const ROW: u32 = 76;
/// Height of a line of small text.
const SMALL: u32 = 14;
/// Learners that are named for each move.
const NAMED: usize = 4;

/// Text that has no meaning as markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML has no other control characters.
            other if other.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// What is drawn so far.
struct Canvas(String);

impl Canvas {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "  {element}");
    }

    fn text(&mut self, class: &str, x: u32, y: u32, text: &str) {
        self.add(format_args!(r#"<text class="{class}" x="{x}" y="{y}">{}</text>"#, escaped(text)));
    }

    fn circle(&mut self, x: u32, y: u32, is_head: bool, title: &str) {
        let class = if is_head { "head" } else { "former" };
        let title = escaped(title);
        self.add(format_args!(
            r#"<circle class="{class}" cx="{x}" cy="{y}" r="{RADIUS}"><title>{title}</title></circle>"#
        ));
    }
}

/// Height of a row: as high as the move with most learners needs.
fn height(line: &Line) -> u32 {
    let most = line.known.iter().map(|one| one.merged.len().min(NAMED + 1)).max().unwrap_or(0);
    ROW.saturating_add(SMALL.saturating_mul(most as u32))
}

/// The picture of all lines, as they are after block `at`.
pub(super) fn picture(lines: &[Line], at: u32) -> String {
    let widest = lines.iter().map(|line| line.known.len()).max().unwrap_or(0) as u32;
    let width = (2 * MARGIN + NAME).saturating_add(STEP.saturating_mul(widest.saturating_add(1)));
    let rows = lines.iter().fold(0u32, |sum, line| sum.saturating_add(height(line)));
    let all = rows.saturating_add(2 * MARGIN + 2 * SMALL);
    let mut canvas = Canvas(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{all}" viewBox="0 0 {width} {all}" role="img">
"#
    ));
    canvas.add(format_args!("<title>Heads of slots, and the rounds that moved them, at block {at}</title>"));
    canvas.add(format_args!(
        "<style>text {{ font: 12px sans-serif; fill: #222 }} .name {{ font-weight: bold }} .small {{ font-size: 11px; fill: \
         #666 }} .gain {{ fill: #1a7f37 }} .former {{ fill: #fff; stroke: #888; stroke-width: 2 }} .head {{ fill: #1a7f37; \
         stroke: #1a7f37; stroke-width: 2 }} line {{ stroke: #888; stroke-width: 2 }}</style>"
    ));
    canvas.add(format_args!(r##"<rect width="{width}" height="{all}" fill="#fff"/>"##));
    canvas.text("small", MARGIN, MARGIN + SMALL / 2, &format!("heads of slots at block {at}; gains on unseen data"));
    let mut top = MARGIN + 2 * SMALL;
    for line in lines {
        row(&mut canvas, line, top);
        top = top.saturating_add(height(line));
    }
    canvas.0.push_str("</svg>\n");
    canvas.0
}

fn row(canvas: &mut Canvas, line: &Line, top: u32) {
    let middle = top.saturating_add(SMALL + RADIUS);
    canvas.text("name", MARGIN, middle.saturating_add(4), &format!("slot {}", line.slot));
    let first = line.known.first().map_or(line.head, |one| one.from);
    let mut x = MARGIN + NAME;
    let origin = match line.forgotten() {
        0 => "the first".to_owned(),
        moves => format!("after {moves} forgotten"),
    };
    canvas.circle(x, middle, line.known.is_empty(), &first.to_string());
    canvas.text("small", x.saturating_sub(RADIUS), middle.saturating_add(RADIUS + SMALL), &short(&first));
    canvas.text("small", x.saturating_sub(RADIUS), middle.saturating_add(RADIUS + 2 * SMALL), &origin);
    for (number, one) in (1..).zip(&line.known) {
        let next = x.saturating_add(STEP);
        let Move { round, at, to, gain, merged, .. } = one;
        let (from, until) = (x.saturating_add(RADIUS), next.saturating_sub(RADIUS));
        canvas.add(format_args!(r#"<line x1="{from}" y1="{middle}" x2="{until}" y2="{middle}"/>"#));
        let (label, above) = (x.saturating_add(3 * RADIUS), middle.saturating_sub(RADIUS));
        canvas.text("gain", label, above, nats(*gain).trim_end_matches(" a token"));
        let left = next.saturating_sub(RADIUS);
        let mut y = middle.saturating_add(RADIUS + SMALL);
        canvas.circle(next, middle, number == line.known.len(), &to.to_string());
        canvas.text("small", left, y, &short(to));
        y = y.saturating_add(SMALL);
        canvas.text("small", left, y, &format!("round {round}, block {at}"));
        for merged in merged.iter().take(NAMED) {
            y = y.saturating_add(SMALL);
            let learner: String = merged.learner.chars().take(8).collect();
            canvas.text("small", left, y, &format!("{} {learner}…", weight(merged.weight)));
        }
        if let Some(more) = merged.len().checked_sub(NAMED).filter(|more| *more > 0) {
            canvas.text("small", left, y.saturating_add(SMALL), &format!("and {more} more"));
        }
        x = next;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::line, *};

    #[test]
    fn a_picture_has_a_circle_for_each_head() {
        let picture = picture(&[line(), Line { known: Vec::new(), ..line() }], 500);
        assert_eq!(picture.matches("<circle").count(), 3 + 1);
        assert_eq!(picture.matches(r#"class="head""#).count(), 2);
        assert_eq!(picture.matches("<line").count(), 2);
        assert!(picture.contains("slot 20/1") && picture.contains("+0.012345 nats") && picture.contains("block 500"));
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    }

    #[test]
    fn no_text_is_markup() {
        let mut line = line();
        line.known[0].merged[0].learner = "<&\"'>\u{1}".to_owned();
        let picture = picture(&[line], 1);
        assert!(picture.contains("&lt;&amp;&quot;&#39;&gt;\u{fffd}"), "{picture}");
        // Every element that is opened is closed.
        let count = |what: &str| picture.matches(what).count();
        assert_eq!(count("<text"), count("</text>"));
        assert_eq!((count("<title>"), count("<svg")), (count("</title>"), count("</svg>")));
    }

    #[test]
    fn many_learners_are_not_all_named() {
        let mut line = line();
        line.known[0].merged = vec![line.known[0].merged[0].clone(); 9];
        let rows = height(&line);
        assert!(picture(&[line], 1).contains("and 5 more"));
        assert_eq!(rows, ROW + 5 * SMALL);
    }
}
