//! The text of the tables, as an administrator sees it. `UPDATE_GOLDEN=1` rewrites the files.

#![expect(clippy::expect_used, reason = "a test")]

use std::fs;
use std::path::Path;

use drivers::ruleset;
use netstate::nft::nft_table;

#[test]
fn tables_are_as_documented() {
    golden("inet.nft", &nft_table(&ruleset::inet_table().expect("valid names")));
    golden("bridge.nft", &nft_table(&ruleset::bridge_table()));
}

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).expect("write golden file");
    }
    let expected = fs::read_to_string(&path).expect("read golden file");
    assert_eq!(actual, expected, "{name} differs: UPDATE_GOLDEN=1 cargo test -p drivers");
}
