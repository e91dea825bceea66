//! Kill safety of what `flannel` keeps between ADD and DEL: both are killed, and separately failed,
//! at every file operation on it; DEL alone, or GC alone, then leaves nothing. What its delegate
//! does is killed in `kill.rs`.

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, Lab, Place as _, PluginSet, lend_reference, require_programs};
use serde_json::json;

const SCRIPT: &str = include_str!("../assets/kill-state.sh");
const ENV: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";

/// Verb, how it is cut, and who cleans up.
const CUTS: [(&str, &str, &str); 7] = [
    ("ADD", "signal=KILL", "DEL"),
    ("ADD", "signal=KILL", "GC"),
    ("ADD", "error=EIO", "itself"),
    ("DEL", "signal=KILL", "DEL"),
    ("DEL", "signal=KILL", "GC"),
    ("DEL", "error=ENOSPC", "DEL"),
    ("DEL", "error=EIO", "GC"),
];

#[test]
fn killed_or_failed_at_any_file_flannel_leaves_nothing() -> Result<()> {
    if !require_programs(&["strace", "nft"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        host.write_file("/run/flannel/subnet.env", ENV)?;
        lend_reference(&host, &["ptp"])?;
        let mut points = 0;
        for delegate in ["bridge", "ptp"] {
            configure(&host, delegate)?;
            for (verb, how, recovery) in CUTS {
                let tried = cut(&host, &[delegate, verb, how, recovery])?;
                ensure!(tried >= 5, "only {tried} points of {verb} by {delegate} {how}");
                points += tried;
            }
        }
        println!("{points} points");
        Ok(())
    })
}

/// The reference's ptp speaks no newer version than 1.0.0, and GC exists from 1.1.0 on.
fn configure(host: &Host, delegate: &str) -> Result<()> {
    let version = if delegate == "ptp" { "1.0.0" } else { "1.1.0" };
    let mut conf = json!({"cniVersion": version, "name": "cbr0", "type": "flannel",
        "delegate": {"type": delegate, "ipMasq": delegate == "bridge"}});
    host.write_file("/run/conf.json", conf.to_string())?;
    let keys = conf.as_object_mut().context("an object")?;
    keys.insert("cniVersion".to_owned(), json!("1.1.0"));
    keys.insert("cni.dev/valid-attachments".to_owned(), json!([]));
    host.write_file("/run/gc.json", conf.to_string())
}

/// Runs the script; gives the number of points, and fails with what is left after any of them.
fn cut(host: &Host, words: &[&str]) -> Result<usize> {
    let output = host.command(&["bash", "-c", SCRIPT, "kill-state"]).args(words).run()?.stdout;
    let (left, last) = output.trim_end().rsplit_once('\n').unwrap_or(("", output.trim_end()));
    ensure!(left.is_empty(), "{words:?}:\n{left}");
    let points = last.strip_prefix("points ").with_context(|| format!("the end of {output:?}"))?;
    Ok(points.parse()?)
}
