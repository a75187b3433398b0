//! Documents to windows, and the order in which a run sees them.
//!
//! Documents are put behind each other, each followed by the separator, and cut into windows of equal length. The end of one
//! document and the start of the next can share a window: they do not see each other there, because attention is limited to
//! the position's own document and the first token of a document is never a target. Nothing is padded, and no token left
//! out: the last window starts early enough to end with the last document.
//!
//! Without a separator documents are parts of longer texts, which do not end where they end: nothing is to be learned from
//! that. Then each document is cut into windows by itself.
//!
//! Every epoch has its own order of the windows, by the run's seed alone: a run that is resumed at a step goes on with the
//! windows that it would have seen.

use super::{
    TrainError,
    draws::{Draws, Stream},
};

/// Documents, cut into windows.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    tokens: Vec<u32>,
    /// For each token its document.
    documents: Vec<u32>,
    /// Where windows start.
    starts: Vec<usize>,
    /// Tokens of a window that something is predicted from.
    len: usize,
}

/// Some windows of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// Windows.
    pub(super) windows: usize,
    /// Positions of a window.
    pub(super) len: usize,
    /// `[windows, len]`
    pub(super) inputs: Vec<u32>,
    /// `[windows, len]`: for each input the token after it.
    pub(super) targets: Vec<u32>,
    /// `[windows, len]`: whether the target counts.
    pub(super) counts: Vec<bool>,
    /// `[windows, len]`: the input's document. Nothing where each window has one.
    pub(super) documents: Option<Vec<u32>>,
}

impl Windows {
    /// Packs documents into windows of `len` tokens, or fewer where there are not as many at all, or, without a separator, in
    /// one of the documents.
    pub(super) fn pack(
        documents: &[Vec<u32>],
        separator: impl Into<Option<u32>>,
        len: usize,
    ) -> Result<Self, TrainError> {
        let Some(separator) = separator.into() else { return Self::of_parts(documents, len) };
        let (mut tokens, mut owners) = (Vec::new(), Vec::new());
        for (number, document) in (0u32..).zip(documents.iter().filter(|document| !document.is_empty())) {
            tokens.extend_from_slice(document);
            tokens.push(separator);
            owners.resize(tokens.len(), number);
        }
        // Each position needs the token after it.
        let positions = tokens.len().saturating_sub(1);
        if positions == 0 || len == 0 {
            return Err(TrainError::NoTokens);
        }
        let len = len.min(positions);
        Ok(Self { tokens, documents: owners, starts: starts(positions, len).collect(), len })
    }

    /// Cuts each of some documents into windows by itself. Those in which nothing is predicted are left out.
    fn of_parts(documents: &[Vec<u32>], len: usize) -> Result<Self, TrainError> {
        let documents = || documents.iter().filter(|document| document.len() > 1);
        let shortest = documents().map(|document| document.len() - 1).min().unwrap_or(0);
        let len = len.min(shortest);
        if len == 0 {
            return Err(TrainError::NoTokens);
        }
        let mut windows = Self { tokens: Vec::new(), documents: Vec::new(), starts: Vec::new(), len };
        for (number, document) in (0u32..).zip(documents()) {
            let first = windows.tokens.len();
            windows.starts.extend(starts(document.len() - 1, len).map(|start| first + start));
            windows.tokens.extend_from_slice(document);
            windows.documents.resize(windows.tokens.len(), number);
        }
        Ok(windows)
    }

    /// Positions of each window.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many windows there are.
    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The windows with these numbers.
    pub(super) fn batch(&self, numbers: &[usize]) -> Batch {
        let places = || numbers.iter().flat_map(|number| self.starts[*number]..self.starts[*number] + self.len);
        let documents: Vec<u32> = places().map(|place| self.documents[place]).collect();
        let is_mixed = documents.chunks(self.len).any(|window| window.first() != window.last());
        Batch {
            windows: numbers.len(),
            len: self.len,
            inputs: places().map(|place| self.tokens[place]).collect(),
            targets: places().map(|place| self.tokens[place + 1]).collect(),
            counts: places().map(|place| self.documents[place] == self.documents[place + 1]).collect(),
            documents: is_mixed.then_some(documents),
        }
    }
}

/// Where windows of `len` positions, at least 1, start among at least as many; the last one starts early where they do not fit.
fn starts(positions: usize, len: usize) -> impl Iterator<Item = usize> {
    let early = (!positions.is_multiple_of(len)).then(|| positions - len);
    (0..=positions - len).step_by(len).chain(early)
}

impl Batch {
    /// One window of consecutive tokens of one text, at least two.
    pub(super) fn of(tokens: &[u32]) -> Result<Self, TrainError> {
        let [_, targets @ ..] = tokens else { return Err(TrainError::NoTokens) };
        if targets.is_empty() {
            return Err(TrainError::NoTokens);
        }
        Ok(Self {
            windows: 1,
            len: targets.len(),
            inputs: tokens[..targets.len()].to_vec(),
            targets: targets.to_vec(),
            counts: vec![true; targets.len()],
            documents: None,
        })
    }

    /// `[windows, len, len]`: whether the position of the second dimension may see that of the third; only the causal rule,
    /// `[1, len, len]`, where each window has one document.
    pub(super) fn sees(&self) -> Vec<bool> {
        let windows: Vec<Option<&[u32]>> = match &self.documents {
            Some(documents) => documents.chunks(self.len).map(Some).collect(),
            None => vec![None],
        };
        let mut sees = Vec::with_capacity(windows.len() * self.len * self.len);
        for documents in windows {
            for query in 0..self.len {
                let same = |key: usize| documents.is_none_or(|documents| documents[key] == documents[query]);
                sees.extend((0..self.len).map(|key| key <= query && same(key)));
            }
        }
        sees
    }
}

