//! Runs that a former command has begun, and did not bring to an end.

use super::{
    args::{BeginArgs, method, seed_of},
    folder::{About, Folder, Frame},
    hand_in::{self, Submitted},
    prepare::default_runs,
};
use crate::{slot::Place, submit::Sender};
use anyhow::{Context, Result, ensure};
use blyan_chain::{AccountId, Hash, State};
use blyan_learning::train::Manifest;
use blyan_tensorblock::VerifiedBlock;
use std::{
    fs::{self, File},
    io,
};

/// A run that a former command has begun.
pub(super) struct Kept {
    pub(super) folder: Folder,
    pub(super) claim: File,
    pub(super) frame: Frame,
    pub(super) manifest: Manifest,
    /// Its delta, where there is one whose end was not told.
    pub(super) made: Option<(VerifiedBlock, About)>,
}

impl Kept {
    pub(super) fn open(folder: Folder, chain: Hash) -> Result<Self> {
        let (frame, manifest) = folder.resume()?;
        let claim = folder.claim()?;
        let judged = folder.judged(chain)?;
        let made = folder.delta()?.filter(|(block, _)| judged.is_none_or(|judged| judged.block != block.hash()));
        Ok(Self { folder, claim, frame, manifest, made })
    }

    /// Refuses the run of somebody else, or on another chain.
    pub(super) fn check(&self, chain: Hash, account: &AccountId) -> Result<()> {
        let Frame { chain: of, learner, .. } = &self.frame;
        let path = self.folder.path().display();
        ensure!(*of == chain, "the run in {path} is on the chain with genesis {of}, the node's is {chain}");
        ensure!(learner == account, "the run in {path} is that of {learner}: go on with that account's key");
        Ok(())
    }

    /// Whether it is what is asked for.
    fn is_meant(&self, args: &BeginArgs, account: &AccountId) -> bool {
        let Manifest { slot, seed, settings, .. } = &self.manifest;
        let (method, learning_rate) = method(args);
        args.slot.is_none_or(|asked| asked == Place::from(*slot))
            && args.data.is_none_or(|asked| asked == self.frame.data.block)
            && *seed == args.seed.unwrap_or_else(|| seed_of(account))
            && (settings.method, settings.learning_rate, settings.batch) == (method, learning_rate, args.batch)
            && settings.router == args.router.settings()
    }

    /// Its delta, in the round that a former command has submitted it to.
    pub(super) async fn submitted(
        &self,
        state: &State,
        sender: &Sender,
    ) -> Result<Option<(Submitted, &VerifiedBlock)>> {
        let Some((block, about)) = &self.made else { return Ok(None) };
        let judged = self.folder.judged(sender.client.genesis())?;
        let found = hand_in::find(state, &sender.account(), about.slot, block.hash(), judged).await?;
        Ok(found.map(|found| (found, block)))
    }
}

/// A run that is what is asked for, and that a former command has not brought to an end: its delta waits for a verdict, or the
/// head that it trains is still there.
pub(super) async fn unfinished(state: &State, sender: &Sender, args: &BeginArgs) -> Result<Option<Kept>> {
    let (chain, account) = (sender.client.genesis(), sender.account());
    for folder in folders(args)? {
        if !folder.is_begun() {
            continue;
        }
        let kept = match Kept::open(folder.clone(), chain) {
            Ok(kept) => kept,
            // One that is named cannot be passed over.
            Err(error) if args.run.is_some() => return Err(error),
            Err(error) => {
                tracing::debug!(folder = %folder.path().display(), error = %format_args!("{error:#}"), "passed over");
                continue;
            },
        };
        if kept.check(chain, &account).is_err() || !kept.is_meant(args, &account) {
            continue;
        }
        if kept.submitted(state, sender).await?.is_some() {
            return Ok(Some(kept));
        }
        let Some(record) = state.spec(kept.frame.spec).await? else { continue };
        // What was judged already is trained on where it is the same run, which is found by its name.
        let is_open = kept.made.is_some() || kept.folder.judged(chain)?.is_none();
        let place = Place::from(kept.manifest.slot);
        if is_open && hand_in::head_of(state, &record, place).await? == kept.manifest.base {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// Folders in which a run can be that is asked for: the one that is named, or those that nobody names.
fn folders(args: &BeginArgs) -> Result<Vec<Folder>> {
    if let Some(folder) = &args.run {
        return Ok(vec![Folder::new(folder.clone())]);
    }
    let runs = default_runs()?;
    let entries = match fs::read_dir(&runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", runs.display())),
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = paths.with_context(|| format!("cannot read {}", runs.display()))?;
    paths.sort_unstable();
    Ok(paths.into_iter().map(Folder::new).collect())
}

#[cfg(test)]
mod tests {
    use super::{
        super::args::{settings, tests::begun},
        *,
    };
    use blyan_learning::train::DataSet;
    use blyan_primitives::{ids::ContentHash, learning::ItemRange};

    #[test]
    fn a_run_is_gone_on_with_by_who_began_it_and_asks_for_the_same() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path().join("run"));
        let [alice, bob] = ["//Alice", "//Bob"].map(|uri| blyan_chain::Key::from_uri(uri).unwrap().account());
        let (chain, args) = (Hash([9; 32]), begun(&[]));
        let data = ItemRange { block: ContentHash([5; 32]), first: 0, count: 3 };
        let spec = blyan_primitives::ids::SpecId([1; 32]);
        let frame = Frame { chain, learner: alice, spec, experts: Vec::new(), data };
        let manifest = Manifest {
            slot: Place { layer: 1, index: 2 }.of(spec),
            base: ContentHash([2; 32]),
            master: None,
            weights: blyan_primitives::ids::WeightsId([4; 32]),
            data: vec![DataSet { root: [5; 32], items: vec![0, 1, 2] }],
            seed: seed_of(&alice),
            settings: settings(&args, &[vec![0; 9]], 2_048),
        };
        folder.begin(&frame, &manifest).unwrap();
        let kept = Kept::open(folder.clone(), chain).unwrap();
        assert!(Kept::open(folder, chain).is_err(), "another command is at work there");
        assert!(kept.check(chain, &alice).is_ok() && kept.check(Hash([0; 32]), &alice).is_err());
        assert!(kept.check(chain, &bob).unwrap_err().to_string().contains("key"));
        let is_meant = |words: &[&str]| kept.is_meant(&begun(words), &alice);
        assert!(is_meant(&[]) && is_meant(&["--slot", "1/2", "--minutes", "9"]) && is_meant(&["--rank", "8"]));
        for other in [["--slot", "1/1"], ["--rank", "4"], ["--batch", "2"], ["--seed", "1"], ["--learning-rate", "0.1"]]
        {
            assert!(!is_meant(&other), "{other:?}");
        }
        assert!(!kept.is_meant(&args, &bob));
    }
}
