use cni::json::{Object, Value};

use super::*;

const NETWORK: &str = r#"{"Name": "c", "Id": "0fd2", "IPAM": {"Driver": "default", "Options": {},
    "Config": [{"Subnet": "172.22.0.0/16", "Gateway": "172.22.0.1"}, {"Subnet": "fd00::/64"}]},
    "Internal": true, "Containers": {}, "Options": {"mtu": "1400", "foo": "bar"},
    "Labels": {"k": "v", "l": ""}, "Mtu": 1400}"#;

/// The network, and fields that take an argument.
fn network() -> (Value, Object) {
    let root = cni::json::parse(NETWORK.as_bytes()).unwrap();
    let mut methods = Object::new();
    methods.insert("Label", root.field("Labels").unwrap().clone());
    (root, methods)
}

fn render(template: &str) -> Result<String, TemplateError> {
    let (root, methods) = network();
    let data =
        Data { root: &root, methods: &methods, optional: &["Gateway"], aliases: &[("ID", "Id")] };
    Template::parse(template)?.render(&data)
}

#[test]
fn what_users_of_docker_write_means_the_same() {
    for (template, text) in [
        ("{{.Name}} {{.Id}}{{.ID}}", "c 0fd20fd2"),
        (
            "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}};{{end}}",
            "172.22.0.0/16 172.22.0.1;fd00::/64 ;",
        ),
        (
            "{{(index .IPAM.Config 0).Subnet}} {{index .Labels \"k\"}} {{len .Containers}}",
            "172.22.0.0/16 v 0",
        ),
        ("{{index .Options \"nope\"}}|{{index .IPAM.Config 1 \"Subnet\"}}", "|fd00::/64"),
        (
            "{{json .Options}} {{json .Name}} {{.Options | json}}",
            "{\"mtu\":\"1400\",\"foo\":\"bar\"} \"c\" {\"mtu\":\"1400\",\"foo\":\"bar\"}",
        ),
        ("{{.Options}} {{.IPAM.Config | len}}", "map[foo:bar mtu:1400] 2"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}},{{end}}", "k=v,l=,"),
        (
            "{{range $i, $c := .IPAM.Config}}{{$i}}{{$.Name}}{{$c.Subnet}} {{end}}",
            "0c172.22.0.0/16 1cfd00::/64 ",
        ),
        (
            "{{if .Internal}}in{{else}}out{{end}}{{if not .Internal}}x{{else if eq .Name \"c\" \"d\"}}y{{end}}",
            "iny",
        ),
        ("{{with .Containers}}some{{else}}none {{.Name}}{{end}}", "none c"),
        ("{{range .Containers}}x{{else}}nobody{{end}}", "nobody"),
        ("{{.Label \"k\"}}{{.Label \"nope\"}}", "v"),
        ("a {{- .Name -}} b {{/* no */}}", "acb "),
        (
            "{{upper .Name}}{{title \"a bc\"}}{{join (split \"a,b\" \",\") \"-\"}}{{truncate \"abc\" 2}}",
            "CA Bca-bab",
        ),
        ("{{println .Name}}{{printf \"%s=%d%%\" .Name .Mtu}}", "c\nc=1400%"),
        (
            "{{printf \"%.2s|%-4s|%4d|%6.3v|%q\" .Id .Name .Mtu \"abcdef\" .Name}}",
            "0f|c   |1400|   abc|\"c\"",
        ),
        (
            "{{slice .Id 0 2}} {{slice .Id 2}} {{slice .Id}} {{len (slice .IPAM.Config 1)}}",
            "0f d2 0fd2 1",
        ),
        ("{{$n := .Name}}{{$n}}{{\"}}\"}}{{`{{`}}", "c}}{{"),
        (
            "{{and .Name .Internal}} {{or \"\" .Name}} {{gt .Mtu 1000}} {{ne .Name \"c\"}}",
            "true c true false",
        ),
    ] {
        assert_eq!(render(template).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    for (template, text) in [
        ("{{.Name", ":1: unclosed action"),
        ("{{.Nope}}", ":1: executing \"\" at <.Nope>: map has no entry for key \"Nope\""),
        ("{{nope .}}", ":1: function \"nope\" not defined"),
        ("{{if .Name}}", ":1: unexpected EOF"),
        ("{{end}}", ":1: unexpected end"),
        ("{{}}", ":1: missing value for command"),
        ("{{index .IPAM.Config 7}}", ":1: error calling index: index out of range: 7"),
        ("{{slice .Id 0 12}}", ":1: error calling slice: index out of range: 0 12"),
        ("{{slice .Mtu 0 1}}", ":1: error calling slice: can't slice item 1400"),
        (
            "{{printf \"%x\" .Id}}",
            ":1: printf: 'x' in \"%x\" is not supported: there are %s %v %d %t %q %%",
        ),
        ("{{printf \"%05d\" .Mtu}}", ":1: printf: flag 0 is not supported: leave it out"),
        ("{{printf \"%.2d\" .Mtu}}", ":1: printf: a precision of 1400, which is no text"),
        ("{{(.Name}}", ":1: unclosed left paren"),
        ("{{$x}}", ":1: undefined variable \"$x\""),
        ("{{define \"x\"}}{{end}}", ":1: define is not supported here"),
    ] {
        let told = format!("template parsing error: template: {text}");
        assert_eq!(render(template).unwrap_err().to_string(), told, "{template}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(text in "[{}a-zA-Z.$|()\"` 0-9:=,-]{0,60}") {
        let _ = render(&text);
        let _ = render(&format!("{{{{{text}}}}}"));
        let _ = render(&format!("{{{{printf `%{text}` .Name}}}}"));
        let _ = render(&format!("{{{{range .Options}}}}{text}{{{{end}}}}"));
    }
}
