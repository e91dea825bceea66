//! Plugins start for every container, on hosts of any distribution: a release is static, and what
//! runs stands together in memory (docs/adr/0008).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=hot.ld");
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let is_musl = var("CARGO_CFG_TARGET_ENV") == "musl";
    if var("PROFILE") == "release" && !is_musl {
        let arch = var("CARGO_CFG_TARGET_ARCH");
        println!(
            "cargo::error=plugins are released as static musl programs only: run `make build`, or \
             `cargo build --release --target {arch}-unknown-linux-musl -p plugins`"
        );
    }
    if is_musl {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/hot.ld", var("CARGO_MANIFEST_DIR"));
    }
}
