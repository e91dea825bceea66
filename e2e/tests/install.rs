//! What `make install` leaves: separate files, which installers of others can copy over.

use anyhow::{Result, bail, ensure};
use e2e::{CNI_BIN, Lab, Place as _, PluginSet, bins, require};

#[test]
fn copying_over_one_plugin_leaves_the_others_alone() -> Result<()> {
    if !require("built plugins (make build)", bins::find("plugins").is_some())? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        let names = host.list(CNI_BIN)?;
        if names.len() < 2 {
            bail!("installed only {names:?}");
        }
        let digests = || host.sh(&format!("cd {CNI_BIN}; sha256sum $(ls -A | grep -vx bridge)"));
        let before = digests()?.stdout;
        host.write_file("/opt/other", "another program")?;
        host.run(&["cp", "-f", "/opt/other", &format!("{CNI_BIN}/bridge")])?;
        assert_eq!(digests()?.stdout, before);
        assert_eq!(host.read(&format!("{CNI_BIN}/bridge"))?, "another program");
        Ok(())
    })
}

#[test]
fn installing_again_leaves_no_temporary_file() -> Result<()> {
    if !require("built plugins (make build)", bins::find("plugins").is_some())? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        let first = host.list(CNI_BIN)?;
        PluginSet::Ours.install(&host)?;
        assert_eq!(host.list(CNI_BIN)?, first);
        assert!(first.iter().all(|name| !name.starts_with('.')), "{first:?}");
        Ok(())
    })
}

#[test]
fn completions_and_manual_pages_are_installed_with_netd() -> Result<()> {
    let built = bins::find("plugins").is_some() && bins::find("netd").is_some();
    if !require("built programs (make build)", built)? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = lab.host("host")?;
        e2e::install_all(&host, "/opt/netd")?;
        for (file, words) in [
            ("man/man1/netd.1", "netd\\-network(1)"),
            ("man/man1/netd-network-connect.1", "gw\\-priority"),
            ("man/man1/netd-run.1", "etcd\\-prefix"),
            ("bash-completion/completions/netd", "complete -F _netd"),
            ("zsh/site-functions/_netd", "#compdef netd"),
            ("fish/vendor_completions.d/netd.fish", "complete -c netd"),
        ] {
            let text = host.read(&format!("/opt/netd/usr/share/{file}"))?;
            ensure!(text.contains(words), "{file} has no {words:?}: {text:.200}");
        }
        let complete = "source /opt/netd/usr/share/bash-completion/completions/netd; \
                        COMP_WORDS=(netd network con); COMP_CWORD=2; \
                        _netd netd con network; echo ${COMPREPLY[@]}";
        assert_eq!(host.run(&["bash", "-c", complete])?.stdout.trim(), "connect");
        Ok(())
    })
}
