//! Inputs that every parser of the project must survive; for tests alone.
//!
//! `inputs/<kind>` holds what a parser gets in earnest and what broke parsers before. [`survive`]
//! gives a parser all of them, then as many more that were made of them by random edits: 2,000, or
//! what `PARSER_CASES` says (`make test` says a million), the same in every run unless
//! `PARSER_SEED` is another number. A parser's test is named
//! `..._any_input`, by which `make test` finds it. An input that failed is found again by
//! its line in `regressions/<kind>.txt`, which is to be committed with the fix.

mod edit;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{
    FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner,
};

use edit::Edit;

/// Cases without `PARSER_CASES`: a second or two in a build that is not optimised.
const CASES: u32 = 2_000;

/// The most edits of one input. More make noise that no parser looks into.
const EDITS: usize = 6;

/// Calls `parse` with the inputs of a kind, then with inputs made of them.
///
/// # Panics
///
/// When `parse` does, with the input; or when there is no such kind.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn survive(kind: &str, parse: impl Fn(&[u8])) {
    let inputs = inputs(kind);
    for input in &inputs {
        parse(input);
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u32>().ok());
    let regressions = format!("{}/regressions/{kind}.txt", env!("CARGO_MANIFEST_DIR"));
    let persistence = FileFailurePersistence::Direct(regressions.leak());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: number("PARSER_CASES").unwrap_or(CASES),
        rng_seed: RngSeed::Fixed(number("PARSER_SEED").unwrap_or_default().into()),
        failure_persistence: Some(Box::new(persistence)),
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&hostile(inputs), |input| {
        parse(&input);
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(why, input)) = &outcome {
        panic!("{kind}: {why}\ninput: {}\n{input:?}", String::from_utf8_lossy(input));
    }
    assert!(outcome.is_ok(), "{kind}: {outcome:?}");
}

/// The committed inputs of a kind, in the order of their file names.
///
/// # Panics
///
/// When there are none, or a file cannot be read.
#[must_use]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn inputs(kind: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs").join(kind);
    let read = || -> std::io::Result<Vec<_>> {
        let entries: Result<Vec<_>, _> = std::fs::read_dir(&dir)?.collect();
        let mut paths: Vec<_> = entries?.iter().map(std::fs::DirEntry::path).collect();
        paths.sort();
        paths.iter().map(std::fs::read).collect()
    };
    let inputs = read().unwrap_or_else(|error| panic!("read {}: {error}", dir.display()));
    assert!(!inputs.is_empty(), "no inputs in {}", dir.display());
    inputs
}

/// An input with a few edits, which may bring in a part of another one; sometimes bytes at random.
fn hostile(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (any::<Index>(), any::<Index>(), vec(edit::any_edit(), 1..=EDITS));
    let edited = edited.prop_map(move |(base, other, edits)| {
        let (mut input, other): (Vec<u8>, &Vec<u8>) =
            (base.get(inputs.as_slice()).clone(), other.get(inputs.as_slice()));
        edits.into_iter().for_each(|edit| Edit::apply(edit, &mut input, other));
        input
    });
    prop_oneof![15 => edited, 1 => vec(any::<u8>(), 0..96)]
}