/// The order of windows, epoch after epoch.
#[derive(Clone, Debug)]
pub(super) struct Order {
    seed: u64,
    windows: usize,
    /// The epoch that is drawn, and its order.
    drawn: Option<(u64, Vec<usize>)>,
}

impl Order {
    pub(super) fn new(seed: u64, windows: usize) -> Self {
        Self { seed, windows, drawn: None }
    }

    /// The window at a place in the endless sequence of epochs.
    pub(super) fn at(&mut self, place: u64) -> usize {
        let windows = self.windows as u64;
        let (epoch, within) = (place / windows, (place % windows) as usize);
        match &self.drawn {
            Some((drawn, order)) if *drawn == epoch => order[within],
            _ => {
                let order = shuffled(self.windows, &mut Draws::new(self.seed, Stream::Epoch(epoch)));
                let window = order[within];
                self.drawn = Some((epoch, order));
                window
            },
        }
    }
}

/// The numbers below `count`, each order as likely as any other (Fisher and Yates).
fn shuffled(count: usize, draws: &mut Draws) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, draws.below(last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_share_windows_and_do_not_see_each_other() {
        let windows = Windows::pack(&[vec![1, 2, 3], vec![], vec![4, 5]], 9, 4).unwrap();
        // 1 2 3 9 4 5 9: six positions, the second window starts early.
        assert_eq!(windows.count(), 2);
        let batch = windows.batch(&[0, 1]);
        assert_eq!(batch.inputs, [1, 2, 3, 9, 3, 9, 4, 5]);
        assert_eq!(batch.targets, [2, 3, 9, 4, 9, 4, 5, 9]);
        assert_eq!(batch.counts, [true, true, true, false, true, false, true, true]);
        assert_eq!(batch.documents.as_deref(), Some(&[0, 0, 0, 0, 0, 0, 1, 1][..]));
        let sees = batch.sees();
        assert_eq!(sees.len(), 2 * 4 * 4);
        let row = |window: usize, query: usize| &sees[(window * 4 + query) * 4..][..4];
        assert_eq!(row(0, 2), [true, true, true, false]);
        assert_eq!(row(1, 1), [true, true, false, false]);
        assert_eq!(row(1, 3), [false, false, true, true]);
    }

    #[test]
    fn windows_of_one_document_each_need_the_causal_rule_only() {
        let windows = Windows::pack(&[vec![7; 12]], 9, 4).unwrap();
        assert_eq!(windows.count(), 3);
        let batch = windows.batch(&[2, 0]);
        assert_eq!(batch.documents, None);
        assert_eq!(batch.sees(), [0, 1, 2, 3].map(|query| [0, 1, 2, 3].map(|key| key <= query)).concat());
    }

    #[test]
    fn parts_of_texts_are_not_learned_to_end() {
        let windows = Windows::pack(&[vec![1, 2, 3, 4, 5], vec![6], vec![7, 8, 9]], None, 256).unwrap();
        // As long as the shortest; the second one starts where the first has ended, the document's last token is a target alone.
        let batch = windows.batch(&[0, 1, 2]);
        assert_eq!(batch.inputs, [1, 2, 3, 4, 7, 8]);
        assert_eq!(batch.targets, [2, 3, 4, 5, 8, 9]);
        assert_eq!((batch.counts, batch.documents), (vec![true; 6], None));
        // Where the windows do not fit, the last one starts early.
        let windows = Windows::pack(&[vec![1, 2, 3, 4, 5, 6]], None, 3).unwrap();
        assert_eq!(windows.batch(&[0, 1]).inputs, [1, 2, 3, 3, 4, 5]);
        for nothing in [&[][..], &[vec![], vec![1]]] {
            assert!(matches!(Windows::pack(nothing, None, 4), Err(TrainError::NoTokens)));
        }
    }

    #[test]
    fn every_position_is_in_a_window() {
        for (document, len) in [(1, 5), (5, 5), (6, 5), (23, 5), (24, 5), (3, 256)] {
            let windows = Windows::pack(&[(0..document).collect()], 99, len).unwrap();
            let batch = windows.batch(&(0..windows.count()).collect::<Vec<_>>());
            assert!((0..document).all(|token| batch.inputs.contains(&token)), "{document} {len}");
            assert!(batch.targets.contains(&99));
        }
        assert!(matches!(Windows::pack(&[vec![], vec![]], 9, 4), Err(TrainError::NoTokens)));
        assert!(matches!(Batch::of(&[1]), Err(TrainError::NoTokens)));
        assert!(matches!(Batch::of(&[]), Err(TrainError::NoTokens)));
    }

    #[test]
    fn an_epoch_has_every_window_once_and_any_place_can_be_asked_for() {
        let mut order = Order::new(5, 7);
        let places: Vec<usize> = (0..21).map(|place| order.at(place)).collect();
        for epoch in places.chunks(7) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(places[..7], places[7..14]);
        let mut resumed = Order::new(5, 7);
        assert_eq!((10..21).map(|place| resumed.at(place)).collect::<Vec<_>>(), places[10..]);
        assert_ne!((0..21).map(|place| Order::new(6, 7).at(place)).collect::<Vec<_>>(), places);
    }
}
