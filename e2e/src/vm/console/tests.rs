use std::time::Duration;

use super::Report;

const WHOLE: &str = "SeaBIOS\r\nVM BOOTED 5.10.0-32-amd64 2.50\r\nVM BEGIN 000\r\nhello\r\n\r\n\
                     VM END 000 0 3\r\nVM BEGIN 001\r\nfailed: false\r\n\r\nVM END 001 1 0\r\nVM OVER 9.1\r\n";

fn read(console: &str) -> Report {
    let names = ["a link can be made".to_owned(), "it can be deleted".to_owned()];
    Report::read(&names, console, Duration::from_millis(12_300))
}

#[test]
fn each_check_has_its_own_status_time_and_output() {
    let report = read(WHOLE);
    assert_eq!(report.release, "5.10.0-32-amd64");
    assert_eq!(report.boot, Duration::from_millis(2500));
    let ends: Vec<_> = report.outcomes.iter().map(|it| (it.status, it.took.as_secs())).collect();
    assert_eq!(ends, [(Some(0), 3), (Some(1), 0)]);
    assert_eq!(report.outcomes[0].log.trim(), "hello");
    assert_eq!(report.outcomes[1].log.trim(), "failed: false");
}

#[test]
fn the_verdict_shows_the_output_of_failed_checks_only() {
    let text = read(WHOLE).verdict().unwrap_err().to_string();
    assert!(text.contains("1 of 2 checks failed") && text.contains("failed: false"), "{text}");
    assert!(!text.contains("hello") && !text.contains("SeaBIOS"), "{text}");
}

#[test]
fn a_machine_that_dies_fails_all_checks_that_did_not_end_and_shows_its_console() {
    let (before, _) = WHOLE.split_once("VM END 001").unwrap();
    let report = read(&format!("{before}Kernel panic - not syncing: oh\r\n"));
    assert_eq!(report.outcomes[1].status, None);
    let text = report.verdict().unwrap_err().to_string();
    assert!(text.contains("did not end") && text.contains("Kernel panic"), "{text}");
    assert!(text.contains("SeaBIOS"), "{text}");
}

#[test]
fn a_machine_that_never_boots_fails_every_check() {
    let text = read("").verdict().unwrap_err().to_string();
    assert!(text.contains("2 of 2 checks failed"), "{text}");
    assert!(text.contains("did not boot"), "{text}");
}
