use crate::cli::command;

/// What a switch is read as.
fn read(line: &str, switch: &str) -> Result<bool, String> {
    let words = format!("netd network {line}");
    let matches = command().try_get_matches_from(words.split_whitespace());
    let matches = matches.map_err(|error| error.to_string())?;
    let (_, network) = matches.subcommand().unwrap();
    let (_, of) = network.subcommand().unwrap();
    Ok(of.get_one::<bool>(switch).copied().unwrap())
}

#[test]
fn every_switch_takes_a_value_as_gos_do_and_none_too() {
    for (before, flag, after, switch) in [
        ("create", "--internal", "a", "internal"),
        ("create", "--attachable", "a", "attachable"),
        ("create", "--ingress", "a", "ingress"),
        ("create", "--config-only", "a", "config_only"),
        ("create", "--ipv4", "a", "ipv4"),
        ("create", "--ipv6", "a", "ipv6"),
        ("ls", "--no-trunc", "", "no_trunc"),
        ("ls", "--quiet", "", "quiet"),
        ("ls", "-q", "--no-trunc", "quiet"),
        ("inspect", "--verbose", "a", "verbose"),
        ("rm", "-f", "a", "force"),
        ("rm", "--force", "a", "force"),
        ("prune", "-f", "", "force"),
    ] {
        let read = |value: &str| read(&format!("{before} {flag}{value} {after}"), switch);
        assert_eq!(read(""), Ok(true), "{before} {flag}");
        for (value, meant) in [("true", true), ("false", false), ("1", true), ("F", false)] {
            assert_eq!(read(&format!("={value}")), Ok(meant), "{before} {flag}={value}");
        }
        let told = read("=maybe").unwrap_err();
        assert!(told.contains("neither true nor false"), "{told}");
    }
    assert_eq!(read("ls", "quiet"), Ok(false));
    assert_eq!(read("ls -qf name=a", "quiet"), Ok(true), "short ones may stand together");
}
