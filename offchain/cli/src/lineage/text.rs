//! Lineages as trees of text.

use super::{Line, Move, short};
use crate::units::{nats, weight};

/// All lines, one below the other.
pub(super) fn tree(lines: &[Line]) -> String {
    lines.iter().map(branch).collect::<Vec<_>>().join("\n\n")
}

fn branch(line: &Line) -> String {
    let times = if line.moves == 1 { "once" } else { "times" };
    let count = if line.moves == 1 { String::new() } else { format!("{} ", line.moves) };
    let mut text = vec![format!("slot {}, moved {count}{times}", line.slot)];
    match line.known.first() {
        Some(first) => {
            text.push(format!("  {}{}", short(&first.from), before(line.forgotten())));
        },
        None => text.push(format!("  {}{}", short(&line.head), before(line.forgotten()))),
    }
    for one in &line.known {
        let Move { round, at, to, gain, merged, .. } = one;
        text.push(format!("  └─ {}  round {round}, block {at}, {}", short(to), nats(*gain)));
        text.extend(merged.iter().map(|merged| format!("       {:>8}  {}", weight(merged.weight), merged.learner)));
    }
    text.join("\n")
}

/// What came before the oldest that is known.
fn before(forgotten: u32) -> String {
    match forgotten {
        0 => "  as the model began".to_owned(),
        1 => "  after a move that the chain has forgotten".to_owned(),
        moves => format!("  after {moves} moves that the chain has forgotten"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::line, *};

    #[test]
    fn a_tree_has_every_move_and_whose_it_was() {
        let expected = "\
slot 20/1, moved 3 times
  0x01010101…  after a move that the chain has forgotten
  └─ 0x02020202…  round 3, block 120, +0.012345 nats a token
        61.03 %  5Alice
        38.96 %  5Bob
  └─ 0x03030303…  round 9, block 400, +0.002000 nats a token
       100.00 %  5Eve";
        assert_eq!(tree(&[line()]), expected);
        let unknown = Line { known: Vec::new(), moves: 1, ..line() };
        assert_eq!(tree(&[unknown]), "slot 20/1, moved once\n  0x03030303…  after a move that the chain has forgotten");
    }
}
