//! A container image made on the spot: busybox, the probe and the C library's `getent`, no registry.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::vm::programs::libraries;
use crate::{Host, bins, probe};

/// The name that every runtime knows the image by.
pub const IMAGE: &str = "docker.io/library/busybox:local";

/// The port that its containers answer on, tcp and udp.
pub const PORT: u16 = 80;

/// Where [`put`] leaves the archive.
const ARCHIVE: &str = "/opt/e2e/image.tar";

/// Builds the image and copies it to a host; returns where it is there.
///
/// # Errors
///
/// As [`build`].
pub fn put(host: &Host) -> Result<&'static str> {
    let dir = tempfile::tempdir()?;
    host.copy_program(&build(dir.path(), IMAGE)?, ARCHIVE)?;
    Ok(ARCHIVE)
}

/// Writes the image `name` to `dir`, as one archive that is a docker archive and an OCI layout at
/// once: `ctr images import`, `podman load` and `docker load` take it. Without a command its
/// containers are a server on [`PORT`].
///
/// # Errors
///
/// When busybox-static is not installed, the probe not built, or `dir` not writable.
pub fn build(dir: &Path, name: &str) -> Result<PathBuf> {
    let (work, archive) = (tempfile::tempdir_in(dir)?, dir.join("image.tar"));
    let (root, layout) = (work.path().join("root"), work.path().join("layout"));
    fill_root(&root)?;
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs)?;
    let layer = work.path().join("layer.tar");
    tar(&root, &layer)?;
    let layer = add_blob(&blobs, "application/vnd.oci.image.layer.v1.tar", std::fs::read(layer)?)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Cmd": [probe::PROGRAM, "serve", PORT.to_string()], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.get("digest")]},
    });
    let config =
        add_blob(&blobs, "application/vnd.oci.image.config.v1+json", config.to_string().into())?;
    let path = |blob: &Value| {
        let digest = blob.get("digest").and_then(Value::as_str).unwrap_or_default();
        digest.replace("sha256:", "blobs/sha256/")
    };
    let docker = json!([{"Config": path(&config), "RepoTags": [name], "Layers": [path(&layer)]}]);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let mut manifest = add_blob(&blobs, kind, manifest.to_string().into())?;
    if let Some(manifest) = manifest.as_object_mut() {
        let (_, tag) = name.rsplit_once(':').context("an image name with a tag")?;
        let names = json!({
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": tag,
        });
        manifest.insert("annotations".to_owned(), names);
    }
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    std::fs::write(layout.join("index.json"), index.to_string())?;
    std::fs::write(layout.join("manifest.json"), docker.to_string())?;
    tar(&layout, &archive)?;
    Ok(archive)
}

fn fill_root(root: &Path) -> Result<()> {
    for dir in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "var", "run", "opt/e2e"] {
        std::fs::create_dir_all(root.join(dir))?;
    }
    let busybox = crate::program("busybox").context("find busybox (package busybox-static)")?;
    std::fs::copy(&busybox, root.join("bin/busybox")).context("copy busybox")?;
    let applets = Command::new(&busybox).arg("--list").output().context("ask busybox")?;
    for applet in String::from_utf8(applets.stdout)?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    let getent = crate::program("getent").context("find getent (package libc-bin)")?;
    std::fs::copy(&getent, root.join("bin/getent")).context("copy getent")?;
    for library in libraries(&getent)? {
        let within = root.join(library.strip_prefix("/")?);
        std::fs::create_dir_all(within.parent().unwrap_or(root))?;
        std::fs::copy(&library, within).with_context(|| format!("copy {}", library.display()))?;
    }
    std::fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    std::fs::write(root.join("etc/group"), "root:x:0:\n")?;
    let probe = root.join(probe::PROGRAM.trim_start_matches('/'));
    std::fs::copy(bins::program("e2e-probe")?, probe).context("copy the probe")?;
    Ok(())
}

/// Archives what is in `dir`, the same bytes for the same content.
fn tar(dir: &Path, archive: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.push(entry?.file_name());
    }
    names.sort();
    let output = Command::new("tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
        .arg("--directory")
        .arg(dir)
        .arg("--create")
        .arg("--file")
        .arg(archive)
        .args(names)
        .output()
        .context("run tar")?;
    if !output.status.success() {
        bail!("tar of {}: {}", dir.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Stores a blob by its digest and returns its descriptor.
fn add_blob(blobs: &Path, media_type: &str, content: Vec<u8>) -> Result<Value> {
    let digest: String =
        Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(blobs.join(&digest), &content)?;
    Ok(json!({
        "mediaType": media_type,
        "digest": format!("sha256:{digest}"),
        "size": content.len(),
    }))
}
