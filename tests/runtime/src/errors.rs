//! Every error of every pallet of ours has a test that meets it.
//!
//! Who adds an error and no test hears of it here. The tests are read as text: an error is met where they name it, as
//! `Error::Name`, `Error::<Test>::Name`, or through an alias of the type.

use super::metadata::latest;
use frame_metadata::v16::PalletMetadata;
use scale_info::form::PortableForm;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The names of each of our pallets' errors, by the pallet's crate.
fn errors() -> BTreeMap<String, Vec<String>> {
    let metadata = latest();
    let error_of = |pallet: PalletMetadata<PortableForm>| {
        let errors = metadata.types.resolve(pallet.error?.ty.id)?;
        let krate = errors.path.segments.first()?.strip_prefix("pallet_blyan_")?.to_owned();
        let scale_info::TypeDef::Variant(variants) = &errors.type_def else { return None };
        Some((krate, variants.variants.iter().map(|variant| variant.name.clone()).collect()))
    };
    metadata.pallets.clone().into_iter().filter_map(error_of).collect()
}

/// All Rust files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// What a pallet's tests do, without what they say.
fn tests(pallet: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pallets").join(pallet).join("src");
    let mut paths = files(&source.join("tests"));
    paths.push(source.join("mock.rs"));
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    let code =
        |text: String| text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    texts.map(code).collect()
}

/// The names of errors that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let is_in_a_name = |c: char| c.is_alphanumeric() || c == '_';
    // `type E = Error<Test>;`
    let aliases = text.lines().filter_map(|line| {
        let (alias, of) = line.trim().trim_start_matches("pub(crate) ").strip_prefix("type ")?.split_once(" = ")?;
        of.ends_with("Error<Test>;").then_some(alias)
    });
    let types: Vec<_> = aliases.chain(["Error", "Error::<Test>"]).collect();
    text.match_indices("::")
        .filter(|(at, _)| {
            types
                .iter()
                .any(|name| text[..*at].strip_suffix(name).is_some_and(|before| !before.ends_with(is_in_a_name)))
        })
        .map(|(at, path)| text[at + path.len()..].split(|c| !is_in_a_name(c)).next().unwrap())
        .collect()
}

#[test]
fn every_error_has_a_test_that_meets_it() {
    let errors = errors();
    let pallets: Vec<_> = errors.keys().map(String::as_str).collect();
    assert_eq!(pallets, ["dao", "economy", "experts", "inference", "meta", "pact", "pol", "staking", "workers"]);
    for (pallet, errors) in &errors {
        let tests = tests(pallet);
        let met = named(&tests);
        let missing: Vec<_> = errors.iter().filter(|error| !met.contains(error.as_str())).collect();
        assert!(missing.is_empty(), "no test of pallets/{pallet} meets {missing:?}");
    }
}

#[test]
fn an_error_is_named_by_its_type() {
    let text =
        "type E = Error<Test>;\n E::One, Error::<Test>::Two; Error::Three } Event::Four, TokenError::Five, MyE::Six";
    assert_eq!(named(text).into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>(), ["One", "Three", "Two"]);
}
