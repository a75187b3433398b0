//! What models are measured on: items of sets, and of texts.

use super::EvaluateArgs;
use crate::{data, library::Library, progress::Steps};
use anyhow::{Context, Result, ensure};
use blyan_chain::State;
use blyan_learning::items::Items;
use blyan_primitives::{ids::ContentHash, spec::ModelSpec};
use blyan_tensorblock::VerifiedBlock;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The items that are asked for, those of sets first.
pub(super) async fn gather(
    args: &EvaluateArgs,
    state: &State,
    library: &Library,
    spec: &ModelSpec,
    steps: &Arc<Steps>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Vec<Vec<u32>>> {
    let tokens = state.parameters()?.item_tokens;
    let most = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let (mut all, mut named) = (Vec::new(), BTreeSet::new());
    for set in &args.set {
        ensure!(named.insert(*set), "set {set} is named twice: name it once");
        if all.len() < most {
            let block = bring(library, state, *set).await?;
            let left = most.saturating_sub(all.len());
            all.extend(of_block(block, tokens, left)?);
        }
    }
    if !args.texts.is_empty() && all.len() < most {
        let tokenizer =
            library.one(spec.tokenizer).await.context("the tokenizer is missing: name a worker with --peers")?;
        let (texts, shown, cancelled) = (args.texts.clone(), steps.clone(), cancelled.clone());
        let read = move || {
            data::items_of(&texts, &tokenizer, tokens, &mut |done, total| {
                shown.set_of(done, total);
                ensure!(!cancelled.load(Ordering::Relaxed), "reading the texts was cancelled");
                Ok(())
            })
        };
        steps.begin_counted("reading the texts");
        let read = tokio::task::spawn_blocking(read).await.context("reading the texts broke off");
        steps.finish();
        all.extend(read??);
    }
    all.truncate(most);
    check(&all, spec.dimensions.vocab)?;
    Ok(all)
}

/// The block of a set, which may have been hidden.
async fn bring(library: &Library, state: &State, set: ContentHash) -> Result<VerifiedBlock> {
    if state.hidden_set(set).await?.is_some() {
        library.hidden(state, set).await?;
    }
    let block = library.one(set).await;
    block.with_context(|| {
        format!("set {set} is missing: give the store of a worker that has it, or its address with --peers")
    })
}

/// The first items of a block, at most so many.
fn of_block(block: VerifiedBlock, tokens: u32, most: usize) -> Result<Vec<Vec<u32>>> {
    let hash = block.hash();
    let items = Items::new(block)?;
    ensure!(
        items.tokens() == tokens,
        "the items of {hash} have {} tokens, those of this chain {tokens}: pack its texts anew, or name the texts instead",
        items.tokens()
    );
    let item = |index: u32| Ok(items.item(index)?.with_context(|| format!("{hash} has no item {index}"))?.to_vec());
    (0..items.count()).take(most).map(item).collect()
}

/// Refuses what nothing can be said by, and tokens that a model does not know.
fn check(items: &[Vec<u32>], vocab: u32) -> Result<()> {
    ensure!(
        items.len() > 1,
        "one item says nothing of how sure its loss is: name more or longer texts, or a larger set"
    );
    for (number, item) in items.iter().enumerate() {
        let unknown = item.iter().find(|token| **token >= vocab);
        ensure!(
            unknown.is_none(),
            "item {number} has token {}, which is not in the model's vocabulary of {vocab}: it was made with another \
             tokenizer; pack its texts anew, or name the texts instead",
            unknown.copied().unwrap_or_default()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_learning::items::write;

    fn block(items: &[Vec<u32>], tokens: u32) -> VerifiedBlock {
        write(items, tokens).unwrap().into_block().unwrap()
    }

    #[test]
    fn the_first_items_of_a_block_are_taken() {
        let items: Vec<Vec<u32>> = (0..4).map(|item| vec![item; 5]).collect();
        assert_eq!(of_block(block(&items, 5), 5, usize::MAX).unwrap(), items);
        assert_eq!(of_block(block(&items, 5), 5, 3).unwrap(), items[..3]);
        let error = of_block(block(&items, 5), 129, 3).unwrap_err().to_string();
        assert!(error.contains("have 5 tokens") && error.contains("129"), "{error}");
    }

    #[test]
    fn what_cannot_be_measured_on_is_refused_by_name() {
        assert!(check(&[vec![1, 2], vec![3, 258]], 259).is_ok());
        let error = check(&[vec![1, 2], vec![3, 259]], 259).unwrap_err().to_string();
        assert!(error.contains("item 1 has token 259") && error.contains("tokenizer"), "{error}");
        for few in [vec![], vec![vec![1, 2]]] {
            assert!(check(&few, 259).unwrap_err().to_string().contains("how sure"));
        }
    }
}
