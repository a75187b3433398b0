//! Events in the order in which they happen.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// Events, each in a block. Those of the same block happen in the order in which they were put here, after those that a block
/// before had no room for.
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    next: u64,
}

struct Entry<E> {
    block: u64,
    /// The block that it was for at first.
    due: u64,
    number: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (u64, u64, u64) {
        (self.block, self.due, self.number)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), next: 0 }
    }

    /// Has an event happen in a block.
    pub(crate) fn put(&mut self, block: u64, event: E) {
        self.postpone(block, block, event);
    }

    /// Has an event happen in a block that was due before.
    pub(crate) fn postpone(&mut self, block: u64, due: u64, event: E) {
        self.heap.push(Reverse(Entry { block, due, number: self.next, event }));
        self.next += 1;
    }

    /// The next event: its block, the one in which it was due, and what happens.
    pub(crate) fn take(&mut self) -> Option<(u64, u64, E)> {
        self.heap.pop().map(|Reverse(entry)| (entry.block, entry.due, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_happen_by_block_and_then_in_the_order_in_which_they_came(blocks in prop::collection::vec(0u64..20, 0..60)) {
            let mut queue = Queue::new();
            let mut expected: Vec<(u64, usize)> = blocks.iter().copied().zip(0..).collect();
            expected.iter().for_each(|(block, event)| queue.put(*block, *event));
            expected.sort();
            let found: Vec<_> = std::iter::from_fn(|| queue.take()).map(|(block, _, event)| (block, event)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_event_can_have_another_happen_in_its_own_block() {
        let mut queue = Queue::new();
        queue.put(5, "first");
        queue.put(6, "last");
        assert_eq!(queue.take(), Some((5, 5, "first")));
        queue.put(5, "second");
        assert_eq!([queue.take(), queue.take(), queue.take()], [Some((5, 5, "second")), Some((6, 6, "last")), None]);
    }

    #[test]
    fn what_was_due_before_comes_first() {
        let mut queue = Queue::new();
        queue.put(6, "own");
        queue.postpone(6, 5, "late");
        queue.postpone(6, 4, "later");
        let events: Vec<_> = std::iter::from_fn(|| queue.take()).map(|(.., event)| event).collect();
        assert_eq!(events, ["later", "late", "own"]);
    }
}
