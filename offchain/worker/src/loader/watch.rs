//! Looking after the blocks of the model that is served.
//!
//! An engine computes on mapped files: whoever edits one of them in place edits the model under it. What is computed from
//! then on is not what the chain names, and a receipt of it would be a lie that its author pays for. So the files are looked
//! at every few seconds, which costs their metadata; what was touched is hashed again.

use crate::retry;
use blyan_store::{Store, StoreError, Watched};
use blyan_tensorblock::VerifiedBlock;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// Time between two looks: for so long an engine can compute on damaged weights unnoticed.
const EVERY: Duration = Duration::from_secs(5);

/// The blocks that one model was loaded from. Keeps them from being evicted.
#[derive(Clone, Debug)]
pub struct Watch {
    blocks: Arc<Mutex<Vec<Watched>>>,
}

impl Watch {
    /// Looks after the mappings that `blocks` are handles of, which came from `store`.
    pub fn new<'a>(store: &Store, blocks: impl IntoIterator<Item = &'a VerifiedBlock>) -> Self {
        let blocks = blocks.into_iter().map(|block| store.watch(block)).collect();
        Self { blocks: Arc::new(Mutex::new(blocks)) }
    }

    /// Waits until the bytes of a block are not what was verified any more, and says which block and what is wrong. All that
    /// was computed on it since the last look is worthless.
    pub async fn damage(&self) -> StoreError {
        self.damage_noticed_within(EVERY).await
    }

    async fn damage_noticed_within(&self, interval: Duration) -> StoreError {
        loop {
            tokio::time::sleep(retry::jittered(interval)).await;
            let blocks = self.blocks.clone();
            match tokio::task::spawn_blocking(move || look(&mut blocks.lock())).await {
                Ok(Some(damage)) => return damage,
                Ok(None) => {},
                Err(error) => tracing::error!(%error, "looking after the model's blocks was cut short"),
            }
        }
    }
}

fn look(blocks: &mut [Watched]) -> Option<StoreError> {
    blocks.iter_mut().find_map(|watched| match watched.check_unchanged() {
        Ok(()) => None,
        Err(error) if error.is_damage() => Some(error),
        Err(error) => {
            tracing::warn!(hash = %watched.block().hash(), %error, "a block of the model cannot be looked after");
            None
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_model::tiny;
    use std::{fs::OpenOptions, os::unix::fs::FileExt};

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_byte_that_is_flipped_under_a_running_model_is_noticed_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(blyan_store::Config::new(folder.path()), &prometheus::Registry::new()).unwrap();
        let model = tiny::build(tiny::GENESIS_SEED).unwrap();
        let blocks: Vec<VerifiedBlock> = model
            .blocks
            .iter()
            .map(|block| {
                store.put(block).unwrap();
                store.get(&block.hash()).unwrap()
            })
            .collect();
        let watch = Watch::new(&store, &blocks);
        let quiet = tokio::time::timeout(10 * SOON, watch.damage_noticed_within(SOON)).await;
        assert!(quiet.is_err(), "{quiet:?}");

        let block = &blocks[3];
        let file = OpenOptions::new().read(true).write(true).open(block.path().unwrap()).unwrap();
        let at = block.file_len() - 100;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let damage = tokio::time::timeout(500 * SOON, watch.damage_noticed_within(SOON)).await.unwrap();
        assert!(damage.is_damage() && damage.to_string().contains(&block.hash().to_string()), "{damage}");
    }
}
