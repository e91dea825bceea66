//! What flannel's own tests of `mk-docker-opts.sh` want, option by option.

use clap::Parser;

use super::*;

const ENV: &str = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.74.1/24\n\
    FLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";
const BIP: &str = "DOCKER_OPT_BIP=\"--bip=10.1.74.1/24\"\n";
const MASQ: &str = "DOCKER_OPT_IPMASQ=\"--ip-masq=true\"\n";
const MTU: &str = "DOCKER_OPT_MTU=\"--mtu=1472\"\n";
const ALL: &str = "=\" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472\"\n";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &str) -> Result<Args, clap::Error> {
    let words = ["netd"].into_iter().chain(line.split_whitespace());
    Line::try_parse_from(words).map(|line| line.args)
}

fn printed(line: &str, env: &str) -> String {
    let args = parse(&format!("--docker-opts {line}")).expect("valid");
    args.docker.text(&SubnetEnv::parse(env).expect("subnet.env"))
}

#[test]
fn each_option_means_what_it_means_to_the_script() {
    for (line, want) in [
        ("", [BIP, MASQ, MTU, "DOCKER_OPTS", ALL].concat()),
        ("-i", [BIP, MASQ, MTU].concat()),
        ("-c", ["DOCKER_OPTS", ALL].concat()),
        ("-i -c", [BIP, MASQ, MTU, "DOCKER_OPTS", ALL].concat()),
        ("-k CUSTOM_KEY", [BIP, MASQ, MTU, "CUSTOM_KEY", ALL].concat()),
        ("-m", format!("{BIP}{MTU}DOCKER_OPTS=\" --bip=10.1.74.1/24 --mtu=1472\"\n")),
    ] {
        assert_eq!(printed(line, ENV), want, "{line}");
    }
}

#[test]
fn docker_masquerades_where_the_agent_does_not() {
    let env = ENV.replace("IPMASQ=false", "IPMASQ=true");
    assert!(printed("-c", &env).contains(" --ip-masq=false "));
}

#[test]
fn without_an_ipv4_subnet_there_is_no_bip() {
    let env = "FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00:0:0:5::1/64\n\
               FLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n";
    assert_eq!(printed("-c", env), "DOCKER_OPTS=\" --ip-masq=false --mtu=1430\"\n");
}

#[test]
fn options_for_docker_need_docker_opts_and_a_variables_name() {
    for line in
        ["-i", "-c", "-m", "-k KEY", "-d FILE", "--docker-opts -k A-B", "--docker-opts -k 7"]
    {
        assert!(parse(line).is_err(), "{line}");
    }
    assert_eq!(parse("").expect("valid").file.to_str(), Some("/run/flannel/subnet.env"));
}
