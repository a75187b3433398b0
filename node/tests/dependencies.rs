//! What the node is built from, read from the workspace's lock file: consensus and no tensors.

use std::collections::{BTreeMap, BTreeSet};

/// A package's name and version.
type Package = (String, String);

/// The packages of a lock file, each with those that it needs to be built, run or tested.
fn read(lock: &str) -> BTreeMap<Package, Vec<Package>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut raw: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for block in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"')).unwrap()
        };
        let (name, version) = (field("name"), field("version"));
        let needs = block.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\",")).collect();
        versions.entry(name).or_default().push(version);
        raw.push((name, version, needs));
    }
    let resolve = |need: &str| {
        // The version follows the name where there are several.
        let (name, version) = need.split_once(' ').unwrap_or_else(|| (need, versions[need][0]));
        (name.to_owned(), version.to_owned())
    };
    raw.into_iter()
        .map(|(name, version, needs)| ((name.into(), version.into()), needs.into_iter().map(resolve).collect()))
        .collect()
}

/// Everything that package `name` is built from.
fn closure(name: &str) -> BTreeSet<Package> {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    let packages = read(&lock);
    let mut open: Vec<_> = packages.keys().filter(|(package, _)| package == name).cloned().collect();
    assert_eq!(open.len(), 1, "{name} is not in the lock file once");
    let mut seen = BTreeSet::new();
    while let Some(package) = open.pop() {
        if seen.insert(package.clone()) {
            open.extend(packages[&package].iter().cloned());
        }
    }
    seen
}

#[test]
fn the_node_contains_no_tensor_code() {
    let packages = closure("blyan-node");
    for tensor in ["candle-core", "candle-nn", "tokenizers", "safetensors", "blyan-model", "blyan-tensorblock"] {
        assert!(packages.iter().all(|(name, _)| name != tensor), "the node depends on {tensor}");
    }
}

#[test]
fn the_node_contains_one_libp2p_and_one_sdk() {
    let packages = closure("blyan-node");
    for once in ["libp2p", "litep2p", "sc-network", "sc-service", "frame-support", "sp-core", "sp-runtime"] {
        let versions: Vec<_> = packages.iter().filter(|(name, _)| name == once).collect();
        assert_eq!(versions.len(), 1, "{versions:?}");
    }
}
