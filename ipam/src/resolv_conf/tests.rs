use super::*;

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn lines_accumulate_and_the_last_domain_wins() {
    let conf = ResolvConf::parse(
        "# a comment\n; another\nnameserver 192.0.2.1\n\nnameserver\t fe80::1%eth0 ignored\n\
         domain old.example\n domain new.example extra\nsearch a.example b.example\r\n\
         search c.example\noptions ndots:2\noptions timeout:1 rotate\n",
    );
    assert_eq!(conf.nameservers, strings(&["192.0.2.1", "fe80::1%eth0"]));
    assert_eq!(conf.domain.as_deref(), Some("new.example"));
    assert_eq!(conf.search, strings(&["a.example", "b.example", "c.example"]));
    assert_eq!(conf.options, strings(&["ndots:2", "timeout:1", "rotate"]));
}

#[test]
fn a_keyword_alone_and_unknown_keywords_are_skipped() {
    let conf = ResolvConf::parse("nameserver\nsearch \nsortlist 10.0.0.0\nnameservers 1.2.3.4\n");
    assert_eq!(conf, ResolvConf::default());
}

#[test]
fn a_comment_sign_within_a_line_is_part_of_the_value_as_in_the_reference() {
    let conf = ResolvConf::parse("search a # b\n  # domain x\n");
    assert_eq!(conf.search, strings(&["a", "#", "b"]));
    assert_eq!(conf.domain, None);
}

#[test]
fn resolv_conf_survives_any_input() {
    corpus::survive("resolv-conf", |input| {
        let conf = ResolvConf::parse(&String::from_utf8_lossy(input));
        let values = conf.nameservers.iter().chain(&conf.search).chain(&conf.options);
        for value in values.chain(&conf.domain) {
            assert!(!value.is_empty() && !value.contains(char::is_whitespace));
        }
    });
}
