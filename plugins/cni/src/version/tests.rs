use super::*;

#[test]
fn every_version_reads_back_from_its_own_text() {
    for version in Version::ALL {
        assert_eq!(version.as_str().parse(), Ok(*version));
    }
}

#[test]
fn the_empty_text_is_0_1_0() {
    assert_eq!("".parse(), Ok(Version::V0_1_0));
    assert_eq!(numbers(""), Ok([0, 1, 0]));
}

#[test]
fn only_exact_text_matches() {
    for text in ["1.0", "1", "v1.0.0", "1.0.0 ", "01.0.0", "0.5.0", "1.2.0"] {
        assert!(text.parse::<Version>().is_err(), "{text}");
    }
}

#[test]
fn versions_are_ordered_by_age() {
    assert!(Version::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(Version::ALL.last(), Some(&Version::NEWEST));
}

#[test]
fn every_version_belongs_to_its_family() {
    assert!(Version::ALL.iter().all(|version| version.family().contains(version)));
}

#[test]
fn numbers_are_read_from_unpublished_versions_too() {
    assert_eq!(numbers("1.2.0"), Ok([1, 2, 0]));
    assert_eq!(numbers("2"), Ok([2, 0, 0]));
    for text in ["1.2.3.4", "1.x", "-1", "one", "1..2"] {
        assert!(numbers(text).is_err(), "{text}");
    }
}
